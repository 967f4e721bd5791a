#include "harness/cli/sim_link.h"

#include "base/cleanup.h"
#include "base/shell_word.h"
#include "harness/control/simulator_place.h"

enum { CLOSE_TURNS_MAX = 100 };

struct sim_link {
    uv_loop_t loop;
    struct waiting *waiting;
    struct control *control;
};

DEFINE_CLEANUP(struct sim_link *, sim_link_close)

static int find(const char *state, cJSON **ret_ready, struct error *error)
{
    const char *folder = state ? state : getenv("DPSBENCH_STATE");
    if (!folder || !*folder)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE,
                         "which simulator? name its state folder: --state DIR, or the environment variable DPSBENCH_STATE");
    if (simulator_place_read(folder, ret_ready, error) == 0)
        return 0;
    CLEANUP_FREE char *word = shell_word(folder);
    if (!error || error->code != ERROR_NOT_FOUND || !word)
        return -1;
    return error_set(error, ERROR_OWNER_RIG, ERROR_NOT_FOUND, "no simulator runs on '%s'; start one: dpsbench-sim --state %s", folder,
                     word);
}

static int open_control(struct sim_link *link, const cJSON *ready, const struct control_callbacks *callbacks, struct error *error)
{
    char name[48];
    snprintf(name, sizeof name, "dpsbench-sim-%d", (int)getpid());
    struct control_options options = {.waiting = link->waiting,
                                      .ready = ready,
                                      .name = name,
                                      .wants_events = callbacks != NULL,
                                      .deadline = deadline_in_ms(&clock_system, CONTROL_DEADLINE_MS)};
    if (callbacks)
        options.callbacks = *callbacks;
    return control_open(&options, &link->control, error);
}

int sim_link_open(const char *state, const struct control_callbacks *callbacks, struct sim_link **ret_link, struct error *error)
{
    CLEANUP_JSON cJSON *ready = NULL;
    if (find(state, &ready, error))
        return -1;
    CLEANUP(sim_link_close_cleanup) struct sim_link *link = calloc(1, sizeof *link);
    if (!link)
        return error_set_memory(error);
    uv_loop_init(&link->loop);
    const struct waiting_options waiting = {.loop = &link->loop, .clock = &clock_system};
    if (waiting_new(&waiting, &link->waiting, error) || open_control(link, ready, callbacks, error))
        return -1;
    *ret_link = TAKE(link);
    return 0;
}

void sim_link_close(struct sim_link *link)
{
    if (!link)
        return;
    control_close(link->control);
    waiting_free(link->waiting);
    for (int i = 0; i < CLOSE_TURNS_MAX && uv_run(&link->loop, UV_RUN_NOWAIT); i++)
        ;
    uv_loop_close(&link->loop);
    free(link);
}

int sim_link_call(struct sim_link *link, const char *method, cJSON *params, cJSON **ret_result, struct error *error)
{
    return control_call(link->control, method, params, deadline_in_ms(&clock_system, CONTROL_DEADLINE_MS), ret_result, error);
}

int sim_link_call_until(struct sim_link *link, const char *method, cJSON *params, deadline_t deadline, cJSON **ret_result,
                        struct error *error)
{
    return control_call(link->control, method, params, deadline, ret_result, error);
}

struct waiting *sim_link_waiting(const struct sim_link *link)
{
    return link->waiting;
}
