/* run: what ./bench perf starts: all measurements, figures against goals. */
#include "base/arguments.h"
#include "base/log.h"
#include "perf/run/enrollments.h"
#include "perf/run/goals.h"
#include "perf/run/pki.h"

#include <argp.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

enum {
    EXIT_MISSED = 1,
    EXIT_USAGE = 2,
    EXIT_MACHINE = 3,
    ROUNDS_DEFAULT = 5,
    COUNT_DEFAULT = 1000,
    COUNT_MAX = 20000,
    CONCURRENCY_DEFAULT = 64,
    CONCURRENCY_MAX = 1024,
    IDLE_DEFAULT = 1000,
    IDLE_MAX = 4000,
    STARTS = 5,
    KEY_BUILD = 0x100,
    KEY_ROUNDS,
    KEY_COUNT,
    KEY_CONCURRENCY,
    KEY_IDLE,
    KEY_ENROLLMENTS,
    KEY_SERVER_KEY,
    KEY_ONLY,
    KEY_CHECK,
    KEY_JSON,
};

struct options {
    char build[LAB_PATH_BYTES];
    const char *server_key;
    const char *only; /* NULL: all */
    size_t rounds, count, concurrency, idle_count, enrollment_count;
    bool is_checking;
    bool wants_json;
};

static const struct argp_option entries[] = {
    {"rounds", KEY_ROUNDS, "N", 0, "Interleaved rounds (default 5)", 0},
    {"count", KEY_COUNT, "N", 0, "Devices a load and round (default 1000)", 0},
    {"concurrency", KEY_CONCURRENCY, "N", 0, "Devices at a time (default 64)", 0},
    {"idle", KEY_IDLE, "N", 0, "Devices held idle (default 1000)", 0},
    {"enrollments", KEY_ENROLLMENTS, "N", 0, "Individual enrollments (default 10000)", 0},
    {"server-key", KEY_SERVER_KEY, "KIND", 0, "Key of all servers: p-256 (default: the harder comparison) or rsa-2048", 0},
    {"only", KEY_ONLY, "PART", 0, "One of: rates, idle, pki, enrollments, suite (the time to ready is always taken)", 0},
    {"check", KEY_CHECK, NULL, 0, "Exit status 1 when a goal is missed", 0},
    {"json", KEY_JSON, NULL, 0, "Print JSON in place of the table", 0},
    {"build", KEY_BUILD, "DIR", 0, "Build folder (default: where this program stands)", 0},
    {0},
};

static size_t read_number(struct argp_state *state, const char *name, const char *text, long max)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text || *end || value < 1 || value > max)
        arguments_refuse(state, "--%s '%s': give a number from 1 to %ld", name, text, max);
    return (size_t)value;
}

static const char *read_word(struct argp_state *state, const char *name, const char *text, const char *const *words)
{
    for (size_t i = 0; words[i]; i++)
        if (strcmp(words[i], text) == 0)
            return words[i];
    arguments_refuse(state, "--%s '%s': see --help for what there is", name, text);
    return NULL;
}

static error_t on_key(int key, char *text, struct argp_state *state)
{
    static const char *const keys[] = {"p-256", "rsa-2048", NULL};
    static const char *const parts[] = {"rates", "idle", "pki", "enrollments", "suite", NULL};
    struct options *options = state->input;
    switch (key) {
    case KEY_BUILD:
        snprintf(options->build, sizeof options->build, "%s", text);
        break;
    case KEY_ROUNDS:
        options->rounds = read_number(state, "rounds", text, ROUNDS_MAX);
        break;
    case KEY_COUNT:
        options->count = read_number(state, "count", text, COUNT_MAX);
        break;
    case KEY_CONCURRENCY:
        options->concurrency = read_number(state, "concurrency", text, CONCURRENCY_MAX);
        break;
    case KEY_IDLE:
        options->idle_count = read_number(state, "idle", text, IDLE_MAX);
        break;
    case KEY_ENROLLMENTS:
        options->enrollment_count = read_number(state, "enrollments", text, ENROLLMENTS_COUNT);
        break;
    case KEY_SERVER_KEY:
        options->server_key = read_word(state, "server-key", text, keys);
        break;
    case KEY_ONLY:
        options->only = read_word(state, "only", text, parts);
        break;
    case KEY_CHECK:
        options->is_checking = true;
        break;
    case KEY_JSON:
        options->wants_json = true;
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const char doc[] =
    "Measure simulator and harness against yardsticks that run beside them, and against their goals (docs/performance.md).\v"
    "Examples:\n"
    "  ./bench perf                        all of it, about two minutes\n"
    "  ./bench perf --only rates --rounds 9\n"
    "  ./bench perf --server-key rsa-2048 --json\n"
    "\n"
    "Exit status: 0 measured, 1 a device failed or got a wrong reply (with --check: or a goal is missed), 2 wrong usage, 3 trouble of the "
    "machine.\n";

/* build/perf/run: two folders up is the build folder. */
static void find_build(char build[LAB_PATH_BYTES])
{
    ssize_t length = readlink("/proc/self/exe", build, LAB_PATH_BYTES - 1);
    build[length < 0 ? 0 : length] = 0;
    for (int i = 0; i < 2; i++) {
        char *slash = strrchr(build, '/');
        if (slash)
            *slash = 0;
    }
}

static void parse(int argc, char **argv, struct options *ret_options)
{
    static const struct argp argp = {.options = entries, .parser = on_key, .doc = doc};
    *ret_options = (struct options){.server_key = "p-256",
                                    .rounds = ROUNDS_DEFAULT,
                                    .count = COUNT_DEFAULT,
                                    .concurrency = CONCURRENCY_DEFAULT,
                                    .idle_count = IDLE_DEFAULT,
                                    .enrollment_count = ENROLLMENTS_COUNT};
    find_build(ret_options->build);
    argp_err_exit_status = EXIT_USAGE;
    /* As people call it, for help and errors. */
    static char name[] = "bench perf";
    argv[0] = name;
    arguments_parse(&argp, argc, argv, ret_options);
}

static bool wants(const struct options *options, const char *part)
{
    return !options->only || strcmp(options->only, part) == 0;
}

static int measure(struct lab *lab, const struct options *options, struct figures *figures, struct error *error)
{
    if (measure_ready(lab, STARTS, figures, error))
        return -1;
    if (wants(options, "idle") && measure_idle(lab, options->idle_count, figures, error))
        return -1;
    if (wants(options, "rates")) {
        figures->rounds = options->rounds;
        figures->count = options->count;
        figures->concurrency = options->concurrency;
        if (measure_rates(lab, figures, error))
            return -1;
    }
    if (wants(options, "pki") && measure_pki(options->rounds, figures, error))
        return -1;
    if (wants(options, "enrollments") && measure_enrollments(lab, options->enrollment_count, figures, error))
        return -1;
    return wants(options, "suite") ? measure_suite(lab, figures, error) : 0;
}

static int print(const struct figures *figures, bool wants_json)
{
    if (!wants_json) {
        goals_print(figures);
        return 0;
    }
    CLEANUP_JSON cJSON *json = goals_json(figures);
    CLEANUP_FREE char *text = json ? json_print_pretty(json) : NULL;
    return text && puts(text) >= 0 ? 0 : -1;
}

static bool misses_a_goal(const struct figures *figures)
{
    struct goal goals[GOALS_MAX];
    size_t count = goals_of(figures, goals);
    for (size_t i = 0; i < count; i++)
        if (!goal_is_met(&goals[i]))
            return true;
    return false;
}

/* A device needs two descriptors of the simulator and one of Mosquitto; both inherit the limit. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    struct options options;
    struct error error = ERROR_INIT;
    struct figures figures = {0};
    CLEANUP(lab_close) struct lab lab = {0};
    parse(argc, argv, &options);
    log_init("perf", LOG_INFO);
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    if (lab_open(&lab, options.build, options.server_key, &error) || measure(&lab, &options, &figures, &error)) {
        log_error("%s", error.text);
        return EXIT_MACHINE;
    }
    if (print(&figures, options.wants_json))
        return EXIT_MACHINE;
    if (!figures_are_clean(&figures) || (options.is_checking && misses_a_goal(&figures)))
        return EXIT_MISSED;
    return 0;
}
