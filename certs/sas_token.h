/*
 * certs/sas_token.h - shared access signatures: tokens that devices and people send in place of a certificate, and the keys behind them
 *
 * What:     reads "SharedAccessSignature sr={resource}&sig={signature}&se={expiry}[&skn={policy}]", checks its signature, derives a device's key
 *           from a group's. For DPS, hubs and the HTTPS API alike.
 * Signed:   HMAC-SHA256 over sr as it was sent, a line feed, and se as it was sent: clients differ in what they percent-encode. Fields are
 *           known by name and stand in any order; unknown ones are skipped, one that stands there twice is refused.
 * Not here: whether the resource and the policy are the right ones for a service: the caller compares them.
 * Secrets:  keys and signatures never stand in errors. Signatures are compared in constant time; sas_key_wipe() what you have read.
 * Source:   "Control access to IoT Hub with shared access signatures" and "Symmetric key attestation", Azure documentation.
 */
#ifndef CERTS_SAS_TOKEN_H
#define CERTS_SAS_TOKEN_H

#include "base/cleanup.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SAS_TOKEN_MAX_BYTES = 4096,
    SAS_RESOURCE_MAX_BYTES = 1024,
    SAS_POLICY_MAX_BYTES = 128,
    SAS_SIGNATURE_BYTES = 32,
    SAS_EXPIRY_MAX_BYTES = 19, /* digits that fit an int64_t */
    SAS_KEY_MIN_BYTES = 16,    /* what Azure takes as a key */
    SAS_KEY_MAX_BYTES = 64,
    SAS_KEY_TEXT_BYTES = (SAS_KEY_MAX_BYTES + 2) / 3 * 4 + 1,
};

struct sas_token {
    char resource_as_sent[SAS_RESOURCE_MAX_BYTES + 1];
    char resource[SAS_RESOURCE_MAX_BYTES + 1]; /* percent-decoded */
    char expiry_as_sent[SAS_EXPIRY_MAX_BYTES + 1];
    int64_t expiry_unix_s;
    char policy[SAS_POLICY_MAX_BYTES + 1]; /* skn, percent-decoded; "" when absent */
    uint8_t signature[SAS_SIGNATURE_BYTES];
};

/* SYNTAX (device): no token, a field that is missing, twice there, too long or not of its form; the text names it. LIMIT (device). */
int sas_token_read(const char *text, struct sas_token *ret_token, struct error *error);

struct sas_key {
    uint8_t bytes[SAS_KEY_MAX_BYTES];
    size_t length_bytes;
};

void sas_key_wipe(struct sas_key *key);
#define CLEANUP_SAS_KEY CLEANUP(sas_key_wipe)

/* SYNTAX (file): not base64, or not of SAS_KEY_MIN_BYTES to SAS_KEY_MAX_BYTES. */
int sas_key_read(const char *base64, struct sas_key *ret_key, struct error *error);
/* The key of one device of an enrollment group: HMAC-SHA256 of the registration id. CRYPTO (ours). */
int sas_key_derive(const struct sas_key *group_key, const char *registration_id, struct sas_key *ret_key, struct error *error);
/* In base64. */
void sas_key_format(const struct sas_key *key, char text[SAS_KEY_TEXT_BYTES]);
/* A new one of SAS_KEY_MAX_BYTES. CRYPTO (ours): no randomness. */
int sas_key_make(struct sas_key *ret_key, struct error *error);

/* Was the token signed with this key? Its expiry is not looked at. */
bool sas_token_is_signed_by(const struct sas_token *token, const struct sas_key *key);

#endif
