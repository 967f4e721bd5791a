#include "broker_sim/mqtt/utf8.h"

/* Length of the sequence that `lead` begins, 0 when none does; the smallest code point that may be written so long. */
static size_t sequence_bytes(uint8_t lead, uint32_t *ret_bits, uint32_t *ret_smallest)
{
    if ((lead & 0xe0) == 0xc0) {
        *ret_bits = lead & 0x1f;
        *ret_smallest = 0x80;
        return 2;
    }
    if ((lead & 0xf0) == 0xe0) {
        *ret_bits = lead & 0x0f;
        *ret_smallest = 0x800;
        return 3;
    }
    if ((lead & 0xf8) == 0xf0) {
        *ret_bits = lead & 0x07;
        *ret_smallest = 0x10000;
        return 4;
    }
    return 0;
}

static bool is_scalar_value(uint32_t code_point)
{
    return code_point <= 0x10ffff && (code_point < 0xd800 || code_point > 0xdfff);
}

/* Bytes of the sequence at `data`, 0 when it is broken. */
static size_t check_sequence(const uint8_t *data, size_t left)
{
    uint32_t code_point, smallest;
    size_t length = sequence_bytes(data[0], &code_point, &smallest);
    if (length == 0 || length > left)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((data[i] & 0xc0) != 0x80)
            return 0;
        code_point = code_point << 6 | (data[i] & 0x3f);
    }
    return code_point >= smallest && is_scalar_value(code_point) ? length : 0;
}

bool utf8_is_mqtt_text(const uint8_t *data, size_t length_bytes)
{
    size_t at = 0;
    while (at < length_bytes) {
        if (data[at] == 0)
            return false;
        size_t step = data[at] < 0x80 ? 1 : check_sequence(data + at, length_bytes - at);
        if (step == 0)
            return false;
        at += step;
    }
    return true;
}
