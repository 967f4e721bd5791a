#include "broker_sim/mqtt/framer.h"

/* What is handed out at once: a whole packet, or the head of a PUBLISH. */
struct unit {
    struct mqtt_header header;
    size_t size_bytes; /* when more is needed: what to ask for next */
};

void mqtt_framer_init(struct mqtt_framer *framer, uint32_t packet_max_bytes, uint32_t payload_max_bytes)
{
    *framer = (struct mqtt_framer){.packet_max_bytes = packet_max_bytes, .payload_max_bytes = payload_max_bytes};
    bytes_init(&framer->held, MQTT_HEADER_MAX_BYTES + MQTT_TEXT_MAX_BYTES + 4 + (size_t)packet_max_bytes);
}

void mqtt_framer_done(struct mqtt_framer *framer)
{
    if (framer)
        bytes_done(&framer->held);
}

bool mqtt_framer_is_idle(const struct mqtt_framer *framer)
{
    return framer->held.length_bytes == 0 && framer->payload_left_bytes == 0;
}

static enum mqtt_progress measure_publish(const struct mqtt_framer *framer, const uint8_t *data, size_t length_bytes, struct unit *unit,
                                          struct error *error)
{
    enum mqtt_progress progress = mqtt_publish_head_bytes(&unit->header, data, length_bytes, &unit->size_bytes);
    if (progress == MQTT_BROKEN)
        mqtt_fault(error, "PUBLISH of %u bytes is too short for its topic", unit->header.remaining_bytes);
    if (progress != MQTT_DONE)
        return progress;
    uint32_t payload = unit->header.remaining_bytes - (uint32_t)(unit->size_bytes - unit->header.size_bytes);
    if (payload <= framer->payload_max_bytes)
        return MQTT_DONE;
    mqtt_fault(error, "PUBLISH with a payload of %u bytes; the limit is %u", payload, framer->payload_max_bytes);
    return MQTT_BROKEN;
}

static enum mqtt_progress measure(const struct mqtt_framer *framer, const uint8_t *data, size_t length_bytes, struct unit *unit,
                                  struct error *error)
{
    enum mqtt_progress progress = mqtt_read_header(data, length_bytes, &unit->header);
    unit->size_bytes = length_bytes + 1;
    if (progress == MQTT_BROKEN)
        mqtt_fault(error, "a remaining length of more than four bytes");
    if (progress != MQTT_DONE)
        return progress;
    if (unit->header.type == MQTT_PUBLISH)
        return measure_publish(framer, data, length_bytes, unit, error);
    if (unit->header.remaining_bytes > framer->packet_max_bytes) {
        mqtt_fault(error, "%s of %u bytes; the limit is %u", mqtt_type_name(unit->header.type), unit->header.remaining_bytes,
                   framer->packet_max_bytes);
        return MQTT_BROKEN;
    }
    unit->size_bytes = unit->header.size_bytes + unit->header.remaining_bytes;
    return length_bytes < unit->size_bytes ? MQTT_MORE : MQTT_DONE;
}

static int deliver(struct mqtt_framer *framer, const struct mqtt_framer_callbacks *callbacks, const struct unit *unit, const uint8_t *data,
                   struct error *error)
{
    const uint8_t *body = data + unit->header.size_bytes;
    size_t length = unit->size_bytes - unit->header.size_bytes;
    if (unit->header.type != MQTT_PUBLISH)
        return callbacks->on_packet(callbacks->user, &unit->header, body, length, error);
    struct mqtt_publish publish;
    if (mqtt_read_publish(&unit->header, body, length, &publish, error))
        return -1;
    framer->payload_left_bytes = publish.payload_bytes;
    return callbacks->on_publish(callbacks->user, &publish, error);
}

/* One step while nothing is held: straight from the caller's bytes. Returns how many were used. */
static size_t step_direct(struct mqtt_framer *framer, const struct mqtt_framer_callbacks *callbacks, const uint8_t *data, size_t left,
                          int *ret_result, struct error *error)
{
    struct unit unit;
    enum mqtt_progress progress = measure(framer, data, left, &unit, error);
    if (progress == MQTT_DONE) {
        *ret_result = deliver(framer, callbacks, &unit, data, error);
        return unit.size_bytes;
    }
    *ret_result = progress == MQTT_BROKEN ? -1 : 0;
    if (progress == MQTT_MORE && bytes_append(&framer->held, data, left))
        *ret_result = error_set_memory(error);
    return left;
}

/* One step while the beginning of a packet is held: take what the next measure needs, no more. */
static size_t step_held(struct mqtt_framer *framer, const struct mqtt_framer_callbacks *callbacks, const uint8_t *data, size_t left,
                        int *ret_result, struct error *error)
{
    struct unit unit;
    *ret_result = 0;
    measure(framer, framer->held.data, framer->held.length_bytes, &unit, error); /* it was MQTT_MORE: gives the size to ask for */
    size_t wanted = unit.size_bytes - framer->held.length_bytes;
    size_t used = wanted < left ? wanted : left;
    if (bytes_append(&framer->held, data, used)) {
        *ret_result = error_set_memory(error);
        return used;
    }
    enum mqtt_progress progress = measure(framer, framer->held.data, framer->held.length_bytes, &unit, error);
    if (progress == MQTT_BROKEN)
        *ret_result = -1;
    if (progress != MQTT_DONE)
        return used;
    struct bytes whole = framer->held; /* out of the way: the callback may feed or end the framer */
    bytes_init(&framer->held, whole.max_bytes);
    *ret_result = deliver(framer, callbacks, &unit, whole.data, error);
    bytes_done(&whole);
    return used;
}

static size_t step_payload(struct mqtt_framer *framer, const struct mqtt_framer_callbacks *callbacks, const uint8_t *data, size_t left,
                           int *ret_result, struct error *error)
{
    size_t used = framer->payload_left_bytes < left ? framer->payload_left_bytes : left;
    framer->payload_left_bytes -= (uint32_t)used;
    *ret_result = callbacks->on_payload(callbacks->user, data, used, error);
    return used;
}

int mqtt_framer_feed(struct mqtt_framer *framer, const struct mqtt_framer_callbacks *callbacks, const uint8_t *data, size_t length_bytes,
                     size_t *ret_used, struct error *error)
{
    int result = 0;
    *ret_used = 0;
    while (result == 0 && *ret_used < length_bytes) {
        const uint8_t *at = data + *ret_used;
        size_t left = length_bytes - *ret_used;
        if (framer->payload_left_bytes)
            *ret_used += step_payload(framer, callbacks, at, left, &result, error);
        else if (framer->held.length_bytes)
            *ret_used += step_held(framer, callbacks, at, left, &result, error);
        else
            *ret_used += step_direct(framer, callbacks, at, left, &result, error);
    }
    return result;
}
