/* dpsbench dialect ...: what a dialect makes of a capture; the dialects that there are */
#include "base/arguments.h"
#include "base/cleanup.h"
#include "base/files.h"
#include "base/log.h"
#include "harness/cli/cli.h"
#include "harness/device/console_record.h"
#include "harness/device/dialect_check.h"
#include "harness/rig/place.h"
#include "harness/rig/rig.h"
#include "reports/result.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { PIECE_BYTES = 64 * 1024, MISSED_SHOWN_MAX = 20, OPTION_DIALECT = 256, OPTION_JSON, OPTION_SUMMARY, OPTION_ALL };

DEFINE_CLEANUP(struct dialect *, dialect_free)
#define CLEANUP_DIALECT CLEANUP(dialect_free_cleanup)
DEFINE_CLEANUP(struct dialect_check *, dialect_check_free)
#define CLEANUP_CHECK CLEANUP(dialect_check_free_cleanup)

/* ---- check: arguments ---- */

struct check_arguments {
    const char *log;
    const char *dialect;
    bool wants_json;
    bool wants_summary; /* and no lines */
    bool wants_all;     /* all kinds of missed lines */
};

static const struct argp_option check_options[] = {
    {"dialect", OPTION_DIALECT, "NAME|FILE", 0, "A dialect of `dpsbench dialect list`, or a file. Default: " RIG_DIALECT_DEFAULT, 0},
    {"summary", OPTION_SUMMARY, NULL, 0, "The summary without the lines", 0},
    {"all", OPTION_ALL, NULL, 0, "All missed lines in the summary, not only the most frequent", 0},
    {"json", OPTION_JSON, NULL, 0, "Print one JSON document", 0},
    {0},
};

static const char check_text[] =
    "Show what a dialect makes of a capture: each line with its event, or with what it is by its form; then what was missed, the most "
    "frequent "
    "first, and the entries of the dialect that never matched. LOG is a capture of the serial port as it came (colours and all), "
    "console.raw or "
    "console.log of a run, or '-' for standard input."
    "\vIn front of a line stands its event, its form in brackets (a boot banner, a notification, a hexdump, AT text), '-' when it was "
    "missed, '?' "
    "when it is damaged.\n"
    "\n"
    "Exit codes: 0 shown, 2 wrong usage, or a file that cannot be read, 5 the dialect recognises no line: it is another firmware's.\n"
    "\n"
    "Examples:\n"
    "  dpsbench dialect check boot.log\n"
    "  dpsbench dialect check boot.log --dialect ./our-sensor.yaml --summary\n"
    "  dpsbench dialect check reports/out/20261121T211500Z/dk/console.raw --json | jq .summary\n"
    "  cat /dev/ttyACM0 | dpsbench dialect check -\n";

static error_t take_check(int key, char *word, struct argp_state *state)
{
    struct check_arguments *arguments = state->input;
    switch (key) {
    case OPTION_DIALECT:
        arguments->dialect = word;
        return 0;
    case OPTION_JSON:
        arguments->wants_json = true;
        return 0;
    case OPTION_SUMMARY:
        arguments->wants_summary = true;
        return 0;
    case OPTION_ALL:
        arguments->wants_all = true;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->log)
            arguments_refuse(state, "'%s' is one argument too many", word);
        arguments->log = word;
        return 0;
    case ARGP_KEY_END:
        if (!arguments->log)
            arguments_refuse(state, "LOG is missing: a file, or '-' for standard input");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- check: lines ---- */

struct page {
    const struct check_arguments *arguments;
    bool has_lines;
    bool is_out_of_memory;
};

static const char *mark_of(const struct dialect_check_line *line, char buffer[32])
{
    switch (line->finding) {
    case DIALECT_RECOGNISED:
        return line->match->event;
    case DIALECT_TYPED:
        snprintf(buffer, 32, "(%s)", line->zephyr->kind == ZEPHYR_LOG ? zephyr_kind_name(ZEPHYR_FAULT) : console_record_type(line->zephyr));
        return buffer;
    case DIALECT_AT:
        return "(at)";
    case DIALECT_MISSED:
        return "-";
    case DIALECT_UNREADABLE:
        return "?";
    default:
        return "";
    }
}

static cJSON *line_to_json(const struct dialect_check_line *line)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_integer(json, "line", (int64_t)line->number) ||
        json_set_string(json, "finding", dialect_finding_name(line->finding)) ||
        json_set_string(json, "type", console_record_type(line->zephyr)) || json_set_string(json, "text", line->zephyr->text))
        return NULL;
    if (line->match &&
        (json_set_string(json, "event", line->match->event) || json_set(json, "fields", cJSON_Duplicate(line->match->fields, true))))
        return NULL;
    return TAKE(json);
}

/* One array, but never all of it in memory. */
static void print_json_line(struct page *page, const struct dialect_check_line *line)
{
    CLEANUP_JSON cJSON *json = line_to_json(line);
    CLEANUP_FREE char *printed = json ? json_print_line(json) : NULL;
    page->is_out_of_memory |= !printed;
    printf("%s\n    %s", page->has_lines ? "," : "", printed ? printed : "null");
    page->has_lines = true;
}

static void on_line(void *user, const struct dialect_check_line *line)
{
    struct page *page = user;
    char buffer[32];
    if (page->arguments->wants_summary)
        return;
    if (page->arguments->wants_json)
        print_json_line(page, line);
    else
        printf("%6" PRIu64 "  %-31s %s\n", line->number, mark_of(line, buffer), line->zephyr->text);
}

/* ---- check: the summary ---- */

static uint64_t count_lines(const struct dialect_check *check)
{
    uint64_t count = 0;
    for (int i = 0; i < DIALECT_FINDING_COUNT; i++)
        count += dialect_check_count(check, (enum dialect_finding)i);
    return count;
}

static void print_missed(const struct dialect_check *check, bool wants_all)
{
    size_t count;
    const struct dialect_missed *missed = dialect_check_missed(check, &count);
    size_t shown = wants_all || count < MISSED_SHOWN_MAX ? count : MISSED_SHOWN_MAX;
    if (count)
        puts("\nMissed, the most frequent first (times, first at line, level, module, message):");
    for (size_t i = 0; i < shown; i++) {
        const char *level = zephyr_level_name(missed[i].level);
        printf("%6" PRIu64 "  %6" PRIu64 "  %-3s  %-24s %s\n", missed[i].count, missed[i].first_line, level ? level : "-",
               missed[i].module[0] ? missed[i].module : "-", missed[i].message);
    }
    if (shown < count)
        printf("        ... and %zu more kinds of lines; --all shows them\n", count - shown);
    if (dialect_check_ungrouped(check))
        printf("%6" PRIu64 "  lines of further kinds\n", dialect_check_ungrouped(check));
}

static size_t count_silent(const struct dialect *dialect, const struct dialect_check *check)
{
    size_t count = 0;
    for (size_t i = 0; i < dialect_entry_count(dialect); i++)
        count += dialect_check_entry_count(check, i) == 0;
    return count;
}

static void print_silent(const struct dialect *dialect, const struct dialect_check *check)
{
    size_t silent = count_silent(dialect, check);
    if (silent)
        printf("\nEntries that never matched (%zu of %zu):\n", silent, dialect_entry_count(dialect));
    for (size_t i = 0; i < dialect_entry_count(dialect); i++) {
        struct dialect_entry entry = dialect_entry(dialect, i);
        const char *slash = strrchr(entry.place, '/');
        if (!dialect_check_entry_count(check, i))
            printf("  %-18s %-31s %s\n", slash ? slash + 1 : entry.place, entry.event, entry.message);
    }
}

static void print_summary(const struct dialect *dialect, const struct dialect_check *check, const struct check_arguments *arguments)
{
    print_missed(check, arguments->wants_all);
    print_silent(dialect, check);
    printf("\n%s: %s\n%" PRIu64 " lines:", arguments->dialect, dialect_title(dialect), count_lines(check));
    for (int i = 0; i < DIALECT_FINDING_COUNT; i++)
        printf("%s %" PRIu64 " %s", i ? "," : "", dialect_check_count(check, (enum dialect_finding)i),
               dialect_finding_name((enum dialect_finding)i));
    puts("");
}

static cJSON *missed_to_json(const struct dialect_missed *missed)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    const char *level = zephyr_level_name(missed->level);
    if (!json || json_set_integer(json, "count", (int64_t)missed->count) ||
        json_set_integer(json, "first_line", (int64_t)missed->first_line) || (level && json_set_string(json, "level", level)) ||
        (missed->module[0] && json_set_string(json, "module", missed->module)) || json_set_string(json, "message", missed->message))
        return NULL;
    return TAKE(json);
}

static cJSON *all_missed_to_json(const struct dialect_check *check)
{
    size_t count;
    const struct dialect_missed *missed = dialect_check_missed(check, &count);
    CLEANUP_JSON cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; list && i < count; i++)
        if (!cJSON_AddItemToArray(list, missed_to_json(&missed[i])))
            return NULL;
    return TAKE(list);
}

static cJSON *entry_to_json(struct dialect_entry entry, uint64_t count)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_string(json, "event", entry.event) || json_set_string(json, "place", entry.place) ||
        json_set_string(json, "message", entry.message) || json_set_integer(json, "count", (int64_t)count))
        return NULL;
    return TAKE(json);
}

static cJSON *entries_to_json(const struct dialect *dialect, const struct dialect_check *check)
{
    CLEANUP_JSON cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; list && i < dialect_entry_count(dialect); i++)
        if (!cJSON_AddItemToArray(list, entry_to_json(dialect_entry(dialect, i), dialect_check_entry_count(check, i))))
            return NULL;
    return TAKE(list);
}

static cJSON *summary_to_json(const struct dialect *dialect, const struct dialect_check *check)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_integer(json, "lines", (int64_t)count_lines(check)))
        return NULL;
    for (int i = 0; i < DIALECT_FINDING_COUNT; i++)
        if (json_set_integer(json, dialect_finding_name((enum dialect_finding)i),
                             (int64_t)dialect_check_count(check, (enum dialect_finding)i)))
            return NULL;
    if (json_set(json, "missed_lines", all_missed_to_json(check)) ||
        json_set_integer(json, "missed_ungrouped", (int64_t)dialect_check_ungrouped(check)) ||
        json_set(json, "entries", entries_to_json(dialect, check)))
        return NULL;
    return TAKE(json);
}

/* ---- check ---- */

static void begin_json(const struct check_arguments *arguments, const struct dialect *dialect)
{
    CLEANUP_JSON cJSON *name = cJSON_CreateString(arguments->dialect), *title = cJSON_CreateString(dialect_title(dialect));
    CLEANUP_FREE char *name_text = name ? json_print_line(name) : NULL, *title_text = title ? json_print_line(title) : NULL;
    printf("{\n  \"v\": 1,\n  \"dialect\": %s,\n  \"title\": %s,\n", name_text ? name_text : "null", title_text ? title_text : "null");
    if (!arguments->wants_summary)
        fputs("  \"lines\": [", stdout);
}

static int end_json(const struct page *page, const struct dialect *dialect, const struct dialect_check *check)
{
    CLEANUP_JSON cJSON *summary = summary_to_json(dialect, check);
    CLEANUP_FREE char *printed = summary ? json_print_line(summary) : NULL;
    if (!page->arguments->wants_summary)
        fputs("\n  ],\n", stdout);
    printf("  \"summary\": %s\n}\n", printed ? printed : "null");
    return printed && !page->is_out_of_memory ? 0 : -1;
}

static int read_log(FILE *file, const char *name, struct dialect_check *check, struct error *error)
{
    static char piece[PIECE_BYTES];
    for (size_t length; (length = fread(piece, 1, sizeof(piece), file)) > 0;)
        dialect_check_feed(check, piece, length);
    if (ferror(file))
        return error_set_errno(error, ERROR_OWNER_FILE, errno, "read '%s'", name);
    dialect_check_end(check);
    return 0;
}

static int open_log(const char *name, FILE **ret_file, struct error *error)
{
    FILE *file = strcmp(name, "-") == 0 ? fdopen(dup(STDIN_FILENO), "r") : fopen(name, "r");
    return file ? (*ret_file = file, 0) : error_set_errno(error, ERROR_OWNER_FILE, errno, "open '%s'", name);
}

static int open_dialect(const char *name, struct dialect **ret_dialect, struct error *error)
{
    CLEANUP_FREE char *path = NULL;
    return place_dialect(name, NULL, &path, error) || dialect_read_file(path, ret_dialect, error) ? -1 : 0;
}

static int show(struct page *page, const struct dialect *dialect, struct dialect_check *check, FILE *log, struct error *error)
{
    const struct check_arguments *arguments = page->arguments;
    if (arguments->wants_json)
        begin_json(arguments, dialect);
    if (read_log(log, arguments->log, check, error))
        return -1;
    if (arguments->wants_json)
        return end_json(page, dialect, check) ? error_set_memory(error) : 0;
    print_summary(dialect, check, arguments);
    return 0;
}

static int cli_dialect_check(int argc, char **argv)
{
    static const struct argp argp = {.options = check_options, .parser = take_check, .args_doc = "LOG", .doc = check_text};
    struct check_arguments arguments = {.dialect = RIG_DIALECT_DEFAULT};
    struct error error = ERROR_INIT;
    CLEANUP_DIALECT struct dialect *dialect = NULL;
    CLEANUP_FILE FILE *log = NULL;
    command_parse(&argp, argc, argv, &arguments);
    struct page page = {.arguments = &arguments};
    if (open_dialect(arguments.dialect, &dialect, &error) || open_log(arguments.log, &log, &error))
        return command_fail(&error);
    CLEANUP_CHECK struct dialect_check *check = dialect_check_new(dialect, on_line, &page);
    if (!check)
        return EXIT_OUR_BUG;
    if (show(&page, dialect, check, log, &error))
        return command_fail(&error);
    if (dialect_check_count(check, DIALECT_RECOGNISED))
        return EXIT_ALL_PASSED;
    log_error("the dialect '%s' recognises no line of '%s': is it the console of this firmware? `dpsbench dialect list` names the others",
              arguments.dialect, arguments.log);
    return EXIT_NOTHING_SELECTED;
}

/* ---- list ---- */

static error_t take_list(int key, char *word, struct argp_state *state)
{
    bool *wants_json = state->input;
    switch (key) {
    case OPTION_JSON:
        *wants_json = true;
        return 0;
    case ARGP_KEY_ARG:
        arguments_refuse(state, "'%s' is one argument too many", word);
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static cJSON *dialect_to_json(const char *name, const char *path, const struct dialect *dialect)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_string(json, "name", name) || json_set_string(json, "title", dialect_title(dialect)) ||
        json_set_string(json, "file", path) || json_set_integer(json, "entries", (int64_t)dialect_entry_count(dialect)))
        return NULL;
    return TAKE(json);
}

/* `list`: NULL prints a line. */
static int list_dialect(const char *folder, const char *file, cJSON *list, struct error *error)
{
    CLEANUP_FREE char *path = path_join(folder, file), *name = strndup(file, strlen(file) - strlen(".yaml"));
    CLEANUP_DIALECT struct dialect *dialect = NULL;
    if (!path || !name)
        return error_set_memory(error);
    if (dialect_read_file(path, &dialect, error))
        return -1;
    if (list)
        return cJSON_AddItemToArray(list, dialect_to_json(name, path, dialect)) ? 0 : error_set_memory(error);
    printf("%-16s %s\n", name, dialect_title(dialect));
    return 0;
}

static int list_dialects(const char *folder, cJSON *list, struct error *error)
{
    char **names = NULL;
    int rc = dir_list(folder, ".yaml", &names, error);
    for (char **name = names; name && *name && !rc; name++)
        rc = list_dialect(folder, *name, list, error);
    names_free(names);
    return rc;
}

static int print_document(cJSON *list)
{
    CLEANUP_JSON cJSON *document = cJSON_CreateObject();
    if (!document || json_set_integer(document, "v", 1) || json_set(document, "dialects", list))
        return EXIT_OUR_BUG;
    CLEANUP_FREE char *printed = json_print_pretty(document);
    return printed ? (fputs(printed, stdout), EXIT_ALL_PASSED) : EXIT_OUR_BUG;
}

static int cli_dialect_list(int argc, char **argv)
{
    static const struct argp_option options[] = {{"json", OPTION_JSON, NULL, 0, "Print one JSON document", 0}, {0}};
    static const struct argp argp = {
        .options = options,
        .parser = take_list,
        .doc = "List the dialects that are built in: a rig file names one with `dialect:`, or a file of one's own."
               "\vExamples:\n"
               "  dpsbench dialect list\n"
               "  dpsbench dialect list --json | jq -r '.dialects[].name'\n"};
    bool wants_json = false;
    struct error error = ERROR_INIT;
    CLEANUP_FREE char *folder = NULL;
    command_parse(&argp, argc, argv, &wants_json);
    if (place_data("fixtures/dialects", &folder, &error))
        return command_fail(&error);
    CLEANUP_JSON cJSON *list = wants_json ? cJSON_CreateArray() : NULL;
    if (list_dialects(folder, list, &error))
        return command_fail(&error);
    return wants_json ? print_document(TAKE(list)) : EXIT_ALL_PASSED;
}

const struct command cli_dialect_commands[] = {
    {"check", "Show what a dialect recognises in a capture, and what it misses", cli_dialect_check, NULL},
    {"list", "List the dialects that are built in", cli_dialect_list, NULL},
    {NULL, NULL, NULL, NULL},
};
