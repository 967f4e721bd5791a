/* dpsbench az iot dps certificate ...: CA certificates of the service, and the proof that their keys are ours */
#include "base/log.h"
#include "certs/dps_view.h"
#include "harness/cli/az_command.h"

#include <openssl/x509v3.h>
#include <string.h>

static int answer(struct az_call *call, cJSON *object, bool with_certificate, struct error *error)
{
    CLEANUP_JSON cJSON *owned = object;
    return az_answer(call, dps_certificate_view(owned, with_certificate), error);
}

/* The service takes what cannot sign, and every device of it is refused later. */
static void warn_leaf(const X509 *certificate, const char *path)
{
    X509 *looked_at = (X509 *)(uintptr_t)certificate; /* OpenSSL caches extensions in it */
    if (X509_check_ca(looked_at))
        return;
    uint32_t flags = X509_get_extension_flags(looked_at);
    const char *why = flags & EXFLAG_CA      ? "its key usage lacks keyCertSign"
                      : flags & EXFLAG_BCONS ? "it says CA:FALSE"
                                             : "it is no CA certificate (no basicConstraints with CA:TRUE)";
    CLEANUP_FREE char *subject = certificate_subject(certificate);
    log_warning(
        "%s: '%s' cannot sign device certificates: %s; a chain through it is refused (chain.not-a-ca). Upload the CA that signed it, "
        "or make an individual enrollment of it",
        path, subject ? subject : "?", why);
}

static int read_ca(const char *path, struct bytes *pem, struct error *error)
{
    CLEANUP_X509 X509 *certificate = NULL;
    if (az_read_pem(path, pem, error) || certificate_read_file(path, &certificate, error))
        return -1;
    warn_leaf(certificate, path);
    return 0;
}

static cJSON *object_of(const char *name, const char *pem, bool is_verified)
{
    CLEANUP_JSON cJSON *object = cJSON_CreateObject();
    cJSON *properties = object ? cJSON_AddObjectToObject(object, "properties") : NULL;
    return !properties || json_set_string(object, "name", name) || json_set_string(properties, "certificate", pem) ||
                   json_set_bool(properties, "isVerified", is_verified)
               ? NULL
               : TAKE(object);
}

static int upload(struct az_call *call, const char *etag, struct error *error)
{
    CLEANUP(bytes_done) struct bytes pem = {0};
    cJSON *stored = NULL;
    if (read_ca(az_value(call, AZ_PATH), &pem, error))
        return -1;
    cJSON *object = object_of(az_value(call, AZ_CERTIFICATE_NAME), bytes_text(&pem), az_flag(call->arguments, AZ_VERIFIED));
    if (object_store_put(call->store, DPS_CERTIFICATE, object, etag, &stored, error))
        return -1;
    return answer(call, stored, false, error);
}

/* az looks before it writes, and says so in these words. */
static int create(struct az_call *call, struct error *error)
{
    CLEANUP_JSON cJSON *present = NULL;
    struct error why = ERROR_INIT;
    const char *name = az_value(call, AZ_CERTIFICATE_NAME);
    if (object_store_get(call->store, DPS_CERTIFICATE, name, &present, &why) == 0)
        return error_set(error, ERROR_OWNER_FILE, ERROR_EXISTS,
                         "Certificate '%s' already exists. Use 'iot dps certificate update' to update an existing certificate", name);
    if (why.code != ERROR_NOT_FOUND)
        return (int)(*error = why, -1);
    return upload(call, NULL, error);
}

static int update(struct az_call *call, struct error *error)
{
    CLEANUP_JSON cJSON *present = NULL;
    const char *name = az_value(call, AZ_CERTIFICATE_NAME);
    if (object_store_get(call->store, DPS_CERTIFICATE, name, &present, error)) {
        if (error->code == ERROR_NOT_FOUND)
            error_set(error, error->owner, error->code,
                      "Certificate '%s' does not exist. Use 'iot dps certificate create' to create a new certificate (%s)", name,
                      error->text);
        return -1;
    }
    return upload(call, az_value(call, AZ_ETAG), error);
}

static int generate_verification_code(struct az_call *call, struct error *error)
{
    cJSON *object = NULL;
    if (object_store_verification_code(call->store, az_value(call, AZ_CERTIFICATE_NAME), az_value(call, AZ_ETAG), &object, error))
        return -1;
    return answer(call, object, true, error);
}

static int verify(struct az_call *call, struct error *error)
{
    CLEANUP(bytes_done) struct bytes pem = {0};
    cJSON *object = NULL;
    if (az_read_pem(az_value(call, AZ_PATH), &pem, error) ||
        object_store_verify(call->store, az_value(call, AZ_CERTIFICATE_NAME), az_value(call, AZ_ETAG), bytes_text(&pem), &object, error))
        return -1;
    return answer(call, object, true, error);
}

static int show(struct az_call *call, struct error *error)
{
    cJSON *object = NULL;
    if (object_store_get(call->store, DPS_CERTIFICATE, az_value(call, AZ_CERTIFICATE_NAME), &object, error))
        return -1;
    return answer(call, object, true, error);
}

/* The list stands under `value`, as the management plane gives it. */
static int list(struct az_call *call, struct error *error)
{
    CLEANUP_JSON cJSON *objects = NULL, *view = cJSON_CreateObject();
    cJSON *value = view ? cJSON_AddArrayToObject(view, "value") : NULL;
    if (!value || object_store_list(call->store, DPS_CERTIFICATE, &objects, error))
        return value ? -1 : error_set_memory(error);
    const cJSON *object;
    cJSON_ArrayForEach(object,
                       objects) if (!cJSON_AddItemToArray(value, dps_certificate_view(object, true))) return error_set_memory(error);
    return az_answer(call, TAKE(view), error);
}

static int delete_certificate(struct az_call *call, struct error *error)
{
    return object_store_delete(call->store, DPS_CERTIFICATE, az_value(call, AZ_CERTIFICATE_NAME), az_value(call, AZ_ETAG), error);
}

/* ---- the table ---- */

static const enum az_option none[] = {AZ_OPTION_END};
static const enum az_option by_name[] = {AZ_CERTIFICATE_NAME, AZ_OPTION_END};
static const enum az_option by_name_and_etag[] = {AZ_CERTIFICATE_NAME, AZ_ETAG, AZ_OPTION_END};
static const enum az_option of_create[] = {AZ_CERTIFICATE_NAME, AZ_PATH, AZ_VERIFIED, AZ_OPTION_END};
static const enum az_option needs_create[] = {AZ_CERTIFICATE_NAME, AZ_PATH, AZ_OPTION_END};
static const enum az_option of_update[] = {AZ_CERTIFICATE_NAME, AZ_PATH, AZ_ETAG, AZ_VERIFIED, AZ_OPTION_END};
static const enum az_option needs_update[] = {AZ_CERTIFICATE_NAME, AZ_PATH, AZ_ETAG, AZ_OPTION_END};

#define ROWS(X)                                                                                                                            \
    X(create, "create", of_create, needs_create, true, "Upload a CA certificate", "--certificate-name root-ca --path rootCA.pem")          \
    X(update, "update", of_update, needs_update, false, "Upload a CA certificate in the place of another",                                 \
      "-n root-ca --path rootCA.pem --etag '*'")                                                                                           \
    X(list, "list", none, none, false, "List the CA certificates", "--output table")                                                       \
    X(show, "show", by_name, by_name, false, "Show a CA certificate", "--certificate-name root-ca")                                        \
    X(delete_certificate, "delete", by_name_and_etag, by_name_and_etag, false, "Delete a CA certificate", "-n root-ca --etag '*'")         \
    X(generate_verification_code, "generate-verification-code", by_name_and_etag, by_name_and_etag, false,                                 \
      "Ask for the code that proves possession of the CA's key", "-n root-ca --etag '*' \\\n    | jq -r .properties.verificationCode")     \
    X(verify, "verify", needs_update, needs_update, false,                                                                                 \
      "Prove possession with a certificate whose CN is the code, signed by the CA's key",                                                  \
      "-n root-ca --etag '*' \\\n    --path verificationCert.pem")

#define X(function, name, options, needs, makes, text, example)                                                                            \
    static int run_##function(int argc, char **argv)                                                                                       \
    {                                                                                                                                      \
        static const struct az_command command = {                                                                                         \
            .signature = {options, needs, AZ_OF_CERTIFICATES, text ".\vExamples:\n  dpsbench az iot dps certificate " name " " example},   \
            .may_make = makes,                                                                                                             \
            .run = function};                                                                                                              \
        return az_run(&command, argc, argv);                                                                                               \
    }
ROWS(X)
#undef X

const struct command az_certificate_commands[] = {
#define X(function, name, options, needs, makes, text, example) {name, text, run_##function, NULL},
    ROWS(X)
#undef X
        {NULL, NULL, NULL, NULL},
};
