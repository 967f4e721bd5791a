/*
 * broker_sim/hub/service.h - inside of the hub service: its connections, and what its files share
 *
 * What:     hub.c: the front door's policy, and dispatch. telemetry.c, twin_requests.c: what devices send. delivery.c: messages to devices. method.c:
 * direct methods. operations.c: what the control plane asks for.
 */
#ifndef BROKER_SIM_HUB_SERVICE_H
#define BROKER_SIM_HUB_SERVICE_H

#include "broker_sim/hub/authentication.h"
#include "broker_sim/hub/hub.h"
#include "broker_sim/hub/topic.h"
#include "broker_sim/scenario/fault.h"
#include "broker_sim/scenario/quota.h"

/* One admitted connection: session->service. */
struct hub_connection {
    struct hub_connection *next, *previous;
    struct hub_device *device; /* NULL: taken over, or its identity is deleted: it gets nothing any more */
    const struct session *session;
    char device_id[HUB_DEVICE_ID_MAX_BYTES + 1];
    char hub[HUB_TEXT_MAX_BYTES + 1];
    bool is_subscribed[HUB_FILTER_COUNT];
    int64_t token_expires_unix_s; /* INT64_MAX: never */
    struct quota_window twin_rate;
};

/* A direct method that a device was asked for, or is to be asked for once it is there. */
struct hub_invocation {
    struct hub_invocation *next;
    uint64_t rid;
    struct hub_device *device;
    char *topic; /* behind "$iothub/methods/POST/" */
    char *payload;
    bool is_sent;
    uint64_t session;             /* sent on */
    deadline_t connect_deadline;  /* not sent: until then */
    deadline_t response_deadline; /* sent: until then */
    int64_t response_ms;
    struct hub_waiter waiter;
};

/* Somebody waits for the end of a message. */
struct hub_send_wait {
    struct hub_send_wait *next;
    struct hub *hub;
    struct c2d_message *message;
    deadline_t deadline;
    struct hub_waiter waiter;
};

/* An answer that a scenario keeps back. */
struct hub_late {
    struct hub_late *next;
    deadline_t due;
    uint64_t session;
    char *topic;
    char *body;
};

struct hub {
    struct hub_options options;
    uv_timer_t *timer; /* outlives us until its close callback; NULL: hub_expire is called by hand */
    struct hub_connection *connections;
    struct hub_invocation *invocations;
    struct hub_send_wait *send_waits;
    struct hub_late *late;
    size_t late_count;
    uint64_t rid_count;
    int64_t next_unix_s; /* no message and no token expires before */
};

/* hub.c */
/* host: of the hub that it is about; NULL: not known any more. */
cJSON *hub_event_of(const struct hub *hub, enum event_kind kind, const char *host, const char *device_id);
/* connection may be NULL: the event belongs to none. */
void hub_emit(const struct hub *hub, cJSON *event, const struct hub_connection *connection, const char *device_id);
/* The event hub.warning. */
void hub_warn(const struct hub *hub, const struct hub_connection *connection, const char *rule, const char *text, const char *mend);
int64_t hub_now_s(const struct hub *hub);
/* {"errorCode","trackingId","message","timestampUtc"}: Microsoft's clients know an error by its errorCode alone. */
cJSON *hub_error_body(const struct hub *hub, int code, const char *message);
/* The device gets nothing on it any more: what was on its way waits again, methods that it was asked for fail. */
void hub_detach(struct hub *hub, struct hub_connection *connection);
/* End the connection of a device that is disabled, or whose identity goes. */
void hub_drop(struct hub *hub, const struct hub_device *device);
/* After anything that changed what is waited for. */
void hub_rearm(struct hub *hub);

/* telemetry.c */
void telemetry_take(const struct hub *hub, uint64_t number, const struct session *session, const char *topic, const void *payload,
                    size_t length_bytes);

/* twin_requests.c */
void twin_answer_get(struct hub *hub, struct hub_connection *connection, const char *query);
void twin_answer_patch(struct hub *hub, struct hub_connection *connection, const char *query, const void *payload, size_t length_bytes);
/* Tell the device of its new desired properties, when it is there and subscribed. */
bool twin_push_desired(struct hub *hub, struct hub_device *device, const cJSON *patch);

/* late.c */
/* The answer to a twin request, as the knob hub_twin_comes wants it. */
void late_publish(struct hub *hub, const struct hub_connection *connection, const char *topic, const char *body);
void late_expire(struct hub *hub);
void late_end_all(struct hub *hub);
deadline_t late_next_deadline(const struct hub *hub);

/* delivery.c */
void delivery_tell(const struct hub *hub, const struct hub_device *device, const struct c2d_message *message, const char *state);
/* Send what waits, when the device is there and subscribed. */
void delivery_pump(struct hub *hub, struct hub_device *device);
void delivery_sent(struct hub *hub, struct hub_connection *connection, const char *topic, uint16_t packet_id);
void delivery_acknowledged(struct hub *hub, struct hub_connection *connection, uint16_t packet_id);
void delivery_requeue(struct hub *hub, struct hub_device *device);
void delivery_expire(struct hub *hub, int64_t now_unix_s);
int64_t delivery_next_expiry_s(const struct hub *hub);

/* operations.c */
/* By deviceId and, where several hubs know it, hub. Lent; NULL: hub_registry_pick's errors. */
struct hub_device *hub_find_device(const struct hub *hub, const cJSON *params, struct error *error);
void send_waits_expire(struct hub *hub);
void send_waits_end_all(struct hub *hub);
deadline_t send_waits_next_deadline(const struct hub *hub);

/* method.c */
void method_connected(struct hub *hub, struct hub_device *device); /* it is subscribed to methods now */
void method_answered(struct hub *hub, struct hub_connection *connection, const char *rest, const void *payload, size_t length_bytes);
void method_drop_session(struct hub *hub, uint64_t session);
void method_drop_device(struct hub *hub, const struct hub_device *device); /* its identity goes */
void method_expire(struct hub *hub);
void method_end_all(struct hub *hub);
deadline_t method_next_deadline(const struct hub *hub);

#endif
