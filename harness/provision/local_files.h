/*
 * harness/provision/local_files.h - what is to be written into one sec tag, checked before anything is sent
 *
 * What:     reads a server root, a certificate chain, a key, a PSK and its identity; refuses files that are not what their slot wants, a key of
 *           another certificate, a chain out of order, a text that does not fit into one AT command; and notes what would bite later.
 * Errors:   file: path, what is wrong, the mend.
 * Secrets:  texts are wiped by local_files_done(); no error quotes one.
 */
#ifndef HARNESS_PROVISION_LOCAL_FILES_H
#define HARNESS_PROVISION_LOCAL_FILES_H

#include "certs/chain.h"
#include "harness/credentials/credential_match.h"
#include "harness/try/note.h"

struct local_files {
    uint32_t sec_tag;
    struct wanted_credential wanted[MATCH_WANTED_MAX]; /* by type; each type once */
    size_t count;
    x509_stack *root;  /* NULL: no ROOT_CA_CERT */
    x509_stack *chain; /* NULL: no CLIENT_CERT */
    EVP_PKEY *key;     /* NULL: no CLIENT_KEY */
    struct notes notes;
};

/* Read a file for a slot. Paths are lent as long as `files`. Types 0 to 5; each once. */
int local_files_add(struct local_files *files, int type, const char *path, struct error *error);
/* As above, with the text itself; `path` names it for a person. */
int local_files_add_text(struct local_files *files, int type, const char *path, const void *data, size_t length_bytes, struct error *error);
/* Do they belong together? `now_s`: seconds since 1970, for the certificates' dates. CONFLICT (file): they do not. */
int local_files_check(struct local_files *files, int64_t now_s, struct error *error);
void local_files_done(struct local_files *files); /* NULL allowed */

#endif
