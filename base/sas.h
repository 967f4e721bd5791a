/*
 * base/sas.h - shared access signatures: tokens of Azure, read, checked and made
 *
 * What:     "SharedAccessSignature sr=...&sig=...&se=...[&skn=...]": a password at CONNECT (DPS, IoT Hub) and an Authorization header (their service APIs).
 *           Fields are read by name, in any order. The signature is HMAC-SHA256 over `sr` as it was sent, a line feed and `se` as it was sent: clients
 *           differ in whether they percent-encode the resource, and so each is right.
 * Not here: which resource a token must name, and whose key counts.
 * Secrets:  no error text holds a key, a signature or a token.
 * Source:   "Control access to IoT Hub by using shared access signatures" and "Symmetric key attestation with DPS", Azure documentation.
 * Limits:   SAS_TOKEN_MAX_BYTES a token; a key has 16 to 64 bytes, as Azure's symmetric keys have.
 */
#ifndef BASE_SAS_H
#define BASE_SAS_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SAS_TOKEN_MAX_BYTES = 4096,
    SAS_RESOURCE_MAX_BYTES = 1024,
    SAS_NAME_MAX_BYTES = 128,
    SAS_EXPIRY_MAX_BYTES = 19, /* digits of se */
    SAS_SIGNATURE_BYTES = 32,
    SAS_KEY_MIN_BYTES = 16,
    SAS_KEY_MAX_BYTES = 64,
    SAS_KEY_TEXT_BYTES = 89, /* base64 of the longest key, and a NUL */
};

struct sas_token {
    char signed_resource[SAS_RESOURCE_MAX_BYTES + 1]; /* sr as sent */
    char resource[SAS_RESOURCE_MAX_BYTES + 1];        /* sr, percent-decoded */
    char expiry[SAS_EXPIRY_MAX_BYTES + 1];            /* se as sent */
    int64_t expires_unix_s;
    char key_name[SAS_NAME_MAX_BYTES + 1]; /* skn, percent-decoded; "": none */
    uint8_t signature[SAS_SIGNATURE_BYTES];
};

/* SYNTAX, LIMIT (device): the text says which field is missing, doubled or unreadable. Fields of other names are ignored. Untouched on failure. */
int sas_token_read(const char *text, struct sas_token *ret_token, struct error *error);

/* `key` (base64) made the signature. Takes the same time wherever they differ. false also for a key that is none. */
bool sas_token_is_signed_by(const struct sas_token *token, const char *key);

/*
 * Signed by one of the keys, and not expired.
 *
 * keys    NULL and "" among them are skipped.
 * error   REFUSED (device): no key made the signature. TIMEOUT (device): expired; only asked when the signature is right.
 */
int sas_token_check(const struct sas_token *token, const char *const *keys, size_t key_count, int64_t now_unix_s, struct error *error);

/* The token's resource is `resource`, or a path above it ("hub" for "hub/devices/dev-01"). Compared without regard to ASCII case. */
bool sas_token_covers(const struct sas_token *token, const char *resource);

/* base64 of 16 to 64 bytes. */
bool sas_key_is_valid(const char *key);
/* The key of one device of an enrollment group: base64 of HMAC-SHA256(group key, registration id). SYNTAX (file): the key is not base64. */
int sas_key_derive(const char *group_key, const char *registration_id, char ret_key[SAS_KEY_TEXT_BYTES], struct error *error);
/* A new random key of 32 bytes. CRYPTO (ours). */
int sas_key_make(char ret_key[SAS_KEY_TEXT_BYTES], struct error *error);

/* A token for `resource`, which is percent-encoded. key_name: NULL leaves it out. malloc'ed; NULL: the key is none, or memory is short. */
char *sas_token_make(const char *resource, const char *key, const char *key_name, int64_t expires_unix_s);

#endif
