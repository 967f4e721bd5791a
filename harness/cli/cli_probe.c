/* dpsbench probe */
#include "base/arguments.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/ready.h"
#include "harness/cli/cli.h"
#include "harness/probe/endpoint.h"
#include "harness/probe/probe.h"
#include "harness/probe/recording.h"
#include "harness/try/device_files.h"
#include "reports/result.h"

#include <string.h>

#define AZURE_HOST "global.azure-devices-provisioning.net"

enum {
    OPTION_CERT = 256,
    OPTION_KEY,
    OPTION_ROOT,
    OPTION_REGISTRATION_ID,
    OPTION_ID_SCOPE,
    OPTION_ENDPOINT,
    OPTION_CONNECT,
    OPTION_STATE,
    OPTION_RECORD,
    OPTION_TIMEOUT,
    OPTION_JSON,
    MQTT_TLS_PORT = 8883,
    TIMEOUT_S = 60,
    TIMEOUT_MAX_S = 3600,
};

struct probe_arguments {
    const char *cert;
    const char *key;
    const char *root;
    const char *registration_id;
    const char *id_scope;
    const char *endpoint;
    const char *connect;
    const char *state;
    const char *record;
    int64_t timeout_s;
    bool wants_json;
};

static const struct argp_option options[] = {
    {"cert", OPTION_CERT, "CHAIN", 0, "The device's client certificate, PEM: its own first, then its issuers (required)", 1},
    {"key", OPTION_KEY, "KEY", 0, "Its private key, PEM (required)", 1},
    {"registration-id", OPTION_REGISTRATION_ID, "ID", 0, "What the device calls itself (required)", 1},
    {"root", OPTION_ROOT, "ROOT", 0, "The server root of the device, PEM; without it, what this machine trusts", 1},
    {"id-scope", OPTION_ID_SCOPE, "SCOPE", 0, "Of the DPS instance (required without --state)", 1},
    {"state", OPTION_STATE, "DIR", 0, "Probe the simulator that runs on this folder: address, name, root and ID scope are its own", 2},
    {"endpoint", OPTION_ENDPOINT, "HOST[:PORT]", 0, "Probe this server; without it, " AZURE_HOST ":8883", 2},
    {"connect", OPTION_CONNECT, "ADDR:PORT", 0, "Where the servers are, for DPS and hub, whatever their names", 2},
    {"record", OPTION_RECORD, "FILE", 0, "Keep the conversation, names and secrets replaced, for `dpsbench-sim --replay`", 3},
    {"timeout", OPTION_TIMEOUT, "SECONDS", 0, "For all of it (60)", 3},
    {"json", OPTION_JSON, NULL, 0, "Print one JSON document (docs/probe.md)", 3},
    {0},
};

static const char text[] =
    "Register with DPS and connect to the hub from this host, with a device's own credentials, against the simulator or the real Azure. "
    "Every "
    "step is told, then a verdict: are these credentials wrong, or is the device that holds them?"
    "\vExit codes: 0 assigned, and taken by the hub; 1 refused, or the server is not trusted; 2 wrong usage or a file that cannot be used; "
    "3 no "
    "answer, or trouble that passes; 4 a bug of ours; 130 interrupted.\n"
    "\n"
    "Examples:\n"
    "  dpsbench probe --cert chain.pem --key device.key --registration-id dev-01 \\\n"
    "    --state sim\n"
    "  dpsbench probe --cert chain.pem --key device.key --registration-id dev-01 \\\n"
    "    --root DigiCertGlobalRootG2.crt.pem --id-scope 0ne00000000 \\\n"
    "    --record azure.jsonl\n";

static void check(const struct probe_arguments *arguments, struct argp_state *state)
{
    const char *missing = !arguments->cert                            ? "--cert CHAIN"
                          : !arguments->key                           ? "--key KEY"
                          : !arguments->registration_id               ? "--registration-id ID"
                          : !arguments->id_scope && !arguments->state ? "--id-scope SCOPE (or --state DIR, for the simulator's)"
                                                                      : NULL;
    if (missing)
        arguments_refuse(state, "%s is missing", missing);
    if (!*arguments->registration_id)
        arguments_refuse(state, "--registration-id is empty");
    if (arguments->state && arguments->endpoint)
        arguments_refuse(state, "--state and --endpoint exclude each other: both name the server");
}

static int64_t read_timeout(const char *word, struct argp_state *state)
{
    char *end;
    long long seconds = strtoll(word, &end, 10);
    if (end == word || *end || seconds < 1 || seconds > TIMEOUT_MAX_S)
        arguments_refuse(state, "--timeout '%s' is not a number of seconds from 1 to %d", word, TIMEOUT_MAX_S);
    return seconds;
}

/* NULL for an option that is not a text. */
static const char **member_of(struct probe_arguments *arguments, int key)
{
    switch (key) {
    case OPTION_CERT:
        return &arguments->cert;
    case OPTION_KEY:
        return &arguments->key;
    case OPTION_ROOT:
        return &arguments->root;
    case OPTION_REGISTRATION_ID:
        return &arguments->registration_id;
    case OPTION_ID_SCOPE:
        return &arguments->id_scope;
    case OPTION_ENDPOINT:
        return &arguments->endpoint;
    case OPTION_CONNECT:
        return &arguments->connect;
    case OPTION_STATE:
        return &arguments->state;
    case OPTION_RECORD:
        return &arguments->record;
    default:
        return NULL;
    }
}

static error_t take(int key, char *word, struct argp_state *state)
{
    struct probe_arguments *arguments = state->input;
    const char **member = member_of(arguments, key);
    if (member)
        *member = word;
    else if (key == OPTION_TIMEOUT)
        arguments->timeout_s = read_timeout(word, state);
    else if (key == OPTION_JSON)
        arguments->wants_json = true;
    else if (key == ARGP_KEY_ARG)
        arguments_refuse(state, "'%s' is one argument too many: files are given as --cert, --key, --root", word);
    else if (key == ARGP_KEY_END)
        check(arguments, state);
    else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

/* ---- what it sees ---- */

struct view {
    struct recording *recording; /* NULL: none is wanted */
    cJSON *steps;                /* NULL: they are printed */
    int64_t first_us;
};

/* Unprinted where a line of its own would tell a person nothing. */
static bool is_told(const struct probe_event *event)
{
    return event->step != PROBE_TLS_MESSAGE || strcmp(event->name, "ClientHello") == 0 || strcmp(event->name, "ServerHello") == 0 ||
           strcmp(event->name, "CertificateRequest") == 0 || strcmp(event->name, "Certificate") == 0;
}

static void observe(void *user, const struct probe_event *event)
{
    struct view *view = user;
    if (!view->first_us)
        view->first_us = event->mono_us;
    if (view->recording)
        recording_add(view->recording, event);
    if (view->steps) {
        cJSON_AddItemToArray(view->steps, probe_event_json(event, view->first_us));
        return;
    }
    CLEANUP_FREE char *line = is_told(event) ? probe_event_text(event) : NULL;
    if (line)
        printf("%s %7.1f ms %s\n", probe_stage_name(event->stage), (double)(event->mono_us - view->first_us) / 1000, line);
    fflush(stdout);
}

/* ---- where it goes ---- */

struct target {
    char host[ENDPOINT_HOST_BYTES];
    uint16_t port;
    cJSON *ready; /* of the simulator; NULL: another server */
};

static void target_done(struct target *target)
{
    cJSON_Delete(target->ready);
}

static int find_target(const struct probe_arguments *arguments, struct target *target, struct error *error)
{
    if (!arguments->state)
        return endpoint_split(arguments->endpoint ? arguments->endpoint : AZURE_HOST, MQTT_TLS_PORT, target->host, &target->port, error);
    if (ready_read(arguments->state, "dpsbench-sim", &target->ready, error))
        return -1;
    snprintf(target->host, sizeof target->host, "%s", json_string(target->ready, "host", AZURE_HOST));
    return 0;
}

static struct dps_client_options options_of(const struct probe_arguments *arguments, const struct target *target,
                                            const struct device_files *files)
{
    const char *root = arguments->root ? arguments->root : json_string(target->ready, "root_ca", NULL);
    return (struct dps_client_options){
        .tls = {.chain = files->chain, .key = files->key, .root_path = root},
        .host = target->host,
        .port = target->port,
        .address = arguments->connect ? arguments->connect : json_string(target->ready, "dps", NULL),
        .compares_names = true,
        .id_scope = arguments->id_scope ? arguments->id_scope : json_string(target->ready, "id_scope", ""),
        .registration_id = arguments->registration_id,
        .time_scale = json_number(target->ready, "time_scale", 1),
        .deadline = deadline_in_ms(&clock_system, arguments->timeout_s * 1000),
    };
}

/* ---- what it says ---- */

static int print_json(const struct probe_result *result, struct view *view)
{
    CLEANUP_JSON cJSON *document = cJSON_CreateObject();
    if (json_set_integer(document, "v", PROBE_VERSION) || json_set_string(document, "outcome", probe_outcome_name(result->outcome)) ||
        json_set_string(document, "text", result->text) || json_set_string(document, "mend", result->mend) ||
        json_set(document, "steps", TAKE(view->steps)))
        return -1;
    CLEANUP_FREE char *printed = json_print_pretty(document);
    return printed ? (fputs(printed, stdout), 0) : -1;
}

static void print_verdict(const struct probe_result *result)
{
    bool is_good = result->outcome == PROBE_ACCEPTED, has_colour = log_has_colour(STDOUT_FILENO);
    printf("\n%s%s%s\n  %s\n", has_colour ? is_good ? "\033[1;32m" : "\033[1;31m" : "", probe_outcome_name(result->outcome),
           has_colour ? "\033[0m" : "", result->text);
    if (*result->mend)
        printf("  %s: %s\n", is_good ? "next" : "mend", result->mend);
}

static int exit_code(enum probe_outcome outcome)
{
    if (outcome == PROBE_ACCEPTED)
        return EXIT_ALL_PASSED;
    return outcome == PROBE_NO_ANSWER || outcome == PROBE_PASSING_TROUBLE ? EXIT_RIG_TROUBLE : EXIT_DEVICE_FAILED;
}

static int report(const struct probe_arguments *arguments, const struct probe_result *result, struct view *view)
{
    if (!arguments->wants_json)
        print_verdict(result);
    else if (print_json(result, view))
        return EXIT_OUR_BUG;
    return exit_code(result->outcome);
}

/* What was seen is kept however it ended. */
static int keep(const struct view *view, const char *path)
{
    struct error error = ERROR_INIT;
    return view->recording && recording_write(view->recording, path, &error) ? command_fail(&error) : 0;
}

static int start_view(const struct probe_arguments *arguments, const struct dps_client_options *client, struct view *view,
                      struct error *error)
{
    view->steps = arguments->wants_json ? cJSON_CreateArray() : NULL;
    view->recording =
        arguments->record ? recording_new(client->id_scope, client->registration_id, "dpsbench probe " DPSBENCH_VERSION) : NULL;
    return (arguments->record && !view->recording) || (arguments->wants_json && !view->steps) ? error_set_memory(error) : 0;
}

static int run(const struct probe_arguments *arguments, struct dps_client_options *client, struct view *view)
{
    CLEANUP(probe_result_done) struct probe_result result = {0};
    struct error error = ERROR_INIT;
    if (start_view(arguments, client, view, &error))
        return command_fail(&error);
    client->observer = (struct probe_observer){.observe = observe, .user = view};
    int code = probe_run(client, &result, &error) ? command_fail(&error) : report(arguments, &result, view);
    int kept = keep(view, arguments->record);
    return kept ? kept : code;
}

static int run_on_loop(const struct probe_arguments *arguments, struct dps_client_options *client)
{
    struct view view = {.recording = NULL};
    struct error error = ERROR_INIT;
    uv_loop_t loop;
    uv_loop_init(&loop);
    const struct waiting_options waiting = {.loop = &loop, .clock = &clock_system};
    int code = waiting_new(&waiting, &client->waiting, &error) ? command_fail(&error) : run(arguments, client, &view);
    waiting_free(client->waiting);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    recording_free(view.recording);
    cJSON_Delete(view.steps);
    return code;
}

int cli_probe(int argc, char **argv)
{
    static const struct argp argp = {.options = options, .parser = take, .doc = text};
    struct probe_arguments arguments = {.timeout_s = TIMEOUT_S};
    CLEANUP(device_files_done) struct device_files files = {0};
    CLEANUP(target_done) struct target target = {.port = MQTT_TLS_PORT};
    struct error error = ERROR_INIT;
    command_parse(&argp, argc, argv, &arguments);
    if (device_files_read(arguments.cert, arguments.key, &files, &error) || find_target(&arguments, &target, &error))
        return command_fail(&error);
    struct dps_client_options client = options_of(&arguments, &target, &files);
    return run_on_loop(&arguments, &client);
}
