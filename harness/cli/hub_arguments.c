#include "harness/cli/hub_arguments.h"

#include "base/arguments.h"
#include "base/cleanup.h"
#include "harness/cli/command.h"
#include "reports/result.h"

#include <stdio.h>
#include <string.h>

static int64_t read_seconds(const char *name, const char *word, int64_t least, struct argp_state *state)
{
    char *end;
    long long seconds = strtoll(word, &end, 10);
    if (*end || end == word || seconds < least || seconds > 1000000)
        arguments_refuse(state, "%s is a whole number from %lld on, not '%s'", name, (long long)least, word);
    return seconds;
}

static void take_property(struct hub_arguments *arguments, const char *word, struct argp_state *state)
{
    const char *equals = strchr(word, '=');
    if (!equals || equals == word)
        arguments_refuse(state, "--property is NAME=VALUE, not '%s'", word);
    if (arguments->property_count == HUB_PROPERTIES_MAX)
        arguments_refuse(state, "more than %d properties", HUB_PROPERTIES_MAX);
    arguments->properties[arguments->property_count++] = word;
}

static void take_word(struct hub_arguments *arguments, const char *word, struct argp_state *state)
{
    if (arguments->word_count == arguments->most_words)
        arguments_refuse(state, "'%s' is one argument too many", word);
    arguments->words[arguments->word_count++] = word;
}

static const char **text_of(struct hub_arguments *arguments, int key)
{
    switch (key) {
    case HUB_OPTION_STATE:
        return &arguments->state;
    case HUB_OPTION_HUB:
        return &arguments->hub;
    case HUB_OPTION_AUTH:
        return &arguments->auth;
    case HUB_OPTION_CERTIFICATE:
        return &arguments->certificate;
    case HUB_OPTION_THUMBPRINT:
        return &arguments->thumbprint;
    case HUB_OPTION_STATUS:
        return &arguments->status;
    case HUB_OPTION_TAGS:
        return &arguments->tags;
    case HUB_OPTION_ID:
        return &arguments->message_id;
    case HUB_OPTION_TYPE:
        return &arguments->content_type;
    default:
        return NULL;
    }
}

static error_t take(int key, char *word, struct argp_state *state)
{
    struct hub_arguments *arguments = state->input;
    const char **text = text_of(arguments, key);
    if (text) {
        *text = word;
        return 0;
    }
    switch (key) {
    case HUB_OPTION_JSON:
        arguments->wants_json = true;
        return 0;
    case HUB_OPTION_TIMEOUT:
        arguments->timeout_s = read_seconds("--timeout", word, 0, state);
        return 0;
    case HUB_OPTION_TTL:
        arguments->ttl_s = read_seconds("--expire-after", word, 1, state);
        return 0;
    case HUB_OPTION_CONNECT:
        arguments->connect_s = read_seconds("--connect-timeout", word, 0, state);
        return 0;
    case HUB_OPTION_COUNT:
        arguments->count = read_seconds("--count", word, 1, state);
        return 0;
    case HUB_OPTION_PROPERTY:
        take_property(arguments, word, state);
        return 0;
    case ARGP_KEY_ARG:
        take_word(arguments, word, state);
        return 0;
    case ARGP_KEY_END:
        if (arguments->word_count < arguments->least_words)
            arguments_refuse(state, "an argument is missing");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

void hub_arguments_read(const struct hub_usage *usage, int argc, char **argv, struct hub_arguments *ret_arguments)
{
    const struct argp argp = {.options = usage->options, .parser = take, .args_doc = usage->words, .doc = usage->text};
    *ret_arguments = (struct hub_arguments){.least_words = usage->least_words, .most_words = usage->most_words, .timeout_s = -1};
    command_parse(&argp, argc, argv, ret_arguments);
}

cJSON *hub_params(const struct hub_arguments *arguments)
{
    CLEANUP_JSON cJSON *params = cJSON_CreateObject();
    return json_set_string(params, "deviceId", arguments->words[0]) || json_set_string(params, "hub", arguments->hub) ? NULL : TAKE(params);
}

DEFINE_CLEANUP(struct sim_link *, sim_link_close)

int hub_call(const struct hub_arguments *arguments, const char *method, cJSON *params, int64_t wait_ms, cJSON **ret_result,
             struct error *error)
{
    CLEANUP_JSON cJSON *owned = params;
    CLEANUP(sim_link_close_cleanup) struct sim_link *link = NULL;
    if (!owned)
        return error_set_memory(error);
    if (sim_link_open(arguments->state, NULL, &link, error))
        return -1;
    deadline_t deadline = deadline_in_ms(&clock_system, CONTROL_DEADLINE_MS + wait_ms);
    return sim_link_call_until(link, method, TAKE(owned), deadline, ret_result, error);
}

int hub_print(const struct hub_arguments *arguments, const cJSON *json)
{
    CLEANUP_FREE char *printed = arguments->wants_json ? json_print_line(json) : json_print_pretty(json);
    if (!printed || printf("%s%s", printed, arguments->wants_json ? "\n" : "") < 0 || fflush(stdout))
        return EXIT_OUR_BUG;
    return 0;
}
