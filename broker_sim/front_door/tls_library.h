/*
 * broker_sim/front_door/tls_library.h - inside of the front door: OpenSSL's library context for handshakes
 *
 * What:     the default provider's algorithms once more, without those that no handshake can need: decoders of anything but a
 *           SubjectPublicKeyInfo in DER, ciphers in modes that no TLS suite has, other protocols' key derivations and MACs. What can be
 *           decoded, every suite, every digest, every signature and every check stay as they are.
 * Why:      for the public key of each certificate that comes in, OpenSSL 3.0 walks along all algorithms that it has loaded and puts a
 *           decoder together out of all the decoders that it finds: PEM, private keys, Microsoft's blobs. That is a quarter of the work of
 *           a handshake. 12 of 40 decoders are left, one or two a key type, and 31 of 124 ciphers.
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
