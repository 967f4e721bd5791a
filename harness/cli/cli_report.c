/* dpsbench report ... */
#include "base/arguments.h"
#include "base/cleanup.h"
#include "base/files.h"
#include "base/json.h"
#include "base/log.h"
#include "harness/cli/cli.h"
#include "harness/cli/terminal.h"
#include "reports/junit.h"
#include "reports/merge.h"
#include "reports/results_json.h"
#include "reports/table.h"

#include <string.h>

enum { OPTION_OUT = 256, OPTION_ALLOW_MISSING, OPTION_JSON };

struct merge_arguments {
    const char *folders[MERGE_PARTS_MAX];
    size_t folder_count;
    const char *out;
    bool allows_missing;
    bool wants_json;
};

static const struct argp_option options[] = {
    {"out", OPTION_OUT, "DIR", 0, "The merged report's own folder, made or empty", 0},
    {"allow-missing", OPTION_ALLOW_MISSING, NULL, 0,
     "Take what there is: a shard that is missing, or did not come to its end, is named; exit code 6", 0},
    {"json", OPTION_JSON, NULL, 0, "Print results.json (docs/results.md) in place of the table", 0},
    {0},
};

static const char text[] =
    "Put the shards of one run together: results.json and junit.xml of the whole, and below DIR/shard-N what each shard recorded, so that "
    "`dpsbench show DIR CASE` shows any row. FOLDER is the folder of a `dpsbench run --shard I/N`."
    "\vAll shards must be there, once each, at their end, and of one whole: same cases, same selection, same time scale, same dpsbench.\n"
    "\n"
    "Exit codes: those of `dpsbench run` for all rows together; 2 wrong usage, or folders that do not belong together.\n"
    "\n"
    "Examples:\n"
    "  dpsbench report merge shard-1 shard-2 shard-3 --out whole\n"
    "  dpsbench report merge artefacts/* --out whole --json | jq .summary\n";

static error_t take(int key, char *word, struct argp_state *state)
{
    struct merge_arguments *arguments = state->input;
    switch (key) {
    case OPTION_OUT:
        arguments->out = word;
        return 0;
    case OPTION_ALLOW_MISSING:
        arguments->allows_missing = true;
        return 0;
    case OPTION_JSON:
        arguments->wants_json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->folder_count == MERGE_PARTS_MAX)
            arguments_refuse(state, "more than %d folders", MERGE_PARTS_MAX);
        arguments->folders[arguments->folder_count++] = word;
        return 0;
    case ARGP_KEY_END:
        if (arguments->folder_count == 0)
            arguments_refuse(state, "which folders? Name that of each shard");
        if (!arguments->out)
            arguments_refuse(state, "where to? Name a folder with --out DIR");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- parts ---- */

struct parts {
    struct merge_part items[MERGE_PARTS_MAX];
    size_t count;
};

static void parts_free(struct parts *parts)
{
    for (size_t i = 0; parts && i < parts->count; i++)
        result_run_done(&parts->items[i].run);
    free(parts);
}
DEFINE_CLEANUP(struct parts *, parts_free)

static int read_parts(const struct merge_arguments *arguments, struct parts *parts, struct error *error)
{
    for (size_t i = 0; i < arguments->folder_count; i++) {
        struct merge_part *part = &parts->items[i];
        part->folder = arguments->folders[i];
        CLEANUP_FREE char *results = path_join(part->folder, RESULTS_FILE);
        if (!results)
            return error_set_memory(error);
        if (!path_exists(results))
            return error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "'%s' holds no " RESULTS_FILE ": it is not the folder of a run",
                             part->folder);
        if (results_read(part->folder, &part->run, error))
            return -1;
        parts->count++;
    }
    return 0;
}

/* ---- files ---- */

/* A copy below what is copied would never end. */
static bool is_below(const char *path, const char *folder)
{
    CLEANUP_FREE char *inner = path_absolute(path), *outer = path_absolute(folder);
    size_t length = outer ? strlen(outer) : 0;
    return inner && outer && strncmp(inner, outer, length) == 0 && (inner[length] == '/' || inner[length] == 0);
}

static int make_out(const struct merge_arguments *arguments, struct error *error)
{
    char **names = NULL;
    for (size_t i = 0; i < arguments->folder_count; i++)
        if (is_below(arguments->out, arguments->folders[i]))
            return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "--out '%s' is in the folder of shard '%s'", arguments->out,
                             arguments->folders[i]);
    if (dir_make(arguments->out, 0755, error) || dir_list(arguments->out, "", &names, error))
        return -1;
    bool is_empty = !names[0];
    names_free(names);
    return is_empty ? 0
                    : error_set(error, ERROR_OWNER_FILE, ERROR_EXISTS,
                                "folder '%s' is not empty: a merged report needs a folder of its own", arguments->out);
}

/* What the merged report says anew, and what only `--resume` reads, stays behind. */
static bool is_left_behind(const char *name)
{
    return strcmp(name, RESULTS_FILE) == 0 || strcmp(name, JUNIT_FILE) == 0 || strcmp(name, "journal.jsonl") == 0;
}

static int copy_part(const struct merge_part *part, const char *out, struct error *error)
{
    char **names = NULL, folder[MERGE_FOLDER_BYTES];
    CLEANUP_FREE char *to = path_join(out, merge_folder(part, folder));
    if (!to)
        return error_set_memory(error);
    if (dir_make(to, 0755, error) || dir_list(part->folder, "", &names, error))
        return -1;
    int failed = 0;
    for (char **name = names; *name && !failed; name++) {
        CLEANUP_FREE char *from_path = path_join(part->folder, *name), *to_path = path_join(to, *name);
        if (!is_left_behind(*name))
            failed = from_path && to_path ? tree_copy(from_path, to_path, error) : error_set_memory(error);
    }
    names_free(names);
    return failed;
}

static int copy_parts(const struct parts *parts, const char *out, struct error *error)
{
    for (size_t i = 0; i < parts->count; i++)
        if (copy_part(&parts->items[i], out, error))
            return -1;
    return 0;
}

/* ---- the command ---- */

static int print(const struct result_run *run, bool wants_json)
{
    const struct table_options table = {.width = terminal_width(stdout), .has_colour = log_has_colour(STDOUT_FILENO)};
    CLEANUP_JSON cJSON *json = wants_json ? results_to_json(run) : NULL;
    CLEANUP_FREE char *printed = json ? json_print_pretty(json) : NULL;
    if (wants_json && !printed)
        return EXIT_OUR_BUG;
    if (wants_json)
        puts(printed);
    else
        table_print(stdout, run, &table);
    return run->exit_code;
}

static int cli_report_merge(int argc, char **argv)
{
    static const struct argp argp = {.options = options, .parser = take, .args_doc = "FOLDER...", .doc = text};
    struct merge_arguments arguments = {0};
    struct error error = ERROR_INIT;
    command_parse(&argp, argc, argv, &arguments);
    CLEANUP(parts_free_cleanup) struct parts *parts = calloc(1, sizeof *parts);
    CLEANUP(result_run_done) struct result_run run = {0};
    if (!parts)
        return error_set_memory(&error), command_fail(&error);
    if (read_parts(&arguments, parts, &error) || merge_check(parts->items, parts->count, arguments.allows_missing, &error) ||
        merge_parts(parts->items, parts->count, &run, &error) || make_out(&arguments, &error) || copy_parts(parts, arguments.out, &error))
        return command_fail(&error);
    result_set(&run.directory, arguments.out);
    if (results_write(&run, &error) || junit_write(&run, &error))
        return command_fail(&error);
    return print(&run, arguments.wants_json);
}

const struct command cli_report_commands[] = {
    {"merge", "Put the shards of one run together: one report of all rows", cli_report_merge, NULL},
    {NULL, NULL, NULL, NULL},
};
