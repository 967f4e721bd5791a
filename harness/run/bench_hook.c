/* The hooks of the rig file, with what their programs may want to know in the environment (docs/rig.md). */
#include "base/cleanup.h"
#include "base/files.h"
#include "harness/rig/hook.h"
#include "harness/run/bench.h"

#include <string.h>

enum { VARIABLES_MAX = 8 };

struct environment {
    char *items[VARIABLES_MAX + 1]; /* NULL-terminated */
    size_t count;
    bool has_failed;
};

static void environment_done(struct environment *environment)
{
    for (size_t i = 0; i < environment->count; i++)
        free(environment->items[i]);
}

static void put(struct environment *environment, const char *name, const char *value)
{
    char *item = NULL;
    if (!value)
        return;
    if (environment->count == VARIABLES_MAX || asprintf(&item, "%s=%s", name, value) < 0)
        environment->has_failed = true;
    else
        environment->items[environment->count++] = item;
}

static void fill(struct environment *environment, const struct bench *bench, enum rig_hook hook, const char *verdict)
{
    CLEANUP_FREE char *directory = path_absolute(bench->directory);
    put(environment, "DPSBENCH_HOOK", rig_hook_name(hook));
    put(environment, "DPSBENCH_DEVICE", bench->device->id);
    put(environment, "DPSBENCH_PORT", bench->device->serial);
    put(environment, "DPSBENCH_RUN_DIR", directory);
    put(environment, "DPSBENCH_CASE", bench->row_id);
    put(environment, "DPSBENCH_VERDICT", verdict);
}

/* Also what is nobody's verdict, as after_run, stands in the timeline. */
static void tell_failure(struct bench *bench, enum rig_hook hook, const struct error *error)
{
    CLEANUP_JSON cJSON *event = event_new(EVENT_HOOK_FAILED, bench->clock, TIMELINE_SOURCE);
    if (!event || json_set_string(event_data(event), "device", bench->device->id) ||
        json_set_string(event_data(event), "hook", rig_hook_name(hook)) || json_set_string(event_data(event), "text", error->text))
        return;
    bench_take_own_event(bench, event);
}

int bench_hook(struct bench *bench, enum rig_hook hook, const char *verdict, struct error *error)
{
    CLEANUP(environment_done) struct environment environment = {.count = 0};
    CLEANUP_FREE char *log_path = NULL;
    if (!rig_device_has_hook(bench->device, hook))
        return 0;
    log_path = path_join(bench->device_directory, "hooks.log");
    fill(&environment, bench, hook, verdict);
    if (!log_path || environment.has_failed)
        return error_set_memory(error);
    const struct hook_options options = {
        .command = &bench->device->hooks[hook],
        .name = rig_hook_name(hook),
        .log_path = log_path,
        .waiting = bench->waiting,
        .environment = (const char *const *)environment.items,
    };
    progress_step(bench->progress, "hook %s", options.name);
    struct error reason = ERROR_INIT;
    if (hook_run(&options, &reason) == 0)
        return 0;
    tell_failure(bench, hook, &reason);
    return error_set(error, reason.owner, reason.code, "%s", reason.text);
}
