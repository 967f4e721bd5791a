#include "broker_sim/http/http_guard.h"
#include "broker_sim/http/http_server.h"

#include "base/cleanup.h"
#include "certs/forge.h"

#include <openssl/err.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/cmocka.h"

/* A server on the test's loop, and a client that blocks, on a thread of its own. */
enum { ANSWER_MAX_BYTES = 8 * 1024 * 1024, REQUESTS_MAX = 512, SHORT_LIMIT_MS = 200 };

static const char recipe_text[] = "format: 1\n"
                                  "members:\n"
                                  "  leaf: {subject: {CN: localhost}, issuer: self, key: p-256, not_after: +30d}\n";

struct rig {
    uv_loop_t loop;
    uv_async_t done;
    struct http_server *server;
    uint16_t port;
    struct pki *pki;
    SSL_CTX *client;
    void (*play)(struct rig *rig);
    int handled;
    char body[64]; /* of the last request, its start */
    size_t body_bytes;
    int refused;  /* events http.refused */
    int gave_way; /* of them: for newer connections */
    char reason[256];
    size_t answer_bytes; /* of the handler's next body */
};

static void on_handle(void *user, const struct http_request *request, struct http_response *response)
{
    struct rig *rig = user;
    rig->handled++;
    rig->body_bytes = request->body_bytes;
    snprintf(rig->body, sizeof rig->body, "%s", request->body);
    response->status = strcmp(request->path, "/teapot") == 0 ? 418 : 200;
    response->body = malloc(rig->answer_bytes + 1);
    memset(response->body, 'x', rig->answer_bytes);
    response->body[rig->answer_bytes] = 0;
}

static char *refusal_body(void *user, int status, const char *reason)
{
    (void)user;
    char *body;
    return asprintf(&body, "{\"status\":%d,\"reason\":\"%s\"}", status, reason) < 0 ? NULL : body;
}

static void on_emit(void *user, cJSON *event)
{
    struct rig *rig = user;
    assert_string_equal(json_string(event, "kind", ""), "http.refused");
    snprintf(rig->reason, sizeof rig->reason, "%s", json_string(event_data(event), "reason", ""));
    rig->refused++;
    rig->gave_way += strstr(rig->reason, "newer connections") != NULL;
    cJSON_Delete(event);
}

static void on_done(uv_async_t *async)
{
    struct rig *rig = async->data;
    http_server_stop(rig->server);
    uv_close((uv_handle_t *)async, NULL);
}

static void *run_client(void *user)
{
    struct rig *rig = user;
    rig->play(rig);
    uv_async_send(&rig->done);
    return NULL;
}

static void run(struct rig *rig, void (*play)(struct rig *rig), int64_t limit_ms)
{
    pthread_t thread;
    struct error error = ERROR_INIT;
    struct recipe *recipe = NULL;
    uv_loop_init(&rig->loop);
    uv_async_init(&rig->loop, &rig->done, on_done);
    rig->done.data = rig;
    rig->play = play;
    rig->client = SSL_CTX_new(TLS_client_method());
    if (recipe_read_text(recipe_text, sizeof recipe_text - 1, "rig", &recipe, &error) ||
        forge_pki(recipe, NULL, &clock_system, NULL, &rig->pki, &error))
        fail_msg("%s", error.text);
    recipe_free(recipe);
    struct http_server_options options = {.loop = &rig->loop,
                                          .sink = {.emit = on_emit, .user = rig, .clock = &clock_system},
                                          .address = "127.0.0.1",
                                          .leaf = pki_certificate(rig->pki, "leaf"),
                                          .key = pki_key(rig->pki, "leaf"),
                                          .request_limit_ms = limit_ms,
                                          .user = rig,
                                          .handle = on_handle,
                                          .refusal_body = refusal_body};
    if (http_server_start(&options, &rig->server, &rig->port, &error))
        fail_msg("%s", error.text);
    assert_int_equal(pthread_create(&thread, NULL, run_client, rig), 0);
    uv_run(&rig->loop, UV_RUN_DEFAULT);
    pthread_join(thread, NULL);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
    SSL_CTX_free(rig->client);
    pki_free(rig->pki);
}

/* --- the client --- */

static int dial(const struct rig *rig)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(rig->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct timeval limit = {.tv_sec = 30};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return connect(fd, (struct sockaddr *)&address, sizeof address) ? -1 : fd;
}

static SSL *dial_tls(const struct rig *rig)
{
    SSL *ssl = SSL_new(rig->client);
    SSL_set_fd(ssl, dial(rig));
    return SSL_connect(ssl) == 1 ? ssl : NULL;
}

static void hang_up(SSL *ssl)
{
    close(SSL_get_fd(ssl));
    SSL_free(ssl);
    ERR_clear_error();
}

/* Until the server closes. Returns the status of the only answer, 0 for none, -1 for more than one. */
static int read_status(SSL *ssl, size_t *ret_bytes)
{
    char *answer = malloc(ANSWER_MAX_BYTES + 1);
    int length = 0, got;
    while (length < ANSWER_MAX_BYTES && (got = SSL_read(ssl, answer + length, ANSWER_MAX_BYTES - length)) > 0)
        length += got;
    answer[length] = 0;
    int status = strncmp(answer, "HTTP/1.1 ", 9) == 0 ? atoi(answer + 9) : 0;
    if (length > 0 && strstr(answer + 1, "HTTP/1.1 "))
        status = -1;
    if (ret_bytes)
        *ret_bytes = (size_t)length;
    free(answer);
    return status;
}

static void say(SSL *ssl, const char *text)
{
    SSL_write(ssl, text, (int)strlen(text));
}

static int ask(const struct rig *rig, const char *text, size_t length)
{
    SSL *ssl = dial_tls(rig);
    if (!ssl)
        return -2;
    SSL_write(ssl, text, (int)length);
    int status = read_status(ssl, NULL);
    hang_up(ssl);
    return status;
}

#define HOST "Host: localhost\r\n"
#define SECOND "GET /smuggled HTTP/1.1\r\n" HOST "\r\n"

static const struct row {
    const char *text;
    int status;
    int handled;
} rows[] = {
    {"GET / HTTP/1.1\r\n" HOST "\r\n", 200, 1},
    {"GET /teapot HTTP/1.1\r\n" HOST "\r\n", 418, 1},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 200, 1},
    {"GET / HTTP/1.1\r\n" HOST "\r\n" SECOND, 200, 1},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nabcd" SECOND, 200, 1},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SECOND, 400, 0},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 4\r\nContent-Length: 0\r\n\r\n" SECOND, 400, 0},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length : 4\r\n\r\n" SECOND, 400, 0},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" SECOND, 501, 0},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc\r\n0\r\n\r\n", 413, 0},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n0\r\n\r\n", 400, 0},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 2000000\r\n\r\n", 413, 0},
    {"GET / HTTP/1.1\r\n\r\n", 400, 0},
    {"GET /\r\n\r\n", 400, 0},
    {"GET / HTTP/9.9\r\n" HOST "\r\n", 505, 0},
    {"GET / HTTP/1.1\n" HOST "\n", 400, 0},
    {"hello\r\n\r\n", 400, 0},
    {"GET / HTTP/1.1\r\nX:\001\r\n\r\n", 400, 0},
};

static int statuses[ARRAY_COUNT(rows)], handled_counts[ARRAY_COUNT(rows)];

static void play_rows(struct rig *rig)
{
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        int before = __atomic_load_n(&rig->handled, __ATOMIC_SEQ_CST);
        statuses[i] = ask(rig, rows[i].text, strlen(rows[i].text));
        handled_counts[i] = __atomic_load_n(&rig->handled, __ATOMIC_SEQ_CST) - before;
    }
}

static void each_connection_carries_one_request_and_one_answer(void **state)
{
    (void)state;
    struct rig rig = {.answer_bytes = 10};
    run(&rig, play_rows, 0);
    int refused = 0;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (statuses[i] != rows[i].status || handled_counts[i] != rows[i].handled)
            fail_msg("row %zu: status %d, handled %d: %.70s", i, statuses[i], handled_counts[i], rows[i].text);
        refused += !rows[i].handled;
    }
    assert_int_equal(rig.refused, refused);
}

static int large_status, large_handled;
static size_t large_body, large_answer;

/* The largest body that is taken, then one byte more in chunks, which no Content-Length tells beforehand. */
static void play_large(struct rig *rig)
{
    char head[128];
    char *body = malloc(HTTP_BODY_MAX_BYTES + 1);
    memset(body, 'b', HTTP_BODY_MAX_BYTES + 1);
    SSL *ssl = dial_tls(rig);
    snprintf(head, sizeof head, "POST / HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\n", HTTP_BODY_MAX_BYTES);
    say(ssl, head);
    SSL_write(ssl, body, HTTP_BODY_MAX_BYTES);
    large_handled = read_status(ssl, &large_answer);
    large_body = rig->body_bytes;
    hang_up(ssl);
    ssl = dial_tls(rig);
    snprintf(head, sizeof head, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n%x\r\n", HTTP_BODY_MAX_BYTES + 1);
    say(ssl, head);
    SSL_write(ssl, body, HTTP_BODY_MAX_BYTES + 1);
    say(ssl, "\r\n0\r\n\r\n");
    large_status = read_status(ssl, NULL);
    hang_up(ssl);
    free(body);
}

static void bodies_are_taken_up_to_the_limit_and_large_answers_arrive_whole(void **state)
{
    (void)state;
    struct rig rig = {.answer_bytes = 5 * 1024 * 1024};
    run(&rig, play_large, 0);
    assert_int_equal(large_handled, 200);
    assert_int_equal(large_body, HTTP_BODY_MAX_BYTES);
    assert_true(large_answer > rig.answer_bytes);
    assert_int_equal(large_status, 413);
    assert_int_equal(rig.handled, 1);
}

static int slow_statuses[3], after_slow;

static void play_slow(struct rig *rig)
{
    SSL *in_head = dial_tls(rig), *in_body = dial_tls(rig);
    int silent = dial(rig);
    char byte;
    say(in_head, "GET / HTTP/1.1\r\nHo");
    say(in_body, "POST / HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nab");
    slow_statuses[0] = read_status(in_head, NULL);
    slow_statuses[1] = read_status(in_body, NULL);
    slow_statuses[2] = (int)recv(silent, &byte, 1, 0);
    after_slow = ask(rig, rows[0].text, strlen(rows[0].text));
    hang_up(in_head);
    hang_up(in_body);
    close(silent);
}

static void slow_requests_are_answered_408_and_the_next_client_is_served(void **state)
{
    (void)state;
    struct rig rig = {.answer_bytes = 1};
    run(&rig, play_slow, SHORT_LIMIT_MS);
    assert_int_equal(slow_statuses[0], 408);
    assert_int_equal(slow_statuses[1], 408);
    assert_true(slow_statuses[2] <= 0);
    assert_int_equal(after_slow, 200);
    assert_int_equal(rig.refused, 3);
}

static int after_crowd, after_slow_crowd;

static void play_crowd(struct rig *rig)
{
    int fds[HTTP_PEERS_MAX + 20];
    SSL *slow[HTTP_PEERS_MAX + 20];
    for (size_t i = 0; i < ARRAY_COUNT(fds); i++)
        fds[i] = dial(rig);
    after_crowd = ask(rig, rows[0].text, strlen(rows[0].text));
    for (size_t i = 0; i < ARRAY_COUNT(slow); i++) {
        slow[i] = dial_tls(rig);
        say(slow[i], "POST / HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nab");
    }
    after_slow_crowd = ask(rig, rows[0].text, strlen(rows[0].text));
    for (size_t i = 0; i < ARRAY_COUNT(slow); i++)
        hang_up(slow[i]);
    for (size_t i = 0; i < ARRAY_COUNT(fds); i++)
        close(fds[i]);
}

static void silent_connections_give_way_to_new_ones(void **state)
{
    (void)state;
    struct rig rig = {.answer_bytes = 1};
    run(&rig, play_crowd, 0);
    assert_int_equal(after_crowd, 200);
    assert_int_equal(after_slow_crowd, 200);
    assert_true(rig.gave_way >= 42);
}

static int after_cuts;

/* In each stage of a connection. */
static void play_cuts(struct rig *rig)
{
    static const char *const starts[] = {"", "GET / HTTP", "POST / HTTP/1.1\r\n" HOST "Content-Length: 40\r\n\r\nab",
                                         "GET / HTTP/1.1\r\n" HOST "\r\n"};
    close(dial(rig));
    int fd = dial(rig);
    send(fd, "this is no TLS", 14, MSG_NOSIGNAL);
    char byte;
    recv(fd, &byte, 1, 0);
    close(fd);
    for (size_t i = 0; i < ARRAY_COUNT(starts); i++) {
        SSL *ssl = dial_tls(rig);
        if (*starts[i])
            say(ssl, starts[i]);
        hang_up(ssl);
    }
    after_cuts = ask(rig, rows[0].text, strlen(rows[0].text));
}

static void clients_that_go_at_any_point_harm_nobody(void **state)
{
    (void)state;
    struct rig rig = {.answer_bytes = 3 * 1024 * 1024};
    run(&rig, play_cuts, 0);
    assert_int_equal(after_cuts, 200);
    assert_true(rig.refused >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_connection_carries_one_request_and_one_answer),
        cmocka_unit_test(bodies_are_taken_up_to_the_limit_and_large_answers_arrive_whole),
        cmocka_unit_test(slow_requests_are_answered_408_and_the_next_client_is_served),
        cmocka_unit_test(silent_connections_give_way_to_new_ones),
        cmocka_unit_test(clients_that_go_at_any_point_harm_nobody),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
