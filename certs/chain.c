#include "certs/chain.h"

#include "base/clock.h"
#include "certs/pem.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include <time.h>

static int append_bio(BIO *bio, struct bytes *out)
{
    char *data = NULL;
    long length = BIO_get_mem_data(bio, &data);
    return length < 0 ? -1 : bytes_append(out, data, (size_t)length);
}

int certificate_append_pem(const X509 *certificate, struct bytes *pem)
{
    CLEANUP_BIO BIO *bio = BIO_new(BIO_s_mem());
    int written = bio && PEM_write_bio_X509(bio, (X509 *)certificate) == 1;
    ERR_clear_error();
    return written ? append_bio(bio, pem) : -1;
}

int certificates_append_pem(const x509_stack *chain, struct bytes *pem)
{
    for (int i = 0; i < sk_X509_num(chain); i++)
        if (certificate_append_pem(sk_X509_value(chain, i), pem))
            return -1;
    return 0;
}

static void digest_hex(const X509 *certificate, const EVP_MD *digest, char *hex)
{
    unsigned char value[EVP_MAX_MD_SIZE], *der = NULL;
    unsigned length = 0;
    static const char digits[] = "0123456789ABCDEF";
    /* Not X509_digest(): it asks the certificate's own library context, which may have no digests (certs/keyless_library.h). */
    int der_bytes = i2d_X509(certificate, &der);
    if (der_bytes <= 0 || EVP_Digest(der, (size_t)der_bytes, value, &length, digest, NULL) != 1)
        length = 0;
    OPENSSL_free(der);
    for (unsigned i = 0; i < length; i++) {
        *hex++ = digits[value[i] >> 4];
        *hex++ = digits[value[i] & 0xf];
    }
    *hex = 0;
    ERR_clear_error();
}

void certificate_sha1(const X509 *certificate, char hex[SHA1_HEX_BYTES])
{
    digest_hex(certificate, EVP_sha1(), hex);
}

void certificate_sha256(const X509 *certificate, char hex[SHA256_HEX_BYTES])
{
    digest_hex(certificate, EVP_sha256(), hex);
}

static char *name_text(const X509_NAME *name, unsigned long flags)
{
    CLEANUP_BIO BIO *bio = BIO_new(BIO_s_mem());
    if (!bio)
        return NULL;
    int length = X509_NAME_print_ex(bio, name, 0, flags);
    ERR_clear_error();
    char *data = NULL;
    long size = BIO_get_mem_data(bio, &data);
    if (length < 0)
        return strdup("(a name that cannot be read)");
    return size > 0 ? strndup(data, (size_t)size) : strdup("");
}

char *certificate_subject(const X509 *certificate)
{
    return name_text(X509_get_subject_name(certificate), XN_FLAG_RFC2253);
}

char *certificate_issuer(const X509 *certificate)
{
    return name_text(X509_get_issuer_name(certificate), XN_FLAG_RFC2253);
}

/* A NUL inside a name must not end it: "dev-01\0.evil" is not "dev-01". RFC 4514 writes it as \00. */
static char *escape_nuls(const unsigned char *text, size_t length)
{
    CLEANUP(bytes_done) struct bytes out;
    bytes_init(&out, 3 * length);
    for (size_t i = 0; i < length; i++)
        if (text[i] ? bytes_append_byte(&out, text[i]) : bytes_append_text(&out, "\\00"))
            return NULL;
    return strdup(bytes_text(&out));
}

static char *entry_text(const X509_NAME *name, int index)
{
    unsigned char *utf8 = NULL;
    int length = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, index)));
    ERR_clear_error();
    if (length < 0)
        return strdup("(a CN that cannot be read)");
    char *text = escape_nuls(utf8, (size_t)length);
    OPENSSL_free(utf8);
    return text;
}

size_t certificate_common_names(const X509 *certificate, char **ret_first)
{
    const X509_NAME *name = X509_get_subject_name(certificate);
    size_t count = 0;
    int first = -1;
    for (int at = -1; (at = X509_NAME_get_index_by_NID(name, NID_commonName, at)) >= 0; count++)
        first = first < 0 ? at : first;
    if (count && ret_first)
        *ret_first = entry_text(name, first);
    return count;
}

static int time_to_unix(const ASN1_TIME *time, int64_t *ret_s)
{
    struct tm fields;
    int is_good = ASN1_TIME_to_tm(time, &fields);
    ERR_clear_error();
    if (is_good != 1)
        return -1;
    *ret_s = timegm(&fields);
    return 0;
}

int certificate_validity(const X509 *certificate, int64_t *ret_not_before_s, int64_t *ret_not_after_s)
{
    int64_t not_before, not_after;
    if (time_to_unix(X509_get0_notBefore(certificate), &not_before) || time_to_unix(X509_get0_notAfter(certificate), &not_after))
        return -1;
    *ret_not_before_s = not_before;
    *ret_not_after_s = not_after;
    return 0;
}

bool certificate_is_self_issued(const X509 *certificate)
{
    return X509_NAME_cmp(X509_get_subject_name(certificate), X509_get_issuer_name(certificate)) == 0;
}

bool certificate_is_signed_by(const X509 *certificate, const X509 *issuer)
{
    EVP_PKEY *key = X509_get0_pubkey(issuer);
    bool is_signed = key && X509_verify((X509 *)certificate, key) == 1;
    ERR_clear_error();
    return is_signed;
}

static void iso8601_of(const ASN1_TIME *time, char text[CLOCK_ISO8601_BYTES])
{
    int64_t at;
    text[0] = 0;
    if (time_to_unix(time, &at))
        return;
    struct tm fields;
    time_t seconds = (time_t)at;
    if (gmtime_r(&seconds, &fields))
        strftime(text, CLOCK_ISO8601_BYTES, "%Y-%m-%dT%H:%M:%SZ", &fields);
}

static int set_times(cJSON *json, const X509 *certificate, const char *before_name, const char *after_name)
{
    char before[CLOCK_ISO8601_BYTES], after[CLOCK_ISO8601_BYTES];
    iso8601_of(X509_get0_notBefore(certificate), before);
    iso8601_of(X509_get0_notAfter(certificate), after);
    return json_add_string(json, before_name, before) || json_add_string(json, after_name, after);
}

static int set_digests(cJSON *json, const X509 *certificate, const char *sha1_name, const char *sha256_name)
{
    char sha1[SHA1_HEX_BYTES], sha256[SHA256_HEX_BYTES];
    certificate_sha1(certificate, sha1);
    certificate_sha256(certificate, sha256);
    return json_add_string(json, sha1_name, sha1) || json_add_string(json, sha256_name, sha256);
}

static int set_names(cJSON *json, const X509 *certificate, unsigned long flags, const char *subject_name, const char *issuer_name)
{
    CLEANUP_FREE char *subject = name_text(X509_get_subject_name(certificate), flags);
    CLEANUP_FREE char *issuer = name_text(X509_get_issuer_name(certificate), flags);
    return !subject || !issuer || json_add_string(json, subject_name, subject) || json_add_string(json, issuer_name, issuer);
}

static int set_serial(cJSON *json, const X509 *certificate, const char *name)
{
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
    char *hex = number ? BN_bn2hex(number) : NULL;
    BN_free(number);
    ERR_clear_error();
    int rc = json_add_string(json, name, hex ? hex : "");
    OPENSSL_free(hex);
    return rc;
}

cJSON *certificate_json(const X509 *certificate)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    CLEANUP(bytes_done) struct bytes pem;
    bytes_init(&pem, CERTIFICATE_TEXT_MAX_BYTES);
    if (!json || certificate_append_pem(certificate, &pem) || set_names(json, certificate, XN_FLAG_RFC2253, "subject", "issuer") ||
        set_serial(json, certificate, "serial") || set_times(json, certificate, "not_before", "not_after") ||
        set_digests(json, certificate, "sha1", "sha256") || json_add_string(json, "pem", bytes_text(&pem)))
        return NULL;
    return TAKE(json);
}

cJSON *certificates_json(const x509_stack *chain)
{
    CLEANUP_JSON cJSON *array = cJSON_CreateArray();
    for (int i = 0; array && i < sk_X509_num(chain); i++) {
        cJSON *one = certificate_json(sk_X509_value(chain, i));
        if (!one || !cJSON_AddItemToArray(array, one))
            return NULL;
    }
    return TAKE(array);
}

/* Names as .NET prints them ("CN=dev-01, O=Example"), because the service is written in it. */
cJSON *certificate_info_json(const X509 *certificate)
{
    const unsigned long flags = (XN_FLAG_RFC2253 & ~(unsigned long)XN_FLAG_SEP_MASK) | XN_FLAG_SEP_CPLUS_SPC;
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || set_names(json, certificate, flags, "subjectName", "issuerName") ||
        set_digests(json, certificate, "sha1Thumbprint", "sha256Thumbprint") ||
        set_times(json, certificate, "notBeforeUtc", "notAfterUtc") || set_serial(json, certificate, "serialNumber") ||
        json_add_integer(json, "version", X509_get_version(certificate) + 1))
        return NULL;
    return TAKE(json);
}
