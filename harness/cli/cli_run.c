/* dpsbench run */
#include "base/arguments.h"
#include "base/cleanup.h"
#include "base/files.h"
#include "base/log.h"
#include "harness/cli/cli.h"
#include "harness/cli/terminal.h"
#include "harness/rig/place.h"
#include "harness/run/run.h"
#include "harness/run/worker.h"
#include "reports/results_json.h"
#include "reports/table.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    SELECTORS_MAX = 256,
    OPTION_RIG = 256,
    OPTION_OUT,
    OPTION_ORDER,
    OPTION_TIME_SCALE,
    OPTION_JSON,
    OPTION_CASES,
    OPTION_DEVICE,
    OPTION_FLASH,
    OPTION_JOBS,
    OPTION_WORKER,
    TRIES_MAX = 1000
};

struct run_arguments {
    const char *selectors[SELECTORS_MAX];
    size_t selector_count;
    const char *rig;
    const char *out;
    const char *cases;
    const char *device;
    const char *worker; /* private folder of the run that this process works for; NULL: none */
    size_t jobs;
    double time_scale; /* 0: not given */
    bool wants_flash;
    bool wants_json;
    bool keeps_order;
};

static const struct argp_option options[] = {
    {"rig", OPTION_RIG, "FILE", 0,
     "The rig (docs/rig.md), or a hardware map of Zephyr's Twister. Default: one virtual DK and a simulator of its own", 0},
    {"device", OPTION_DEVICE, "ID", 0,
     "Run on this device of the rig alone: its id, port, IMEI, or platform. Default: on each that is connected", 0},
    {"flash", OPTION_FLASH, NULL, 0, "Run the rig's hook `flash` on each device before its first row", 0},
    {"order", OPTION_ORDER, "ORDER", 0,
     "planned: so that the modem is written to least (default; see `dpsbench plan`); listed: as `dpsbench list` has them", 0},
    {"out", OPTION_OUT, "DIR", 0, "The run's own folder, made or empty. Default: reports/out/TIMESTAMP", 0},
    {"time-scale", OPTION_TIME_SCALE, "N", 0,
     "Speed up the waits of virtual devices N times, 1 to 1000 (default 50, or DPSBENCH_TIME_SCALE); real devices have 1", 0},
    {"cases", OPTION_CASES, "DIR", 0, "Another folder of cases", 0},
    {"jobs", OPTION_JOBS, "N", 0,
     "Of several devices run at most N at once. Default: all real ones; of virtual ones as many as there are processors", 0},
    {"worker", OPTION_WORKER, "DIR", OPTION_HIDDEN, NULL, 0},
    {"json", OPTION_JSON, NULL, 0, "Print results.json (docs/results.md) in place of the table", 0},
    {0},
};

static const char text[] =
    "Run the cases that SELECT names (default: all) and report. SELECT is a case, a row, an area or a glob: see `dpsbench list`."
    "\vExit codes: 0 all passed, 1 a device failed, 2 wrong usage or a bad file, 3 trouble with rig or simulator, 4 a bug of "
    "ours, 5 nothing selected, 77 all skipped, 130 interrupted.\n"
    "\n"
    "Examples:\n"
    "  dpsbench run\n"
    "  dpsbench run refused server/root-missing\n"
    "  dpsbench run '*:connack' --out /tmp/connack\n"
    "  dpsbench run --rig fixtures/rigs/reference.yaml --json\n";

static double read_scale(const char *word, struct argp_state *state)
{
    char *end;
    double scale = strtod(word, &end);
    if (!*word || *end || !(scale >= 1 && scale <= RUN_TIME_SCALE_MAX))
        arguments_refuse(state, "'%s' is not a time scale from 1 to %d", word, RUN_TIME_SCALE_MAX);
    return scale;
}

static bool read_order(const char *word, struct argp_state *state)
{
    if (strcmp(word, "listed") != 0 && strcmp(word, "planned") != 0)
        arguments_refuse(state, "'%s' is no order; one of: planned, listed", word);
    return strcmp(word, "listed") == 0;
}

static unsigned read_count(const char *word, const char *what, long max, struct argp_state *state)
{
    char *end;
    long count = strtol(word, &end, 10);
    if (!*word || *end || count < 1 || count > max)
        arguments_refuse(state, "'%s' is not %s from 1 to %ld", word, what, max);
    return (unsigned)count;
}

static error_t take(int key, char *word, struct argp_state *state)
{
    struct run_arguments *arguments = state->input;
    switch (key) {
    case OPTION_RIG:
        arguments->rig = word;
        return 0;
    case OPTION_OUT:
        arguments->out = word;
        return 0;
    case OPTION_CASES:
        arguments->cases = word;
        return 0;
    case OPTION_DEVICE:
        arguments->device = word;
        return 0;
    case OPTION_FLASH:
        arguments->wants_flash = true;
        return 0;
    case OPTION_ORDER:
        arguments->keeps_order = read_order(word, state);
        return 0;
    case OPTION_JOBS:
        arguments->jobs = read_count(word, "a number of devices", RIG_DEVICES_MAX, state);
        return 0;
    case OPTION_WORKER:
        arguments->worker = word;
        return 0;
    case OPTION_JSON:
        arguments->wants_json = true;
        return 0;
    case OPTION_TIME_SCALE:
        arguments->time_scale = read_scale(word, state);
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

/*
 * "reports/out/20261121T211500Z"; with a number behind it when somebody was there in the same second. Made by the call: of two runs that
 * start together only one makes a folder.
 */
static char *claim_folder(struct error *error)
{
    struct error reason = ERROR_INIT;
    if (dir_make("reports/out", 0755, &reason)) {
        error_set(error, reason.owner, reason.code, "%s; name another folder with --out DIR", reason.text);
        return NULL;
    }
    char stamp[32];
    time_t now = (time_t)clock_unix_s(&clock_system);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &utc);
    for (int i = 1; i < TRIES_MAX; i++) {
        char *path;
        if ((i == 1 ? asprintf(&path, "reports/out/%s", stamp) : asprintf(&path, "reports/out/%s-%d", stamp, i)) < 0) {
            error_set_memory(error);
            return NULL;
        }
        if (!mkdir(path, 0755))
            return path;
        int errno_value = errno;
        error_set_errno(error, ERROR_OWNER_RIG, errno_value, "make folder '%s' (name another one with --out DIR)", path);
        free(path);
        if (errno_value != EEXIST)
            return NULL;
    }
    return NULL;
}

/* A run that never began leaves none. Whatever is in it stays. */
static void forget_folder(char **folder)
{
    if (*folder)
        rmdir(*folder);
    free(*folder);
}

static int scale_from_environment(const struct rig *rig, double *scale, struct error *error)
{
    const char *word = getenv("DPSBENCH_TIME_SCALE");
    char *end;
    if (*scale > 0 || !word || !*word || !rig_takes_time_scale(rig))
        return 0;
    double value = strtod(word, &end);
    if (*end || !(value >= 1 && value <= RUN_TIME_SCALE_MAX))
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "DPSBENCH_TIME_SCALE: '%s' is not a time scale from 1 to %d", word,
                         RUN_TIME_SCALE_MAX);
    *scale = value;
    return 0;
}

static int print_json(const struct result_run *result)
{
    CLEANUP_JSON cJSON *json = results_to_json(result);
    CLEANUP_FREE char *printed = json ? json_print_pretty(json) : NULL;
    return printed ? (fputs(printed, stdout), 0) : -1;
}

static int report(const struct result_run *result, bool wants_json)
{
    const struct table_options table = {.width = terminal_width(stdout), .has_colour = log_has_colour(STDOUT_FILENO)};
    if (wants_json)
        print_json(result);
    else
        table_print(stdout, result, &table);
    /* A full disk or a closed pipe must not look like success. */
    if (fflush(stdout) || ferror(stdout)) {
        log_error("write the report to standard output failed; it is in %s/results.json", result->directory);
        return EXIT_RIG_TROUBLE;
    }
    return result->exit_code;
}

static int fail(const struct error *error)
{
    int code = command_fail(error);
    return error->owner == ERROR_OWNER_FILE && error->code == ERROR_NOT_FOUND ? EXIT_NOTHING_SELECTED : code;
}

static int run_on(const struct rig *rig, const struct run_arguments *arguments)
{
    struct error error = ERROR_INIT;
    CLEANUP_FREE char *cases = NULL;
    CLEANUP(forget_folder) char *folder = arguments->out ? NULL : claim_folder(&error);
    if (!folder && !arguments->out)
        return command_fail(&error);
    struct run_options run = {
        .rig = rig,
        .cases_directory = arguments->cases,
        .cases_shown = arguments->cases ? arguments->cases : "cases",
        .has_own_cases = arguments->cases != NULL,
        .selectors = arguments->selectors,
        .selector_count = arguments->selector_count,
        .device_id = arguments->device,
        .keeps_order = arguments->keeps_order || arguments->worker,
        .directory = folder ? folder : arguments->out,
        .wants_flash = arguments->wants_flash,
        .time_scale = arguments->time_scale,
        .jobs = arguments->jobs,
        .talk = stderr,
    };
    if (scale_from_environment(rig, &run.time_scale, &error) || (!arguments->cases && place_data("cases", &cases, &error)))
        return command_fail(&error);
    if (!arguments->cases)
        run.cases_directory = cases;
    if (arguments->worker)
        return worker_serve(&run, arguments->worker);
    CLEANUP(result_run_done) struct result_run result = {0};
    if (run_suite(&run, &result, &error))
        return fail(&error);
    return report(&result, arguments->wants_json);
}

int cli_run(int argc, char **argv)
{
    static const struct argp argp = {.options = options, .parser = take, .args_doc = "[SELECT]...", .doc = text};
    struct run_arguments arguments = {0};
    struct error error = ERROR_INIT;
    CLEANUP(rig_done) struct rig rig = {0};
    command_parse(&argp, argc, argv, &arguments);
    if (arguments.rig ? rig_read_file(arguments.rig, &rig, &error) : rig_builtin(&rig, &error))
        return command_fail(&error);
    const struct rig_device *device = NULL;
    if (arguments.device && rig_find_device(&rig, arguments.device, &device, &error))
        return command_fail(&error);
    if (device)
        arguments.device = device->id;
    return run_on(&rig, &arguments);
}
