/* dpsbench run */
#include "base/arguments.h"
#include "base/cleanup.h"
#include "base/files.h"
#include "base/log.h"
#include "harness/cli/cli.h"
#include "harness/cli/run_words.h"
#include "harness/cli/terminal.h"
#include "harness/rig/place.h"
#include "harness/run/resume.h"
#include "harness/run/run.h"
#include "harness/run/schedule.h"
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
    OPTION_SHARD,
    OPTION_REPEAT,
    OPTION_RETRIES,
    OPTION_UNTIL_FAIL,
    OPTION_TIME_BUDGET,
    OPTION_QUARANTINE,
    OPTION_RESUME,
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
    const char *quarantine;
    const char *resume; /* folder of a run that was killed; NULL: none */
    size_t jobs;
    unsigned shard_index, shard_count, repeat, retries; /* 0: not given */
    int64_t time_budget_s;                              /* likewise */
    bool is_until_fail;
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
    {"shard", OPTION_SHARD, "I/N", 0, "Run the I-th of N parts of the rows: the same parts on every machine, together the whole", 1},
    {"repeat", OPTION_REPEAT, "N", 0, "Run each row N times, all of them before the first comes again", 1},
    {"until-fail", OPTION_UNTIL_FAIL, NULL, 0, "Run again and again (at most --repeat times) until a row does not go well", 1},
    {"retries", OPTION_RETRIES, "N", 0,
     "Run a row that does not go well up to N times more (1 to 9). Its verdict stays; one that goes well then is marked unstable", 1},
    {"time-budget", OPTION_TIME_BUDGET, "TIME", 0,
     "Begin no row that might not end within TIME (45s, 20m, 8h, 1h30m); what did not run is listed, exit code 6", 1},
    {"quarantine", OPTION_QUARANTINE, "FILE", 0,
     "Rows that run and do not count for the exit code until a day (docs/nights.md). Default: quarantine.yaml of the cases, if there is "
     "one",
     1},
    {"resume", OPTION_RESUME, "DIR", 0,
     "Go on with the run of that folder after a kill, a power cut, Ctrl-C or the end of its time budget: with its options, on the same rig "
     "and cases. "
     "--time-budget and --jobs may be others",
     1},
    {"worker", OPTION_WORKER, "DIR", OPTION_HIDDEN, NULL, 0},
    {"json", OPTION_JSON, NULL, 0, "Print results.json (docs/results.md) in place of the table", 2},
    {0},
};

static const char text[] =
    "Run the cases that SELECT names (default: all) and report. SELECT is a case, a row, an area or a glob: see `dpsbench list`."
    "\vExit codes: 0 all passed, 1 a device failed, 2 wrong usage or a bad file, 3 trouble with rig or simulator, 4 a bug of "
    "ours, 5 nothing selected, 6 nothing went wrong but not all rows ran, 77 all skipped, 130 interrupted.\n"
    "\n"
    "Examples:\n"
    "  dpsbench run\n"
    "  dpsbench run refused server/root-missing\n"
    "  dpsbench run '*:connack' --out /tmp/connack\n"
    "  dpsbench run --rig fixtures/rigs/reference.yaml --json\n"
    "  dpsbench run --rig desk.yaml --retries 2 --time-budget 8h --out nights/today\n"
    "  dpsbench run --resume nights/today\n"
    "  dpsbench run --shard 2/5 --out shard-2\n";

static unsigned read_count(const char *word, const char *what, long max, struct argp_state *state)
{
    char *end;
    long count = strtol(word, &end, 10);
    if (!*word || *end || count < 1 || count > max)
        arguments_refuse(state, "'%s' is not %s from 1 to %ld", word, what, max);
    return (unsigned)count;
}

/* What makes a night's run. */
static void take_night(int key, const char *word, struct argp_state *state)
{
    struct run_arguments *arguments = state->input;
    struct error error = ERROR_INIT;
    int failed = 0;
    switch (key) {
    case OPTION_SHARD:
        failed = run_words_shard(word, &arguments->shard_index, &arguments->shard_count, &error);
        break;
    case OPTION_TIME_BUDGET:
        failed = run_words_duration(word, &arguments->time_budget_s, &error);
        break;
    case OPTION_REPEAT:
        arguments->repeat = read_count(word, "a number of repetitions", SCHEDULE_TURNS_MAX, state);
        break;
    case OPTION_RETRIES:
        arguments->retries = read_count(word, "a number of retries", RUN_RETRIES_MAX, state);
        break;
    case OPTION_UNTIL_FAIL:
        arguments->is_until_fail = true;
        break;
    case OPTION_QUARANTINE:
        arguments->quarantine = word;
        break;
    default:
        arguments->resume = word;
    }
    if (failed)
        arguments_refuse(state, "%s", error.text);
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
        arguments->keeps_order = run_words_keeps_order(word, state);
        return 0;
    case OPTION_JOBS:
        arguments->jobs = read_count(word, "a number of devices", RIG_DEVICES_MAX, state);
        return 0;
    case OPTION_SHARD:
    case OPTION_REPEAT:
    case OPTION_RETRIES:
    case OPTION_UNTIL_FAIL:
    case OPTION_TIME_BUDGET:
    case OPTION_QUARANTINE:
    case OPTION_RESUME:
        take_night(key, word, state);
        return 0;
    case OPTION_WORKER:
        arguments->worker = word;
        return 0;
    case OPTION_JSON:
        arguments->wants_json = true;
        return 0;
    case OPTION_TIME_SCALE:
        arguments->time_scale = run_words_time_scale(word, state);
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
    if (fflush(stdout) || ferror(stdout))
        log_info("the report is in %s/results.json", result->directory);
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
        .shard_index = arguments->shard_index,
        .shard_count = arguments->shard_count,
        .repeat = arguments->repeat,
        .retries = arguments->retries,
        .is_until_fail = arguments->is_until_fail,
        .time_budget_s = arguments->time_budget_s,
        .quarantine_file = arguments->quarantine,
        .is_resumed = arguments->resume != NULL,
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

/* ---- --resume ---- */

static bool is_same_word(const char *given, const char *then)
{
    return !given || (then && strcmp(given, then) == 0);
}

static bool are_same_selectors(const struct run_arguments *given, const struct run_options *then)
{
    bool is_same = given->selector_count == 0 || given->selector_count == then->selector_count;
    for (size_t i = 0; is_same && i < given->selector_count; i++)
        is_same = strcmp(given->selectors[i], then->selectors[i]) == 0;
    return is_same;
}

/* The first option that is given and was another; NULL: none. */
static const char *differing_option(const struct run_arguments *given, const struct resume_options *resumed)
{
    const struct run_options *then = &resumed->run;
    bool is_same_shard = !given->shard_count || (given->shard_count == then->shard_count && given->shard_index == then->shard_index);
    bool is_same_scale = given->time_scale <= 0 || !(given->time_scale < then->time_scale || given->time_scale > then->time_scale);
    const struct {
        const char *name;
        bool is_same;
    } options_given[] = {
        {"--rig", is_same_word(given->rig, resumed->rig)},
        {"--cases", is_same_word(given->cases, resumed->cases)},
        {"--quarantine", is_same_word(given->quarantine, resumed->quarantine)},
        {"--device", is_same_word(given->device, then->device_id)},
        {"--out", !given->out},
        {"--order", !given->keeps_order || then->keeps_order},
        {"--flash", !given->wants_flash || then->wants_flash},
        {"--time-scale", is_same_scale},
        {"--shard", is_same_shard},
        {"--repeat", !given->repeat || given->repeat == then->repeat},
        {"--retries", !given->retries || given->retries == then->retries},
        {"--until-fail", !given->is_until_fail || then->is_until_fail},
        {"SELECT", are_same_selectors(given, then)},
    };
    for (size_t i = 0; i < ARRAY_COUNT(options_given); i++)
        if (!options_given[i].is_same)
            return options_given[i].name;
    return NULL;
}

static void take_over(const struct resume_options *resumed, struct run_arguments *arguments)
{
    const struct run_options *then = &resumed->run;
    size_t count = then->selector_count < SELECTORS_MAX ? then->selector_count : SELECTORS_MAX;
    for (size_t i = 0; i < count; i++)
        arguments->selectors[i] = then->selectors[i];
    arguments->selector_count = count;
    arguments->rig = resumed->rig;
    arguments->cases = resumed->cases;
    arguments->quarantine = resumed->quarantine;
    arguments->device = then->device_id;
    arguments->out = arguments->resume;
    arguments->keeps_order = then->keeps_order;
    arguments->wants_flash = then->wants_flash;
    arguments->time_scale = then->time_scale;
    arguments->shard_index = then->shard_index;
    arguments->shard_count = then->shard_count;
    arguments->repeat = then->repeat;
    arguments->retries = then->retries;
    arguments->is_until_fail = then->is_until_fail;
    arguments->jobs = arguments->jobs ? arguments->jobs : then->jobs;
    arguments->time_budget_s = arguments->time_budget_s ? arguments->time_budget_s : then->time_budget_s;
}

static int resume(struct run_arguments *arguments, struct resume_options *ret_resumed, struct error *error)
{
    if (resume_read_options(arguments->resume, ret_resumed, error))
        return -1;
    const char *name = differing_option(arguments, ret_resumed);
    if (name)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "resume '%s': the run was not started with this %s; leave it out",
                         arguments->resume, name);
    take_over(ret_resumed, arguments);
    return 0;
}

int cli_run(int argc, char **argv)
{
    static const struct argp argp = {.options = options, .parser = take, .args_doc = "[SELECT]...", .doc = text};
    struct run_arguments arguments = {0};
    struct error error = ERROR_INIT;
    CLEANUP(rig_done) struct rig rig = {0};
    CLEANUP(resume_options_done) struct resume_options resumed = {0};
    command_parse(&argp, argc, argv, &arguments);
    if (arguments.resume && resume(&arguments, &resumed, &error))
        return command_fail(&error);
    if (arguments.rig ? rig_read_file(arguments.rig, &rig, &error) : rig_builtin(&rig, &error))
        return command_fail(&error);
    const struct rig_device *device = NULL;
    if (arguments.device && rig_find_device(&rig, arguments.device, &device, &error))
        return command_fail(&error);
    if (device)
        arguments.device = device->id;
    return run_on(&rig, &arguments);
}
