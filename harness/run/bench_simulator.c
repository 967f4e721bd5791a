/* The simulator's side of the bench. */
#include "base/cleanup.h"
#include "base/files.h"
#include "harness/control/simulator_place.h"
#include "harness/rig/place.h"
#include "harness/run/bench.h"
#include "harness/run/own_names.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#define SIMULATOR "dpsbench-sim"

static void on_event(void *user, const cJSON *event)
{
    struct bench *bench = user;
    struct error error = ERROR_INIT;
    if (!bench->name_suffix) {
        bench_take_simulator_event(bench, event);
        return;
    }
    CLEANUP_JSON cJSON *copy = cJSON_Duplicate(event, true);
    own_names_strip(bench->name_suffix, copy);
    if (copy)
        bench_take_simulator_event(bench, copy);
    else
        bench_report_trouble(bench, (error_set_memory(&error), &error));
}

static void on_lost(void *user, const char *reason)
{
    struct error error = ERROR_INIT;
    error_set(&error, ERROR_OWNER_RIG, ERROR_IO, "%s", reason);
    bench_report_trouble(user, &error);
}

static const struct rig_device *first_connected(const struct rig *rig)
{
    for (size_t i = 0; i < rig->device_count; i++)
        if (rig->devices[i].is_connected)
            return &rig->devices[i];
    return &rig->devices[0];
}

static int start(struct bench *bench, struct error *error)
{
    CLEANUP_FREE char *program = NULL, *log_path = NULL;
    CLEANUP_FREE char *state = bench_private_path(bench, "simulator");
    char scale[32];
    if (place_program(SIMULATOR, &program, error))
        return -1;
    log_path = path_join(bench->directory, "simulator.log");
    if (!state || !log_path)
        return error_set_memory(error);
    snprintf(scale, sizeof scale, "%g", bench->time_scale);
    const struct rig_device *device = first_connected(bench->rig);
    const char *const argv[] = {
        program,          "--state",      state, "--listen", bench->rig->simulator_listen, "--host", device->dps_host, "--id-scope",
        device->id_scope, "--time-scale", scale, NULL};
    struct served_options options = {
        .loop = waiting_loop(bench->waiting),
        .program = SIMULATOR,
        .argv = argv,
        .log_path = log_path,
        .deadline = deadline_in_ms(bench->clock, BENCH_START_MS),
    };
    if (served_start(&options, &bench->simulator, error))
        return -1;
    bench->ready = cJSON_Duplicate(served_ready(bench->simulator), true);
    return bench->ready ? 0 : error_set_memory(error);
}

/* A simulator that runs already has its own id scope and time scale: what the rig says must agree. */
static int find(struct bench *bench, struct error *error)
{
    if (simulator_place_read(bench->simulator_folder, &bench->ready, error))
        return -1;
    const char *scope = json_string(bench->ready, "id_scope", "");
    const struct rig_device *device = first_connected(bench->rig);
    double scale = json_number(bench->ready, "time_scale", 1);
    if (strcmp(scope, device->id_scope) != 0)
        return error_set(error, ERROR_OWNER_RIG, ERROR_USAGE, "the simulator of '%s' has id scope '%s', device '%s' has '%s'",
                         bench->simulator_folder, scope, device->id, device->id_scope);
    if (scale < bench->time_scale || scale > bench->time_scale)
        return error_set(error, ERROR_OWNER_RIG, ERROR_USAGE, "the simulator of '%s' runs at time scale %g, this run at %g",
                         bench->simulator_folder, scale, bench->time_scale);
    return 0;
}

static int read_knobs(struct bench *bench, struct error *error)
{
    CLEANUP_JSON cJSON *result = NULL;
    if (bench_call(bench, "knob.list", NULL, &result, error))
        return -1;
    bench->knobs = cJSON_DetachItemFromObjectCaseSensitive(result, "knobs");
    return cJSON_IsArray(bench->knobs) ? 0 : error_set(error, ERROR_OWNER_RIG, ERROR_PROTOCOL, "knob.list: the simulator gave no list");
}

static int connect_control(struct bench *bench, struct error *error)
{
    char name[48];
    snprintf(name, sizeof name, "dpsbench-%d", (int)getpid());
    struct control_options options = {
        .waiting = bench->waiting,
        .ready = bench->ready,
        .name = name,
        .wants_events = bench->wants_events,
        .deadline = deadline_in_ms(bench->clock, BENCH_CALL_MS),
        .callbacks = {.user = bench, .on_event = on_event, .on_lost = on_lost},
    };
    return control_open(&options, &bench->control, error);
}

int bench_open_simulator(struct bench *bench, struct error *error)
{
    progress_step(bench->progress, "starting the simulator");
    if (bench->simulator_folder ? find(bench, error) : start(bench, error))
        return -1;
    return connect_control(bench, error) || bench_call(bench, "simulator.info", NULL, &bench->simulator_info, error) ||
                   read_knobs(bench, error)
               ? -1
               : 0;
}

/* It is on this host, so its end need not be guessed from silence. */
static bool has_simulator_ended(const struct bench *bench, struct error *error)
{
    if (bench->simulator)
        return !served_is_running(bench->simulator, error);
    if (!bench->is_simulator_ours || kill((pid_t)json_integer(bench->ready, "pid", getpid()), 0) == 0 || errno != ESRCH)
        return false;
    error_set(error, ERROR_OWNER_RIG, ERROR_IO, "%s ended", SIMULATOR);
    return true;
}

/* The simulator's Mosquitto is back within a second; what was leased lives in the simulator. */
int bench_reconnect(struct bench *bench, struct error *error)
{
    deadline_t deadline = deadline_in_ms(bench->clock, BENCH_RECONNECT_MS);
    struct error inner = ERROR_INIT;
    if (!bench->control || control_is_open(bench->control))
        return 0;
    progress_step(bench->progress, "connecting to the simulator again");
    control_close(TAKE(bench->control));
    while (connect_control(bench, &inner)) {
        if (has_simulator_ended(bench, error))
            return -1;
        if (inner.code == ERROR_INTERRUPTED || deadline_has_passed(bench->clock, deadline))
            return error_set(error, inner.owner, inner.code, "%s", inner.text);
        if (waiting_settle(bench->waiting, BENCH_RECONNECT_PAUSE_MS, error))
            return -1;
    }
    bench->has_trouble = false;
    return 0;
}

void bench_close_simulator(struct bench *bench)
{
    control_close(TAKE(bench->control));
    served_stop(TAKE(bench->simulator));
    cJSON_Delete(TAKE(bench->ready));
    cJSON_Delete(TAKE(bench->knobs));
    cJSON_Delete(TAKE(bench->simulator_info));
}
