#include "broker_sim/front_door/alert.h"
#include "broker_sim/front_door/connection.h"
#include "broker_sim/front_door/user_name.h"
#include "broker_sim/front_door/verify_error.h"
#include "certs/certificate_memory.h"

#include <openssl/err.h>
#include <openssl/objects.h>
#include <stdlib.h>

/* An event under construction: NULL data when memory is short, then it is counted as lost. */
struct draft {
    cJSON *event;
    cJSON *data;
    int failures;
};

static struct draft begin(const struct connection *connection, enum event_kind kind)
{
    cJSON *event = event_new(kind, connection->door->options.clock, EVENT_SOURCE);
    if (event)
        event_set_origin(event, connection->lane_name, connection->session.number, connection->registration_id);
    return (struct draft){.event = event, .data = event ? event_data(event) : NULL};
}

static void emit(const struct connection *connection, struct draft *draft)
{
    const struct event_sink *sink = &connection->door->options.sink;
    if (draft->failures) {
        cJSON_Delete(draft->event);
        draft->event = NULL;
    }
    if (sink->emit)
        sink->emit(sink->user, draft->event);
    else
        cJSON_Delete(draft->event);
}

static void add_text(struct draft *draft, const char *name, const char *text)
{
    if (draft->data)
        draft->failures += json_add_string(draft->data, name, text) != 0;
}

static void add_number(struct draft *draft, const char *name, int64_t value)
{
    if (draft->data)
        draft->failures += json_add_integer(draft->data, name, value) != 0;
}

static void add_bool(struct draft *draft, const char *name, bool value)
{
    if (draft->data)
        draft->failures += json_add_bool(draft->data, name, value) != 0;
}

/* Takes `value` over. */
static void add(struct draft *draft, const char *name, cJSON *value)
{
    if (draft->data)
        draft->failures += json_add(draft->data, name, value) != 0;
    else
        cJSON_Delete(value);
}

static void push_text(struct draft *draft, cJSON *array, const char *text)
{
    draft->failures += !cJSON_AddItemToArray(array, cJSON_CreateString(text));
}

static void add_duration(struct draft *draft, const struct connection *connection)
{
    add_number(draft, "duration_us", clock_mono_us(connection->door->options.clock) - connection->accepted_us);
}

void emit_accepted(struct connection *connection)
{
    struct draft draft = begin(connection, EVENT_TCP_ACCEPTED);
    add_text(&draft, "peer", connection->peer);
    emit(connection, &draft);
}

/* ClientHello. */

static void push_version(struct draft *draft, cJSON *array, unsigned version)
{
    char number[8];
    switch (version) {
    case TLS1_3_VERSION:
        push_text(draft, array, "TLSv1.3");
        return;
    case TLS1_2_VERSION:
        push_text(draft, array, "TLSv1.2");
        return;
    case TLS1_1_VERSION:
        push_text(draft, array, "TLSv1.1");
        return;
    case TLS1_VERSION:
        push_text(draft, array, "TLSv1");
        return;
    default:
        snprintf(number, sizeof number, "0x%04X", version & 0xffff);
        push_text(draft, array, number);
    }
}

/* supported_versions (RFC 8446 section 4.2.1) where it is sent, else the one version of the hello. */
static cJSON *hello_versions(struct draft *draft, SSL *ssl)
{
    const unsigned char *data;
    size_t length;
    cJSON *versions = cJSON_CreateArray();
    if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_supported_versions, &data, &length)) {
        push_version(draft, versions, SSL_client_hello_get0_legacy_version(ssl));
        return versions;
    }
    struct cursor cursor = cursor_of(data, length);
    cursor_u8(&cursor);
    while (cursor_left(&cursor) >= 2)
        push_version(draft, versions, cursor_u16(&cursor));
    return versions;
}

static cJSON *hello_suites(struct draft *draft, SSL *ssl)
{
    const unsigned char *data;
    cJSON *suites = cJSON_CreateArray();
    size_t length = SSL_client_hello_get0_ciphers(ssl, &data);
    for (size_t i = 0; i + 2 <= length; i += 2) {
        char number[8];
        const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, data + i);
        const char *name = cipher ? SSL_CIPHER_standard_name(cipher) : NULL;
        snprintf(number, sizeof number, "0x%02X%02X", data[i], data[i + 1]);
        push_text(draft, suites, name ? name : number);
    }
    return suites;
}

void emit_client_hello(struct connection *connection)
{
    struct draft draft = begin(connection, EVENT_TLS_CLIENT_HELLO);
    add_text(&draft, "sni", connection->sni);
    add(&draft, "versions", hello_versions(&draft, connection->ssl));
    add(&draft, "suites", hello_suites(&draft, connection->ssl));
    emit(connection, &draft);
}

/* The handshake. */

static const char *group_name(SSL *ssl)
{
    int nid = (int)SSL_get_negotiated_group(ssl);
    if (nid <= 0 || nid & TLSEXT_nid_unknown)
        return NULL;
    const char *nist = EC_curve_nid2nist(nid);
    return nist ? nist : OBJ_nid2sn(nid);
}

static cJSON *verify_error_json(const struct connection *connection, int index)
{
    const struct session_verify_error *error = &connection->session.verify_errors[index];
    const X509 *certificate = connection->verify_error_subjects[index];
    CLEANUP_FREE char *subject = certificate ? certificate_subject(certificate) : NULL;
    cJSON *json = cJSON_CreateObject();
    if (!json)
        return NULL;
    if (json_add_integer(json, "code", error->code) || json_add_string(json, "name", verify_error_name(error->code)) ||
        json_add_string(json, "text", X509_verify_cert_error_string(error->code)) || json_add_integer(json, "depth", error->depth) ||
        json_add_string(json, "subject", subject)) {
        cJSON_Delete(json);
        return NULL;
    }
    return json;
}

static cJSON *verify_errors_json(struct draft *draft, const struct connection *connection)
{
    cJSON *errors = cJSON_CreateArray();
    for (int i = 0; i < connection->session.verify_error_count; i++)
        draft->failures += !cJSON_AddItemToArray(errors, verify_error_json(connection, i));
    return errors;
}

void emit_handshake(struct connection *connection)
{
    const struct session *session = &connection->session;
    struct draft draft = begin(connection, EVENT_TLS_HANDSHAKE);
    add_text(&draft, "version", session->tls_version);
    add_text(&draft, "suite", session->tls_suite);
    add_text(&draft, "group", group_name(connection->ssl));
    add_text(&draft, "sni", session->sni);
    add_bool(&draft, "is_resumed", SSL_session_reused(connection->ssl));
    add(&draft, "chain", certificate_memory_chain_json(connection->door->certificates, session->chain));
    add(&draft, "verify_errors", verify_errors_json(&draft, connection));
    add_duration(&draft, connection);
    emit(connection, &draft);
}

void emit_alert(struct connection *connection, bool is_sent, int level, int number)
{
    struct draft draft = begin(connection, EVENT_TLS_ALERT);
    add_text(&draft, "direction", is_sent ? "sent" : "received");
    add_text(&draft, "level", level == ALERT_LEVEL_FATAL ? "fatal" : "warning");
    add_number(&draft, "number", number);
    add_text(&draft, "name", alert_name(number));
    emit(connection, &draft);
}

void emit_failed(struct connection *connection, const char *reason)
{
    struct draft draft = begin(connection, EVENT_TLS_FAILED);
    add_text(&draft, "reason", reason);
    add_text(&draft, "stage", connection->has_seen_hello ? "handshake" : connection->wire.bytes_in ? "client_hello" : "tcp");
    emit(connection, &draft);
}

/* MQTT. */

void emit_connect(struct connection *connection)
{
    const struct session *session = &connection->session;
    const struct mqtt_connect *connect = &connection->connect;
    struct draft draft = begin(connection, EVENT_MQTT_CONNECT);
    add_number(&draft, "protocol_level", connect->protocol_level);
    if (connect->protocol_level == MQTT_LEVEL_3_1_1) {
        add_text(&draft, "client_id", session->client_id);
        add_text(&draft, "user_name", session->user_name);
        add_bool(&draft, "is_clean_session", session->is_clean_session);
        add_number(&draft, "keep_alive_s", session->keep_alive_s);
        add_bool(&draft, "has_password", connect->has_password);
        add_bool(&draft, "has_will", connect->has_will);
    }
    add_text(&draft, "endpoint", endpoint_name(session->endpoint));
    emit(connection, &draft);
}

void emit_connack(struct connection *connection, int return_code)
{
    struct draft draft = begin(connection, EVENT_MQTT_CONNACK);
    add_number(&draft, "return_code", return_code);
    add_bool(&draft, "is_session_present", return_code == 0 && connection->is_session_present);
    emit(connection, &draft);
}

static cJSON *filter_json(const struct mqtt_filter *filter)
{
    CLEANUP_FREE char *text = mqtt_text_copy(filter->text);
    cJSON *json = text ? cJSON_CreateObject() : NULL;
    if (!json)
        return NULL;
    if (json_add_string(json, "filter", text) || json_add_integer(json, "qos", filter->qos)) {
        cJSON_Delete(json);
        return NULL;
    }
    return json;
}

void emit_filters(struct connection *connection, struct mqtt_filters filters)
{
    struct draft draft = begin(connection, filters.has_qos ? EVENT_MQTT_SUBSCRIBE : EVENT_MQTT_UNSUBSCRIBE);
    cJSON *array = cJSON_CreateArray();
    struct mqtt_filter filter;
    while (mqtt_next_filter(&filters, &filter)) {
        if (filters.has_qos) {
            draft.failures += !cJSON_AddItemToArray(array, filter_json(&filter));
            continue;
        }
        CLEANUP_FREE char *text = mqtt_text_copy(filter.text);
        push_text(&draft, array, text ? text : "");
    }
    add_number(&draft, "packet_id", filters.packet_id);
    add(&draft, "filters", array);
    emit(connection, &draft);
}

void emit_suback(struct connection *connection, const uint8_t *codes, size_t count, uint16_t packet_id)
{
    struct draft draft = begin(connection, EVENT_MQTT_SUBACK);
    cJSON *array = cJSON_CreateArray();
    for (size_t i = 0; i < count; i++)
        draft.failures += !cJSON_AddItemToArray(array, cJSON_CreateNumber(codes[i]));
    add_number(&draft, "packet_id", packet_id);
    add(&draft, "return_codes", array);
    emit(connection, &draft);
}

void emit_unsuback(struct connection *connection, const struct pending *pending, uint16_t packet_id)
{
    struct draft draft = begin(connection, EVENT_MQTT_UNSUBACK);
    cJSON *filters = cJSON_CreateArray();
    for (size_t i = 0; pending && i < pending->count; i++)
        push_text(&draft, filters, pending->filters[i].filter);
    add_number(&draft, "packet_id", packet_id);
    add(&draft, "filters", filters);
    emit(connection, &draft);
}

void emit_publish(struct connection *connection, bool is_up, const char *topic, const struct mqtt_publish *publish)
{
    struct draft draft = begin(connection, EVENT_MQTT_PUBLISH);
    add_text(&draft, "direction", is_up ? "up" : "down");
    add_text(&draft, "topic", topic);
    add_number(&draft, "qos", publish->qos);
    add_bool(&draft, "is_retained", publish->is_retained);
    add_bool(&draft, "is_duplicate", publish->is_duplicate);
    if (publish->qos)
        add_number(&draft, "packet_id", publish->packet_id);
    add_number(&draft, "payload_bytes", publish->payload_bytes);
    emit(connection, &draft);
}

void emit_puback(struct connection *connection, bool is_up, uint16_t packet_id)
{
    struct draft draft = begin(connection, EVENT_MQTT_PUBACK);
    add_text(&draft, "direction", is_up ? "up" : "down");
    add_number(&draft, "packet_id", packet_id);
    emit(connection, &draft);
}

void emit_bare(struct connection *connection, enum event_kind kind)
{
    struct draft draft = begin(connection, kind);
    emit(connection, &draft);
}

void emit_violation(struct connection *connection, const char *reason)
{
    struct draft draft = begin(connection, EVENT_MQTT_VIOLATION);
    add_text(&draft, "reason", reason);
    emit(connection, &draft);
}

void emit_fault(struct connection *connection, const struct knobs *knobs, int knob)
{
    char number[24];
    const struct knob *about = &knob_list[knob];
    struct draft draft = begin(connection, EVENT_SCENARIO_FAULT);
    bool is_text = about->type == KNOB_WORD || about->type == KNOB_TEXT;
    if (!is_text)
        snprintf(number, sizeof number, "%lld", (long long)knob_value(knobs, about));
    add_text(&draft, "knob", about->name);
    add_text(&draft, "value", is_text ? knob_word(knobs, about) : number);
    emit(connection, &draft);
}

void emit_closed(struct connection *connection)
{
    struct draft draft = begin(connection, EVENT_CONNECTION_CLOSED);
    add_text(&draft, "by", connection->closed_by);
    add_text(&draft, "how", connection->closed_how);
    add_text(&draft, "stage", connection->closed_stage);
    add_number(&draft, "bytes_up", (int64_t)connection->bytes_up);
    add_number(&draft, "bytes_down", (int64_t)connection->bytes_down);
    add_duration(&draft, connection);
    emit(connection, &draft);
}
