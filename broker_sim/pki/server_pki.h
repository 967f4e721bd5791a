/*
 * broker_sim/pki/server_pki.h - the simulator's own certificates: kept in the state folder from the first start on
 *
 * What:     DIR/pki (root, intermediate, leaf: what devices meet) and DIR/pki/control (CA, server, and the clients `control` and `observer`). Forged
 *           once from the built-in recipes and kept: a device that has the root trusts every later start. Only the server's leaf is made anew, by
 *           the same issuer, when a host name is missing in it or it is about to expire.
 * Files:    NAME.crt.pem (0644) and NAME.key.pem (0600) for each member.
 * Errors:   file: what is in DIR/pki cannot be used (the text says what to remove); rig: the disk.
 */
#ifndef BROKER_SIM_PKI_SERVER_PKI_H
#define BROKER_SIM_PKI_SERVER_PKI_H

#include "base/clock.h"
#include "certs/forge.h"

enum server_key { SERVER_KEY_ANY, SERVER_KEY_RSA_2048, SERVER_KEY_P_256 };

struct kept_pki {
    char *dir; /* absolute or relative as given */
    struct pki *pki;
    const char *recipe; /* name of the built-in; lent for ever */
    bool is_new;        /* forged by this call */
    bool is_renewed;    /* the leaf was made anew */
};

/*
 * The devices' PKI in `dir`.
 *
 * key    SERVER_KEY_ANY: what is there, RSA-2048 when there is nothing. Else USAGE (file) when something else is there.
 * hosts  names and numeric addresses that the leaf must be good for, besides those of the recipe.
 */
int server_pki_open(const char *dir, enum server_key key, const char *const *hosts, size_t host_count, const struct clock *clock,
                    struct kept_pki *ret_kept, struct error *error);
/* The control plane's PKI in `dir`. */
int control_pki_open(const char *dir, const char *const *hosts, size_t host_count, const struct clock *clock, struct kept_pki *ret_kept,
                     struct error *error);
void kept_pki_done(struct kept_pki *kept);

/* "DIR/MEMBER.crt.pem", "DIR/MEMBER.key.pem". malloc'ed; NULL when out of memory. */
char *kept_pki_certificate_path(const struct kept_pki *kept, const char *member);
char *kept_pki_key_path(const struct kept_pki *kept, const char *member);

#endif
