/* dpsbench try */
#include "base/arguments.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/utf8.h"
#include "certs/attestation.h"
#include "harness/cli/cli.h"
#include "harness/try/trial_report.h"
#include "reports/result.h"

#include <ctype.h>
#include <string.h>

DEFINE_CLEANUP(struct trial *, trial_end)

enum {
    OPTION_CERT = 256,
    OPTION_KEY,
    OPTION_ROOT,
    OPTION_REGISTRATION_ID,
    OPTION_GROUP_CA,
    OPTION_ENROLLMENT,
    OPTION_CERTIFICATE,
    OPTION_UNVERIFIED,
    OPTION_PROFILE,
    OPTION_CONSOLE,
    OPTION_JSON,
    TIME_SCALE_MAX = 1000,
};

struct try_arguments {
    struct try_request request;
    bool wants_json;
};

static const struct argp_option options[] = {
    {"cert", OPTION_CERT, "CHAIN", 0, "The device's client certificate, PEM: its own first, then its issuers (required)", 1},
    {"key", OPTION_KEY, "KEY", 0, "Its private key, PEM (required)", 1},
    {"registration-id", OPTION_REGISTRATION_ID, "ID", 0, "What the device calls itself (required)", 1},
    {"root", OPTION_ROOT, "ROOT", 0, "The server root of the device: looked at, is it what Azure's servers need?", 1},
    {"group-ca", OPTION_GROUP_CA, "PEM", 0, "DPS has an enrollment group with this CA, which counts as uploaded and verified", 2},
    {"enrollment", OPTION_ENROLLMENT, "JSON", 0,
     "DPS has this individual enrollment or group, as `az iot dps enrollment show` or `enrollment-group show` prints it", 2},
    {"certificate", OPTION_CERTIFICATE, "NAME=PEM", 0, "A CA certificate of DPS, for caReferences; may be repeated", 2},
    {"unverified", OPTION_UNVERIFIED, NULL, 0, "CA certificates are uploaded, and their possession is not proven", 2},
    {"profile", OPTION_PROFILE, "NAME", 0,
     "Where refusals show: azure (default); connack, as in some published logs; azure-2018; strict-tls; gateway-guide (docs/fidelity.md)",
     3},
    {"console", OPTION_CONSOLE, NULL, 0, "Let the virtual DK try it, and print what an nRF91 would", 3},
    {"json", OPTION_JSON, NULL, 0, "Print one JSON document (docs/try.md)", 3},
    {0},
};

static const char text[] =
    "Try a device's files against a private simulator, without a board: would DPS assign it, and if not, which rule says no, where does "
    "the "
    "device see it, and what is to be typed. Without --group-ca and --enrollment, an individual enrollment of the certificate itself is "
    "assumed."
    "\vExit codes: 0 would be assigned, 1 would be refused, 2 wrong usage or a file that cannot be used, 3 trouble with the simulator, 4 a "
    "bug of "
    "ours, 130 interrupted.\n"
    "\n"
    "Examples:\n"
    "  dpsbench try --cert device_fullchain.pem --key device.key \\\n"
    "    --registration-id dev-01 --group-ca rootCA.pem\n"
    "  dpsbench try --cert root-cert.pem --key root-private-key.pem \\\n"
    "    --registration-id gateway-1\n"
    "  dpsbench try --cert chain.pem --key device.key --registration-id dev-01 \\\n"
    "    --group-ca rootCA.pem --unverified\n"
    "  dpsbench try --cert chain.pem --key device.key --registration-id dev-01 \\\n"
    "    --group-ca rootCA.pem --root DigiCertGlobalRootG2.crt.pem --console\n"
    "  az iot dps enrollment-group show ... > group.json\n"
    "  dpsbench try --cert chain.pem --key device.key --registration-id dev-01 \\\n"
    "    --enrollment group.json --certificate root-ca=rootCA.pem --json\n";

static void add_certificate(struct try_request *request, const char *word, struct argp_state *state)
{
    const char *equals = strchr(word, '=');
    if (!equals || equals == word || !equals[1])
        arguments_refuse(state, "--certificate '%s' is not NAME=PEM", word);
    if (request->certificate_count == TRY_CERTIFICATES_MAX)
        arguments_refuse(state, "more than %d certificates", TRY_CERTIFICATES_MAX);
    char *name = strndup(word, (size_t)(equals - word));
    if (!name)
        argp_failure(state, EXIT_OUR_BUG, 0, "out of memory");
    request->certificates[request->certificate_count++] = (struct try_certificate){.name = name, .path = equals + 1};
}

static const char *check_profile(const char *word, struct argp_state *state)
{
    CLEANUP(bytes_done) struct bytes names;
    bytes_init(&names, 1024);
    for (size_t i = 0; attestation_profile_at(i); i++)
        bytes_printf(&names, "%s%s", i ? ", " : "", attestation_profile_at(i)->name);
    if (!attestation_profile_find(word))
        arguments_refuse(state, "--profile '%s' does not exist; there are: %s", word, bytes_text(&names));
    return word;
}

/* What no MQTT client id can hold. */
static bool is_sendable(const char *id)
{
    for (const char *c = id; *c; c++)
        if (iscntrl((unsigned char)*c))
            return false;
    return !utf8_find_error(id);
}

static void check(const struct try_request *request, struct argp_state *state)
{
    const char *missing = !request->cert_path         ? "--cert CHAIN"
                          : !request->key_path        ? "--key KEY"
                          : !request->registration_id ? "--registration-id ID"
                                                      : NULL;
    if (missing)
        arguments_refuse(state, "%s is missing", missing);
    if (request->registration_id && !*request->registration_id)
        arguments_refuse(state, "--registration-id is empty");
    if (request->registration_id && !is_sendable(request->registration_id))
        arguments_refuse(state, "--registration-id holds a control character, or is not UTF-8: no device can send that");
    if (request->group_ca_path && request->enrollment_path)
        arguments_refuse(state, "--group-ca and --enrollment exclude each other: a device has one enrollment here");
}

static error_t take(int key, char *word, struct argp_state *state)
{
    struct try_arguments *arguments = state->input;
    struct try_request *request = &arguments->request;
    switch (key) {
    case OPTION_CERT:
        request->cert_path = word;
        return 0;
    case OPTION_KEY:
        request->key_path = word;
        return 0;
    case OPTION_ROOT:
        request->root_path = word;
        return 0;
    case OPTION_REGISTRATION_ID:
        request->registration_id = word;
        return 0;
    case OPTION_GROUP_CA:
        request->group_ca_path = word;
        return 0;
    case OPTION_ENROLLMENT:
        request->enrollment_path = word;
        return 0;
    case OPTION_CERTIFICATE:
        add_certificate(request, word, state);
        return 0;
    case OPTION_UNVERIFIED:
        request->is_unverified = true;
        return 0;
    case OPTION_PROFILE:
        request->profile = check_profile(word, state);
        return 0;
    case OPTION_CONSOLE:
        request->wants_console = true;
        return 0;
    case OPTION_JSON:
        arguments->wants_json = true;
        return 0;
    case ARGP_KEY_ARG:
        arguments_refuse(state, "'%s' is one argument too many: files are given as --cert, --key, --root", word);
        return 0;
    case ARGP_KEY_END:
        check(request, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* As for `dpsbench run`: a slow machine may ask for a smaller one. */
static double time_scale(void)
{
    const char *word = getenv("DPSBENCH_TIME_SCALE");
    char *end;
    double scale = word && *word ? strtod(word, &end) : TRIAL_TIME_SCALE;
    return scale >= 1 && scale <= TIME_SCALE_MAX ? scale : TRIAL_TIME_SCALE;
}

static int print_json(const struct try_request *request, const struct trial_result *result)
{
    CLEANUP_JSON cJSON *json = trial_to_json(request, result);
    CLEANUP_FREE char *printed = json ? json_print_pretty(json) : NULL;
    return printed ? (fputs(printed, stdout), 0) : -1;
}

/* The verdict is printed before the simulator has ended: that takes as long as the rest. */
static int report(const struct try_arguments *arguments, const struct trial_result *result)
{
    if (!arguments->wants_json)
        trial_print(stdout, &arguments->request, result, log_has_colour(STDOUT_FILENO));
    else if (print_json(&arguments->request, result))
        return EXIT_OUR_BUG;
    fflush(stdout);
    return result->outcome == TRIAL_ASSIGNED ? EXIT_ALL_PASSED : EXIT_DEVICE_FAILED;
}

int cli_try(int argc, char **argv)
{
    static const struct argp argp = {.options = options, .parser = take, .doc = text};
    struct try_arguments arguments = {.request = {.time_scale = time_scale()}};
    struct error error = ERROR_INIT;
    command_parse(&argp, argc, argv, &arguments);
    CLEANUP(trial_end_cleanup) struct trial *trial = NULL;
    int code = trial_run(&arguments.request, &trial, &error) ? command_fail(&error) : report(&arguments, trial_result(trial));
    for (size_t i = 0; i < arguments.request.certificate_count; i++)
        free(arguments.request.certificates[i].name);
    return code;
}
