#include "broker_sim/mqtt/subscribe.h"

#include "broker_sim/mqtt/topic.h"

enum { FLAGS = 2, QOS_MAX = 2 };

static int read_filter(struct cursor *cursor, bool has_qos, struct mqtt_filter *ret_filter, struct error *error)
{
    struct mqtt_filter filter = {0};
    if (mqtt_read_text(cursor, "filter", &filter.text, error))
        return -1;
    const char *fault = topic_filter_fault(filter.text);
    if (fault)
        return mqtt_fault(error, "%s", fault);
    if (has_qos)
        filter.qos = cursor_u8(cursor);
    if (cursor->has_failed)
        return mqtt_fault(error, "SUBSCRIBE ends before the QoS of a filter");
    if (filter.qos > QOS_MAX)
        return mqtt_fault(error, "SUBSCRIBE with QoS %u", filter.qos);
    *ret_filter = filter;
    return 0;
}

int mqtt_read_filters(const struct mqtt_header *header, const uint8_t *body, size_t length_bytes, struct mqtt_filters *ret_filters,
                      struct error *error)
{
    struct cursor cursor = cursor_of(body, length_bytes);
    struct mqtt_filters filters = {.has_qos = header->type == MQTT_SUBSCRIBE};
    if (header->flags != FLAGS)
        return mqtt_fault(error, "%s with flags %u", mqtt_type_name(header->type), header->flags);
    if (mqtt_read_packet_id(&cursor, &filters.packet_id, error))
        return -1;
    filters.rest = cursor;
    while (cursor_left(&cursor)) {
        struct mqtt_filter filter;
        if (read_filter(&cursor, filters.has_qos, &filter, error))
            return -1;
        filters.count++;
    }
    if (filters.count == 0)
        return mqtt_fault(error, "%s without a filter", mqtt_type_name(header->type));
    *ret_filters = filters;
    return 0;
}

bool mqtt_next_filter(struct mqtt_filters *filters, struct mqtt_filter *ret_filter)
{
    return cursor_left(&filters->rest) && read_filter(&filters->rest, filters->has_qos, ret_filter, NULL) == 0;
}

int mqtt_begin_filters(struct bytes *body, uint16_t packet_id)
{
    return mqtt_write_u16(body, packet_id);
}

int mqtt_add_filter(struct bytes *body, const char *prefix, struct mqtt_text text)
{
    return mqtt_write_text(body, prefix, text);
}

int mqtt_add_filter_qos(struct bytes *body, uint8_t qos)
{
    return bytes_append_byte(body, qos);
}

int mqtt_end_filters(struct bytes *out, enum mqtt_type type, const struct bytes *body)
{
    return mqtt_write_packet(out, (uint8_t)type, FLAGS, body->data, body->length_bytes);
}
