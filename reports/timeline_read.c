#include "reports/timeline_read.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/event.h"
#include "base/files.h"
#include "reports/timeline.h"

#include <errno.h>
#include <string.h>

enum { SOURCES_MAX = 16 };

/* ---- lines ---- */

/* The next line without its end; what does not fit is dropped, and the line is too long. false: nothing is left. */
static bool read_line(FILE *file, struct bytes *line, bool *ret_is_too_long)
{
    int c;
    bool has_any = false;
    bytes_clear(line);
    *ret_is_too_long = false;
    while ((c = getc_unlocked(file)) != EOF && c != '\n') {
        has_any = true;
        *ret_is_too_long |= !*ret_is_too_long && bytes_append_byte(line, (uint8_t)c);
    }
    return has_any || c == '\n';
}

static void note_broken(struct timeline_events *events, int64_t line, const char *text)
{
    events->broken_count++;
    if (events->first_broken_line)
        return;
    events->first_broken_line = line;
    snprintf(events->broken_text, sizeof events->broken_text, "%s", text);
}

static int add_event(struct timeline_events *events, cJSON *event, int64_t line, struct error *error)
{
    if (events->count == TIMELINE_EVENTS_MAX) {
        events->left_out_count++;
        cJSON_Delete(event);
        return 0;
    }
    /* Doubling, at the powers of two. */
    if ((events->count & (events->count - 1)) == 0) {
        size_t capacity = events->count ? 2 * events->count : 1;
        struct timeline_event *more = realloc(events->items, capacity * sizeof *more);
        if (!more) {
            cJSON_Delete(event);
            return error_set_memory(error);
        }
        events->items = more;
    }
    events->items[events->count++] = (struct timeline_event){.event = event, .line = line};
    return 0;
}

static int take_line(struct timeline_events *events, const struct bytes *text, bool is_too_long, int64_t line, struct error *error)
{
    struct error broken = ERROR_INIT;
    enum event_kind kind;
    if (is_too_long) {
        note_broken(events, line, "it is longer than any event");
        return 0;
    }
    CLEANUP_JSON cJSON *event = json_parse(bytes_text(text), text->length_bytes, "", &broken);
    if (!event || event_check(event, &kind, &broken)) {
        note_broken(events, line, event ? broken.text : "it is not JSON");
        return 0;
    }
    return add_event(events, TAKE(event), line, error);
}

static int read_lines(FILE *file, int64_t first, int64_t last, struct timeline_events *events, struct error *error)
{
    CLEANUP(bytes_done) struct bytes text = {.max_bytes = TIMELINE_LINE_MAX_BYTES};
    int64_t line = 0;
    bool is_too_long;
    while (line < last && read_line(file, &text, &is_too_long))
        if (++line >= first && take_line(events, &text, is_too_long, line, error))
            return -1;
    int64_t wanted_from = line < first ? first : line + 1;
    events->missing_count = last >= wanted_from ? (size_t)(last - wanted_from + 1) : 0;
    return ferror(file) ? error_set_errno(error, ERROR_OWNER_RIG, errno, "read '%s'", TIMELINE_FILE) : 0;
}

/* ---- clocks ---- */

static int64_t clock_of(const cJSON *event, const char *name)
{
    return json_integer(event, name, 0);
}

/* Where a source's wall clock stands when its monotonic clock is zero: its host's start. */
static int64_t offset_of(const cJSON *event)
{
    return clock_of(event, "unix_us") - clock_of(event, "mono_us");
}

static bool is_known(const char *const *sources, size_t count, const char *source)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(sources[i], source) == 0)
            return true;
    return false;
}

/* The first event of each source: later on a wall clock may be set, on all programs of a host at once. */
static bool has_one_clock(const struct timeline_events *events)
{
    const char *sources[SOURCES_MAX];
    int64_t least = 0, most = 0;
    size_t count = 0;
    for (size_t i = 0; i < events->count && count < SOURCES_MAX; i++) {
        const char *source = json_string(events->items[i].event, "source", "");
        if (is_known(sources, count, source))
            continue;
        int64_t offset = offset_of(events->items[i].event);
        least = count && least < offset ? least : offset;
        most = count && most > offset ? most : offset;
        sources[count++] = source;
    }
    return most - least < TIMELINE_ONE_HOST_US;
}

static int compare(const void *a, const void *b)
{
    const struct timeline_event *one = a, *other = b;
    if (one->at_us != other->at_us)
        return one->at_us < other->at_us ? -1 : 1;
    return one->line < other->line ? -1 : one->line > other->line;
}

static void sort(struct timeline_events *events)
{
    events->has_one_clock = has_one_clock(events);
    for (size_t i = 0; i < events->count; i++)
        events->items[i].at_us = clock_of(events->items[i].event, events->has_one_clock ? "mono_us" : "unix_us");
    if (events->count)
        qsort(events->items, events->count, sizeof *events->items, compare);
}

/* ---- the file ---- */

void timeline_events_done(struct timeline_events *events)
{
    for (size_t i = 0; i < events->count; i++)
        cJSON_Delete(events->items[i].event);
    free(events->items);
    *events = (struct timeline_events){0};
}

int timeline_read(const char *directory, int64_t first, int64_t last, struct timeline_events *ret_events, struct error *error)
{
    CLEANUP(timeline_events_done) struct timeline_events events = {.has_one_clock = true};
    CLEANUP_FREE char *path = path_join(directory, TIMELINE_FILE);
    if (!path)
        return error_set_memory(error);
    CLEANUP_FILE FILE *file = fopen(path, "re");
    if (!file && errno == ENOENT)
        return error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "read '%s': there is none", path);
    if (!file)
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "read '%s'", path);
    if (read_lines(file, first, last, &events, error))
        return -1;
    sort(&events);
    *ret_events = events;
    events = (struct timeline_events){0};
    return 0;
}
