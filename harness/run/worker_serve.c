/* The worker's side of worker.h. */
#include "base/cleanup.h"
#include "base/files.h"
#include "base/log.h"
#include "harness/run/plan.h"
#include "harness/run/worker.h"
#include "reports/results_json.h"

#include <fcntl.h>
#include <string.h>

enum { IDLE_LOOK_MS = 60000, CLOSE_TURNS_MAX = 1000 };

struct server {
    const struct run_options *options;
    uv_loop_t loop;
    struct plan plan;
    struct bench bench;
    struct progress progress;
    struct station station;
    struct channel *channel;
    cJSON *command; /* the row to run next */
    bool has_ended; /* the run wants nothing more, or is gone */
};

static void on_message(void *user, const cJSON *message)
{
    struct server *server = user;
    cJSON_Delete(server->command);
    server->command = cJSON_Duplicate(message, true);
}

static void on_end(void *user, const char *reason)
{
    (void)reason;
    ((struct server *)user)->has_ended = true;
}

static bool has_work(void *user)
{
    const struct server *server = user;
    return server->command || server->has_ended;
}

static const struct case_row *find_row(const struct server *server, const char *id)
{
    const struct case_list *const lists[] = {&server->plan.devices[0].rows, &server->plan.devices[0].health};
    for (size_t list = 0; list < ARRAY_COUNT(lists); list++)
        for (size_t i = 0; i < lists[list]->count; i++)
            if (strcmp(lists[list]->rows[i]->id, id) == 0)
                return lists[list]->rows[i];
    return NULL;
}

static int tell_row(struct server *server, struct result_row *row, struct error *error)
{
    CLEANUP_JSON cJSON *message = cJSON_CreateObject();
    cJSON *json = results_row_to_json(row);
    if (!message || json_set(message, "row", json) || json_set_string(message, "unwritten", station_unwritten(&server->station)))
        return error_set_memory(error);
    return channel_send(server->channel, TAKE(message), error);
}

static int run_row(struct server *server, const cJSON *command, struct error *error)
{
    const char *id = json_string(command, "row", "");
    const struct case_row *row = find_row(server, id);
    CLEANUP(result_row_done) struct result_row result = {0};
    if (!row)
        return error_set(error, ERROR_OWNER_OURS, ERROR_NOT_FOUND, "no row '%s': the cases have changed since the run began", id);
    const struct station_turn turn = {.repetition = (unsigned)json_integer(command, "repetition", 1),
                                      .attempt = (unsigned)json_integer(command, "attempt", 1)};
    station_run(&server->station, row, turn, &result);
    return tell_row(server, &result, error);
}

/* Console and events are taken in while nothing is to do. */
static int serve_rows(struct server *server, struct error *error)
{
    for (;;) {
        struct error late = ERROR_INIT;
        deadline_t deadline = deadline_in_ms(server->bench.clock, IDLE_LOOK_MS);
        int failed = waiting_until(server->bench.waiting, has_work, server, deadline, "the next row", &late);
        if (failed && late.code == ERROR_INTERRUPTED)
            return 0;
        CLEANUP_JSON cJSON *command = TAKE(server->command);
        if (command && run_row(server, command, error))
            return -1;
        if (!command && server->has_ended)
            return 0;
    }
}

static int tell_device(struct server *server, cJSON *device, struct error *error)
{
    CLEANUP_JSON cJSON *message = cJSON_CreateObject();
    const struct error *broken = &server->station.broken;
    if (!message || json_set(message, "device", device) || json_set_string(message, "problem", broken->code ? broken->text : NULL))
        return error_set_memory(error);
    return channel_send(server->channel, TAKE(message), error);
}

static int serve(struct server *server, struct error *error)
{
    struct error broken = ERROR_INIT;
    cJSON *device = NULL;
    bool is_broken = bench_open_simulator(&server->bench, &broken) != 0;
    server->station = (struct station){.options = server->options, .bench = &server->bench};
    station_open(&server->station, server->plan.devices[0].device, is_broken ? &broken : NULL, &device);
    int failed = tell_device(server, device, error) || serve_rows(server, error) ? -1 : 0;
    /* Giving back what was leased may wait a little, also after Ctrl-C. */
    waiting_resume(server->bench.waiting);
    station_close(&server->station);
    bench_close_simulator(&server->bench);
    return failed;
}

static int set_up(struct server *server, const char *private_directory, struct error *error)
{
    const struct run_options *options = server->options;
    struct bench *bench = &server->bench;
    const struct channel_callbacks callbacks = {.user = server, .on_message = on_message, .on_end = on_end};
    struct waiting_options waiting = {.loop = &server->loop, .clock = &clock_system};
    *bench = (struct bench){
        .clock = &clock_system,
        .rig = options->rig,
        .directory = options->directory,
        .private_directory = private_directory,
        .time_scale = options->time_scale,
        .wants_flash = options->wants_flash,
        .progress = &server->progress,
        .is_simulator_ours = !options->rig->simulator_ready,
        .wants_events = true,
    };
    /* Nothing is drawn: only what is said goes out. */
    progress_init(&server->progress, stderr, bench->clock, 0);
    server->progress.is_terminal = false;
    bench->keys = key_cache_new();
    bench->pkis = pki_store_new();
    if (!bench->keys || !bench->pkis)
        return error_set_memory(error);
    return channel_open(&server->loop, fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0), &callbacks, &server->channel, error) ||
                   waiting_new(&waiting, &bench->waiting, error)
               ? -1
               : 0;
}

static void tear_down(struct server *server)
{
    channel_close(TAKE(server->channel));
    cJSON_Delete(TAKE(server->command));
    pki_store_free(TAKE(server->bench.pkis));
    key_cache_free(TAKE(server->bench.keys));
    waiting_free(TAKE(server->bench.waiting));
    for (int i = 0; i < CLOSE_TURNS_MAX && uv_run(&server->loop, UV_RUN_NOWAIT); i++)
        ;
    uv_loop_close(&server->loop);
}

int worker_serve(const struct run_options *options, const char *private_directory)
{
    struct server server = {.options = options};
    struct error error = ERROR_INIT;
    CLEANUP_FREE char *simulator = path_join(private_directory, "simulator");
    if (plan_make(options, &server.plan, &error)) {
        log_error("device '%s': %s", options->device_id, error.text);
        return EXIT_USAGE;
    }
    uv_loop_init(&server.loop);
    int failed = set_up(&server, private_directory, &error);
    server.bench.simulator_folder = options->rig->simulator_ready ? options->rig->simulator_ready : simulator;
    failed = failed || serve(&server, &error) ? -1 : 0;
    if (failed)
        log_error("device '%s': %s", options->device_id, error.text);
    tear_down(&server);
    plan_done(&server.plan);
    return failed ? EXIT_OUR_BUG : EXIT_ALL_PASSED;
}
