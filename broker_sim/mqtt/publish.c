#include "broker_sim/mqtt/publish.h"

#include <string.h>

enum { FLAG_RETAIN = 0x01, FLAG_QOS = 0x06, FLAG_QOS_SHIFT = 1, FLAG_DUP = 0x08 };

enum mqtt_progress mqtt_publish_head_bytes(const struct mqtt_header *header, const uint8_t *data, size_t length_bytes, size_t *ret_bytes)
{
    size_t topic_at = (size_t)header->size_bytes + 2;
    size_t fixed = header->flags & FLAG_QOS ? 4 : 2; /* topic length, packet id */
    if (header->remaining_bytes < fixed)
        return MQTT_BROKEN;
    *ret_bytes = topic_at;
    if (length_bytes < topic_at)
        return MQTT_MORE;
    size_t topic = (size_t)data[topic_at - 2] << 8 | data[topic_at - 1];
    if (header->remaining_bytes < topic + fixed)
        return MQTT_BROKEN;
    *ret_bytes = header->size_bytes + topic + fixed;
    return length_bytes < *ret_bytes ? MQTT_MORE : MQTT_DONE;
}

int mqtt_read_publish(const struct mqtt_header *header, const uint8_t *head, size_t length_bytes, struct mqtt_publish *ret_publish,
                      struct error *error)
{
    struct mqtt_publish publish = {
        .qos = (header->flags & FLAG_QOS) >> FLAG_QOS_SHIFT,
        .is_duplicate = header->flags & FLAG_DUP,
        .is_retained = header->flags & FLAG_RETAIN,
        .payload_bytes = header->remaining_bytes - (uint32_t)length_bytes,
    };
    struct cursor cursor = cursor_of(head, length_bytes);
    if (publish.qos > 2)
        return mqtt_fault(error, "PUBLISH with QoS 3");
    if (publish.qos == 0 && publish.is_duplicate)
        return mqtt_fault(error, "PUBLISH with DUP at QoS 0");
    if (mqtt_read_text(&cursor, "topic", &publish.topic, error))
        return -1;
    if (publish.qos && mqtt_read_packet_id(&cursor, &publish.packet_id, error))
        return -1;
    *ret_publish = publish;
    return 0;
}

int mqtt_write_publish_head(struct bytes *out, const char *prefix, const struct mqtt_publish *publish)
{
    size_t before = out->length_bytes;
    size_t topic = strlen(prefix) + publish->topic.length_bytes;
    uint64_t remaining = 2 + topic + (publish->qos ? 2u : 0u) + publish->payload_bytes;
    uint8_t flags =
        (uint8_t)((publish->is_duplicate ? FLAG_DUP : 0) | publish->qos << FLAG_QOS_SHIFT | (publish->is_retained ? FLAG_RETAIN : 0));
    if (topic > MQTT_TEXT_MAX_BYTES || remaining > MQTT_REMAINING_MAX_BYTES)
        return -1;
    if (mqtt_write_header(out, MQTT_PUBLISH, flags, (uint32_t)remaining) || mqtt_write_text(out, prefix, publish->topic) ||
        (publish->qos && mqtt_write_u16(out, publish->packet_id))) {
        out->length_bytes = before;
        if (out->data)
            out->data[before] = 0;
        return -1;
    }
    return 0;
}
