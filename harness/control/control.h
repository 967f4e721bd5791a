/*
 * harness/control/control.h - the simulator's control plane, from the harness's side
 *
 * What:     one MQTT connection over TLS with a client certificate (docs/control.md): requests with deadlines, replies by id, and the stream of
 *           events. Sees holes in the events' `seq`: whoever judges must know that one is missing.
 * Errors:   what the simulator answers comes back with its code: owner file for what a person wrote (syntax, not-found, conflict ...), else
 *           rig; "certificate.verify: certificates/root-ca: ...". A connection that is gone is IO (rig). TIMEOUT (rig) names the method.
 * Threads:  none. Callbacks run from the loop; on_event must not call control_call.
 */
#ifndef HARNESS_CONTROL_CONTROL_H
#define HARNESS_CONTROL_CONTROL_H

#include "base/json.h"
#include "harness/wait/waiting.h"

struct control;

struct control_callbacks {
    void *user;
    /* Each event that can be read, in the order of its source; lent. */
    void (*on_event)(void *user, const cJSON *event);
    /* The connection is gone, once. */
    void (*on_lost)(void *user, const char *reason);
};

struct control_options {
    struct waiting *waiting;
    const cJSON *ready;                 /* of the simulator: control, control_ca, control_cert, control_key */
    const char *name;                   /* letters, digits, - and _ */
    bool wants_events;                  /* subscribe to all events */
    deadline_t deadline;                /* for being connected and subscribed */
    struct control_callbacks callbacks; /* members may be NULL */
};

/* Connects and subscribes before it returns. IO, TIMEOUT, REFUSED, CRYPTO (rig); INTERRUPTED (person). */
int control_open(const struct control_options *options, struct control **ret_control, struct error *error);
/* Requests under way are dropped. Let the loop run once more. NULL allowed. */
void control_close(struct control *control);
bool control_is_open(const struct control *control);

/*
 * Ask, and turn the loop until the answer is there.
 *
 * params      taken over in every case; NULL: none.
 * ret_result  the result object; given; may be NULL.
 */
int control_call(struct control *control, const char *method, cJSON *params, deadline_t deadline, cJSON **ret_result, struct error *error);
/*
 * `sync`: when it returns 0, every event that happened before is delivered. ret_missing: events that are missing since control_open; one
 * more than at the last sync means that the time between is not fully known.
 */
int control_sync(struct control *control, deadline_t deadline, uint64_t *ret_missing, struct error *error);
uint64_t control_missing_events(const struct control *control);

enum { CONTROL_DEADLINE_MS = 10000, CONTROL_REQUEST_MAX_BYTES = 256 * 1024 };

#endif
