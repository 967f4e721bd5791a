/*
 * broker_sim/hub/hub.h - the IoT hubs: who may connect, what they may do, twins, telemetry
 *
 * What:     all hubs that DPS assigns to are this one service; the host name in the user name tells them apart. Emits hub.verdict,
 * hub.telemetry and hub.twin. Rules:    HUB_RULES is the list of what a CONNECT is refused for; each refusal is CONNACK 5, but for the last one's, whose code a scenario gives. Source:
 * "Communicate with an IoT hub using the MQTT protocol" and "Troubleshooting error codes" (401003, 403012, 404001), Azure documentation.
 */
#ifndef BROKER_SIM_HUB_HUB_H
#define BROKER_SIM_HUB_HUB_H

#include "broker_sim/event_sink.h"
#include "broker_sim/front_door/front_door.h"
#include "broker_sim/hub/registry.h"
#include "broker_sim/scenario/scenario.h"
#include "broker_sim/service_port.h"

/* X(id, rule id, mend) */
#define HUB_RULES(X)                                                                                                                       \
    X(USER_NAME, "hub.user-name", "send the user name {hub}/{deviceId}/?api-version=2021-04-12")                                           \
    X(CLIENT_ID, "hub.client-id", "use the device id as MQTT client id")                                                                   \
    X(UNKNOWN_DEVICE, "hub.unknown-device", "register with DPS first: that makes the device's identity")                                   \
    X(OTHER_HUB, "hub.other-hub", "connect to the assignedHub of the last registration; register again when in doubt")                     \
    X(THUMBPRINT, "hub.thumbprint", "connect with the certificate that was used to register, or register again with the new one")          \
    X(EXPIRED, "hub.expired", "give the device a certificate that is valid now and register again")                                        \
    X(SCENARIO, "hub.scenario", "nothing: the knob hub_connack asks for it; a good device registers with DPS again")

enum hub_rule {
    HUB_ACCEPTED,
#define X(id, name, mend) HUB_##id,
    HUB_RULES(X)
#undef X
};

struct hub;

struct hub_options {
    struct hub_registry *registry;    /* lent */
    struct scenario_table *scenarios; /* lent */
    struct event_sink sink;
    struct service_port port;
};

struct hub *hub_new(const struct hub_options *options); /* NULL when out of memory */
void hub_free(struct hub *hub);                         /* NULL allowed */

/* The front door's policy for sessions whose user name is a hub's. decide sets session->service, closed releases it. */
struct admission hub_decide(struct hub *hub, struct session *session);
bool hub_may_publish(struct hub *hub, const struct session *session, const char *topic);
int hub_grant(struct hub *hub, const struct session *session, const char *filter, int qos);
void hub_closed(struct hub *hub, struct session *session);

/* What devices publish to hubs, for the service's connection: filters with s/+/ before them. */
extern const char *const hub_filters[];
extern const size_t hub_filter_count;
/* `topic` without the prefix. session: NULL when it is over already (a device that publishes and goes): its telemetry still counts. */
void hub_message(struct hub *hub, uint64_t number, const struct session *session, const char *topic, const void *payload,
                 size_t length_bytes);

#endif
