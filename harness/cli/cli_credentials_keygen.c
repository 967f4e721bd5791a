/* dpsbench credentials keygen: a key made in the modem, its request, and with a CA its certificate */
#include "base/arguments.h"
#include "base/cleanup.h"
#include "base/files.h"
#include "base/json.h"
#include "harness/cli/cli_credentials.h"
#include "harness/provision/device_key.h"
#include "harness/provision/local_files.h"
#include "reports/result.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PEM_MAX_BYTES = 64 * 1024, FILE_MODE = 0644, REQUEST_ROOM_BYTES = 8192 };

/* What was made, for the end. */
struct made {
    struct keygen_answer answer;
    X509 *leaf; /* NULL: not signed */
    struct bytes chain;
    bool is_verified;
};

static void made_done(struct made *made)
{
    keygen_answer_done(&made->answer);
    X509_free(made->leaf);
    bytes_done(&made->chain);
}

static const char *request_path(const struct credential_arguments *arguments)
{
    return arguments->word_count > 1 ? arguments->words[1] : arguments->out;
}

/* A modem tells its request once: a key whose request could not be written is lost, and so is the key that it replaced. So this is tried before. */
static int try_request_path(const struct credential_arguments *arguments, struct error *error)
{
    static const char filler[REQUEST_ROOM_BYTES];
    CLEANUP_FREE char *trial = NULL;
    const char *path = request_path(arguments);
    struct stat status;
    if (!path)
        return 0;
    bool is_there = stat(path, &status) == 0;
    if (is_there && S_ISDIR(status.st_mode))
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "write the CSR to '%s': that is a folder", path);
    if (is_there && !S_ISREG(status.st_mode))
        return 0; /* a pipe, /dev/stdout */
    if (asprintf(&trial, "%s.trial", path) < 0)
        return error_set_memory(error);
    int rc = file_write_unsynced(trial, filler, sizeof filler, FILE_MODE, error);
    unlink(trial);
    return rc ? error_prefix(error, "no key was made, its CSR has no place") : 0;
}

static int write_request(const struct credential_arguments *arguments, const struct made *made, struct error *error)
{
    const char *path = request_path(arguments);
    if (!path)
        return 0;
    return file_write_atomic(path, made->answer.request_der.data, made->answer.request_der.length_bytes, FILE_MODE, error);
}

static int read_root(const struct credential_arguments *arguments, uint32_t sec_tag, struct local_files *files, struct error *error)
{
    files->sec_tag = sec_tag;
    if (!arguments->files[CREDENTIAL_ROOT_CA])
        return 0;
    return local_files_add(files, CREDENTIAL_ROOT_CA, arguments->files[CREDENTIAL_ROOT_CA], error) ||
                   local_files_check(files, clock_unix_s(&clock_system), error)
               ? -1
               : 0;
}

/* The chain as it is stored: no line end behind the last line. */
static int sign_request(const struct credential_arguments *arguments, const struct issuer *issuer, struct made *made, struct error *error)
{
    CLEANUP_FREE char *cn = request_common_name(made->answer.request);
    CLEANUP(bytes_done) struct bytes pem = {.max_bytes = PEM_MAX_BYTES};
    if (issuer_sign(issuer, X509_REQ_get0_pubkey(made->answer.request), cn ? cn : "", clock_unix_s(&clock_system), arguments->days,
                    &made->leaf, error))
        return -1;
    if (issuer_append_chain(issuer, made->leaf, &pem))
        return error_set_memory(error);
    return credential_text(bytes_text(&pem), pem.length_bytes, &made->chain, NULL, error);
}

static int store_chain(struct credential_session *session, const struct local_files *files, struct made *made, struct error *error)
{
    bool is_root_verified = true;
    uint32_t tag = files->sec_tag;
    if (device_write_verified(session->link, tag, CREDENTIAL_CLIENT_CERT, &made->chain, &made->is_verified, error))
        return -1;
    if (files->count && device_write_verified(session->link, tag, CREDENTIAL_ROOT_CA, &files->wanted[0].text, &is_root_verified, error))
        return -1;
    made->is_verified &= is_root_verified;
    return 0;
}

static cJSON *made_json(const struct credential_session *session, uint32_t sec_tag, const struct made *made)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    CLEANUP_FREE char *cn = request_common_name(made->answer.request);
    if (!json || json_set_integer(json, "v", CREDENTIALS_VERSION) || json_set(json, "device", credential_device_json(session)) ||
        json_set_integer(json, "sec_tag", sec_tag) || json_set_string(json, "common_name", cn) ||
        json_set_bool(json, "has_statement", made->answer.has_statement) ||
        (*made->answer.uuid && json_set_string(json, "device_uuid", made->answer.uuid)) ||
        (made->leaf &&
         (json_set(json, "certificate", certificate_json(made->leaf)) || json_set_bool(json, "is_verified", made->is_verified))))
        return NULL;
    return TAKE(json);
}

static int tell(const struct credential_arguments *arguments, const struct credential_session *session, uint32_t sec_tag,
                const struct made *made)
{
    const char *path = request_path(arguments);
    if (arguments->wants_json)
        return credentials_print_json(made_json(session, sec_tag, made));
    printf("New private key generated in secure tag %u\n", sec_tag);
    if (path)
        printf("Wrote CSR in DER format to %s\n", path);
    if (!made->answer.has_statement)
        puts("the modem gave no statement (COSE) with it: that the key is the modem's own is not shown");
    if (!made->leaf)
        return EXIT_ALL_PASSED;
    CLEANUP_FREE char *subject = certificate_subject(made->leaf), *issuer = certificate_issuer(made->leaf);
    printf("'%s' signed by '%s', chain written to CLIENT_CERT, %s\n", subject ? subject : "?", issuer ? issuer : "?",
           made->is_verified ? "verified by SHA-256" : "not verified: this modem firmware prints no hashes");
    return EXIT_ALL_PASSED;
}

static int make(const struct credential_arguments *arguments, struct credential_session *session, struct error *error)
{
    CLEANUP(made_done) struct made made = {0};
    CLEANUP(issuer_done) struct issuer issuer = {0};
    CLEANUP(local_files_done) struct local_files files = {0};
    CLEANUP_FREE char *attributes = NULL;
    uint32_t sec_tag;
    if (credential_tag_of(arguments, session->device, &sec_tag, error) || read_root(arguments, sec_tag, &files, error) ||
        (arguments->ca && issuer_read(arguments->ca, arguments->ca_key, arguments->chain, clock_unix_s(&clock_system), &issuer, error)))
        return -1;
    if (arguments->common_name && asprintf(&attributes, "CN=%s", arguments->common_name) < 0)
        return error_set_memory(error);
    if (try_request_path(arguments, error) ||
        device_key_make(session->link, sec_tag, attributes ? attributes : arguments->attributes, arguments->may_replace, &made.answer,
                        error) ||
        write_request(arguments, &made, error))
        return -1;
    if (arguments->ca && (sign_request(arguments, &issuer, &made, error) || store_chain(session, &files, &made, error)))
        return -1;
    return tell(arguments, session, sec_tag, &made);
}

static int check(struct credential_arguments *arguments, struct error *error)
{
    credentials_refuse_words(arguments, 2);
    if (arguments->word_count && credential_tag_read(arguments->words[0], &arguments->sec_tag, error))
        return -1;
    if (arguments->attributes && arguments->common_name)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "--cn and --attributes exclude each other: --cn X is --attributes CN=X");
    if (!arguments->ca != !arguments->ca_key)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "--ca and --ca-key belong together");
    if (!arguments->ca && (arguments->chain || arguments->files[CREDENTIAL_ROOT_CA]))
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE,
                         "--chain and --root are for a key that is signed too: --ca CERT --ca-key KEY");
    if (!arguments->ca && arguments->word_count < 2 && !arguments->out)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE,
                         "where does the CSR go? FILE behind the sec tag, as in: 56 device.csr; or have it signed: --ca CERT --ca-key KEY");
    return 0;
}

int credentials_keygen(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"tag", CREDENTIAL_OPTION_TAG, "N", 0, "The sec tag, in place of the word (default with --rig: the rig's)", 1},
        {"attributes", CREDENTIAL_OPTION_ATTRIBUTES, "TEXT", 0,
         "Subject of the CSR, such as CN=dev-01,O=Example (default: CN is the device UUID)", 1},
        {"cn", CREDENTIAL_OPTION_CN, "ID", 0, "The attributes CN=ID: with DPS, the registration id", 1},
        {"out", CREDENTIAL_OPTION_OUT, "FILE", 0, "The CSR, DER, in place of the word FILE", 1},
        {"replace", CREDENTIAL_OPTION_REPLACE, NULL, 0, "Delete the key that is there first", 1},
        {"ca", CREDENTIAL_OPTION_CA, "CERT", 0, "Sign with this CA, write the chain, verify it", 2},
        {"ca-key", CREDENTIAL_OPTION_CA_KEY, "KEY", 0, "Its private key, PEM", 2},
        {"chain", CREDENTIAL_OPTION_CHAIN, "FILE", 0, "What the device sends behind its certificate (default: the CA)", 2},
        {"root", CREDENTIAL_OPTION_ROOT, "FILE", 0, "Write the server root too", 2},
        {"days", CREDENTIAL_OPTION_DAYS, "N", 0, "How long the certificate is valid (365), never longer than its CA", 2},
        CREDENTIAL_JSON_OPTION,
        CREDENTIAL_DEVICE_OPTIONS,
        {0}};
    static const struct argp argp = {.options = options,
                                     .args_doc = "PORT SECTAG [FILE]",
                                     .doc = "Have the modem make a key that never leaves it (P-256), and take its certificate signing "
                                            "request. With a CA, sign it and write the "
                                            "chain: then the device is ready. Needs modem firmware 1.3.0 or newer."
                                            "\vExamples:\n"
                                            "  dpsbench credentials keygen /dev/ttyACM0 56 device.csr --cn nrf-352656100000001\n"
                                            "  dpsbench credentials keygen /dev/ttyACM0 56 --cn nrf-352656100000001 \\\n"
                                            "    --ca sub-ca.pem --ca-key sub-ca.key --root DigiCertGlobalRootG2.crt.pem\n"};
    struct credential_arguments arguments;
    struct error error = ERROR_INIT;
    credential_arguments_parse(&argp, argc, argv, &arguments);
    if (check(&arguments, &error))
        return command_fail(&error);
    return credentials_run(&arguments, make);
}
