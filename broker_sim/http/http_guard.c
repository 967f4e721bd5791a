#include "broker_sim/http/http_guard.h"

#include "base/cleanup.h"

#include <string.h>
#include <strings.h>

enum { BAD_REQUEST = 400, TOO_LARGE = 413, HEAD_TOO_LARGE = 431, NOT_IMPLEMENTED = 501 };

/* Headers that must not stand there twice: readers differ in which one counts. */
static const char *const singles[] = {"host", "content-length", "transfer-encoding", "authorization", "if-match", "x-ms-continuation"};
enum { SEEN_LENGTH = 1U << 1, SEEN_ENCODING = 1U << 2 };

void http_guard_init(struct http_guard *guard)
{
    *guard = (struct http_guard){.state = HTTP_GUARD_LINE_START};
}

static void refuse(struct http_guard *guard, int status, const char *reason)
{
    guard->state = HTTP_GUARD_REFUSED;
    guard->status = status;
    guard->reason = reason;
}

/* RFC 9110 section 5.6.2. */
static bool is_token_byte(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           (byte && strchr("!#$%&'*+-.^_`|~", byte));
}

static void check_length(struct http_guard *guard)
{
    uint64_t length = 0;
    if (guard->value_length == 0 || guard->value_length >= sizeof guard->value - 1) {
        refuse(guard, guard->value_length ? TOO_LARGE : BAD_REQUEST, "Content-Length is no number that we take");
        return;
    }
    for (size_t i = 0; i < guard->value_length; i++) {
        if (guard->value[i] < '0' || guard->value[i] > '9') {
            refuse(guard, BAD_REQUEST, "Content-Length is not made of digits alone");
            return;
        }
        length = length * 10 + (uint64_t)(guard->value[i] - '0');
        if (length > HTTP_BODY_MAX_BYTES) {
            refuse(guard, TOO_LARGE, "the body is larger than 1 MiB");
            return;
        }
    }
}

static void check_value(struct http_guard *guard)
{
    if (strcasecmp(guard->name, "content-length") == 0)
        check_length(guard);
    else if (strcasecmp(guard->name, "transfer-encoding") == 0 && strcasecmp(guard->value, "chunked") != 0)
        refuse(guard, NOT_IMPLEMENTED, "Transfer-Encoding is not 'chunked'");
}

/* Behind the colon of a name. */
static void take_name(struct http_guard *guard)
{
    for (size_t i = 0; i < ARRAY_COUNT(singles); i++) {
        if (strcasecmp(guard->name, singles[i]) != 0)
            continue;
        if (guard->seen & (1U << i))
            refuse(guard, BAD_REQUEST, "a header that may stand there once stands there twice");
        guard->seen |= 1U << i;
    }
    if ((guard->seen & SEEN_LENGTH) && (guard->seen & SEEN_ENCODING))
        refuse(guard, BAD_REQUEST, "Content-Length and Transfer-Encoding in one request");
}

static void begin_header(struct http_guard *guard)
{
    memset(guard->name, 0, sizeof guard->name);
    memset(guard->value, 0, sizeof guard->value);
    guard->name_length = guard->value_length = 0;
    guard->state = HTTP_GUARD_NAME;
    if (guard->line_count > HTTP_HEADERS_MAX)
        refuse(guard, HEAD_TOO_LARGE, "more than 64 headers");
}

static void on_name(struct http_guard *guard, uint8_t byte)
{
    if (byte == ':') {
        guard->state = HTTP_GUARD_VALUE;
        if (guard->name_length == 0)
            refuse(guard, BAD_REQUEST, "a header without a name");
        else
            take_name(guard);
    } else if (!is_token_byte(byte)) {
        refuse(guard, BAD_REQUEST, "a character in the name of a header that may not be there, such as white space");
    } else {
        if (guard->name_length < sizeof guard->name - 1)
            guard->name[guard->name_length] = (char)byte;
        guard->name_length++;
    }
}

static void on_line_start(struct http_guard *guard, uint8_t byte)
{
    if (byte == '\r' && guard->line_count > 0)
        guard->state = HTTP_GUARD_HEAD_END;
    else if (byte == ' ' || byte == '\t')
        refuse(guard, BAD_REQUEST, "a folded line, or white space at the start of one");
    else if (guard->line_count > 0) {
        begin_header(guard);
        if (guard->state == HTTP_GUARD_NAME)
            on_name(guard, byte);
    } else if (is_token_byte(byte)) {
        guard->state = HTTP_GUARD_REQUEST_LINE;
    } else {
        refuse(guard, BAD_REQUEST, "this is no HTTP request");
    }
}

/* White space around the value is not kept; what is too long is cut, and too long to be good. */
static void keep_value(struct http_guard *guard, uint8_t byte)
{
    if (guard->value_length == 0 && (byte == ' ' || byte == '\t'))
        return;
    if (guard->value_length < sizeof guard->value - 1)
        guard->value[guard->value_length++] = (char)byte;
}

static void end_value(struct http_guard *guard)
{
    while (guard->value_length > 0 && strchr(" \t", guard->value[guard->value_length - 1]))
        guard->value[--guard->value_length] = 0;
    guard->state = HTTP_GUARD_LINE_END;
    check_value(guard);
}

static void on_value(struct http_guard *guard, uint8_t byte)
{
    if (byte == '\r')
        end_value(guard);
    else if ((byte < ' ' && byte != '\t') || byte == 0x7f)
        refuse(guard, BAD_REQUEST, byte == '\n' ? "a line that ends in LF alone" : "a control character in a header");
    else
        keep_value(guard, byte);
}

static void on_request_line(struct http_guard *guard, uint8_t byte)
{
    if (byte == '\r')
        guard->state = HTTP_GUARD_LINE_END;
    else if (byte < ' ' || byte >= 0x7f)
        refuse(guard, BAD_REQUEST, byte == '\n' ? "a line that ends in LF alone" : "a character in the request line that is not ASCII");
}

static void on_byte(struct http_guard *guard, uint8_t byte)
{
    switch (guard->state) {
    case HTTP_GUARD_LINE_START:
        on_line_start(guard, byte);
        break;
    case HTTP_GUARD_REQUEST_LINE:
        on_request_line(guard, byte);
        break;
    case HTTP_GUARD_NAME:
        on_name(guard, byte);
        break;
    case HTTP_GUARD_VALUE:
        on_value(guard, byte);
        break;
    case HTTP_GUARD_LINE_END:
        guard->line_count++;
        guard->state = HTTP_GUARD_LINE_START;
        if (byte != '\n')
            refuse(guard, BAD_REQUEST, "CR without LF");
        break;
    case HTTP_GUARD_HEAD_END:
        guard->state = HTTP_GUARD_DONE;
        if (byte != '\n')
            refuse(guard, BAD_REQUEST, "CR without LF");
        break;
    case HTTP_GUARD_DONE:
    case HTTP_GUARD_REFUSED:
        break;
    }
}

size_t http_guard_feed(struct http_guard *guard, const uint8_t *data, size_t length_bytes)
{
    size_t at = 0;
    while (at < length_bytes && guard->state < HTTP_GUARD_DONE) {
        on_byte(guard, data[at++]);
        if (++guard->head_bytes >= HTTP_HEAD_MAX_BYTES && guard->state < HTTP_GUARD_DONE)
            refuse(guard, HEAD_TOO_LARGE, "the head is larger than 16 KiB");
    }
    return at;
}
