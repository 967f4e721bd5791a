/*
 * certs/pki.h - a forged PKI as the forge leaves it; internal to certs/
 */
#ifndef CERTS_PKI_H
#define CERTS_PKI_H

#include "certs/forge.h"
#include "certs/recipe_model.h"

struct pki_member {
    char name[RECIPE_MEMBER_NAME_MAX_BYTES + 1];
    X509 *certificate;
    EVP_PKEY *key;
};

struct pki {
    struct pki_member members[RECIPE_MEMBERS_MAX];
    size_t member_count;
    bool is_for_server;
    size_t server_leaf;
    size_t server_root;
    x509_stack *server_intermediates; /* borrowed certificates, own stack */
};

DEFINE_CLEANUP(struct pki *, pki_free)

/* The names of a recipe's members, no key or certificate yet. */
struct pki *pki_new(const struct recipe *recipe);
/* Once all members are there: note what a server sends. */
int pki_finish(struct pki *pki, const struct recipe *recipe, struct error *error);

#endif
