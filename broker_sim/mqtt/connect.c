#include "broker_sim/mqtt/connect.h"

#include "base/cleanup.h"

#include <string.h>

enum {
    FLAG_RESERVED = 0x01,
    FLAG_CLEAN_SESSION = 0x02,
    FLAG_WILL = 0x04,
    FLAG_WILL_QOS = 0x18,
    FLAG_WILL_QOS_SHIFT = 3,
    FLAG_WILL_RETAIN = 0x20,
    FLAG_PASSWORD = 0x40,
    FLAG_USER_NAME = 0x80,
};

static bool text_is(struct mqtt_text text, const char *expected)
{
    return text.length_bytes == strlen(expected) && memcmp(text.data, expected, text.length_bytes) == 0;
}

static int read_protocol(struct cursor *cursor, uint8_t *ret_level, struct error *error)
{
    struct mqtt_text name;
    if (mqtt_read_binary(cursor, "protocol name", &name, error))
        return -1;
    uint8_t level = cursor_u8(cursor);
    if (cursor->has_failed)
        return mqtt_fault(error, "CONNECT ends before its protocol level");
    if (!text_is(name, "MQTT") && !(text_is(name, "MQIsdp") && level == MQTT_LEVEL_3_1))
        return mqtt_fault(error, "CONNECT with a protocol name that is not MQTT");
    if (text_is(name, "MQTT") && level == MQTT_LEVEL_3_1)
        return mqtt_fault(error, "CONNECT with the protocol name of 3.1.1 and the level of 3.1");
    *ret_level = level;
    return 0;
}

static const char *flags_fault(uint8_t flags)
{
    if (flags & FLAG_RESERVED)
        return "CONNECT with its reserved flag set";
    if (!(flags & FLAG_WILL) && flags & (FLAG_WILL_QOS | FLAG_WILL_RETAIN))
        return "CONNECT with flags of a will but no will";
    if ((flags & FLAG_WILL_QOS) == FLAG_WILL_QOS)
        return "CONNECT with will QoS 3";
    if (flags & FLAG_PASSWORD && !(flags & FLAG_USER_NAME))
        return "CONNECT with a password but no user name";
    return NULL;
}

static int read_variable_header(struct cursor *cursor, struct mqtt_connect *connect, struct error *error)
{
    uint8_t flags = cursor_u8(cursor);
    connect->keep_alive_s = cursor_u16(cursor);
    if (cursor->has_failed)
        return mqtt_fault(error, "CONNECT ends inside its variable header");
    const char *fault = flags_fault(flags);
    if (fault)
        return mqtt_fault(error, "%s", fault);
    connect->is_clean_session = flags & FLAG_CLEAN_SESSION;
    connect->has_will = flags & FLAG_WILL;
    connect->will_qos = (flags & FLAG_WILL_QOS) >> FLAG_WILL_QOS_SHIFT;
    connect->is_will_retained = flags & FLAG_WILL_RETAIN;
    connect->has_password = flags & FLAG_PASSWORD;
    connect->has_user_name = flags & FLAG_USER_NAME;
    return 0;
}

static int read_payload(struct cursor *cursor, struct mqtt_connect *connect, struct error *error)
{
    if (mqtt_read_text(cursor, "client id", &connect->client_id, error))
        return -1;
    if (connect->has_will && (mqtt_read_text(cursor, "will topic", &connect->will_topic, error) ||
                              mqtt_read_binary(cursor, "will payload", &connect->will_payload, error)))
        return -1;
    if (connect->has_user_name && mqtt_read_text(cursor, "user name", &connect->user_name, error))
        return -1;
    if (connect->has_password && mqtt_read_binary(cursor, "password", &connect->password, error))
        return -1;
    if (cursor_left(cursor))
        return mqtt_fault(error, "CONNECT with %zu bytes too many", cursor_left(cursor));
    return 0;
}

int mqtt_read_connect(const uint8_t *body, size_t length_bytes, struct mqtt_connect *ret_connect, struct error *error)
{
    struct cursor cursor = cursor_of(body, length_bytes);
    struct mqtt_connect connect = {0};
    if (read_protocol(&cursor, &connect.protocol_level, error))
        return -1;
    if (connect.protocol_level == MQTT_LEVEL_3_1_1 &&
        (read_variable_header(&cursor, &connect, error) || read_payload(&cursor, &connect, error)))
        return -1;
    *ret_connect = connect;
    return 0;
}

static int write_body(struct bytes *body, const char *client_id, const char *prefix, const struct mqtt_connect *connect)
{
    static const uint8_t protocol[] = {0, 4, 'M', 'Q', 'T', 'T', MQTT_LEVEL_3_1_1};
    uint8_t flags = FLAG_CLEAN_SESSION;
    if (connect->has_will)
        flags |= (uint8_t)(FLAG_WILL | connect->will_qos << FLAG_WILL_QOS_SHIFT);
    if (bytes_append(body, protocol, sizeof protocol) || bytes_append_byte(body, flags) || mqtt_write_u16(body, 0) ||
        mqtt_write_text(body, client_id, (struct mqtt_text){NULL, 0}))
        return -1;
    if (!connect->has_will)
        return 0;
    return mqtt_write_text(body, prefix, connect->will_topic) || mqtt_write_text(body, "", connect->will_payload) ? -1 : 0;
}

int mqtt_write_connect(struct bytes *out, const char *client_id, const char *prefix, const struct mqtt_connect *connect)
{
    CLEANUP(bytes_done) struct bytes body;
    bytes_init(&body, MQTT_REMAINING_MAX_BYTES);
    if (write_body(&body, client_id, prefix, connect))
        return -1;
    return mqtt_write_packet(out, MQTT_CONNECT, 0, body.data, body.length_bytes);
}
