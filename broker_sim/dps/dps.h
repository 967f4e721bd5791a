/*
 * broker_sim/dps/dps.h - the Device Provisioning Service: CONNECT, SUBSCRIBE, register, operation status
 *
 * What:     decides who may connect (CONNECT's own rules, then the judge of certs/attestation.h under the profile of the scenario), answers
 * requests, and gives assigned devices an identity at the hub. Emits attestation.verdict, dps.request, dps.reply, dps.warning,
 * dps.assigned. Not here: rules about certificates (certs/attestation.h), the bytes of MQTT (front_door), how bodies look (reply.h).
 * Source:   "Communicate with DPS using the MQTT protocol", Azure documentation; field logs: docs/fidelity.md says which is which.
 * Time:     the service itself waits for nothing: assignment is counted in polls.
 */
#ifndef BROKER_SIM_DPS_DPS_H
#define BROKER_SIM_DPS_DPS_H

#include "broker_sim/dps/registration.h"
#include "broker_sim/event_sink.h"
#include "broker_sim/front_door/front_door.h"
#include "broker_sim/hub/registry.h"
#include "broker_sim/scenario/scenario.h"
#include "broker_sim/service_port.h"
#include "certs/dps_state.h"

/* What a CONNECT is refused for before the judge is asked: CONNACK 5. X(id, rule id, mend) */
#define DPS_CONNECT_RULES(X)                                                                                                               \
    X(USER_NAME, "connect.user-name", "send the user name {idScope}/registrations/{registrationId}/api-version=2019-03-31")                \
    X(API_VERSION, "connect.api-version", "end the user name with /api-version=2019-03-31")                                                \
    X(ID_SCOPE, "connect.id-scope", "give the device the ID scope of this service (CONFIG_AZURE_IOT_HUB_DPS_ID_SCOPE in Nordic's sample)") \
    X(CLIENT_ID, "connect.client-id", "use the registration id as MQTT client id")

struct dps;

struct dps_options {
    const char *id_scope;                     /* lent */
    const struct dps_state *state;            /* lent */
    struct scenario_table *scenarios;         /* lent */
    struct registration_store *registrations; /* lent */
    struct hub_registry *hubs;                /* lent */
    struct event_sink sink;
    struct service_port port;
};

struct dps *dps_new(const struct dps_options *options); /* NULL when out of memory */
void dps_free(struct dps *dps);                         /* NULL allowed */

/* The front door's policy for sessions that are not a hub's. decide sets session->service, closed releases it. */
struct admission dps_decide(struct dps *dps, struct session *session);
bool dps_may_publish(struct dps *dps, const struct session *session, const char *topic);
int dps_grant(struct dps *dps, const struct session *session, const char *filter, int qos);
/* The SUBACK for `filter` went down. */
void dps_subscribed(struct dps *dps, struct session *session, const char *filter);
void dps_closed(struct dps *dps, struct session *session);

/* What devices publish to DPS, for the service's connection: filters with s/+/ before them. */
extern const char *const dps_filters[];
extern const size_t dps_filter_count;
/* `topic` without the prefix. */
void dps_message(struct dps *dps, const struct session *session, const char *topic, const void *payload, size_t length_bytes);

#endif
