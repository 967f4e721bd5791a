#include "broker_sim/simulator/options.h"

#include "base/arguments.h"
#include "base/bytes.h"
#include "broker_sim/dps/user_name.h"
#include "broker_sim/fidelity/fidelity.h"
#include "certs/attestation.h"

#include <argp.h>
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <string.h>

enum {
    KEY_STATE = 0x100,
    KEY_LISTEN,
    KEY_HOST,
    KEY_ID_SCOPE,
    KEY_PROFILE,
    KEY_POLICY,
    KEY_TIME_SCALE,
    KEY_TLS_MAX,
    KEY_SERVER_KEY,
    KEY_KNOBS,
    KEY_JSON,
    KEY_FIDELITY,
    KEY_EVIDENCE,
    KEY_SET_ASIDE,
    KEY_SERVICE,
    KEY_CONTROL,
    KEY_QUOTAS,
    KEY_CSR_PREVIEW,
    KEY_WEBHOOK_TIMEOUT,
    KEY_WEBHOOK_ANY_HOST,
    KEY_REPLAY,
    KEY_END,
};

static const struct argp_option entries[] = {
    {"state", KEY_STATE, "DIR", 0, "State folder: enrollments, certificates, the server PKI, ready.json; made when missing (required)", 0},
    {"listen", KEY_LISTEN, "ADDR:PORT", 0, "Where devices connect (default 127.0.0.1:0; port 0: the kernel chooses)", 0},
    {"host", KEY_HOST, "NAME", 0,
     "A host name or address that the server certificate must be good for; may be repeated, the first one is what devices use", 0},
    {"id-scope", KEY_ID_SCOPE, "SCOPE", 0, "ID scope of this service (default " DEFAULT_ID_SCOPE ")", 0},
    {"profile", KEY_PROFILE, "NAME", 0,
     "Where refusals show: azure (default), connack, azure-2018, strict-tls, gateway-guide (docs/fidelity.md)", 0},
    {"policy", KEY_POLICY, "NAME=VALUE", 0,
     "What every device meets where nobody knows what Azure does, or any other knob of a registration; may be repeated", 0},
    {"time-scale", KEY_TIME_SCALE, "N", 0, "Divide the service's own waits by N, 1 to 1000 (default 1)", 0},
    {"tls-max", KEY_TLS_MAX, "1.2|1.3", 0, "Highest TLS version (default 1.2, as the service)", 0},
    {"server-key", KEY_SERVER_KEY, "rsa-2048|p-256", 0, "Kind of key of the server PKI, at the first start on DIR (default rsa-2048)", 0},
    {"knobs", KEY_KNOBS, NULL, 0, "Print what a scenario may turn, and end", 0},
    {"json", KEY_JSON, NULL, 0, "With --knobs or --fidelity: print one JSON document", 0},
    {"fidelity", KEY_FIDELITY, "text|markdown", OPTION_ARG_OPTIONAL,
     "Print each behaviour of the simulator and how it is known (docs/fidelity.md), and end; needs no --state", 0},
    {"evidence", KEY_EVIDENCE, "WORD", 0,
     "With --fidelity: the behaviours with this evidence alone: documented, field-observed, vendor, assumed, own", 0},
    {"control", KEY_CONTROL, "ADDR:PORT", 0,
     "Where the control plane listens: MQTT over TLS, with client certificate (default 127.0.0.1:0; `dpsbench sim ticket`). The observer "
     "is on the same address",
     0},
    {"service", KEY_SERVICE, "ADDR:PORT", 0,
     "Where the service API listens: HTTPS, Azure's REST API for enrollments (default 127.0.0.1:0; docs/service-api.md)", 0},
    {"set-aside", KEY_SET_ASIDE, NULL, 0,
     "When DIR/state.db (registrations, hub devices) is damaged, foreign or of a newer version: move it to state.db.aside-N and begin with "
     "an empty one",
     0},
    {"quotas", KEY_QUOTAS, NULL, 0, "Keep Azure's quotas: 1000 register requests a minute, 5 polls of a device in 10 s; then 429", 0},
    {"csr-preview", KEY_CSR_PREVIEW, NULL, 0,
     "Issue certificates to devices that send a csr (api-version 2025-07-01-preview), by a CA that is made in DIR/pki/issuing", 0},
    {"webhook-timeout", KEY_WEBHOOK_TIMEOUT, "MS", 0,
     "How long a webhook of custom allocation may take, 1 to 60000 milliseconds (default 5000; not divided by --time-scale)", 0},
    {"webhook-any-host", KEY_WEBHOOK_ANY_HOST, NULL, 0,
     "Call webhooks on other machines too; without it, an enrollment's webhookUrl must lead to this one", 0},
    {"replay", KEY_REPLAY, "FILE", 0,
     "Have the recorded conversation of FILE (`dpsbench probe --record`, docs/recording.md) with every device; nothing is judged", 0},
    {"verbose", 'v', NULL, 0, "Say more on stderr", 0},
    {0},
};

static int fail(struct error *error, const char *what, const char *text, const char *mend)
{
    return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "%s '%s': %s", what, text, mend);
}

static int read_port(const char *text, uint16_t *ret_port)
{
    char *end;
    long port = strtol(text, &end, 10);
    if (end == text || *end || port < 0 || port > 65535)
        return -1;
    *ret_port = (uint16_t)port;
    return 0;
}

static bool is_numeric_address(const char *text)
{
    unsigned char address[16];
    return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

int options_read_listen(const char *option, const char *text, char *ret_address, uint16_t *ret_port, struct error *error)
{
    static const char mend[] = "write a numeric address and a port, such as 127.0.0.1:8883 or [::1]:8883";
    char address[LISTEN_ADDRESS_BYTES];
    uint16_t port = 0;
    bool has_brackets = text[0] == '[';
    size_t length = strcspn(text + has_brackets, has_brackets ? "]" : ":");
    const char *rest = text + has_brackets + length;
    if (length >= sizeof address || (has_brackets && *rest++ != ']'))
        return fail(error, option, text, mend);
    snprintf(address, sizeof address, "%.*s", (int)length, text + has_brackets);
    if (!is_numeric_address(address) || (*rest && (*rest != ':' || read_port(rest + 1, &port))))
        return fail(error, option, text, mend);
    snprintf(ret_address, LISTEN_ADDRESS_BYTES, "%s", address);
    *ret_port = port;
    return 0;
}

static int read_profile(const char *text, struct knobs *knobs, struct error *error)
{
    CLEANUP_JSON cJSON *object = cJSON_CreateObject();
    if (json_set_string(object, "profile", text))
        return error_set_memory(error);
    return knobs_apply(knobs, KNOB_TARGET_DEVICE, object, error) ? error_prefix(error, "--profile '%s'", text) : 0;
}

/* NAME=VALUE of any knob of a registration; the value as in JSON, or a word. */
static int read_policy(const char *text, struct knobs *knobs, struct error *error)
{
    const char *equals = strchr(text, '=');
    CLEANUP_FREE char *name = equals ? strndup(text, (size_t)(equals - text)) : NULL;
    CLEANUP_JSON cJSON *object = cJSON_CreateObject();
    if (!equals)
        return fail(error, "--policy", text, "give NAME=VALUE, such as unknown_id_scope=reply; --knobs explains the names");
    cJSON *value = cJSON_ParseWithOpts(equals + 1, NULL, true);
    if (!value || cJSON_IsObject(value) || cJSON_IsArray(value)) {
        cJSON_Delete(value);
        value = cJSON_CreateString(equals + 1);
    }
    if (!name || !object || json_set(object, name, value))
        return error_set_memory(error);
    return knobs_apply(knobs, KNOB_TARGET_DEVICE, object, error) ? error_prefix(error, "--policy '%s'", text) : 0;
}

static int read_time_scale(const char *text, double *ret_scale, struct error *error)
{
    char *end;
    double scale = strtod(text, &end);
    if (end == text || *end || !(scale >= 1 && scale <= 1000))
        return fail(error, "--time-scale", text, "give a number from 1 to 1000");
    *ret_scale = scale;
    return 0;
}

static int read_tls_max(const char *text, int *ret_version, struct error *error)
{
    if (strcmp(text, "1.2") != 0 && strcmp(text, "1.3") != 0)
        return fail(error, "--tls-max", text, "give 1.2 or 1.3");
    *ret_version = text[2] == '3' ? TLS1_3_VERSION : TLS1_2_VERSION;
    return 0;
}

static int read_server_key(const char *text, enum server_key *ret_key, struct error *error)
{
    if (strcmp(text, "rsa-2048") != 0 && strcmp(text, "p-256") != 0)
        return fail(error, "--server-key", text, "give rsa-2048 or p-256");
    *ret_key = text[0] == 'r' ? SERVER_KEY_RSA_2048 : SERVER_KEY_P_256;
    return 0;
}

static int read_fidelity(const char *text, enum fidelity_format *ret_format, struct error *error)
{
    static const char *const words[] = {"text", "markdown", NULL};
    for (int i = 0; words[i]; i++)
        if (strcmp(text ? text : words[0], words[i]) == 0) {
            *ret_format = (enum fidelity_format)(FIDELITY_AS_TEXT + i);
            return 0;
        }
    return fail(error, "--fidelity", text, "give text or markdown; for programs: --fidelity --json");
}

static int read_evidence(const char *text, const char **ret_evidence, struct error *error)
{
    for (int i = 0; i < FIDELITY_EVIDENCE_COUNT; i++)
        if (strcmp(text, fidelity_evidence_names[i]) == 0) {
            *ret_evidence = fidelity_evidence_names[i];
            return 0;
        }
    return fail(error, "--evidence", text, "give documented, field-observed, vendor, assumed or own");
}

static int add_host(struct options *options, const char *name, struct error *error)
{
    if (!*name || strpbrk(name, "/: ") ? !is_numeric_address(name) : false)
        return fail(error, "--host", name, "give a host name or a numeric address, without a port");
    if (options->host_count >= HOSTS_MAX)
        return fail(error, "--host", name, "64 names are the most");
    options->hosts[options->host_count++] = name;
    return 0;
}

static int read_id_scope(const char *text, const char **ret_scope, struct error *error)
{
    if (!*text || strlen(text) > ID_SCOPE_MAX_BYTES || strchr(text, '/'))
        return fail(error, "--id-scope", text, "give 1 to 64 characters without '/', such as " DEFAULT_ID_SCOPE);
    *ret_scope = text;
    return 0;
}

static int read_timeout(const char *text, int64_t *ret_ms, struct error *error)
{
    char *end;
    long ms = strtol(text, &end, 10);
    if (end == text || *end || ms < 1 || ms > 60000)
        return fail(error, "--webhook-timeout", text, "give milliseconds from 1 to 60000");
    *ret_ms = ms;
    return 0;
}

/* azure-docs includes/iot-dps-limits.md */
static int keep_quotas(struct knobs *knobs)
{
    knobs->registrations_per_min = 1000;
    knobs->polls_per_10_s = 5;
    return 0;
}

static int read_option(int key, const char *text, struct options *options, struct error *error)
{
    switch (key) {
    case KEY_STATE:
        options->state = text;
        return *text ? 0 : fail(error, "--state", text, "name a folder");
    case KEY_LISTEN:
        return options_read_listen("--listen", text, options->address, &options->port, error);
    case KEY_HOST:
        return add_host(options, text, error);
    case KEY_ID_SCOPE:
        return read_id_scope(text, &options->id_scope, error);
    case KEY_PROFILE:
        return read_profile(text, &options->knobs, error);
    case KEY_POLICY:
        return read_policy(text, &options->knobs, error);
    case KEY_TIME_SCALE:
        return read_time_scale(text, &options->time_scale, error);
    case KEY_TLS_MAX:
        return read_tls_max(text, &options->tls_max_version, error);
    case KEY_QUOTAS:
        return keep_quotas(&options->knobs);
    case KEY_CSR_PREVIEW:
        options->issues_certificates = true;
        return 0;
    case KEY_WEBHOOK_TIMEOUT:
        return read_timeout(text, &options->webhook_timeout_ms, error);
    case KEY_WEBHOOK_ANY_HOST:
        options->allows_any_webhook_host = true;
        return 0;
    case KEY_SERVER_KEY:
        return read_server_key(text, &options->server_key, error);
    case KEY_KNOBS:
        options->wants_knobs = true;
        return 0;
    case KEY_JSON:
        options->wants_json = true;
        return 0;
    case KEY_FIDELITY:
        return read_fidelity(text, &options->fidelity, error);
    case KEY_EVIDENCE:
        return read_evidence(text, &options->evidence, error);
    case KEY_CONTROL:
        return options_read_listen("--control", text, options->control_address, &options->control_port, error);
    case KEY_SERVICE:
        return options_read_listen("--service", text, options->service_address, &options->service_port, error);
    case KEY_REPLAY:
        options->replay = text;
        return 0;
    case KEY_SET_ASIDE:
        options->sets_aside = true;
        return 0;
    default:
        options->is_verbose = true;
        return 0;
    }
}

static error_t on_key(int key, char *text, struct argp_state *state)
{
    struct options *options = state->input;
    struct error error = ERROR_INIT;
    if (key == ARGP_KEY_ARG)
        arguments_refuse(state, "'%s' is no option; the state folder is given as --state DIR", text);
    if (key == ARGP_KEY_END && options->evidence && !options->fidelity)
        arguments_refuse(state, "--evidence '%s' chooses among what --fidelity prints: give that too", options->evidence);
    if (key == ARGP_KEY_END && !options->state && !options->fidelity && !options->wants_knobs)
        arguments_refuse(state, "--state DIR is missing: name a folder, it is made when it does not exist");
    if (key != 'v' && (key < KEY_STATE || key >= KEY_END))
        return ARGP_ERR_UNKNOWN;
    if (read_option(key, text, options, &error))
        arguments_refuse(state, "%s", error.text);
    return 0;
}

static const char doc[] =
    "A stand-in for Azure's Device Provisioning Service and IoT Hub: devices connect to it with MQTT over TLS, and it does what the "
    "service does, or what a "
    "scenario says.\v"
    "Examples:\n"
    "  dpsbench-sim --state sim\n"
    "  dpsbench-sim --state sim --listen 0.0.0.0:8883 --host dps.example.org --id-scope 0ne00AAAA01\n"
    "  dpsbench-sim --state sim --profile connack --time-scale 20\n"
    "  dpsbench-sim --fidelity --evidence assumed\n"
    "\n"
    "When it serves, it prints one line of JSON and writes the same to DIR/ready.json. SIGHUP rereads DIR; SIGTERM and SIGINT end it.\n"
    "Exit status: 0 ended as asked, 2 wrong usage or a bad file, 3 trouble of the machine (a port in use, Mosquitto missing), 4 a bug of "
    "ours.\n"
    "\n"
    "Knobs of scenarios (scenario.set of the control plane):\n";

/* argp frees what it gets. */
static char *add_knobs(int key, const char *text, void *input)
{
    (void)input;
    if (key != ARGP_KEY_HELP_POST_DOC)
        return (char *)(uintptr_t)text;
    CLEANUP_FREE char *knobs = knobs_help();
    char *all;
    return asprintf(&all, "%s%s", text, knobs ? knobs : "") < 0 ? NULL : all;
}

static const struct argp argp = {.options = entries, .parser = on_key, .doc = doc, .help_filter = add_knobs};

void options_parse(int argc, char **argv, struct options *ret_options)
{
    *ret_options = (struct options){
        .address = "127.0.0.1",
        .service_address = "127.0.0.1",
        .control_address = "127.0.0.1",
        .id_scope = DEFAULT_ID_SCOPE,
        .time_scale = 1,
        .tls_max_version = TLS1_2_VERSION,
    };
    knobs_init(&ret_options->knobs);
    argp_program_version = "dpsbench-sim " DPSBENCH_VERSION;
    argp_err_exit_status = EXIT_USAGE;
    arguments_parse(&argp, argc, argv, ret_options);
}

static int print_json(const struct knobs *knobs)
{
    CLEANUP_JSON cJSON *document = cJSON_CreateObject();
    CLEANUP_FREE char *text = NULL;
    if (document && json_set_integer(document, "v", 1) == 0 && json_set(document, "knobs", knobs_describe(knobs)) == 0)
        text = json_print_pretty(document);
    return text && fputs(text, stdout) >= 0 ? 0 : EXIT_OURS;
}

int options_print_knobs(const struct options *options)
{
    if (options->wants_json)
        return print_json(&options->knobs);
    CLEANUP_FREE char *help = knobs_help();
    return help && fputs(help, stdout) >= 0 ? 0 : EXIT_OURS;
}
