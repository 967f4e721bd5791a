#include "broker_sim/mqtt/ack.h"

int mqtt_read_ack(const struct mqtt_header *header, const uint8_t *body, size_t length_bytes, uint16_t *ret_packet_id, struct error *error)
{
    struct cursor cursor = cursor_of(body, length_bytes);
    if (header->flags || length_bytes != 2)
        return mqtt_fault(error, "%s with flags %u and %zu bytes", mqtt_type_name(header->type), header->flags, length_bytes);
    return mqtt_read_packet_id(&cursor, ret_packet_id, error);
}

int mqtt_read_bare(const struct mqtt_header *header, struct error *error)
{
    if (header->flags || header->remaining_bytes)
        return mqtt_fault(error, "%s with flags %u and %u bytes", mqtt_type_name(header->type), header->flags, header->remaining_bytes);
    return 0;
}

int mqtt_write_ack(struct bytes *out, enum mqtt_type type, uint16_t packet_id)
{
    uint8_t body[] = {(uint8_t)(packet_id >> 8), (uint8_t)packet_id};
    return mqtt_write_packet(out, (uint8_t)type, 0, body, sizeof body);
}

int mqtt_write_bare(struct bytes *out, enum mqtt_type type)
{
    return mqtt_write_packet(out, (uint8_t)type, 0, NULL, 0);
}

int mqtt_read_suback(const uint8_t *body, size_t length_bytes, struct mqtt_suback *ret_suback, struct error *error)
{
    struct cursor cursor = cursor_of(body, length_bytes);
    struct mqtt_suback suback = {0};
    if (mqtt_read_packet_id(&cursor, &suback.packet_id, error))
        return -1;
    suback.count = cursor_left(&cursor);
    suback.codes = cursor_take(&cursor, suback.count);
    if (suback.count == 0)
        return mqtt_fault(error, "SUBACK without a code");
    *ret_suback = suback;
    return 0;
}
