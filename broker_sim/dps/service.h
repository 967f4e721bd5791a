/*
 * broker_sim/dps/service.h - the service and its connections, as the parts of broker_sim/dps share them; internal to it
 */
#ifndef BROKER_SIM_DPS_SERVICE_H
#define BROKER_SIM_DPS_SERVICE_H

#include "broker_sim/dps/dps.h"
#include "certs/attestation.h"

#define RESPONSE_FILTER "$dps/registrations/res/#"

/* Between a reply and the close that a scenario asks for: the device has time for its next request, so that the registration works so far. */
enum { CLOSE_DELAY_MS = 300 };

struct dps {
    struct dps_options options;
};

/* What DPS knows of one admitted connection: session->service. */
struct dps_session {
    struct attestation_verdict *verdict;
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
