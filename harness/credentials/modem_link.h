/*
 * harness/credentials/modem_link.h - the credential store of one modem, in straight-line code
 *
 * What:     opens a device's port, asks who it is, lists its credentials, writes, deletes and generates keys, and puts the modem back into the
 *           functional mode in which it was found. Every change is counted in the wear ledger.
 * Not here: what should be there (credential_apply.c for a run, harness/provision for a production line).
 * CFUN:     the modem changes credentials only when it is not active. The first change switches it to flight mode (AT+CFUN=4) unless it is in
 *           CFUN 0 or 4 already; listing changes nothing, so the device keeps its connection.
 * Secrets:  a key goes to the device and nowhere else: AT commands that carry one are redacted in events and their copies wiped (device/at.h).
 * Source:   Nordic, nRF91 AT command reference, %CMNG, %KEYGEN, %ATTESTTOKEN, +CFUN.
 */
#ifndef HARNESS_CREDENTIALS_MODEM_LINK_H
#define HARNESS_CREDENTIALS_MODEM_LINK_H

#include "harness/credentials/credential_set.h"
#include "harness/credentials/wear_ledger.h"
#include "harness/device/dk.h"
#include "harness/wait/waiting.h"

struct modem_link;

struct modem_link_options {
    struct waiting *waiting;
    struct dk_options port;     /* name, path, baud, flow control, dialect, sink ...; loop, clock and callbacks are set here */
    struct wear_ledger *ledger; /* lent; NULL: nothing is counted */
    const char *wear_id;        /* the rig's id, for a modem without IMEI; NULL: the port's path */
    void *user;                 /* of on_rest */
    /* As of dk_callbacks: what this boot does has come to its end. NULL allowed. */
    void (*on_rest)(void *user, const char *event);
};

/*
 * Open the port and ask who is there.
 * Errors: as dk_open and dk_identify; INTERRUPTED (person).
 */
int modem_link_open(const struct modem_link_options *options, struct modem_link **ret_link, struct error *error);
/* Leaves the modem as it is now. Let the loop run once more. NULL allowed. */
void modem_link_close(struct modem_link *link);

const struct dk_identity *modem_link_identity(const struct modem_link *link);
/* "imei:...", or "rig:..." for a modem without one. */
const char *modem_link_wear_id(const struct modem_link *link);
struct dk *modem_link_dk(struct modem_link *link);
/* What the last count in the ledger failed with; code NONE: it did not. A write is never refused because it could not be counted. */
const struct error *modem_link_uncounted(const struct modem_link *link);

enum { CREDENTIAL_LIST_MAX = AT_REPLY_LINES_MAX };

struct credential_list {
    struct credential_entry entries[CREDENTIAL_LIST_MAX];
    size_t count;
    bool stores_crlf; /* read through a shell: what is written is stored with CR LF for each LF (at_stores_crlf) */
};

/* NULL: not there. */
const struct credential_entry *credential_list_find(const struct credential_list *list, uint32_t sec_tag, int type);
/* "" when it is not there. */
const char *credential_list_sha256(const struct credential_list *list, uint32_t sec_tag, int type);

/* PROTOCOL (device): a line cannot be read, or there are too many. Untouched on failure. */
int modem_link_list(struct modem_link *link, struct credential_list *ret_list, struct error *error);

/*
 * Write a text as it is (white space at its end is the caller's matter). A refusal because the slot is taken (CME 519) is answered by a
 * deletion and a second try.
 * REFUSED (device): the text holds code, meaning and mend. LIMIT, SYNTAX (file): it does not fit into one AT command, or cannot pass it.
 */
int modem_link_write(struct modem_link *link, uint32_t sec_tag, int type, const struct bytes *text, struct error *error);
/* What is not there is fine: *ret_was_there (may be NULL) tells. */
int modem_link_delete(struct modem_link *link, uint32_t sec_tag, int type, bool *ret_was_there, struct error *error);
/*
 * A new key in the modem; it cannot leave it. attributes: "CN=dev-01"; NULL: the modem names its device UUID.
 * ret_answer: the text between the quotes, "<CSR>.<COSE>" (keygen_answer.h); bytes_done() it.
 * REFUSED (device), 519: the slot has a key already.
 */
int modem_link_keygen(struct modem_link *link, uint32_t sec_tag, const char *attributes, struct bytes *ret_answer, struct error *error);
/*
 * The modem's word for who it is: "<message>.<COSE>" (attestation_token.h); bytes_done() it. Changes nothing, and leaves the functional mode alone unless
 * the modem insists. challenge: 32 hex digits, NULL: none.
 * REFUSED (device): this modem firmware does not know the command.
 */
int modem_link_attest(struct modem_link *link, const char *challenge, struct bytes *ret_answer, struct error *error);

/* Back to the functional mode in which it was found, when a change has left it. After an interruption too. */
int modem_link_restore(struct modem_link *link, struct error *error);
/* The device will be reset: there is nothing to restore. */
void modem_link_forget_mode(struct modem_link *link);

#endif
