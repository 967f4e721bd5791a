#include "reports/results_json.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/json.h"

static int set_time(cJSON *object, const char *name, int64_t unix_us)
{
    char text[CLOCK_ISO8601_BYTES];
    clock_format_iso8601(unix_us, text);
    return json_set_string(object, name, text);
}

static cJSON *reason_to_json(const struct result_reason *reason)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_string(json, "text", reason->text) || json_set_string(json, "view", reason->view) ||
        json_set_string(json, "place", reason->place) || json_set_string(json, "expected", reason->expected) ||
        json_set_string(json, "got", reason->got))
        return NULL;
    return TAKE(json);
}

static cJSON *findings_to_json(const struct result_row *row)
{
    CLEANUP_JSON cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; list && i < row->finding_count; i++) {
        cJSON *item = cJSON_CreateObject();
        if (!cJSON_AddItemToArray(list, item) || json_set_string(item, "text", row->findings[i].text) ||
            json_set_string(item, "source", row->findings[i].source))
            return NULL;
    }
    return TAKE(list);
}

static cJSON *timeline_to_json(const struct result_row *row)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_integer(json, "first", row->timeline_first) || json_set_integer(json, "last", row->timeline_last))
        return NULL;
    return TAKE(json);
}

static int add_texts(cJSON *json, const struct result_row *row)
{
    return json_set_string(json, "id", row->id) || json_set_string(json, "case", row->case_id) ||
           json_set_string(json, "title", row->title) || json_set_string(json, "device", row->device) ||
           json_set_string(json, "verdict", verdict_name(row->verdict)) || json_set_string(json, "outcome", row->outcome) ||
           json_set_string(json, "rule", row->rule) || json_set_string(json, "surface", row->surface) ||
           json_set_string(json, "mend", row->mend);
}

static cJSON *row_to_json(const struct result_row *row)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || add_texts(json, row) || set_time(json, "started", row->started_unix_us) ||
        json_set_integer(json, "duration_ms", row->duration_ms) || json_set(json, "findings", findings_to_json(row)))
        return NULL;
    if (row->reason.text && json_set(json, "reason", reason_to_json(&row->reason)))
        return NULL;
    if (row->timeline_first && json_set(json, "timeline", timeline_to_json(row)))
        return NULL;
    return TAKE(json);
}

static cJSON *summary_to_json(const struct result_run *run)
{
    struct result_counts counts = result_run_count(run);
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_integer(json, "planned", (int64_t)run->planned_count))
        return NULL;
    for (int i = 0; i < VERDICT_COUNT; i++)
        if (json_set_integer(json, verdict_name((enum verdict)i), (int64_t)counts.by_verdict[i]))
            return NULL;
    return json_set_integer(json, "findings", (int64_t)counts.findings) ? NULL : TAKE(json);
}

static cJSON *rig_to_json(const struct result_run *run)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_string(json, "file", run->rig_file) ||
        json_set(json, "devices", run->devices ? cJSON_Duplicate(run->devices, true) : cJSON_CreateArray()))
        return NULL;
    if (run->simulator && json_set(json, "simulator", cJSON_Duplicate(run->simulator, true)))
        return NULL;
    return TAKE(json);
}

static int add_rows(cJSON *json, const struct result_run *run)
{
    cJSON *rows = cJSON_AddArrayToObject(json, "rows");
    for (size_t i = 0; rows && i < run->row_count; i++) {
        cJSON *row = row_to_json(&run->rows[i]);
        if (!row)
            return -1;
        cJSON_AddItemToArray(rows, row);
    }
    return rows ? 0 : -1;
}

static int add_end(cJSON *json, const struct result_run *run)
{
    if (!run->ended_unix_us)
        return 0;
    return set_time(json, "ended", run->ended_unix_us) || json_set_integer(json, "exit_code", run->exit_code);
}

cJSON *results_to_json(const struct result_run *run)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_integer(json, "v", RESULTS_VERSION) || json_set_string(json, "run", run->id) ||
        json_set_string(json, "version", DPSBENCH_VERSION) || set_time(json, "started", run->started_unix_us) || add_end(json, run) ||
        json_set_bool(json, "is_complete", run->ended_unix_us != 0) || json_set_bool(json, "is_interrupted", run->is_interrupted) ||
        json_set(json, "time_scale", cJSON_CreateNumber(run->time_scale)) || json_set(json, "rig", rig_to_json(run)) ||
        json_set(json, "summary", summary_to_json(run)) || add_rows(json, run))
        return NULL;
    return TAKE(json);
}

int results_write(const struct result_run *run, struct error *error)
{
    CLEANUP_JSON cJSON *json = results_to_json(run);
    CLEANUP_FREE char *path = path_join(run->directory, "results.json");
    if (!json || !path)
        return error_set_memory(error);
    return json_write_file(path, json, 0644, error);
}
