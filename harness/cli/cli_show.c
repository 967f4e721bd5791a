/* dpsbench show */
#include "base/arguments.h"
#include "base/cleanup.h"
#include "base/files.h"
#include "base/log.h"
#include "base/yaml.h"
#include "harness/case/select.h"
#include "harness/cli/cli.h"
#include "harness/cli/terminal.h"
#include "reports/clean_text.h"
#include "reports/results_json.h"
#include "reports/table.h"
#include "reports/views.h"

#include <string.h>
#include <sys/stat.h>

#define RUNS_FOLDER "reports/out"

enum { OPTION_WIDE = 256, OPTION_JSON, OPTION_WIDTH, SHOW_VERSION = 1, WIDTH_MAX = 10000 };

struct show_arguments {
    const char *words[2];
    size_t word_count;
    int width; /* 0: not given */
    bool is_wide;
    bool wants_json;
};

static const struct argp_option options[] = {
    {"wide", OPTION_WIDE, NULL, 0, "Cut nothing", 0},
    {"width", OPTION_WIDTH, "N", 0, "Columns of the page. Default: those of the terminal, elsewhere 100", 0},
    {"json", OPTION_JSON, NULL, 0, "Print one JSON document (docs/results.md)", 0},
    {0},
};

static const char text[] =
    "Show a run again: its table; with CASE its rows, each with what was expected, what came and how to mend it, and the three views side "
    "by "
    "side in time. RUN is the run's folder (default: the newest in " RUNS_FOLDER "); CASE a row, a case, an area or a glob."
    "\vTimes count from the row's reset, in device seconds (what a board would have taken) and in real milliseconds. Arrows point from the "
    "device to the service (->) and back (<-); a number before them counts the row's connections.\n"
    "\n"
    "Exit codes: 0 shown, 2 wrong usage, or a folder or file that cannot be read (what can be is shown), 5 no such row.\n"
    "\n"
    "Examples:\n"
    "  dpsbench show\n"
    "  dpsbench show refused/wrong-chain:azure\n"
    "  dpsbench show reports/out/20261121T211500Z refused --wide | less -S\n"
    "  dpsbench show refused/wrong-chain --json | jq -r '.rows[].events[].text'\n";

static error_t take(int key, char *word, struct argp_state *state)
{
    struct show_arguments *arguments = state->input;
    char *end;
    switch (key) {
    case OPTION_WIDE:
        arguments->is_wide = true;
        return 0;
    case OPTION_JSON:
        arguments->wants_json = true;
        return 0;
    case OPTION_WIDTH:
        arguments->width = (int)strtol(word, &end, 10);
        if (!*word || *end || arguments->width < VIEWS_WIDTH_MIN || arguments->width > WIDTH_MAX)
            arguments_refuse(state, "'%s' is not a width from %d to %d", word, VIEWS_WIDTH_MIN, WIDTH_MAX);
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->word_count == ARRAY_COUNT(arguments->words))
            arguments_refuse(state, "more than a run and a case");
        arguments->words[arguments->word_count++] = word;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- which run, which rows ---- */

static bool has_results(const char *folder)
{
    CLEANUP_FREE char *path = path_join(folder, RESULTS_FILE);
    return path && path_exists(path);
}

/* By the time of the last change: names are whatever people chose with --out. */
static char *newest_run(void)
{
    struct timespec newest = {0};
    char **names = NULL, *found = NULL;
    if (dir_list(RUNS_FOLDER, "", &names, NULL))
        return NULL;
    for (char **name = names; *name; name++) {
        CLEANUP_FREE char *folder = path_join(RUNS_FOLDER, *name);
        CLEANUP_FREE char *results = folder ? path_join(folder, RESULTS_FILE) : NULL;
        struct stat status;
        if (!results || stat(results, &status))
            continue;
        struct timespec changed = status.st_mtim;
        if (found && (changed.tv_sec < newest.tv_sec || (changed.tv_sec == newest.tv_sec && changed.tv_nsec < newest.tv_nsec)))
            continue;
        newest = changed;
        free(found);
        found = TAKE(folder);
    }
    names_free(names);
    return found;
}

/* "DIR/results.json" is as good as "DIR". */
static char *folder_of(const char *word)
{
    size_t length = strlen(word), tail = strlen("/" RESULTS_FILE);
    if (length > tail && strcmp(word + length - tail, "/" RESULTS_FILE) == 0)
        return strndup(word, length - tail);
    return strcmp(word, RESULTS_FILE) == 0 ? strdup(".") : strdup(word);
}

static int fail_no_run(const char *folder, struct error *error)
{
    if (!path_exists(folder))
        return error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "show '%s': there is no such folder", folder);
    return error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "show '%s': it holds no " RESULTS_FILE ", so it is not the folder of a run",
                     folder);
}

/* One word is a run when it is one, or looks like one; else a case of the newest run. */
static int choose_run(const struct show_arguments *arguments, char **ret_folder, const char **ret_case, struct error *error)
{
    const char *first = arguments->word_count ? arguments->words[0] : NULL;
    CLEANUP_FREE char *named = first ? folder_of(first) : NULL, *newest = NULL;
    *ret_case = arguments->word_count > 1 ? arguments->words[1] : NULL;
    if (named && (arguments->word_count > 1 || has_results(named) || named[0] == '/' || named[0] == '.')) {
        if (!has_results(named))
            return fail_no_run(named, error);
        *ret_folder = TAKE(named);
        return 0;
    }
    newest = newest_run();
    if (!newest && named)
        return fail_no_run(named, error);
    if (!newest)
        return error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND,
                         "show the newest run: there is none in '" RUNS_FOLDER "'; name its folder");
    *ret_folder = TAKE(newest);
    *ret_case = first;
    return 0;
}

static bool is_chosen(const struct result_row *row, const char *selector)
{
    const struct case_row probe = {.id = row->id, .case_id = row->case_id ? row->case_id : row->id};
    return select_fits(selector, &probe);
}

static int fail_no_row(const struct result_run *run, const char *selector, struct error *error)
{
    CLEANUP_FREE const char **ids = calloc(2 * run->row_count + 1, sizeof *ids);
    size_t count = 0;
    for (size_t i = 0; ids && i < run->row_count; i++) {
        ids[count++] = run->rows[i].id;
        if (run->rows[i].case_id)
            ids[count++] = run->rows[i].case_id;
    }
    const char *near = ids ? text_nearest(selector, ids) : NULL;
    return error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "run '%s' has no row '%s'%s%s%s", run->directory, selector,
                     near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static int check_case(const struct result_run *run, const char *selector, struct error *error)
{
    for (size_t i = 0; i < run->row_count; i++)
        if (is_chosen(&run->rows[i], selector))
            return 0;
    return fail_no_row(run, selector, error);
}

/* ---- one row ---- */

static const cJSON *device_of(const struct result_run *run, const struct result_row *row)
{
    const cJSON *device;
    cJSON_ArrayForEach(device, run->devices)
    {
        const char *shard = json_string(device, "shard", NULL);
        bool is_its_shard = !shard || !row->shard || strcmp(shard, row->shard) == 0;
        if (row->device && is_its_shard && strcmp(json_string(device, "id", ""), row->device) == 0)
            return device;
    }
    return NULL;
}

static int read_events(const struct result_run *run, const struct result_row *row, struct timeline_events *events)
{
    struct error error = ERROR_INIT;
    if (!row->timeline_first)
        return 0;
    CLEANUP_FREE char *folder = row->timeline_folder ? path_join(run->directory, row->timeline_folder) : strdup(run->directory);
    if (!folder || timeline_read(folder, row->timeline_first, row->timeline_last, events, &error)) {
        log_error("%s: %s", row->id, error.text);
        return EXIT_USAGE;
    }
    if (events->broken_count)
        log_error("%s: %zu of its events cannot be read; the first is line %lld of %s/timeline.jsonl: %s", row->id, events->broken_count,
                  (long long)events->first_broken_line, folder, events->broken_text);
    if (events->missing_count)
        log_error("%s: %zu of its events are missing: %s/timeline.jsonl ends before them", row->id, events->missing_count, folder);
    if (events->left_out_count)
        log_warning("%s: only its first %d events are shown, not %zu more", row->id, TIMELINE_EVENTS_MAX, events->left_out_count);
    return events->broken_count || events->missing_count ? EXIT_USAGE : EXIT_ALL_PASSED;
}

static struct views_options views_of(const struct result_run *run, const struct result_row *row, const struct show_arguments *arguments)
{
    const cJSON *device = device_of(run, row);
    int width = arguments->width ? arguments->width : terminal_width(stdout);
    return (struct views_options){
        .time_scale = run->time_scale,
        .lane = json_string(device, "lane", NULL),
        .registration_id = json_string(device, "registration_id", NULL),
        .width = width ? width : VIEWS_WIDTH_DEFAULT,
        .is_wide = arguments->is_wide,
        .has_colour = log_has_colour(STDOUT_FILENO),
        .has_utf8 = terminal_has_utf8(),
    };
}

static int show_row(const struct result_run *run, const struct result_row *row, const struct show_arguments *arguments)
{
    CLEANUP(timeline_events_done) struct timeline_events events = {0};
    struct views_options views = views_of(run, row, arguments);
    const struct table_options table = {.width = arguments->is_wide ? 0 : views.width, .has_colour = views.has_colour};
    int code = read_events(run, row, &events);
    table_print_page(stdout, run, row, &table);
    if (events.count == 0)
        return code;
    putchar('\n');
    if (!events.has_one_clock)
        puts("(the simulator ran on another host: console and wire are ordered by the two hosts' wall clocks)");
    views_print(stdout, &events, &views);
    return code;
}

static int show_rows(const struct result_run *run, const char *selector, const struct show_arguments *arguments)
{
    int worst = EXIT_ALL_PASSED;
    const char *separator = "";
    for (size_t i = 0; i < run->row_count; i++) {
        if (!is_chosen(&run->rows[i], selector))
            continue;
        fputs(separator, stdout);
        int code = show_row(run, &run->rows[i], arguments);
        worst = code ? code : worst;
        separator = "\n\n";
    }
    return worst;
}

/* ---- JSON ---- */

static cJSON *row_to_json(const struct result_run *run, const struct result_row *row, const struct show_arguments *arguments, int *code)
{
    CLEANUP(timeline_events_done) struct timeline_events events = {.has_one_clock = true};
    struct views_options views = views_of(run, row, arguments);
    int read_code = read_events(run, row, &events);
    *code = read_code ? read_code : *code;
    CLEANUP_JSON cJSON *json = results_row_to_json(row);
    if (!json || json_set_bool(json, "has_one_clock", events.has_one_clock) || json_set(json, "events", views_to_json(&events, &views)))
        return NULL;
    cJSON_DeleteItemFromObjectCaseSensitive(json, "started");
    return TAKE(json);
}

static int print_json(const cJSON *json)
{
    CLEANUP_FREE char *printed = json ? json_print_pretty(json) : NULL;
    if (!printed)
        return EXIT_OUR_BUG;
    puts(printed);
    return EXIT_ALL_PASSED;
}

static int show_rows_as_json(const struct result_run *run, const char *selector, const struct show_arguments *arguments)
{
    int code = EXIT_ALL_PASSED;
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    cJSON *rows = json ? cJSON_AddArrayToObject(json, "rows") : NULL;
    if (!rows || json_set_integer(json, "v", SHOW_VERSION) || json_set_string(json, "run", run->id) ||
        json_set(json, "time_scale", cJSON_CreateNumber(run->time_scale)))
        return EXIT_OUR_BUG;
    for (size_t i = 0; i < run->row_count; i++) {
        cJSON *row = is_chosen(&run->rows[i], selector) ? row_to_json(run, &run->rows[i], arguments, &code) : NULL;
        if (row)
            cJSON_AddItemToArray(rows, row);
    }
    return print_json(json) ? EXIT_OUR_BUG : code;
}

/* As it stands on disk: nothing that a newer minor member says is lost. */
static int show_run_as_json(const char *folder)
{
    struct error error = ERROR_INIT;
    CLEANUP_JSON cJSON *json = results_read_json(folder, &error);
    return json ? print_json(json) : command_fail(&error);
}

/* ---- the command ---- */

static int show(const struct result_run *run, const char *selector, const struct show_arguments *arguments)
{
    if (selector)
        return arguments->wants_json ? show_rows_as_json(run, selector, arguments) : show_rows(run, selector, arguments);
    if (arguments->wants_json)
        return show_run_as_json(run->directory);
    int width = arguments->width ? arguments->width : terminal_width(stdout);
    const struct table_options table = {.width = arguments->is_wide ? 0 : width, .has_colour = log_has_colour(STDOUT_FILENO)};
    table_print(stdout, run, &table);
    return EXIT_ALL_PASSED;
}

int cli_show(int argc, char **argv)
{
    static const struct argp argp = {.options = options, .parser = take, .args_doc = "[RUN] [CASE]", .doc = text};
    struct show_arguments arguments = {0};
    struct error error = ERROR_INIT;
    CLEANUP_FREE char *folder = NULL;
    CLEANUP(result_run_done) struct result_run run = {0};
    const char *selector = NULL;
    command_parse(&argp, argc, argv, &arguments);
    if (choose_run(&arguments, &folder, &selector, &error) || results_read(folder, &run, &error))
        return command_fail(&error);
    result_set(&run.directory, folder);
    if (selector && check_case(&run, selector, &error)) {
        command_fail(&error);
        return EXIT_NOTHING_SELECTED;
    }
    return show(&run, selector, &arguments);
}
