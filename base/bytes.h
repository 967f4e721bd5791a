/*
 * base/bytes.h - a byte buffer that grows up to a limit, and a cursor that reads foreign bytes
 *
 * What:     `struct bytes` owns memory and never exceeds `max_bytes`; `struct cursor` borrows memory and never reads past its end.
 * Rules:    append and the printf form fail (return -1, buffer unchanged) when the limit would be exceeded or memory is short; data is
 *           always followed by a NUL that does not count, so text may be used as a C string.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
    uint8_t *data; /* NULL while empty */
    size_t length_bytes;
    size_t capacity_bytes;
    size_t max_bytes;
};

void bytes_init(struct bytes *bytes, size_t max_bytes);
void bytes_done(struct bytes *bytes); /* keeps max_bytes; NULL allowed */
void bytes_clear(struct bytes *bytes);
/* Drop what is behind the first `length_bytes`; a longer length changes nothing. */
void bytes_cut(struct bytes *bytes, size_t length_bytes);
/* Wipe the memory, then release it: for private keys. */
void bytes_wipe(struct bytes *bytes);
int bytes_append(struct bytes *bytes, const void *data, size_t length_bytes);
int bytes_append_text(struct bytes *bytes, const char *text);
int bytes_append_byte(struct bytes *bytes, uint8_t byte);
int bytes_printf(struct bytes *bytes, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Drop `length_bytes` from the front. */
void bytes_consume(struct bytes *bytes, size_t length_bytes);
/* The text, "" when empty; lent, valid until the next change. */
const char *bytes_text(const struct bytes *bytes);

struct cursor {
    const uint8_t *at;
    const uint8_t *end;
    bool has_failed; /* sticky: a read past the end was tried */
};

struct cursor cursor_of(const void *data, size_t length_bytes);
size_t cursor_left(const struct cursor *cursor);
/* Each returns 0 (and sets has_failed) when not enough is left. */
uint8_t cursor_u8(struct cursor *cursor);
uint16_t cursor_u16(struct cursor *cursor); /* big endian */
/* `length_bytes` bytes, lent; NULL when not enough is left. */
const uint8_t *cursor_take(struct cursor *cursor, size_t length_bytes);

#endif
