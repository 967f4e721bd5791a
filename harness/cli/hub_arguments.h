/*
 * harness/cli/hub_arguments.h - what the commands of `dpsbench hub` have in common
 *
 * What:     one struct of arguments and one parser for all of them; each command shows the options that are its own, and says which words it wants.
 */
#ifndef HARNESS_CLI_HUB_ARGUMENTS_H
#define HARNESS_CLI_HUB_ARGUMENTS_H

#include "base/json.h"
#include "harness/cli/sim_link.h"

#include <argp.h>

enum { HUB_WORDS_MAX = 3, HUB_PROPERTIES_MAX = 64, HUB_TIMEOUT_DEFAULT_S = 30 };

enum hub_option {
    HUB_OPTION_STATE = 256,
    HUB_OPTION_JSON,
    HUB_OPTION_TIMEOUT,
    HUB_OPTION_HUB,
    HUB_OPTION_AUTH,
    HUB_OPTION_CERTIFICATE,
    HUB_OPTION_THUMBPRINT,
    HUB_OPTION_STATUS,
    HUB_OPTION_TAGS,
    HUB_OPTION_PROPERTY,
    HUB_OPTION_ID,
    HUB_OPTION_TYPE,
    HUB_OPTION_TTL,
    HUB_OPTION_CONNECT,
    HUB_OPTION_COUNT,
};

struct hub_arguments {
    const char *words[HUB_WORDS_MAX]; /* NULL: not given */
    size_t word_count, least_words, most_words;
    const char *state;
    bool wants_json;
    int64_t timeout_s; /* -1: not given */
    const char *hub, *auth, *certificate, *thumbprint, *status, *tags;
    const char *properties[HUB_PROPERTIES_MAX]; /* NAME=VALUE */
    size_t property_count;
    const char *message_id, *content_type;
    int64_t ttl_s, connect_s, count; /* 0: not given */
};

#define HUB_STATE_OPTION                                                                                                                   \
    {                                                                                                                                      \
        "state", HUB_OPTION_STATE, "DIR", 0, "The simulator's state folder (default: the environment variable DPSBENCH_STATE)", 0          \
    }
#define HUB_JSON_OPTION                                                                                                                    \
    {                                                                                                                                      \
        "json", HUB_OPTION_JSON, NULL, 0, "Print the result as one line of JSON", 0                                                        \
    }

/* Of commands about one device. */
#define HUB_HUB_OPTION                                                                                                                     \
    {                                                                                                                                      \
        "hub", HUB_OPTION_HUB, "HOST", 0, "The hub that is meant, where several know the device", 0                                        \
    }

struct hub_usage {
    const struct argp_option *options;
    const char *words; /* "DEVICE BODY" */
    const char *text;
    size_t least_words, most_words;
};

/* Wrong usage ends the program with exit 2. */
void hub_arguments_read(const struct hub_usage *usage, int argc, char **argv, struct hub_arguments *ret_arguments);

/* {"deviceId":...} of the first word, with "hub" of --hub. NULL when out of memory. */
cJSON *hub_params(const struct hub_arguments *arguments);

/* One call on a connection of its own. `params` is taken over; NULL: out of memory. ret_result: given. */
int hub_call(const struct hub_arguments *arguments, const char *method, cJSON *params, int64_t wait_ms, cJSON **ret_result,
             struct error *error);
/* On stdout, indented or as one line. The exit code. */
int hub_print(const struct hub_arguments *arguments, const cJSON *json);

int cli_hub_send(int argc, char **argv);
int cli_hub_invoke(int argc, char **argv);
int cli_hub_desired(int argc, char **argv);
int cli_hub_watch(int argc, char **argv);

#endif
