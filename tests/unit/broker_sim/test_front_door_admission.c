/* CONNECT and what comes of it: refusals, the gate, violations, deadlines, limits. Real TLS, real Mosquitto. */
#include "tests/unit/broker_sim/rig.h"

#include "base/child.h"
#include "base/clock.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/cmocka.h"

enum { SLACK = 3 }; /* a second is promised; this machine may be busy */

static struct rig rig;
static struct identity device;
static struct pki *device_pki;

static void start_with(struct rig_options options)
{
    rig_start(&rig, &options);
    device_identity(&rig, "dev-01", &device, &device_pki);
}

static int start(void **state)
{
    (void)state;
    start_with((struct rig_options){.has_broker = true});
    return 0;
}

static int start_fast(void **state)
{
    (void)state;
    start_with((struct rig_options){.has_broker = true, .time_scale = 10});
    return 0;
}

static int start_alone(void **state)
{
    (void)state;
    start_with((struct rig_options){.has_broker = false, .connect_deadline_ms = 400, .sessions_max = 2});
    return 0;
}

static int stop(void **state)
{
    (void)state;
    sk_X509_free(device.others);
    pki_free(device_pki);
    rig_stop(&rig);
    return 0;
}

static void open_tls(struct client *client)
{
    client_open(client, &rig, &(struct client_options){.identity = &device, .sni = "localhost"});
    assert_string_equal(client->handshake_error, "");
}

static void send_connect(struct client *client, const char *user_name, uint16_t keep_alive_s)
{
    struct bytes packet;
    bytes_init(&packet, 4096);
    put_connect(&packet, "dev-01", user_name, keep_alive_s, true);
    client_send(client, &packet);
    bytes_done(&packet);
}

/* Refusals. */

static void every_return_code_reaches_a_device_that_sends_on_behind_connect(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        struct client client;
        struct bytes packets;
        char connack[4] = {0x20, 2, 0, (char)(1 + round % 5)};
        rig.refuse_with = 1 + round % 5;
        open_tls(&client);
        bytes_init(&packets, 1024 * 1024);
        put_connect(&packets, "dev-01", DPS_USER("dev-01"), 0, true);
        put_subscribe(&packets, 1, "$dps/registrations/res/#", 1);
        for (int i = 0; i < 100; i++)
            put_publish(&packets, "$dps/registrations/PUT/iotdps-register/?$rid=1", "0123456789", 10, 1, 7);
        client_send(&client, &packets);
        client_expect(&client, connack, 4);
        client_expect_end(&client);
        assert_true(client.has_close_notify);
        assert_int_equal(client.end_errno, 0);
        bytes_done(&packets);
        client_free(&client);
        assert_string_equal(rig_closed_how(&rig, round), "service refused connect");
    }
    assert_int_equal(json_integer(rig_event_data(&rig, "mqtt.connack", 4), "return_code", 0), 5);
    assert_int_equal(rig.closed_count, rig.connect_count);
}

static void a_refusal_ends_also_when_the_device_does_not_close(void **state)
{
    (void)state;
    struct client client;
    rig.refuse_with = 5;
    open_tls(&client);
    send_connect(&client, DPS_USER("dev-01"), 0);
    client_expect(&client, "\x20\x02\x00\x05", 4);
    client_expect_end(&client);
    assert_string_equal(rig_closed_how(&rig, 0), "service refused connect"); /* after 2 s: the client keeps its socket open */
    assert_int_equal(front_door_counts(rig.door).lingers_cut, 1);
    client_free(&client);
}

static void the_policy_sees_handshake_and_connect(void **state)
{
    (void)state;
    struct client client;
    open_tls(&client);
    send_connect(&client, DPS_USER("dev-01"), 60);
    client_expect(&client, "\x20\x02\x00\x00", 4);
    const struct session *session = front_door_session(rig.door, rig.last_session);
    assert_non_null(session);
    assert_string_equal(session->lane, "main");
    assert_string_equal(session->sni, "localhost");
    assert_string_equal(session->tls_version, "TLSv1.2");
    assert_string_equal(session->client_id, "dev-01");
    assert_string_equal(session->user_name, DPS_USER("dev-01"));
    assert_null(session->password);
    assert_int_equal(session->keep_alive_s, 60);
    assert_int_equal(session->endpoint, SESSION_ENDPOINT_DPS);
    assert_int_equal(sk_X509_num(session->chain), 2);
    assert_int_equal(X509_cmp(sk_X509_value(session->chain, 0), device.leaf), 0);
    client_close(&client);
}

static void a_password_stands_in_the_session_and_in_no_event(void **state)
{
    (void)state;
    static const uint8_t packet[] = {0x10, 25, 0, 4,   'M', 'Q', 'T', 'T', 4,   0xc2, 0,   0,   0,  1,
                                     'd',  0,  1, 'u', 0,   7,   's', 'e', 'c', 'r',  'e', 't', '!'};
    struct client client;
    open_tls(&client);
    client_send_raw(&client, packet, sizeof packet);
    client_expect(&client, "\x20\x02\x00\x00", 4);
    assert_string_equal(front_door_session(rig.door, rig.last_session)->password, "secret!");
    assert_true(json_bool(rig_event_data(&rig, "mqtt.connect", 0), "has_password", false));
    assert_string_equal(json_string(rig_event_data(&rig, "mqtt.connect", 0), "endpoint", ""), "unknown");
    client_close(&client);
    char *events = json_print_line(rig.events);
    assert_null(strstr(events, "secret"));
    free(events);
}

static void other_protocol_levels_are_answered_in_their_own_form(void **state)
{
    (void)state;
    static const struct {
        const char *packet;
        size_t length;
        const char *answer;
        size_t answer_bytes;
        int level;
    } rows[] = {
        {"\x10\x0f\x00\x06MQIsdp\x03\x02\x00\x00\x00\x01"
         "d",
         17, "\x20\x02\x00\x01", 4, 3},
        {"\x10\x0e\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01"
         "d",
         16, "\x20\x03\x00\x84\x00", 5, 5},
        {"\x10\x0d\x00\x04MQTT\x09\x02\x00\x00\x00\x01"
         "d",
         15, "\x20\x02\x00\x01", 4, 9},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct client client;
        open_tls(&client);
        client_send_raw(&client, rows[i].packet, rows[i].length);
        client_expect(&client, rows[i].answer, rows[i].answer_bytes);
        client_expect_end(&client);
        client_free(&client);
        assert_int_equal(json_integer(rig_event_data(&rig, "mqtt.connect", (int)i), "protocol_level", 0), rows[i].level);
    }
    assert_int_equal(rig.connect_count, 0);
}

static void an_empty_client_id_without_clean_session_is_refused_with_2(void **state)
{
    (void)state;
    struct client client;
    struct bytes packet;
    open_tls(&client);
    bytes_init(&packet, 4096);
    put_connect(&packet, "", DPS_USER("dev-01"), 0, false);
    client_send(&client, &packet);
    client_expect(&client, "\x20\x02\x00\x02", 4);
    client_expect_end(&client);
    bytes_done(&packet);
    client_free(&client);
}

/* Violations. */

struct violation {
    const char *reason;
    const char *bytes;
    size_t length;
};
#define VIOLATION(reason, text)                                                                                                            \
    {                                                                                                                                      \
        reason, text, sizeof(text) - 1                                                                                                     \
    }

static void whoever_breaks_mqtt_before_connack_is_closed_without_one(void **state)
{
    (void)state;
    static const struct violation rows[] = {
        VIOLATION("PINGREQ before CONNECT", "\xc0\x00"),
        VIOLATION("PUBLISH before CONNECT", "\x30\x03\x00\x01"
                                            "a"),
        VIOLATION("CONNECT with flags 1", "\x11\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01"
                                          "d"),
        VIOLATION("CONNECT with its reserved flag set", "\x10\x0d\x00\x04MQTT\x04\x03\x00\x00\x00\x01"
                                                        "d"),
        VIOLATION("CONNECT with a password but no user name", "\x10\x10\x00\x04MQTT\x04\x42\x00\x00\x00\x01"
                                                              "d\x00\x01p"),
        VIOLATION("CONNECT with a protocol name that is not MQTT", "\x10\x0d\x00\x04MQTX\x04\x02\x00\x00\x00\x01"
                                                                   "d"),
        VIOLATION("CONNECT with 1 bytes too many", "\x10\x0e\x00\x04MQTT\x04\x02\x00\x00\x00\x01"
                                                   "dx"),
        VIOLATION("the client id is not UTF-8 without U+0000", "\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01\x00"),
        VIOLATION("the packet ends inside its client id", "\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x09"
                                                          "d"),
        VIOLATION("a will with QoS 2", "\x10\x13\x00\x04MQTT\x04\x16\x00\x00\x00\x01"
                                       "d\x00\x01w\x00\x01x"),
        VIOLATION("a will with an empty topic", "\x10\x12\x00\x04MQTT\x04\x0e\x00\x00\x00\x01"
                                                "d\x00\x00\x00\x01x"),
        VIOLATION("a remaining length of more than four bytes", "\x10\xff\xff\xff\xff\x01"),
        VIOLATION("CONNECT of 268435455 bytes; the limit is 131072", "\x10\xff\xff\xff\x7f"),
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct client client;
        open_tls(&client);
        client_send_raw(&client, rows[i].bytes, rows[i].length);
        client_expect_end(&client);
        client_free(&client);
        assert_string_equal(json_string(rig_event_data(&rig, "mqtt.violation", (int)i), "reason", ""), rows[i].reason);
        assert_string_equal(rig_closed_how(&rig, (int)i), "service violation connect");
    }
    assert_int_equal(rig.connect_count, 0);
    assert_int_equal(rig_event_count(&rig, "mqtt.connack"), 0);
}

static void whoever_breaks_mqtt_in_a_session_is_closed(void **state)
{
    (void)state;
    static const struct violation rows[] = {
        VIOLATION("a second CONNECT", "\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01"
                                      "d"),
        VIOLATION("CONNACK from a device", "\x20\x02\x00\x00"),
        VIOLATION("SUBACK from a device", "\x90\x03\x00\x01\x00"),
        VIOLATION("UNSUBACK from a device", "\xb0\x02\x00\x01"),
        VIOLATION("PINGRESP from a device", "\xd0\x00"),
        VIOLATION("PUBREC from a device", "\x50\x02\x00\x01"),
        VIOLATION("PUBREL from a device", "\x62\x02\x00\x01"),
        VIOLATION("PUBCOMP from a device", "\x70\x02\x00\x01"),
        VIOLATION("reserved from a device", "\x00\x00"),
        VIOLATION("reserved from a device", "\xf0\x00"),
        VIOLATION("PUBLISH with QoS 2", "\x34\x05\x00\x01"
                                        "a\x00\x01"),
        VIOLATION("PUBLISH with QoS 3", "\x36\x05\x00\x01"
                                        "a\x00\x01"),
        VIOLATION("PUBLISH with DUP at QoS 0", "\x38\x03\x00\x01"
                                               "a"),
        VIOLATION("packet id 0", "\x32\x05\x00\x01"
                                 "a\x00\x00"),
        VIOLATION("an empty topic", "\x30\x02\x00\x00"),
        VIOLATION("a wildcard in a topic", "\x30\x03\x00\x01#"),
        VIOLATION("the topic is not UTF-8 without U+0000", "\x30\x03\x00\x01\xff"),
        VIOLATION("PUBLISH of 3 bytes is too short for its topic", "\x30\x03\x00\x02"
                                                                   "a"),
        VIOLATION("PUBLISH with a payload of 262145 bytes; the limit is 262144", "\x30\x84\x80\x10\x00\x01"
                                                                                 "a"),
        VIOLATION("an empty filter", "\x82\x05\x00\x01\x00\x00\x00"),
        VIOLATION("a misplaced wildcard in a filter", "\x82\x07\x00\x01\x00\x02"
                                                      "a#\x00"),
        VIOLATION("SUBSCRIBE with flags 0", "\x80\x06\x00\x01\x00\x01"
                                            "a\x00"),
        VIOLATION("SUBSCRIBE with QoS 3", "\x82\x06\x00\x01\x00\x01"
                                          "a\x03"),
        VIOLATION("SUBSCRIBE without a filter", "\x82\x02\x00\x01"),
        VIOLATION("UNSUBSCRIBE without a filter", "\xa2\x02\x00\x01"),
        VIOLATION("PINGREQ with flags 0 and 1 bytes", "\xc0\x01x"),
        VIOLATION("PUBACK with flags 0 and 3 bytes", "\x40\x03\x00\x01x"),
        VIOLATION("PUBLISH to 'no/go', where this device may not publish", "\x30\x07\x00\x05no/go"),
    };
    rig.refused_topic = "no/go";
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct client client;
        open_tls(&client);
        client_connect(&client, "dev-01");
        client_send_raw(&client, rows[i].bytes, rows[i].length);
        client_expect_end(&client);
        client_free(&client);
        assert_string_equal(json_string(rig_event_data(&rig, "mqtt.violation", (int)i), "reason", ""), rows[i].reason);
        assert_string_equal(rig_closed_how(&rig, (int)i), "service violation session");
    }
    assert_int_equal(front_door_counts(rig.door).violations, ARRAY_COUNT(rows));
}

static void a_topic_that_is_too_long_behind_the_prefix_is_a_violation(void **state)
{
    (void)state;
    struct client client;
    struct bytes packet;
    char *topic = malloc(65536);
    memset(topic, 'a', 65535);
    topic[65535] = 0;
    open_tls(&client);
    client_connect(&client, "dev-01");
    bytes_init(&packet, 1024 * 1024);
    put_publish(&packet, topic, "", 0, 0, 0);
    client_send(&client, &packet);
    client_expect_end(&client);
    assert_string_equal(rig_closed_how(&rig, 0), "service violation session");
    bytes_done(&packet);
    free(topic);
    client_free(&client);
}

/* The gate, and Mosquitto's death. */

static void while_mosquitto_restarts_a_connect_is_held_and_then_served(void **state)
{
    (void)state;
    struct client old, client;
    open_tls(&old);
    client_connect(&old, "dev-01");
    int64_t before = clock_mono_us(&clock_system);
    int pid = broker_pid(rig.broker);
    kill(pid, SIGKILL);
    client_expect_end(&old);
    assert_true(old.has_close_notify);
    client_free(&old);
    assert_string_equal(rig_closed_how(&rig, 0), "broker broker_down session");
    open_tls(&client);
    client_connect(&client, "dev-02");
    assert_true(clock_mono_us(&clock_system) - before < 1000 * 1000 * (SLACK));
    assert_int_equal(rig.down_count, 1);
    assert_int_equal(rig.up_count, 2);
    assert_int_not_equal(broker_pid(rig.broker), pid);
    rig_wait_count(&rig, &rig.closed_count, 1);
    client_close(&client);
}

static void a_frozen_mosquitto_costs_a_device_ten_seconds_and_connack_3(void **state)
{
    (void)state;
    struct client client;
    kill(broker_pid(rig.broker), SIGSTOP);
    open_tls(&client);
    send_connect(&client, DPS_USER("dev-01"), 0);
    client_expect(&client, "\x20\x02\x00\x03", 4);
    client_expect_end(&client);
    kill(broker_pid(rig.broker), SIGCONT);
    client_free(&client);
    assert_string_equal(rig_closed_how(&rig, 0), "broker timeout connect");
}

static void before_a_shut_gate_a_connect_is_held_five_seconds_and_refused_with_3(void **state)
{
    (void)state;
    struct client client;
    open_tls(&client);
    int64_t before = clock_mono_us(&clock_system);
    send_connect(&client, DPS_USER("dev-01"), 0);
    client_expect(&client, "\x20\x02\x00\x03", 4);
    assert_true(clock_mono_us(&clock_system) - before >= 4900000);
    client_expect_end(&client);
    client_free(&client);
    assert_string_equal(rig_closed_how(&rig, 0), "broker broker_down connect");
    assert_int_equal(rig.connect_count, 0);
    assert_int_equal(rig.closed_count, 0);
}

static void shutting_the_gate_closes_every_session(void **state)
{
    (void)state;
    struct client clients[3];
    for (int i = 0; i < 3; i++) {
        open_tls(&clients[i]);
        client_connect(&clients[i], "dev-01");
    }
    front_door_set_gate(rig.door, false);
    for (int i = 0; i < 3; i++) {
        client_expect_end(&clients[i]);
        client_free(&clients[i]);
        assert_string_equal(rig_closed_how(&rig, i), "broker broker_down session");
    }
    rig_wait_count(&rig, &rig.closed_count, 3);
}

/* Deadlines and limits. */

static void silence_beyond_one_and_a_half_keep_alives_ends_a_session(void **state)
{
    (void)state;
    struct client client;
    open_tls(&client);
    send_connect(&client, DPS_USER("dev-01"), 4); /* 6 s, at scale 10: 600 ms */
    client_expect(&client, "\x20\x02\x00\x00", 4);
    rig_turn_ms(&rig, 400);
    client_send_raw(&client, "\xc0\x00", 2);
    client_expect(&client, "\xd0\x00", 2);
    int64_t before = clock_mono_us(&clock_system);
    client_expect_end(&client);
    int64_t took = clock_mono_us(&clock_system) - before;
    assert_true(took >= 500000);
    client_free(&client);
    assert_string_equal(rig_closed_how(&rig, 0), "service timeout session");
}

static void keep_alive_0_means_none(void **state)
{
    (void)state;
    struct client client;
    open_tls(&client);
    send_connect(&client, DPS_USER("dev-01"), 0);
    client_expect(&client, "\x20\x02\x00\x00", 4);
    rig_turn_ms(&rig, 1000);
    assert_int_equal(rig_event_count(&rig, "connection.closed"), 0);
    client_close(&client);
}

static void peers_that_send_nothing_or_too_slowly_are_closed_at_the_deadline_and_counted(void **state)
{
    (void)state;
    struct client silent, slow;
    client_open_tcp(&silent, &rig, 0);
    open_tls(&slow);
    client_send_raw(&slow, "\x10", 1);
    rig_turn_ms(&rig, 200);
    client_send_raw(&slow, "\x0d", 1);
    client_expect_end(&slow);
    char byte;
    while (recv(silent.fd, &byte, 1, 0) != 0)
        rig_turn(&rig);
    client_free(&silent);
    client_free(&slow);
    rig_closed_how(&rig, 1);
    assert_int_equal(front_door_counts(rig.door).deadlines_missed, 2);
    const cJSON *failed = rig_event_data(&rig, "tls.failed", 0);
    assert_string_equal(json_string(failed, "stage", ""), "tcp");
    int tcp = strcmp(rig_closed_how(&rig, 0), "service timeout tcp") == 0 ? 0 : 1;
    assert_string_equal(rig_closed_how(&rig, tcp), "service timeout tcp");
    assert_string_equal(rig_closed_how(&rig, !tcp), "service timeout connect");
}

static void more_sessions_than_allowed_are_closed_at_once(void **state)
{
    (void)state;
    struct client one, two, three;
    client_open_tcp(&one, &rig, 0);
    client_open_tcp(&two, &rig, 0);
    rig_event(&rig, "tcp.accepted", 1);
    client_open_tcp(&three, &rig, 0);
    assert_string_equal(rig_closed_how(&rig, 0), "service refused tcp");
    assert_int_equal(front_door_counts(rig.door).over_limit, 1);
    client_free(&one);
    client_free(&two);
    client_free(&three);
    assert_string_equal(rig_closed_how(&rig, 2), "device fin tcp");
    assert_int_equal(front_door_session_count(rig.door), 0);
}

static void the_end_of_the_front_door_ends_every_session_properly(void **state)
{
    (void)state;
    struct client client;
    open_tls(&client);
    client_connect(&client, "dev-01");
    front_door_free(rig.door);
    rig.door = NULL;
    assert_string_equal(rig_closed_how(&rig, 0), "service shutdown session");
    assert_int_equal(rig.closed_count, 1);
    client_expect_end(&client);
    assert_true(client.has_close_notify);
    client_free(&client);
}

enum { CROWD = 120 };

static void a_crowd_at_once_gets_in_though_mosquittos_backlog_is_ten(void **state)
{
    (void)state;
    static struct client clients[CROWD];
    for (int i = 0; i < CROWD; i++)
        open_tls(&clients[i]);
    kill(broker_pid(rig.broker), SIGSTOP);
    for (int i = 0; i < CROWD; i++)
        send_connect(&clients[i], DPS_USER("dev-01"), 0);
    rig_wait_count(&rig, &rig.connect_count, CROWD);
    rig_turn_ms(&rig, 50);
    kill(broker_pid(rig.broker), SIGCONT);
    for (int i = 0; i < CROWD; i++) {
        client_expect(&clients[i], "\x20\x02\x00\x00", 4);
        client_close(&clients[i]);
    }
    assert_true(front_door_counts(rig.door).upstream_retries > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_return_code_reaches_a_device_that_sends_on_behind_connect, start, stop),
        cmocka_unit_test_setup_teardown(a_refusal_ends_also_when_the_device_does_not_close, start, stop),
        cmocka_unit_test_setup_teardown(the_policy_sees_handshake_and_connect, start, stop),
        cmocka_unit_test_setup_teardown(a_password_stands_in_the_session_and_in_no_event, start, stop),
        cmocka_unit_test_setup_teardown(other_protocol_levels_are_answered_in_their_own_form, start, stop),
        cmocka_unit_test_setup_teardown(an_empty_client_id_without_clean_session_is_refused_with_2, start, stop),
        cmocka_unit_test_setup_teardown(whoever_breaks_mqtt_before_connack_is_closed_without_one, start, stop),
        cmocka_unit_test_setup_teardown(whoever_breaks_mqtt_in_a_session_is_closed, start, stop),
        cmocka_unit_test_setup_teardown(a_topic_that_is_too_long_behind_the_prefix_is_a_violation, start, stop),
        cmocka_unit_test_setup_teardown(while_mosquitto_restarts_a_connect_is_held_and_then_served, start, stop),
        cmocka_unit_test_setup_teardown(a_frozen_mosquitto_costs_a_device_ten_seconds_and_connack_3, start, stop),
        cmocka_unit_test_setup_teardown(before_a_shut_gate_a_connect_is_held_five_seconds_and_refused_with_3, start_alone, stop),
        cmocka_unit_test_setup_teardown(shutting_the_gate_closes_every_session, start, stop),
        cmocka_unit_test_setup_teardown(silence_beyond_one_and_a_half_keep_alives_ends_a_session, start_fast, stop),
        cmocka_unit_test_setup_teardown(keep_alive_0_means_none, start_fast, stop),
        cmocka_unit_test_setup_teardown(peers_that_send_nothing_or_too_slowly_are_closed_at_the_deadline_and_counted, start_alone, stop),
        cmocka_unit_test_setup_teardown(more_sessions_than_allowed_are_closed_at_once, start_alone, stop),
        cmocka_unit_test_setup_teardown(the_end_of_the_front_door_ends_every_session_properly, start, stop),
        cmocka_unit_test_setup_teardown(a_crowd_at_once_gets_in_though_mosquittos_backlog_is_ten, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
