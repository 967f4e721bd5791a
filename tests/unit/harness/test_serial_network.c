/* Ports of another machine, against servers of the test's own. What ser2net makes of it is tests/e2e/run_network.sh. */
#include "harness/serial/network_address.h"
#include "harness/serial/serial_port.h"
#include "test_device_fake.h"
#include "tests/cmocka.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BULK_BYTES = 8 * 1024 * 1024,
    PATIENCE_S = 20,
    OPTIONS_MAX_BYTES = 4096,
    COM_PORT = 44,
    IAC = 255,
    DO = 253,
    WILL = 251,
    SB = 250,
    SE = 240
};

/* An RFC 2217 server of a few lines, in a thread: serial_open waits for it. */
struct server {
    pthread_t thread;
    int listen_fd;
    unsigned int baud; /* what it says that it set; 0: what was asked for */
    bool hangs_up;     /* as soon as it is spoken to */
    bool falls_silent; /* when the line is set up */
    unsigned char heard[OPTIONS_MAX_BYTES];
    size_t heard_length;
};

struct bench {
    uv_loop_t loop;
    struct serial_options options;
    struct serial_port *port;
    int listen_fd;
    int peer_fd;
    char path[64];
    struct bytes heard;
    size_t wanted;
    int gone_count, back_count, lost_count;
    char reason[128];
    struct error lost;
};

static void on_bytes(void *user, const void *data, size_t length, int64_t mono_us, int64_t unix_us)
{
    struct bench *bench = user;
    assert_true(mono_us > 0 && unix_us > 0);
    assert_int_equal(bytes_append(&bench->heard, data, length), 0);
}

static void on_gone(void *user, const char *reason)
{
    struct bench *bench = user;
    bench->gone_count++;
    snprintf(bench->reason, sizeof(bench->reason), "%s", reason);
}

static void on_back(void *user, int64_t gap_ms)
{
    assert_true(gap_ms >= 0);
    ((struct bench *)user)->back_count++;
}

static void on_lost(void *user, const struct error *error)
{
    struct bench *bench = user;
    bench->lost_count++;
    bench->lost = *error;
}

static int listen_somewhere(unsigned int *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static int accept_one(int listen_fd)
{
    struct timeval patience = {.tv_sec = PATIENCE_S};
    setsockopt(listen_fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    int fd = accept(listen_fd, NULL, NULL);
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    return fd;
}

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    unsigned int port;
    uv_loop_init(&bench->loop);
    bytes_init(&bench->heard, 64 * 1024 * 1024);
    bench->listen_fd = listen_somewhere(&port);
    bench->peer_fd = -1;
    snprintf(bench->path, sizeof(bench->path), "tcp://127.0.0.1:%u", port);
    bench->options = (struct serial_options){
        .loop = &bench->loop,
        .clock = &clock_system,
        .path = bench->path,
        .reopen_ms = 2000,
        .callbacks = {.user = bench, .on_bytes = on_bytes, .on_gone = on_gone, .on_back = on_back, .on_lost = on_lost}};
    *state = bench;
    return 0;
}

static void hang_up(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    serial_close(bench->port);
    finish_loop(&bench->loop);
    hang_up(&bench->peer_fd);
    hang_up(&bench->listen_fd);
    bytes_done(&bench->heard);
    free(bench);
    return 0;
}

static void open_port(struct bench *bench)
{
    struct error error = ERROR_INIT;
    if (serial_open(&bench->options, &bench->port, &error))
        fail_msg("%s", error.text);
    bench->peer_fd = accept_one(bench->listen_fd);
}

static bool has_heard(void *user)
{
    struct bench *bench = user;
    return bench->heard.length_bytes >= bench->wanted;
}

static bool is_gone(void *user)
{
    return ((struct bench *)user)->gone_count > 0;
}

static bool is_back(void *user)
{
    return ((struct bench *)user)->back_count > 0;
}

static bool is_lost(void *user)
{
    return ((struct bench *)user)->lost_count > 0;
}

static void hear(struct bench *bench, size_t length)
{
    bench->wanted = length;
    assert_true(run_until(&bench->loop, has_heard, bench));
}

static void reads_addresses_and_refuses_what_is_none(void **state)
{
    (void)state;
    static const struct {
        const char *path, *host, *port;
        bool is_rfc2217;
    } good[] = {{"rfc2217://lab-7.example.org:2001", "lab-7.example.org", "2001", true},
                {"tcp://127.0.0.1:65535", "127.0.0.1", "65535", false},
                {"rfc2217://[::1]:1", "::1", "1", true}};
    static const char *const bad[] = {"telnet://host:1",  "tcp://:1",      "tcp://host",  "tcp://host:0",
                                      "tcp://host:65536", "tcp://host:1x", "tcp://a,b:1", "tcp://a(tls=1):22",
                                      "tcp://::1:2001",   "tcp://[]:2001", "rfc2217://",  "://"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct network_address address;
        assert_int_equal(network_address_read(good[i].path, &address, NULL), 0);
        assert_string_equal(address.host, good[i].host);
        assert_string_equal(address.port, good[i].port);
        assert_int_equal(address.is_rfc2217, good[i].is_rfc2217);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct network_address address = {.host = "untouched"};
        struct error error = ERROR_INIT;
        assert_int_equal(network_address_read(bad[i], &address, &error), -1);
        assert_int_equal(error.owner, ERROR_OWNER_FILE);
        assert_string_equal(address.host, "untouched");
    }
    assert_false(network_address_is("/dev/serial/by-id/usb-SEGGER_J-Link_000960012345-if00"));
}

static void passes_every_byte_value_both_ways(void **state)
{
    struct bench *bench = *state;
    unsigned char all[256], back[256];
    for (int i = 0; i < 256; i++)
        all[i] = (unsigned char)i;
    open_port(bench);
    assert_string_equal(serial_backend_name(bench->port), "gensio");
    assert_int_equal(send(bench->peer_fd, all, sizeof(all), 0), sizeof(all));
    hear(bench, sizeof(all));
    assert_memory_equal(bench->heard.data, all, sizeof(all));
    assert_int_equal(serial_write(bench->port, all, sizeof(all), NULL), 0);
    while (serial_tx_left(bench->port))
        uv_run(&bench->loop, UV_RUN_ONCE);
    assert_int_equal(recv(bench->peer_fd, back, sizeof(back), MSG_WAITALL), sizeof(back));
    assert_memory_equal(back, all, sizeof(all));
}

static void *send_much(void *user)
{
    struct bench *bench = user;
    static unsigned char block[65536];
    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = (unsigned char)(i * 31);
    for (size_t sent = 0; sent < BULK_BYTES; sent += sizeof(block))
        if (send(bench->peer_fd, block, sizeof(block), MSG_NOSIGNAL) != sizeof(block))
            break;
    return NULL;
}

static void loses_nothing_while_the_program_is_busy(void **state)
{
    struct bench *bench = *state;
    pthread_t thread;
    open_port(bench);
    pthread_create(&thread, NULL, send_much, bench);
    usleep(100 * 1000); /* the loop stands still: all buffers fill up */
    hear(bench, BULK_BYTES);
    pthread_join(thread, NULL);
    assert_int_equal(bench->heard.length_bytes, BULK_BYTES);
    for (size_t i = 0; i < bench->heard.length_bytes; i++)
        if (bench->heard.data[i] != (unsigned char)(i % 65536 * 31))
            fail_msg("byte %zu differs", i);
}

static void says_that_nobody_listens(void **state)
{
    struct bench *bench = *state;
    struct error error = ERROR_INIT;
    hang_up(&bench->listen_fd);
    assert_int_equal(serial_open(&bench->options, &bench->port, &error), -1);
    assert_int_equal(error.owner, ERROR_OWNER_RIG);
    assert_int_equal(error.code, ERROR_IO);
    assert_non_null(strstr(error.text, bench->path));
    assert_non_null(strstr(error.text, "ser2net"));
}

static void takes_a_closed_connection_for_a_gap(void **state)
{
    struct bench *bench = *state;
    open_port(bench);
    assert_int_equal(send(bench->peer_fd, "half a li", 9, 0), 9);
    hang_up(&bench->peer_fd);
    assert_true(run_until(&bench->loop, is_gone, bench));
    assert_string_equal(bytes_text(&bench->heard), "half a li");
    assert_string_equal(bench->reason, "the server closed the connection");
    assert_true(run_until(&bench->loop, is_back, bench));
    bench->peer_fd = accept_one(bench->listen_fd);
    assert_int_equal(send(bench->peer_fd, "new line", 8, 0), 8);
    hear(bench, 17);
    assert_int_equal(serial_counts(bench->port).gap_count, 1);
    hang_up(&bench->listen_fd);
    hang_up(&bench->peer_fd);
    assert_true(run_until(&bench->loop, is_lost, bench));
    assert_int_equal(bench->lost.owner, ERROR_OWNER_RIG);
}

static void *close_each(void *user)
{
    int listen_fd = *(int *)user;
    for (int fd = accept(listen_fd, NULL, NULL); fd >= 0; fd = accept(listen_fd, NULL, NULL))
        close(fd);
    return NULL;
}

/* ser2net does so with every client but the first. */
static void does_not_try_a_server_for_ever_that_takes_and_closes(void **state)
{
    struct bench *bench = *state;
    pthread_t thread;
    bench->options.reopen_ms = 300;
    open_port(bench);
    pthread_create(&thread, NULL, close_each, &bench->listen_fd);
    hang_up(&bench->peer_fd);
    bool was_lost = run_until(&bench->loop, is_lost, bench);
    shutdown(bench->listen_fd, SHUT_RDWR);
    pthread_join(thread, NULL);
    assert_true(was_lost);
}

static void reply(int fd, const unsigned char *option, size_t length)
{
    unsigned char frame[OPTIONS_MAX_BYTES + 5] = {IAC, SB, COM_PORT};
    memcpy(frame + 3, option, length);
    frame[3] += 100;
    frame[3 + length] = IAC;
    frame[4 + length] = SE;
    send(fd, frame, length + 5, MSG_NOSIGNAL);
}

/* One option: "SB 44 command value... SE" without its frame. Our values hold no 255. */
static void take_option(struct server *server, int fd, unsigned char *option, size_t length)
{
    static const unsigned char asks_for_baud[] = {1, 0, 0, 0, 0};
    if (server->falls_silent && length == 5 && memcmp(option, asks_for_baud, 5) == 0)
        return;
    if (length == 5 && option[0] == 1 && server->baud) {
        uint32_t baud = htonl(server->baud);
        memcpy(option + 1, &baud, sizeof(baud));
    }
    reply(fd, option, length);
}

static size_t take_command(struct server *server, int fd, size_t at)
{
    unsigned char *command = server->heard + at;
    size_t left = server->heard_length - at;
    if (left < 3)
        return 0;
    if (command[1] != SB) {
        unsigned char answer[] = {IAC, DO, COM_PORT};
        if (command[1] == WILL && command[2] == COM_PORT)
            send(fd, answer, sizeof(answer), MSG_NOSIGNAL);
        return 3;
    }
    const unsigned char *end = memmem(command, left, "\377\360", 2);
    if (!end)
        return 0;
    if (command[2] == COM_PORT)
        take_option(server, fd, command + 3, (size_t)(end - command) - 3);
    return (size_t)(end - command) + 2;
}

static void *serve(void *user)
{
    struct server *server = user;
    int fd = accept(server->listen_fd, NULL, NULL);
    size_t at = 0;
    while (fd >= 0) {
        ssize_t count = recv(fd, server->heard + server->heard_length, sizeof(server->heard) - server->heard_length, 0);
        if (count <= 0 || server->hangs_up)
            break;
        server->heard_length += (size_t)count;
        for (size_t used = 1; at < server->heard_length && used; at += used)
            used = server->heard[at] == IAC ? take_command(server, fd, at) : 1;
    }
    if (fd >= 0)
        close(fd);
    return NULL;
}

static int open_rfc2217(struct bench *bench, struct server *server, struct error *error)
{
    unsigned int port = 0;
    server->listen_fd = listen_somewhere(&port);
    snprintf(bench->path, sizeof(bench->path), "rfc2217://127.0.0.1:%u", port);
    pthread_create(&server->thread, NULL, serve, server);
    int rc = serial_open(&bench->options, &bench->port, error);
    return rc;
}

static void end_server(struct bench *bench, struct server *server)
{
    serial_close(bench->port);
    bench->port = NULL;
    shutdown(server->listen_fd, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->listen_fd);
}

static bool was_asked(const struct server *server, const void *option, size_t length)
{
    return memmem(server->heard, server->heard_length, option, length) != NULL;
}

static void sets_line_and_modem_lines_at_the_server(void **state)
{
    struct bench *bench = *state;
    struct server server = {0};
    struct error error = ERROR_INIT;
    bench->options.baud = 1000000;
    if (open_rfc2217(bench, &server, &error))
        fail_msg("%s", error.text);
    end_server(bench, &server);
    assert_true(was_asked(&server, "\377\372\054\001\000\017\102\100\377\360", 10)); /* 1,000,000 baud */
    assert_true(was_asked(&server, "\377\372\054\002\010\377\360", 7));              /* 8 bits */
    assert_true(was_asked(&server, "\377\372\054\003\001\377\360", 7));              /* no parity */
    assert_true(was_asked(&server, "\377\372\054\004\001\377\360", 7));              /* 1 stop bit */
    assert_true(was_asked(&server, "\377\372\054\005\001\377\360", 7));              /* no flow control */
    assert_true(was_asked(&server, "\377\372\054\005\010\377\360", 7));              /* DTR */
    assert_true(was_asked(&server, "\377\372\054\005\013\377\360", 7));              /* RTS */
}

static void asks_for_hardware_flow_control(void **state)
{
    struct bench *bench = *state;
    struct server server = {0};
    struct error error = ERROR_INIT;
    bench->options.has_flow_control = true;
    if (open_rfc2217(bench, &server, &error))
        fail_msg("%s", error.text);
    end_server(bench, &server);
    assert_true(was_asked(&server, "\377\372\054\005\003\377\360", 7));
    assert_false(was_asked(&server, "\377\372\054\005\013\377\360", 7)); /* RTS is the flow control's */
}

static void refuses_a_server_that_sets_another_baud_rate(void **state)
{
    struct bench *bench = *state;
    struct server server = {.baud = 9600};
    struct error error = ERROR_INIT;
    int rc = open_rfc2217(bench, &server, &error);
    end_server(bench, &server);
    assert_int_equal(rc, -1);
    assert_int_equal(error.owner, ERROR_OWNER_RIG);
    assert_non_null(strstr(error.text, "the server set the baud rate to 9600, and not to 115200"));
}

static void says_that_a_server_hung_up_while_it_was_asked(void **state)
{
    struct bench *bench = *state;
    struct server server = {.hangs_up = true};
    struct error error = ERROR_INIT;
    int rc = open_rfc2217(bench, &server, &error);
    end_server(bench, &server);
    assert_int_equal(rc, -1);
    assert_int_equal(error.owner, ERROR_OWNER_RIG);
    assert_non_null(strstr(error.text, "another client"));
}

static void notices_a_server_that_stands_still(void **state)
{
    struct bench *bench = *state;
    struct server server = {.falls_silent = true};
    struct error error = ERROR_INIT;
    if (open_rfc2217(bench, &server, &error))
        fail_msg("%s", error.text);
    assert_true(run_until(&bench->loop, is_gone, bench));
    end_server(bench, &server);
    assert_string_equal(bench->reason, "the server does not answer any more");
}

static void leaves_a_server_alone_that_answers(void **state)
{
    struct bench *bench = *state;
    struct server server = {0};
    struct error error = ERROR_INIT;
    if (open_rfc2217(bench, &server, &error))
        fail_msg("%s", error.text);
    run_for(&bench->loop, 4500);
    assert_int_equal(bench->gone_count, 0);
    end_server(bench, &server);
    assert_true(was_asked(&server, "\377\372\054\001\000\000\000\000\377\360", 10));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_addresses_and_refuses_what_is_none),
        TEST(passes_every_byte_value_both_ways),
        TEST(loses_nothing_while_the_program_is_busy),
        TEST(says_that_nobody_listens),
        TEST(takes_a_closed_connection_for_a_gap),
        TEST(does_not_try_a_server_for_ever_that_takes_and_closes),
        TEST(sets_line_and_modem_lines_at_the_server),
        TEST(asks_for_hardware_flow_control),
        TEST(refuses_a_server_that_sets_another_baud_rate),
        TEST(says_that_a_server_hung_up_while_it_was_asked),
        TEST(notices_a_server_that_stands_still),
        TEST(leaves_a_server_alone_that_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
