/*
 * broker_sim/front_door/tls.h - inside of the front door: the TLS server that accepts any client certificate and records everything
 *
 * What:     one SSL_CTX a lane. The client's certificate is asked for and verified against nothing; each verification error is recorded and
 * passed, unless the policy refuses the chain in the handshake. What is not passed is a CertificateVerify that the certificate's key did not make: that is the proof of possession. Off: session
 * tickets, session cache and renegotiation: each would let a client in without showing its chain.
 */
#ifndef BROKER_SIM_FRONT_DOOR_TLS_H
#define BROKER_SIM_FRONT_DOOR_TLS_H

#include "broker_sim/front_door/front_door.h"

struct tls_versions {
    int min, max; /* TLS1_2_VERSION, TLS1_3_VERSION */
};

/* 0 is TLS 1.2 for both: what DPS offers. */
struct tls_versions tls_versions_or_default(int min, int max);
/*
 * library: of tls_library.h, or NULL for OpenSSL's own. The callbacks find the connection in the SSL's app data. CRYPTO (ours): OpenSSL refuses the identity. Certificates that are too weak for
 * OpenSSL's security level are sent all the same: a lane may have to.
 */
int tls_context_new(OSSL_LIB_CTX *library, const struct lane_identity *identity, struct tls_versions versions, SSL_CTX **ret_tls,
                    struct error *error);

/* Sessions that can be resumed by their id, chain and all; off for a new context. */
void tls_set_resumption(SSL_CTX *tls, bool is_on);
/* What the tls knobs of a lane change in one handshake; before its ServerHello. -1: OpenSSL refuses. */
int tls_spoil(SSL *ssl, const struct knobs *knobs);

#endif
