#include "broker_sim/mqtt/connack.h"

int mqtt_write_connack(struct bytes *out, bool is_session_present, uint8_t return_code)
{
    uint8_t body[] = {is_session_present, return_code};
    return mqtt_write_packet(out, MQTT_CONNACK, 0, body, sizeof body);
}

int mqtt_write_connack_v5(struct bytes *out, uint8_t reason_code)
{
    uint8_t body[] = {0, reason_code, 0};
    return mqtt_write_packet(out, MQTT_CONNACK, 0, body, sizeof body);
}

int mqtt_read_connack(const uint8_t *body, size_t length_bytes, struct mqtt_connack *ret_connack, struct error *error)
{
    if (length_bytes != 2)
        return mqtt_fault(error, "CONNACK of %zu bytes", length_bytes);
    *ret_connack = (struct mqtt_connack){.is_session_present = body[0] & 1, .return_code = body[1]};
    return 0;
}
