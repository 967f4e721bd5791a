#include "harness/calibrate/measure.h"

#include "base/cleanup.h"
#include "base/event.h"
#include "reports/results_json.h"
#include "reports/timeline_read.h"

#include <ctype.h>
#include <string.h>

enum { SAMPLES_MAX = 512, LINE_MAX_BYTES = 1024 };

static const struct {
    size_t cause;
    const char *name;
    const char *row;
} causes[] = {
#define X(id, key, row) {MEASURE_CAUSE_##id, key, row},
    CALIBRATION_CAUSES(X)
#undef X
};

static const char *const rows[] = {
#define X(id, key, row) row,
    CALIBRATION_CAUSES(X)
#undef X
        "refused/wrong-chain:connack",
    "provisioning/thread",
    NULL,
};

const char *const *calibration_rows(void)
{
    return rows;
}

const char *measure_cause_name(size_t cause)
{
    for (size_t i = 0; i < ARRAY_COUNT(causes); i++)
        if (causes[i].cause == cause)
            return causes[i].name;
    return "?";
}

/* ---- times ---- */

struct samples {
    int64_t ms[SAMPLES_MAX];
    size_t count;
};

static int compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

static void add_sample(struct samples *samples, int64_t ms)
{
    if (samples->count < SAMPLES_MAX)
        samples->ms[samples->count++] = ms;
}

static struct measure_time median(struct samples *samples)
{
    if (samples->count == 0)
        return (struct measure_time){.ms = MEASURE_UNKNOWN};
    qsort(samples->ms, samples->count, sizeof *samples->ms, compare);
    return (struct measure_time){.ms = samples->ms[samples->count / 2], .count = samples->count};
}

struct reader {
    struct measures *measures;
    double time_scale;
    struct samples start, attach, at, write;
    int64_t booted_us, started_us; /* 0: not in this boot */
    bool has_booted;               /* in this row: what came before it belongs to the row before */
    char command[32];              /* the AT command under way */
};

static int64_t device_ms(const struct reader *reader, int64_t us)
{
    return (int64_t)((double)us * reader->time_scale / 1000 + 0.5);
}

static void take_reply(struct reader *reader, const cJSON *data)
{
    int64_t ms = device_ms(reader, json_integer(data, "duration_us", 0));
    if (strcmp(json_string(data, "result", ""), "OK") != 0)
        return;
    if (strncmp(reader->command, "AT+CMEE", 7) == 0)
        add_sample(&reader->at, ms);
    else if (strncmp(reader->command, "AT%CMNG=0,", 10) == 0)
        add_sample(&reader->write, ms);
}

static void take_time(struct reader *reader, const char *kind, const cJSON *data, int64_t at_us)
{
    if (strcmp(kind, "console.boot") == 0) {
        snprintf(reader->measures->banner, MEASURE_TEXT_BYTES, "%s", json_string(data, "banner", ""));
        reader->booted_us = at_us;
        reader->started_us = 0;
    } else if (strcmp(kind, "console.started") == 0 && reader->booted_us) {
        add_sample(&reader->start, device_ms(reader, at_us - reader->booted_us));
        reader->started_us = at_us;
    } else if (strcmp(kind, "console.dps-started") == 0 && reader->started_us) {
        add_sample(&reader->attach, device_ms(reader, at_us - reader->started_us));
        reader->started_us = 0;
    }
}

/* ---- ClientHello and lines ---- */

static void take_hello(struct measures *measures, const cJSON *data)
{
    if (measures->suites)
        return;
    measures->suites = cJSON_Duplicate(json_member(data, "suites"), true);
    measures->versions = cJSON_Duplicate(json_member(data, "versions"), true);
}

/* Numbers differ from boot to boot: `#` stands for each. */
static void hide_numbers(const char *text, char shown[LINE_MAX_BYTES])
{
    size_t length = 0;
    for (; *text && length + 1 < LINE_MAX_BYTES; text++) {
        if (!isdigit((unsigned char)*text))
            shown[length++] = *text;
        else if (length == 0 || shown[length - 1] != '#')
            shown[length++] = '#';
    }
    shown[length] = '\0';
}

static void add_line(cJSON *list, const cJSON *data)
{
    char shown[LINE_MAX_BYTES];
    const cJSON *known;
    hide_numbers(json_string(data, "message", json_string(data, "text", "")), shown);
    cJSON_ArrayForEach(known, list)
    {
        if (strcmp(cJSON_GetStringValue(known), shown) == 0)
            return;
    }
    cJSON_AddItemToArray(list, cJSON_CreateString(shown));
}

/* ---- a row ---- */

static void take_errno(struct measures *measures, const char *row, int64_t number)
{
    for (size_t i = 0; i < ARRAY_COUNT(causes); i++) {
        size_t cause = causes[i].cause;
        if (strcmp(causes[i].row, row) != 0)
            continue;
        if (measures->tls_errno[cause] == MEASURE_UNKNOWN)
            measures->tls_errno[cause] = number;
        else
            measures->is_tls_errno_mixed[cause] |= measures->tls_errno[cause] != number;
    }
}

static void take_event(struct reader *reader, const struct timeline_event *item, const char *row, cJSON *lines)
{
    const char *kind = json_string(item->event, "kind", "");
    const cJSON *data = event_data(item->event);
    take_time(reader, kind, data, item->at_us);
    if (strcmp(kind, "at.command") == 0)
        snprintf(reader->command, sizeof reader->command, "%s", json_string(data, "command", ""));
    else if (strcmp(kind, "at.reply") == 0)
        take_reply(reader, data);
    else if (strcmp(kind, "tls.client_hello") == 0)
        take_hello(reader->measures, data);
    else if (strcmp(kind, "console.connect-failed") == 0)
        take_errno(reader->measures, row, json_integer(data, "errno", 0));
    else if (strcmp(kind, "console.boot") == 0)
        reader->has_booted = true;
    else if (strcmp(kind, "console.line") == 0 && reader->has_booted)
        add_line(lines, data);
}

static int read_row(struct reader *reader, const char *directory, const struct result_row *row, struct error *error)
{
    struct timeline_events events;
    cJSON *lines = cJSON_AddArrayToObject(reader->measures->lines, row->id);
    if (!lines)
        return error_set_memory(error);
    if (timeline_read(directory, row->timeline_first, row->timeline_last, &events, error))
        return -1;
    reader->booted_us = reader->started_us = 0;
    reader->has_booted = false;
    for (size_t i = 0; i < events.count; i++)
        take_event(reader, &events.items[i], row->id, lines);
    timeline_events_done(&events);
    reader->measures->row_count++;
    return 0;
}

/* What the rig did to a row says nothing about the device. */
static bool is_of_device(const struct result_row *row)
{
    return row->timeline_first && row->verdict != VERDICT_SKIP && row->verdict != VERDICT_INCONCLUSIVE && row->verdict != VERDICT_ERROR;
}

/* ---- all ---- */

static void take_identity(struct measures *measures, const struct result_run *run)
{
    const cJSON *identity = json_member(cJSON_GetArrayItem(run->devices, 0), "identity");
    snprintf(measures->model, MEASURE_TEXT_BYTES, "%s", json_string(identity, "model", ""));
    snprintf(measures->firmware, MEASURE_TEXT_BYTES, "%s", json_string(identity, "firmware", ""));
    snprintf(measures->imei, MEASURE_TEXT_BYTES, "%s", json_string(identity, "imei", ""));
}

static int read_rows(struct reader *reader, const char *directory, const struct result_run *run, struct error *error)
{
    for (size_t i = 0; i < run->row_count; i++)
        if (is_of_device(&run->rows[i]) && read_row(reader, directory, &run->rows[i], error))
            return -1;
    return 0;
}

int measures_read(const char *directory, struct measures *ret_measures, struct error *error)
{
    CLEANUP(result_run_done) struct result_run run = {0};
    CLEANUP(measures_done) struct measures measures = {.lines = cJSON_CreateObject()};
    CLEANUP_FREE struct reader *reader = calloc(1, sizeof *reader);
    if (!measures.lines || !reader)
        return error_set_memory(error);
    if (results_read(directory, &run, error))
        return -1;
    for (size_t i = 0; i < MEASURE_CAUSE_COUNT; i++)
        measures.tls_errno[i] = MEASURE_UNKNOWN;
    reader->measures = &measures;
    reader->time_scale = run.time_scale;
    take_identity(&measures, &run);
    if (read_rows(reader, directory, &run, error))
        return -1;
    measures.start = median(&reader->start);
    measures.attach = median(&reader->attach);
    measures.at = median(&reader->at);
    measures.write = median(&reader->write);
    *ret_measures = measures;
    measures = (struct measures){0};
    return 0;
}

void measures_done(struct measures *measures)
{
    cJSON_Delete(measures->versions);
    cJSON_Delete(measures->suites);
    cJSON_Delete(measures->lines);
    *measures = (struct measures){0};
}
