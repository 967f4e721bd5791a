#include "broker_sim/bus/bus.h"

#include "base/cleanup.h"
#include "broker_sim/bus/bus_link.h"

#include <stdlib.h>
#include <string.h>

enum {
    RETRY_MS = 50,
    IN_FLIGHT_MAX = 1024,
    UNSENT_MAX_BYTES = 256 * 1024, /* handed to a connection that does not take them */
};

/* Nobody subscribes to it: its PUBACK says that Mosquitto has dealt with all that was sent before. */
#define MARK_TOPIC "dpsbench/v1/mark"

/* In one block with its topic, which stands behind the payload. */
struct message {
    struct message *next;
    const char *topic;
    uint16_t packet_id; /* on this connection, once sent; 0 at QoS 0 */
    size_t length_bytes;
    uint8_t payload[];
};

/* They outlive us until their close callbacks. */
struct handles {
    uv_timer_t retry;
    uv_prepare_t turn_end;
    int closing_count;
};

struct bus {
    uv_loop_t *loop;
    struct handles *handles;
    char *client_id;
    char *unix_path;
    const char *const *filters;
    size_t filter_count;
    bool forgets_on_loss;
    bool is_marking;
    struct bus_callbacks callbacks;

    struct bus_link *link; /* a new one for each connection: nothing of the old one is left in it */
    uint16_t last_packet_id;
    uint16_t mark_id;    /* of the mark on its way; 0: none is */
    size_t marked_count; /* so many messages it acknowledges */
    bool is_wanted;
    bool is_ready;

    struct message *first;
    struct message **last_next;
    struct message *unsent; /* the first one that this connection has not sent */
    size_t message_count;
    size_t in_flight_count; /* first to unsent */
    size_t queued_bytes;
    uint64_t lost_count;
};

static void schedule(struct bus *bus, uint64_t in_ms);

static void drop_first(struct bus *bus)
{
    struct message *message = bus->first;
    bus->first = message->next;
    if (!bus->first)
        bus->last_next = &bus->first;
    bus->message_count--;
    bus->queued_bytes -= message->length_bytes;
    free(message);
}

static void drop_all(struct bus *bus)
{
    while (bus->first)
        drop_first(bus);
    bus->unsent = NULL;
    bus->in_flight_count = 0;
}

/* 0 is none of MQTT's. */
static uint16_t next_packet_id(struct bus *bus)
{
    bus->last_packet_id = bus->last_packet_id == UINT16_MAX ? 1 : bus->last_packet_id + 1;
    return bus->last_packet_id;
}

static bool may_send(const struct bus *bus)
{
    return bus->is_ready && bus->unsent && bus->in_flight_count < IN_FLIGHT_MAX && bus_link_unsent_bytes(bus->link) < UNSENT_MAX_BYTES;
}

static void send_more(struct bus *bus)
{
    while (may_send(bus)) {
        struct message *message = bus->unsent;
        message->packet_id = bus->is_marking ? 0 : next_packet_id(bus);
        if (bus_link_publish(bus->link, message->topic, message->payload, message->length_bytes, message->packet_id))
            return;
        bus->unsent = message->next;
        bus->in_flight_count++;
    }
}

/* One mark at a time: what is sent while it is on its way gets the next one. */
static void mark(struct bus *bus)
{
    if (!bus->is_ready || !bus->is_marking || bus->mark_id || bus->in_flight_count == 0)
        return;
    uint16_t packet_id = next_packet_id(bus);
    if (bus_link_publish(bus->link, MARK_TOPIC, NULL, 0, packet_id))
        return;
    bus->mark_id = packet_id;
    bus->marked_count = bus->in_flight_count;
}

/* Once a turn of the loop, before it waits: what the turn published leaves together. */
static void on_turn_end(uv_prepare_t *handle)
{
    struct bus *bus = handle->data;
    send_more(bus);
    mark(bus);
    if (bus_link_is_open(bus->link))
        bus_link_flush(bus->link);
}

static void on_accepted(void *user)
{
    struct bus *bus = user;
    /* QoS 0 loses nothing on a Unix socket but with the connection, and who forgets on that loss needs no acknowledgements before. */
    int qos = bus->forgets_on_loss ? 0 : 1;
    bus_link_subscribe(bus->link, bus->filters, bus->filter_count, qos);
}

static void on_subscribed(void *user)
{
    struct bus *bus = user;
    bus->is_ready = true;
    bus->unsent = bus->first;
    bus->in_flight_count = 0;
    bus->mark_id = 0;
    if (bus->callbacks.ready)
        bus->callbacks.ready(bus->callbacks.user);
}

static void drop_sent(struct bus *bus, size_t count)
{
    for (size_t i = 0; i < count && bus->in_flight_count; i++) {
        bus->in_flight_count--;
        drop_first(bus);
    }
}

/* Mosquitto acknowledges in the order in which it was sent to [MQTT-4.6.0-2]. */
static void on_acknowledged(void *user, uint16_t packet_id)
{
    struct bus *bus = user;
    if (bus->mark_id && packet_id == bus->mark_id) {
        bus->mark_id = 0;
        drop_sent(bus, bus->marked_count);
    } else if (bus->in_flight_count && bus->first->packet_id == packet_id) {
        drop_sent(bus, 1);
    }
}

static void on_message(void *user, const char *topic, const void *payload, size_t length_bytes)
{
    struct bus *bus = user;
    if (bus->callbacks.message)
        bus->callbacks.message(bus->callbacks.user, topic, payload, length_bytes);
}

static void mark_lost(struct bus *bus, const char *reason)
{
    bool was_ready = bus->is_ready;
    bus->is_ready = false;
    if (bus->forgets_on_loss)
        drop_all(bus);
    if (was_ready && bus->callbacks.lost)
        bus->callbacks.lost(bus->callbacks.user, reason);
}

static void on_closed(void *user, const char *reason)
{
    struct bus *bus = user;
    mark_lost(bus, reason);
    schedule(bus, RETRY_MS);
}

static int connect_anew(struct bus *bus)
{
    const struct bus_link_callbacks callbacks = {.user = bus,
                                                 .accepted = on_accepted,
                                                 .subscribed = on_subscribed,
                                                 .acknowledged = on_acknowledged,
                                                 .message = on_message,
                                                 .closed = on_closed};
    bus_link_free(TAKE(bus->link));
    bus->link = bus_link_new(bus->loop, &callbacks);
    return bus->link ? bus_link_open(bus->link, bus->unix_path, bus->client_id, NULL) : -1;
}

static void on_retry(uv_timer_t *timer)
{
    struct bus *bus = timer->data;
    if (bus->is_wanted && !bus_link_is_open(bus->link) && connect_anew(bus))
        schedule(bus, RETRY_MS);
}

static void schedule(struct bus *bus, uint64_t in_ms)
{
    if (bus->is_wanted)
        uv_timer_start(&bus->handles->retry, on_retry, in_ms, 0);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct handles *handles = handle->data;
    if (--handles->closing_count == 0)
        free(handles);
}

static void close_handles(struct handles *handles)
{
    if (!handles)
        return;
    handles->closing_count = 2;
    handles->retry.data = handles;
    handles->turn_end.data = handles;
    uv_close((uv_handle_t *)&handles->retry, on_handle_closed);
    uv_close((uv_handle_t *)&handles->turn_end, on_handle_closed);
}

DEFINE_CLEANUP(struct bus *, bus_free)

static int make_handles(struct bus *bus)
{
    struct handles *handles = calloc(1, sizeof *handles);
    if (!handles)
        return -1;
    uv_timer_init(bus->loop, &handles->retry);
    uv_prepare_init(bus->loop, &handles->turn_end);
    handles->retry.data = bus;
    handles->turn_end.data = bus;
    uv_prepare_start(&handles->turn_end, on_turn_end);
    uv_unref((uv_handle_t *)&handles->turn_end); /* it keeps no loop alive */
    bus->handles = handles;
    return 0;
}

struct bus *bus_new(const struct bus_options *options)
{
    CLEANUP(bus_free_cleanup) struct bus *bus = calloc(1, sizeof *bus);
    if (!bus)
        return NULL;
    bus->loop = options->loop;
    bus->filters = options->filters;
    bus->filter_count = options->filter_count;
    bus->forgets_on_loss = options->forgets_on_loss;
    bus->is_marking = options->qos == 0;
    bus->callbacks = options->callbacks;
    bus->last_next = &bus->first;
    bus->client_id = strdup(options->client_id);
    if (!bus->client_id || make_handles(bus))
        return NULL;
    return TAKE(bus);
}

void bus_start(struct bus *bus, const char *unix_path)
{
    free(bus->unix_path);
    bus->unix_path = strdup(unix_path);
    bus->is_wanted = bus->unix_path != NULL;
    schedule(bus, 0);
}

void bus_stop(struct bus *bus)
{
    bus->is_wanted = false;
    bus->is_ready = false;
    uv_timer_stop(&bus->handles->retry);
    if (bus_link_is_open(bus->link))
        bus_link_close(bus->link);
}

bool bus_is_ready(const struct bus *bus)
{
    return bus->is_ready;
}

static int refuse(struct bus *bus)
{
    bus->lost_count++;
    return -1;
}

int bus_publish(struct bus *bus, const char *topic, const void *payload, size_t length_bytes)
{
    if (bus->forgets_on_loss && !bus->is_ready)
        return refuse(bus);
    if (bus->message_count >= BUS_QUEUE_MESSAGES_MAX || bus->queued_bytes + length_bytes > BUS_QUEUE_BYTES_MAX)
        return refuse(bus);
    size_t topic_bytes = strlen(topic) + 1;
    struct message *message = malloc(sizeof *message + length_bytes + topic_bytes);
    if (!message)
        return refuse(bus);
    *message = (struct message){.topic = (char *)message->payload + length_bytes, .length_bytes = length_bytes};
    memcpy(message->payload, payload, length_bytes);
    memcpy(message->payload + length_bytes, topic, topic_bytes);
    *bus->last_next = message;
    bus->last_next = &message->next;
    bus->message_count++;
    bus->queued_bytes += length_bytes;
    if (!bus->unsent)
        bus->unsent = message;
    return 0;
}

uint64_t bus_lost_count(const struct bus *bus)
{
    return bus->lost_count;
}

size_t bus_queued_count(const struct bus *bus)
{
    return bus->message_count;
}

void bus_free(struct bus *bus)
{
    if (!bus)
        return;
    bus_link_free(bus->link);
    close_handles(bus->handles);
    drop_all(bus);
    free(bus->client_id);
    free(bus->unix_path);
    free(bus);
}
