/*
 * harness/credentials/credential_kind.h - the kinds of credentials that a modem's sec tag can hold, by their words
 *
 * What:     the types of AT%CMNG, spelt as nrfcredstore spells them, so that a command line reads the same with both.
 * Source:   Nordic, nRF91 AT command reference, %CMNG; nrfcredstore's README.
 */
#ifndef HARNESS_CREDENTIALS_CREDENTIAL_KIND_H
#define HARNESS_CREDENTIALS_CREDENTIAL_KIND_H

#include <stdbool.h>

enum { CREDENTIAL_KIND_COUNT = 12 };

struct credential_kind {
    int type;         /* the number of AT%CMNG */
    const char *word; /* "ROOT_CA_CERT" */
    const char *text; /* what it is, for a person */
    bool is_writable; /* by AT%CMNG=0: types 0 to 5 */
};

/* NULL: no such type. */
const struct credential_kind *credential_kind_at(int type);
/* By word, capitals or not, or by number. NULL: neither. */
const struct credential_kind *credential_kind_find(const char *word);
/* The word of a type, "UNKNOWN_TYPE" for one that is not known. Never NULL; lent for ever. */
const char *credential_kind_word(int type);
/* NULL-terminated, for "did you mean". */
const char *const *credential_kind_words(void);

#endif
