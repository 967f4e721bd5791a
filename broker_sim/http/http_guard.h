/*
 * broker_sim/http/http_guard.h - is the head of this HTTP request one that every reader reads alike?
 *
 * What:     reads the head byte by byte, before libmicrohttpd does, and refuses what makes two readers disagree: bare LF and CR, folded lines, white
 *           space in names, control characters, Content-Length beside Transfer-Encoding, either of them twice, a length that is no number.
 * Why:      that is how requests are smuggled (RFC 9112 section 11.2), and the library is lenient in some of it. Bounds the head, too.
 * Not here: what a request means; its body.
 * Source:   RFC 9112 sections 2.2, 3, 5, 6.
 */
#ifndef BROKER_SIM_HTTP_HTTP_GUARD_H
#define BROKER_SIM_HTTP_HTTP_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HTTP_HEAD_MAX_BYTES = 16 * 1024, HTTP_HEADERS_MAX = 64, HTTP_BODY_MAX_BYTES = 1024 * 1024 };
enum { HTTP_GUARD_NAME_BYTES = 24, HTTP_GUARD_VALUE_BYTES = 24 };

enum http_guard_state {
    HTTP_GUARD_LINE_START,
    HTTP_GUARD_REQUEST_LINE,
    HTTP_GUARD_NAME,
    HTTP_GUARD_VALUE,
    HTTP_GUARD_LINE_END, /* LF must follow */
    HTTP_GUARD_HEAD_END, /* the last LF must follow */
    HTTP_GUARD_DONE,
    HTTP_GUARD_REFUSED,
};

struct http_guard {
    enum http_guard_state state;
    size_t head_bytes;
    size_t line_count;
    char name[HTTP_GUARD_NAME_BYTES]; /* of the header in work, cut */
    size_t name_length;
    char value[HTTP_GUARD_VALUE_BYTES]; /* of the header in work, cut, without white space around it */
    size_t value_length;
    unsigned seen; /* of the headers that may stand there once */
    int status;    /* REFUSED: what to answer, 4xx or 501 */
    const char *reason;
};

void http_guard_init(struct http_guard *guard);
/* Returns how many bytes belong to the head; then look at the state: DONE, REFUSED, or more is wanted. */
size_t http_guard_feed(struct http_guard *guard, const uint8_t *data, size_t length_bytes);

#endif
