/*
 * certs/keyless_library.h - OpenSSL's library context for certificates whose public keys nobody asks for
 *
 * What:     a library context without algorithms. Certificates that are read in it have names, times and serial number, and their DER; X509_get0_pubkey()
 *           is NULL, and nothing can be verified with them.
 * Why:      to put the decoder of a public key together takes OpenSSL 3.0 longer than all else about a certificate, and the key takes most of its
 *           memory. Of 10,000 enrollments, which are compared by thumbprint, nobody needs it.
 * Lifetime: certificates that are read in it must be freed before it.
 */
#ifndef CERTS_KEYLESS_LIBRARY_H
#define CERTS_KEYLESS_LIBRARY_H

#include <openssl/crypto.h>

struct keyless_library;

/* NULL when OpenSSL cannot make it, or out of memory: then its default library context serves, only slower. */
struct keyless_library *keyless_library_new(void);
void keyless_library_free(struct keyless_library *library); /* NULL allowed */
/* Lent. NULL, which means the default one, for NULL. */
OSSL_LIB_CTX *keyless_library_context(const struct keyless_library *library);

#endif
