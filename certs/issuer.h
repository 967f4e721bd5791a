/*
 * certs/issuer.h - a certification authority of the user's own: it signs device certificates
 *
 * What:     reads a CA's certificate, its key and what stands above it, refuses one that cannot sign devices, and issues the leaf that DPS expects:
 *           CN is the registration id, digitalSignature, clientAuth, no CA.
 * Not here: PKIs of the suite (certs/forge.h). Whether a service trusts the CA is the service's matter.
 * Errors:   file for CA, key and chain, naming the file and the mend; CRYPTO (ours). OpenSSL's error queue is empty after every call.
 * Source:   RFC 5280 4.2; "X.509 certificate attestation", Azure documentation.
 */
#ifndef CERTS_ISSUER_H
#define CERTS_ISSUER_H

#include "certs/chain.h"

enum { ISSUER_BACKDATE_S = 3600, ISSUER_COMMON_NAME_MAX = 64 };

struct issuer {
    X509 *certificate;
    EVP_PKEY *key;
    x509_stack *chain; /* what a device sends behind its own certificate, in order; may be empty */
};

/*
 * chain_path  what a device sends behind its leaf: the issuing CA first, each signed by the next. NULL: the CA alone, or nothing when it signs
 *             itself (then a service has it already).
 * now_s       seconds since 1970.
 * ret_issuer  issuer_done() it; untouched on failure.
 * error       SYNTAX, CONFLICT (file): the certificate is no CA, has expired, the key is another's, the chain does not lead upwards.
 */
int issuer_read(const char *certificate_path, const char *key_path, const char *chain_path, int64_t now_s, struct issuer *ret_issuer,
                struct error *error);
void issuer_done(struct issuer *issuer); /* NULL allowed */

/*
 * A leaf for `public_key`. It is valid from an hour ago (a device's clock may be slow) until `days` from now, but never longer than its CA.
 * common_name: 1 to 64 characters. USAGE (file): it is longer.
 */
int issuer_sign(const struct issuer *issuer, EVP_PKEY *public_key, const char *common_name, int64_t now_s, int days, X509 **ret_leaf,
                struct error *error);
/* PEM of the leaf with the issuer's chain behind it, LF line ends: what CLIENT_CERT holds. -1: it does not fit. */
int issuer_append_chain(const struct issuer *issuer, const X509 *leaf, struct bytes *pem);

#endif
