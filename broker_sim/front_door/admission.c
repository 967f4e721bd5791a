#include "base/cleanup.h"
#include "broker_sim/front_door/connection.h"
#include "broker_sim/front_door/session_fault.h"
#include "broker_sim/front_door/user_name.h"
#include "broker_sim/mqtt/connack.h"
#include "broker_sim/mqtt/topic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The device may use the same one at the same time: the oldest of a kind is answered first, and this is the first. */
enum { RESTORED_PACKET_ID = 65535 };

DEFINE_CLEANUP(struct pending *, pending_free)

static char *copy_or_empty(bool is_there, struct mqtt_text text)
{
    return is_there ? mqtt_text_copy(text) : strdup("");
}

static int keep_texts(struct connection *connection, const struct mqtt_connect *connect)
{
    connection->client_id = mqtt_text_copy(connect->client_id);
    connection->user_name = copy_or_empty(connect->has_user_name, connect->user_name);
    if (connect->has_password)
        connection->password = mqtt_text_copy(connect->password);
    if (connect->has_will)
        connection->will_topic = mqtt_text_copy(connect->will_topic);
    if (!connection->client_id || !connection->user_name || (connect->has_password && !connection->password) ||
        (connect->has_will && !connection->will_topic))
        return -1;
    struct user_name parsed = user_name_parse(connection->user_name);
    connection->session.endpoint = parsed.endpoint;
    if (parsed.id)
        connection->registration_id = strndup(parsed.id, parsed.id_bytes);
    return parsed.id && !connection->registration_id ? -1 : 0;
}

static void publish_texts(struct connection *connection, const struct mqtt_connect *connect)
{
    struct session *session = &connection->session;
    session->client_id = connection->client_id;
    session->user_name = connection->user_name;
    session->password = connection->password;
    session->is_clean_session = connect->is_clean_session;
    session->keep_alive_s = connect->keep_alive_s;
    connection->connect = *connect;
    connection->connect.client_id = connection->connect.user_name = connection->connect.password = connection->connect.will_topic =
        connection->connect.will_payload = (struct mqtt_text){NULL, 0};
}

/* Device seconds, times 1.5 [MQTT-3.1.2-24], with Azure's ceiling, in real milliseconds; 0: never. */
static int64_t keep_alive_ms(const struct connection *connection)
{
    enum { MQTT_PERCENT = 150, MS_PER_PERCENT = 10 };
    int percent = connection->keep_alive_percent ? connection->keep_alive_percent : MQTT_PERCENT;
    int64_t ms = percent < 0 ? 0 : (int64_t)connection->session.keep_alive_s * percent * MS_PER_PERCENT;
    return clock_scaled_ms(ms < KEEP_ALIVE_MAX_MS ? ms : KEEP_ALIVE_MAX_MS, connection->door->options.time_scale);
}

/* Answers. */

static void send_connack(struct connection *connection, int return_code)
{
    bool is_v5 = connection->connect.protocol_level == MQTT_LEVEL_5;
    size_t before = connection->out.length_bytes;
    if (faults_packet(connection, false, false, MQTT_CONNACK, NULL) || faults_connack(connection))
        return;
    if (is_v5)
        mqtt_write_connack_v5(&connection->out, (uint8_t)return_code);
    else
        mqtt_write_connack(&connection->out, return_code == CONNACK_ACCEPTED && connection->is_session_present, (uint8_t)return_code);
    if (faults_ack(connection, MQTT_CONNACK, before))
        emit_connack(connection, return_code);
}

void admission_refuse(struct connection *connection, int return_code, const char *by, const char *how)
{
    if (!connection_is_open(connection))
        return;
    bytes_done(&connection->early);
    bytes_done(&connection->upstream_out); /* no CONNECT for Mosquitto any more */
    send_connack(connection, return_code);
    connection_finish(connection, by, how);
}

/* Behind Mosquitto's CONNACK, before anything of the device. The answer goes no further than relay_down. */
static int restore_subscription(struct connection *connection)
{
    CLEANUP(bytes_done) struct bytes body = {.max_bytes = QUEUE_MAX_BYTES};
    CLEANUP(pending_free_cleanup) struct pending *pending = pending_new(RESTORED_PACKET_ID, MQTT_SUBACK, 1);
    struct mqtt_text filter = {(const uint8_t *)connection->restored_filter, (uint16_t)strlen(connection->restored_filter)};
    if (!pending)
        return -1;
    pending->is_restored = true;
    pending->filters[0].granted_qos = (uint8_t)connection->restored_qos;
    pending->filters[pending->count++].filter = TAKE(connection->restored_filter);
    if (mqtt_begin_filters(&body, RESTORED_PACKET_ID) || mqtt_add_filter(&body, connection->prefix, filter) ||
        mqtt_add_filter_qos(&body, (uint8_t)connection->restored_qos) || mqtt_end_filters(&connection->upstream_out, MQTT_SUBSCRIBE, &body))
        return -1;
    pending_push(&connection->pending, TAKE(pending));
    return 0;
}

void admission_complete(struct connection *connection)
{
    struct bytes early = connection->early;
    bytes_init(&connection->early, early.max_bytes);
    connection->phase = PHASE_SESSION;
    connection->phase_deadline = deadline_none;
    connection->keep_alive_ms = keep_alive_ms(connection);
    connection->last_received_us = clock_mono_us(connection->door->options.clock);
    connection->is_mute = connection->silence == SILENCE_AFTER_CONNECT;
    if (!connection->is_mute)
        send_connack(connection, CONNACK_ACCEPTED);
    connection->is_mute |= connection->silence == SILENCE_AFTER_CONNACK;
    if (connection->restored_filter && restore_subscription(connection))
        connection_finish(connection, "broker", "violation");
    device_flush(connection); /* the device need not wait for what it sent behind CONNECT */
    faults_early(connection, MQTT_CONNACK, 0);
    faults_packet(connection, true, false, MQTT_CONNACK, NULL);
    if (connection->phase == PHASE_SESSION)
        relay_up(connection, early.data, early.length_bytes);
    bytes_done(&early);
}

/* The decision. */

static const char *will_fault(struct connection *connection)
{
    const struct front_door_policy *policy = &connection->door->options.policy;
    if (!connection->will_topic)
        return NULL;
    const struct publish_request will = {.topic = connection->will_topic, .qos = connection->connect.will_qos};
    if (policy->may_publish && policy->may_publish(policy->user, &connection->session, &will) == PUBLISH_REFUSED)
        return "a will for a topic on which this device may not publish";
    return NULL;
}

static void decide(struct connection *connection)
{
    const struct front_door_policy *policy = &connection->door->options.policy;
    connection->is_decided = true;
    struct admission admission = {.is_admitted = true};
    if (policy->decide)
        admission = policy->decide(policy->user, &connection->session);
    if (!connection_is_open(connection))
        return;
    if (!admission.is_admitted && admission.close_how) {
        connection_finish(connection, "service", admission.close_how);
        return;
    }
    connection->silence = admission.silence;
    connection->is_session_present = admission.is_session_present;
    connection->keep_alive_percent = admission.keep_alive_percent;
    if (!admission.is_admitted) {
        admission_refuse(connection, admission.return_code, "service", "refused");
        return;
    }
    const char *fault = will_fault(connection);
    if (fault) {
        connection_violation(connection, fault);
        return;
    }
    if (!connection_is_open(connection))
        return;
    if (*admission.restored_filter)
        connection->restored_filter = strdup(admission.restored_filter);
    connection->restored_qos = admission.restored_qos;
    connection->phase = PHASE_ADMITTED;
    connection->phase_deadline = connection_deadline_ms(connection, UPSTREAM_MS);
    upstream_start(connection);
}

void admission_gate_opened(struct connection *connection)
{
    if (connection->phase == PHASE_HELD)
        decide(connection);
}

static void hold(struct connection *connection)
{
    connection->phase = PHASE_HELD;
    connection->phase_deadline = connection_deadline_ms(connection, HOLD_MS);
}

/* CONNECT. */

static int check_will(const struct mqtt_connect *connect, struct error *error)
{
    if (!connect->has_will)
        return 0;
    const char *fault = topic_name_fault(connect->will_topic);
    if (fault)
        return mqtt_fault(error, "a will with %s", fault);
    return connect->will_qos > 1 ? mqtt_fault(error, "a will with QoS 2") : 0;
}

static void answer_other_level(struct connection *connection, const struct mqtt_connect *connect)
{
    connection->connect = *connect;
    emit_connect(connection);
    int code = connect->protocol_level == MQTT_LEVEL_5 ? CONNACK_V5_UNSUPPORTED_PROTOCOL_VERSION : CONNACK_UNACCEPTABLE_PROTOCOL_LEVEL;
    admission_refuse(connection, code, "service", "refused");
}

static int write_upstream_connect(struct connection *connection, const struct mqtt_connect *connect, struct error *error)
{
    const struct front_door_policy *policy = &connection->door->options.policy;
    struct mqtt_connect upward = *connect;
    char client_id[PREFIX_MAX_BYTES];
    CLEANUP_FREE char *amended = NULL;
    if (connect->has_will && policy->amend_topic)
        amended = policy->amend_topic(policy->user, &connection->session, connection->will_topic, true, connect->is_will_retained);
    if (amended)
        upward.will_topic = (struct mqtt_text){(const uint8_t *)amended, (uint16_t)strlen(amended)};
    snprintf(client_id, sizeof client_id, "%llu", (unsigned long long)connection->session.number);
    if ((amended && strlen(amended) > UINT16_MAX) || mqtt_write_connect(&connection->upstream_out, client_id, connection->prefix, &upward))
        return mqtt_fault(error, "a will whose topic is too long");
    return 0;
}

int admission_read_connect(struct connection *connection, const struct mqtt_header *header, const uint8_t *body, size_t length_bytes,
                           struct error *error)
{
    struct mqtt_connect connect;
    if (header->type != MQTT_CONNECT)
        return mqtt_fault(error, "%s before CONNECT", mqtt_type_name(header->type));
    if (header->flags)
        return mqtt_fault(error, "CONNECT with flags %u", header->flags);
    if (mqtt_read_connect(body, length_bytes, &connect, error))
        return -1;
    if (connect.protocol_level != MQTT_LEVEL_3_1_1) {
        answer_other_level(connection, &connect);
        return 1;
    }
    if (check_will(&connect, error))
        return -1;
    if (keep_texts(connection, &connect))
        return error_set_memory(error);
    publish_texts(connection, &connect);
    if (write_upstream_connect(connection, &connect, error))
        return -1;
    emit_connect(connection);
    faults_load(connection);
    if (faults_packet(connection, false, true, MQTT_CONNECT, NULL) || faults_packet(connection, true, true, MQTT_CONNECT, NULL))
        return 1;
    faults_early(connection, MQTT_CONNECT, 0);
    /* [MQTT-3.1.3-8] */
    if (connect.client_id.length_bytes == 0 && !connect.is_clean_session)
        admission_refuse(connection, CONNACK_IDENTIFIER_REJECTED, "service", "refused");
    else if (connection->door->is_gate_open)
        decide(connection);
    else
        hold(connection);
    return 1;
}
