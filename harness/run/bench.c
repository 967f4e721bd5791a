#include "harness/run/bench.h"

#include "base/cleanup.h"
#include "base/files.h"
#include "harness/run/own_names.h"

#include <string.h>

int bench_call(struct bench *bench, const char *method, cJSON *params, cJSON **ret_result, struct error *error)
{
    if (!bench->control) {
        cJSON_Delete(params);
        return error_set(error, ERROR_OWNER_RIG, ERROR_IO, "%s: no simulator", method);
    }
    return control_call(bench->control, method, params, deadline_in_ms(bench->clock, BENCH_CALL_MS), ret_result, error);
}

void bench_report_trouble(struct bench *bench, const struct error *error)
{
    if (bench->has_trouble)
        return;
    bench->has_trouble = true;
    bench->trouble = *error;
}

void bench_report_unwritten(struct bench *bench, const struct error *error)
{
    if (bench->unwritten.code == ERROR_NONE)
        bench->unwritten = *error;
    bench_report_trouble(bench, error);
}

int bench_check(struct bench *bench, struct error *error)
{
    struct error found = ERROR_INIT;
    if (bench->simulator && !served_is_running(bench->simulator, &found))
        bench_report_trouble(bench, &found);
    if (bench->virtual_device && !served_is_running(bench->virtual_device, &found))
        bench_report_trouble(bench, &found);
    if (!bench->has_trouble)
        return 0;
    return error_set(error, bench->trouble.owner, bench->trouble.code, "%s", bench->trouble.text);
}

deadline_t bench_device_deadline(const struct bench *bench, int64_t device_ms)
{
    return deadline_in_ms(bench->clock, clock_scaled_ms(device_ms, bench->time_scale) + BENCH_WORK_MS);
}

bool bench_has_many_devices(const struct bench *bench)
{
    return rig_connected_count(bench->rig) > 1;
}

char *bench_private_path(const struct bench *bench, const char *name)
{
    return path_join(bench->private_directory, name);
}

/* ---- events ---- */

static void log_console_line(struct bench *bench, const cJSON *event)
{
    struct error error = ERROR_INIT;
    CLEANUP_FREE char *line = NULL;
    char time[CLOCK_ISO8601_BYTES];
    clock_format_iso8601(json_integer(event, "unix_us", 0), time);
    if (asprintf(&line, "%s %s", time, json_string(event_data(event), "text", "")) < 0)
        line = NULL;
    if (line ? line_file_append(bench->console_log, line, &error) : error_set_memory(&error))
        bench_report_unwritten(bench, &error);
}

/* Console events count from the boot on: what came before it belongs to the attempt before. */
static void watch_console(struct bench *bench, const char *kind, const cJSON *event)
{
    if (!bench->watch || strncmp(kind, "console.", 8) != 0)
        return;
    bench->has_booted |= strcmp(kind, "console.boot") == 0;
    if (!bench->has_booted)
        return;
    network_state_take(&bench->network, event);
    watch_event(bench->watch, event);
}

void bench_take_own_event(struct bench *bench, cJSON *event)
{
    struct error error = ERROR_INIT;
    const char *kind = json_string(event, "kind", "");
    own_names_strip(bench->name_suffix, event);
    if (bench->timeline && timeline_add_own(bench->timeline, event, &error))
        bench_report_unwritten(bench, &error);
    if (bench->console_log && strcmp(kind, "console.line") == 0)
        log_console_line(bench, event);
    bool has_skipped_dps = strcmp(kind, "console.already-assigned") == 0;
    if (has_skipped_dps || strcmp(kind, "console.assigned") == 0)
        bench->assignment = ASSIGNMENT_STORED;
    bench->has_skipped_dps |= has_skipped_dps;
    watch_console(bench, kind, event);
}

static void notice_bench_event(struct bench *bench, const char *kind, const cJSON *event)
{
    struct error error = ERROR_INIT;
    const char *reason = json_string(event_data(event), "reason", "no reason given");
    if (strcmp(kind, "broker.down") == 0)
        error_set(&error, ERROR_OWNER_RIG, ERROR_IO, "the simulator's broker went down: %s", reason);
    else if (strcmp(kind, "simulator.ending") == 0)
        error_set(&error, ERROR_OWNER_RIG, ERROR_IO, "the simulator ended: %s", reason);
    if (error.code)
        bench_report_trouble(bench, &error);
}

/* On the lane that is ours alone everything is the device's; only sessions of earlier attempts are not this row's. */
static bool is_of_row(struct bench *bench, const cJSON *event)
{
    const char *lane = json_string(event, "lane", "");
    uint64_t session = (uint64_t)json_integer(event, "session", 0);
    if (!bench->lane || strcmp(lane, bench->lane) != 0)
        return false;
    if (session > bench->last_session)
        bench->last_session = session;
    if (session)
        return session > bench->first_session;
    const char *registration_id = json_string(event, "registration_id", NULL);
    return registration_id && strcasecmp(registration_id, bench->device->registration_id) == 0;
}

/* Of several devices each writes down what is its own, and what is everybody's. */
static bool is_for_timeline(const struct bench *bench, const cJSON *event)
{
    const char *lane = json_string(event, "lane", NULL), *registration_id = json_string(event, "registration_id", NULL);
    if (!bench_has_many_devices(bench) || (!lane && !registration_id))
        return true;
    return (lane && bench->lane && strcmp(lane, bench->lane) == 0) ||
           (registration_id && strcasecmp(registration_id, bench->device->registration_id) == 0);
}

void bench_take_simulator_event(struct bench *bench, const cJSON *event)
{
    struct error error = ERROR_INIT;
    if (bench->timeline && is_for_timeline(bench, event) && timeline_add(bench->timeline, event, &error))
        bench_report_unwritten(bench, &error);
    notice_bench_event(bench, json_string(event, "kind", ""), event);
    if (is_of_row(bench, event) && bench->watch)
        watch_event(bench->watch, event);
}

void bench_tell_reset(struct bench *bench, const char *action)
{
    CLEANUP_JSON cJSON *event = event_new(EVENT_DEVICE_RESET, bench->clock, TIMELINE_SOURCE);
    if (!event || json_set_string(event_data(event), "device", bench->device->id) || json_set_string(event_data(event), "action", action))
        return;
    bench_take_own_event(bench, event);
}
