/*
 * broker_sim/front_door/tls_library.h - inside of the front door: OpenSSL's library context for handshakes
 *
 * What:     the default provider's algorithms once more, all of them, without the decoders that the public key of a certificate cannot
 *           need.
 * Why:      for the public key of each certificate that comes in, OpenSSL 3.0 puts a decoder together out of all the decoders that it
 *           finds: PEM, private keys, Microsoft's blobs. That is a fifth of the time of a handshake. Of about sixty, the twelve for a
 *           SubjectPublicKeyInfo in DER are left, one a key type: what can be decoded, and every check, stays as it is.
 * Lifetime: certificates and contexts made in it must be freed before it.
 */
#ifndef BROKER_SIM_FRONT_DOOR_TLS_LIBRARY_H
#define BROKER_SIM_FRONT_DOOR_TLS_LIBRARY_H

#include <openssl/crypto.h>

struct tls_library;

/* NULL when OpenSSL cannot make it: then its default library context serves, only slower. */
struct tls_library *tls_library_new(void);
void tls_library_free(struct tls_library *library); /* NULL allowed */
/* Lent. NULL, which means the default one, for NULL. */
OSSL_LIB_CTX *tls_library_context(const struct tls_library *library);

#endif
