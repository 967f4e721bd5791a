/*
 * broker_sim/dps/registration.h - the registrations of the service, and what a request does to one: a table of transitions
 *
 * What:     one record a registration id (compared without regard to case). A register request starts an operation; its outcome is given at
 *           once or told later (registration_settle: a webhook answers); status requests count down to it. Time plays no part: assignment is
 *           counted in polls. Where an operation before has put the device, `current`, stays until another one assigns.
 * Kept:     every change is put into the store that registration_store_load was given; whoever tells of it flushes that first
 *           (service_port.h, commit). registration_to_json and registration_from_json are the form there.
 * Not here: who may register (certs/attestation.h), the bodies (reply.h).
 * Limits:   REGISTRATIONS_MAX records; REGISTRATION_TEXTS_MAX_BYTES for the texts of all of them together.
 */
#ifndef BROKER_SIM_DPS_REGISTRATION_H
#define BROKER_SIM_DPS_REGISTRATION_H

#include "base/clock.h"
#include "base/error.h"
#include "broker_sim/dps/identifier.h"
#include "broker_sim/dps/request.h"
#include "broker_sim/dps/user_name.h"
#include "broker_sim/scenario/quota.h"
#include "broker_sim/store/store.h"
#include "certs/dps_state.h"

#include <stdbool.h>

enum {
    REGISTRATIONS_MAX = 100000,
    HUB_NAME_MAX_BYTES = 255,
    REGISTRATION_MESSAGE_MAX_BYTES = 256,
    REGISTRATION_ETAG_BYTES = 96,
    REGISTRATION_TEXTS_MAX_BYTES = 64 * 1024 * 1024,
};

/* The service's words, in lower case on the wire. */
enum registration_status {
    REGISTRATION_UNASSIGNED, /* no operation yet */
    REGISTRATION_ASSIGNING,
    REGISTRATION_ASSIGNED,
    REGISTRATION_FAILED,
    REGISTRATION_DISABLED,
};

/* Of what is assigned. X(id, the service's word) */
#define REGISTRATION_SUBSTATUSES(X)                                                                                                        \
    X(NONE, "")                                                                                                                            \
    X(INITIAL, "initialAssignment")                                                                                                        \
    X(MIGRATED, "deviceDataMigrated")                                                                                                      \
    X(RESET, "deviceDataReset")                                                                                                            \
    X(REPROVISIONED, "reprovisionedToInitialAssignment")

enum registration_substatus {
#define X(id, name) SUBSTATUS_##id,
    REGISTRATION_SUBSTATUSES(X)
#undef X
};

/* What an operation will end in. */
struct registration_outcome {
    enum registration_status status; /* ASSIGNED, FAILED or DISABLED; UNASSIGNED: not known yet */
    bool is_group;
    bool has_symmetric_key; /* attested by a token, not by a certificate */
    bool is_lower_id;       /* a group's key is derived for the registration id in lower case */
    char enrollment_id[DPS_ID_MAX_BYTES + 1];
    enum registration_substatus substatus;         /* ASSIGNED */
    char device_id[REGISTRATION_ID_MAX_BYTES + 1]; /* ASSIGNED */
    char assigned_hub[HUB_NAME_MAX_BYTES + 1];     /* ASSIGNED */
    char leaf_sha256[SHA256_HEX_BYTES];            /* ASSIGNED: of the certificate that the hub is to take */
    int error_code;                                /* FAILED */
    char error_message[REGISTRATION_MESSAGE_MAX_BYTES];
    /* ASSIGNED: JSON in ASCII, or NULL. Lent to the calls below; a record owns its own. */
    char *payload;      /* from a webhook, for the device */
    char *initial_twin; /* from a webhook, for the hub, in place of the enrollment's */
    char *issued_chain; /* array of base64 DER, leaf first, for the device */
};

/* Where the last operation that assigned has put the device, and under which name; hub "": none has. */
struct registration_place {
    char hub[HUB_NAME_MAX_BYTES + 1];
    char device_id[REGISTRATION_ID_MAX_BYTES + 1];
};

struct registration {
    char registration_id[REGISTRATION_ID_MAX_BYTES + 1];
    char operation_id[OPERATION_ID_BYTES];
    enum registration_status status;
    struct registration_outcome outcome;
    struct registration_place current;
    int64_t polls;        /* of this operation so far */
    int64_t polls_wanted; /* the poll with this number ends the operation; 0: the register request itself does */
    int64_t created_unix_us;
    int64_t updated_unix_us;
    char etag[REGISTRATION_ETAG_BYTES];
    /* Not kept. */
    uint64_t session;              /* whose register request started the operation; 0: it is over */
    int64_t started_mono_us;       /* when */
    struct quota_window poll_rate; /* of the device's status requests */
};

const char *registration_substatus_name(enum registration_substatus substatus);
const char *registration_status_name(enum registration_status status);

struct registration_store;

/* `id_scope` and `clock` lent for the life of the store. NULL when out of memory. */
struct registration_store *registration_store_new(const char *id_scope, const struct clock *clock);
void registration_store_free(struct registration_store *store); /* NULL allowed */

/* Read all records of `kept` (lent for the life of the store), and put every change there from now on. SYNTAX (file), LIMIT, MEMORY, IO (rig). */
int registration_store_load(struct registration_store *store, struct store *kept, struct error *error);
/* All that a record holds. Given; NULL when out of memory. */
cJSON *registration_to_json(const struct registration *registration);
/*
 * Members that are missing keep their zero: a record of an older version. An operation whose outcome was not known ends as failed: what was to
 * tell it went with the process. registration_done() it. SYNTAX (file), MEMORY.
 */
int registration_from_json(const cJSON *json, struct registration *ret_registration, struct error *error);
/* Of what registration_from_json gave, alone. */
void registration_done(struct registration *registration);

struct registration_start {
    const struct registration_outcome *outcome; /* copied; status UNASSIGNED: registration_settle will tell */
    int64_t polls_wanted;
    uint64_t session;
    int64_t conflict_us; /* another session's operation that is younger is not replaced; 0: every one is */
};

/*
 * A register request: start a new operation, in place of the one before.
 *
 * ret_status        of the reply: 202 while it goes on, 200 when it ended at once.
 * ret_registration  the record, lent until the next change of the store.
 * error             CONFLICT (device): another session registers this very id now. LIMIT (rig): too many registrations, texts, or changes that
 *                   wait to be written. MEMORY. The record is as it was.
 */
int registration_register(struct registration_store *store, const char *registration_id, const struct registration_start *start,
                          int *ret_status, const struct registration **ret_registration, struct error *error);

/* The session is over: its operation is in nobody's way any more. */
void registration_release(struct registration_store *store, const char *registration_id, uint64_t session);

/* Tell the outcome of an operation that was started without. NOT_FOUND (device): it was replaced, or deleted. LIMIT, MEMORY as above. */
int registration_settle(struct registration_store *store, const char *registration_id, const char *operation_id,
                        const struct registration_outcome *outcome, struct error *error);

/*
 * A status request.
 *
 * ret_status  202, or 200 when the operation has ended. ret_has_ended_now: with this very request.
 * error       NOT_FOUND (device): the registration has no operation of that id. LIMIT (rig), MEMORY: the record is as it was.
 */
int registration_poll(struct registration_store *store, const char *registration_id, struct slice operation_id, int *ret_status,
                      bool *ret_has_ended_now, const struct registration **ret_registration, struct error *error);

/* The device's own rate of status requests; NULL when there is no record. Lent as the record. */
struct quota_window *registration_poll_rate(struct registration_store *store, const char *registration_id);

/* All records in the order of their ids; those of one enrollment group alone when `group_id` is not NULL. `visit` must not change the store. */
void registration_each(const struct registration_store *store, const char *group_id,
                       void (*visit)(void *user, const struct registration *registration), void *user);

/* Of no registration: nowhere. */
struct registration_place registration_place(const struct registration_store *store, const char *registration_id);

/* NULL when there is none. */
const struct registration *registration_find(const struct registration_store *store, const char *registration_id);
/* NOT_FOUND (file). LIMIT (rig), MEMORY. */
int registration_delete(struct registration_store *store, const char *registration_id, struct error *error);

#endif
