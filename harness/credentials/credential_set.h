/*
 * harness/credentials/credential_set.h - the credentials of one sec tag: what is wanted against what the modem holds
 *
 * What:     AT+CMEE=1, AT+CFUN=4 (the modem refuses to change credentials while it is active), list, delete what must be absent, write
 *           only what differs, list again and compare. The modem stays in CFUN=4: reset the device afterwards.
 * Compare:  AT%CMNG=1 lists the SHA-256 of each text as stored, byte for byte. Firmware before mfw 1.3.2 prints placeholders (00..00,
 *           01..01, 02..02): then everything wanted is written each time, and the result says that it could not be verified.
 * Text:     as nrfcredstore does, white space at the end is removed (so the last line end is not stored); everything else is stored as
 *           given. Give LF: a text with CR is stored with CR, and Azure then refuses what looks like the same certificate. Through a shell each LF becomes
 *           CR LF on the device (lib/at_shell): both are then the text that is wanted.
 * Secrets:  a private key goes to the device and nowhere else; its memory is wiped by credential_set_done() and after sending.
 * Source:   Nordic, nRF91 AT command reference, %CMNG.
 */
#ifndef HARNESS_CREDENTIALS_CREDENTIAL_SET_H
#define HARNESS_CREDENTIALS_CREDENTIAL_SET_H

#include "base/bytes.h"
#include "harness/device/at.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum credential_type { CREDENTIAL_ROOT_CA = 0, CREDENTIAL_CLIENT_CERT = 1, CREDENTIAL_CLIENT_KEY = 2, CREDENTIAL_TYPE_COUNT = 3 };

enum { CREDENTIAL_MAX_BYTES = AT_COMMAND_MAX_BYTES, CREDENTIAL_SHA256_BYTES = 65 };
#define CREDENTIAL_SEC_TAG_MAX 2147483647

/* "root CA", "client certificate", "client key". */
const char *credential_type_name(enum credential_type type);

struct credential_set {
    uint32_t sec_tag;
    struct bytes text[CREDENTIAL_TYPE_COUNT]; /* empty: must be absent */
};

void credential_set_init(struct credential_set *set, uint32_t sec_tag);
/* Wipes. NULL allowed. */
void credential_set_done(struct credential_set *set);
/*
 * Want `text` (copied, white space at its end removed).
 * SYNTAX (file): it is empty, or holds a quote, a NUL or a backspace, which cannot pass the AT host.
 * LIMIT (file): it does not fit into one AT command (about 4070 bytes).
 */
int credential_set_put(struct credential_set *set, enum credential_type type, const char *text, size_t length_bytes, struct error *error);
/* SHA-256 of a wanted text as the modem prints it: 64 upper-case hex digits; "" when it must be absent. */
void credential_set_sha256(const struct credential_set *set, enum credential_type type, char ret_hex[CREDENTIAL_SHA256_BYTES]);

/* The same for its text with CR LF for each LF: what a shell makes of it (at_stores_crlf). */
void credential_set_sha256_crlf(const struct credential_set *set, enum credential_type type, char ret_hex[CREDENTIAL_SHA256_BYTES]);

/* The same for its text with a backslash and an n for each LF: what a shell leaves of it that does not know what they stand for. */
void credential_set_sha256_escaped(const struct credential_set *set, enum credential_type type, char ret_hex[CREDENTIAL_SHA256_BYTES]);

enum credential_action {
    CREDENTIAL_ABSENT, /* was not wanted and was not there */
    CREDENTIAL_KEPT,   /* the same text was there */
    CREDENTIAL_WRITTEN,
    CREDENTIAL_DELETED,
};
const char *credential_action_name(enum credential_action action); /* "absent", "kept", "written", "deleted" */

struct credential_result {
    enum credential_action actions[CREDENTIAL_TYPE_COUNT];
    bool is_verified; /* false: the modem prints placeholders instead of hashes */
};

/* `error` is NULL on success; both lent. `result` tells what was changed, also when it failed after that; is_verified is false then. */
typedef void credential_done_fn(void *user, const struct credential_result *result, const struct error *error);

/*
 * Bring the modem's sec tag to the wanted state. `set` is copied. Exactly one on_done follows, from the loop.
 *
 * Errors: REFUSED (device): the modem refused a command; the text holds command, code, its meaning and the mend. CONFLICT (device): after
 * writing, the list shows something else. PROTOCOL (device): the list cannot be read. TIMEOUT, IO as at_reply_check().
 */
int credential_apply(struct at *at, const struct credential_set *set, credential_done_fn *on_done, void *user, struct error *error);

/* One entry of AT%CMNG=1, spaces after commas tolerated. SYNTAX (device): not such a line. */
struct credential_entry {
    uint32_t sec_tag;
    int type;
    char sha256[CREDENTIAL_SHA256_BYTES]; /* upper case */
};
int credential_entry_read(const char *line, struct credential_entry *ret_entry, struct error *error);
/* 00..00, 01..01 and the like: no hash of anything. */
bool credential_is_placeholder(const char *sha256);

#endif
