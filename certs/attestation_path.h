/*
 * certs/attestation_path.h - the chain as DPS can build it: what the device sent, and the verified certificates; internal to certs/
 *
 * Not here: what follows from it (attestation.c).
 * Source:   azure-docs articles/iot-dps/concepts-x509-attestation.md: every certificate up to a verified one must be sent, unless it is itself
 *           verified. A group's signing certificate does not help to build the chain: Nordic's documentation of the Azure IoT Hub library has the
 *           sub-CA sent where the group names the sub-CA and only the root is verified.
 */
#ifndef CERTS_ATTESTATION_PATH_H
#define CERTS_ATTESTATION_PATH_H

#include "certs/dps_state.h"

enum { PATH_MAX_STEPS = CHAIN_MAX_CERTIFICATES + 8 };

struct path_step {
    X509 *certificate;              /* lent by the chain or by the state */
    int sent_index;                 /* position in what the device sent; -1: from the state */
    const struct dps_object *known; /* this certificate among DPS's certificates, verified or not; NULL */
};

struct chain_path {
    struct path_step steps[PATH_MAX_STEPS]; /* leaf first; at least one */
    size_t count;
    bool is_top_self_signed; /* else: the issuer of the last step is not to be found */
    size_t anchor;           /* the lowest step above the leaf that is verified; 0: none (a verified leaf anchors nothing) */
};

/* `sent` holds at least the leaf. signed_count: as in struct attestation_question. */
void chain_path_build(const x509_stack *sent, int signed_count, const struct dps_state *state, struct chain_path *ret_path);

/* The highest certificate of the path. */
static inline X509 *chain_path_top(const struct chain_path *path)
{
    return path->steps[path->count - 1].certificate;
}

/* Issuer name and signature agree. */
bool path_issued(const X509 *issuer, const X509 *certificate);
bool path_names_issuer(const X509 *issuer, const X509 *certificate);

#endif
