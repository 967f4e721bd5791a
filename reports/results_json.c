#include "reports/results_json.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/json.h"
#include "reports/clean_text.h"

#include <string.h>
#include <time.h>

/* ---- texts: one list for both directions ---- */

struct text_member {
    const char *name;
    size_t offset;
};

#define ROW_TEXT(name, member)                                                                                                             \
    {                                                                                                                                      \
        name, offsetof(struct result_row, member)                                                                                          \
    }

static const struct text_member row_texts[] = {
    ROW_TEXT("id", id),           ROW_TEXT("case", case_id),    ROW_TEXT("title", title),
    ROW_TEXT("device", device),   ROW_TEXT("outcome", outcome), ROW_TEXT("rule", rule),
    ROW_TEXT("surface", surface), ROW_TEXT("mend", mend),       ROW_TEXT("certificates", certificates),
    ROW_TEXT("shard", shard),
};

static const struct text_member reason_texts[] = {
    ROW_TEXT("text", reason.text),         ROW_TEXT("view", reason.view), ROW_TEXT("place", reason.place),
    ROW_TEXT("expected", reason.expected), ROW_TEXT("got", reason.got),
};

static const struct text_member account_texts[] = {
    ROW_TEXT("expected", account.expected), ROW_TEXT("got", account.got),     ROW_TEXT("rule", account.rule),
    ROW_TEXT("mend", account.mend),         ROW_TEXT("again", account.again), ROW_TEXT("assumed", account.assumed),
};

static const struct text_member why_texts[] = {ROW_TEXT("text", why), ROW_TEXT("source", why_source)};

static int add_texts(cJSON *json, const struct result_row *row, const struct text_member *members, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char *const *text = (char *const *)(const void *)((const char *)row + members[i].offset);
        if (json_set_string(json, members[i].name, *text))
            return -1;
    }
    return 0;
}

static int add_object(cJSON *json, const char *name, const struct result_row *row, const struct text_member *members, size_t count)
{
    cJSON *object = cJSON_CreateObject();
    if (!object || add_texts(object, row, members, count)) {
        cJSON_Delete(object);
        return -1;
    }
    return json_set(json, name, object);
}

/* What is read may end on a terminal: nothing in a file may steer that. */
static void read_text(const cJSON *json, const char *name, char **member)
{
    const char *text = json_string(json, name, NULL);
    CLEANUP_FREE char *clean = text ? clean_text(text, CLEAN_TEXT_ONE_LINE) : NULL;
    result_set(member, clean);
}

static void read_texts(const cJSON *json, struct result_row *row, const struct text_member *members, size_t count)
{
    for (size_t i = 0; i < count; i++)
        read_text(json, members[i].name, (char **)(void *)((char *)row + members[i].offset));
}

/* ---- writing ---- */

static int set_time(cJSON *object, const char *name, int64_t unix_us)
{
    char text[CLOCK_ISO8601_BYTES];
    clock_format_iso8601(unix_us, text);
    return json_set_string(object, name, text);
}

static cJSON *also_to_json(const struct result_row *row)
{
    CLEANUP_JSON cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; list && i < row->also_count; i++) {
        const struct result_reason *also = &row->also[i];
        cJSON *item = cJSON_CreateObject();
        if (!cJSON_AddItemToArray(list, item) || json_set_string(item, "view", also->view) || json_set_string(item, "place", also->place) ||
            json_set_string(item, "expected", also->expected) || json_set_string(item, "got", also->got))
            return NULL;
    }
    return TAKE(list);
}

static cJSON *findings_to_json(const struct result_row *row)
{
    CLEANUP_JSON cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; list && i < row->finding_count; i++) {
        cJSON *item = cJSON_CreateObject();
        if (!cJSON_AddItemToArray(list, item) || json_set_string(item, "kind", result_finding_kind_name(row->findings[i].kind)) ||
            json_set_string(item, "text", row->findings[i].text) || json_set_string(item, "source", row->findings[i].source))
            return NULL;
    }
    return TAKE(list);
}

static cJSON *assumed_to_json(const struct result_row *row)
{
    CLEANUP_JSON cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; list && i < row->assumed_count; i++)
        if (!cJSON_AddItemToArray(list, cJSON_CreateString(row->assumed[i])))
            return NULL;
    return TAKE(list);
}

static cJSON *lines_to_json(const char *folder, int64_t first, int64_t last)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_string(json, "folder", folder) || json_set_integer(json, "first", first) || json_set_integer(json, "last", last))
        return NULL;
    return TAKE(json);
}

static cJSON *attempt_to_json(const struct result_attempt *attempt, const char *folder)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_string(json, "verdict", verdict_name(attempt->verdict)) || json_set_string(json, "reason", attempt->reason) ||
        json_set_string(json, "certificates", attempt->certificates) || set_time(json, "started", attempt->started_unix_us) ||
        json_set_integer(json, "duration_ms", attempt->duration_ms) ||
        (attempt->timeline_first && json_set(json, "timeline", lines_to_json(folder, attempt->timeline_first, attempt->timeline_last))))
        return NULL;
    return TAKE(json);
}

static cJSON *attempts_to_json(const struct result_row *row)
{
    CLEANUP_JSON cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; list && i < row->attempt_count; i++)
        if (!cJSON_AddItemToArray(list, attempt_to_json(&row->attempts[i], row->timeline_folder)))
            return NULL;
    return TAKE(list);
}

static cJSON *quarantine_to_json(const struct result_quarantine *quarantine)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_string(json, "reason", quarantine->reason) || json_set_string(json, "owner", quarantine->owner) ||
        json_set_string(json, "expires", quarantine->expires) || json_set_string(json, "place", quarantine->place) ||
        json_set_bool(json, "is_over", quarantine->is_over))
        return NULL;
    return TAKE(json);
}

/* What a night adds to a row. */
static int add_night(cJSON *json, const struct result_row *row)
{
    return (row->repetition && json_set_integer(json, "repetition", row->repetition)) ||
           (row->interruptions && json_set_integer(json, "interruptions", row->interruptions)) ||
           (row->is_unstable && json_set_bool(json, "is_unstable", true)) ||
           (row->attempt_count && json_set(json, "attempts", attempts_to_json(row))) ||
           (row->quarantine.reason && json_set(json, "quarantine", quarantine_to_json(&row->quarantine)));
}

/* What a reader wants first stands first. */
static int add_verdict(cJSON *json, const struct result_row *row)
{
    return json_set_string(json, "verdict", verdict_name(row->verdict)) ||
           (row->reason.text && add_object(json, "reason", row, reason_texts, ARRAY_COUNT(reason_texts))) ||
           (row->also_count && json_set(json, "also", also_to_json(row))) ||
           (row->account.got && add_object(json, "account", row, account_texts, ARRAY_COUNT(account_texts))) ||
           (row->why && add_object(json, "why", row, why_texts, ARRAY_COUNT(why_texts)));
}

cJSON *results_row_to_json(const struct result_row *row)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || add_texts(json, row, row_texts, ARRAY_COUNT(row_texts)) || add_verdict(json, row) ||
        set_time(json, "started", row->started_unix_us) || json_set_integer(json, "duration_ms", row->duration_ms) ||
        json_set_integer(json, "credential_writes", row->credential_writes) || json_set(json, "findings", findings_to_json(row)) ||
        (row->assumed_count && json_set(json, "assumed", assumed_to_json(row))))
        return NULL;
    if (row->timeline_first && json_set(json, "timeline", lines_to_json(row->timeline_folder, row->timeline_first, row->timeline_last)))
        return NULL;
    if (add_night(json, row))
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
    return json_set_integer(json, "findings", (int64_t)counts.findings) || json_set_integer(json, "fixed", (int64_t)counts.fixed) ||
                   json_set_integer(json, "unstable", (int64_t)counts.unstable) ||
                   json_set_integer(json, "quarantined", (int64_t)counts.quarantined) ||
                   json_set_integer(json, "not_run", (int64_t)run->not_run_count)
               ? NULL
               : TAKE(json);
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
        cJSON *row = results_row_to_json(&run->rows[i]);
        if (!row)
            return -1;
        cJSON_AddItemToArray(rows, row);
    }
    return rows ? 0 : -1;
}

static cJSON *not_run_to_json(const struct result_row *row)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_string(json, "id", row->id) || json_set_string(json, "case", row->case_id) ||
        json_set_string(json, "title", row->title) || json_set_string(json, "device", row->device) ||
        json_set_string(json, "shard", row->shard) || json_set_string(json, "reason", row->reason.text) ||
        (row->repetition && json_set_integer(json, "repetition", row->repetition)))
        return NULL;
    return TAKE(json);
}

static int add_not_run(cJSON *json, const struct result_run *run)
{
    cJSON *rows = run->not_run_count ? cJSON_AddArrayToObject(json, "not_run") : NULL;
    for (size_t i = 0; i < run->not_run_count; i++)
        if (!rows || !cJSON_AddItemToArray(rows, not_run_to_json(&run->not_run[i])))
            return -1;
    return 0;
}

static int add_end(cJSON *json, const struct result_run *run)
{
    if (!run->ended_unix_us)
        return 0;
    return set_time(json, "ended", run->ended_unix_us) || json_set_integer(json, "exit_code", run->exit_code);
}

static cJSON *suite_to_json(const struct result_suite *suite)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_integer(json, "rows", (int64_t)suite->row_count) || json_set_string(json, "selection", suite->selection) ||
        json_set_string(json, "cases", suite->cases))
        return NULL;
    return TAKE(json);
}

static int add_shards(cJSON *json, const struct result_run *run)
{
    return json_set_string(json, "shard", run->shard) || (run->suite.selection && json_set(json, "suite", suite_to_json(&run->suite))) ||
                   (run->shards && json_set(json, "shards", cJSON_Duplicate(run->shards, true))) ||
                   (run->missing_shards && json_set(json, "missing_shards", cJSON_Duplicate(run->missing_shards, true)))
               ? -1
               : 0;
}

cJSON *results_to_json(const struct result_run *run)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_integer(json, "v", RESULTS_VERSION) || json_set_string(json, "run", run->id) ||
        json_set_string(json, "version", run->version ? run->version : DPSBENCH_VERSION) ||
        set_time(json, "started", run->started_unix_us) || add_end(json, run) ||
        json_set_bool(json, "is_complete", run->ended_unix_us != 0) || json_set_bool(json, "is_interrupted", run->is_interrupted) ||
        json_set_string(json, "broken_off", run->broken_off) || json_set(json, "time_scale", cJSON_CreateNumber(run->time_scale)) ||
        json_set(json, "rig", rig_to_json(run)) ||
        json_set(json, "versions", run->versions ? cJSON_Duplicate(run->versions, true) : cJSON_CreateObject()) || add_shards(json, run) ||
        (run->resumptions && json_set_integer(json, "resumptions", run->resumptions)) || json_set(json, "summary", summary_to_json(run)) ||
        add_rows(json, run) || add_not_run(json, run))
        return NULL;
    return TAKE(json);
}

int results_write(const struct result_run *run, struct error *error)
{
    CLEANUP_JSON cJSON *json = results_to_json(run);
    CLEANUP_FREE char *path = path_join(run->directory, RESULTS_FILE);
    if (!json || !path)
        return error_set_memory(error);
    /* A disk takes milliseconds to sync, and this is written after every row. */
    return run->ended_unix_us ? json_write_file(path, json, 0644, error) : json_write_unsynced(path, json, 0644, error);
}

/* ---- reading ---- */

static void read_also(const cJSON *json, struct result_row *row)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, json_member(json, "also"))
    {
        struct result_reason *also = result_add_also(row);
        if (!also)
            return;
        read_text(item, "view", &also->view);
        read_text(item, "place", &also->place);
        read_text(item, "expected", &also->expected);
        read_text(item, "got", &also->got);
    }
}

static enum result_finding_kind read_finding_kind(const cJSON *finding)
{
    const char *name = json_string(finding, "kind", "");
    for (int i = 0; i < RESULT_FINDING_KIND_COUNT; i++)
        if (strcmp(name, result_finding_kind_name((enum result_finding_kind)i)) == 0)
            return (enum result_finding_kind)i;
    return RESULT_FINDING_NOTE; /* version 1 had no other */
}

static void read_findings(const cJSON *json, struct result_row *row)
{
    const cJSON *finding;
    cJSON_ArrayForEach(finding, json_member(json, "findings"))
    {
        CLEANUP_FREE char *text = NULL, *source = NULL;
        read_text(finding, "text", &text);
        read_text(finding, "source", &source);
        if (text)
            result_add_finding(row, read_finding_kind(finding), text, source);
    }
}

static void read_assumed(const cJSON *json, struct result_row *row)
{
    const cJSON *id;
    cJSON_ArrayForEach(id, json_member(json, "assumed"))
    {
        CLEANUP_FREE char *clean = cJSON_IsString(id) ? clean_text(id->valuestring, CLEAN_TEXT_ONE_LINE) : NULL;
        if (clean)
            result_add_assumed(row, clean);
    }
}

static int64_t read_time(const cJSON *json, const char *name)
{
    struct tm utc = {0};
    const char *text = json_string(json, name, "");
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &utc);
    int64_t microseconds = rest && *rest == '.' ? strtol(rest + 1, NULL, 10) : 0;
    return rest ? (int64_t)timegm(&utc) * 1000000 + microseconds : 0;
}

static int read_verdict(const cJSON *json, enum verdict *ret_verdict)
{
    const char *name = json_string(json, "verdict", "");
    for (int i = 0; i < VERDICT_COUNT; i++)
        if (strcmp(name, verdict_name((enum verdict)i)) == 0) {
            *ret_verdict = (enum verdict)i;
            return 0;
        }
    return -1;
}

static void read_attempts(const cJSON *json, struct result_row *row)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, json_member(json, "attempts"))
    {
        struct result_attempt *attempt = &row->attempts[row->attempt_count];
        if (row->attempt_count == RESULT_ATTEMPTS_MAX || read_verdict(item, &attempt->verdict))
            return;
        row->attempt_count++;
        read_text(item, "reason", &attempt->reason);
        read_text(item, "certificates", &attempt->certificates);
        attempt->started_unix_us = read_time(item, "started");
        attempt->duration_ms = json_integer(item, "duration_ms", 0);
        attempt->timeline_first = json_integer(json_member(item, "timeline"), "first", 0);
        attempt->timeline_last = json_integer(json_member(item, "timeline"), "last", 0);
    }
}

static unsigned read_count(const cJSON *json, const char *name)
{
    int64_t count = json_integer(json, name, 0);
    return count > 0 && count < INT32_MAX ? (unsigned)count : 0;
}

static void read_night(const cJSON *json, struct result_row *row)
{
    const cJSON *quarantine = json_member(json, "quarantine");
    row->repetition = read_count(json, "repetition");
    row->interruptions = read_count(json, "interruptions");
    row->is_unstable = json_bool(json, "is_unstable", false);
    read_attempts(json, row);
    read_text(quarantine, "reason", &row->quarantine.reason);
    read_text(quarantine, "owner", &row->quarantine.owner);
    read_text(quarantine, "expires", &row->quarantine.expires);
    read_text(quarantine, "place", &row->quarantine.place);
    row->quarantine.is_over = json_bool(quarantine, "is_over", false);
}

static bool is_name(const char *text, size_t length)
{
    return length && text[0] != '.' && !memchr(text, '/', length);
}

/* A name below the run's folder, or below one of its shards, and nothing else: who shows a run reads a file there. */
static void read_folder(const cJSON *timeline, char **member)
{
    const char *name = json_string(timeline, "folder", ""), *slash = strchr(name, '/');
    bool is_below = slash && is_name(name, (size_t)(slash - name)) && is_name(slash + 1, strlen(slash + 1));
    if (is_below || is_name(name, strlen(name)))
        read_text(timeline, "folder", member);
}

static int read_row(const cJSON *json, struct result_row *row)
{
    if (!json_string(json, "id", NULL) || read_verdict(json, &row->verdict))
        return -1;
    read_texts(json, row, row_texts, ARRAY_COUNT(row_texts));
    read_texts(json_member(json, "reason"), row, reason_texts, ARRAY_COUNT(reason_texts));
    read_texts(json_member(json, "account"), row, account_texts, ARRAY_COUNT(account_texts));
    read_texts(json_member(json, "why"), row, why_texts, ARRAY_COUNT(why_texts));
    const cJSON *timeline = json_member(json, "timeline");
    row->timeline_first = json_integer(timeline, "first", 0);
    row->timeline_last = json_integer(timeline, "last", 0);
    read_folder(timeline, &row->timeline_folder);
    row->duration_ms = json_integer(json, "duration_ms", 0);
    row->credential_writes = json_integer(json, "credential_writes", 0);
    row->started_unix_us = read_time(json, "started");
    read_also(json, row);
    read_findings(json, row);
    read_assumed(json, row);
    read_night(json, row);
    return 0;
}

int results_row_from_json(const cJSON *json, struct result_row *ret_row, struct error *error)
{
    CLEANUP(result_row_done) struct result_row row = {0};
    if (read_row(json, &row))
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "a row has no id, or no verdict that there is");
    *ret_row = row;
    row = (struct result_row){0};
    return 0;
}

static int read_rows(const cJSON *json, const char *name, struct result_run *run, struct error *error)
{
    const cJSON *rows = json_member(json, "rows"), *item;
    if (!cJSON_IsArray(rows))
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s: it has no rows: not a results.json", name);
    cJSON_ArrayForEach(item, rows)
    {
        CLEANUP(result_row_done) struct result_row row = {0};
        if (read_row(item, &row))
            return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s: row %zu has no id, or no verdict that there is", name,
                             run->row_count + 1);
        if (result_run_add(run, &row, error))
            return -1;
    }
    return 0;
}

static int read_not_run(const cJSON *json, struct result_run *run, struct error *error)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, json_member(json, "not_run"))
    {
        CLEANUP(result_row_done) struct result_row row = {.verdict = VERDICT_SKIP, .repetition = read_count(item, "repetition")};
        read_text(item, "id", &row.id);
        read_text(item, "case", &row.case_id);
        read_text(item, "title", &row.title);
        read_text(item, "device", &row.device);
        read_text(item, "shard", &row.shard);
        read_text(item, "reason", &row.reason.text);
        if (result_run_add_not_run(run, &row, error))
            return -1;
    }
    return 0;
}

static int check_version(const cJSON *json, const char *name, struct error *error)
{
    int64_t version = json_integer(json, "v", 0);
    if (version < 1)
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s: it has no version `v`: not a results.json", name);
    if (version > RESULTS_VERSION)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE,
                         "%s: version %lld, written by a newer dpsbench (%s); this one (%s) reads up to version %d", name,
                         (long long)version, json_string(json, "version", "?"), DPSBENCH_VERSION, RESULTS_VERSION);
    return 0;
}

static cJSON *copy_of(const cJSON *json)
{
    return json ? cJSON_Duplicate(json, true) : NULL;
}

static void read_shards(const cJSON *json, struct result_run *run)
{
    const cJSON *suite = json_member(json, "suite");
    int64_t rows = json_integer(suite, "rows", 0);
    read_text(json, "shard", &run->shard);
    run->suite.row_count = rows > 0 ? (size_t)rows : 0;
    read_text(suite, "selection", &run->suite.selection);
    read_text(suite, "cases", &run->suite.cases);
    run->shards = copy_of(json_member(json, "shards"));
    run->missing_shards = copy_of(json_member(json, "missing_shards"));
}

static int64_t read_end(const cJSON *json)
{
    int64_t ended_us = read_time(json, "ended");
    return !json_bool(json, "is_complete", false) ? 0 : ended_us ? ended_us : 1;
}

static void read_head(const cJSON *json, struct result_run *run)
{
    const cJSON *rig = json_member(json, "rig");
    read_text(json, "run", &run->id);
    read_text(rig, "file", &run->rig_file);
    read_text(json, "broken_off", &run->broken_off);
    read_text(json, "version", &run->version);
    read_shards(json, run);
    run->resumptions = read_count(json, "resumptions");
    run->time_scale = json_number(json, "time_scale", 1);
    run->is_interrupted = json_bool(json, "is_interrupted", false);
    run->started_unix_us = read_time(json, "started");
    run->ended_unix_us = read_end(json);
    run->exit_code = (int)json_integer(json, "exit_code", 0);
    run->devices = copy_of(json_member(rig, "devices"));
    run->simulator = copy_of(json_member(rig, "simulator"));
    run->versions = copy_of(json_member(json, "versions"));
    int64_t planned = json_integer(json_member(json, "summary"), "planned", 0);
    run->planned_count = planned > 0 ? (size_t)planned : 0;
}

int results_from_json(const cJSON *json, const char *name, struct result_run *ret_run, struct error *error)
{
    CLEANUP(result_run_done) struct result_run run = {0};
    if (check_version(json, name, error) || read_rows(json, name, &run, error) || read_not_run(json, &run, error))
        return -1;
    read_head(json, &run);
    *ret_run = run;
    run = (struct result_run){0};
    return 0;
}

cJSON *results_read_json(const char *directory, struct error *error)
{
    CLEANUP_FREE char *path = path_join(directory, RESULTS_FILE);
    CLEANUP(bytes_done) struct bytes text = {0};
    if (!path) {
        error_set_memory(error);
        return NULL;
    }
    return file_read(path, RESULTS_MAX_BYTES, &text, error) ? NULL : json_parse(bytes_text(&text), text.length_bytes, path, error);
}

int results_read(const char *directory, struct result_run *ret_run, struct error *error)
{
    CLEANUP_FREE char *path = path_join(directory, RESULTS_FILE);
    if (!path)
        return error_set_memory(error);
    CLEANUP_JSON cJSON *json = results_read_json(directory, error);
    return json ? results_from_json(json, path, ret_run, error) : -1;
}
