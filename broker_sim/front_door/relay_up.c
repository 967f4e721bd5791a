#include "base/cleanup.h"
#include "broker_sim/front_door/session_fault.h"
#include "broker_sim/mqtt/ack.h"
#include "broker_sim/mqtt/subscribe.h"
#include "broker_sim/mqtt/topic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 1 stops the framer: the connection is ending, or waits. */
static int go_on(const struct connection *connection)
{
    return connection->phase == PHASE_SESSION ? 0 : 1;
}

static int too_long(struct error *error)
{
    return mqtt_fault(error, "a topic that is too long behind the prefix of a session");
}

/* SUBSCRIBE and UNSUBSCRIBE. */

static uint8_t ask_policy(struct connection *connection, const char *filter, uint8_t qos)
{
    const struct front_door_policy *policy = &connection->door->options.policy;
    int granted = policy->grant ? policy->grant(policy->user, &connection->session, filter, qos) : qos;
    if (granted < 0 || granted == MQTT_SUBACK_REFUSED)
        return MQTT_SUBACK_REFUSED;
    return granted ? 1 : 0; /* DPS and hubs grant QoS 1 at most */
}

/* A refused filter is replaced by one that matches nothing: Mosquitto then answers with as many codes as the device expects. */
static int add_replacement(struct connection *connection, struct bytes *body, size_t index)
{
    char filter[PREFIX_MAX_BYTES * 2];
    snprintf(filter, sizeof filter, "no/%llu/%zu", (unsigned long long)connection->session.number, index);
    return mqtt_add_filter(body, filter, (struct mqtt_text){NULL, 0}) || mqtt_add_filter_qos(body, 0) ? -1 : 0;
}

static int add_subscription(struct connection *connection, struct bytes *body, struct pending *pending, const struct mqtt_filter *filter)
{
    struct pending_filter *slot = &pending->filters[pending->count];
    slot->filter = mqtt_text_copy(filter->text);
    if (!slot->filter)
        return -1;
    pending->count++;
    slot->granted_qos = ask_policy(connection, slot->filter, filter->qos);
    if (slot->granted_qos == MQTT_SUBACK_REFUSED)
        return add_replacement(connection, body, pending->count);
    return mqtt_add_filter(body, connection->prefix, filter->text) || mqtt_add_filter_qos(body, slot->granted_qos) ? -1 : 0;
}

static int add_unsubscription(struct connection *connection, struct bytes *body, struct pending *pending, const struct mqtt_filter *filter)
{
    struct pending_filter *slot = &pending->filters[pending->count];
    slot->filter = mqtt_text_copy(filter->text);
    if (!slot->filter)
        return -1;
    pending->count++;
    return mqtt_add_filter(body, connection->prefix, filter->text);
}

static int rewrite_filters(struct connection *connection, struct mqtt_filters filters, struct pending *pending, struct bytes *body)
{
    struct mqtt_filter filter;
    if (mqtt_begin_filters(body, filters.packet_id))
        return -1;
    while (mqtt_next_filter(&filters, &filter)) {
        int result =
            filters.has_qos ? add_subscription(connection, body, pending, &filter) : add_unsubscription(connection, body, pending, &filter);
        if (result)
            return -1;
    }
    return 0;
}

static int take_filters(struct connection *connection, const struct mqtt_header *header, const uint8_t *data, size_t length_bytes,
                        struct error *error)
{
    struct mqtt_filters filters;
    if (mqtt_read_filters(header, data, length_bytes, &filters, error))
        return -1;
    if (filters.count > PENDING_FILTERS_MAX || connection->pending.count >= PENDING_MAX)
        return mqtt_fault(error, "%zu filters behind %zu unanswered packets; the limits are %d and %d", filters.count,
                          connection->pending.count, PENDING_FILTERS_MAX, PENDING_MAX);
    emit_filters(connection, filters);
    struct pending *pending = pending_new(filters.packet_id, filters.has_qos ? MQTT_SUBACK : MQTT_UNSUBACK, filters.count);
    if (!pending)
        return error_set_memory(error);
    struct bytes body;
    bytes_init(&body, QUEUE_MAX_BYTES);
    int result = rewrite_filters(connection, filters, pending, &body);
    if (result == 0 && connection->phase == PHASE_SESSION)
        result = mqtt_end_filters(&connection->upstream_out, (enum mqtt_type)header->type, &body);
    bytes_done(&body);
    if (result) {
        pending_free(pending);
        return too_long(error);
    }
    pending_push(&connection->pending, pending);
    return go_on(connection);
}

/* PUBLISH. */

/* Takes `amended`, which may be NULL. */
static int write_upward(struct connection *connection, const struct mqtt_publish *publish, char *amended, struct error *error)
{
    CLEANUP_FREE char *topic = amended;
    struct mqtt_publish upward = *publish;
    upward.is_retained = false; /* a retained message would outlive the session and answer nobody */
    if (topic && strlen(topic) > UINT16_MAX)
        return too_long(error);
    if (topic)
        upward.topic = (struct mqtt_text){(const uint8_t *)topic, (uint16_t)strlen(topic)};
    return mqtt_write_publish_head(&connection->upstream_out, connection->prefix, &upward) ? too_long(error) : 0;
}

static char *amend(struct connection *connection, const char *topic, const struct mqtt_publish *publish)
{
    const struct front_door_policy *policy = &connection->door->options.policy;
    if (!publish->is_retained || !policy->amend_topic)
        return NULL;
    return policy->amend_topic(policy->user, &connection->session, topic, false, true);
}

static bool is_stopped(struct connection *connection, const struct mqtt_publish *publish)
{
    char *topic = mqtt_text_copy(publish->topic);
    if (topic && !faults_packet(connection, false, true, MQTT_PUBLISH, topic))
        faults_twin_request(connection, topic, publish->qos ? publish->packet_id : 0);
    free(topic);
    return connection->phase != PHASE_SESSION;
}

/* Its payload is on its way to Mosquitto. */
static int published(struct connection *connection)
{
    if (connection->faults && connection->up.payload_left_bytes == 0)
        faults_publish_ended(connection, true);
    return go_on(connection);
}

static enum publish_permit ask_permit(struct connection *connection, const char *topic, const struct mqtt_publish *publish)
{
    const struct front_door_policy *policy = &connection->door->options.policy;
    const struct publish_request request = {
        .topic = topic, .qos = publish->qos, .is_retained = publish->is_retained, .payload_bytes = publish->payload_bytes};
    if (!policy->may_publish)
        return publish->qos > 1 ? PUBLISH_REFUSED : PUBLISH_TAKEN;
    return policy->may_publish(policy->user, &connection->session, &request);
}

static int refuse_publish(const char *topic, const struct mqtt_publish *publish, struct error *error)
{
    if (publish->qos > 1)
        return mqtt_fault(error, "PUBLISH with QoS 2");
    return mqtt_fault(error, "PUBLISH to '%.200s'%s, where this device may not publish", topic, publish->is_retained ? " with RETAIN" : "");
}

static int on_publish(void *user, const struct mqtt_publish *publish, struct error *error)
{
    struct connection *connection = user;
    if (connection->phase != PHASE_SESSION)
        return mqtt_fault(error, "PUBLISH before CONNECT");
    const char *fault = topic_name_fault(publish->topic);
    if (fault)
        return mqtt_fault(error, "%s", fault);
    CLEANUP_FREE char *topic = mqtt_text_copy(publish->topic);
    if (!topic)
        return error_set_memory(error);
    emit_publish(connection, true, topic, publish);
    enum publish_permit permit = ask_permit(connection, topic, publish);
    connection->is_ignoring_payload = permit == PUBLISH_IGNORED;
    if (permit == PUBLISH_REFUSED)
        return refuse_publish(topic, publish, error);
    if (permit == PUBLISH_TOO_LARGE)
        return mqtt_fault(error, "a message that is too large with its properties");
    if (permit == PUBLISH_IGNORED || connection->phase != PHASE_SESSION)
        return go_on(connection);
    struct mqtt_publish taken = *publish;
    taken.qos = publish->qos ? 1 : 0;
    if (connection->faults && is_stopped(connection, &taken))
        return 1;
    return write_upward(connection, &taken, amend(connection, topic, &taken), error) ? -1 : published(connection);
}

static int on_payload(void *user, const uint8_t *data, size_t length_bytes, struct error *error)
{
    struct connection *connection = user;
    if (connection->is_ignoring_payload)
        return 0;
    return bytes_append(&connection->upstream_out, data, length_bytes) ? error_set_memory(error) : published(connection);
}

/* The others. */

static void tell_acknowledged(struct connection *connection, uint16_t packet_id)
{
    const struct front_door_policy *policy = &connection->door->options.policy;
    if (policy->acknowledged)
        policy->acknowledged(policy->user, &connection->session, packet_id);
}

static int take_puback(struct connection *connection, const struct mqtt_header *header, const uint8_t *body, size_t length_bytes,
                       struct error *error)
{
    uint16_t packet_id;
    if (mqtt_read_ack(header, body, length_bytes, &packet_id, error))
        return -1;
    emit_puback(connection, true, packet_id);
    if (connection->refusal == REFUSAL_PUBACK && connection->refusal_packet_id == packet_id) {
        connection->refusal = REFUSAL_TIMER;
        connection->refusal_deadline = connection_deadline_ms(connection, connection->refusal_after_ms);
    }
    if (mqtt_write_ack(&connection->upstream_out, MQTT_PUBACK, packet_id))
        return -1;
    tell_acknowledged(connection, packet_id);
    return go_on(connection);
}

static int take_disconnect(struct connection *connection)
{
    emit_bare(connection, EVENT_MQTT_DISCONNECT);
    mqtt_write_bare(&connection->upstream_out, MQTT_DISCONNECT);
    connection_finish(connection, "device", "disconnect");
    return 1;
}

static int on_session_packet(struct connection *connection, const struct mqtt_header *header, const uint8_t *body, size_t length_bytes,
                             struct error *error)
{
    switch (header->type) {
    case MQTT_PUBACK:
        return take_puback(connection, header, body, length_bytes, error);
    case MQTT_SUBSCRIBE:
    case MQTT_UNSUBSCRIBE:
        return take_filters(connection, header, body, length_bytes, error);
    case MQTT_PINGREQ:
        if (mqtt_read_bare(header, error))
            return -1;
        emit_bare(connection, EVENT_MQTT_PINGREQ);
        return mqtt_write_bare(&connection->upstream_out, MQTT_PINGREQ);
    case MQTT_DISCONNECT:
        return mqtt_read_bare(header, error) ? -1 : take_disconnect(connection);
    case MQTT_CONNECT:
        return mqtt_fault(error, "a second CONNECT");
    default:
        return mqtt_fault(error, "%s from a device", mqtt_type_name(header->type));
    }
}

static int on_packet(void *user, const struct mqtt_header *header, const uint8_t *body, size_t length_bytes, struct error *error)
{
    struct connection *connection = user;
    if (connection->phase == PHASE_CONNECT)
        return admission_read_connect(connection, header, body, length_bytes, error);
    if (!connection->faults)
        return on_session_packet(connection, header, body, length_bytes, error);
    faults_packet(connection, false, true, header->type, NULL);
    int result = connection->phase == PHASE_SESSION ? on_session_packet(connection, header, body, length_bytes, error) : 1;
    if (result == 0)
        faults_packet(connection, true, true, header->type, NULL);
    return result ? result : go_on(connection);
}

/* What was sent behind CONNECT, for later. */
static void keep_early(struct connection *connection, const uint8_t *data, size_t length_bytes)
{
    if (length_bytes && (connection->phase == PHASE_HELD || connection->phase == PHASE_ADMITTED) &&
        bytes_append(&connection->early, data, length_bytes))
        connection_finish(connection, "service", "violation");
}

void relay_up(struct connection *connection, const uint8_t *data, size_t length_bytes)
{
    const struct mqtt_framer_callbacks callbacks = {connection, on_packet, on_publish, on_payload};
    struct error error = ERROR_INIT;
    size_t used;
    int result = mqtt_framer_feed(&connection->up, &callbacks, data, length_bytes, &used, &error);
    if (result < 0)
        connection_violation(connection, error.text);
    else if (result > 0)
        keep_early(connection, data + used, length_bytes - used);
}
