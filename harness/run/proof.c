#include "harness/run/proof.h"

#include <openssl/err.h>
#include <openssl/rand.h>

enum { VALID_S = 24 * 3600, PEM_MAX_BYTES = 16 * 1024 };

static int fill(X509 *proof, const char *code, const X509 *ca, EVP_PKEY *key, int64_t now_s)
{
    uint64_t serial;
    X509_NAME *subject = X509_get_subject_name(proof);
    return RAND_bytes((unsigned char *)&serial, sizeof serial) == 1 && X509_set_version(proof, X509_VERSION_3) &&
                   ASN1_INTEGER_set_uint64(X509_get_serialNumber(proof), serial >> 1) &&
                   X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)code, -1, -1, 0) &&
                   X509_set_issuer_name(proof, X509_get_subject_name(ca)) && X509_set_pubkey(proof, key) &&
                   ASN1_TIME_set(X509_getm_notBefore(proof), now_s - 3600) && ASN1_TIME_set(X509_getm_notAfter(proof), now_s + VALID_S)
               ? 0
               : -1;
}

static int fail(struct error *error)
{
    char text[256];
    ERR_error_string_n(ERR_get_error(), text, sizeof text);
    ERR_clear_error();
    return error_set(error, ERROR_OWNER_OURS, ERROR_CRYPTO, "make a verification certificate: %s", text);
}

int proof_make(const char *code, const X509 *ca, EVP_PKEY *ca_key, const struct clock *clock, struct bytes *ret_pem, struct error *error)
{
    /* Any key will do for the certificate itself: what proves is the signature. */
    CLEANUP_PKEY EVP_PKEY *key = EVP_EC_gen("P-256");
    CLEANUP_X509 X509 *proof = X509_new();
    if (!key || !proof || fill(proof, code, ca, key, clock_unix_s(clock)) || X509_sign(proof, ca_key, EVP_sha256()) == 0)
        return fail(error);
    struct bytes pem;
    bytes_init(&pem, PEM_MAX_BYTES);
    if (certificate_append_pem(proof, &pem)) {
        bytes_done(&pem);
        return error_set_memory(error);
    }
    *ret_pem = pem;
    return 0;
}
