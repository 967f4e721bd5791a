#include "base/bytes.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bytes_init(struct bytes *bytes, size_t max_bytes)
{
    *bytes = (struct bytes){.max_bytes = max_bytes};
}

void bytes_done(struct bytes *bytes)
{
    if (!bytes)
        return;
    free(bytes->data);
    bytes_init(bytes, bytes->max_bytes);
}

void bytes_wipe(struct bytes *bytes)
{
    if (!bytes)
        return;
    if (bytes->data)
        OPENSSL_cleanse(bytes->data, bytes->capacity_bytes);
    bytes_done(bytes);
}

void bytes_clear(struct bytes *bytes)
{
    bytes->length_bytes = 0;
    if (bytes->data)
        bytes->data[0] = 0;
}

void bytes_cut(struct bytes *bytes, size_t length_bytes)
{
    if (length_bytes >= bytes->length_bytes)
        return;
    bytes->length_bytes = length_bytes;
    bytes->data[length_bytes] = 0;
}

static int grow(struct bytes *bytes, size_t more_bytes)
{
    if (more_bytes > bytes->max_bytes - bytes->length_bytes)
        return -1;
    size_t needed = bytes->length_bytes + more_bytes + 1;
    size_t capacity = bytes->capacity_bytes ? bytes->capacity_bytes : 64;
    while (capacity < needed)
        capacity *= 2;
    uint8_t *data = realloc(bytes->data, capacity);
    if (!data)
        return -1;
    bytes->data = data;
    bytes->capacity_bytes = capacity;
    return 0;
}

/* There is a byte more than the length counts, for the NUL. `max_bytes` may have been lowered since the memory was taken. */
static inline int reserve(struct bytes *bytes, size_t more_bytes)
{
    bool fits = more_bytes < bytes->capacity_bytes - bytes->length_bytes && more_bytes <= bytes->max_bytes - bytes->length_bytes;
    return fits ? 0 : grow(bytes, more_bytes);
}

int bytes_append(struct bytes *bytes, const void *data, size_t length_bytes)
{
    if (reserve(bytes, length_bytes))
        return -1;
    if (length_bytes)
        memcpy(bytes->data + bytes->length_bytes, data, length_bytes);
    bytes->length_bytes += length_bytes;
    bytes->data[bytes->length_bytes] = 0;
    return 0;
}

int bytes_append_text(struct bytes *bytes, const char *text)
{
    return bytes_append(bytes, text, strlen(text));
}

int bytes_append_byte(struct bytes *bytes, uint8_t byte)
{
    return bytes_append(bytes, &byte, 1);
}

int bytes_printf(struct bytes *bytes, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0 || reserve(bytes, (size_t)length))
        return -1;
    va_start(args, format);
    vsnprintf((char *)bytes->data + bytes->length_bytes, (size_t)length + 1, format, args);
    va_end(args);
    bytes->length_bytes += (size_t)length;
    return 0;
}

void bytes_consume(struct bytes *bytes, size_t length_bytes)
{
    if (length_bytes > bytes->length_bytes)
        length_bytes = bytes->length_bytes;
    if (!length_bytes)
        return;
    bytes->length_bytes -= length_bytes;
    memmove(bytes->data, bytes->data + length_bytes, bytes->length_bytes);
    bytes->data[bytes->length_bytes] = 0;
}

const char *bytes_text(const struct bytes *bytes)
{
    return bytes->data ? (const char *)bytes->data : "";
}

struct cursor cursor_of(const void *data, size_t length_bytes)
{
    const uint8_t *start = data;
    return (struct cursor){.at = start, .end = start ? start + length_bytes : NULL};
}

size_t cursor_left(const struct cursor *cursor)
{
    return (size_t)(cursor->end - cursor->at);
}

const uint8_t *cursor_take(struct cursor *cursor, size_t length_bytes)
{
    if (cursor->has_failed || cursor_left(cursor) < length_bytes) {
        cursor->has_failed = true;
        return NULL;
    }
    const uint8_t *taken = cursor->at;
    cursor->at += length_bytes;
    return taken;
}

uint8_t cursor_u8(struct cursor *cursor)
{
    const uint8_t *byte = cursor_take(cursor, 1);
    return byte ? *byte : 0;
}

uint16_t cursor_u16(struct cursor *cursor)
{
    const uint8_t *two = cursor_take(cursor, 2);
    return two ? (uint16_t)(two[0] << 8 | two[1]) : 0;
}
