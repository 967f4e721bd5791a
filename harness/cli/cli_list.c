/* dpsbench list */
#include "base/arguments.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "harness/cli/cli.h"
#include "harness/device/console_record.h"
#include "harness/device/dialect.h"
#include "harness/rig/place.h"
#include "harness/run/plan.h"
#include "reports/result.h"

#include <string.h>

enum { SELECTORS_MAX = 256, OPTION_JSON = 256, OPTION_CASES, OPTION_EVENTS };

struct list_arguments {
    const char *selectors[SELECTORS_MAX];
    size_t selector_count;
    const char *cases;
    bool wants_json;
    bool wants_events;
};

static const struct argp_option options[] = {
    {"cases", OPTION_CASES, "DIR", 0, "Another folder of cases", 0},
    {"events", OPTION_EVENTS, NULL, 0, "List the events that a case may expect", 0},
    {"json", OPTION_JSON, NULL, 0, "Print one JSON document", 0},
    {0},
};

static const char text[] =
    "List the rows that SELECT names (default: all): id and title. SELECT is a row (refused/wrong-chain:azure), a case "
    "(refused/wrong-chain), an area (refused) or a glob ('*:azure')."
    "\vExamples:\n"
    "  dpsbench list\n"
    "  dpsbench list refused --json\n"
    "  dpsbench list --events\n";

static error_t take(int key, char *word, struct argp_state *state)
{
    struct list_arguments *arguments = state->input;
    switch (key) {
    case OPTION_CASES:
        arguments->cases = word;
        return 0;
    case OPTION_EVENTS:
        arguments->wants_events = true;
        return 0;
    case OPTION_JSON:
        arguments->wants_json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->selector_count == SELECTORS_MAX)
            arguments_refuse(state, "more than %d selectors", SELECTORS_MAX);
        arguments->selectors[arguments->selector_count++] = word;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- events ---- */

struct event_line {
    const char *view;
    const char *name;
    const char *text;
};

static size_t list_events(struct event_line *lines, size_t max)
{
    size_t count = 0;
    for (int i = 0; i < EVENT_KIND_COUNT && count < max; i++) {
        enum event_kind kind = (enum event_kind)i;
        if (event_kind_view(kind) != EVENT_VIEW_BENCH)
            lines[count++] = (struct event_line){event_view_name(event_kind_view(kind)), event_kind_name(kind), event_kind_text(kind)};
    }
    static const struct event_line dialect[] = {
#define X(event, fields, meaning) {"console", event, meaning},
        DIALECT_EVENTS(X) RECORD_EVENTS(X)
#undef X
    };
    for (size_t i = 0; i < ARRAY_COUNT(dialect) && count < max; i++)
        lines[count++] = dialect[i];
    return count;
}

static cJSON *event_to_json(const struct event_line *line)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_string(json, "view", line->view) || json_set_string(json, "event", line->name) ||
        json_set_string(json, "text", line->text))
        return NULL;
    return TAKE(json);
}

/* ---- rows ---- */

static cJSON *words_to_json(const struct text_list *list)
{
    return cJSON_CreateStringArray((const char *const *)list->items, (int)list->count);
}

static int add_places(cJSON *json, const struct case_expectations *list)
{
    for (size_t i = 0; i < list->count; i++)
        for (size_t j = 0; j < list->items[i].catches.count; j++) {
            const char *weakness = list->items[i].catches.items[j];
            cJSON *places = cJSON_GetObjectItemCaseSensitive(json, weakness);
            if (!places)
                places = cJSON_AddArrayToObject(json, weakness);
            if (!cJSON_AddItemToArray(places, cJSON_CreateString(list->items[i].place)))
                return -1;
        }
    return 0;
}

/* {"accepts-any-server":["cases/server/another-root.yaml:20:17"]}: which expectations must see the weakness. */
static cJSON *catches_to_json(const struct case_row *row)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    for (int i = 0; json && i < CASE_VIEW_COUNT; i++)
        if (add_places(json, &row->views[i].in_order) || add_places(json, &row->views[i].in_any_order) ||
            add_places(json, &row->views[i].never))
            return NULL;
    return TAKE(json);
}

static cJSON *row_to_json(const struct case_row *row)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_string(json, "id", row->id) || json_set_string(json, "case", row->case_id) ||
        json_set_string(json, "title", row->title) || json_set_string(json, "file", row->place) ||
        json_set_string(json, "why", row->why_text) || json_set_string(json, "source", row->why_source) ||
        json_set(json, "needs", words_to_json(&row->needs)) || json_set(json, "fails_under", words_to_json(&row->fails_under)) ||
        json_set(json, "caught_at", catches_to_json(row)) || json_set_integer(json, "budget_s", row->budget_s))
        return NULL;
    return TAKE(json);
}

/* {"v":1,NAME:[...]} on stdout. */
static int print_document(const char *name, cJSON *list)
{
    CLEANUP_JSON cJSON *document = cJSON_CreateObject();
    if (!document || json_set_integer(document, "v", 1) || json_set(document, name, list))
        return EXIT_OUR_BUG;
    CLEANUP_FREE char *printed = json_print_pretty(document);
    return printed ? (fputs(printed, stdout), 0) : EXIT_OUR_BUG;
}

static int print_events(bool wants_json)
{
    enum { MAX = 256 };
    struct event_line lines[MAX];
    size_t count = list_events(lines, MAX);
    cJSON *list = wants_json ? cJSON_CreateArray() : NULL;
    for (size_t i = 0; i < count; i++) {
        if (wants_json)
            cJSON_AddItemToArray(list, event_to_json(&lines[i]));
        else
            printf("%-8s %-32s %s\n", lines[i].view, lines[i].name, lines[i].text);
    }
    return wants_json ? print_document("events", list) : 0;
}

static int print_rows(const struct case_list *rows, bool wants_json)
{
    int width = 0;
    cJSON *list = wants_json ? cJSON_CreateArray() : NULL;
    for (size_t i = 0; i < rows->count; i++)
        width = (int)strlen(rows->rows[i]->id) > width ? (int)strlen(rows->rows[i]->id) : width;
    for (size_t i = 0; i < rows->count; i++) {
        if (wants_json)
            cJSON_AddItemToArray(list, row_to_json(rows->rows[i]));
        else
            printf("%-*s  %s\n", width, rows->rows[i]->id, rows->rows[i]->title);
    }
    return wants_json ? print_document("rows", list) : 0;
}

int cli_list(int argc, char **argv)
{
    static const struct argp argp = {.options = options, .parser = take, .args_doc = "[SELECT]...", .doc = text};
    struct list_arguments arguments = {0};
    struct error error = ERROR_INIT;
    CLEANUP_FREE char *cases = NULL;
    CLEANUP(case_list_done) struct case_list rows = {0};
    command_parse(&argp, argc, argv, &arguments);
    if (arguments.wants_events)
        return print_events(arguments.wants_json);
    if (!arguments.cases && place_data("cases", &cases, &error))
        return command_fail(&error);
    if (plan_list(arguments.cases ? arguments.cases : cases, arguments.cases ? arguments.cases : "cases", arguments.selectors,
                  arguments.selector_count, &rows, &error)) {
        int code = command_fail(&error);
        return error.code == ERROR_NOT_FOUND ? EXIT_NOTHING_SELECTED : code;
    }
    return print_rows(&rows, arguments.wants_json);
}
