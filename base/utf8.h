/*
 * base/utf8.h - is it UTF-8, and which character is it
 *
 * Source:   RFC 3629: overlong forms, surrogates and what is above U+10FFFF are no characters.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdint.h>

enum { UTF8_REPLACEMENT = 0xFFFD };

/* The character at `*at` (NUL-terminated text, not at its end); `*at` moves behind it. A byte that is none gives UTF8_REPLACEMENT. */
uint32_t utf8_decode(const char **at);
/* The first byte that does not belong to a character, NULL when all of `text` is UTF-8. */
const char *utf8_find_error(const char *text);

#endif
