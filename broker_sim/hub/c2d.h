/*
 * broker_sim/hub/c2d.h - messages to a device: one each, and the queue in which they wait for it
 *
 * What:     a message has system properties ($.mid, $.to, $.cid, $.ct, $.ce, $.exp), properties of the application and a body of any bytes. The queue
 *           keeps their order. A message leaves it when the device has acknowledged it, when it expired, or after C2D_DELIVERIES_MAX deliveries.
 * Not here: when a message is sent (delivery.h).
 * Source:   "Send cloud-to-device messages from IoT Hub", Azure documentation; the topic as in "Communicate with an IoT hub using the MQTT protocol".
 * Limits:   C2D_QUEUE_MAX messages a device, C2D_BODY_MAX_BYTES a body; C2D_BAG_MAX_BYTES of encoded properties, for a topic must hold them.
 */
#ifndef BROKER_SIM_HUB_C2D_H
#define BROKER_SIM_HUB_C2D_H

#include "base/error.h"
#include "base/json.h"

enum {
    C2D_QUEUE_MAX = 50,
    C2D_DELIVERIES_MAX = 10,
    C2D_BODY_MAX_BYTES = 64 * 1024,
    C2D_BAG_MAX_BYTES = 16 * 1024,
    C2D_ID_MAX_BYTES = 128,
    C2D_TTL_DEFAULT_S = 3600,
    C2D_TTL_MAX_S = 2 * 24 * 3600,
};

/* How a message left the queue. */
#define C2D_OUTCOMES(X)                                                                                                                    \
    X(COMPLETED, "completed")                     /* the device acknowledged it; at QoS 0: it went down */                                 \
    X(EXPIRED, "expired")                         /* nobody took it in time */                                                             \
    X(DELIVERIES_EXCEEDED, "deliveries-exceeded") /* C2D_DELIVERIES_MAX times it went down and was not acknowledged */                     \
    X(PURGED, "purged")                           /* the identity was deleted, or a person purged the queue */

enum c2d_outcome {
#define X(id, name) C2D_##id,
    C2D_OUTCOMES(X)
#undef X
};
const char *c2d_outcome_name(enum c2d_outcome outcome);

/* NULL allowed in both places. Called when the message leaves its queue, before it is freed. */
struct c2d_waiter {
    void (*done)(void *user, const char *message_id, enum c2d_outcome outcome);
    void *user;
};

struct c2d_message {
    struct c2d_message *next;
    uint64_t number; /* counts up over all messages: the order, and the name in the store */
    char id[C2D_ID_MAX_BYTES + 1];
    char *bag; /* properties as a topic has them: "%24.mid=7&%24.to=...&iothub-ack=none&level=2" */
    uint8_t *body;
    size_t body_bytes;
    int64_t expires_unix_s;
    int deliveries;
    bool is_sent;       /* on its way on the present connection ... */
    uint16_t packet_id; /* ... under this one; 0: has not gone down, or needs none */
    struct c2d_waiter waiter;
};

struct c2d_queue {
    struct c2d_message *first;
    size_t count;
};

/*
 * A message from the parameters of hub.send (docs/control.md): body, bodyBase64, messageId, correlationId, userId, contentType, contentEncoding,
 * properties {name: text}, ttlInSeconds.
 *
 * ret_message  given.
 * error        USAGE, LIMIT, SYNTAX (file).
 */
int c2d_message_new(const cJSON *params, const char *device_id, uint64_t number, int64_t now_unix_s, struct c2d_message **ret_message,
                    struct error *error);
void c2d_message_free(struct c2d_message *message); /* NULL allowed */
/* For the store, without what belongs to a connection. NULL when out of memory. */
cJSON *c2d_message_json(const struct c2d_message *message);
int c2d_message_read(const cJSON *json, struct c2d_message **ret_message, struct error *error);

/* Behind the others; takes `message` on success. LIMIT (file): C2D_QUEUE_MAX wait already. */
int c2d_queue_add(struct c2d_queue *queue, struct c2d_message *message, struct error *error);
/* Take it out, tell its waiter, free it. */
void c2d_queue_end(struct c2d_queue *queue, struct c2d_message *message, enum c2d_outcome outcome);
/* The connection is gone: what was on its way waits again. */
void c2d_queue_requeue(struct c2d_queue *queue);
/* When the first one expires that is not on its way; INT64_MAX: none. */
int64_t c2d_queue_next_expiry_s(const struct c2d_queue *queue);

#endif
