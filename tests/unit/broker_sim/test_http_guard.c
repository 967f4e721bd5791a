#include "broker_sim/http/http_guard.h"

#include "base/cleanup.h"

#include <string.h>

#include "tests/cmocka.h"

#define START "POST /a HTTP/1.1\r\nHost: x\r\n"

struct row {
    const char *head;
    size_t length; /* 0: of the text */
    int status;    /* 0: taken */
};

/* Whole, and byte by byte: both must end alike. */
static void check(const struct row *row)
{
    size_t length = row->length ? row->length : strlen(row->head);
    struct http_guard whole, bytes;
    http_guard_init(&whole);
    http_guard_init(&bytes);
    http_guard_feed(&whole, (const uint8_t *)row->head, length);
    for (size_t i = 0; i < length; i++)
        http_guard_feed(&bytes, (const uint8_t *)row->head + i, 1);
    enum http_guard_state wanted = row->status ? HTTP_GUARD_REFUSED : HTTP_GUARD_DONE;
    if (whole.state != wanted || whole.status != row->status)
        fail_msg("'%.60s': state %d, status %d (%s)", row->head, (int)whole.state, whole.status, whole.reason ? whole.reason : "");
    assert_int_equal(bytes.state, whole.state);
    assert_int_equal(bytes.status, whole.status);
    assert_int_equal(bytes.head_bytes, whole.head_bytes);
    if (row->status)
        assert_non_null(whole.reason);
}

static void passes_what_everybody_reads_alike(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 0, 0},
        {START "Content-Length: 0\r\n\r\n", 0, 0},
        {START "content-length:1048576\t \r\nX-Empty:\r\nX-Latin: \xe9\r\n\r\n", 0, 0},
        {START "Transfer-Encoding: Chunked\r\n\r\n", 0, 0},
        {START "X: a\r\nX: b\r\n\r\n", 0, 0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        check(&rows[i]);
}

static void refuses_what_two_readers_may_read_differently(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {START "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", 0, 400},
        {START "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n", 0, 400},
        {START "Content-Length: 4\r\nContent-Length: 4\r\n\r\n", 0, 400},
        {START "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", 0, 400},
        {START "Host: y\r\n\r\n", 0, 400},
        {START "Authorization: a\r\nauthorization: b\r\n\r\n", 0, 400},
        {START "Content-Length: 4, 4\r\n\r\n", 0, 400},
        {START "Content-Length: +4\r\n\r\n", 0, 400},
        {START "Content-Length: -4\r\n\r\n", 0, 400},
        {START "Content-Length: 0x4\r\n\r\n", 0, 400},
        {START "Content-Length:\r\n\r\n", 0, 400},
        {START "Content-Length: 1048577\r\n\r\n", 0, 413},
        {START "Content-Length: 99999999999999999999999999999999\r\n\r\n", 0, 413},
        {START "Transfer-Encoding: xchunked\r\n\r\n", 0, 501},
        {START "Transfer-Encoding: gzip, chunked\r\n\r\n", 0, 501},
        {START "Content-Length : 4\r\n\r\n", 0, 400},
        {START "X-A: 1\r\n 2\r\n\r\n", 0, 400},
        {START "\tX: 1\r\n\r\n", 0, 400},
        {START "no colon\r\n\r\n", 0, 400},
        {START ": no name\r\n\r\n", 0, 400},
        {"GET / HTTP/1.1\nHost: x\n\n", 0, 400},
        {"GET / HTTP/1.1\r\nHost: x\n\r\n", 0, 400},
        {"GET / HTTP/1.1\r\nHost: x\rY: 1\r\n\r\n", 0, 400},
        {"GET / HTTP/1.1\r\nHost: x\r\n\rX", 0, 400},
        {"GET / HTTP/1.1\r\nX: a\0b\r\n\r\n", sizeof "GET / HTTP/1.1\r\nX: a\0b\r\n\r\n" - 1, 400},
        {"GET /\0 HTTP/1.1\r\n\r\n", sizeof "GET /\0 HTTP/1.1\r\n\r\n" - 1, 400},
        {"GET /\xe9 HTTP/1.1\r\n\r\n", 0, 400},
        {"\r\nGET / HTTP/1.1\r\n\r\n", 0, 400},
        {"\x16\x03\x01", 0, 400},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        check(&rows[i]);
}

static void bounds_the_head(void **state)
{
    (void)state;
    struct http_guard guard;
    http_guard_init(&guard);
    http_guard_feed(&guard, (const uint8_t *)START "X: ", strlen(START "X: "));
    while (guard.state < HTTP_GUARD_DONE)
        http_guard_feed(&guard, (const uint8_t *)"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 31);
    assert_int_equal(guard.status, 431);
    assert_int_equal(guard.head_bytes, HTTP_HEAD_MAX_BYTES);
    http_guard_init(&guard);
    http_guard_feed(&guard, (const uint8_t *)START, strlen(START));
    for (int i = 0; i < HTTP_HEADERS_MAX - 1; i++)
        http_guard_feed(&guard, (const uint8_t *)"X: a\r\n", 6);
    assert_int_equal(guard.state, HTTP_GUARD_LINE_START);
    http_guard_feed(&guard, (const uint8_t *)"X: a\r\n", 6);
    assert_int_equal(guard.status, 431);
}

static void stops_at_the_end_of_the_head(void **state)
{
    (void)state;
    static const char text[] = START "Content-Length: 4\r\n\r\nbody";
    struct http_guard guard;
    http_guard_init(&guard);
    assert_int_equal(http_guard_feed(&guard, (const uint8_t *)text, sizeof text - 1), sizeof text - 1 - 4);
    assert_int_equal(guard.state, HTTP_GUARD_DONE);
    assert_int_equal(http_guard_feed(&guard, (const uint8_t *)"more", 4), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_what_everybody_reads_alike),
        cmocka_unit_test(refuses_what_two_readers_may_read_differently),
        cmocka_unit_test(bounds_the_head),
        cmocka_unit_test(stops_at_the_end_of_the_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
