#include "broker_sim/pki/issuing_ca.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "certs/attestation.h"
#include "certs/forge.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>

enum { BACKDATE_S = 3600, DAY_S = 86400 };

struct issuing_ca {
    char *dir;
    const struct clock *clock;
    struct pki *pki; /* NULL before the first request */
};

DEFINE_CLEANUP(struct recipe *, recipe_free)
DEFINE_CLEANUP(X509_REQ *, X509_REQ_free)

struct issuing_ca *issuing_ca_new(const char *dir, const struct clock *clock)
{
    CLEANUP_FREE struct issuing_ca *ca = calloc(1, sizeof *ca);
    if (!ca || !(ca->dir = strdup(dir)))
        return NULL;
    ca->clock = clock;
    return TAKE(ca);
}

void issuing_ca_free(struct issuing_ca *ca)
{
    if (!ca)
        return;
    pki_free(ca->pki);
    free(ca->dir);
    free(ca);
}

/* A process that was killed while it wrote leaves some members out: nobody has a certificate of that CA yet. */
static int open_pki(struct issuing_ca *ca, struct error *error)
{
    CLEANUP(recipe_free_cleanup) struct recipe *recipe = NULL;
    struct error why = ERROR_INIT;
    if (ca->pki)
        return 0;
    if (recipe_read_builtin("issuing", &recipe, error))
        return -1;
    if (pki_read(recipe, ca->dir, &ca->pki, &why) == 0)
        return 0;
    if (why.code != ERROR_NOT_FOUND)
        return error_set(error, why.owner, why.code, "%s; remove '%s' to have a new CA made", why.text, ca->dir);
    struct pki *made = NULL;
    if (forge_pki(recipe, NULL, ca->clock, NULL, &made, error))
        return -1;
    if (pki_write(made, ca->dir, error)) {
        pki_free(made);
        return -1;
    }
    ca->pki = made;
    return 0;
}

/* --- the request --- */

static int fail(struct error *error, enum error_code code, const char *text)
{
    return error_set(error, ERROR_OWNER_DEVICE, code, "csr: %s", text);
}

static int read_der(const char *csr, uint8_t *der, size_t *ret_length, struct error *error)
{
    size_t length = strlen(csr);
    if (strncmp(csr, "-----", 5) == 0)
        return fail(error, ERROR_SYNTAX, "is PEM; send the base64 of the DER alone, without BEGIN and END lines");
    if (length > CSR_MAX_BYTES)
        return fail(error, ERROR_LIMIT, "is longer than 8192 characters");
    if (length == 0 || length % 4 != 0 || strspn(csr, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") != length)
        return fail(error, ERROR_SYNTAX, "is not base64");
    int count = EVP_DecodeBlock(der, (const unsigned char *)csr, (int)length);
    ERR_clear_error();
    count -= (csr[length - 1] == '=') + (csr[length - 2] == '=');
    if (count <= 0)
        return fail(error, ERROR_SYNTAX, "is not base64");
    *ret_length = (size_t)count;
    return 0;
}

static int check_name(X509_REQ *request, const char *registration_id, struct error *error)
{
    X509_NAME *subject = X509_REQ_get_subject_name(request);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    unsigned char *cn = NULL;
    if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0)
        return fail(error, ERROR_REFUSED, "has no CN, or several; it must have the registration id as its only CN");
    int length = ASN1_STRING_to_UTF8(&cn, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    bool is_same = length >= 0 && strlen((const char *)cn) == (size_t)length && registration_id_equals((const char *)cn, registration_id);
    if (!is_same)
        error_set(error, ERROR_OWNER_DEVICE, ERROR_REFUSED, "csr: has the CN '%.128s'; the registration id is '%s'",
                  cn ? (const char *)cn : "", registration_id);
    OPENSSL_free(cn);
    return is_same ? 0 : -1;
}

static int read_request(const char *csr, const char *registration_id, X509_REQ **ret_request, struct error *error)
{
    uint8_t der[CSR_MAX_BYTES];
    size_t length = 0;
    if (read_der(csr, der, &length, error))
        return -1;
    const uint8_t *at = der;
    CLEANUP(X509_REQ_free_cleanup) X509_REQ *request = d2i_X509_REQ(NULL, &at, (long)length);
    ERR_clear_error();
    if (!request || at != der + length)
        return fail(error, ERROR_SYNTAX, "holds no PKCS#10 request (openssl req -new -outform DER)");
    EVP_PKEY *key = X509_REQ_get0_pubkey(request);
    bool is_signed = key && X509_REQ_verify(request, key) == 1;
    ERR_clear_error();
    if (!is_signed)
        return fail(error, ERROR_REFUSED, "is not signed by the key that it holds");
    if (check_name(request, registration_id, error))
        return -1;
    *ret_request = TAKE(request);
    return 0;
}

/* --- the certificate --- */

static bool add_extension(X509 *leaf, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, leaf, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool is_added = extension && X509_add_ext(leaf, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return is_added;
}

static bool add_extensions(X509 *leaf, X509 *issuer)
{
    return add_extension(leaf, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(leaf, issuer, NID_key_usage, "critical,digitalSignature") &&
           add_extension(leaf, issuer, NID_ext_key_usage, "clientAuth") &&
           add_extension(leaf, issuer, NID_subject_key_identifier, "hash") &&
           add_extension(leaf, issuer, NID_authority_key_identifier, "keyid:always");
}

static bool set_serial(X509 *leaf)
{
    uint64_t number;
    return RAND_bytes((unsigned char *)&number, sizeof number) == 1 &&
           ASN1_INTEGER_set_uint64(X509_get_serialNumber(leaf), number >> 1 | 1) == 1;
}

static X509 *make_leaf(const struct issuing_ca *ca, X509_REQ *request)
{
    X509 *issuer = pki_certificate(ca->pki, "ca");
    int64_t now_s = clock_unix_s(ca->clock);
    CLEANUP_X509 X509 *leaf = X509_new();
    bool is_made =
        leaf && X509_set_version(leaf, X509_VERSION_3) && set_serial(leaf) && X509_set_issuer_name(leaf, X509_get_subject_name(issuer)) &&
        X509_set_subject_name(leaf, X509_REQ_get_subject_name(request)) && X509_set_pubkey(leaf, X509_REQ_get0_pubkey(request)) &&
        ASN1_TIME_set(X509_getm_notBefore(leaf), (time_t)(now_s - BACKDATE_S)) &&
        ASN1_TIME_set(X509_getm_notAfter(leaf), (time_t)(now_s + (int64_t)ISSUED_DAYS * DAY_S)) && add_extensions(leaf, issuer) &&
        X509_sign(leaf, pki_key(ca->pki, "ca"), EVP_sha384()) > 0;
    ERR_clear_error();
    return is_made ? TAKE(leaf) : NULL;
}

static int add_certificate(cJSON *chain, const X509 *certificate)
{
    unsigned char *der = NULL;
    int length = i2d_X509(certificate, &der);
    CLEANUP_FREE char *text = length > 0 ? malloc((size_t)length * 4 / 3 + 8) : NULL;
    if (text)
        EVP_EncodeBlock((unsigned char *)text, der, length);
    OPENSSL_free(der);
    return text && cJSON_AddItemToArray(chain, cJSON_CreateString(text)) ? 0 : -1;
}

int issuing_ca_sign(struct issuing_ca *ca, const char *csr, const char *registration_id, struct issued *ret_issued, struct error *error)
{
    CLEANUP(X509_REQ_free_cleanup) X509_REQ *request = NULL;
    if (read_request(csr, registration_id, &request, error) || open_pki(ca, error))
        return -1;
    CLEANUP_X509 X509 *leaf = make_leaf(ca, request);
    if (!leaf)
        return error_set(error, ERROR_OWNER_OURS, ERROR_CRYPTO, "issue a certificate for '%s': OpenSSL refused", registration_id);
    CLEANUP_JSON cJSON *chain = cJSON_CreateArray();
    if (!chain || add_certificate(chain, leaf) || add_certificate(chain, pki_certificate(ca->pki, "ca")) ||
        add_certificate(chain, pki_certificate(ca->pki, "root")))
        return error_set_memory(error);
    CLEANUP_FREE char *text = json_print_line(chain);
    if (!text)
        return error_set_memory(error);
    certificate_sha256(leaf, ret_issued->leaf_sha256);
    ret_issued->chain = TAKE(text);
    return 0;
}
