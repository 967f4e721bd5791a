#include "broker_sim/front_door/session_fault.h"
#include "broker_sim/mqtt/ack.h"
#include "broker_sim/mqtt/connack.h"

#include <stdlib.h>
#include <string.h>

static int go_on(const struct connection *connection)
{
    return connection->phase == PHASE_SESSION ? 0 : 1;
}

static int take_connack(struct connection *connection, const uint8_t *body, size_t length_bytes, struct error *error)
{
    struct mqtt_connack connack;
    if (connection->phase != PHASE_ADMITTED)
        return mqtt_fault(error, "an unexpected CONNACK from Mosquitto");
    if (mqtt_read_connack(body, length_bytes, &connack, error))
        return -1;
    if (connack.return_code)
        admission_refuse(connection, CONNACK_SERVER_UNAVAILABLE, "broker", "refused");
    else
        admission_complete(connection);
    return go_on(connection);
}

/* SUBACK and UNSUBACK. */

static void tell_unsubscribed(struct connection *connection, const struct pending *pending)
{
    const struct front_door_policy *policy = &connection->door->options.policy;
    for (size_t i = 0; pending && i < pending->count && policy->unsubscribed; i++)
        if (connection->phase == PHASE_SESSION)
            policy->unsubscribed(policy->user, &connection->session, pending->filters[i].filter);
}

static void tell_policy(struct connection *connection, const struct pending *pending)
{
    const struct front_door_policy *policy = &connection->door->options.policy;
    for (size_t i = 0; i < pending->count && policy->subscribed; i++) {
        const struct pending_filter *filter = &pending->filters[i];
        if (filter->granted_qos != MQTT_SUBACK_REFUSED && connection->phase == PHASE_SESSION)
            policy->subscribed(policy->user, &connection->session, filter->filter, filter->granted_qos);
    }
}

static int answer_suback(struct connection *connection, const struct pending *pending, const struct mqtt_suback *suback)
{
    size_t before = connection->out.length_bytes;
    uint8_t body[2 + PENDING_FILTERS_MAX] = {(uint8_t)(suback->packet_id >> 8), (uint8_t)suback->packet_id};
    for (size_t i = 0; i < pending->count; i++)
        body[2 + i] = pending->filters[i].granted_qos;
    int result = mqtt_write_packet(&connection->out, MQTT_SUBACK, 0, body, 2 + pending->count);
    if (faults_ack(connection, MQTT_SUBACK, before))
        emit_suback(connection, body + 2, pending->count, suback->packet_id);
    device_flush(connection);
    faults_early(connection, MQTT_SUBACK, suback->packet_id);
    connection->is_mute |= connection->silence == SILENCE_AFTER_SUBACK;
    return result;
}

static int take_suback(struct connection *connection, const uint8_t *body, size_t length_bytes, struct error *error)
{
    struct mqtt_suback suback;
    if (mqtt_read_suback(body, length_bytes, &suback, error))
        return -1;
    struct pending *pending = pending_take(&connection->pending, suback.packet_id, MQTT_SUBACK);
    if (!pending || pending->count != suback.count) {
        pending_free(pending);
        return mqtt_fault(error, "a SUBACK from Mosquitto that answers nothing");
    }
    for (size_t i = 0; i < suback.count; i++)
        if (pending->filters[i].granted_qos != MQTT_SUBACK_REFUSED)
            pending->filters[i].granted_qos = suback.codes[i];
    int result = pending->is_restored ? 0 : answer_suback(connection, pending, &suback);
    tell_policy(connection, pending);
    pending_free(pending);
    return result ? error_set_memory(error) : go_on(connection);
}

static int take_unsuback(struct connection *connection, const struct mqtt_header *header, const uint8_t *body, size_t length_bytes,
                         struct error *error)
{
    uint16_t packet_id;
    if (mqtt_read_ack(header, body, length_bytes, &packet_id, error))
        return -1;
    size_t before = connection->out.length_bytes;
    int result = mqtt_write_ack(&connection->out, MQTT_UNSUBACK, packet_id);
    struct pending *pending = pending_take(&connection->pending, packet_id, MQTT_UNSUBACK);
    if (faults_ack(connection, MQTT_UNSUBACK, before))
        emit_unsuback(connection, pending, packet_id);
    tell_unsubscribed(connection, pending);
    pending_free(pending);
    return result ? result : go_on(connection);
}

/* PUBLISH. */

/* The reply that refuses is the last thing that goes down: whatever goes down now may be it. */
static void watch_refusal(struct connection *connection, const struct mqtt_publish *publish)
{
    if (connection->refusal == REFUSAL_NONE || connection->refusal == REFUSAL_LATER)
        return;
    connection->refusal = publish->qos ? REFUSAL_PUBACK : REFUSAL_TIMER;
    connection->refusal_packet_id = publish->packet_id;
    connection->refusal_deadline =
        connection_deadline_ms(connection, publish->qos ? connection->refusal_patience_ms : connection->refusal_after_ms);
}

/* Must not end the connection: the payload is still to come. */
static void tell_sent(struct connection *connection, const char *topic, const struct mqtt_publish *publish)
{
    const struct front_door_policy *policy = &connection->door->options.policy;
    if (policy->sent)
        policy->sent(policy->user, &connection->session, topic, publish->qos ? publish->packet_id : 0);
}

/* Somebody published by hand to "s/<n>/": without the prefix no topic is left, and MQTT allows none such. */
static int swallow(struct connection *connection, const struct mqtt_publish *publish)
{
    connection->is_dropping_payload = true;
    return publish->qos ? mqtt_write_ack(&connection->upstream_out, MQTT_PUBACK, publish->packet_id) : 0;
}

/* The topic may become another one. true: the packet does not go, or not as itself. */
static bool is_changed(struct connection *connection, char **topic, struct mqtt_publish *publish)
{
    if (faults_packet(connection, false, false, MQTT_PUBLISH, *topic))
        return true;
    char *other = faults_topic(connection, *topic);
    if (other) {
        free(*topic);
        *topic = other;
        publish->topic = (struct mqtt_text){(const uint8_t *)other, (uint16_t)strlen(other)};
    }
    return false;
}

static int published(struct connection *connection)
{
    if (connection->faults && connection->down.payload_left_bytes == 0)
        faults_publish_ended(connection, false);
    return go_on(connection);
}

static int on_publish(void *user, const struct mqtt_publish *publish, struct error *error)
{
    struct connection *connection = user;
    struct mqtt_publish downward = *publish;
    connection->is_dropping_payload = connection->is_mute;
    if (connection->is_mute)
        return 0;
    if (publish->topic.length_bytes < connection->prefix_bytes ||
        memcmp(publish->topic.data, connection->prefix, connection->prefix_bytes) != 0)
        return mqtt_fault(error, "a PUBLISH from Mosquitto for another session");
    downward.topic.data += connection->prefix_bytes;
    downward.topic.length_bytes = (uint16_t)(downward.topic.length_bytes - connection->prefix_bytes);
    if (downward.topic.length_bytes == 0)
        return swallow(connection, publish);
    char *topic = mqtt_text_copy(downward.topic);
    if (!topic)
        return error_set_memory(error);
    if (connection->faults && is_changed(connection, &topic, &downward)) {
        free(topic);
        return connection->phase == PHASE_SESSION ? swallow(connection, publish) : 1;
    }
    emit_publish(connection, false, topic, &downward);
    watch_refusal(connection, publish);
    int result = mqtt_write_publish_head(&connection->out, "", &downward);
    tell_sent(connection, topic, &downward);
    free(topic);
    return result ? error_set_memory(error) : published(connection);
}

static int on_payload(void *user, const uint8_t *data, size_t length_bytes, struct error *error)
{
    struct connection *connection = user;
    if (connection->is_dropping_payload)
        return 0;
    return bytes_append(&connection->out, data, length_bytes) ? error_set_memory(error) : published(connection);
}

/* The others. */

static int take_puback(struct connection *connection, const struct mqtt_header *header, const uint8_t *body, size_t length_bytes,
                       struct error *error)
{
    uint16_t packet_id;
    if (mqtt_read_ack(header, body, length_bytes, &packet_id, error))
        return -1;
    size_t before = connection->out.length_bytes;
    int result = mqtt_write_ack(&connection->out, MQTT_PUBACK, packet_id);
    if (faults_ack(connection, MQTT_PUBACK, before))
        emit_puback(connection, false, packet_id);
    return result;
}

static int take_pingresp(struct connection *connection)
{
    size_t before = connection->out.length_bytes;
    int result = mqtt_write_bare(&connection->out, MQTT_PINGRESP);
    if (faults_ack(connection, MQTT_PINGRESP, before))
        emit_bare(connection, EVENT_MQTT_PINGRESP);
    return result;
}

static int on_any_packet(void *user, const struct mqtt_header *header, const uint8_t *body, size_t length_bytes, struct error *error)
{
    struct connection *connection = user;
    if (connection->is_mute)
        return 0;
    switch (header->type) {
    case MQTT_CONNACK:
        return take_connack(connection, body, length_bytes, error);
    case MQTT_PUBACK:
        return take_puback(connection, header, body, length_bytes, error);
    case MQTT_SUBACK:
        return take_suback(connection, body, length_bytes, error);
    case MQTT_UNSUBACK:
        return take_unsuback(connection, header, body, length_bytes, error);
    case MQTT_PINGRESP:
        return take_pingresp(connection);
    default:
        return mqtt_fault(error, "%s from Mosquitto", mqtt_type_name(header->type));
    }
}

/* CONNACK is Mosquitto's; the device's is written in admission.c. */
static int on_packet(void *user, const struct mqtt_header *header, const uint8_t *body, size_t length_bytes, struct error *error)
{
    struct connection *connection = user;
    if (!connection->faults || connection->is_mute || header->type == MQTT_CONNACK)
        return on_any_packet(user, header, body, length_bytes, error);
    if (faults_packet(connection, false, false, header->type, NULL))
        return go_on(connection);
    int result = on_any_packet(user, header, body, length_bytes, error);
    if (result == 0)
        faults_packet(connection, true, false, header->type, NULL);
    return result ? result : go_on(connection);
}

int relay_down(struct connection *connection, const uint8_t *data, size_t length_bytes)
{
    const struct mqtt_framer_callbacks callbacks = {connection, on_packet, on_publish, on_payload};
    struct error error = ERROR_INIT;
    size_t used;
    return mqtt_framer_feed(&connection->down, &callbacks, data, length_bytes, &used, &error) < 0 ? -1 : 0;
}
