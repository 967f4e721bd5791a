/*
 * harness/cli/survey_arguments.h - the options of commands that look for boards
 */
#ifndef HARNESS_CLI_SURVEY_ARGUMENTS_H
#define HARNESS_CLI_SURVEY_ARGUMENTS_H

#include "harness/discover/survey.h"

#include <argp.h>

enum {
    SURVEY_WORDS_MAX = 64,
    SURVEY_TIMEOUT_S = 15,
    OPTION_SURVEY_VIRTUAL = 512,
    OPTION_SURVEY_ALL,
    OPTION_SURVEY_NO_PROBE,
    OPTION_SURVEY_BAUD,
    OPTION_SURVEY_TIMEOUT,
};

struct survey_arguments {
    const char *words[SURVEY_WORDS_MAX];
    const char *virtuals[SURVEY_WORDS_MAX];
    struct survey_options options;
};

#define SURVEY_OPTIONS                                                                                                                     \
    {"virtual", OPTION_SURVEY_VIRTUAL, "DIR", 0, "Also the virtual DK whose state folder DIR is, or all those below DIR", 0},              \
        {"all", OPTION_SURVEY_ALL, NULL, 0, "Ask ports of other vendors too: they are sent AT commands", 0},                               \
        {"no-probe", OPTION_SURVEY_NO_PROBE, NULL, 0, "Open no port: say what is known without", 0},                                       \
        {"baud", OPTION_SURVEY_BAUD, "N", 0, "Speed of the ports (default 115200)", 0},                                                    \
    {                                                                                                                                      \
        "timeout", OPTION_SURVEY_TIMEOUT, "S", 0, "Seconds to wait for answers, all ports together (default 15)", 0                        \
    }

void survey_arguments_init(struct survey_arguments *arguments);
/* For the parser of a command: ARGP_ERR_UNKNOWN for what is none of these. */
error_t survey_arguments_take(int key, char *word, struct argp_state *state, struct survey_arguments *arguments);

#endif
