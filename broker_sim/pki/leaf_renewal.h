/*
 * broker_sim/pki/leaf_renewal.h - a leaf made anew: same key, same issuer, more names, a new life
 */
#ifndef BROKER_SIM_PKI_LEAF_RENEWAL_H
#define BROKER_SIM_PKI_LEAF_RENEWAL_H

#include "base/clock.h"
#include "certs/chain.h"

enum { LEAF_RENEWAL_MARGIN_S = 30 * 24 * 3600 };

/* A host is missing in the leaf, or it expires within the margin. */
bool leaf_needs_renewal(X509 *leaf, const char *const *hosts, size_t host_count, const struct clock *clock);
/* As `leaf`, with the missing hosts as subject alternative names, a new serial, and the same length of life from now on. CRYPTO (ours). */
int leaf_renew(X509 *leaf, EVP_PKEY *issuer_key, const char *const *hosts, size_t host_count, const struct clock *clock, X509 **ret_leaf,
               struct error *error);

#endif
