#include "perf/run/suite.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/event.h"
#include "base/files.h"

#include <string.h>
#include <time.h>

enum { TIMELINE_MAX_BYTES = 256 * 1024 * 1024, LINES_MAX = 1000000 };

/* The lines of timeline.jsonl. */
struct timeline {
    struct bytes text;
    const char **lines; /* into text */
    int64_t count;
};

static void timeline_done(struct timeline *timeline)
{
    bytes_done(&timeline->text);
    free(timeline->lines);
}

static int read_timeline(const char *path, struct timeline *timeline, struct error *error)
{
    if (file_read(path, TIMELINE_MAX_BYTES, &timeline->text, error))
        return -1;
    timeline->lines = calloc(LINES_MAX, sizeof *timeline->lines);
    if (!timeline->lines)
        return error_set_memory(error);
    char *rest = (char *)timeline->text.data;
    for (char *line = rest ? strtok_r(NULL, "\n", &rest) : NULL; line && timeline->count < LINES_MAX; line = strtok_r(NULL, "\n", &rest))
        timeline->lines[timeline->count++] = line;
    return 0;
}

/* "2026-11-21T23:01:06.250028Z", as reports write times. */
static int64_t read_time_us(const char *text)
{
    struct tm fields = {0};
    long long fraction = 0;
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &fields);
    if (!rest || sscanf(rest, ".%6lldZ", &fraction) != 1)
        return 0;
    return timegm(&fields) * INT64_C(1000000) + fraction;
}

enum holder { HOLDER_HARNESS, HOLDER_COMMAND, HOLDER_DEVICE };

/* Whose the time behind an event is. */
static enum holder holder_after(enum event_kind kind, enum holder before)
{
    switch (kind) {
    case EVENT_AT_COMMAND:
        return HOLDER_COMMAND;
    case EVENT_AT_REPLY:
        return HOLDER_HARNESS;
    case EVENT_DEVICE_RESET:
        return HOLDER_DEVICE;
    default:
        /* What else stands under the view of the bench is the harness's own doing: enrollments, lanes, scenarios. */
        return event_kind_view(kind) == EVENT_VIEW_BENCH ? HOLDER_HARNESS : before;
    }
}

struct split {
    enum holder holder;
    int64_t at_us; /* up to here the time is given away */
    int64_t harness_us;
};

static void give(struct split *split, int64_t until_us)
{
    if (until_us <= split->at_us)
        return;
    if (split->holder == HOLDER_HARNESS)
        split->harness_us += until_us - split->at_us;
    split->at_us = until_us;
}

static void take_line(struct split *split, const char *line)
{
    CLEANUP_JSON cJSON *event = cJSON_Parse(line);
    enum event_kind kind = event_kind_from_name(json_string(event, "kind", ""));
    if (kind == EVENT_KIND_COUNT)
        return;
    give(split, json_integer(event, "unix_us", 0));
    split->holder = holder_after(kind, split->holder);
}

static int64_t harness_time_us(const cJSON *row, const struct timeline *timeline, int64_t start_us, int64_t end_us)
{
    const cJSON *range = json_member(row, "timeline");
    int64_t first = json_integer(range, "first", 1), last = json_integer(range, "last", 0);
    struct split split = {.holder = HOLDER_HARNESS, .at_us = start_us};
    for (int64_t i = first; i >= 1 && i <= last && i <= timeline->count; i++)
        take_line(&split, timeline->lines[i - 1]);
    give(&split, end_us);
    return split.harness_us;
}

static struct suite_cost cost_of(const cJSON *rows, const struct timeline *timeline)
{
    struct suite_cost cost = {0};
    int64_t harness_us = 0, previous_end_us = 0;
    const cJSON *row;
    cJSON_ArrayForEach(row, rows)
    {
        int64_t start_us = read_time_us(json_string(row, "started", ""));
        int64_t end_us = start_us + json_integer(row, "duration_ms", 0) * 1000;
        harness_us += harness_time_us(row, timeline, start_us, end_us);
        if (previous_end_us && start_us > previous_end_us)
            harness_us += start_us - previous_end_us;
        previous_end_us = end_us;
        cost.rows++;
    }
    cost.overhead_ms = cost.rows ? (double)harness_us / 1000 / (double)cost.rows : 0;
    return cost;
}

int suite_read_cost(const char *run_dir, struct suite_cost *ret_cost, struct error *error)
{
    CLEANUP(timeline_done) struct timeline timeline = {0};
    CLEANUP_FREE char *results_path = path_join(run_dir, "results.json"), *timeline_path = path_join(run_dir, "timeline.jsonl");
    if (!results_path || !timeline_path)
        return error_set_memory(error);
    CLEANUP_JSON cJSON *results = json_read_file(results_path, error);
    if (!results || read_timeline(timeline_path, &timeline, error))
        return -1;
    struct suite_cost cost = cost_of(json_member(results, "rows"), &timeline);
    if (!cost.rows)
        return error_set(error, ERROR_OWNER_RIG, ERROR_PROTOCOL, "'%s' holds no row", results_path);
    *ret_cost = cost;
    return 0;
}
