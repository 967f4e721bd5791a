/*
 * broker_sim/dps/service.h - the service and its connections, as the parts of broker_sim/dps share them; internal to it
 */
#ifndef BROKER_SIM_DPS_SERVICE_H
#define BROKER_SIM_DPS_SERVICE_H

#include "broker_sim/dps/api_version.h"
#include "broker_sim/dps/dps.h"
#include "certs/attestation.h"

#define RESPONSE_FILTER "$dps/registrations/res/#"

/*
 * Between an acknowledged reply and the close that a scenario asks for: the device has time for its next request, so that the registration works
 * so far. A reply that is not acknowledged: before the default retry-after is over; a refused device has long.
 */
enum { CLOSE_DELAY_MS = 300, CLOSE_PATIENCE_MS = 2000, REFUSAL_PATIENCE_MS = 30000 };

struct dps {
    struct dps_options options;
    struct linked_hubs default_hubs;                    /* of tenants that have none of their own */
    struct quota_window registrations[DPS_TENANTS_MAX]; /* register requests of each tenant */
};

/* Why a CONNECT is refused before, or in place of, the judge of certificates. `class` as in attestation rules, or "sas". */
struct dps_rule {
    const char *name;
    const char *class;
    int error_code; /* where a knob shows the refusal in a reply */
    const char *message;
    const char *mend;
};

struct dps_refusal {
    const struct dps_rule *rule; /* NULL: none */
    char text[ERROR_TEXT_MAX_BYTES];
};

/* Returns -1. */
int dps_refuse(struct dps_refusal *refusal, const struct dps_rule *rule, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* What was decided at CONNECT: a plain value. */
struct dps_decision {
    enum attestation_surface surface; /* NONE: accepted */
    int return_code;                  /* surface connack */
    int error_code;                   /* surfaces res4xx, failed */
    const char *message;              /* likewise; lent for ever */
    bool is_matched;                  /* an enrollment or a group was found */
    bool has_symmetric_key;           /* matched by a token, not by a certificate */
    bool is_lower_id;                 /* a group's key was derived for the registration id in lower case */
    enum dps_kind match_kind;
    char match_id[DPS_ID_MAX_BYTES + 1];
    const char *matched; /* by a token: "primary key"; lent for ever */
};

/* What DPS knows of one admitted connection: session->service. */
struct dps_session {
    const struct dps_tenant *tenant; /* NULL: an unknown ID scope, to be refused in a reply */
    struct dps_decision decision;
    struct api_version api_version;
    bool is_subscribed;
    bool is_ending; /* a scenario closes it: no request is answered any more */
    char registration_id[CLAIMED_ID_MAX_BYTES + 1];
};

/* NULL when out of memory, which dps_emit takes. */
cJSON *dps_event_of(const struct dps *dps, enum event_kind kind);
/* Takes the event. registration_id: NULL when none is known. */
void dps_emit(const struct dps *dps, cJSON *event, const struct session *session, const char *registration_id);
/* The event dps.warning. */
void dps_warn(const struct dps *dps, const struct session *session, const char *rule, const char *text, const char *mend);
/* fault_happens for this service. */
bool dps_has_fault(const struct dps *dps, const struct session *session, const char *registration_id, int knob);
/* The word of the knob close_how. */
const char *dps_close_how(const struct knobs *knobs);

#endif
