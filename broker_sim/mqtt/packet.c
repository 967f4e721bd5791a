#include "broker_sim/mqtt/packet.h"

#include "broker_sim/mqtt/utf8.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const char *mqtt_type_name(unsigned type)
{
    switch (type) {
#define X(name, number, text)                                                                                                              \
    case number:                                                                                                                           \
        return text;
        MQTT_TYPES(X)
#undef X
    default:
        return "reserved";
    }
}

int mqtt_fault(struct error *error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    error_setv(error, ERROR_OWNER_DEVICE, ERROR_PROTOCOL, format, args);
    va_end(args);
    return -1;
}

enum mqtt_progress mqtt_read_header(const uint8_t *data, size_t length_bytes, struct mqtt_header *ret_header)
{
    uint32_t remaining = 0;
    for (unsigned i = 1; i < MQTT_HEADER_MAX_BYTES; i++) {
        if (i >= length_bytes)
            return MQTT_MORE;
        remaining |= (uint32_t)(data[i] & 0x7f) << (7 * (i - 1));
        if (data[i] & 0x80)
            continue;
        *ret_header = (struct mqtt_header){
            .type = data[0] >> 4, .flags = data[0] & 0x0f, .remaining_bytes = remaining, .size_bytes = (uint8_t)(i + 1)};
        return MQTT_DONE;
    }
    return MQTT_BROKEN;
}

size_t mqtt_encode_header(uint8_t *buffer, uint8_t type, uint8_t flags, uint32_t remaining_bytes)
{
    size_t size = 0;
    buffer[size++] = (uint8_t)(type << 4 | flags);
    do {
        uint8_t digit = remaining_bytes & 0x7f;
        remaining_bytes >>= 7;
        buffer[size++] = remaining_bytes ? digit | 0x80 : digit;
    } while (remaining_bytes);
    return size;
}

int mqtt_write_header(struct bytes *out, uint8_t type, uint8_t flags, uint32_t remaining_bytes)
{
    uint8_t header[MQTT_HEADER_MAX_BYTES];
    return bytes_append(out, header, mqtt_encode_header(header, type, flags, remaining_bytes));
}

/* Take back what was appended since `length_bytes`: writers append all or nothing. */
static int undo(struct bytes *out, size_t length_bytes)
{
    out->length_bytes = length_bytes;
    if (out->data)
        out->data[length_bytes] = 0;
    return -1;
}

int mqtt_write_packet(struct bytes *out, uint8_t type, uint8_t flags, const void *body, size_t length_bytes)
{
    size_t before = out->length_bytes;
    if (length_bytes > MQTT_REMAINING_MAX_BYTES || mqtt_write_header(out, type, flags, (uint32_t)length_bytes))
        return -1;
    return bytes_append(out, body, length_bytes) ? undo(out, before) : 0;
}

int mqtt_read_binary(struct cursor *cursor, const char *what, struct mqtt_text *ret_data, struct error *error)
{
    uint16_t length = cursor_u16(cursor);
    const uint8_t *data = cursor_take(cursor, length);
    if (cursor->has_failed)
        return mqtt_fault(error, "the packet ends inside its %s", what);
    *ret_data = (struct mqtt_text){data, length};
    return 0;
}

int mqtt_read_text(struct cursor *cursor, const char *what, struct mqtt_text *ret_text, struct error *error)
{
    struct mqtt_text text = {NULL, 0};
    if (mqtt_read_binary(cursor, what, &text, error))
        return -1;
    if (!utf8_is_mqtt_text(text.data, text.length_bytes))
        return mqtt_fault(error, "the %s is not UTF-8 without U+0000", what);
    *ret_text = text;
    return 0;
}

int mqtt_write_u16(struct bytes *out, uint16_t value)
{
    uint8_t two[2] = {(uint8_t)(value >> 8), (uint8_t)value};
    return bytes_append(out, two, sizeof two);
}

int mqtt_write_text(struct bytes *out, const char *prefix, struct mqtt_text text)
{
    size_t before = out->length_bytes;
    size_t length = strlen(prefix) + text.length_bytes;
    if (length > MQTT_TEXT_MAX_BYTES || mqtt_write_u16(out, (uint16_t)length))
        return -1;
    if (bytes_append_text(out, prefix) || bytes_append(out, text.data, text.length_bytes))
        return undo(out, before);
    return 0;
}

char *mqtt_text_copy(struct mqtt_text text)
{
    char *copy = malloc((size_t)text.length_bytes + 1);
    if (!copy)
        return NULL;
    if (text.length_bytes)
        memcpy(copy, text.data, text.length_bytes);
    copy[text.length_bytes] = 0;
    return copy;
}

int mqtt_read_packet_id(struct cursor *cursor, uint16_t *ret_packet_id, struct error *error)
{
    uint16_t packet_id = cursor_u16(cursor);
    if (cursor->has_failed)
        return mqtt_fault(error, "the packet ends inside its packet id");
    if (packet_id == 0)
        return mqtt_fault(error, "packet id 0");
    *ret_packet_id = packet_id;
    return 0;
}
