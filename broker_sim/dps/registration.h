/*
 * broker_sim/dps/registration.h - the registrations of the service, and what a request does to one: a table of transitions
 *
 * What:     one record a registration id (compared without regard to case). A register request starts an operation with a given outcome;
 * status requests count down to it. Time plays no part: assignment is counted in polls.
 * Kept:     every change is put into the store that registration_store_load was given; whoever tells of it flushes that first
 *           (service_port.h, commit). registration_to_json and registration_from_json are the form there.
 * Not here: who may register (certs/attestation.h), the bodies (reply.h).
 * Limits:   REGISTRATIONS_MAX records.
 */
#ifndef BROKER_SIM_DPS_REGISTRATION_H
#define BROKER_SIM_DPS_REGISTRATION_H

#include "base/clock.h"
#include "base/error.h"
#include "broker_sim/dps/identifier.h"
#include "broker_sim/dps/request.h"
#include "broker_sim/dps/user_name.h"
#include "broker_sim/store/store.h"
#include "certs/dps_state.h"

#include <stdbool.h>

enum { REGISTRATIONS_MAX = 100000, HUB_NAME_MAX_BYTES = 255, REGISTRATION_MESSAGE_MAX_BYTES = 256, REGISTRATION_ETAG_BYTES = 96 };

/* The service's words, in lower case on the wire. */
enum registration_status {
    REGISTRATION_UNASSIGNED, /* no operation yet */
    REGISTRATION_ASSIGNING,
    REGISTRATION_ASSIGNED,
    REGISTRATION_FAILED,
    REGISTRATION_DISABLED,
};

/* What an operation will end in. A plain value: copied into the record. */
struct registration_outcome {
    enum registration_status status; /* ASSIGNED, FAILED or DISABLED */
    bool is_group;
    char enrollment_id[DPS_ID_MAX_BYTES + 1];
    char device_id[REGISTRATION_ID_MAX_BYTES + 1]; /* ASSIGNED */
    char assigned_hub[HUB_NAME_MAX_BYTES + 1];     /* ASSIGNED */
    char leaf_sha256[SHA256_HEX_BYTES];            /* ASSIGNED: of the certificate that registered */
    int error_code;                                /* FAILED */
    char error_message[REGISTRATION_MESSAGE_MAX_BYTES];
};

struct registration {
    char registration_id[REGISTRATION_ID_MAX_BYTES + 1];
    char operation_id[OPERATION_ID_BYTES];
    enum registration_status status;
    struct registration_outcome outcome;
    int64_t polls;        /* of this operation so far */
    int64_t polls_wanted; /* the poll with this number ends the operation; 0: the register request itself does */
    int64_t created_unix_us;
    int64_t updated_unix_us;
    char etag[REGISTRATION_ETAG_BYTES];
};

const char *registration_status_name(enum registration_status status);

struct registration_store;

/* `id_scope` and `clock` lent for the life of the store. NULL when out of memory. */
struct registration_store *registration_store_new(const char *id_scope, const struct clock *clock);
void registration_store_free(struct registration_store *store); /* NULL allowed */

/* Read all records of `kept` (lent for the life of the store), and put every change there from now on. SYNTAX (file), LIMIT, MEMORY, IO (rig). */
int registration_store_load(struct registration_store *store, struct store *kept, struct error *error);
/* All that a record holds. Given; NULL when out of memory. */
cJSON *registration_to_json(const struct registration *registration);
/* Members that are missing keep their zero: a record of an older version. SYNTAX (file). */
int registration_from_json(const cJSON *json, struct registration *ret_registration, struct error *error);

/*
 * A register request: start a new operation, in place of the one before.
 *
 * ret_status        of the reply: 202 while it goes on, 200 when it ended at once.
 * ret_registration  the record, lent until the next change of the store.
 * error             LIMIT (rig): too many registrations, or changes that wait to be written. MEMORY. The record is as it was.
 */
int registration_register(struct registration_store *store, const char *registration_id, const struct registration_outcome *outcome,
                          int64_t polls_wanted, int *ret_status, const struct registration **ret_registration, struct error *error);

/*
 * A status request.
 *
 * ret_status  202, or 200 when the operation has ended. ret_has_ended_now: with this very request.
 * error       NOT_FOUND (device): the registration has no operation of that id. LIMIT (rig), MEMORY: the record is as it was.
 */
int registration_poll(struct registration_store *store, const char *registration_id, struct slice operation_id, int *ret_status,
                      bool *ret_has_ended_now, const struct registration **ret_registration, struct error *error);

/* All records in the order of their ids; those of one enrollment group alone when `group_id` is not NULL. `visit` must not change the store. */
void registration_each(const struct registration_store *store, const char *group_id,
                       void (*visit)(void *user, const struct registration *registration), void *user);

/* NULL when there is none. */
const struct registration *registration_find(const struct registration_store *store, const char *registration_id);
/* NOT_FOUND (file). LIMIT (rig), MEMORY. */
int registration_delete(struct registration_store *store, const char *registration_id, struct error *error);

#endif
