/*
 * base/percent.h - percent-encoding, as in topics and tokens
 *
 * What:     encodes all but RFC 3986's unreserved characters, and decodes strictly: "%" must be followed by two hex digits and never stands for NUL.
 *           "+" is a plus sign: Azure's topics and tokens are no HTML forms.
 * Source:   RFC 3986 sections 2.1 and 2.3.
 */
#ifndef BASE_PERCENT_H
#define BASE_PERCENT_H

#include "base/bytes.h"

#include <stddef.h>

/* Append `length_bytes` of `text`, encoded. -1: `out` would exceed its maximum; its end is undefined then. */
int percent_encode(struct bytes *out, const char *text, size_t length_bytes);
/* Decode into a NUL-terminated text of at most `size` bytes, the NUL included. -1: malformed, or too long; `ret_text` is "" then. */
int percent_decode(const char *text, size_t length_bytes, char *ret_text, size_t size);

#endif
