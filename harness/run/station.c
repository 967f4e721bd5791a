#include "harness/run/station.h"

#include "base/cleanup.h"
#include "harness/plan/device_plan.h"
#include "harness/run/attempt.h"
#include "harness/run/rerun.h"
#include "harness/run/room.h"
#include "harness/run/start.h"
#include "reports/account.h"

#include <string.h>

/* ---- what the report says about the device ---- */

static int add_words(cJSON *json, const char *name, const struct rig_words *words)
{
    if (words->count == 0)
        return 0;
    return json_set(json, name, cJSON_CreateStringArray((const char *const *)words->items, (int)words->count));
}

/* The console of a program without a dialect is recorded all the same. */
#define JUDGED_BY_DEEDS "wire, service"

static int add_program(cJSON *json, const struct rig_device *device)
{
    int count = 0;
    if (!device->is_exec)
        return 0;
    while (device->command[count])
        count++;
    if (!device->dialect && json_set_string(json, "judged_on", JUDGED_BY_DEEDS))
        return -1;
    return json_set_string(json, "kind", "exec") || json_set_string(json, "client", device->client) ||
           json_set(json, "command", cJSON_CreateStringArray((const char *const *)device->command, count));
}

static cJSON *device_to_json(const struct rig_device *device)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_string(json, "id", device->id) || json_set_string(json, "platform", device->platform) ||
        json_set_string(json, "product", device->product) || json_set_bool(json, "is_virtual", device->is_virtual) ||
        json_set_string(json, "personality", device->personality) || json_set_string(json, "mfw", device->mfw) ||
        add_words(json, "weaknesses", &device->weaknesses) || add_words(json, "misbehaviours", &device->misbehaviours) ||
        json_set_string(json, "serial", device->serial) || json_set_string(json, "registration_id", device->registration_id) ||
        json_set_string(json, "id_scope", device->id_scope) || json_set_string(json, "dps_host", device->dps_host) ||
        (!device->is_exec && json_set_integer(json, "sec_tag", device->sec_tag)) || json_set_string(json, "dialect", device->dialect) ||
        add_program(json, device))
        return NULL;
    return TAKE(json);
}

void station_open(struct station *station, const struct rig_device *device, const struct error *broken, cJSON **ret_device)
{
    struct bench *bench = station->bench;
    cJSON *identity = NULL;
    station->broken = broken ? *broken : (struct error)ERROR_INIT;
    bench->device = device;
    if (!broken)
        bench_open_device(bench, device, &identity, &station->broken);
    CLEANUP_JSON cJSON *json = device_to_json(device);
    if (!json)
        cJSON_Delete(identity);
    else if (identity)
        json_set(json, "identity", identity);
    if (json)
        json_set_string(json, "lane", bench->lane);
    if (json)
        json_set_string(json, "lease", bench->lease);
    *ret_device = TAKE(json);
}

void station_close(struct station *station)
{
    bench_close_device(station->bench);
}

/* ---- rows ---- */

static void begin_row(struct station *station, const struct case_row *row, struct result_row *result)
{
    struct bench *bench = station->bench;
    result_set(&result->id, row->id);
    result_set(&result->case_id, row->case_id);
    result_set(&result->title, row->title);
    result_set(&result->device, bench->device->id);
    result_set(&result->why, row->why_text);
    result_set(&result->why_source, row->why_source);
    result->started_unix_us = clock_unix_us(bench->clock);
    result->timeline_first = bench->timeline ? timeline_line(bench->timeline) + 1 : 0;
    progress_row(bench->progress, row->id, bench_device_deadline(bench, row->budget_s * 1000));
}

static void note_timeline(const struct bench *bench, struct result_row *result)
{
    if (bench->timeline)
        timeline_sync(bench->timeline);
    result->timeline_last = bench->timeline ? timeline_line(bench->timeline) : 0;
    if (result->timeline_last < result->timeline_first)
        result->timeline_first = result->timeline_last = 0;
    if (bench->has_own_timeline && result->timeline_first)
        result_setf(&result->timeline_folder, "%s", strrchr(bench->device_directory, '/') + 1);
}

static void end_row(struct station *station, struct result_row *result, int64_t started_us)
{
    struct bench *bench = station->bench;
    CLEANUP_FREE char *again = rerun_command(station->options, bench->device, result->id);
    CLEANUP_FREE char *show = rerun_show_command(station->options, result->id);
    account_fill(result, &(struct account_commands){.again = again, .show = show});
    result->duration_ms = (clock_mono_us(bench->clock) - started_us) / 1000;
    note_timeline(bench, result);
}

const char *station_unwritten(const struct station *station)
{
    return station->bench->unwritten.code ? station->bench->unwritten.text : NULL;
}

static const char *look_for_unwritten(struct station *station, const struct result_row *result)
{
    struct bench *bench = station->bench;
    struct error error = ERROR_INIT;
    bool is_good = result->verdict == VERDICT_PASS || result->verdict == VERDICT_SKIP;
    /* A raw file that reached its own limit is no trouble: what is missing in it is counted. */
    struct console *consoles[] = {bench_console(bench), bench->dk ? dk_second_console(bench->dk) : NULL};
    for (size_t i = 0; i < ARRAY_COUNT(consoles); i++)
        if (consoles[i] && console_raw_check(consoles[i], &error) && error.code == ERROR_IO)
            bench_report_unwritten(bench, &error);
    /* On a full disk other programs fail first, and look as if the device had. */
    if (!is_good && bench->unwritten.code == ERROR_NONE && room_is_out(bench->directory)) {
        error_set(&error, ERROR_OWNER_RIG, ERROR_IO, "the disk of folder '%s' is full", bench->directory);
        bench_report_unwritten(bench, &error);
    }
    return station_unwritten(station);
}

/* What happened while nobody could write it down proves nothing. */
static void look_at_files(struct station *station, struct result_row *result)
{
    const char *text = look_for_unwritten(station, result);
    if (!text)
        return;
    char **members[] = {&result->reason.view, &result->reason.place, &result->reason.expected, &result->reason.got};
    for (size_t i = 0; i < ARRAY_COUNT(members); i++)
        result_set(members[i], NULL);
    result_set(&result->reason.text, text);
    result->verdict = VERDICT_INCONCLUSIVE;
}

/* The row with the rig's hooks around it. What `after_case` cannot do is the rig's trouble, and of the rows that follow. */
static void attempt_with_hooks(struct station *station, const struct case_row *row, struct result_row *result)
{
    struct bench *bench = station->bench;
    struct error error = ERROR_INIT;
    bench->row_id = row->id;
    if (bench_hook(bench, RIG_HOOK_BEFORE_CASE, NULL, &error)) {
        attempt_blame(bench, &error, result);
    } else {
        attempt_run(bench, row, result);
        look_at_files(station, result);
    }
    /* It tidies up, also after Ctrl-C. */
    if (rig_device_has_hook(bench->device, RIG_HOOK_AFTER_CASE))
        waiting_resume(bench->waiting);
    if (bench_hook(bench, RIG_HOOK_AFTER_CASE, verdict_name(result->verdict), &error))
        attempt_blame(bench, &error, result);
    bench->row_id = NULL;
}

void station_run(struct station *station, const struct case_row *row, struct station_turn turn, struct result_row *ret_row)
{
    struct bench *bench = station->bench;
    struct result_row result = {.verdict = VERDICT_PASS};
    int64_t started_us = clock_mono_us(bench->clock);
    bench->repetition = turn.repetition;
    bench->attempt = turn.attempt;
    begin_row(station, row, &result);
    const char *obstacle, *need = device_unmet_need(bench->device, row);
    if (station->broken.code) {
        attempt_blame(bench, &station->broken, &result);
    } else if (need) {
        result.verdict = VERDICT_SKIP;
        result_setf(&result.reason.text, "device '%s' does not offer '%s'", bench->device->id, need);
    } else if (row->is_silent && !bench->is_known_good) {
        result.verdict = VERDICT_SKIP;
        result_setf(
            &result.reason.text,
            "'%s' is judged by silence alone here, as it would be if it did not work: no other row has passed on it yet in this run",
            bench->device->id);
    } else if ((obstacle = start_obstacle(bench, row))) {
        result.verdict = VERDICT_SKIP;
        result_set(&result.reason.text, obstacle);
    } else {
        attempt_with_hooks(station, row, &result);
    }
    end_row(station, &result, started_us);
    *ret_row = result;
}
