#include "base/percent.h"

#include <string.h>

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("-._~", c));
}

int percent_encode(struct bytes *out, const char *text, size_t length_bytes)
{
    for (size_t i = 0; i < length_bytes; i++) {
        int rc = is_unreserved(text[i]) ? bytes_append_byte(out, (uint8_t)text[i]) : bytes_printf(out, "%%%02X", (uint8_t)text[i]);
        if (rc)
            return -1;
    }
    return 0;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One character of `*at`; it moves behind it. 0: malformed. */
static char decode_one(const char **at, const char *end)
{
    if (**at != '%')
        return *(*at)++;
    int high = end - *at > 2 ? hex_value((*at)[1]) : -1;
    int low = high >= 0 ? hex_value((*at)[2]) : -1;
    *at += 3;
    return low >= 0 ? (char)(high << 4 | low) : 0;
}

int percent_decode(const char *text, size_t length_bytes, char *ret_text, size_t size)
{
    const char *end = text + length_bytes;
    size_t used = 0;
    while (text < end) {
        char c = used + 1 < size ? decode_one(&text, end) : 0;
        if (!c) {
            ret_text[0] = 0;
            return -1;
        }
        ret_text[used++] = c;
    }
    ret_text[used] = 0;
    return 0;
}
