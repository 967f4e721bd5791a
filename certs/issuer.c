#include "certs/issuer.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>

enum { SERIAL_BYTES = 16, DAY_S = 86400 };

static int check_ca(const char *path, X509 *certificate, int64_t now_s, struct error *error)
{
    int64_t not_before_s, not_after_s;
    if (certificate_validity(certificate, &not_before_s, &not_after_s))
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s: its dates cannot be read", path);
    bool is_ca = X509_check_ca(certificate) == 1, may_sign = X509_get_key_usage(certificate) & KU_KEY_CERT_SIGN;
    ERR_clear_error();
    if (!is_ca)
        return error_set(error, ERROR_OWNER_FILE, ERROR_CONFLICT,
                         "%s: this is no CA certificate (basicConstraints CA:TRUE is missing), so nobody accepts what it signs; name the "
                         "intermediate that signs your devices",
                         path);
    if (!may_sign)
        return error_set(error, ERROR_OWNER_FILE, ERROR_CONFLICT, "%s: its key usage does not allow it to sign certificates (keyCertSign)",
                         path);
    if (now_s < not_before_s || now_s > not_after_s)
        return error_set(error, ERROR_OWNER_FILE, ERROR_CONFLICT, "%s: the CA certificate %s", path,
                         now_s > not_after_s ? "has expired; renew it first" : "is not valid yet; look at this machine's clock");
    return 0;
}

static int check_upwards(const struct issuer *issuer, const char *path, struct error *error)
{
    const X509 *lower = sk_X509_value(issuer->chain, 0);
    if (X509_cmp(lower, issuer->certificate) != 0)
        return error_set(error, ERROR_OWNER_FILE, ERROR_CONFLICT,
                         "%s: its first certificate is not the CA that signs; the order is: issuing CA, then whoever signed it", path);
    for (int i = 1; i < sk_X509_num(issuer->chain); i++) {
        const X509 *upper = sk_X509_value(issuer->chain, i);
        if (!certificate_is_signed_by(lower, upper))
            return error_set(error, ERROR_OWNER_FILE, ERROR_CONFLICT, "%s: certificate %d did not sign the one before it; check the order",
                             path, i + 1);
        lower = upper;
    }
    return 0;
}

static int read_chain(struct issuer *issuer, const char *path, struct error *error)
{
    if (path)
        return certificates_read_file(path, &issuer->chain, error) || check_upwards(issuer, path, error) ? -1 : 0;
    issuer->chain = sk_X509_new_null();
    if (!issuer->chain)
        return error_set_memory(error);
    if (certificate_is_self_issued(issuer->certificate))
        return 0;
    if (X509_up_ref(issuer->certificate) != 1 || !sk_X509_push(issuer->chain, issuer->certificate))
        return error_set_memory(error);
    return 0;
}

int issuer_read(const char *certificate_path, const char *key_path, const char *chain_path, int64_t now_s, struct issuer *ret_issuer,
                struct error *error)
{
    CLEANUP(issuer_done) struct issuer issuer = {0};
    CLEANUP_CHAIN x509_stack *all = NULL;
    /* A bundle is fine: the issuing CA stands first. */
    if (certificates_read_file(certificate_path, &all, error))
        return -1;
    issuer.certificate = sk_X509_shift(all);
    if (check_ca(certificate_path, issuer.certificate, now_s, error) || private_key_read_file(key_path, &issuer.key, error))
        return -1;
    if (!private_key_fits(issuer.key, issuer.certificate))
        return error_set(error, ERROR_OWNER_FILE, ERROR_CONFLICT, "%s: this is not the key of '%s'", key_path, certificate_path);
    if (read_chain(&issuer, chain_path, error))
        return -1;
    *ret_issuer = issuer;
    issuer = (struct issuer){0};
    return 0;
}

void issuer_done(struct issuer *issuer)
{
    if (!issuer)
        return;
    X509_free(issuer->certificate);
    EVP_PKEY_free(issuer->key);
    x509_stack_free(issuer->chain);
    *issuer = (struct issuer){0};
}

/* ---- signing ---- */

static int set_serial(X509 *leaf)
{
    unsigned char octets[SERIAL_BYTES];
    if (RAND_bytes(octets, sizeof octets) != 1)
        return -1;
    octets[0] = (unsigned char)((octets[0] & 0x7F) | 0x40);
    BIGNUM *number = BN_bin2bn(octets, sizeof octets, NULL);
    bool is_set = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(leaf));
    BN_free(number);
    return is_set ? 0 : -1;
}

static int add_extension(X509 *leaf, X509 *ca, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, ca, leaf, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool is_added = extension && X509_add_ext(leaf, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return is_added ? 0 : -1;
}

static int add_extensions(X509 *leaf, X509 *ca)
{
    return add_extension(leaf, ca, NID_basic_constraints, "critical,CA:FALSE") ||
                   add_extension(leaf, ca, NID_key_usage, "critical,digitalSignature") ||
                   add_extension(leaf, ca, NID_ext_key_usage, "clientAuth") ||
                   add_extension(leaf, ca, NID_subject_key_identifier, "hash") ||
                   add_extension(leaf, ca, NID_authority_key_identifier, "keyid")
               ? -1
               : 0;
}

static int set_dates(X509 *leaf, const X509 *ca, int64_t now_s, int days)
{
    int64_t ca_before_s, ca_after_s, from_s = now_s - ISSUER_BACKDATE_S, until_s = now_s + (int64_t)days * DAY_S;
    if (certificate_validity(ca, &ca_before_s, &ca_after_s))
        return -1;
    from_s = from_s < ca_before_s ? ca_before_s : from_s;
    until_s = until_s > ca_after_s ? ca_after_s : until_s;
    return ASN1_TIME_set(X509_getm_notBefore(leaf), (time_t)from_s) && ASN1_TIME_set(X509_getm_notAfter(leaf), (time_t)until_s) ? 0 : -1;
}

static int fill(X509 *leaf, const struct issuer *issuer, EVP_PKEY *public_key, const char *common_name, int64_t now_s, int days)
{
    X509_NAME *subject = X509_get_subject_name(leaf);
    if (X509_set_version(leaf, X509_VERSION_3) != 1 || set_serial(leaf) || set_dates(leaf, issuer->certificate, now_s, days) ||
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)common_name, -1, -1, 0) != 1 ||
        X509_set_issuer_name(leaf, X509_get_subject_name(issuer->certificate)) != 1 || X509_set_pubkey(leaf, public_key) != 1)
        return -1;
    return add_extensions(leaf, issuer->certificate);
}

/* EdDSA takes no digest of its own. */
static const EVP_MD *digest_for(const EVP_PKEY *key)
{
    int type = EVP_PKEY_get_base_id(key);
    return type == EVP_PKEY_ED25519 || type == EVP_PKEY_ED448 ? NULL : EVP_sha256();
}

int issuer_sign(const struct issuer *issuer, EVP_PKEY *public_key, const char *common_name, int64_t now_s, int days, X509 **ret_leaf,
                struct error *error)
{
    size_t length = strlen(common_name);
    if (length == 0 || length > ISSUER_COMMON_NAME_MAX)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "'%.80s': a certificate's CN has 1 to %d characters", common_name,
                         ISSUER_COMMON_NAME_MAX);
    CLEANUP_X509 X509 *leaf = X509_new();
    if (!leaf)
        return error_set_memory(error);
    bool is_good =
        fill(leaf, issuer, public_key, common_name, now_s, days) == 0 && X509_sign(leaf, issuer->key, digest_for(issuer->key)) > 0;
    const char *reason = is_good ? NULL : ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    if (!is_good)
        return error_set(error, ERROR_OWNER_OURS, ERROR_CRYPTO, "sign the certificate of '%s': %s", common_name,
                         reason ? reason : "OpenSSL refused");
    *ret_leaf = TAKE(leaf);
    return 0;
}

int issuer_append_chain(const struct issuer *issuer, const X509 *leaf, struct bytes *pem)
{
    return certificate_append_pem(leaf, pem) || certificates_append_pem(issuer->chain, pem) ? -1 : 0;
}
