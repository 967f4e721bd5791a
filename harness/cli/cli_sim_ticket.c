/* dpsbench sim ticket */
#include "base/arguments.h"
#include "base/cleanup.h"
#include "base/files.h"
#include "base/ready.h"
#include "harness/cli/cli_sim.h"
#include "harness/cli/command.h"
#include "harness/control/simulator_place.h"
#include "reports/result.h"

#include <arpa/inet.h>
#include <string.h>

enum { OPTION_STATE = 256, OPTION_CONTROL, OPTION_OUT, HOST_MAX_BYTES = 256 };

struct ticket_arguments {
    const char *state;
    const char *control;
    const char *out;
};

static const struct argp_option options[] = {
    {"state", OPTION_STATE, "DIR", 0, "State folder of the simulator, on this machine (or DPSBENCH_STATE)", 0},
    {"control", OPTION_CONTROL, "HOST[:PORT]", 0,
     "By which name or address, and port, its control plane is reached from the other machine (default port: its own)", 0},
    {"out", OPTION_OUT, "FILE", 0, "Where to write the ticket: mode 0600, it holds a key (required)", 0},
    {0},
};

static const char text[] =
    "Write a ticket: one file by which `dpsbench` on another machine reaches the simulator that runs here. Name it there as `simulator: "
    "{ready: "
    "FILE}` in the rig file, or with --state. Whoever has it may do with the simulator what you may."
    "\vExamples:\n"
    "  dpsbench-sim --state sim --listen 0.0.0.0:8883 --control 0.0.0.0:8884 --host dps.example.org\n"
    "  dpsbench sim ticket --state sim --control dps.example.org --out bench.ticket\n"
    "  ssh -L 8884:127.0.0.1:8884 dps.example.org   (control plane on loopback: --control 127.0.0.1:8884 on both sides)\n";

static error_t take(int key, char *word, struct argp_state *state)
{
    struct ticket_arguments *arguments = state->input;
    switch (key) {
    case OPTION_STATE:
        arguments->state = word;
        return 0;
    case OPTION_CONTROL:
        arguments->control = word;
        return 0;
    case OPTION_OUT:
        arguments->out = word;
        return 0;
    case ARGP_KEY_ARG:
        arguments_refuse(state, "'%s': a ticket takes no further words", word);
        return EINVAL;
    case ARGP_KEY_END:
        if (!arguments->out)
            arguments_refuse(state, "where to? --out FILE");
        if (!arguments->control)
            arguments_refuse(state, "by which name is it reached? --control HOST[:PORT]");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* The port of `word`, else the simulator's own. "[::1]" and "::1" are addresses without a port. */
static int complete_address(const char *word, const cJSON *ready, char **ret_address, struct error *error)
{
    unsigned char binary[sizeof(struct in6_addr)];
    const char *own = strrchr(json_string(ready, "control", ":0"), ':');
    bool is_bare_v6 = inet_pton(AF_INET6, word, binary) == 1;
    const char *colon = is_bare_v6 ? NULL : strrchr(word, ':');
    bool has_port = colon && !strchr(colon, ']');
    char *end;
    long port = strtol(has_port ? colon + 1 : own + 1, &end, 10);
    size_t length = has_port ? (size_t)(colon - word) : strlen(word);
    if (*end || port < 1 || port > 65535 || length == 0 || length > HOST_MAX_BYTES)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "--control '%s': give HOST or HOST:PORT, such as dps.example.org:8884",
                         word);
    if (asprintf(ret_address, is_bare_v6 ? "[%.*s]:%ld" : "%.*s:%ld", (int)length, word, port) < 0)
        return error_set_memory(error);
    return 0;
}

static int write_ticket(const struct ticket_arguments *arguments, struct error *error)
{
    CLEANUP_JSON cJSON *ready = NULL, *ticket = NULL;
    CLEANUP_FREE char *address = NULL, *printed = NULL;
    const char *folder = arguments->state ? arguments->state : getenv("DPSBENCH_STATE");
    if (!folder || !*folder)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE,
                         "which simulator? name its state folder: --state DIR, or the environment variable DPSBENCH_STATE");
    if (ready_read(folder, "dpsbench-sim", &ready, error) || complete_address(arguments->control, ready, &address, error) ||
        ticket_make(ready, address, &ticket, error))
        return -1;
    printed = json_print_pretty(ticket);
    if (!printed)
        return error_set_memory(error);
    if (file_write_atomic(arguments->out, printed, strlen(printed), 0600, error))
        return -1;
    printf("ticket for %s written to %s\n", address, arguments->out);
    return 0;
}

int cli_sim_ticket(int argc, char **argv)
{
    static const struct argp argp = {.options = options, .parser = take, .doc = text};
    struct ticket_arguments arguments = {0};
    struct error error = ERROR_INIT;
    command_parse(&argp, argc, argv, &arguments);
    if (write_ticket(&arguments, &error))
        return command_fail(&error);
    return EXIT_SUCCESS;
}
