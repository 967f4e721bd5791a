/*
 * harness/credentials/attestation_token.h - what AT%ATTESTTOKEN answers: who the modem says it is
 *
 * What:     reads "<base64url of a CBOR message>.<base64url of a COSE_Sign1>": device UUID, device type, UUID of the modem firmware, nonce.
 * Not here: the signature (cose.h).
 * Source:   Nordic, nRF91 AT command reference, %ATTESTTOKEN; sdk-nrf, lib/modem_attest_token: tag 55799, [1, UUID, type, UUID, nonce].
 */
#ifndef HARNESS_CREDENTIALS_ATTESTATION_TOKEN_H
#define HARNESS_CREDENTIALS_ATTESTATION_TOKEN_H

#include "base/error.h"
#include "harness/credentials/cose.h"

enum { ATTESTATION_NONCE_BYTES = 16, ATTESTATION_NONCE_TEXT_BYTES = 2 * ATTESTATION_NONCE_BYTES + 1 };

struct attestation_token {
    char device_uuid[COSE_UUID_TEXT_BYTES];
    char firmware_uuid[COSE_UUID_TEXT_BYTES]; /* of the modem firmware's build, the same on every device */
    char nonce[ATTESTATION_NONCE_TEXT_BYTES]; /* hexadecimal, lower case; the challenge, when there was one */
    int device_type;
};

/*
 * challenge: what was asked with (32 hex digits), NULL: nothing.
 * PROTOCOL (device): not of this form, or of another challenge: an old token, or a line that was lost. Untouched on failure.
 */
int attestation_token_read(const char *text, size_t length_bytes, const char *challenge, struct attestation_token *ret_token,
                           struct error *error);

#endif
