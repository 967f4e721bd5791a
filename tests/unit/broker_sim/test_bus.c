/* The bus against a stub that stands in for Mosquitto: it sees each byte and says what it likes. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/files.h"
#include "broker_sim/bus/bus.h"
#include "broker_sim/bus/bus_link.h"
#include "broker_sim/mqtt/ack.h"
#include "broker_sim/mqtt/connack.h"
#include "broker_sim/mqtt/framer.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/cmocka.h"

enum { WAIT_MS = 30000, CHUNK_BYTES = 256 * 1024, SAID_MAX_BYTES = 64 * 1024 * 1024 };

struct rig {
    char dir[64], path[96];
    uv_loop_t loop;
    struct bus *bus;
    int listen_fd, peer_fd;
    struct mqtt_framer framer;
    struct bytes said;       /* what the bus said, a line a packet */
    uint16_t last_packet_id; /* of a PUBLISH */
    size_t payload_bytes;
    int ready_count, lost_count;
    struct bytes got; /* messages that the bus delivered: "TOPIC LENGTH FIRST LAST\n" */
};

/* What the bus says. */

static int on_packet(void *user, const struct mqtt_header *header, const uint8_t *body, size_t length_bytes, struct error *error)
{
    struct rig *rig = user;
    (void)error;
    unsigned packet_id = header->type == MQTT_PUBACK && length_bytes == 2 ? (unsigned)(body[0] << 8 | body[1]) : 0;
    return bytes_printf(&rig->said, packet_id ? "%s %u\n" : "%s\n", mqtt_type_name(header->type), packet_id);
}

static int on_publish(void *user, const struct mqtt_publish *publish, struct error *error)
{
    struct rig *rig = user;
    (void)error;
    if (publish->packet_id)
        rig->last_packet_id = publish->packet_id;
    rig->payload_bytes += publish->payload_bytes;
    return bytes_printf(&rig->said, "PUBLISH q%u %.*s\n", publish->qos, (int)publish->topic.length_bytes,
                        (const char *)publish->topic.data);
}

static int on_payload(void *user, const uint8_t *data, size_t length_bytes, struct error *error)
{
    (void)user, (void)data, (void)length_bytes, (void)error;
    return 0;
}

/* Returns what recv() did. */
static ssize_t listen_once(struct rig *rig)
{
    static uint8_t chunk[CHUNK_BYTES];
    const struct mqtt_framer_callbacks callbacks = {rig, on_packet, on_publish, on_payload};
    size_t used;
    ssize_t got = recv(rig->peer_fd, chunk, sizeof chunk, MSG_DONTWAIT);
    if (got > 0)
        assert_int_equal(mqtt_framer_feed(&rig->framer, &callbacks, chunk, (size_t)got, &used, NULL), 0);
    return got;
}

static void await_said(struct rig *rig, const char *wanted)
{
    deadline_t deadline = deadline_in_ms(&clock_system, WAIT_MS);
    while (!strstr(bytes_text(&rig->said), wanted)) {
        if (deadline_has_passed(&clock_system, deadline))
            fail_msg("'%s' was not said, but '%s'", wanted, bytes_text(&rig->said));
        uv_run(&rig->loop, UV_RUN_NOWAIT);
        if (rig->peer_fd >= 0)
            listen_once(rig);
    }
}

/* What the stub says. */

static void say(struct rig *rig, const void *data, size_t length_bytes)
{
    assert_int_equal(send(rig->peer_fd, data, length_bytes, MSG_NOSIGNAL), (ssize_t)length_bytes);
}

static void say_ack(struct rig *rig, enum mqtt_type type, uint16_t packet_id)
{
    CLEANUP(bytes_done) struct bytes out;
    bytes_init(&out, 64);
    assert_int_equal(mqtt_write_ack(&out, type, packet_id), 0);
    say(rig, out.data, out.length_bytes);
}

static void say_connack(struct rig *rig, uint8_t return_code)
{
    const uint8_t connack[] = {0x20, 2, 0, return_code};
    say(rig, connack, sizeof connack);
}

static void accept_peer(struct rig *rig)
{
    deadline_t deadline = deadline_in_ms(&clock_system, WAIT_MS);
    mqtt_framer_init(&rig->framer, 64 * 1024, MQTT_REMAINING_MAX_BYTES);
    bytes_clear(&rig->said);
    for (rig->peer_fd = -1; rig->peer_fd < 0;) {
        if (deadline_has_passed(&clock_system, deadline))
            fail_msg("the bus does not connect");
        uv_run(&rig->loop, UV_RUN_NOWAIT);
        rig->peer_fd = accept4(rig->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }
    await_said(rig, "CONNECT\n");
}

/* Until all filters are subscribed. */
static void serve(struct rig *rig)
{
    static const uint8_t suback[] = {0x90, 3, 0, 1, 0};
    int before = rig->ready_count;
    accept_peer(rig);
    say_connack(rig, 0);
    await_said(rig, "SUBSCRIBE\n");
    say(rig, suback, sizeof suback);
    while (rig->ready_count == before)
        uv_run(&rig->loop, UV_RUN_ONCE);
}

static void hang_up(struct rig *rig)
{
    int before = rig->lost_count;
    close(rig->peer_fd);
    rig->peer_fd = -1;
    mqtt_framer_done(&rig->framer);
    while (rig->lost_count == before)
        uv_run(&rig->loop, UV_RUN_ONCE);
}

/* The bus. */

static void on_ready(void *user)
{
    ((struct rig *)user)->ready_count++;
}

static void on_lost(void *user, const char *reason)
{
    assert_non_null(reason);
    ((struct rig *)user)->lost_count++;
}

static void on_message(void *user, const char *topic, const void *payload, size_t length_bytes)
{
    const char *text = payload;
    bytes_printf(&((struct rig *)user)->got, "%s %zu %c %c\n", topic, length_bytes, text ? text[0] : '-',
                 text ? text[length_bytes - 1] : '-');
}

static void set_up(struct rig *rig, int qos, bool forgets_on_loss)
{
    static const char *const filters[] = {"x/#"};
    *rig = (struct rig){.dir = "/tmp/dpsbench-bus-XXXXXX", .peer_fd = -1};
    assert_non_null(mkdtemp(rig->dir));
    snprintf(rig->path, sizeof rig->path, "%s/socket", rig->dir);
    bytes_init(&rig->said, SAID_MAX_BYTES);
    bytes_init(&rig->got, SAID_MAX_BYTES);
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    strcpy(name.sun_path, rig->path);
    rig->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(rig->listen_fd, (struct sockaddr *)&name, sizeof name), 0);
    assert_int_equal(listen(rig->listen_fd, 8), 0);
    uv_loop_init(&rig->loop);
    const struct bus_options options = {.loop = &rig->loop,
                                        .client_id = "test",
                                        .filters = filters,
                                        .filter_count = 1,
                                        .qos = qos,
                                        .forgets_on_loss = forgets_on_loss,
                                        .callbacks = {.user = rig, .ready = on_ready, .lost = on_lost, .message = on_message}};
    rig->bus = bus_new(&options);
    assert_non_null(rig->bus);
    bus_start(rig->bus, rig->path);
}

static void tear_down(struct rig *rig)
{
    bus_free(rig->bus);
    uv_run(&rig->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
    mqtt_framer_done(&rig->framer);
    if (rig->peer_fd >= 0)
        close(rig->peer_fd);
    close(rig->listen_fd);
    bytes_done(&rig->said);
    bytes_done(&rig->got);
    dir_remove(rig->dir, NULL);
}

static void publish(struct rig *rig, const char *topic)
{
    assert_int_equal(bus_publish(rig->bus, topic, "payload", 7), 0);
}

static void turn_until_queued(struct rig *rig, size_t count)
{
    deadline_t deadline = deadline_in_ms(&clock_system, WAIT_MS);
    while (bus_queued_count(rig->bus) != count && !deadline_has_passed(&clock_system, deadline))
        uv_run(&rig->loop, UV_RUN_NOWAIT);
    assert_int_equal(bus_queued_count(rig->bus), count);
}

/* A loop that nothing wakes would wait for ever. */
static void turn_when_woken(struct rig *rig)
{
    struct pollfd backend = {.fd = uv_backend_fd(&rig->loop), .events = POLLIN};
    assert_int_equal(poll(&backend, 1, WAIT_MS), 1);
    uv_run(&rig->loop, UV_RUN_NOWAIT);
}

/* Tests. */

static void what_a_turn_publishes_leaves_together_and_is_acknowledged_together(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig, 0, false);
    serve(&rig);
    bytes_clear(&rig.said);
    publish(&rig, "a");
    publish(&rig, "b");
    publish(&rig, "c");
    assert_int_equal(listen_once(&rig), -1); /* nothing before the turn is over */
    uv_run(&rig.loop, UV_RUN_NOWAIT);
    listen_once(&rig);
    assert_string_equal(bytes_text(&rig.said), "PUBLISH q0 a\nPUBLISH q0 b\nPUBLISH q0 c\nPUBLISH q1 dpsbench/v1/mark\n");
    assert_int_equal(bus_queued_count(rig.bus), 3);
    publish(&rig, "d"); /* behind the mark: this PUBACK says nothing about it */
    uv_run(&rig.loop, UV_RUN_NOWAIT);
    say_ack(&rig, MQTT_PUBACK, rig.last_packet_id);
    turn_until_queued(&rig, 1);
    await_said(&rig, "PUBLISH q0 d\nPUBLISH q1 dpsbench/v1/mark\n");
    say_ack(&rig, MQTT_PUBACK, rig.last_packet_id);
    turn_until_queued(&rig, 0);
    tear_down(&rig);
}

static void what_was_not_acknowledged_is_sent_again_after_a_loss(void **state)
{
    (void)state;
    for (int qos = 0; qos <= 1; qos++) {
        struct rig rig;
        set_up(&rig, qos, false);
        publish(&rig, "early"); /* before anybody is there */
        serve(&rig);
        publish(&rig, "late");
        await_said(&rig, "late\n");
        hang_up(&rig);
        publish(&rig, "meanwhile");
        serve(&rig);
        await_said(&rig, "meanwhile\n");
        const char *said = bytes_text(&rig.said), *early = strstr(said, "early\n"), *late = strstr(said, "late\n");
        assert_non_null(early);
        assert_true(late > early && strstr(said, "meanwhile\n") > late);
        assert_int_equal(bus_queued_count(rig.bus), 3);
        for (uint16_t id = (uint16_t)(qos ? rig.last_packet_id - 2 : rig.last_packet_id); id <= rig.last_packet_id; id++)
            say_ack(&rig, MQTT_PUBACK, id);
        turn_until_queued(&rig, 0);
        tear_down(&rig);
    }
}

static void at_qos_1_each_message_is_acknowledged_by_itself(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig, 1, false);
    serve(&rig);
    publish(&rig, "a");
    await_said(&rig, "PUBLISH q1 a\n");
    uint16_t first = rig.last_packet_id;
    publish(&rig, "b");
    await_said(&rig, "PUBLISH q1 b\n");
    assert_null(strstr(bytes_text(&rig.said), "mark"));
    say_ack(&rig, MQTT_PUBACK, rig.last_packet_id); /* out of order: it acknowledges nothing */
    say_ack(&rig, MQTT_PUBACK, first);
    turn_until_queued(&rig, 1);
    tear_down(&rig);
}

static void who_forgets_on_loss_sends_nothing_again(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig, 1, true);
    assert_int_equal(bus_publish(rig.bus, "early", "x", 1), -1);
    serve(&rig);
    publish(&rig, "a");
    await_said(&rig, "PUBLISH q1 a\n");
    hang_up(&rig);
    assert_int_equal(bus_queued_count(rig.bus), 0);
    serve(&rig);
    publish(&rig, "b");
    await_said(&rig, "PUBLISH q1 b\n");
    assert_null(strstr(bytes_text(&rig.said), "PUBLISH q1 a\n"));
    tear_down(&rig);
}

static void what_comes_in_pieces_arrives_whole_and_is_acknowledged(void **state)
{
    (void)state;
    static const uint8_t packets[] = {0x32, 10, 0, 3, 'x', '/', '1', 0, 9, 'a', 'b', 'c', 0x30, 5, 0, 3, 'x', '/', '2'};
    struct rig rig;
    set_up(&rig, 0, false);
    serve(&rig);
    for (size_t i = 0; i < sizeof packets; i++) {
        say(&rig, packets + i, 1);
        uv_run(&rig.loop, UV_RUN_NOWAIT);
    }
    await_said(&rig, "PUBACK 9\n");
    say(&rig, packets, sizeof packets);
    while (rig.got.length_bytes < 2 * strlen("x/1 3 a c\nx/2 0 - -\n"))
        uv_run(&rig.loop, UV_RUN_ONCE);
    assert_string_equal(bytes_text(&rig.got), "x/1 3 a c\nx/2 0 - -\nx/1 3 a c\nx/2 0 - -\n");
    tear_down(&rig);
}

static void a_refusal_and_nonsense_end_the_connection_and_it_tries_again(void **state)
{
    (void)state;
    static const uint8_t nonsense[] = {0xf0, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct rig rig;
    set_up(&rig, 0, false);
    accept_peer(&rig);
    say_connack(&rig, 5);
    close(rig.peer_fd);
    serve(&rig);
    say(&rig, nonsense, sizeof nonsense);
    while (rig.lost_count == 0)
        uv_run(&rig.loop, UV_RUN_ONCE);
    close(rig.peer_fd);
    serve(&rig);
    tear_down(&rig);
}

static void what_mosquitto_does_not_read_waits_and_arrives_later_whole(void **state)
{
    (void)state;
    enum { COUNT = 3000, BYTES = 4000 };
    static uint8_t payload[BYTES];
    struct rig rig;
    set_up(&rig, 0, false);
    serve(&rig);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(bus_publish(rig.bus, "much", payload, sizeof payload), 0);
    for (int i = 0; i < 10; i++)
        uv_run(&rig.loop, UV_RUN_NOWAIT);
    assert_int_equal(bus_queued_count(rig.bus), COUNT);
    for (uint16_t acknowledged = 0; bus_queued_count(rig.bus); turn_when_woken(&rig)) {
        listen_once(&rig);
        if (rig.last_packet_id != acknowledged)
            say_ack(&rig, MQTT_PUBACK, rig.last_packet_id);
        acknowledged = rig.last_packet_id;
    }
    assert_int_equal(rig.payload_bytes, (size_t)COUNT * BYTES);
    tear_down(&rig);
}

static void a_message_beyond_the_limit_is_dropped_and_the_next_one_comes(void **state)
{
    (void)state;
    enum { PAYLOAD_BYTES = BUS_LINK_MESSAGE_MAX_BYTES + 1 };
    static const uint8_t next[] = {0x30, 6, 0, 3, 'x', '/', '2', '!'};
    static uint8_t piece[CHUNK_BYTES];
    struct rig rig;
    CLEANUP(bytes_done) struct bytes head;
    bytes_init(&head, 64);
    const struct mqtt_publish publish = {.topic = {(const uint8_t *)"x/1", 3}, .payload_bytes = PAYLOAD_BYTES};
    set_up(&rig, 0, false);
    serve(&rig);
    assert_int_equal(mqtt_write_publish_head(&head, "", &publish), 0);
    say(&rig, head.data, head.length_bytes);
    for (size_t left = PAYLOAD_BYTES; left;) {
        ssize_t put = send(rig.peer_fd, piece, left < sizeof piece ? left : sizeof piece, MSG_NOSIGNAL | MSG_DONTWAIT);
        left -= put > 0 ? (size_t)put : 0;
        uv_run(&rig.loop, UV_RUN_NOWAIT);
    }
    say(&rig, next, sizeof next);
    while (rig.got.length_bytes == 0)
        uv_run(&rig.loop, UV_RUN_ONCE);
    assert_string_equal(bytes_text(&rig.got), "x/2 1 ! !\n");
    assert_int_equal(rig.lost_count, 0);
    tear_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_turn_publishes_leaves_together_and_is_acknowledged_together),
        cmocka_unit_test(what_was_not_acknowledged_is_sent_again_after_a_loss),
        cmocka_unit_test(at_qos_1_each_message_is_acknowledged_by_itself),
        cmocka_unit_test(who_forgets_on_loss_sends_nothing_again),
        cmocka_unit_test(what_comes_in_pieces_arrives_whole_and_is_acknowledged),
        cmocka_unit_test(a_refusal_and_nonsense_end_the_connection_and_it_tries_again),
        cmocka_unit_test(what_mosquitto_does_not_read_waits_and_arrives_later_whole),
        cmocka_unit_test(a_message_beyond_the_limit_is_dropped_and_the_next_one_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
