/*
 * certs/forge.h - from a recipe to keys and certificates
 *
 * What:     makes every member of a recipe: key, certificate, signature; hands them out by member name; writes them to a folder and reads
 *           them back. Times are relative to the clock given, so nothing that was forged expires in the repository.
 * Keys:     RSA generation dominates the time. A key cache keeps the key of (recipe name, member, key type), so the second forging of the
 *           same recipe in a run is fast; two members, or two recipes, never share a key.
 * Errors:   file for what the recipe asks for and X.509 cannot hold (a CN of more than 64 characters), as "file:line:col: ..."; rig for the
 *           disk; CRYPTO (ours) for OpenSSL. OpenSSL's error queue is empty after every call.
 */
#ifndef CERTS_FORGE_H
#define CERTS_FORGE_H

#include "base/clock.h"
#include "certs/chain.h"
#include "certs/recipe.h"

struct pki;
struct key_cache;

/* What a recipe may name as ${registration_id}, ${dps_host} and ${hosts}. */
struct forge_variables {
    const char *registration_id; /* NULL: a recipe that names it is an error */
    const char *dps_host;        /* likewise */
    const char *const *hosts;    /* `host_count` names or numeric addresses; none is fine */
    size_t host_count;
};

struct key_cache *key_cache_new(void);        /* NULL when out of memory */
void key_cache_free(struct key_cache *cache); /* NULL allowed */

/*
 * recipe     lent for the call.
 * variables  lent for the call; NULL: none.
 * cache      lent; NULL: every key is new.
 * ret_pki    given; pki_free() it.
 */
int forge_pki(const struct recipe *recipe, const struct forge_variables *variables, const struct clock *clock, struct key_cache *cache,
              struct pki **ret_pki, struct error *error);
void pki_free(struct pki *pki); /* NULL allowed */

/* By member name. Lent, valid as long as the PKI; NULL when there is no such member. */
X509 *pki_certificate(const struct pki *pki, const char *member);
EVP_PKEY *pki_key(const struct pki *pki, const char *member);

/*
 * Append the certificates of `members` (NULL-terminated, in this order) as PEM to `pem`. NOT_FOUND (file) names the member and lists those
 * that there are.
 */
int pki_append_pem(const struct pki *pki, const char *const *members, struct bytes *pem, struct error *error);
/* PKCS#8 PEM. ret_pem: initialised by the call; bytes_wipe() it. */
int pki_key_pem(const struct pki *pki, const char *member, struct bytes *ret_pem, struct error *error);

/* For recipes with `server:`; NULL for others. Lent. */
X509 *pki_server_leaf(const struct pki *pki);
EVP_PKEY *pki_server_key(const struct pki *pki);
X509 *pki_server_root(const struct pki *pki);                      /* what a device must have to trust the leaf */
const x509_stack *pki_server_intermediates(const struct pki *pki); /* what is sent behind the leaf, in order; may be empty */

/* DIR/NAME.crt.pem (0644) and DIR/NAME.key.pem (0600) for each member; each file atomically. DIR is made when missing. */
int pki_write(const struct pki *pki, const char *dir, struct error *error);
/* The certificates alone, without any key; a copy for a report, not synced to the disk. */
int pki_write_certificates(const struct pki *pki, const char *dir, struct error *error);
/* Read back what pki_write wrote for this recipe. NOT_FOUND (file): a file is missing; SYNTAX: a key does not fit its certificate. */
int pki_read(const struct recipe *recipe, const char *dir, struct pki **ret_pki, struct error *error);

#endif
