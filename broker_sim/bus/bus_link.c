#include "broker_sim/bus/bus_link.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "broker_sim/mqtt/ack.h"
#include "broker_sim/mqtt/connack.h"
#include "broker_sim/mqtt/connect.h"
#include "broker_sim/mqtt/framer.h"
#include "broker_sim/mqtt/subscribe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    READ_BYTES = 64 * 1024,
    READS_PER_TURN_MAX = 4,
    PACKET_MAX_BYTES = 64 * 1024,
    OUT_MAX_BYTES = MQTT_REMAINING_MAX_BYTES,
    SUBSCRIBE_PACKET_ID = 1,
};

struct bus_link {
    uv_loop_t *loop;
    struct bus_link_callbacks callbacks;
    int fd;           /* -1: not open */
    uv_poll_t *poll;  /* outlives us until its close callback */
    int events;       /* what is polled for */
    struct bytes out; /* gathered, not sent */
    struct mqtt_framer framer;
    /* of the PUBLISH that is coming */
    char *topic;
    struct bytes payload;
    uint32_t payload_left_bytes;
    uint16_t packet_id; /* 0: QoS 0 */
    uint8_t buffer[READ_BYTES];
};

struct bus_link *bus_link_new(uv_loop_t *loop, const struct bus_link_callbacks *callbacks)
{
    struct bus_link *link = calloc(1, sizeof *link);
    if (!link)
        return NULL;
    link->loop = loop;
    link->callbacks = *callbacks;
    link->fd = -1;
    bytes_init(&link->out, OUT_MAX_BYTES);
    bytes_init(&link->payload, BUS_LINK_MESSAGE_MAX_BYTES);
    mqtt_framer_init(&link->framer, PACKET_MAX_BYTES, MQTT_REMAINING_MAX_BYTES);
    return link;
}

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

static void shut(struct bus_link *link)
{
    if (link->fd < 0)
        return;
    uv_close((uv_handle_t *)TAKE(link->poll), free_handle);
    close(link->fd);
    link->fd = -1;
    bytes_done(&link->out);
}

void bus_link_free(struct bus_link *link)
{
    if (!link)
        return;
    shut(link);
    mqtt_framer_done(&link->framer);
    bytes_done(&link->payload);
    free(link->topic);
    free(link);
}

bool bus_link_is_open(const struct bus_link *link)
{
    return link && link->fd >= 0;
}

static void lose(struct bus_link *link, const char *reason)
{
    if (link->fd < 0)
        return;
    shut(link);
    link->callbacks.closed(link->callbacks.user, reason);
}

/* What comes. */

static int go_on(const struct bus_link *link)
{
    return link->fd < 0 ? 1 : 0;
}

static int take_connack(struct bus_link *link, const uint8_t *body, size_t length_bytes, struct error *error)
{
    struct mqtt_connack connack;
    if (mqtt_read_connack(body, length_bytes, &connack, error))
        return -1;
    if (connack.return_code)
        return mqtt_fault(error, "Mosquitto refused our connection with CONNACK %u", connack.return_code);
    link->callbacks.accepted(link->callbacks.user);
    return go_on(link);
}

static int take_puback(struct bus_link *link, const struct mqtt_header *header, const uint8_t *body, size_t length_bytes,
                       struct error *error)
{
    uint16_t packet_id;
    if (mqtt_read_ack(header, body, length_bytes, &packet_id, error))
        return -1;
    link->callbacks.acknowledged(link->callbacks.user, packet_id);
    return go_on(link);
}

static int on_packet(void *user, const struct mqtt_header *header, const uint8_t *body, size_t length_bytes, struct error *error)
{
    struct bus_link *link = user;
    switch (header->type) {
    case MQTT_CONNACK:
        return take_connack(link, body, length_bytes, error);
    case MQTT_SUBACK:
        link->callbacks.subscribed(link->callbacks.user);
        return go_on(link);
    case MQTT_PUBACK:
        return take_puback(link, header, body, length_bytes, error);
    default:
        return mqtt_fault(error, "%s from Mosquitto", mqtt_type_name(header->type));
    }
}

static int deliver(struct bus_link *link, const void *payload, size_t length_bytes, struct error *error)
{
    CLEANUP_FREE char *topic = TAKE(link->topic);
    if (link->packet_id && mqtt_write_ack(&link->out, MQTT_PUBACK, link->packet_id))
        return error_set_memory(error);
    link->callbacks.message(link->callbacks.user, topic, payload, length_bytes);
    return go_on(link);
}

static int on_publish(void *user, const struct mqtt_publish *publish, struct error *error)
{
    struct bus_link *link = user;
    free(link->topic);
    link->topic = mqtt_text_copy(publish->topic);
    if (!link->topic)
        return error_set_memory(error);
    link->packet_id = publish->packet_id;
    link->payload_left_bytes = publish->payload_bytes;
    bytes_clear(&link->payload);
    return publish->payload_bytes ? 0 : deliver(link, NULL, 0, error);
}

static int drop(struct bus_link *link, struct error *error)
{
    log_warning("a message on '%.200s' is larger than %d bytes: it is dropped", link->topic, BUS_LINK_MESSAGE_MAX_BYTES);
    free(TAKE(link->topic));
    return link->packet_id && mqtt_write_ack(&link->out, MQTT_PUBACK, link->packet_id) ? error_set_memory(error) : 0;
}

/* A payload that comes in one piece, as nearly all do, is not copied. */
static int on_payload(void *user, const uint8_t *data, size_t length_bytes, struct error *error)
{
    struct bus_link *link = user;
    bool is_first = link->payload.length_bytes == 0;
    link->payload_left_bytes -= (uint32_t)length_bytes;
    if (!link->topic)
        return 0;
    if (is_first && link->payload_left_bytes == 0)
        return deliver(link, data, length_bytes, error);
    if (bytes_append(&link->payload, data, length_bytes))
        return drop(link, error);
    return link->payload_left_bytes ? 0 : deliver(link, link->payload.data, link->payload.length_bytes, error);
}

static void read_some(struct bus_link *link)
{
    const struct mqtt_framer_callbacks callbacks = {link, on_packet, on_publish, on_payload};
    struct error error = ERROR_INIT;
    for (int i = 0; i < READS_PER_TURN_MAX && link->fd >= 0; i++) {
        size_t used;
        ssize_t got = recv(link->fd, link->buffer, sizeof link->buffer, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (got <= 0) {
            lose(link, got ? strerror(errno) : "Mosquitto closed the connection");
            return;
        }
        if (mqtt_framer_feed(&link->framer, &callbacks, link->buffer, (size_t)got, &used, &error) < 0) {
            lose(link, error.text);
            return;
        }
        if ((size_t)got < sizeof link->buffer)
            return;
    }
}

/* What goes. */

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct bus_link *link = poll->data;
    /* status < 0: libuv has stopped the poll for an error of the socket; reading tells which. */
    if (status < 0)
        link->events = 0;
    if (status < 0 || events & UV_READABLE)
        read_some(link);
    bus_link_flush(link);
}

static void poll_for(struct bus_link *link, int events)
{
    if (link->events == events)
        return;
    link->events = events;
    uv_poll_start(link->poll, events, on_poll);
}

void bus_link_flush(struct bus_link *link)
{
    while (link->fd >= 0 && link->out.length_bytes) {
        ssize_t sent = send(link->fd, link->out.data, link->out.length_bytes, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN)
            break;
        if (sent < 0) {
            lose(link, strerror(errno));
            return;
        }
        bytes_consume(&link->out, (size_t)sent);
    }
    if (link->fd >= 0)
        poll_for(link, UV_READABLE | (link->out.length_bytes ? UV_WRITABLE : 0));
}

size_t bus_link_unsent_bytes(const struct bus_link *link)
{
    return link->out.length_bytes;
}

int bus_link_publish(struct bus_link *link, const char *topic, const void *payload, size_t length_bytes, uint16_t packet_id)
{
    size_t topic_bytes = strlen(topic), before = link->out.length_bytes;
    if (link->fd < 0 || topic_bytes > MQTT_TEXT_MAX_BYTES || length_bytes > MQTT_REMAINING_MAX_BYTES)
        return -1;
    const struct mqtt_publish publish = {.topic = {(const uint8_t *)topic, (uint16_t)topic_bytes},
                                         .packet_id = packet_id,
                                         .qos = packet_id ? 1 : 0,
                                         .payload_bytes = (uint32_t)length_bytes};
    if (mqtt_write_publish_head(&link->out, "", &publish))
        return -1;
    if (bytes_append(&link->out, payload, length_bytes)) {
        bytes_cut(&link->out, before);
        return -1;
    }
    return 0;
}

static int add_filters(struct bytes *body, const char *const *filters, size_t count, int qos)
{
    for (size_t i = 0; i < count; i++) {
        struct mqtt_text filter = {(const uint8_t *)filters[i], (uint16_t)strlen(filters[i])};
        if (mqtt_add_filter(body, "", filter) || mqtt_add_filter_qos(body, (uint8_t)qos))
            return -1;
    }
    return 0;
}

int bus_link_subscribe(struct bus_link *link, const char *const *filters, size_t count, int qos)
{
    CLEANUP(bytes_done) struct bytes body;
    bytes_init(&body, PACKET_MAX_BYTES);
    if (mqtt_begin_filters(&body, SUBSCRIBE_PACKET_ID) || add_filters(&body, filters, count, qos))
        return -1;
    return mqtt_end_filters(&link->out, MQTT_SUBSCRIBE, &body);
}

/* Beginning and end. */

static int watch(struct bus_link *link, int fd, struct error *error)
{
    link->poll = calloc(1, sizeof *link->poll);
    if (!link->poll)
        return error_set_memory(error);
    if (uv_poll_init(link->loop, link->poll, fd)) {
        free(TAKE(link->poll));
        return error_set(error, ERROR_OWNER_OURS, ERROR_OTHER, "watch Mosquitto's socket: libuv refused it");
    }
    link->poll->data = link;
    return 0;
}

int bus_link_open(struct bus_link *link, const char *unix_path, const char *client_id, struct error *error)
{
    static const struct mqtt_connect plain = {0};
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    if (strlen(unix_path) >= sizeof name.sun_path)
        return error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "connect to '%s': the path is too long for a Unix socket", unix_path);
    memcpy(name.sun_path, unix_path, strlen(unix_path));
    CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&name, sizeof name))
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "connect to '%s'", unix_path);
    if (mqtt_write_connect(&link->out, client_id, "", &plain))
        return error_set_memory(error);
    if (watch(link, fd, error))
        return -1;
    link->fd = TAKE_FD(fd);
    bus_link_flush(link);
    return 0;
}

void bus_link_close(struct bus_link *link)
{
    if (link->fd < 0)
        return;
    mqtt_write_bare(&link->out, MQTT_DISCONNECT);
    /* What Mosquitto does not take at once is lost with us. */
    send(link->fd, link->out.data, link->out.length_bytes, MSG_NOSIGNAL);
    shut(link);
}
