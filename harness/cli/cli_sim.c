/* dpsbench sim ...: what a simulator can do to devices, and to one that runs */
#include "harness/cli/cli_sim.h"
#include "base/arguments.h"
#include "base/cleanup.h"
#include "base/yaml.h"
#include "harness/cli/cli.h"
#include "harness/rig/sibling.h"
#include "reports/result.h"

#include <string.h>

#define SIMULATOR "dpsbench-sim"

enum { OPTION_JSON = 256, OPTION_EVIDENCE, WORDS_MAX = 64 };

/* ---- knobs ---- */

struct knobs_arguments {
    const char *words[WORDS_MAX];
    size_t word_count;
    bool wants_json;
};

static error_t take_knobs(int key, char *word, struct argp_state *state)
{
    struct knobs_arguments *arguments = state->input;
    switch (key) {
    case OPTION_JSON:
        arguments->wants_json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->word_count == WORDS_MAX)
            arguments_refuse(state, "more than %d names", WORDS_MAX);
        arguments->words[arguments->word_count++] = word;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static bool is_named(const cJSON *knob, const char *word)
{
    return strcmp(json_string(knob, "name", ""), word) == 0 || strcmp(json_string(knob, "layer", ""), word) == 0;
}

static bool is_wanted(const cJSON *knob, const struct knobs_arguments *arguments)
{
    for (size_t i = 0; i < arguments->word_count; i++)
        if (is_named(knob, arguments->words[i]))
            return true;
    return arguments->word_count == 0;
}

/* Names and layers, NULL at the end; the caller frees the list, not the texts. */
static const char **all_words(const cJSON *knobs)
{
    size_t at = 0;
    const char **words = calloc(2 * (size_t)cJSON_GetArraySize(knobs) + 1, sizeof *words);
    const cJSON *knob;
    cJSON_ArrayForEach(knob, knobs)
    {
        if (words) {
            words[at++] = json_string(knob, "name", "");
            words[at++] = json_string(knob, "layer", "");
        }
    }
    return words;
}

static int check_words(const cJSON *knobs, const struct knobs_arguments *arguments, struct error *error)
{
    CLEANUP_FREE const char **words = all_words(knobs);
    if (!words)
        return error_set_memory(error);
    for (size_t i = 0; i < arguments->word_count; i++) {
        const char *word = arguments->words[i], *nearest = text_nearest(word, words);
        bool is_there = false;
        for (const char **at = words; *at && !is_there; at++)
            is_there = strcmp(*at, word) == 0;
        if (!is_there)
            return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE,
                             "'%s' is neither a knob nor a layer%s%s%s; `dpsbench sim knobs` names them all", word,
                             nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'" : "");
    }
    return 0;
}

static void print_values(const cJSON *knob)
{
    const cJSON *word;
    if (cJSON_HasObjectItem(knob, "min"))
        printf(" %lld to %lld", (long long)json_integer(knob, "min", 0), (long long)json_integer(knob, "max", 0));
    if (cJSON_HasObjectItem(knob, "max_bytes"))
        printf(" of at most %lld bytes", (long long)json_integer(knob, "max_bytes", 0));
    cJSON_ArrayForEach(word, json_member(knob, "words"))
    {
        printf("%s%s", word->prev && word->prev->next ? ", " : " ", cJSON_GetStringValue(word));
    }
}

static void print_knob(const cJSON *knob)
{
    CLEANUP_FREE char *fallback = json_print_line(cJSON_GetObjectItemCaseSensitive(knob, "default"));
    const char *evidence = json_string(knob, "evidence", NULL);
    printf("%s  [%s]  %s", json_string(knob, "name", "?"), json_string(knob, "layer", "?"), json_string(knob, "type", "?"));
    print_values(knob);
    printf("; default %s\n    %s\n", fallback ? fallback : "?", json_string(knob, "text", ""));
    if (evidence)
        printf("    evidence: %s\n", evidence);
}

static int print_document(const cJSON *knobs, const struct knobs_arguments *arguments)
{
    CLEANUP_JSON cJSON *document = cJSON_CreateObject();
    cJSON *list = cJSON_CreateArray();
    const cJSON *knob;
    cJSON_ArrayForEach(knob, knobs)
    {
        if (is_wanted(knob, arguments))
            cJSON_AddItemToArray(list, cJSON_Duplicate(knob, true));
    }
    if (json_set_integer(document, "v", 1) || json_set(document, "knobs", list))
        return EXIT_OUR_BUG;
    CLEANUP_FREE char *printed = json_print_pretty(document);
    return printed && fputs(printed, stdout) >= 0 ? 0 : EXIT_OUR_BUG;
}

static int sim_knobs(int argc, char **argv)
{
    static const struct argp_option options[] = {{"json", OPTION_JSON, NULL, 0, "Print one JSON document", 0}, {0}};
    static const char text[] = "Explain what a scenario may turn: each knob with its layer, type, default, one sentence, and the evidence "
                               "where there is some. NAME is a "
                               "knob or a layer: net, tls, mqtt, dps, hub, any."
                               "\vExamples:\n"
                               "  dpsbench sim knobs\n"
                               "  dpsbench sim knobs mqtt\n"
                               "  dpsbench sim knobs retry_after_s --json\n";
    static const struct argp argp = {.options = options, .parser = take_knobs, .args_doc = "[NAME]...", .doc = text};
    static const char *const question[] = {"--knobs", "--json", NULL};
    struct knobs_arguments arguments = {.word_count = 0};
    struct error error = ERROR_INIT;
    CLEANUP_JSON cJSON *document = NULL;
    command_parse(&argp, argc, argv, &arguments);
    if (sibling_ask(SIMULATOR, question, deadline_in_ms(&clock_system, SIBLING_DEADLINE_MS), &document, &error))
        return command_fail(&error);
    const cJSON *knobs = json_member(document, "knobs"), *knob;
    if (check_words(knobs, &arguments, &error))
        return command_fail(&error);
    if (arguments.wants_json)
        return print_document(knobs, &arguments);
    cJSON_ArrayForEach(knob, knobs)
    {
        if (is_wanted(knob, &arguments))
            print_knob(knob);
    }
    return 0;
}

/* ---- fidelity ---- */

struct fidelity_arguments {
    const char *evidence;
    bool wants_json;
};

static error_t take_fidelity(int key, char *word, struct argp_state *state)
{
    struct fidelity_arguments *arguments = state->input;
    switch (key) {
    case OPTION_JSON:
        arguments->wants_json = true;
        return 0;
    case OPTION_EVIDENCE:
        arguments->evidence = word;
        return 0;
    case ARGP_KEY_ARG:
        arguments_refuse(state, "'%s' is no option", word);
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* The table is the simulator's, and so is the way to print it. */
static int sim_fidelity(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"json", OPTION_JSON, NULL, 0, "Print one JSON document", 0},
        {"evidence", OPTION_EVIDENCE, "WORD", 0, "These alone: documented, field-observed, vendor, assumed, own", 0},
        {0},
    };
    static const char text[] =
        "Say of each behaviour of the simulator what it does by default, which knob changes it, how it is known that "
        "Azure does so, where that stands, and which test holds it (docs/fidelity.md)."
        "\vExamples:\n"
        "  dpsbench sim fidelity\n"
        "  dpsbench sim fidelity --evidence assumed\n"
        "  dpsbench sim fidelity --json\n";
    static const struct argp argp = {.options = options, .parser = take_fidelity, .doc = text};
    struct fidelity_arguments arguments = {.evidence = NULL};
    struct error error = ERROR_INIT;
    command_parse(&argp, argc, argv, &arguments);
    const char *words[5] = {"--fidelity"};
    size_t count = 1;
    if (arguments.wants_json)
        words[count++] = "--json";
    if (arguments.evidence) {
        words[count++] = "--evidence";
        words[count++] = arguments.evidence;
    }
    return sibling_become(SIMULATOR, words, &error) ? command_fail(&error) : 0;
}

const struct command cli_sim_commands[] = {
    {"fidelity", "Say of each behaviour how it is known", sim_fidelity, NULL},
    {"knobs", "Explain what a scenario may turn", sim_knobs, NULL},
    {"set", "Turn knobs for a device or on a lane", cli_sim_set, NULL},
    {"clear", "Turn knobs back", cli_sim_clear, NULL},
    {"show", "Show lanes, and what is turned", cli_sim_show, NULL},
    {"ticket", "Write a file by which another machine reaches a simulator that runs here", cli_sim_ticket, NULL},
    {"watch", "Print events as they happen", cli_sim_watch, NULL},
    {NULL, NULL, NULL, NULL},
};
