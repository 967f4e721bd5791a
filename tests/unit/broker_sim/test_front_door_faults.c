/* A front door that misbehaves on request: ends without CONNACK, ends as a network does, silence. Real TLS, real Mosquitto. */
#include "base/clock.h"
#include "tests/unit/broker_sim/rig.h"

#include <errno.h>
#include <string.h>

#include "tests/cmocka.h"

static struct rig rig;
static struct identity identity;
static struct pki *identity_pki;

static int start(void **state)
{
    (void)state;
    rig_start(&rig, &(struct rig_options){.has_broker = true});
    device_identity(&rig, "dev-01", &identity, &identity_pki);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    sk_X509_free(identity.others);
    pki_free(identity_pki);
    rig_stop(&rig);
    return 0;
}

/* As far as CONNECT. */
static void open_device(struct client *client)
{
    struct bytes packet;
    bytes_init(&packet, 4096);
    put_connect(&packet, "dev-01", DPS_USER("dev-01"), 60, true);
    client_open(client, &rig, &(struct client_options){.identity = &identity, .sni = "localhost"});
    assert_string_equal(client->handshake_error, "");
    client_send(client, &packet);
    bytes_done(&packet);
}

static void open_session(struct client *client)
{
    open_device(client);
    client_expect(client, "\x20\x02\x00\x00", 4);
}

static void send_subscribe(struct client *client)
{
    struct bytes packet;
    bytes_init(&packet, 4096);
    put_subscribe(&packet, 1, "$dps/registrations/res/#", 1);
    client_send(client, &packet);
    bytes_done(&packet);
}

static void send_register(struct client *client)
{
    struct bytes packet;
    bytes_init(&packet, 4096);
    put_publish(&packet, "$dps/registrations/PUT/iotdps-register/?$rid=1", "", 0, 1, 7);
    client_send(client, &packet);
    bytes_done(&packet);
}

/* What the device's socket sees of the end. */
static const struct end {
    const char *how;
    bool has_close_notify;
    bool is_reset;
} ends[] = {{"close_notify", true, false}, {"fin", false, false}, {"reset", false, true}};

static void expect_end(struct client *client, const struct end *end, const char *stage, int index)
{
    char expected[64];
    snprintf(expected, sizeof expected, "service %s %s", end->how, stage);
    client_expect_end(client);
    assert_int_equal(client->has_close_notify, end->has_close_notify);
    assert_int_equal(client->end_errno == ECONNRESET, end->is_reset);
    client_free(client);
    assert_string_equal(rig_closed_how(&rig, index), expected);
}

static void a_connect_is_answered_with_each_kind_of_end_in_place_of_a_connack(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(ends); i++) {
        struct client client;
        rig.close_how = ends[i].how;
        open_device(&client);
        expect_end(&client, &ends[i], "connect", (int)i);
        rig_wait_count(&rig, &rig.closed_count, (int)i + 1);
    }
    assert_int_equal(rig_event_count(&rig, "mqtt.connack"), 0);
}

static void a_session_can_be_closed_in_each_way_at_once_and_later(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_COUNT(ends); i++) {
        const struct end *end = &ends[i / 2];
        struct client client;
        open_session(&client);
        int64_t before_us = clock_mono_us(&clock_system), after_ms = i % 2 ? 60 : 0;
        if (after_ms)
            front_door_close_later(rig.door, rig.last_session, after_ms, end->how);
        else
            front_door_close_session(rig.door, rig.last_session, end->how);
        expect_end(&client, end, "session", (int)i);
        assert_true(clock_mono_us(&clock_system) - before_us >= after_ms * 1000 - 2000);
        rig_wait_count(&rig, &rig.closed_count, (int)i + 1);
    }
}

static void what_goes_down_does_not_put_off_a_later_close(void **state)
{
    (void)state;
    struct client client;
    open_session(&client);
    send_subscribe(&client);
    client_expect(&client, "\x90\x03\x00\x01\x01", 5);
    front_door_close_later(rig.door, rig.last_session, 400, "fin");
    send_register(&client);
    client_wait_bytes(&client, 20);
    rig_turn_ms(&rig, 100);
    assert_int_equal(rig_event_count(&rig, "connection.closed"), 0);
    client_free(&client);
}

static void after_the_last_reply_comes_the_end_that_was_asked_for(void **state)
{
    (void)state;
    struct client client;
    open_session(&client);
    send_subscribe(&client);
    client_expect(&client, "\x90\x03\x00\x01\x01", 5);
    front_door_close_after_reply(rig.door, rig.last_session, 20, 60000, "reset");
    send_register(&client);
    client_wait_bytes(&client, 40);
    client_send_raw(&client, "\x40\x02\x00\x01", 4);
    assert_string_equal(rig_closed_how(&rig, 0), "service reset session");
    client_free(&client);
}

/* What comes before the silence, what the device may still do, and that its own end is noticed. */
static void silence(enum admission_silence from, bool has_connack, bool has_suback)
{
    struct client client;
    rig.silence = from;
    open_device(&client);
    if (has_connack)
        client_expect(&client, "\x20\x02\x00\x00", 4);
    send_subscribe(&client);
    if (has_suback)
        client_expect(&client, "\x90\x03\x00\x01\x01", 5);
    send_register(&client);
    rig_wait_count(&rig, &rig.up_count, 1);
    rig_turn_ms(&rig, 100);
    assert_int_equal(client.in.length_bytes, 0);
    assert_false(client.has_ended);
    assert_int_equal(rig_event_count(&rig, "mqtt.connack"), has_connack);
    assert_int_equal(rig_event_count(&rig, "mqtt.suback"), has_suback);
    assert_int_equal(rig_event_count(&rig, "mqtt.publish"), 1); /* up */
    assert_int_equal(rig_event_count(&rig, "mqtt.puback"), 0);
    client_close(&client);
    assert_string_equal(rig_closed_how(&rig, 0), "device close_notify session");
}

static void silence_after_connect(void **state)
{
    (void)state;
    silence(SILENCE_AFTER_CONNECT, false, false);
}

static void silence_after_connack(void **state)
{
    (void)state;
    silence(SILENCE_AFTER_CONNACK, true, false);
}

static void silence_after_suback(void **state)
{
    (void)state;
    silence(SILENCE_AFTER_SUBACK, true, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_connect_is_answered_with_each_kind_of_end_in_place_of_a_connack, start, stop),
        cmocka_unit_test_setup_teardown(a_session_can_be_closed_in_each_way_at_once_and_later, start, stop),
        cmocka_unit_test_setup_teardown(what_goes_down_does_not_put_off_a_later_close, start, stop),
        cmocka_unit_test_setup_teardown(after_the_last_reply_comes_the_end_that_was_asked_for, start, stop),
        cmocka_unit_test_setup_teardown(silence_after_connect, start, stop),
        cmocka_unit_test_setup_teardown(silence_after_connack, start, stop),
        cmocka_unit_test_setup_teardown(silence_after_suback, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
