/*
 * harness/run/pki_store.h - what was forged for a device in this run
 *
 * What:     the same recipe for the same device gives the same certificates for as long as the run lasts, so that a modem's flash is written
 *           only when a row needs another text. What is older than PKI_STORE_AGE_S is forged anew: recipes speak of times from now. So is what was forged before somebody set the clock.
 */
#ifndef HARNESS_RUN_PKI_STORE_H
#define HARNESS_RUN_PKI_STORE_H

#include "certs/forge.h"

enum { PKI_STORE_AGE_S = 6 * 3600, PKI_STORE_STEP_S = 60, PKI_STORE_MAX = 256 };

struct pki_store;

struct pki_store *pki_store_new(void);        /* NULL when out of memory */
void pki_store_free(struct pki_store *store); /* NULL allowed */

/* recipe: a built-in's name. ret_pki: lent until the next call. Errors of recipe_read_builtin() and forge_pki(). */
int pki_store_get(struct pki_store *store, const char *recipe, const struct forge_variables *variables, const struct clock *clock,
                  struct key_cache *keys, const struct pki **ret_pki, struct error *error);

#endif
