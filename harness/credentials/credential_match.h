/*
 * harness/credentials/credential_match.h - what a modem holds against local files: the same text, nearly, elsewhere, or something else
 *
 * What:     AT%CMNG=1 lists hashes and no texts. So the usual mistakes are made from the local files (CR LF for LF, a line end more, one
 *           certificate out of a chain, the chain in another order, the other encoding of a key, another file), hashed, and looked up among all
 *           that is listed, whatever its tag and type: a wrong slot, a wrong tag and a spoiled text are told by name.
 * Limits:   MATCH_FINDINGS_MAX findings; files as certs/chain.h reads them.
 * Secrets:  a key's text and its variants are wiped; no finding quotes one.
 */
#ifndef HARNESS_CREDENTIALS_CREDENTIAL_MATCH_H
#define HARNESS_CREDENTIALS_CREDENTIAL_MATCH_H

#include "base/bytes.h"
#include "base/error.h"
#include "harness/credentials/modem_link.h"

/* What should be in a slot, from a file. */
struct wanted_credential {
    uint32_t sec_tag;
    int type;
    const char *path;  /* lent; for a person */
    struct bytes text; /* as it is to be stored: credential_text() */
    bool had_cr;       /* the file has CR LF, or CR */
};

/*
 * A file's text as it is to be stored: LF line ends, nothing before it but the text itself, no white space at its end.
 * ret_text: bytes_wipe() it. ret_had_cr may be NULL.
 */
int credential_text(const void *data, size_t length_bytes, struct bytes *ret_text, bool *ret_had_cr, struct error *error);
/* Upper hex. "" when OpenSSL fails. */
void credential_text_sha256(const struct bytes *text, char ret_hex[CREDENTIAL_SHA256_BYTES]);
/* Is `listed` the hash of this text, or of what the list's transport makes of it? Untouched line ends are as good as a shell's CR LF. */
bool credential_text_is_listed(const struct bytes *text, const struct credential_list *list, const char *listed);

#define MATCH_STATES(X)                                                                                                                    \
    X(MATCH_SAME, "same")             /* the very text */                                                                                  \
    X(MATCH_ALTERED, "altered")       /* this file, but not byte for byte: `text` says how */                                              \
    X(MATCH_OTHER_FILE, "other-file") /* what belongs into another slot */                                                                 \
    X(MATCH_UNKNOWN, "unknown")       /* a text that none of the files explains */                                                         \
    X(MATCH_ABSENT, "absent")         /* the slot is empty */                                                                              \
    X(MATCH_UNREADABLE, "unreadable") /* the firmware prints placeholders for hashes */                                                    \
    X(MATCH_ELSEWHERE, "elsewhere")   /* a slot that was not asked for holds one of the files */

enum match_state {
#define X(id, name) id,
    MATCH_STATES(X)
#undef X
};

const char *match_state_name(enum match_state state);

enum { MATCH_TEXT_MAX_BYTES = 512, MATCH_FINDINGS_MAX = 64, MATCH_WANTED_MAX = 8 };

struct match_finding {
    enum match_state state;
    uint32_t sec_tag;
    int type;
    const char *path; /* lent from the wanted; of ELSEWHERE and OTHER_FILE: the file that is there */
    char listed[CREDENTIAL_SHA256_BYTES];
    char wanted[CREDENTIAL_SHA256_BYTES]; /* "" with ELSEWHERE */
    char text[MATCH_TEXT_MAX_BYTES];
    char mend[MATCH_TEXT_MAX_BYTES]; /* "": nothing to do */
};

struct match_report {
    struct match_finding findings[MATCH_FINDINGS_MAX]; /* the wanted slots first, in their order */
    size_t count;
    bool is_good; /* every wanted slot has MATCH_SAME */
};

/* wanted: at most MATCH_WANTED_MAX. Untouched on failure (memory). */
int credential_match(const struct wanted_credential *wanted, size_t wanted_count, const struct credential_list *list,
                     struct match_report *ret_report, struct error *error);

#endif
