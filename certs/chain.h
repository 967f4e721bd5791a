/*
 * certs/chain.h - certificates and private keys: read, describe, write
 *
 * What:     reads what people call "the certificate" (PEM with text around and any line ends, DER, base64 of DER, base64 of PEM), describes
 *           a certificate as docs/events.md and as Azure do, and moves private keys in and out of buffers that are wiped.
 * Not here: whether a chain is good (certs/attestation.h), how certificates are made (certs/forge.h).
 * Errors:   owner file; NOT_FOUND, LIMIT, SYNTAX, CRYPTO. The text names the file, what is wrong and the mend. OpenSSL's error queue is
 *           empty after every call. Success outputs are untouched on failure.
 * Limits:   CERTIFICATE_TEXT_MAX_BYTES a file, CHAIN_MAX_CERTIFICATES a file.
 */
#ifndef CERTS_CHAIN_H
#define CERTS_CHAIN_H

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/json.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef STACK_OF(X509) x509_stack;

static inline __attribute__((unused)) void x509_stack_free(x509_stack *stack)
{
    sk_X509_pop_free(stack, X509_free);
}

DEFINE_CLEANUP(X509 *, X509_free)
DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)
DEFINE_CLEANUP(x509_stack *, x509_stack_free)
#define CLEANUP_X509 CLEANUP(X509_free_cleanup)
#define CLEANUP_PKEY CLEANUP(EVP_PKEY_free_cleanup)
#define CLEANUP_CHAIN CLEANUP(x509_stack_free_cleanup)

enum {
    CERTIFICATE_TEXT_MAX_BYTES = 256 * 1024,
    CHAIN_MAX_CERTIFICATES = 32,
    PRIVATE_KEY_TEXT_MAX_BYTES = 64 * 1024,
};

/*
 * All certificates of a text, in the order in which they stand there; at least one.
 *
 * data       PEM (text before, between and behind is skipped; LF, CRLF and CR line ends), DER, base64 of DER, or base64 of PEM.
 * name       stands for the file in errors.
 * ret_chain  given; x509_stack_free() it.
 * error      SYNTAX: none there, or one is broken; the text says which, and why: a private key or a CSR in place of a certificate, no END
 *            line, literal "\n" in place of line ends, spoiled base64. LIMIT.
 */
int certificates_read_text(const void *data, size_t length_bytes, const char *name, x509_stack **ret_chain, struct error *error);
int certificates_read_file(const char *path, x509_stack **ret_chain, struct error *error);
/* As certificate_read_text(), in a library context (certs/keyless_library.h). */
int certificate_read_text_in(OSSL_LIB_CTX *library, const void *data, size_t length_bytes, const char *name, X509 **ret_certificate,
                             struct error *error);
/* Exactly one certificate; more are a SYNTAX error that says so. Given: X509_free() it. */
int certificate_read_text(const void *data, size_t length_bytes, const char *name, X509 **ret_certificate, struct error *error);
int certificate_read_file(const char *path, X509 **ret_certificate, struct error *error);

/* Append PEM ("-----BEGIN CERTIFICATE-----", LF line ends) to `pem`. Returns -1 when it does not fit. */
int certificate_append_pem(const X509 *certificate, struct bytes *pem);
int certificates_append_pem(const x509_stack *chain, struct bytes *pem);

/* The `certificate` object of docs/events.md; an array of them. NULL when out of memory. */
cJSON *certificate_json(const X509 *certificate);
cJSON *certificates_json(const x509_stack *chain);
/* Azure's X509CertificateInfo: subjectName, sha1Thumbprint, sha256Thumbprint, issuerName, notBeforeUtc, notAfterUtc, serialNumber, version.
 */
cJSON *certificate_info_json(const X509 *certificate);

enum { SHA1_HEX_BYTES = 41, SHA256_HEX_BYTES = 65 };
/* Upper hex of the digest of the DER, NUL-terminated: what Azure calls a thumbprint. "" when OpenSSL fails. */
void certificate_sha1(const X509 *certificate, char hex[SHA1_HEX_BYTES]);
void certificate_sha256(const X509 *certificate, char hex[SHA256_HEX_BYTES]);

/* RFC 2253 ("CN=dev-01,O=Example"), "" for an empty name. malloc'ed; NULL when out of memory. */
char *certificate_subject(const X509 *certificate);
char *certificate_issuer(const X509 *certificate);
/* How many CNs the subject holds. ret_first (may be NULL): the first one in UTF-8, malloc'ed; untouched when there is none. */
size_t certificate_common_names(const X509 *certificate, char **ret_first);
/* notBefore and notAfter in seconds since 1970. Returns -1 when a field is not a time. */
int certificate_validity(const X509 *certificate, int64_t *ret_not_before_s, int64_t *ret_not_after_s);
/* Issuer name equals subject name (says nothing about the signature). */
bool certificate_is_self_issued(const X509 *certificate);
/* `issuer`'s key made the signature of `certificate`. Names are not compared. */
bool certificate_is_signed_by(const X509 *certificate, const X509 *issuer);

/* Private keys: PKCS#8, SEC1 or PKCS#1 PEM, unencrypted. The error never quotes the file's content. Given: EVP_PKEY_free() it. */
int private_key_read_text(const void *data, size_t length_bytes, const char *name, EVP_PKEY **ret_key, struct error *error);
int private_key_read_file(const char *path, EVP_PKEY **ret_key, struct error *error);
/* PKCS#8 PEM. ret_pem: initialised by the call; bytes_wipe() it. */
int private_key_pem(const EVP_PKEY *key, struct bytes *ret_pem, struct error *error);
/* The private key belongs to the certificate's public key. */
bool private_key_fits(const EVP_PKEY *key, const X509 *certificate);

/* White space stands behind the last dash of a PEM text; one line end is the text's own and does not count. */
bool pem_has_white_tail(const char *text);

#endif
