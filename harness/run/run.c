#include "harness/run/run.h"

#include "base/cleanup.h"
#include "base/files.h"
#include "harness/run/crew.h"
#include "harness/run/evidence.h"
#include "harness/run/room.h"
#include "harness/run/run_state.h"
#include "harness/run/station.h"
#include "reports/junit.h"
#include "reports/results_json.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { RUN_ID_MAX_BYTES = 48, CLOSE_TURNS_MAX = 1000 };

/* ---- the run's own folder ---- */

static int refuse_folder(const char *directory, struct error *error)
{
    return error_set(error, ERROR_OWNER_FILE, ERROR_EXISTS, "folder '%s' is not empty: a run needs a folder of its own", directory);
}

static int check_empty(const char *directory, struct error *error)
{
    char **names = NULL;
    if (dir_list(directory, "", &names, error))
        return -1;
    bool is_empty = !names[0];
    names_free(names);
    return is_empty ? 0 : refuse_folder(directory, error);
}

static int make_directory(struct run *run, struct error *error)
{
    const char *directory = run->options->directory, *private_directory;
    run->bench.private_directory = private_directory = run->private_directory = path_join(directory, ".private");
    if (!private_directory)
        return error_set_memory(error);
    if (dir_make(directory, 0755, error))
        return room_add_mend(error);
    if (check_empty(directory, error) || room_check(directory, error))
        return -1;
    /* Two runs may have found it empty: one of them makes this. */
    if (mkdir(private_directory, 0700))
        return errno == EEXIST ? refuse_folder(directory, error)
                               : error_set_errno(error, ERROR_OWNER_RIG, errno, "make folder '%s'", private_directory);
    if (sweeper_start(private_directory, &run->sweeper, error)) {
        rmdir(private_directory);
        return -1;
    }
    /* Of several devices each writes its own, in its folder. */
    return bench_has_many_devices(&run->bench) ? 0 : timeline_open(directory, &run->bench.timeline, error);
}

/* By ourselves: the sweeper would wait for what a hook left running. */
static void remove_private(struct run *run)
{
    struct error error = ERROR_INIT;
    if (dir_remove(run->private_directory, &error))
        progress_say(&run->progress, "%s", error.text);
}

/* ---- set-up ---- */

/* An interpreter needs its time to start, and no time scale makes that faster. */
static double choose_scale(const struct run_options *options)
{
    if (options->time_scale > 0)
        return options->time_scale;
    if (!rig_takes_time_scale(options->rig))
        return 1;
    for (size_t i = 0; i < options->rig->device_count; i++)
        if (options->rig->devices[i].is_connected && options->rig->devices[i].is_exec)
            return RUN_TIME_SCALE_PROGRAM;
    return RUN_TIME_SCALE_DEFAULT;
}

static int check_scale(const struct run_options *options, struct error *error)
{
    if (options->time_scale > 1 && !rig_takes_time_scale(options->rig))
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE,
                         "a real device lives in real time, and so does a program that is not told the time scale: it is 1, not %g",
                         options->time_scale);
    return 0;
}

static int check_flash(const struct run_options *options, const struct plan *plan, struct error *error)
{
    for (size_t i = 0; options->wants_flash && i < plan->device_count; i++) {
        const struct rig_device *device = plan->devices[i].device;
        if (!rig_device_has_hook(device, RIG_HOOK_FLASH))
            return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "%s: device '%s' has no hook `flash`", device->place, device->id);
    }
    return 0;
}

static void name_run(struct run *run)
{
    char text[RUN_ID_MAX_BYTES];
    time_t now = (time_t)clock_unix_s(run->bench.clock);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &utc);
    result_setf(&run->result.id, "%s-%d", text, (int)getpid());
}

static void tick(void *user)
{
    progress_tick(user);
}

static int set_up(struct run *run, struct error *error)
{
    const struct run_options *options = run->options;
    struct bench *bench = &run->bench;
    *bench = (struct bench){
        .clock = &clock_system,
        .rig = options->rig,
        .directory = options->directory,
        .wants_flash = options->wants_flash,
        .progress = &run->progress,
        .simulator_folder = options->rig->simulator_ready,
        .is_simulator_ours = !options->rig->simulator_ready,
        .wants_events = run->plan.device_count == 1,
    };
    bench->time_scale = choose_scale(options);
    run->result.started_unix_us = clock_unix_us(bench->clock);
    run->result.time_scale = bench->time_scale;
    run->result.planned_count = schedule_count(&run->schedule);
    name_run(run);
    result_set(&run->result.directory, options->directory);
    result_set(&run->result.rig_file, options->rig->file);
    run->result.devices = cJSON_CreateArray();
    progress_init(&run->progress, options->talk, bench->clock, run->result.planned_count);
    struct waiting_options waiting = {.loop = &run->loop, .clock = bench->clock, .tick = tick, .user = &run->progress};
    bench->keys = key_cache_new();
    bench->pkis = pki_store_new();
    if (!bench->keys || !bench->pkis || !run->result.devices)
        return error_set_memory(error);
    return make_directory(run, error) || waiting_new(&waiting, &bench->waiting, error) ? -1 : 0;
}

/* Handles close on the loop. Bounded: a handle that somebody forgot must not hang the end. */
static void drain_loop(uv_loop_t *loop)
{
    for (int i = 0; i < CLOSE_TURNS_MAX && uv_run(loop, UV_RUN_NOWAIT); i++)
        ;
    uv_loop_close(loop);
}

static void tear_down(struct run *run)
{
    if (run->sweeper)
        remove_private(run);
    sweeper_dismiss(TAKE(run->sweeper));
    free(TAKE(run->private_directory));
    timeline_close(TAKE(run->bench.timeline));
    pki_store_free(TAKE(run->bench.pkis));
    key_cache_free(TAKE(run->bench.keys));
    waiting_free(TAKE(run->bench.waiting));
    drain_loop(&run->loop);
    progress_done(&run->progress);
}

/* ---- what the report says about the bench ---- */

static void record_simulator(struct run *run)
{
    static const char *const names[] = {"version", "dps", "host", "id_scope", "profile"};
    cJSON *json = cJSON_CreateObject();
    for (size_t i = 0; json && i < ARRAY_COUNT(names); i++)
        json_set_string(json, names[i], json_string(run->bench.ready, names[i], NULL));
    if (json)
        json_set_bool(json, "is_ours", run->bench.is_simulator_ours);
    run->result.simulator = json;
    run->result.versions = evidence_versions(&run->bench);
}

/* ---- rows ---- */

/* The report cannot be written any more: the run ends with the row in flight. */
static void break_off(struct run *run, const struct error *error)
{
    if (!run->result.broken_off)
        result_set(&run->result.broken_off, error->text);
}

static int write_report(struct run *run)
{
    struct error error = ERROR_INIT;
    if (results_write(&run->result, &error)) {
        break_off(run, &error);
        return -1;
    }
    run->rows_in_results = run->result.row_count;
    if (junit_write(&run->result, &error)) {
        break_off(run, &error);
        return -1;
    }
    run->rows_in_junit = run->result.row_count;
    return 0;
}

void run_take_row(struct run *run, struct turn *turn, struct result_row *row, const char *unwritten)
{
    struct error error = ERROR_INIT;
    schedule_take(&run->schedule, turn, row->verdict);
    if (unwritten && !run->result.broken_off)
        result_set(&run->result.broken_off, unwritten);
    progress_verdict(&run->progress, row);
    if (result_run_add(&run->result, row, &error))
        progress_say(&run->progress, "%s", error.text);
    write_report(run);
}

/* One that is opened again (its worker was) takes the place of its earlier self. */
void run_take_device(struct run *run, cJSON *device, const char *problem)
{
    cJSON *earlier;
    const char *id = json_string(device, "id", "");
    cJSON_ArrayForEach(earlier, run->result.devices)
    {
        if (strcmp(json_string(earlier, "id", ""), id) == 0)
            break;
    }
    if (problem && !run_is_interrupted(run))
        progress_say(&run->progress, "%s", problem);
    if (!earlier && json_string(device, "judged_on", NULL))
        progress_say(&run->progress, "%s is judged on %s; what it prints is recorded", id, json_string(device, "judged_on", ""));
    if (device && earlier)
        cJSON_ReplaceItemViaPointer(run->result.devices, earlier, device);
    else if (device)
        cJSON_AddItemToArray(run->result.devices, device);
}

bool run_is_interrupted(const struct run *run)
{
    return waiting_signal(run->bench.waiting) != 0;
}

bool run_is_over(struct run *run)
{
    struct error error = ERROR_INIT;
    if (!run->result.broken_off && room_check(run->options->directory, &error))
        break_off(run, &error);
    return run_is_interrupted(run) || run->result.broken_off;
}

struct turn *run_next_turn(struct run *run, size_t device)
{
    return run_is_over(run) ? NULL : schedule_next(&run->schedule, device, NULL, NULL);
}

/* In this process. `broken`: why there is no simulator; NULL: there is. */
static void run_device(struct run *run, size_t index, const struct error *broken)
{
    struct station station = {.options = run->options, .bench = &run->bench};
    cJSON *device = NULL;
    struct turn *turn;
    station_open(&station, run->plan.devices[index].device, broken, &device);
    run_take_device(run, device, station.broken.code && !broken ? station.broken.text : NULL);
    while ((turn = run_next_turn(run, index))) {
        struct result_row row = {0};
        station_run(&station, turn->row, (struct station_turn){turn->repetition, turn->attempts + 1}, &row);
        run_take_row(run, turn, &row, station_unwritten(&station));
    }
    /* Giving back what was leased may wait a little, also after Ctrl-C. */
    waiting_resume(run->bench.waiting);
    station_close(&station);
}

static void run_devices(struct run *run, const struct error *broken)
{
    if (!broken && run->plan.device_count > 1) {
        /* The workers talk to the simulator; it is ours to start and end. */
        control_close(TAKE(run->bench.control));
        crew_run(run);
        return;
    }
    for (size_t i = 0; i < run->plan.device_count && !run_is_over(run); i++)
        run_device(run, i, broken);
}

static void say_what_is_safe(struct run *run)
{
    const char *directory = run->options->directory;
    progress_say(&run->progress, "%s; the run ends here", run->result.broken_off);
    progress_say(&run->progress,
                 "safe in '%s': results.json with %zu and junit.xml with %zu of the %zu rows that ran; timeline.jsonl and console.log, "
                 "whole up to the full disk",
                 directory, run->rows_in_results, run->rows_in_junit, run->result.row_count);
}

static void finish(struct run *run)
{
    run->result.is_interrupted = run_is_interrupted(run);
    run->result.ended_unix_us = clock_unix_us(run->bench.clock);
    run->result.exit_code = result_run_exit_code(&run->result);
    /* Whoever asks for a report and gets none must not read "all passed". */
    if (write_report(run))
        run->result.exit_code = result_run_exit_code(&run->result);
    if (run->result.broken_off)
        say_what_is_safe(run);
}

/* Only a case that names an unknown knob is an error here: it is the first moment at which that can be known. */
static int run_all(struct run *run, struct error *error)
{
    struct error broken = ERROR_INIT;
    bool is_broken = bench_open_simulator(&run->bench, &broken) != 0;
    int failed = is_broken ? 0 : plan_check_knobs(&run->plan, run->bench.knobs, error);
    if (is_broken && !run_is_interrupted(run))
        progress_say(&run->progress, "simulator: %s", broken.text);
    record_simulator(run);
    if (!failed)
        run_devices(run, is_broken ? &broken : NULL);
    bench_close_simulator(&run->bench);
    /* Before the report: on a full disk it makes the room for it. */
    remove_private(run);
    if (!failed)
        finish(run);
    return failed;
}

int run_suite(const struct run_options *options, struct result_run *ret_result, struct error *error)
{
    struct run run = {.options = options};
    const struct schedule_options schedule = {.repeat = 1};
    if (check_scale(options, error) || plan_make(options, &run.plan, error))
        return -1;
    if (check_flash(options, &run.plan, error) || schedule_make(&run.plan, &schedule, &run.schedule, error)) {
        plan_done(&run.plan);
        return -1;
    }
    uv_loop_init(&run.loop);
    int failed = set_up(&run, error) || run_all(&run, error) ? -1 : 0;
    tear_down(&run);
    schedule_done(&run.schedule);
    plan_done(&run.plan);
    if (failed) {
        result_run_done(&run.result);
        return -1;
    }
    *ret_result = run.result;
    return 0;
}
