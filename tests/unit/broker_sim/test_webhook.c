/* Webhooks against a server of a few lines on the same loop. */
#include "base/bytes.h"
#include "base/cleanup.h"
#include "broker_sim/webhook/webhook.h"

#include <string.h>

#include "tests/cmocka.h"

enum { TIMEOUT_MS = 300, ANSWERS_MAX = 2 * WEBHOOKS_MAX };

struct rig {
    uv_loop_t loop;
    uv_tcp_t server;
    const char *reply; /* NULL: the server does not answer */
    struct bytes received;
    struct webhooks *webhooks;
    int answer_count;
    int status;
    bool is_timeout;
    char body[256];
    size_t body_bytes;
    char trouble[256];
    char url[64];
};

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

static void on_written(uv_write_t *write, int status)
{
    (void)status;
    uv_close((uv_handle_t *)write->handle, on_closed);
    free(write);
}

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *ret_buffer)
{
    (void)handle, (void)wanted;
    static char buffer[65536];
    *ret_buffer = uv_buf_init(buffer, sizeof buffer);
}

static void send_reply(struct rig *rig, uv_stream_t *stream)
{
    uv_write_t *write = calloc(1, sizeof *write);
    uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)rig->reply, (unsigned)strlen(rig->reply));
    assert_non_null(write);
    uv_read_stop(stream);
    uv_write(write, stream, &buffer, 1, on_written);
}

/* The body that the tests send ends the request. */
static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct rig *rig = stream->data;
    if (count < 0) {
        uv_close((uv_handle_t *)stream, on_closed);
        return;
    }
    assert_int_equal(bytes_append(&rig->received, buffer->base, (size_t)count), 0);
    if (rig->reply && strstr(bytes_text(&rig->received), "{\"ask\":1}"))
        send_reply(rig, stream);
}

static void on_connection(uv_stream_t *server, int status)
{
    assert_int_equal(status, 0);
    uv_tcp_t *peer = calloc(1, sizeof *peer);
    assert_non_null(peer);
    uv_tcp_init(server->loop, peer);
    peer->data = server->data;
    assert_int_equal(uv_accept(server, (uv_stream_t *)peer), 0);
    uv_read_start((uv_stream_t *)peer, on_alloc, on_read);
}

static void start_server(struct rig *rig)
{
    struct sockaddr_in address;
    int size = sizeof address;
    uv_ip4_addr("127.0.0.1", 0, &address);
    uv_tcp_init(&rig->loop, &rig->server);
    rig->server.data = rig;
    assert_int_equal(uv_tcp_bind(&rig->server, (struct sockaddr *)&address, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&rig->server, 128, on_connection), 0);
    assert_int_equal(uv_tcp_getsockname(&rig->server, (struct sockaddr *)&address, &size), 0);
    snprintf(rig->url, sizeof rig->url, "http://127.0.0.1:%u/x?code=1", ntohs(address.sin_port));
}

static void setup_with(struct rig *rig, const char *reply, struct webhooks_options options)
{
    *rig = (struct rig){.reply = reply};
    bytes_init(&rig->received, 1 << 20);
    assert_int_equal(uv_loop_init(&rig->loop), 0);
    start_server(rig);
    options.loop = &rig->loop;
    options.clock = &clock_system;
    options.timeout_ms = TIMEOUT_MS;
    rig->webhooks = webhooks_new(&options);
    assert_non_null(rig->webhooks);
}

static void setup(struct rig *rig, const char *reply)
{
    setup_with(rig, reply, (struct webhooks_options){0});
}

static void close_peer(uv_handle_t *handle, void *user)
{
    (void)user;
    if (!uv_is_closing(handle) && handle->type == UV_TCP)
        uv_close(handle, on_closed);
}

static void teardown(struct rig *rig)
{
    webhooks_free(rig->webhooks);
    uv_close((uv_handle_t *)&rig->server, NULL);
    uv_walk(&rig->loop, close_peer, NULL);
    /* An answer that came while ending has left its stop behind. */
    while (uv_run(&rig->loop, UV_RUN_DEFAULT)) {
    }
    assert_int_equal(uv_loop_close(&rig->loop), 0);
    bytes_done(&rig->received);
}

static void on_answer(void *context, const struct webhook_answer *answer)
{
    struct rig *rig = context;
    rig->answer_count++;
    rig->status = answer->status;
    rig->is_timeout = answer->is_timeout;
    rig->body_bytes = answer->length_bytes;
    snprintf(rig->body, sizeof rig->body, "%s", answer->body);
    snprintf(rig->trouble, sizeof rig->trouble, "%s", answer->trouble ? answer->trouble : "");
    uv_stop(&rig->loop);
}

static int ask(struct rig *rig, const char *url, struct error *error)
{
    struct webhook_port port = webhooks_port(rig->webhooks);
    return port.post(port.user, url, "{\"ask\":1}", on_answer, rig, error);
}

static void wait_for(struct rig *rig, int count)
{
    while (rig->answer_count < count)
        assert_int_not_equal(uv_run(&rig->loop, UV_RUN_DEFAULT), 0);
}

#define HEAD "HTTP/1.1 200 OK\r\nContent-Length: "

static void posts_json_and_hands_the_answer_over(void **state)
{
    (void)state;
    CLEANUP(teardown) struct rig rig;
    setup(&rig, HEAD "2\r\n\r\n{}");
    assert_int_equal(ask(&rig, rig.url, NULL), 0);
    assert_int_equal(rig.answer_count, 0);
    wait_for(&rig, 1);
    assert_int_equal(rig.status, 200);
    assert_string_equal(rig.body, "{}");
    assert_string_equal(rig.trouble, "");
    assert_non_null(strstr(bytes_text(&rig.received), "POST /x?code=1 HTTP/1.1\r\n"));
    assert_non_null(strstr(bytes_text(&rig.received), "Content-Type: application/json"));
}

static void gives_other_statuses_as_they_are_and_follows_no_redirect(void **state)
{
    (void)state;
    CLEANUP(teardown) struct rig rig;
    setup(&rig, "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(ask(&rig, rig.url, NULL), 0);
    wait_for(&rig, 1);
    assert_int_equal(rig.status, 302);
}

static void gives_up_when_no_answer_comes(void **state)
{
    (void)state;
    CLEANUP(teardown) struct rig rig;
    setup(&rig, NULL);
    assert_int_equal(ask(&rig, rig.url, NULL), 0);
    wait_for(&rig, 1);
    assert_int_equal(rig.status, 0);
    assert_true(rig.is_timeout);
    assert_non_null(strstr(rig.trouble, "did not answer within 300 ms"));
}

static void takes_no_more_than_its_limit(void **state)
{
    (void)state;
    CLEANUP(bytes_done) struct bytes reply;
    bytes_init(&reply, 1 << 20);
    bytes_printf(&reply, HEAD "%d\r\n\r\n%*d", WEBHOOK_ANSWER_MAX_BYTES + 1, WEBHOOK_ANSWER_MAX_BYTES + 1, 7);
    CLEANUP(teardown) struct rig rig;
    setup(&rig, bytes_text(&reply));
    assert_int_equal(ask(&rig, rig.url, NULL), 0);
    wait_for(&rig, 1);
    assert_int_equal(rig.status, 0);
    assert_int_equal(rig.body_bytes, 0);
    assert_non_null(strstr(rig.trouble, "larger than"));
}

static void a_port_where_nobody_listens_is_told(void **state)
{
    (void)state;
    CLEANUP(teardown) struct rig rig;
    setup(&rig, NULL);
    assert_int_equal(ask(&rig, "http://127.0.0.1:1/", NULL), 0);
    wait_for(&rig, 1);
    assert_int_equal(rig.status, 0);
    assert_false(rig.is_timeout);
    assert_non_null(strstr(rig.trouble, "cannot be reached"));
}

static void refuses_other_machines_and_other_schemes_without_asking(void **state)
{
    (void)state;
    CLEANUP(teardown) struct rig rig;
    setup(&rig, NULL);
    static const struct {
        const char *url;
        enum error_code code;
    } rows[] = {
        {"http://192.0.2.1/", ERROR_REFUSED},
        {"https://example.org/api", ERROR_REFUSED},
        {"http://127.0.0.1.example.org/", ERROR_REFUSED},
        {"http://localhost.example.org/", ERROR_REFUSED},
        {"http://[2001:db8::1]/", ERROR_REFUSED},
        {"http://0.0.0.0/", ERROR_REFUSED},
        {"http://127.0.0.1@192.0.2.1/", ERROR_REFUSED},
        {"file:///etc/passwd", ERROR_SYNTAX},
        {"ftp://127.0.0.1/", ERROR_SYNTAX},
        {"", ERROR_SYNTAX},
        {"no url at all", ERROR_SYNTAX},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct error error = ERROR_INIT;
        assert_int_equal(ask(&rig, rows[i].url, &error), -1);
        if (error.code != rows[i].code)
            fail_msg("'%s': %s: %s", rows[i].url, error_code_name(error.code), error.text);
    }
    assert_int_equal(rig.answer_count, 0);
}

/* The name passes; the addresses that it has do not, and nothing is sent. */
static void a_local_name_that_leads_to_another_machine_is_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"localhost:8080:192.0.2.1", "localhost:8080:[2001:db8::1],[::ffff:192.0.2.1]"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        CLEANUP(teardown) struct rig rig;
        setup_with(&rig, NULL, (struct webhooks_options){.resolve = names[i]});
        assert_int_equal(ask(&rig, "http://localhost:8080/", NULL), 0);
        wait_for(&rig, 1);
        assert_int_equal(rig.status, 0);
        assert_non_null(strstr(rig.trouble, "leads to another machine; start dpsbench-sim with --webhook-any-host"));
    }
}

static void takes_so_many_at_once_and_ends_what_is_under_way(void **state)
{
    (void)state;
    CLEANUP(teardown) struct rig rig;
    setup(&rig, NULL);
    struct error error = ERROR_INIT;
    for (int i = 0; i < WEBHOOKS_MAX; i++)
        assert_int_equal(ask(&rig, rig.url, NULL), 0);
    assert_int_equal(ask(&rig, rig.url, &error), -1);
    assert_int_equal(error.code, ERROR_LIMIT);
    webhooks_free(TAKE(rig.webhooks));
    assert_int_equal(rig.answer_count, WEBHOOKS_MAX);
    assert_string_equal(rig.trouble, "the simulator ends");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(posts_json_and_hands_the_answer_over),
        cmocka_unit_test(gives_other_statuses_as_they_are_and_follows_no_redirect),
        cmocka_unit_test(gives_up_when_no_answer_comes),
        cmocka_unit_test(takes_no_more_than_its_limit),
        cmocka_unit_test(a_port_where_nobody_listens_is_told),
        cmocka_unit_test(refuses_other_machines_and_other_schemes_without_asking),
        cmocka_unit_test(a_local_name_that_leads_to_another_machine_is_refused),
        cmocka_unit_test(takes_so_many_at_once_and_ends_what_is_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
