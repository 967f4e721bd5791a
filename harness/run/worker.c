#include "harness/run/worker.h"

#include "base/child.h"
#include "base/cleanup.h"
#include "harness/rig/place.h"
#include "reports/results_json.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>

enum { ARGUMENTS_MAX = 24, REASON_MAX_BYTES = 256, SCALE_MAX_BYTES = 32 };

struct worker {
    struct worker_options options;
    struct child *child;
    struct channel *channel;
    char reason[REASON_MAX_BYTES];
    bool has_channel_ended;
    bool has_process_ended;
};

DEFINE_CLEANUP(struct worker *, worker_free)

/* What it wrote before it died may still stand in the channel: the end is when both have ended. */
static void end_when_both_have(struct worker *worker)
{
    if (worker->has_channel_ended && worker->has_process_ended)
        worker->options.on_end(worker->options.user, worker->reason);
}

static void on_exit_of_child(void *user, struct child *child, int status)
{
    (void)child;
    struct worker *worker = user;
    char how[CHILD_STATUS_TEXT_BYTES];
    child_status_text(status, how);
    snprintf(worker->reason, sizeof worker->reason, "the process that runs device '%s' ended (%s)", worker->options.device->id, how);
    worker->has_process_ended = true;
    end_when_both_have(worker);
}

static void take_row(struct worker *worker, const cJSON *message)
{
    struct result_row row = {0};
    struct error error = ERROR_INIT;
    if (results_row_from_json(json_member(message, "row"), &row, &error))
        return;
    worker->options.on_row(worker->options.user, &row, json_string(message, "unwritten", NULL));
}

static void on_message(void *user, const cJSON *message)
{
    struct worker *worker = user;
    if (json_member(message, "device"))
        worker->options.on_device(worker->options.user, json_member(message, "device"), json_string(message, "problem", NULL));
    else if (json_member(message, "row"))
        take_row(worker, message);
}

static void on_channel_end(void *user, const char *reason)
{
    (void)reason;
    struct worker *worker = user;
    worker->has_channel_ended = true;
    end_when_both_have(worker);
}

static void fill_arguments(const struct worker_options *options, const char *program, char scale[SCALE_MAX_BYTES],
                           const char *argv[ARGUMENTS_MAX])
{
    const struct run_options *run = options->run;
    const char *const pairs[][2] = {
        {"--worker", options->private_directory},
        {"--rig", run->rig->file},
        {"--device", options->device->id},
        {"--out", run->directory},
        {"--time-scale", scale},
        {"--cases", run->has_own_cases ? run->cases_directory : NULL},
    };
    size_t count = 0;
    snprintf(scale, SCALE_MAX_BYTES, "%.17g", options->time_scale);
    argv[count++] = program;
    argv[count++] = "run";
    for (size_t i = 0; i < ARRAY_COUNT(pairs); i++) {
        if (!pairs[i][1])
            continue;
        argv[count++] = pairs[i][0];
        argv[count++] = pairs[i][1];
    }
    if (options->wants_flash)
        argv[count++] = "--flash";
    argv[count] = NULL;
}

static int start_child(struct worker *worker, int fd, struct error *error)
{
    CLEANUP_FREE char *program = NULL;
    const char *argv[ARGUMENTS_MAX];
    char scale[SCALE_MAX_BYTES];
    if (place_program("dpsbench", &program, error))
        return -1;
    fill_arguments(&worker->options, program, scale, argv);
    const struct child_options child = {
        .argv = argv,
        .stdin_fd = fd,
        .stdout_fd = -1,
        .stderr_fd = STDERR_FILENO,
        .death_signal = SIGKILL,
        /* Ctrl-C is for the run: it tells its workers. */
        .has_own_group = true,
        .loop = worker->options.loop,
        .on_exit = on_exit_of_child,
        .user = worker,
    };
    return child_start(&child, &worker->child, error);
}

int worker_start(const struct worker_options *options, struct worker **ret_worker, struct error *error)
{
    int ends[2];
    CLEANUP(worker_free_cleanup) struct worker *worker = calloc(1, sizeof *worker);
    if (!worker)
        return error_set_memory(error);
    worker->options = *options;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
        return error_set_errno(error, ERROR_OWNER_OURS, errno, "make a channel to the process of device '%s'", options->device->id);
    CLEANUP_FD int theirs = ends[1];
    const struct channel_callbacks callbacks = {.user = worker, .on_message = on_message, .on_end = on_channel_end};
    if (channel_open(options->loop, ends[0], &callbacks, &worker->channel, error) || start_child(worker, theirs, error))
        return -1;
    *ret_worker = TAKE(worker);
    return 0;
}

int worker_run(struct worker *worker, const char *row, struct station_turn turn, struct error *error)
{
    CLEANUP_JSON cJSON *message = cJSON_CreateObject();
    if (!message || json_set_string(message, "row", row) || json_set_integer(message, "repetition", turn.repetition) ||
        json_set_integer(message, "attempt", turn.attempt))
        return error_set_memory(error);
    return channel_send(worker->channel, TAKE(message), error);
}

void worker_dismiss(struct worker *worker)
{
    channel_finish(worker->channel);
}

void worker_signal(struct worker *worker, int signal_number)
{
    child_signal(worker->child, signal_number);
}

void worker_free(struct worker *worker)
{
    if (!worker)
        return;
    channel_close(worker->channel);
    child_free(worker->child);
    free(worker);
}
