#include "base/cleanup.h"
#include "broker_sim/hub/service.h"

#include <string.h>

void delivery_tell(const struct hub *hub, const struct hub_device *device, const struct c2d_message *message, const char *state)
{
    cJSON *event = hub_event_of(hub, EVENT_HUB_MESSAGE, device->hub, device->device_id), *data = event_data(event);
    json_set_string(data, "message_id", message->id);
    json_set_string(data, "state", state);
    json_set_integer(data, "deliveries", message->deliveries);
    json_set_integer(data, "payload_bytes", (int64_t)message->body_bytes);
    hub_emit(hub, event, device->connection, device->device_id);
}

static void end(struct hub *hub, struct hub_device *device, struct c2d_message *message, enum c2d_outcome outcome)
{
    delivery_tell(hub, device, message, c2d_outcome_name(outcome));
    hub_device_end_message(device, message, outcome);
}

/* "devices/{id}/messages/devicebound/{properties}"; malloc'ed. */
static char *topic_of(const struct hub_device *device, const struct c2d_message *message)
{
    char *topic;
    return asprintf(&topic, "devices/%s/messages/devicebound/%s", device->device_id, message->bag) < 0 ? NULL : topic;
}

static int deliver(struct hub *hub, struct hub_device *device, struct c2d_message *message)
{
    const struct service_port *port = &hub->options.port;
    CLEANUP_FREE char *topic = topic_of(device, message);
    if (!topic || port->publish_bytes(port->user, device->connection->session->number, topic, message->body, message->body_bytes))
        return -1;
    message->is_sent = true;
    hub_device_count_delivery(device, message);
    delivery_tell(hub, device, message, "sent");
    return 0;
}

/* After the last delivery that is allowed it would go to the dead letters. */
void delivery_pump(struct hub *hub, struct hub_device *device)
{
    struct c2d_message *next;
    if (!device->connection || !device->connection->is_subscribed[HUB_FILTER_DEVICEBOUND])
        return;
    for (struct c2d_message *message = device->messages.first; message; message = next) {
        next = message->next;
        if (message->is_sent)
            continue;
        if (message->deliveries >= C2D_DELIVERIES_MAX)
            end(hub, device, message, C2D_DELIVERIES_EXCEEDED);
        else if (deliver(hub, device, message))
            return;
    }
}

/* The oldest one of that topic which has no packet id yet. */
static struct c2d_message *find_sent(const struct hub_device *device, const char *topic)
{
    for (struct c2d_message *message = device->messages.first; message; message = message->next) {
        CLEANUP_FREE char *own = message->is_sent && !message->packet_id ? topic_of(device, message) : NULL;
        if (own && strcmp(own, topic) == 0)
            return message;
    }
    return NULL;
}

void delivery_sent(struct hub *hub, struct hub_connection *connection, const char *topic, uint16_t packet_id)
{
    struct hub_device *device = connection->device;
    struct c2d_message *message = device && strstr(topic, "/devicebound/") ? find_sent(device, topic) : NULL;
    if (!message)
        return;
    message->packet_id = packet_id;
    if (!packet_id)
        end(hub, device, message, C2D_COMPLETED);
}

void delivery_acknowledged(struct hub *hub, struct hub_connection *connection, uint16_t packet_id)
{
    struct hub_device *device = connection->device;
    struct c2d_message *message = device ? device->messages.first : NULL;
    while (message && (!message->is_sent || message->packet_id != packet_id))
        message = message->next;
    if (message)
        end(hub, device, message, C2D_COMPLETED);
}

void delivery_requeue(struct hub *hub, struct hub_device *device)
{
    for (const struct c2d_message *message = device->messages.first; message; message = message->next) {
        if (!message->is_sent)
            continue;
        delivery_tell(hub, device, message, "waiting");
        if (message->expires_unix_s < hub->next_unix_s)
            hub->next_unix_s = message->expires_unix_s;
    }
    c2d_queue_requeue(&device->messages);
    hub_rearm(hub);
}

/* ---- expiry: what is on its way may still arrive ---- */

struct expiry {
    struct hub *hub;
    int64_t unix_s; /* now, or the first one found */
};

static void expire_device(void *user, struct hub_device *device)
{
    const struct expiry *expiry = user;
    struct c2d_message *next;
    for (struct c2d_message *message = device->messages.first; message; message = next) {
        next = message->next;
        if (!message->is_sent && message->expires_unix_s <= expiry->unix_s)
            end(expiry->hub, device, message, C2D_EXPIRED);
    }
}

void delivery_expire(struct hub *hub, int64_t now_unix_s)
{
    struct expiry expiry = {hub, now_unix_s};
    hub_registry_each(hub->options.registry, expire_device, &expiry);
}

static void find_expiry(void *user, struct hub_device *device)
{
    struct expiry *expiry = user;
    int64_t first_s = c2d_queue_next_expiry_s(&device->messages);
    if (first_s < expiry->unix_s)
        expiry->unix_s = first_s;
}

int64_t delivery_next_expiry_s(const struct hub *hub)
{
    struct expiry expiry = {NULL, INT64_MAX};
    hub_registry_each(hub->options.registry, find_expiry, &expiry);
    return expiry.unix_s;
}
