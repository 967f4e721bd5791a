#include "broker_sim/bus/bus.h"

#include "base/cleanup.h"
#include "base/mqtt_link.h"

#include <stdlib.h>
#include <string.h>

enum {
    RETRY_MS = 50,
    /* libmosquitto walks the list of what is in flight at each PUBACK: 1000 cost 350 us of CPU a registration more than 32, at the same rate. */
    IN_FLIGHT_MAX = 32,
};

/* In one block with its topic, which stands behind the payload. */
struct message {
    struct message *next;
    const char *topic;
    size_t length_bytes;
    uint8_t payload[];
};

struct bus {
    uv_loop_t *loop;
    uv_timer_t *retry; /* outlives us until its close callback */
    char *client_id;
    char *unix_path;
    const char *const *filters;
    size_t filter_count;
    bool forgets_on_loss;
    struct bus_callbacks callbacks;

    struct mqtt_link *link; /* a new one for each connection: no message of the old one is left in it */
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

static void send_more(struct bus *bus)
{
    while (bus->is_ready && bus->unsent && bus->in_flight_count < IN_FLIGHT_MAX) {
        struct message *message = bus->unsent;
        if (mqtt_link_publish(bus->link, message->topic, message->payload, message->length_bytes, 1, false, NULL, NULL))
            return;
        bus->unsent = message->next;
        bus->in_flight_count++;
    }
}

static void on_connack(void *user, int return_code)
{
    struct bus *bus = user;
    /* QoS 0 loses nothing on a Unix socket but with the connection, and who forgets on that loss needs no acknowledgements before. */
    int qos = bus->forgets_on_loss ? 0 : 1;
    if (return_code == 0)
        mqtt_link_subscribe_many(bus->link, bus->filters, bus->filter_count, qos, NULL, NULL);
}

static void on_suback(void *user, int packet_id, const int *codes, size_t count)
{
    (void)packet_id, (void)codes, (void)count;
    struct bus *bus = user;
    bus->is_ready = true;
    bus->unsent = bus->first;
    bus->in_flight_count = 0;
    if (bus->callbacks.ready)
        bus->callbacks.ready(bus->callbacks.user);
    send_more(bus);
}

static void on_published(void *user, int packet_id)
{
    (void)packet_id;
    struct bus *bus = user;
    if (bus->in_flight_count == 0)
        return;
    bus->in_flight_count--;
    drop_first(bus);
    send_more(bus);
}

static void on_message(void *user, const char *topic, const void *payload, size_t length_bytes, int qos, bool is_retained)
{
    (void)qos, (void)is_retained;
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

static void on_closed(void *user, int rc, int system_errno, const char *text)
{
    (void)rc, (void)system_errno;
    struct bus *bus = user;
    mark_lost(bus, text);
    schedule(bus, RETRY_MS);
}

static int connect_anew(struct bus *bus)
{
    mqtt_link_free(TAKE(bus->link));
    struct mqtt_link_options options = {
        .loop = bus->loop,
        .client_id = bus->client_id,
        .unix_path = bus->unix_path,
        .callbacks = {.user = bus,
                      .on_connack = on_connack,
                      .on_suback = on_suback,
                      .on_published = on_published,
                      .on_message = on_message,
                      .on_closed = on_closed},
    };
    return mqtt_link_new(&options, &bus->link, NULL) || mqtt_link_connect(bus->link, NULL, NULL, NULL);
}

static void on_retry(uv_timer_t *timer)
{
    struct bus *bus = timer->data;
    if (bus->is_wanted && !mqtt_link_is_open(bus->link) && connect_anew(bus))
        schedule(bus, RETRY_MS);
}

static void schedule(struct bus *bus, uint64_t in_ms)
{
    if (bus->is_wanted)
        uv_timer_start(bus->retry, on_retry, in_ms, 0);
}

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

DEFINE_CLEANUP(struct bus *, bus_free)

static int make_timer(struct bus *bus)
{
    bus->retry = calloc(1, sizeof *bus->retry);
    if (!bus->retry)
        return -1;
    uv_timer_init(bus->loop, bus->retry);
    bus->retry->data = bus;
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
    bus->callbacks = options->callbacks;
    bus->last_next = &bus->first;
    bus->client_id = strdup(options->client_id);
    if (!bus->client_id || make_timer(bus))
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
    uv_timer_stop(bus->retry);
    mqtt_link_disconnect(bus->link);
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
    send_more(bus);
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
    mqtt_link_free(bus->link);
    if (bus->retry)
        uv_close((uv_handle_t *)bus->retry, free_handle);
    drop_all(bus);
    free(bus->client_id);
    free(bus->unix_path);
    free(bus);
}
