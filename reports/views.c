#include "reports/views.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/event.h"
#include "base/utf8.h"
#include "reports/event_text.h"

#include <math.h>
#include <string.h>

enum {
    COLUMN_COUNT = 3,
    COLUMN_MIN = 8,
    TIME_COLUMNS = 17, /* "%7.2f %7.0f" and two spaces */
    SEPARATOR_COLUMNS = 3,
    TEXT_MAX_BYTES = 64 * 1024,
    SESSIONS_MAX = 64,
};

static const char *const titles[COLUMN_COUNT] = {"CONSOLE", "WIRE", "SERVICE"};

/* ---- which events, and since when ---- */

static bool is_ours(const cJSON *event, const struct views_options *options)
{
    const char *lane = json_string(event, "lane", NULL), *id = json_string(event, "registration_id", NULL);
    if (lane && options->lane)
        return strcmp(lane, options->lane) == 0;
    return !id || !options->registration_id || strcasecmp(id, options->registration_id) == 0;
}

/* The last reset: what came before it prepares, what came behind it is the device's. Else the first event. */
static int64_t find_start(const struct timeline_events *events)
{
    for (size_t i = events->count; i > 0; i--)
        if (strcmp(json_string(events->items[i - 1].event, "kind", ""), "device.reset") == 0)
            return events->items[i - 1].at_us;
    return events->count ? events->items[0].at_us : 0;
}

/* Connection numbers are long; people count from 1. */
struct sessions {
    int64_t numbers[SESSIONS_MAX];
    size_t count;
};

/* 0: not of this row, or not of a connection at all. */
static size_t ordinal_of(const struct sessions *sessions, const cJSON *event)
{
    int64_t number = json_integer(event, "session", 0);
    for (size_t i = 0; number && i < sessions->count; i++)
        if (sessions->numbers[i] == number)
            return i + 1;
    return 0;
}

/* From the reset on: what ends before it was the connection of another row. */
static struct sessions list_sessions(const struct timeline_events *events, const struct views_options *options, int64_t start_us)
{
    struct sessions sessions = {.count = 0};
    for (size_t i = 0; i < events->count && sessions.count < SESSIONS_MAX; i++) {
        const cJSON *event = events->items[i].event;
        int64_t number = json_integer(event, "session", 0);
        if (number && events->items[i].at_us >= start_us && is_ours(event, options) && !ordinal_of(&sessions, event))
            sessions.numbers[sessions.count++] = number;
    }
    return sessions;
}

/* ---- lines ---- */

struct line {
    int column; /* COLUMN_COUNT: across */
    int64_t at_us;
    char *text;
    enum event_weight weight;
    const struct timeline_event *event;
};

struct lines {
    struct line *items;
    size_t count;
    int64_t start_us;
};

static void free_lines(struct lines *lines)
{
    for (size_t i = 0; i < lines->count; i++)
        free(lines->items[i].text);
    free(lines->items);
}

static int column_of(const cJSON *event)
{
    enum event_kind kind = event_kind_from_name(json_string(event, "kind", ""));
    switch (event_text_view(event)) {
    case EVENT_VIEW_CONSOLE:
        return 0;
    case EVENT_VIEW_WIRE:
        return 1;
    case EVENT_VIEW_SERVICE:
        return 2;
    case EVENT_VIEW_BENCH:
        break;
    }
    bool is_setup = kind == EVENT_STATE_CHANGED || kind == EVENT_SCENARIO_SET || kind == EVENT_LANE_CONFIGURED;
    return is_setup ? 2 : COLUMN_COUNT;
}

static char *text_of(const cJSON *event, const struct sessions *sessions)
{
    CLEANUP(bytes_done) struct bytes text = {.max_bytes = TEXT_MAX_BYTES};
    size_t session = sessions->count > 1 ? ordinal_of(sessions, event) : 0;
    if (session && event_text_view(event) == EVENT_VIEW_WIRE)
        bytes_printf(&text, "%zu", session);
    size_t prefix = text.length_bytes;
    event_text(event, &text);
    return strdup(text.length_bytes > prefix ? bytes_text(&text) : "");
}

static int make_lines(const struct timeline_events *events, const struct views_options *options, struct lines *ret_lines)
{
    *ret_lines = (struct lines){.items = calloc(events->count + 1, sizeof(struct line)), .start_us = find_start(events)};
    const struct sessions sessions = list_sessions(events, options, ret_lines->start_us);
    for (size_t i = 0; ret_lines->items && i < events->count; i++) {
        const cJSON *event = events->items[i].event;
        if (!is_ours(event, options))
            continue;
        struct line *line = &ret_lines->items[ret_lines->count];
        *line = (struct line){.column = column_of(event),
                              .at_us = events->items[i].at_us - ret_lines->start_us,
                              .text = text_of(event, &sessions),
                              .weight = event_weight(event),
                              .event = &events->items[i]};
        if (!line->text)
            return -1;
        ret_lines->count++;
    }
    return ret_lines->items ? 0 : -1;
}

/* ---- widths ---- */

/* Characters; what a console prints is one column wide each. */
static int width_of(const char *text)
{
    int width = 0;
    while (*text) {
        utf8_decode(&text);
        width++;
    }
    return width;
}

static void find_needs(const struct lines *lines, int needs[COLUMN_COUNT])
{
    for (int i = 0; i < COLUMN_COUNT; i++)
        needs[i] = (int)strlen(titles[i]);
    for (size_t i = 0; i < lines->count; i++) {
        int column = lines->items[i].column, width = width_of(lines->items[i].text);
        if (column < COLUMN_COUNT && width > needs[column])
            needs[column] = width;
    }
}

/* Shares by weight; what a column does not need goes to the others. */
static void share(int total, const int needs[COLUMN_COUNT], int widths[COLUMN_COUNT])
{
    static const int weights[COLUMN_COUNT] = {4, 3, 3};
    bool is_settled[COLUMN_COUNT] = {false};
    for (int round = 0; round < COLUMN_COUNT; round++) {
        int left = total, weight = 0;
        for (int i = 0; i < COLUMN_COUNT; i++) {
            left -= is_settled[i] ? widths[i] : 0;
            weight += is_settled[i] ? 0 : weights[i];
        }
        for (int i = 0; i < COLUMN_COUNT; i++) {
            if (is_settled[i])
                continue;
            widths[i] = left * weights[i] / weight;
            is_settled[i] = needs[i] <= widths[i];
            widths[i] = is_settled[i] ? needs[i] : widths[i];
        }
        if (is_settled[0] && is_settled[1] && is_settled[2])
            return;
    }
}

static void lay_out(const struct lines *lines, const struct views_options *options, int widths[COLUMN_COUNT])
{
    int needs[COLUMN_COUNT];
    int page = options->width < VIEWS_WIDTH_MIN ? VIEWS_WIDTH_MIN : options->width;
    find_needs(lines, needs);
    if (options->is_wide)
        memcpy(widths, needs, sizeof needs);
    else
        share(page - TIME_COLUMNS - (COLUMN_COUNT - 1) * SEPARATOR_COLUMNS, needs, widths);
    for (int i = 0; i < COLUMN_COUNT; i++)
        widths[i] = widths[i] < COLUMN_MIN ? COLUMN_MIN : widths[i];
}

/* ---- printing ---- */

static const char *ellipsis(const struct views_options *options)
{
    return options->has_utf8 ? "\xe2\x80\xa6" : "...";
}

/* Characters of `text` that fit, and its bytes. */
static size_t bytes_of(const char *text, int characters)
{
    const char *at = text;
    for (int i = 0; i < characters && *at; i++)
        utf8_decode(&at);
    return (size_t)(at - text);
}

static void print_cell(FILE *file, const char *text, int width, bool is_last, const struct views_options *options)
{
    int needed = width_of(text);
    if (needed > width) {
        int room = width - width_of(ellipsis(options));
        fprintf(file, "%.*s%s", (int)bytes_of(text, room), text, ellipsis(options));
        return;
    }
    fprintf(file, "%s%*s", text, is_last ? 0 : width - needed, "");
}

static const char *colour_of(enum event_weight weight, const struct views_options *options)
{
    static const char *const colours[] = {[EVENT_WEIGHT_PLAIN] = "", [EVENT_WEIGHT_WARNING] = "\033[33m", [EVENT_WEIGHT_BAD] = "\033[31m"};
    return options->has_colour ? colours[weight] : "";
}

static const char *plain_after(const char *colour)
{
    return *colour ? "\033[0m" : "";
}

/* "-0" is nothing that anybody wants to read. */
static double round_to(double value, double step)
{
    double steps = round(value / step);
    return fabs(steps) < 1 ? 0 : steps * step;
}

static void print_time(FILE *file, const struct line *line, const struct views_options *options)
{
    double real_ms = (double)line->at_us / 1e3, device_s = real_ms / 1e3 * options->time_scale;
    fprintf(file, "%7.2f %7.0f  ", round_to(device_s, 0.01), round_to(real_ms, 1));
}

/* Columns behind the last one that is filled stay away: no trailing blanks. */
static void print_line(FILE *file, const struct line *line, const int widths[COLUMN_COUNT], const struct views_options *options)
{
    const char *colour = colour_of(line->weight, options);
    print_time(file, line, options);
    for (int i = 0; i < line->column; i++)
        fprintf(file, "%*s%s", widths[i], "", i + 1 < COLUMN_COUNT ? " | " : "");
    fputs(colour, file);
    print_cell(file, line->text, widths[line->column], line->column == COLUMN_COUNT - 1, options);
    fputs(plain_after(colour), file);
    for (int i = line->column + 1; i < COLUMN_COUNT; i++)
        fprintf(file, " |%*s", i + 1 < COLUMN_COUNT ? widths[i] + 1 : 0, "");
    fputc('\n', file);
}

static void print_across(FILE *file, const struct line *line, const int widths[COLUMN_COUNT], const struct views_options *options)
{
    const char *colour = colour_of(line->weight, options);
    int width = widths[0] + widths[1] + widths[2] + (COLUMN_COUNT - 1) * SEPARATOR_COLUMNS;
    print_time(file, line, options);
    fprintf(file, "%s== ", colour);
    print_cell(file, line->text, width - 6, true, options);
    fprintf(file, " ==%s\n", plain_after(colour));
}

static void print_titles(FILE *file, const int widths[COLUMN_COUNT])
{
    fprintf(file, "%7s %7s  %-*s | %-*s | %s\n", "DEV s", "REAL ms", widths[0], titles[0], widths[1], titles[1], titles[2]);
}

void views_print(FILE *file, const struct timeline_events *events, const struct views_options *options)
{
    CLEANUP(free_lines) struct lines lines;
    int widths[COLUMN_COUNT];
    if (make_lines(events, options, &lines)) {
        fputs("out of memory\n", file);
        return;
    }
    lay_out(&lines, options, widths);
    print_titles(file, widths);
    for (size_t i = 0; i < lines.count; i++) {
        const struct line *line = &lines.items[i];
        if (!*line->text)
            continue;
        if (line->column == COLUMN_COUNT)
            print_across(file, line, widths, options);
        else
            print_line(file, line, widths, options);
    }
}

/* ---- JSON ---- */

static cJSON *line_to_json(const struct line *line, const struct views_options *options)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set(json, "at_ms", cJSON_CreateNumber((double)line->at_us / 1e3)) ||
        json_set(json, "device_s", cJSON_CreateNumber((double)line->at_us / 1e6 * options->time_scale)) ||
        json_set_string(json, "view", event_view_name(event_text_view(line->event->event))) || json_set_string(json, "text", line->text) ||
        json_set_integer(json, "line", line->event->line) || json_set(json, "event", cJSON_Duplicate(line->event->event, true)))
        return NULL;
    return TAKE(json);
}

cJSON *views_to_json(const struct timeline_events *events, const struct views_options *options)
{
    CLEANUP(free_lines) struct lines lines;
    CLEANUP_JSON cJSON *list = cJSON_CreateArray();
    if (make_lines(events, options, &lines) || !list)
        return NULL;
    for (size_t i = 0; i < lines.count; i++) {
        cJSON *item = line_to_json(&lines.items[i], options);
        if (!item)
            return NULL;
        cJSON_AddItemToArray(list, item);
    }
    return TAKE(list);
}
