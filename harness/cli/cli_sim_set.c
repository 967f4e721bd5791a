/* dpsbench sim set, clear, show, watch: the knobs of a simulator that runs, and what happens there */
#include "base/arguments.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "harness/cli/cli_sim.h"
#include "harness/cli/command.h"
#include "harness/cli/sim_link.h"
#include "reports/result.h"

#include <string.h>
#include <strings.h>

enum { OPTION_STATE = 256, OPTION_LANE, OPTION_JSON, WORDS_MAX = 128, NAME_MAX_BYTES = 64 };

struct set_arguments {
    const char *state;
    const char *lane;
    const char *words[WORDS_MAX];
    size_t word_count;
    bool wants_json;
};

static error_t take(int key, char *word, struct argp_state *state)
{
    struct set_arguments *arguments = state->input;
    switch (key) {
    case OPTION_STATE:
        arguments->state = word;
        return 0;
    case OPTION_LANE:
        arguments->lane = word;
        return 0;
    case OPTION_JSON:
        arguments->wants_json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->word_count == WORDS_MAX)
            arguments_refuse(state, "more than %d arguments", WORDS_MAX);
        arguments->words[arguments->word_count++] = word;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

#define STATE_OPTION                                                                                                                       \
    {                                                                                                                                      \
        "state", OPTION_STATE, "DIR", 0, "The simulator's state folder (default: the environment variable DPSBENCH_STATE)", 0              \
    }
#define LANE_OPTION                                                                                                                        \
    {                                                                                                                                      \
        "lane", OPTION_LANE, "LANE", 0, "On this lane (net and tls knobs), such as main; `dpsbench sim show` names them", 0                \
    }

DEFINE_CLEANUP(struct sim_link *, sim_link_close)
#define CLEANUP_LINK CLEANUP(sim_link_close_cleanup)

/* ---- whose knobs ---- */

struct target {
    const char *name; /* lane or registration id */
    bool is_lane;
    const char *const *rest; /* the words behind it */
    size_t rest_count;
};

static int read_target(const struct set_arguments *arguments, struct target *ret_target, struct error *error)
{
    size_t own = arguments->lane ? 0 : 1;
    if (!arguments->lane && (arguments->word_count == 0 || strchr(arguments->words[0], '=')))
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE,
                         "whose knobs? name a registration id, or --lane LANE; see `dpsbench sim set --help`");
    *ret_target = (struct target){.name = arguments->lane ? arguments->lane : arguments->words[0],
                                  .is_lane = arguments->lane != NULL,
                                  .rest = arguments->words + own,
                                  .rest_count = arguments->word_count - own};
    return 0;
}

static const cJSON *find_by(const cJSON *list, const char *member, const char *name)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (strcasecmp(json_string(item, member, ""), name) == 0 && !json_string(item, "lease", NULL))
            return item;
    }
    return NULL;
}

/* What is turned now by a person; what a run has set under its lease is the run's. */
static int read_turned(struct sim_link *link, const struct target *target, cJSON **ret_knobs, struct error *error)
{
    CLEANUP_JSON cJSON *result = NULL;
    if (sim_link_call(link, target->is_lane ? "lane.list" : "scenario.list", NULL, &result, error))
        return -1;
    const cJSON *list = json_member(result, target->is_lane ? "lanes" : "scenarios");
    const cJSON *item = find_by(list, target->is_lane ? "lane" : "registration_id", target->name);
    cJSON *knobs = item ? cJSON_Duplicate(json_member(item, "knobs"), true) : cJSON_CreateObject();
    return knobs ? (*ret_knobs = knobs, 0) : error_set_memory(error);
}

/* Takes `knobs` over. */
static int write_turned(struct sim_link *link, const struct target *target, cJSON *knobs, struct error *error)
{
    CLEANUP_JSON cJSON *params = cJSON_CreateObject();
    if (json_set_string(params, target->is_lane ? "lane" : "registration_id", target->name)) {
        cJSON_Delete(knobs);
        return error_set_memory(error);
    }
    if (json_set(params, "knobs", knobs))
        return error_set_memory(error);
    CLEANUP_JSON cJSON *result = NULL;
    if (sim_link_call(link, target->is_lane ? "lane.set" : "scenario.set", TAKE(params), &result, error))
        return -1;
    fputs(json_string(result, "root_ca", ""), stdout); /* of server_recipe: what a device must trust now */
    return 0;
}

/* ---- set ---- */

static const char *type_of(const cJSON *list, const char *name)
{
    const cJSON *knob = find_by(list, "name", name);
    return knob ? json_string(knob, "type", "") : "";
}

/* As its knob reads it. What does not fit goes as text: the simulator refuses it in its own words. */
static cJSON *read_value(const char *type, const char *text)
{
    char *end;
    double number = strtod(text, &end);
    if (strcmp(type, "integer") == 0 && *text && !*end)
        return cJSON_CreateNumber(number);
    if (strcmp(type, "boolean") == 0 && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0))
        return cJSON_CreateBool(text[0] == 't');
    return cJSON_CreateString(text);
}

static int add_word(cJSON *knobs, const cJSON *list, const char *word, struct error *error)
{
    char name[NAME_MAX_BYTES + 1];
    size_t length = strcspn(word, "=");
    if (!word[length] || length == 0 || length > NAME_MAX_BYTES)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "'%s' is no KNOB=VALUE", word);
    snprintf(name, sizeof name, "%.*s", (int)length, word);
    return json_set(knobs, name, read_value(type_of(list, name), word + length + 1)) ? error_set_memory(error) : 0;
}

static int set_words(struct sim_link *link, const struct target *target, struct error *error)
{
    CLEANUP_JSON cJSON *knobs = NULL, *list = NULL;
    if (read_turned(link, target, &knobs, error) || sim_link_call(link, "knob.list", NULL, &list, error))
        return -1;
    for (size_t i = 0; i < target->rest_count; i++)
        if (add_word(knobs, json_member(list, "knobs"), target->rest[i], error))
            return -1;
    return write_turned(link, target, TAKE(knobs), error);
}

int cli_sim_set(int argc, char **argv)
{
    static const struct argp_option options[] = {STATE_OPTION, LANE_OPTION, {0}};
    static const char text[] =
        "Turn knobs of a running simulator: mqtt, dps and hub knobs for the device with registration id ID, net and "
        "tls knobs on a lane. Those that "
        "are turned already stay so; faults are counted anew. `dpsbench sim knobs` explains them."
        "\vExamples:\n"
        "  dpsbench sim set --state sim dev-01 connack=5 fault_times=2\n"
        "  dpsbench sim set --state sim dev-01 close_when='after the 2nd PUBLISH on $dps/registrations/#'\n"
        "  dpsbench sim set --state sim --lane main delay_ms=300 net_fault=cut net_at='at ServerHelloDone'\n"
        "  dpsbench sim set --state sim --lane main server_recipe=server/expired >root.pem   (what a device must trust for it)\n";
    static const struct argp argp = {.options = options, .parser = take, .args_doc = "[ID] KNOB=VALUE...", .doc = text};
    struct set_arguments arguments = {.word_count = 0};
    struct target target;
    struct error error = ERROR_INIT;
    CLEANUP_LINK struct sim_link *link = NULL;
    command_parse(&argp, argc, argv, &arguments);
    if (read_target(&arguments, &target, &error))
        return command_fail(&error);
    if (target.rest_count == 0) {
        error_set(&error, ERROR_OWNER_FILE, ERROR_USAGE, "nothing to turn: give KNOB=VALUE; `dpsbench sim knobs` names them");
        return command_fail(&error);
    }
    if (sim_link_open(arguments.state, NULL, &link, &error) || set_words(link, &target, &error))
        return command_fail(&error);
    return 0;
}

/* ---- clear ---- */

static int clear_some(struct sim_link *link, const struct target *target, struct error *error)
{
    CLEANUP_JSON cJSON *knobs = NULL;
    if (read_turned(link, target, &knobs, error))
        return -1;
    for (size_t i = 0; i < target->rest_count; i++) {
        if (!cJSON_HasObjectItem(knobs, target->rest[i]))
            return error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND,
                             "knob '%s' is not turned for '%s'; `dpsbench sim show` names those that are", target->rest[i], target->name);
        cJSON_DeleteItemFromObjectCaseSensitive(knobs, target->rest[i]);
    }
    return write_turned(link, target, TAKE(knobs), error);
}

static int clear_all(struct sim_link *link, const struct target *target, struct error *error)
{
    if (target->is_lane)
        return write_turned(link, target, cJSON_CreateObject(), error);
    CLEANUP_JSON cJSON *params = cJSON_CreateObject();
    if (json_set_string(params, "registration_id", target->name))
        return error_set_memory(error);
    return sim_link_call(link, "scenario.clear", TAKE(params), NULL, error);
}

int cli_sim_clear(int argc, char **argv)
{
    static const struct argp_option options[] = {STATE_OPTION, LANE_OPTION, {0}};
    static const char text[] = "Turn knobs of a running simulator back: those named, or all of a device or a lane."
                               "\vExamples:\n"
                               "  dpsbench sim clear --state sim dev-01\n"
                               "  dpsbench sim clear --state sim dev-01 connack\n"
                               "  dpsbench sim clear --state sim --lane main\n";
    static const struct argp argp = {.options = options, .parser = take, .args_doc = "[ID] [KNOB]...", .doc = text};
    struct set_arguments arguments = {.word_count = 0};
    struct target target;
    struct error error = ERROR_INIT;
    CLEANUP_LINK struct sim_link *link = NULL;
    command_parse(&argp, argc, argv, &arguments);
    if (read_target(&arguments, &target, &error) || sim_link_open(arguments.state, NULL, &link, &error) ||
        (target.rest_count ? clear_some(link, &target, &error) : clear_all(link, &target, &error)))
        return command_fail(&error);
    return 0;
}

/* ---- show ---- */

static void print_knobs(const cJSON *knobs)
{
    const cJSON *knob;
    cJSON_ArrayForEach(knob, knobs)
    {
        CLEANUP_FREE char *value = json_print_line(knob);
        printf("  %s=%s\n", knob->string, cJSON_IsString(knob) ? knob->valuestring : value ? value : "?");
    }
    if (cJSON_GetArraySize(knobs) == 0)
        puts("  nothing is turned");
}

static void print_lane(const cJSON *lane)
{
    printf("lane %s (%s, %s, host %s, server %s)\n", json_string(lane, "lane", "?"), json_string(lane, "kind", "?"),
           json_string(lane, "address", "?"), json_string(lane, "host", "?"), json_string(lane, "recipe", "?"));
    print_knobs(json_member(lane, "knobs"));
}

static void print_scenario(const cJSON *scenario)
{
    const char *lease = json_string(scenario, "lease", NULL);
    printf("device %s%s%s%s\n", json_string(scenario, "registration_id", "?"), lease ? " (of lease " : "", lease ? lease : "",
           lease && !json_bool(scenario, "is_in_force", true) ? ", hidden by a newer one)"
           : lease                                            ? ")"
                                                              : "");
    print_knobs(json_member(scenario, "knobs"));
}

static int print_shown(const cJSON *lanes, const cJSON *scenarios, bool wants_json)
{
    const cJSON *item;
    if (wants_json) {
        CLEANUP_JSON cJSON *document = cJSON_CreateObject();
        if (json_set_integer(document, "v", 1) || json_set(document, "lanes", cJSON_Duplicate(lanes, true)) ||
            json_set(document, "scenarios", cJSON_Duplicate(scenarios, true)))
            return EXIT_OUR_BUG;
        CLEANUP_FREE char *printed = json_print_pretty(document);
        return printed && fputs(printed, stdout) >= 0 ? 0 : EXIT_OUR_BUG;
    }
    cJSON_ArrayForEach(item, lanes)
    {
        print_lane(item);
    }
    cJSON_ArrayForEach(item, scenarios)
    {
        print_scenario(item);
    }
    return 0;
}

int cli_sim_show(int argc, char **argv)
{
    static const struct argp_option options[] = {STATE_OPTION, {"json", OPTION_JSON, NULL, 0, "Print one JSON document", 0}, {0}};
    static const char text[] = "Show the lanes of a running simulator, and what is turned on them and for which devices."
                               "\vExamples:\n"
                               "  dpsbench sim show --state sim\n"
                               "  dpsbench sim show --state sim --json\n";
    static const struct argp argp = {.options = options, .parser = take, .args_doc = "", .doc = text};
    struct set_arguments arguments = {.word_count = 0};
    struct error error = ERROR_INIT;
    CLEANUP_LINK struct sim_link *link = NULL;
    CLEANUP_JSON cJSON *lanes = NULL, *scenarios = NULL;
    command_parse(&argp, argc, argv, &arguments);
    if (arguments.word_count)
        error_set(&error, ERROR_OWNER_FILE, ERROR_USAGE, "'%s' is one argument too many; see `dpsbench sim show --help`",
                  arguments.words[0]);
    if (error.code || sim_link_open(arguments.state, NULL, &link, &error) || sim_link_call(link, "lane.list", NULL, &lanes, &error) ||
        sim_link_call(link, "scenario.list", NULL, &scenarios, &error))
        return command_fail(&error);
    return print_shown(json_member(lanes, "lanes"), json_member(scenarios, "scenarios"), arguments.wants_json);
}

/* ---- watch ---- */

struct watch {
    const struct set_arguments *arguments;
    int64_t first_us; /* 0: nothing came yet */
    bool is_lost;
};

static bool is_wanted(const struct set_arguments *arguments, const cJSON *event)
{
    const char *id = json_string(event, "registration_id", "");
    bool is_lane = !arguments->lane || strcmp(json_string(event, "lane", ""), arguments->lane) == 0;
    for (size_t i = 0; i < arguments->word_count; i++)
        if (strcasecmp(arguments->words[i], id) == 0)
            return is_lane;
    return arguments->word_count == 0 && is_lane;
}

/* Values of a person's size: a chain of certificates is not. */
static void print_data(const cJSON *data)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, data)
    {
        CLEANUP_FREE char *value = json_print_line(item);
        const char *text = cJSON_IsString(item) ? item->valuestring : value ? value : "?";
        if (cJSON_IsArray(item) && strcmp(item->string, "chain") == 0)
            printf(" chain=%d", cJSON_GetArraySize(item));
        else
            printf(" %s=%.160s%s", item->string, text, strlen(text) > 160 ? "..." : "");
    }
}

static void print_event(struct watch *watch, const cJSON *event)
{
    int64_t at_us = json_integer(event, "mono_us", 0);
    if (!watch->first_us)
        watch->first_us = at_us;
    printf("%10.3f  %-20s %s", (double)(at_us - watch->first_us) / 1e6, json_string(event, "kind", "?"),
           json_string(event, "registration_id", "-"));
    if (cJSON_HasObjectItem(event, "session"))
        printf(" #%lld", (long long)json_integer(event, "session", 0));
    print_data(json_member(event, "data"));
    putchar('\n');
}

static void on_event(void *user, const cJSON *event)
{
    struct watch *watch = user;
    if (!is_wanted(watch->arguments, event))
        return;
    CLEANUP_FREE char *line = watch->arguments->wants_json ? json_print_line(event) : NULL;
    if (line)
        puts(line);
    else
        print_event(watch, event);
    fflush(stdout);
}

static void on_lost(void *user, const char *reason)
{
    struct watch *watch = user;
    log_warning("the simulator is gone: %s", reason);
    watch->is_lost = true;
}

static bool is_over(void *user)
{
    const struct watch *watch = user;
    return watch->is_lost || ferror(stdout);
}

int cli_sim_watch(int argc, char **argv)
{
    static const struct argp_option options[] = {
        STATE_OPTION, LANE_OPTION, {"json", OPTION_JSON, NULL, 0, "Print each event as one line of JSON", 0}, {0}};
    static const char text[] =
        "Print what happens at a running simulator, as it happens: all of it, or what concerns the devices ID or a lane. Ends with "
        "Ctrl-C, or when the simulator does. docs/events.md explains the events."
        "\vExamples:\n"
        "  dpsbench sim watch --state sim\n"
        "  dpsbench sim watch --state sim dev-01 --json\n";
    static const struct argp argp = {.options = options, .parser = take, .args_doc = "[ID]...", .doc = text};
    enum { FOREVER_MS = 1000 * 60 * 60 * 24 * 14 };
    struct set_arguments arguments = {.word_count = 0};
    struct watch watch = {.arguments = &arguments};
    const struct control_callbacks callbacks = {.user = &watch, .on_event = on_event, .on_lost = on_lost};
    struct error error = ERROR_INIT;
    CLEANUP_LINK struct sim_link *link = NULL;
    command_parse(&argp, argc, argv, &arguments);
    if (sim_link_open(arguments.state, &callbacks, &link, &error))
        return command_fail(&error);
    fputs("watching; Ctrl-C ends\n", stderr);
    if (waiting_until(sim_link_waiting(link), is_over, &watch, deadline_in_ms(&clock_system, FOREVER_MS), "events", &error) == 0)
        return watch.is_lost ? EXIT_RIG_TROUBLE : 0;
    return error.code == ERROR_INTERRUPTED ? 0 : command_fail(&error);
}
