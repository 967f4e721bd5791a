/*
 * harness/try/server_root.h - is --root what a device needs to trust Azure's servers?
 *
 * What:     the local simulator cannot have Azure's key, so a handshake proves nothing about this file; what it holds is looked at instead: is it
 *           DigiCert Global Root G2 or Microsoft RSA Root Certificate Authority 2017, by name and by fingerprint; is it the device's own CA by
 *           mistake, a leaf, an intermediate, the retired Baltimore root; are there several.
 * Source:   azure-docs articles/iot-hub/migrate-tls-certificate.md and articles/iot-dps/tls-support.md (roots); fingerprints as DigiCert and
 *           Microsoft PKI Services publish them.
 * Errors:   file: it is no certificate at all, or not PEM (device_files.h).
 */
#ifndef HARNESS_TRY_SERVER_ROOT_H
#define HARNESS_TRY_SERVER_ROOT_H

#include "certs/chain.h"
#include "harness/try/note.h"

struct server_root {
    struct bytes text;
    bool is_good; /* a device with this file trusts today's Azure servers */
    char *said;   /* one sentence: what it is */
    char *mend;   /* what to type; "" when it is good */
};

/*
 * path       lent for the call.
 * chain      the device's own, for telling mix-ups.
 * group_ca   NULL: none.
 * notes      "root.several", and the notes of pem_form.h about the file.
 */
int server_root_check(const char *path, const x509_stack *chain, const X509 *group_ca, struct notes *notes, struct server_root *ret_root,
                      struct error *error);
void server_root_done(struct server_root *root); /* NULL allowed */

#endif
