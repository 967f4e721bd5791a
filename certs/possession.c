#include "certs/dps_state_model.h"

#include "base/shell_word.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

static int make_code(char code[DPS_VERIFICATION_CODE_BYTES], struct error *error)
{
    unsigned char random[(DPS_VERIFICATION_CODE_BYTES - 1) / 2];
    if (RAND_bytes(random, sizeof random) != 1)
        return error_set(error, ERROR_OWNER_OURS, ERROR_CRYPTO, "no random bytes for a verification code");
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(code + 2 * i, 3, "%02X", random[i]);
    return 0;
}

static int refuse(struct error *error, const struct dps_object *object, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int refuse(struct error *error, const struct dps_object *object, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    error_setv(error, ERROR_OWNER_FILE, ERROR_REFUSED, format, args);
    va_end(args);
    return error_prefix(error, "certificate '%s'", object->id);
}

static struct dps_entry *require_provable(struct dps_state *state, const char *name, const char *etag, struct error *error)
{
    struct dps_entry *entry = dps_state_require(state, DPS_CERTIFICATE, name, error);
    if (!entry || dps_state_check_etag(entry, etag, DPS_CERTIFICATE, name, error))
        return NULL;
    if (entry->object.certificates[DPS_PRIMARY].certificate)
        return entry;
    refuse(error, &entry->object, "the certificate itself is not there, only its thumbprint: put it into %s first", entry->place);
    return NULL;
}

/* A properties object to keep the code in, also where the certificate stands at the top. */
static cJSON *require_properties(cJSON *json)
{
    cJSON *properties = (cJSON *)json_member(json, "properties");
    if (properties)
        return properties;
    return json_set(json, "properties", cJSON_CreateObject()) ? NULL : (cJSON *)json_member(json, "properties");
}

static void drop_code(cJSON *json)
{
    cJSON_DeleteItemFromObjectCaseSensitive(json, "verificationCode");
    cJSON_DeleteItemFromObjectCaseSensitive((cJSON *)json_member(json, "properties"), "verificationCode");
}

int dps_state_verification_code(struct dps_state *state, const char *name, const char *etag, const struct dps_object **ret_object,
                                struct error *error)
{
    struct dps_entry *entry = require_provable(state, name, etag, error);
    char code[DPS_VERIFICATION_CODE_BYTES];
    if (!entry || make_code(code, error))
        return -1;
    CLEANUP_JSON cJSON *json = cJSON_Duplicate(entry->json, true);
    if (!json)
        return error_set_memory(error);
    drop_code(json);
    cJSON *properties = require_properties(json);
    if (!properties || json_set_string(properties, "verificationCode", code))
        return error_set_memory(error);
    return dps_state_replace(state, entry, TAKE(json), ret_object, error);
}

static int check_code(const struct dps_state *state, const struct dps_object *object, const X509 *proof, struct error *error)
{
    CLEANUP_FREE char *cn = NULL;
    size_t count = certificate_common_names(proof, &cn);
    if (count == 1 && strcmp(cn, object->verification_code) == 0)
        return 0;
    CLEANUP_FREE char *name = shell_word(object->id), *dir = shell_word(state->dir);
    if (!name || !dir)
        return error_set_memory(error);
    return refuse(
        error, object,
        "the verification certificate's CN is '%s', the verification code is '%s'; make it again with -subj \"/CN=%s\" (asking "
        "for a code once more makes the former one void: dpsbench az iot dps certificate generate-verification-code -n %s --etag '*' "
        "--state %s)",
        cn ? cn : "(none)", object->verification_code, object->verification_code, name, dir);
}

/* The words and the code are those of azure-iot-sdk-c issue 1347 and azure-cli issue 5376, where IoT Hub said them. */
static int check_signer(const struct dps_object *object, const X509 *proof, struct error *error)
{
    const X509 *ca = object->certificates[DPS_PRIMARY].certificate;
    if (certificate_is_signed_by(proof, ca))
        return 0;
    CLEANUP_FREE char *issuer = certificate_issuer(proof), *subject = certificate_subject(ca);
    if (!issuer || !subject)
        return error_set_memory(error);
    bool has_same_name = X509_NAME_cmp(X509_get_issuer_name(proof), X509_get_subject_name(ca)) == 0;
    return refuse(error, object,
                  "Proof-Of-Possession failed. Issuer certificate '%s' cannot be found in the certificate chain. (Azure: IH400053): the "
                  "verification certificate was issued by '%s', and the key of '%s' did not sign it%s; sign it with the private key that "
                  "belongs to this very certificate (openssl x509 -req -CA THIS.pem -CAkey THIS.key): an intermediate is proven with the "
                  "intermediate's own key, not with its root's",
                  subject, issuer, subject, has_same_name ? ": the names agree, the keys do not" : "");
}

static int refuse_unasked(const struct dps_state *state, const struct dps_object *object, struct error *error)
{
    CLEANUP_FREE char *name = shell_word(object->id), *dir = shell_word(state->dir);
    if (!name || !dir)
        return error_set_memory(error);
    return refuse(error, object,
                  "no verification code has been asked for; ask first: dpsbench az iot dps certificate generate-verification-code -n %s "
                  "--etag '*' --state %s",
                  name, dir);
}

static int check_proof(const struct dps_state *state, const struct dps_object *object, const void *pem, size_t length_bytes,
                       struct error *error)
{
    if (!object->verification_code && object->is_verified)
        return refuse(error, object, "it is verified already: there is nothing to prove");
    if (!object->verification_code)
        return refuse_unasked(state, object, error);
    CLEANUP_X509 X509 *proof = NULL;
    if (certificate_read_text(pem, length_bytes, "verification certificate", &proof, error))
        return -1;
    return check_code(state, object, proof, error) || check_signer(object, proof, error) ? -1 : 0;
}

int dps_state_verify(struct dps_state *state, const char *name, const char *etag, const void *pem, size_t length_bytes,
                     const struct dps_object **ret_object, struct error *error)
{
    struct dps_entry *entry = require_provable(state, name, etag, error);
    if (!entry || check_proof(state, &entry->object, pem, length_bytes, error))
        return -1;
    CLEANUP_JSON cJSON *json = cJSON_Duplicate(entry->json, true);
    if (!json)
        return error_set_memory(error);
    drop_code(json);
    if (json_set_bool(dps_certificate_holder(json), "isVerified", true))
        return error_set_memory(error);
    return dps_state_replace(state, entry, TAKE(json), ret_object, error);
}
