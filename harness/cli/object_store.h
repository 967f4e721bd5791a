/*
 * harness/cli/object_store.h - the objects of a state folder, whoever holds it
 *
 * What:     one writer: when a simulator runs on the folder, everything goes through its control plane; otherwise we take the folder's lock and
 *           edit the files (certs/dps_state.h). Callers need not know which.
 * Errors:   as the control plane's and dps_state's. BUSY (rig): another command holds the folder and does not let go.
 */
#ifndef HARNESS_CLI_OBJECT_STORE_H
#define HARNESS_CLI_OBJECT_STORE_H

#include "base/json.h"
#include "certs/dps_state.h"

#include <stdbool.h>

struct object_store;

/* may_make: a folder that is missing is made; otherwise NOT_FOUND (file). */
int object_store_open(const char *directory, bool may_make, struct object_store **ret_store, struct error *error);
void object_store_close(struct object_store *store); /* NULL allowed */
/* A simulator runs on the folder. */
bool object_store_is_served(const struct object_store *store);

/*
 * From now on the objects are those of an application of IoT Central, not of the service itself. NOT_FOUND (file). With a simulator an unknown
 * application is found out by the first call.
 */
int object_store_choose(struct object_store *store, const char *application, struct error *error);
/* A method of certs/central.h. params: taken over in every case; NULL: out of memory. ret_result: may be NULL. */
int object_store_central(struct object_store *store, const char *method, cJSON *params, cJSON **ret_result, struct error *error);

/* Results are given (cJSON_Delete them): the object as the state folder holds it, or an array of them. etag NULL: no check. */
int object_store_get(struct object_store *store, enum dps_kind kind, const char *id, cJSON **ret_object, struct error *error);
int object_store_list(struct object_store *store, enum dps_kind kind, cJSON **ret_list, struct error *error);
/* object: taken over, in every case. */
int object_store_put(struct object_store *store, enum dps_kind kind, cJSON *object, const char *etag, cJSON **ret_object,
                     struct error *error);
int object_store_delete(struct object_store *store, enum dps_kind kind, const char *id, const char *etag, struct error *error);
int object_store_verification_code(struct object_store *store, const char *name, const char *etag, cJSON **ret_object, struct error *error);
int object_store_verify(struct object_store *store, const char *name, const char *etag, const char *pem, cJSON **ret_object,
                        struct error *error);

/*
 * Any other method of the control plane, which only a running simulator can carry out. NOT_FOUND (file): none runs on the folder.
 *
 * params      taken over in every case; NULL: out of memory.
 * ret_result  may be NULL.
 */
int object_store_call(struct object_store *store, const char *method, cJSON *params, cJSON **ret_result, struct error *error);

#endif
