#include "harness/cli/survey_arguments.h"

#include "base/arguments.h"

#include <stdlib.h>

void survey_arguments_init(struct survey_arguments *arguments)
{
    *arguments = (struct survey_arguments){.options = {.deadline_ms = SURVEY_TIMEOUT_S * 1000}};
    arguments->options.words = arguments->words;
    arguments->options.virtuals = arguments->virtuals;
}

static long take_number(const char *word, long min, long max, const char *what, const struct argp_state *state)
{
    char *end;
    long value = strtol(word, &end, 10);
    if (!*word || *end || value < min || value > max)
        arguments_refuse(state, "'%s' is not %s from %ld to %ld", word, what, min, max);
    return value;
}

static void take_word(const char *word, const char **words, size_t *count, const struct argp_state *state)
{
    if (*count == SURVEY_WORDS_MAX)
        arguments_refuse(state, "more than %d names", SURVEY_WORDS_MAX);
    words[(*count)++] = word;
}

error_t survey_arguments_take(int key, char *word, struct argp_state *state, struct survey_arguments *arguments)
{
    struct survey_options *options = &arguments->options;
    switch (key) {
    case OPTION_SURVEY_VIRTUAL:
        take_word(word, arguments->virtuals, &options->virtual_count, state);
        return 0;
    case OPTION_SURVEY_ALL:
        options->asks_all = true;
        return 0;
    case OPTION_SURVEY_NO_PROBE:
        options->asks_none = true;
        return 0;
    case OPTION_SURVEY_BAUD:
        options->baud = (int)take_number(word, 300, 4000000, "a speed", state);
        return 0;
    case OPTION_SURVEY_TIMEOUT:
        options->deadline_ms = take_number(word, 1, 600, "a number of seconds", state) * 1000;
        return 0;
    case ARGP_KEY_ARG:
        take_word(word, arguments->words, &options->word_count, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}
