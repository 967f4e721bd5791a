/* dpsbench certificate ...: as `az iot dps certificate`, on a state folder of the simulator */
#include "base/arguments.h"
#include "base/cleanup.h"
#include "certs/chain.h"
#include "harness/cli/certificate_store.h"
#include "harness/cli/cli.h"
#include "reports/result.h"

#include <string.h>

enum { OPTION_STATE = 256, OPTION_PATH, OPTION_VERIFIED, OPTION_CERTIFICATE, OPTION_ETAG, OPTION_JSON };

struct certificate_arguments {
    const char *name;
    const char *state;
    const char *path;
    const char *certificate;
    const char *etag;
    bool is_verified;
    bool wants_json;
    bool needs_name;
};

#define STATE_OPTION                                                                                                                       \
    {                                                                                                                                      \
        "state", OPTION_STATE, "DIR", 0, "The simulator's state folder (required)", 0                                                      \
    }
#define ETAG_OPTION                                                                                                                        \
    {                                                                                                                                      \
        "etag", OPTION_ETAG, "ETAG", 0, "Refuse when the certificate has another etag by now", 0                                           \
    }

static bool read_bool(const char *word, struct argp_state *state)
{
    if (strcmp(word, "true") != 0 && strcmp(word, "false") != 0)
        arguments_refuse(state, "--verified is true or false, not '%s'", word);
    return word[0] == 't';
}

static void check(const struct certificate_arguments *arguments, struct argp_state *state)
{
    if (!arguments->state)
        arguments_refuse(state, "--state DIR is missing");
    if (arguments->needs_name && !arguments->name)
        arguments_refuse(state, "NAME is missing");
}

static error_t take(int key, char *word, struct argp_state *state)
{
    struct certificate_arguments *arguments = state->input;
    switch (key) {
    case OPTION_STATE:
        arguments->state = word;
        return 0;
    case OPTION_PATH:
        arguments->path = word;
        return 0;
    case OPTION_CERTIFICATE:
        arguments->certificate = word;
        return 0;
    case OPTION_ETAG:
        arguments->etag = word;
        return 0;
    case OPTION_VERIFIED:
        arguments->is_verified = read_bool(word, state);
        return 0;
    case OPTION_JSON:
        arguments->wants_json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->name || !arguments->needs_name)
            arguments_refuse(state, "'%s' is one argument too many", word);
        arguments->name = word;
        return 0;
    case ARGP_KEY_END:
        check(arguments, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static struct certificate_arguments parse(const struct argp_option *options, const char *text, bool needs_name, int argc, char **argv)
{
    const struct argp argp = {.options = options, .parser = take, .args_doc = needs_name ? "NAME" : "", .doc = text};
    struct certificate_arguments arguments = {.needs_name = needs_name};
    command_parse(&argp, argc, argv, &arguments);
    return arguments;
}

DEFINE_CLEANUP(struct certificate_store *, certificate_store_close)
#define CLEANUP_STORE CLEANUP(certificate_store_close_cleanup)

static int print_object(const cJSON *object)
{
    CLEANUP_FREE char *printed = json_print_pretty(object);
    if (!printed)
        return EXIT_OUR_BUG;
    fputs(printed, stdout);
    return 0;
}

/* One certificate of a file, whatever its form, as PEM. */
static int read_pem(const char *path, struct bytes *pem, struct error *error)
{
    CLEANUP_X509 X509 *certificate = NULL;
    if (certificate_read_file(path, &certificate, error))
        return -1;
    bytes_init(pem, CERTIFICATE_TEXT_MAX_BYTES);
    return certificate_append_pem(certificate, pem) ? error_set_memory(error) : 0;
}

/* ---- create ---- */

static int create(int argc, char **argv)
{
    static const struct argp_option options[] = {
        STATE_OPTION,
        {"path", OPTION_PATH, "FILE", 0, "The CA certificate: PEM, DER, or base64 of either (required)", 0},
        {"verified", OPTION_VERIFIED, "true|false", 0, "Count it as verified without proof of possession (default false)", 0},
        {0},
    };
    static const char text[] = "Upload a CA certificate and print it as stored."
                               "\vExamples:\n"
                               "  dpsbench certificate create root-ca --path rootCA.pem --state sim\n"
                               "  dpsbench certificate create root-ca --path rootCA.pem --verified true --state sim\n";
    struct certificate_arguments arguments = parse(options, text, true, argc, argv);
    struct error error = ERROR_INIT;
    CLEANUP(bytes_done) struct bytes pem = {0};
    CLEANUP_STORE struct certificate_store *store = NULL;
    CLEANUP_JSON cJSON *object = NULL;
    if (!arguments.path)
        error_set(&error, ERROR_OWNER_FILE, ERROR_USAGE,
                  "certificate create: --path FILE is missing; see `dpsbench certificate create --help`");
    if (error.code || read_pem(arguments.path, &pem, &error) || certificate_store_open(arguments.state, true, &store, &error) ||
        certificate_store_create(store, arguments.name, bytes_text(&pem), arguments.is_verified, &object, &error))
        return command_fail(&error);
    return print_object(object);
}

/* ---- verification-code, verify ---- */

static int verification_code(int argc, char **argv)
{
    static const struct argp_option options[] = {STATE_OPTION, ETAG_OPTION, {0}};
    static const char text[] =
        "Ask for a verification code and print it, alone on a line. Sign a certificate with this code as its CN with the CA's "
        "key; then `dpsbench certificate verify`. Asking again makes a new code."
        "\vExamples:\n"
        "  dpsbench certificate verification-code root-ca --state sim\n"
        "  openssl req -new -key rootCA.key -out verification.csr \\\n"
        "    -subj \"/CN=$(dpsbench certificate verification-code root-ca --state sim)\"\n";
    struct certificate_arguments arguments = parse(options, text, true, argc, argv);
    struct error error = ERROR_INIT;
    CLEANUP_STORE struct certificate_store *store = NULL;
    CLEANUP_JSON cJSON *object = NULL;
    if (certificate_store_open(arguments.state, false, &store, &error) ||
        certificate_store_verification_code(store, arguments.name, arguments.etag, &object, &error))
        return command_fail(&error);
    const cJSON *code = json_path(object, "properties.verificationCode");
    if (!cJSON_IsString(code)) {
        error_set(&error, ERROR_OWNER_OURS, ERROR_OTHER, "certificate '%s' has no verification code", arguments.name);
        return command_fail(&error);
    }
    puts(code->valuestring);
    return 0;
}

static int verify(int argc, char **argv)
{
    static const struct argp_option options[] = {
        STATE_OPTION,
        {"certificate", OPTION_CERTIFICATE, "FILE", 0, "The verification certificate: CN is the code, signed by the CA's key (required)",
         0},
        {"path", OPTION_CERTIFICATE, "FILE", OPTION_ALIAS, NULL, 0},
        ETAG_OPTION,
        {0},
    };
    static const char text[] = "Prove possession of a CA's key with a verification certificate, and print the certificate as it is then."
                               "\vExamples:\n"
                               "  openssl x509 -req -in verification.csr -CA rootCA.pem -CAkey rootCA.key -CAcreateserial \\\n"
                               "    -out verificationCert.pem -days 1 -sha256\n"
                               "  dpsbench certificate verify root-ca --certificate verificationCert.pem --state sim\n";
    struct certificate_arguments arguments = parse(options, text, true, argc, argv);
    struct error error = ERROR_INIT;
    CLEANUP(bytes_done) struct bytes pem = {0};
    CLEANUP_STORE struct certificate_store *store = NULL;
    CLEANUP_JSON cJSON *object = NULL;
    if (!arguments.certificate)
        error_set(&error, ERROR_OWNER_FILE, ERROR_USAGE,
                  "certificate verify: --certificate FILE is missing; see `dpsbench certificate verify --help`");
    if (error.code || read_pem(arguments.certificate, &pem, &error) || certificate_store_open(arguments.state, false, &store, &error) ||
        certificate_store_verify(store, arguments.name, arguments.etag, bytes_text(&pem), &object, &error))
        return command_fail(&error);
    return print_object(object);
}

/* ---- show, list, delete ---- */

static int show(int argc, char **argv)
{
    static const struct argp_option options[] = {STATE_OPTION, {0}};
    static const char text[] = "Print a certificate as JSON, in the shape of Azure's API."
                               "\vExamples:\n"
                               "  dpsbench certificate show root-ca --state sim\n"
                               "  dpsbench certificate show root-ca --state sim | jq -r .etag\n";
    struct certificate_arguments arguments = parse(options, text, true, argc, argv);
    struct error error = ERROR_INIT;
    CLEANUP_STORE struct certificate_store *store = NULL;
    CLEANUP_JSON cJSON *object = NULL;
    if (certificate_store_open(arguments.state, false, &store, &error) || certificate_store_get(store, arguments.name, &object, &error))
        return command_fail(&error);
    return print_object(object);
}

/* A certificate and what belongs to it stand under `properties` or at the top (docs/state-folder.md). */
static const char *either_text(const cJSON *object, const char *name)
{
    return json_string(json_member(object, "properties"), name, json_string(object, name, ""));
}

static void print_line(const cJSON *object)
{
    bool is_verified = json_bool(object, "isVerified", false) || json_bool(json_member(object, "properties"), "isVerified", false);
    printf("%-24s  %-10s  %-32s  %s\n", json_string(object, "name", "?"), is_verified ? "verified" : "unverified",
           either_text(object, "expiry"), either_text(object, "subject"));
}

static int list(int argc, char **argv)
{
    static const struct argp_option options[] = {STATE_OPTION, {"json", OPTION_JSON, NULL, 0, "Print a JSON array", 0}, {0}};
    static const char text[] = "List the CA certificates: name, verified or not, expiry, subject."
                               "\vExamples:\n"
                               "  dpsbench certificate list --state sim\n"
                               "  dpsbench certificate list --state sim --json\n";
    struct certificate_arguments arguments = parse(options, text, false, argc, argv);
    struct error error = ERROR_INIT;
    CLEANUP_STORE struct certificate_store *store = NULL;
    CLEANUP_JSON cJSON *objects = NULL;
    if (certificate_store_open(arguments.state, false, &store, &error) || certificate_store_list(store, &objects, &error))
        return command_fail(&error);
    if (arguments.wants_json)
        return print_object(objects);
    const cJSON *object;
    cJSON_ArrayForEach(object, objects)
    {
        print_line(object);
    }
    return 0;
}

static int remove_certificate(int argc, char **argv)
{
    static const struct argp_option options[] = {STATE_OPTION, ETAG_OPTION, {0}};
    static const char text[] = "Delete a CA certificate."
                               "\vExamples:\n"
                               "  dpsbench certificate delete root-ca --state sim\n";
    struct certificate_arguments arguments = parse(options, text, true, argc, argv);
    struct error error = ERROR_INIT;
    CLEANUP_STORE struct certificate_store *store = NULL;
    if (certificate_store_open(arguments.state, false, &store, &error) ||
        certificate_store_delete(store, arguments.name, arguments.etag, &error))
        return command_fail(&error);
    return 0;
}

const struct command cli_certificate_commands[] = {
    {"create", "Upload a CA certificate", create, NULL},
    {"verification-code", "Ask for the code that proves possession, and print it", verification_code, NULL},
    {"verify", "Prove possession with a verification certificate", verify, NULL},
    {"show", "Print a certificate", show, NULL},
    {"list", "List all certificates", list, NULL},
    {"delete", "Delete a certificate", remove_certificate, NULL},
    {NULL, NULL, NULL, NULL},
};
