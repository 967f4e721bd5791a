/*
 * harness/run/proof.h - the verification certificate: proof that somebody holds a CA's private key
 *
 * What:     a certificate whose CN is the verification code, signed directly by the CA's key, as `openssl x509 -req` makes it.
 * Source:   Microsoft, "How to do proof-of-possession for X.509 CA certificates with your Device Provisioning Service".
 */
#ifndef HARNESS_RUN_PROOF_H
#define HARNESS_RUN_PROOF_H

#include "base/clock.h"
#include "certs/chain.h"

/* ret_pem: initialised by the call; bytes_done() it. CRYPTO (ours). OpenSSL's error queue is empty afterwards. */
int proof_make(const char *code, const X509 *ca, EVP_PKEY *ca_key, const struct clock *clock, struct bytes *ret_pem, struct error *error);

#endif
