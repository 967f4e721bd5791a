#include "base/mqtt_link.h"

#include "base/child.h"
#include "base/cleanup.h"
#include "tests/e2e/vdk_pki.h"
#include "tests/unit/base/scratch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include "tests/cmocka.h"

enum { WAIT_MS = 30 * 1000, CONNACK_NOT_AUTHORIZED = 5, BURST_COUNT = 500, NEVER = -1 };

/* Mosquitto on a Unix socket, on a second one that lets nobody in, and on TLS. */
struct broker {
    struct child *child;
    char unix_path[256], closed_path[256];
    char ca_path[256], cert_path[256], key_path[256];
    unsigned tls_port;
};

struct watch {
    uv_loop_t loop;
    uv_timer_t limit;
    struct mqtt_link *link;
    struct mqtt_link_options options;
    int connack;
    int suback_code;
    int published_count;
    int message_count;
    int closed_count;
    int closed_rc;
    int closed_errno;
    bool is_in_call; /* within a call of ours: on_closed must not come */
    int burst_left;
    char last_topic[128];
    char last_payload[128];
};

static void on_connack(void *user, int return_code)
{
    struct watch *watch = user;
    watch->connack = return_code;
}

static void on_suback(void *user, int packet_id, const int *codes, size_t count)
{
    (void)packet_id;
    struct watch *watch = user;
    watch->suback_code = count ? codes[0] : NEVER;
}

static void on_published(void *user, int packet_id)
{
    (void)packet_id;
    struct watch *watch = user;
    watch->published_count++;
}

static void on_message(void *user, const char *topic, const void *payload, size_t length_bytes, int qos, bool is_retained)
{
    (void)qos;
    (void)is_retained;
    struct watch *watch = user;
    watch->message_count++;
    snprintf(watch->last_topic, sizeof watch->last_topic, "%s", topic);
    snprintf(watch->last_payload, sizeof watch->last_payload, "%.*s", (int)length_bytes, payload ? (const char *)payload : "");
    for (; watch->burst_left > 0; watch->burst_left--)
        assert_int_equal(mqtt_link_publish(watch->link, "burst", "x", 1, 1, false, NULL, NULL), 0);
}

static void on_closed(void *user, int rc, int system_errno, const char *text)
{
    struct watch *watch = user;
    assert_false(watch->is_in_call);
    assert_string_not_equal(text, "");
    watch->closed_count++;
    watch->closed_rc = rc;
    watch->closed_errno = system_errno;
}

static void watch_init(struct watch *watch)
{
    memset(watch, 0, sizeof *watch);
    watch->connack = watch->suback_code = NEVER;
    assert_int_equal(uv_loop_init(&watch->loop), 0);
    uv_timer_init(&watch->loop, &watch->limit);
    watch->options = (struct mqtt_link_options){
        .loop = &watch->loop,
        .client_id = "test",
        .keep_alive_s = 60,
        .callbacks = {.user = watch,
                      .on_connack = on_connack,
                      .on_message = on_message,
                      .on_suback = on_suback,
                      .on_published = on_published,
                      .on_closed = on_closed},
    };
}

static void watch_done(struct watch *watch)
{
    mqtt_link_free(watch->link);
    uv_close((uv_handle_t *)&watch->limit, NULL);
    uv_run(&watch->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&watch->loop), 0);
}

static void on_limit(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

/* Run the loop until *number is at least `wanted`. */
static void run_until(struct watch *watch, const int *number, int wanted)
{
    deadline_t deadline = deadline_in_ms(&clock_system, WAIT_MS);
    while (*number < wanted) {
        if (deadline_has_passed(&clock_system, deadline))
            fail_msg("%d of %d came", *number, wanted);
        uv_timer_start(&watch->limit, on_limit, 100, 0);
        uv_run(&watch->loop, UV_RUN_ONCE);
    }
    uv_timer_stop(&watch->limit);
}

static void run_for_ms(struct watch *watch, unsigned ms)
{
    uv_timer_start(&watch->limit, on_limit, ms, 0);
    uv_run(&watch->loop, UV_RUN_DEFAULT);
}

static void open_link(struct watch *watch)
{
    struct error error = ERROR_INIT;
    if (mqtt_link_new(&watch->options, &watch->link, &error) || mqtt_link_connect(watch->link, NULL, NULL, &error))
        fail_msg("%s", error.text);
}

static void connect_link(struct watch *watch)
{
    open_link(watch);
    run_until(watch, &watch->connack, 0);
    assert_int_equal(watch->connack, 0);
}

static void subscribe(struct watch *watch, const char *filter)
{
    watch->suback_code = NEVER;
    assert_int_equal(mqtt_link_subscribe(watch->link, filter, 1, NULL, NULL), 0);
    run_until(watch, &watch->suback_code, 0);
}

static int free_port(unsigned *ret_port, bool listens)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length_bytes = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    if (listens)
        assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length_bytes), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static void forge(const struct broker *broker)
{
    struct pair root = pki_make("Root", NULL, true, NULL, 2);
    struct pair leaf = pki_make("server", &root, false, "DNS:broker.example", 2);
    CLEANUP_FREE char *root_text = pki_certificate(&root);
    CLEANUP_FREE char *leaf_text = pki_certificate(&leaf);
    CLEANUP_FREE char *key_text = pki_key(&leaf);
    pki_write(broker->ca_path, root_text);
    pki_write(broker->cert_path, leaf_text);
    pki_write(broker->key_path, key_text);
    pki_drop(&root);
    pki_drop(&leaf);
}

static void await_start(int fd)
{
    char said[8192] = "";
    size_t length = 0;
    deadline_t deadline = deadline_in_ms(&clock_system, WAIT_MS);
    while (!strstr(said, " running")) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&poll_fd, 1, (int)deadline_left_ms(&clock_system, deadline)), 1);
        ssize_t got = read(fd, said + length, sizeof said - 1 - length);
        if (got <= 0)
            fail_msg("mosquitto did not start: %s", said);
        length += (size_t)got;
    }
}

static void broker_start(struct broker *broker, void **state)
{
    char config_path[256], config[2048];
    int fds[2];
    const char *dir = *state;
    snprintf(config_path, sizeof config_path, "%s/mosquitto.conf", dir);
    snprintf(broker->unix_path, sizeof broker->unix_path, "%s/open", dir);
    snprintf(broker->closed_path, sizeof broker->closed_path, "%s/closed", dir);
    snprintf(broker->ca_path, sizeof broker->ca_path, "%s/ca.pem", dir);
    snprintf(broker->cert_path, sizeof broker->cert_path, "%s/cert.pem", dir);
    snprintf(broker->key_path, sizeof broker->key_path, "%s/key.pem", dir);
    forge(broker);
    close(free_port(&broker->tls_port, false));
    snprintf(config, sizeof config,
             "user root\nper_listener_settings true\npersistence false\nlog_dest stderr\n"
             "listener 0 %s\nallow_anonymous true\nlistener 0 %s\nallow_anonymous false\n"
             "listener %u 127.0.0.1\nallow_anonymous true\ncertfile %s\nkeyfile %s\n",
             broker->unix_path, broker->closed_path, broker->tls_port, broker->cert_path, broker->key_path);
    pki_write(config_path, config);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    const char *argv[] = {"/usr/sbin/mosquitto", "-c", config_path, NULL};
    const struct child_options options = {.argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = fds[1], .death_signal = SIGKILL};
    assert_int_equal(child_start(&options, &broker->child, NULL), 0);
    close(fds[1]);
    await_start(fds[0]);
    close(fds[0]);
}

static void broker_stop(struct broker *broker)
{
    child_stop(broker->child, SIGTERM, WAIT_MS);
    child_free(broker->child);
}

static void talks_to_itself_over_a_unix_socket(void **state)
{
    struct broker broker;
    struct watch watch;
    broker_start(&broker, state);
    watch_init(&watch);
    watch.options.unix_path = broker.unix_path;
    connect_link(&watch);
    subscribe(&watch, "a/#");
    assert_int_equal(watch.suback_code, 1);
    assert_int_equal(mqtt_link_publish(watch.link, "a/b", "hello", 5, 1, false, NULL, NULL), 0);
    run_until(&watch, &watch.message_count, 1);
    run_until(&watch, &watch.published_count, 1);
    assert_string_equal(watch.last_topic, "a/b");
    assert_string_equal(watch.last_payload, "hello");
    watch_done(&watch);
    broker_stop(&broker);
}

static void sends_and_receives_a_burst_that_is_published_within_a_callback(void **state)
{
    struct broker broker;
    struct watch watch;
    broker_start(&broker, state);
    watch_init(&watch);
    watch.options.unix_path = broker.unix_path;
    connect_link(&watch);
    subscribe(&watch, "#");
    watch.burst_left = BURST_COUNT;
    assert_int_equal(mqtt_link_publish(watch.link, "start", NULL, 0, 1, false, NULL, NULL), 0);
    run_until(&watch, &watch.message_count, BURST_COUNT + 1);
    run_until(&watch, &watch.published_count, BURST_COUNT + 1);
    watch_done(&watch);
    broker_stop(&broker);
}

static void reports_a_refused_connack_and_then_the_close(void **state)
{
    struct broker broker;
    struct watch watch;
    broker_start(&broker, state);
    watch_init(&watch);
    watch.options.unix_path = broker.closed_path;
    open_link(&watch);
    run_until(&watch, &watch.closed_count, 1);
    assert_int_equal(watch.connack, CONNACK_NOT_AUTHORIZED);
    assert_int_not_equal(watch.closed_rc, 0);
    assert_false(mqtt_link_is_open(watch.link));
    watch_done(&watch);
    broker_stop(&broker);
}

static void disconnects_with_on_closed_from_the_loop_and_connects_again(void **state)
{
    struct broker broker;
    struct watch watch;
    broker_start(&broker, state);
    watch_init(&watch);
    watch.options.unix_path = broker.unix_path;
    connect_link(&watch);
    for (int i = 1; i <= 3; i++) {
        watch.is_in_call = true;
        mqtt_link_disconnect(watch.link);
        watch.is_in_call = false;
        run_until(&watch, &watch.closed_count, i);
        assert_int_equal(watch.closed_rc, 0);
        watch.connack = NEVER;
        assert_int_equal(mqtt_link_connect(watch.link, NULL, NULL, NULL), 0);
        run_until(&watch, &watch.connack, 0);
    }
    watch_done(&watch);
    broker_stop(&broker);
}

static void aborts_without_a_callback(void **state)
{
    struct broker broker;
    struct watch watch;
    broker_start(&broker, state);
    watch_init(&watch);
    watch.options.unix_path = broker.unix_path;
    connect_link(&watch);
    mqtt_link_abort(watch.link);
    assert_false(mqtt_link_is_open(watch.link));
    run_for_ms(&watch, 50);
    assert_int_equal(watch.closed_count, 0);
    watch_done(&watch);
    broker_stop(&broker);
}

/* The first write after the broker's death may succeed or fail: either way on_closed comes once, and from the loop. */
static void reports_the_death_of_the_broker_once_though_it_publishes_into_it(void **state)
{
    struct broker broker;
    struct watch watch;
    broker_start(&broker, state);
    watch_init(&watch);
    watch.options.unix_path = broker.unix_path;
    connect_link(&watch);
    child_stop(broker.child, SIGKILL, WAIT_MS);
    watch.is_in_call = true;
    for (int i = 0; i < 5; i++)
        mqtt_link_publish(watch.link, "a", "x", 1, 1, false, NULL, NULL);
    watch.is_in_call = false;
    run_until(&watch, &watch.closed_count, 1);
    run_for_ms(&watch, 50);
    assert_int_equal(watch.closed_count, 1);
    assert_int_not_equal(watch.closed_rc, 0);
    watch_done(&watch);
    broker_stop(&broker);
}

static void reads_nothing_while_paused_and_all_of_it_after(void **state)
{
    struct broker broker;
    struct watch watch;
    broker_start(&broker, state);
    watch_init(&watch);
    watch.options.unix_path = broker.unix_path;
    connect_link(&watch);
    subscribe(&watch, "#");
    mqtt_link_pause(watch.link);
    for (int i = 0; i < 3; i++)
        assert_int_equal(mqtt_link_publish(watch.link, "a", "x", 1, 0, false, NULL, NULL), 0);
    run_for_ms(&watch, 200);
    assert_int_equal(watch.message_count, 0);
    mqtt_link_resume(watch.link);
    run_until(&watch, &watch.message_count, 3);
    watch_done(&watch);
    broker_stop(&broker);
}

static SSL_CTX *client_context(const char *ca_path, const char *host)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    assert_int_equal(SSL_CTX_load_verify_file(context, ca_path), 1);
    assert_int_equal(X509_VERIFY_PARAM_set1_host(SSL_CTX_get0_param(context), host, 0), 1);
    return context;
}

static void talks_over_tls_to_the_server_of_its_name(void **state)
{
    struct broker broker;
    struct watch watch;
    broker_start(&broker, state);
    watch_init(&watch);
    watch.options.host = "broker.example";
    watch.options.address = "127.0.0.1";
    watch.options.port = (uint16_t)broker.tls_port;
    watch.options.tls = client_context(broker.ca_path, "broker.example");
    connect_link(&watch);
    subscribe(&watch, "#");
    watch.burst_left = BURST_COUNT;
    assert_int_equal(mqtt_link_publish(watch.link, "start", NULL, 0, 1, false, NULL, NULL), 0);
    run_until(&watch, &watch.message_count, BURST_COUNT + 1);
    watch_done(&watch);
    SSL_CTX_free(watch.options.tls);
    broker_stop(&broker);
}

static void reads_what_openssl_holds_already_after_a_pause(void **state)
{
    struct broker broker;
    struct watch watch;
    broker_start(&broker, state);
    watch_init(&watch);
    watch.options.host = "broker.example";
    watch.options.address = "127.0.0.1";
    watch.options.port = (uint16_t)broker.tls_port;
    watch.options.tls = client_context(broker.ca_path, "broker.example");
    SSL_CTX_set_read_ahead(watch.options.tls, 1);
    connect_link(&watch);
    subscribe(&watch, "#");
    for (int round = 1; round <= 5; round++) {
        mqtt_link_pause(watch.link);
        for (int i = 0; i < 20; i++)
            assert_int_equal(mqtt_link_publish(watch.link, "a", "x", 1, 0, false, NULL, NULL), 0);
        run_for_ms(&watch, 30);
        mqtt_link_resume(watch.link);
        run_until(&watch, &watch.message_count, 20 * round);
    }
    watch_done(&watch);
    SSL_CTX_free(watch.options.tls);
    broker_stop(&broker);
}

static void refuses_a_server_of_another_name(void **state)
{
    struct broker broker;
    struct watch watch;
    broker_start(&broker, state);
    watch_init(&watch);
    watch.options.host = "other.example";
    watch.options.address = "127.0.0.1";
    watch.options.port = (uint16_t)broker.tls_port;
    watch.options.tls = client_context(broker.ca_path, "other.example");
    assert_int_equal(mqtt_link_new(&watch.options, &watch.link, NULL), 0);
    /* On loopback the handshake may be over before connect returns. */
    if (!mqtt_link_connect(watch.link, NULL, NULL, NULL))
        run_until(&watch, &watch.closed_count, 1);
    assert_int_equal(watch.connack, NEVER);
    assert_false(mqtt_link_is_open(watch.link));
    watch_done(&watch);
    SSL_CTX_free(watch.options.tls);
    broker_stop(&broker);
}

static void says_what_the_system_said_when_nobody_listens(void **state)
{
    (void)state;
    struct watch watch;
    struct error error = ERROR_INIT;
    unsigned port = 0;
    int rc = 0, number = 0;
    int fd = free_port(&port, false);
    watch_init(&watch);
    watch.options.address = "127.0.0.1";
    watch.options.port = (uint16_t)port;
    assert_int_equal(mqtt_link_new(&watch.options, &watch.link, NULL), 0);
    assert_int_equal(mqtt_link_connect(watch.link, &rc, &number, &error), -1);
    assert_int_equal(number, ECONNREFUSED);
    assert_int_equal(error.owner, ERROR_OWNER_RIG);
    assert_int_equal(error.code, ERROR_IO);
    assert_int_equal(watch.closed_count, 0);
    watch_done(&watch);
    close(fd);
}

/* With TLS the first write of the handshake meets the refusal, and libmosquitto takes that for a socket that is full. */
static void says_it_under_tls_too(void **state)
{
    (void)state;
    struct watch watch;
    unsigned port = 0;
    int fd = free_port(&port, false);
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    watch_init(&watch);
    watch.options.address = "127.0.0.1";
    watch.options.port = (uint16_t)port;
    watch.options.tls = context;
    assert_int_equal(mqtt_link_new(&watch.options, &watch.link, NULL), 0);
    if (mqtt_link_connect(watch.link, NULL, &watch.closed_errno, NULL) == 0)
        run_until(&watch, &watch.closed_count, 1);
    assert_int_equal(watch.closed_errno, ECONNREFUSED);
    watch_done(&watch);
    SSL_CTX_free(context);
    close(fd);
}

/* A server that takes the connection and ends it without a word of MQTT. */
static void end_connection(bool resets, int *ret_errno)
{
    struct watch watch;
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    char bytes[512];
    unsigned port = 0;
    int listener_fd = free_port(&port, true);
    watch_init(&watch);
    watch.options.address = "127.0.0.1";
    watch.options.port = (uint16_t)port;
    open_link(&watch);
    int fd = accept(listener_fd, NULL, NULL);
    run_for_ms(&watch, 20);
    assert_true(read(fd, bytes, sizeof bytes) > 0);
    if (resets)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(fd);
    run_until(&watch, &watch.closed_count, 1);
    assert_int_not_equal(watch.closed_rc, 0);
    *ret_errno = watch.closed_errno;
    watch_done(&watch);
    close(listener_fd);
}

static void tells_a_reset_from_a_close(void **state)
{
    (void)state;
    int number = 0;
    end_connection(true, &number);
    assert_int_equal(number, ECONNRESET);
    end_connection(false, &number);
    assert_int_not_equal(number, ECONNRESET);
}

/* Connections that nobody takes fill a backlog; from then on SYNs are swallowed. */
static void does_not_block_on_an_address_that_swallows_its_syn(void **state)
{
    (void)state;
    enum { FILLERS = 3 };
    struct watch watch;
    unsigned port = 0;
    int fillers[FILLERS];
    int listener_fd = free_port(&port, false);
    assert_int_equal(listen(listener_fd, 0), 0);
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int i = 0; i < FILLERS; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(fillers[i], (const struct sockaddr *)&address, sizeof address);
    }
    watch_init(&watch);
    watch.options.address = "127.0.0.1";
    watch.options.port = (uint16_t)port;
    open_link(&watch);
    run_for_ms(&watch, 50);
    assert_true(mqtt_link_is_open(watch.link));
    assert_int_equal(watch.closed_count, 0);
    watch_done(&watch);
    for (int i = 0; i < FILLERS; i++)
        close(fillers[i]);
    close(listener_fd);
}

static void read_client_hello(int listener_fd, const char *host)
{
    uint8_t bytes[4096];
    int fd = accept(listener_fd, NULL, NULL);
    ssize_t got = read(fd, bytes, sizeof bytes);
    assert_true(got > 0);
    assert_non_null(memmem(bytes, (size_t)got, host, strlen(host)));
    close(fd);
}

static void names_each_server_though_two_links_share_a_context(void **state)
{
    (void)state;
    struct watch one, two;
    unsigned port = 0;
    int listener_fd = free_port(&port, true);
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    watch_init(&one);
    watch_init(&two);
    one.options.host = "one.example";
    two.options.host = "two.example";
    one.options.address = two.options.address = "127.0.0.1";
    one.options.port = two.options.port = (uint16_t)port;
    one.options.tls = two.options.tls = context;
    open_link(&one);
    open_link(&two);
    run_for_ms(&one, 20);
    run_for_ms(&two, 20);
    read_client_hello(listener_fd, "one.example");
    read_client_hello(listener_fd, "two.example");
    watch_done(&one);
    watch_done(&two);
    SSL_CTX_free(context);
    close(listener_fd);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(talks_to_itself_over_a_unix_socket, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(sends_and_receives_a_burst_that_is_published_within_a_callback, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(reports_a_refused_connack_and_then_the_close, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(disconnects_with_on_closed_from_the_loop_and_connects_again, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(aborts_without_a_callback, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(reports_the_death_of_the_broker_once_though_it_publishes_into_it, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(reads_nothing_while_paused_and_all_of_it_after, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(talks_over_tls_to_the_server_of_its_name, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(reads_what_openssl_holds_already_after_a_pause, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(refuses_a_server_of_another_name, scratch_make, scratch_remove),
        cmocka_unit_test(says_what_the_system_said_when_nobody_listens),
        cmocka_unit_test(does_not_block_on_an_address_that_swallows_its_syn),
        cmocka_unit_test(says_it_under_tls_too),
        cmocka_unit_test(tells_a_reset_from_a_close),
        cmocka_unit_test(names_each_server_though_two_links_share_a_context),
    };
    return cmocka_run_group_tests_name("base/mqtt_link", tests, NULL, NULL);
}
