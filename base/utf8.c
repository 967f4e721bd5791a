#include "base/utf8.h"

#include <stddef.h>

/* Length of the character at `text` in bytes, 0: none. */
static int decode(const unsigned char *text, uint32_t *ret_point)
{
    static const uint32_t smallest[] = {0, 0x80, 0x800, 0x10000};
    if (*text < 0x80) {
        *ret_point = *text;
        return 1;
    }
    int more = *text >= 0xF8 ? 0 : *text >= 0xF0 ? 3 : *text >= 0xE0 ? 2 : *text >= 0xC0 ? 1 : 0;
    uint32_t point = *text & (0x3FU >> more);
    for (int i = 1; i <= more; i++) {
        if ((text[i] & 0xC0) != 0x80)
            return 0;
        point = point << 6 | (text[i] & 0x3FU);
    }
    if (!more || point < smallest[more] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF))
        return 0;
    *ret_point = point;
    return more + 1;
}

uint32_t utf8_decode(const char **at)
{
    uint32_t point = UTF8_REPLACEMENT;
    int length = decode((const unsigned char *)*at, &point);
    *at += length ? length : 1;
    return point;
}

const char *utf8_find_error(const char *text)
{
    uint32_t point;
    for (int length; *text; text += length) {
        length = decode((const unsigned char *)text, &point);
        if (!length)
            return text;
    }
    return NULL;
}
