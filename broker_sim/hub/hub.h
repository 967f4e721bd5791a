/*
 * broker_sim/hub/hub.h - the IoT hubs: who may connect, what they may do, telemetry, twins, messages to devices, direct methods
 *
 * What:     all hubs that DPS assigns to are this one service; the host name in the user name tells them apart. Emits hub.verdict, hub.connection,
 *           hub.telemetry, hub.twin, hub.message and hub.method. docs/hub.md is its manual.
 * Parts:    authentication.h: who may connect. registry.h: identities, twin.h and c2d.h: what belongs to one. topic.h: topics.
 * Time:     the limits of direct methods and the expiry of messages and tokens are real time, whatever the time scale: they belong to whoever asked.
 * Source:   "Communicate with an IoT hub using the MQTT protocol" and the pages that it links to, Azure documentation; docs/fidelity.md says how each
 *           behaviour is known.
 */
#ifndef BROKER_SIM_HUB_HUB_H
#define BROKER_SIM_HUB_HUB_H

#include "broker_sim/event_sink.h"
#include "broker_sim/front_door/front_door.h"
#include "broker_sim/hub/authentication.h"
#include "broker_sim/hub/registry.h"
#include "broker_sim/scenario/scenario.h"
#include "broker_sim/service_port.h"

struct hub;

struct hub_options {
    uv_loop_t *loop;                  /* for what expires; NULL: hub_expire is called by hand */
    struct hub_registry *registry;    /* lent */
    struct scenario_table *scenarios; /* lent */
    double time_scale;                /* divides the device milliseconds of knobs; 0: 1 */
    const struct dps_state *state;    /* its verified certificates are the CAs of all hubs; lent; NULL: none */
    struct event_sink sink;
    struct service_port port;
};

struct hub *hub_new(const struct hub_options *options); /* NULL when out of memory */
/* Its timer closes on the loop, which must turn afterwards. NULL allowed. */
void hub_free(struct hub *hub);
/* What anybody still waits for (hub_send, hub_invoke) ends now, as not delivered and not answered. */
void hub_stop(struct hub *hub);

/* The front door's policy for sessions whose user name is a hub's. decide sets session->service, closed releases it. */
struct admission hub_decide(struct hub *hub, struct session *session);
enum publish_permit hub_may_publish(struct hub *hub, const struct session *session, const struct publish_request *request);
/* The hub adds a property where MQTT's own mark would be lost: mqtt-retain=true, and iothub-MessageType=Will. malloc'ed; NULL: the topic stays. */
char *hub_amend_topic(const char *topic, bool is_will, bool is_retained);
int hub_grant(struct hub *hub, const struct session *session, const char *filter, int qos);
void hub_subscribed(struct hub *hub, struct session *session, const char *filter, int granted_qos);
void hub_unsubscribed(struct hub *hub, struct session *session, const char *filter);
void hub_sent(struct hub *hub, struct session *session, const char *topic, uint16_t packet_id);
void hub_acknowledged(struct hub *hub, struct session *session, uint16_t packet_id);
void hub_closed(struct hub *hub, struct session *session);

/* What devices publish to hubs, for the service's connection: filters with s/+/ before them. */
extern const char *const hub_filters[];
extern const size_t hub_filter_count;
/* `topic` without the prefix. session: NULL when it is over already (a device that publishes and goes): its telemetry still counts. */
void hub_message(struct hub *hub, uint64_t number, const struct session *session, const char *topic, const void *payload,
                 size_t length_bytes);
/* End what has expired; called by its own timer. */
void hub_expire(struct hub *hub);

/*
 * What people ask for, docs/control.md: parameters in, result out. The result is given; errors are the person's (file): NOT_FOUND, EXISTS, USAGE, SYNTAX,
 * LIMIT; IO (rig) when it cannot be kept.
 */
int hub_list(struct hub *hub, const cJSON *params, cJSON **ret_result, struct error *error);
int hub_show(struct hub *hub, const cJSON *params, cJSON **ret_result, struct error *error);
int hub_create(struct hub *hub, const cJSON *params, cJSON **ret_result, struct error *error);
int hub_update(struct hub *hub, const cJSON *params, cJSON **ret_result, struct error *error);
int hub_delete(struct hub *hub, const cJSON *params, cJSON **ret_result, struct error *error);
int hub_desired(struct hub *hub, const cJSON *params, cJSON **ret_result, struct error *error);
int hub_purge(struct hub *hub, const cJSON *params, cJSON **ret_result, struct error *error);

/* Called once, with the result (taken), when there is one: maybe before the call returns. */
struct hub_waiter {
    void (*done)(void *user, cJSON *result);
    void *user;
};
/* On failure `waiter` is not called. */
int hub_send(struct hub *hub, const cJSON *params, const struct hub_waiter *waiter, struct error *error);
int hub_invoke(struct hub *hub, const cJSON *params, const struct hub_waiter *waiter, struct error *error);

enum {
    HUB_WAIT_MAX_S = 3600,
    METHOD_RESPONSE_DEFAULT_S = 30,
    METHOD_RESPONSE_MIN_S = 1,
    METHOD_RESPONSE_MAX_S = 300,
    METHOD_CONNECT_MAX_S = 300,
    METHOD_PAYLOAD_MAX_BYTES = 128 * 1024,
    METHOD_NAME_MAX_BYTES = 100,
    METHODS_PENDING_MAX = 1000,
};

#endif
