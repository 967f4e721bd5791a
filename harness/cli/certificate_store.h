/*
 * harness/cli/certificate_store.h - the CA certificates of a state folder, whoever holds it
 *
 * What:     one writer: when a simulator runs on the folder, everything goes through its control plane; otherwise we take the folder's lock and
 *           edit the files (certs/dps_state.h). Callers need not know which.
 * Errors:   as the control plane's and dps_state's. BUSY (rig): another command holds the folder and does not let go.
 */
#ifndef HARNESS_CLI_CERTIFICATE_STORE_H
#define HARNESS_CLI_CERTIFICATE_STORE_H

#include "base/json.h"

#include <stdbool.h>

struct certificate_store;

/* may_make: a folder that is missing is made; otherwise NOT_FOUND (file). */
int certificate_store_open(const char *directory, bool may_make, struct certificate_store **ret_store, struct error *error);
void certificate_store_close(struct certificate_store *store); /* NULL allowed */

/* Results are given (cJSON_Delete them): the object as Azure shows it, or an array of them. etag NULL: no check. */
int certificate_store_get(struct certificate_store *store, const char *name, cJSON **ret_object, struct error *error);
int certificate_store_list(struct certificate_store *store, cJSON **ret_list, struct error *error);
/* EXISTS (file) when there is one of that name. */
int certificate_store_create(struct certificate_store *store, const char *name, const char *pem, bool is_verified, cJSON **ret_object,
                             struct error *error);
int certificate_store_delete(struct certificate_store *store, const char *name, const char *etag, struct error *error);
int certificate_store_verification_code(struct certificate_store *store, const char *name, const char *etag, cJSON **ret_object,
                                        struct error *error);
int certificate_store_verify(struct certificate_store *store, const char *name, const char *etag, const char *pem, cJSON **ret_object,
                             struct error *error);

#endif
