/* What an admitted device gets: the relay, its topics, its end. Real TLS, real Mosquitto. */
#include "tests/unit/broker_sim/rig.h"

#include "base/clock.h"
#include "broker_sim/front_door/connection.h"

#include <linux/sockios.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "tests/cmocka.h"

static struct rig rig;
static struct identity device;
static struct pki *device_pki;

static int start(void **state)
{
    (void)state;
    const struct rig_options options = {.has_broker = true};
    rig_start(&rig, &options);
    device_identity(&rig, "dev-01", &device, &device_pki);
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

static void open_device(struct client *client, const char *id)
{
    client_open(client, &rig, &(struct client_options){.identity = &device, .sni = "localhost"});
    assert_string_equal(client->handshake_error, "");
    client_connect(client, id);
}

static void subscribe(struct client *client, const char *filter)
{
    struct bytes packet;
    bytes_init(&packet, 4096);
    put_subscribe(&packet, 1, filter, 1);
    client_send(client, &packet);
    client_expect(client, "\x90\x03\x00\x01\x01", 5);
    bytes_done(&packet);
}

static void send_register(struct client *client, const char *rid)
{
    char topic[128];
    struct bytes packet;
    bytes_init(&packet, 4096);
    snprintf(topic, sizeof topic, "$dps/registrations/PUT/iotdps-register/?$rid=%s", rid);
    put_publish(&packet, topic, "", 0, 1, 7);
    client_send(client, &packet);
    bytes_done(&packet);
}

static void expect_202(struct client *client)
{
    struct bytes body;
    assert_int_equal(client_read_packet(client, &body), 0x40);
    bytes_done(&body);
    assert_int_equal(client_read_packet(client, &body) & 0xf0, 0x30);
    assert_memory_equal(body.data + 2, "$dps/registrations/res/202/?$rid=1&retry-after=3", 48);
    bytes_done(&body);
}

static void two_devices_with_the_same_rid_get_their_own_reply_alone(void **state)
{
    (void)state;
    struct client one, two;
    open_device(&one, "dev-01");
    open_device(&two, "dev-02");
    subscribe(&one, "$dps/registrations/res/#");
    subscribe(&two, "$dps/registrations/res/#");
    send_register(&one, "1");
    expect_202(&one);
    send_register(&two, "1");
    expect_202(&two);
    rig_turn_ms(&rig, 50);
    client_send_raw(&one, "\xc0\x00", 2);
    client_expect(&one, "\xd0\x00", 2);
    client_send_raw(&two, "\xc0\x00", 2);
    client_expect(&two, "\xd0\x00", 2);
    client_close(&one);
    client_close(&two);
}

static void pipelined_packets_behind_connect_are_all_served(void **state)
{
    (void)state;
    struct client client;
    struct bytes packets, body;
    client_open(&client, &rig, &(struct client_options){.identity = &device});
    bytes_init(&packets, 65536);
    put_connect(&packets, "dev-01", DPS_USER("dev-01"), 0, true);
    put_subscribe(&packets, 1, "$dps/registrations/res/#", 1);
    put_publish(&packets, "$dps/registrations/PUT/iotdps-register/?$rid=1", "", 0, 1, 7);
    put_raw(&packets, "\xc0\x00", 2);
    client_send(&client, &packets);
    client_expect(&client, "\x20\x02\x00\x00\x90\x03\x00\x01\x01", 9);
    bool has_puback = false, has_pingresp = false, has_reply = false;
    while (!(has_puback && has_pingresp && has_reply)) {
        int first = client_read_packet(&client, &body);
        has_puback |= first == 0x40;
        has_pingresp |= first == 0xd0;
        has_reply |= (first & 0xf0) == 0x30;
        bytes_done(&body);
    }
    bytes_done(&packets);
    client_close(&client);
}

/* In TLS 1.3 the client is done before we are: all this comes at once with the end of its handshake, and then more records than a turn reads. */
static void packets_that_come_with_the_end_of_the_handshake_are_all_served(void **state)
{
    (void)state;
    enum { PINGS = 50 };
    struct client client;
    struct bytes connect, subscribe;
    client_open(&client, &rig, &(struct client_options){.identity = &device, .tls_max_version = TLS1_3_VERSION});
    bytes_init(&connect, 65536);
    bytes_init(&subscribe, 65536);
    put_connect(&connect, "dev-01", DPS_USER("dev-01"), 0, true);
    put_subscribe(&subscribe, 1, "echo/down", 1);
    client_send(&client, &connect);
    client_send(&client, &subscribe);
    for (int i = 0; i < PINGS; i++)
        client_send_raw(&client, "\xc0\x00", 2);
    client_expect(&client, "\x20\x02\x00\x00\x90\x03\x00\x01\x01", 9);
    for (int i = 0; i < PINGS; i++)
        client_expect(&client, "\xd0\x00", 2);
    bytes_done(&connect);
    bytes_done(&subscribe);
    client_close(&client);
}

static void a_session_cut_into_single_bytes_works(void **state)
{
    (void)state;
    struct client client;
    struct bytes packets;
    client_open(&client, &rig, &(struct client_options){.identity = &device});
    bytes_init(&packets, 65536);
    put_connect(&packets, "dev-01", DPS_USER("dev-01"), 0, true);
    put_subscribe(&packets, 1, "echo/down", 1);
    put_publish(&packets, "echo/up", "hello", 5, 1, 9);
    for (size_t i = 0; i < packets.length_bytes; i++) {
        client_send_raw(&client, packets.data + i, 1);
        rig_turn(&rig);
    }
    client_expect(&client, "\x20\x02\x00\x00\x90\x03\x00\x01\x01", 9);
    client_wait_bytes(&client, 4 + 4 + 9 + 5);
    bytes_done(&packets);
    client_close(&client);
}

/* Publish `size` bytes to echo/up and compare what comes back. */
static void echo(struct client *client, size_t size)
{
    struct bytes packet, body;
    uint8_t *payload = malloc(size + 1);
    for (size_t i = 0; i < size; i++)
        payload[i] = (uint8_t)(i * 7 + (i >> 8));
    bytes_init(&packet, 1024 * 1024);
    put_publish(&packet, "echo/up", payload, size, 0, 0);
    client_send(client, &packet);
    int first = client_read_packet(client, &body);
    assert_int_equal(first & 0xf0, 0x30);
    assert_int_equal(body.length_bytes, 2 + 9 + size);
    assert_memory_equal(body.data,
                        "\0\x09"
                        "echo/down",
                        11);
    assert_memory_equal(body.data + 11, payload, size);
    bytes_done(&packet);
    bytes_done(&body);
    free(payload);
}

static void payloads_of_every_size_pass_up_and_down_unchanged(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 125, 16384, 96 * 1024, 256 * 1024};
    struct client client;
    open_device(&client, "dev-01");
    subscribe(&client, "echo/down");
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++)
        echo(&client, sizes[i]);
    client_close(&client);
}

static void a_device_that_does_not_read_loses_nothing_and_costs_little(void **state)
{
    (void)state;
    enum { MESSAGES = 40, SIZE = 256 * 1024 };
    char topic[64];
    struct client client;
    struct bytes body;
    open_device(&client, "dev-01");
    setsockopt(client.fd, SOL_SOCKET, SO_RCVBUF, &(int){65536}, sizeof(int));
    subscribe(&client, "down");
    snprintf(topic, sizeof topic, "s/%llu/down", (unsigned long long)rig.last_session);
    uint8_t *payload = calloc(1, SIZE);
    for (int i = 0; i < MESSAGES; i++) {
        payload[0] = (uint8_t)i;
        rig_publish(&rig, topic, payload, SIZE, 0);
    }
    rig_turn_ms(&rig, 300);
    assert_true(rig.door->connections->out.length_bytes >= QUEUE_HIGH_BYTES); /* it is held back here ... */
    assert_true(rig.door->connections->out.length_bytes < 2 * QUEUE_HIGH_BYTES);
    for (int i = 0; i < MESSAGES; i++) {
        client_read_packet(&client, &body);
        assert_int_equal(body.length_bytes, 2 + 4 + SIZE);
        assert_int_equal(body.data[6], i);
        bytes_done(&body);
    }
    free(payload);
    client_close(&client);
}

enum ending { END_FIN, END_RESET, END_CLOSE_NOTIFY, END_DISCONNECT };

static void send_telemetry_then(enum ending ending)
{
    enum { MESSAGES = 200 };
    struct client client;
    struct bytes packets;
    open_device(&client, "dev-01");
    bytes_init(&packets, 1024 * 1024);
    for (int i = 0; i < MESSAGES; i++)
        put_publish(&packets, "devices/dev-01/messages/events/", "0123456789012345678901234567890123456789", 40, 1, (uint16_t)(i + 1));
    if (ending == END_DISCONNECT)
        put_raw(&packets, "\xe0\x00", 2);
    client_send(&client, &packets);
    bytes_done(&packets);
    if (ending == END_FIN)
        client_fin(&client);
    else if (ending == END_RESET)
        client_reset(&client);
    else
        client_close(&client);
    rig_wait_count(&rig, &rig.telemetry_count, MESSAGES);
    assert_int_equal(rig.telemetry_count, MESSAGES);
    rig_wait_count(&rig, &rig.closed_count, 1);
    if (ending == END_FIN)
        client_free(&client);
}

static void messages_sent_right_before_a_fin_arrive(void **state)
{
    (void)state;
    send_telemetry_then(END_FIN);
    assert_string_equal(rig_closed_how(&rig, 0), "device fin session");
}

static void messages_sent_right_before_a_reset_arrive(void **state)
{
    (void)state;
    send_telemetry_then(END_RESET);
    assert_string_equal(rig_closed_how(&rig, 0), "device reset session");
}

static void wait_until_sent(const struct client *client)
{
    int left = 1;
    deadline_t deadline = deadline_in_ms(&clock_system, RIG_WAIT_MS);
    while (ioctl(client->fd, SIOCOUTQ, &left) == 0 && left > 0) {
        if (deadline_has_passed(&clock_system, deadline))
            fail_msg("%d bytes are not acknowledged by TCP", left);
        rig_turn(&rig);
    }
}

/* While Mosquitto is frozen the front door stops reading. Then its PUBACKs meet a reset, long before all that the device sent has been read. */
static void a_device_that_vanishes_behind_a_jam_is_still_read_to_its_end(void **state)
{
    (void)state;
    enum { MESSAGES = 2400 };
    static const char payload[100] = "";
    struct client client;
    struct bytes packets;
    open_device(&client, "dev-01");
    bytes_init(&packets, 8 * 1024 * 1024);
    for (int i = 0; i < MESSAGES; i++)
        put_publish(&packets, "devices/dev-01/messages/events/", payload, sizeof payload, 1, (uint16_t)(i + 1));
    kill(broker_pid(rig.broker), SIGSTOP);
    client_send(&client, &packets);
    bytes_done(&packets);
    wait_until_sent(&client);
    int unread = 0;
    assert_int_equal(ioctl(rig.door->connections->wire.fd, FIONREAD, &unread), 0);
    assert_true(unread > 16384);
    client_free(&client);
    kill(broker_pid(rig.broker), SIGCONT);
    rig_wait_count(&rig, &rig.telemetry_count, MESSAGES);
    assert_string_equal(rig_closed_how(&rig, 0), "device fin session");
}

static void messages_sent_right_before_a_close_notify_arrive(void **state)
{
    (void)state;
    send_telemetry_then(END_CLOSE_NOTIFY);
    assert_string_equal(rig_closed_how(&rig, 0), "device close_notify session");
}

static void messages_sent_right_before_a_disconnect_arrive(void **state)
{
    (void)state;
    send_telemetry_then(END_DISCONNECT);
    assert_string_equal(rig_closed_how(&rig, 0), "device disconnect session");
}

static void a_session_that_asks_for_its_past_is_told_that_there_is_none(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct client client;
        struct bytes packet;
        client_open(&client, &rig, &(struct client_options){.identity = &device});
        bytes_init(&packet, 4096);
        put_connect(&packet, "dev-01", DPS_USER("dev-01"), 1767, false);
        client_send(&client, &packet);
        client_expect(&client, "\x20\x02\x00\x00", 4);
        subscribe(&client, "$dps/registrations/res/#");
        bytes_done(&packet);
        client_close(&client);
    }
    assert_false(json_bool(rig_event_data(&rig, "mqtt.connect", 0), "is_clean_session", true));
}

static void a_restored_subscription_brings_messages_without_a_subscribe(void **state)
{
    (void)state;
    struct client client;
    struct bytes packet;
    char topic[64];
    rig.is_session_present = true;
    rig.restored_filter = "kept/#";
    client_open(&client, &rig, &(struct client_options){.identity = &device});
    bytes_init(&packet, 4096);
    put_connect(&packet, "dev-01", DPS_USER("dev-01"), 60, false);
    put_subscribe(&packet, 65535, "a", 0); /* the packet id that ours has */
    client_send(&client, &packet);
    client_expect(&client, "\x20\x02\x01\x00", 4);
    client_expect(&client, "\x90\x03\xff\xff\x00", 5);
    assert_string_equal(rig.subscribed, "a 0");
    assert_true(json_bool(rig_event_data(&rig, "mqtt.connack", 0), "is_session_present", false));
    assert_int_equal(rig_event_count(&rig, "mqtt.suback"), 1);
    snprintf(topic, sizeof topic, "s/%llu/kept/x", (unsigned long long)rig.last_session);
    rig_publish(&rig, topic, "hi", 2, 0);
    client_expect(&client, "\x30\x0a\x00\x06kept/xhi", 12);
    bytes_done(&packet);
    client_close(&client);
}

static void the_policy_hears_what_went_down_and_what_was_acknowledged(void **state)
{
    (void)state;
    struct client client;
    char topic[64];
    open_device(&client, "dev-01");
    client_send_raw(&client, "\x82\x06\x00\x06\x00\x01x\x01", 8);
    client_expect(&client, "\x90\x03\x00\x06\x01", 5);
    snprintf(topic, sizeof topic, "s/%llu/x", (unsigned long long)rig.last_session);
    rig_publish(&rig, topic, "hi", 2, 1);
    client_expect(&client, "\x32\x07\x00\x01x\x00\x01hi", 9);
    assert_string_equal(rig.sent, "x");
    assert_int_equal(rig.sent_id, 1);
    assert_int_equal(rig.acknowledged_id, 0);
    client_send_raw(&client, "\x40\x02\x00\x01", 4);
    rig_wait_count(&rig, &rig.acknowledged_id, 1);
    rig_publish(&rig, topic, "hi", 2, 0);
    client_expect(&client, "\x30\x05\x00\x01xhi", 7);
    assert_int_equal(rig.sent_id, 0);
    client_close(&client);
}

static void a_refused_filter_gets_0x80_and_nothing_else_does(void **state)
{
    (void)state;
    /* packet id 5: "a" QoS 1, "no" QoS 1, "b" QoS 0, "c" QoS 2 */
    static const uint8_t packet[] = {0x82, 19, 0, 5, 0, 1, 'a', 1, 0, 2, 'n', 'o', 1, 0, 1, 'b', 0, 0, 1, 'c', 2};
    struct client client;
    rig.refused_filter = "no";
    open_device(&client, "dev-01");
    client_send_raw(&client, packet, sizeof packet);
    client_expect(&client, "\x90\x06\x00\x05\x01\x80\x00\x01", 8);
    const cJSON *codes = json_member(rig_event_data(&rig, "mqtt.suback", 0), "return_codes");
    assert_int_equal(cJSON_GetArraySize(codes), 4);
    assert_int_equal(cJSON_GetArrayItem(codes, 1)->valueint, 0x80);
    assert_string_equal(rig.subscribed, "c 1");
    client_send_raw(&client, "\x82\x07\x00\x06\x00\x02no\x01", 9);
    client_expect(&client, "\x90\x03\x00\x06\x80", 5);
    assert_string_equal(rig.subscribed, "c 1");
    client_close(&client);
}

static void unsubscribe_is_answered(void **state)
{
    (void)state;
    struct client client;
    open_device(&client, "dev-01");
    subscribe(&client, "$dps/registrations/res/#");
    client_send_raw(&client, "\xa2\x05\x00\x09\x00\x01x", 7);
    client_expect(&client, "\xb0\x02\x00\x09", 4);
    const cJSON *filters = json_member(rig_event_data(&rig, "mqtt.unsuback", 0), "filters");
    assert_string_equal(cJSON_GetArrayItem(filters, 0)->valuestring, "x");
    assert_string_equal(rig.unsubscribed, "x");
    client_close(&client);
}

static void filters_of_every_kind_stay_inside_the_session(void **state)
{
    (void)state;
    static const char *const filters[] = {"#", "s/+/#", "$SYS/#", "+/+/+", "$share/g/#"};
    struct client one, two;
    struct bytes packet;
    open_device(&one, "dev-01");
    for (size_t i = 0; i < ARRAY_COUNT(filters); i++)
        subscribe(&one, filters[i]);
    open_device(&two, "dev-02");
    bytes_init(&packet, 4096);
    put_publish(&packet, "devices/dev-02/messages/events/", "x", 1, 0, 0);
    client_send(&two, &packet);
    rig_wait_count(&rig, &rig.telemetry_count, 1);
    client_send_raw(&one, "\xc0\x00", 2);
    client_expect(&one, "\xd0\x00", 2);
    bytes_done(&packet);
    client_close(&one);
    client_close(&two);
}

static void retain_is_cleared_on_the_way_up(void **state)
{
    (void)state;
    struct client client;
    struct bytes packet;
    open_device(&client, "dev-01");
    bytes_init(&packet, 4096);
    put_publish(&packet, "kept", "x", 1, 1, 3);
    packet.data[0] |= 1;
    client_send(&client, &packet);
    client_expect(&client, "\x40\x02\x00\x03", 4);
    assert_true(json_bool(rig_event_data(&rig, "mqtt.publish", 0), "is_retained", false));
    subscribe(&client, "kept=retained"); /* a retained message would come down now */
    client_send_raw(&client, "\xc0\x00", 2);
    client_expect(&client, "\xd0\x00", 2);
    bytes_done(&packet);
    client_close(&client);
}

/* CONNECT with the will "devices/w" = "gone", QoS 1, retained. */
static void connect_with_will(struct client *client)
{
    static const uint8_t packet[] = {0x10, 36, 0,   4,   'M', 'Q', 'T', 'T', 4,   0x2e, 0,   0, 0, 5,   'd', 'e', 'v', '-', '1',
                                     0,    9,  'd', 'e', 'v', 'i', 'c', 'e', 's', '/',  'w', 0, 6, 'g', 'o', 'n', 'e', '!', '!'};
    client_open(client, &rig, &(struct client_options){.identity = &device});
    client_send_raw(client, packet, sizeof packet);
    client_expect(client, "\x20\x02\x00\x00", 4);
}

static void a_will_is_published_when_the_device_vanishes(void **state)
{
    (void)state;
    struct client client;
    connect_with_will(&client);
    assert_true(json_bool(rig_event_data(&rig, "mqtt.connect", 0), "has_will", false));
    client_reset(&client);
    rig_wait_count(&rig, &rig.telemetry_count, 1);
    assert_int_equal(rig.telemetry_bytes, 6);
    assert_string_equal(strchr(rig.telemetry_topic, 'd'), "devices/w=will=retained");
}

static void a_will_is_not_published_after_disconnect(void **state)
{
    (void)state;
    struct client client;
    connect_with_will(&client);
    client_send_raw(&client, "\xe0\x00", 2);
    client_expect_end(&client);
    assert_true(client.has_close_notify);
    client_free(&client);
    rig_wait_count(&rig, &rig.closed_count, 1);
    assert_int_equal(rig.telemetry_count, 0);
}

static void a_will_for_a_forbidden_topic_is_a_violation(void **state)
{
    (void)state;
    static const uint8_t packet[] = {0x10, 27, 0,   4,   'M', 'Q', 'T', 'T', 4,   0x06, 0,   0, 0, 1,  'd',
                                     0,    9,  'd', 'e', 'v', 'i', 'c', 'e', 's', '/',  'w', 0, 1, 'x'};
    struct client client;
    rig.refused_topic = "devices/w";
    client_open(&client, &rig, &(struct client_options){.identity = &device});
    client_send_raw(&client, packet, sizeof packet);
    client_expect_end(&client);
    client_free(&client);
    assert_string_equal(rig_closed_how(&rig, 0), "service violation connect");
    assert_string_equal(json_string(rig_event_data(&rig, "mqtt.violation", 0), "reason", ""),
                        "a will for a topic on which this device may not publish");
}

static void the_events_of_a_registration_tell_all_of_it_in_order(void **state)
{
    (void)state;
    static const char *const kinds[] = {"tcp.accepted",  "tls.client_hello", "tls.handshake", "mqtt.connect",
                                        "mqtt.connack",  "mqtt.subscribe",   "mqtt.suback",   "mqtt.publish",
                                        "mqtt.puback",   "mqtt.publish",     "mqtt.puback",   "mqtt.pingreq",
                                        "mqtt.pingresp", "mqtt.unsubscribe", "mqtt.unsuback", "mqtt.disconnect"};
    struct client client;
    open_device(&client, "dev-01");
    subscribe(&client, "$dps/registrations/res/#");
    send_register(&client, "1");
    expect_202(&client);
    client_send_raw(&client, "\x40\x02\x00\x01\xc0\x00", 6);
    client_expect(&client, "\xd0\x00", 2);
    client_send_raw(&client, "\xa2\x05\x00\x09\x00\x01x", 7);
    client_expect(&client, "\xb0\x02\x00\x09", 4);
    client_send_raw(&client, "\xe0\x00", 2);
    client_expect_end(&client);
    client_free(&client);
    assert_string_equal(rig_closed_how(&rig, 0), "device disconnect session");
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        const cJSON *event = cJSON_GetArrayItem(rig.events, (int)i);
        assert_string_equal(json_string(event, "kind", ""), kinds[i]);
        assert_string_equal(json_string(event, "lane", ""), "main");
        assert_true(json_integer(event, "session", 0) == (int64_t)rig.last_session);
        if (i >= 3)
            assert_string_equal(json_string(event, "registration_id", ""), "dev-01");
    }
    const cJSON *down = rig_event_data(&rig, "mqtt.publish", 1);
    assert_string_equal(json_string(down, "direction", ""), "down");
    assert_string_equal(json_string(down, "topic", ""), "$dps/registrations/res/202/?$rid=1&retry-after=3");
    assert_int_equal(json_integer(down, "payload_bytes", 0), 41);
    assert_int_equal(json_integer(down, "qos", -1), 1);
    const cJSON *closed = rig_event_data(&rig, "connection.closed", 0);
    assert_true(json_integer(closed, "bytes_up", 0) > 100);
    assert_true(json_integer(closed, "bytes_down", 0) > 80);
    assert_true(json_integer(closed, "duration_us", 0) > 0);
}

/* The end, by the service. */

static void subscribe_and_ask(struct client *client, int64_t patience_ms)
{
    open_device(client, "dev-01");
    subscribe(client, "$dps/registrations/res/#");
    front_door_close_after_reply(rig.door, rig.last_session, 100, patience_ms, "refused");
    send_register(client, "1");
    expect_202(client);
}

static void a_refused_device_is_closed_after_its_puback(void **state)
{
    (void)state;
    struct client client;
    subscribe_and_ask(&client, 60000);
    rig_turn_ms(&rig, 200);
    assert_int_equal(rig_event_count(&rig, "connection.closed"), 0);
    client_send_raw(&client, "\x40\x02\x00\x01", 4);
    int64_t before = clock_mono_us(&clock_system);
    client_expect_end(&client);
    assert_true(clock_mono_us(&clock_system) - before >= 90000);
    assert_true(client.has_close_notify);
    client_free(&client);
    assert_string_equal(rig_closed_how(&rig, 0), "service refused session");
}

static void a_device_that_never_acknowledges_is_closed_when_patience_ends(void **state)
{
    (void)state;
    struct client client;
    int64_t before = clock_mono_us(&clock_system);
    subscribe_and_ask(&client, 300);
    client_expect_end(&client);
    assert_true(clock_mono_us(&clock_system) - before >= 290000);
    client_free(&client);
    assert_string_equal(rig_closed_how(&rig, 0), "service refused session");
}

static void a_refused_device_that_disconnects_first_has_closed_itself(void **state)
{
    (void)state;
    struct client client;
    subscribe_and_ask(&client, 60000);
    client_send_raw(&client, "\x40\x02\x00\x01\xe0\x00", 6);
    client_expect_end(&client);
    client_free(&client);
    assert_string_equal(rig_closed_how(&rig, 0), "device disconnect session");
}

static void a_refused_device_that_subscribed_at_qos_0_is_closed_after_the_reply(void **state)
{
    (void)state;
    struct client client;
    struct bytes packet, body;
    open_device(&client, "dev-01");
    bytes_init(&packet, 4096);
    put_subscribe(&packet, 1, "$dps/registrations/res/#", 0);
    client_send(&client, &packet);
    client_expect(&client, "\x90\x03\x00\x01\x00", 5);
    front_door_close_after_reply(rig.door, rig.last_session, 100, 60000, "refused");
    send_register(&client, "1");
    client_read_packet(&client, &body);
    bytes_done(&body);
    assert_int_equal(client_read_packet(&client, &body), 0x30);
    bytes_done(&body);
    client_expect_end(&client);
    client_free(&client);
    bytes_done(&packet);
    assert_string_equal(rig_closed_how(&rig, 0), "service refused session");
}

static void the_service_can_close_a_session_at_once(void **state)
{
    (void)state;
    struct client client;
    open_device(&client, "dev-01");
    assert_non_null(front_door_session(rig.door, rig.last_session));
    assert_int_equal(front_door_session_count(rig.door), 1);
    front_door_close_session(rig.door, rig.last_session, "refused");
    front_door_close_session(rig.door, rig.last_session + 1, "refused");
    client_expect_end(&client);
    client_free(&client);
    assert_string_equal(rig_closed_how(&rig, 0), "service refused session");
    rig_wait_count(&rig, &rig.closed_count, 1);
    assert_null(front_door_session(rig.door, rig.last_session));
    assert_int_equal(front_door_session_count(rig.door), 0);
}

static void session_numbers_grow_and_stay_exact_in_json(void **state)
{
    (void)state;
    uint64_t previous = 0;
    for (int i = 0; i < 3; i++) {
        struct client client;
        open_device(&client, "dev-01");
        assert_true(rig.last_session > previous);
        assert_true(rig.last_session < (UINT64_C(1) << 53));
        previous = rig.last_session;
        client_close(&client);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(two_devices_with_the_same_rid_get_their_own_reply_alone, start, stop),
        cmocka_unit_test_setup_teardown(pipelined_packets_behind_connect_are_all_served, start, stop),
        cmocka_unit_test_setup_teardown(packets_that_come_with_the_end_of_the_handshake_are_all_served, start, stop),
        cmocka_unit_test_setup_teardown(a_session_cut_into_single_bytes_works, start, stop),
        cmocka_unit_test_setup_teardown(payloads_of_every_size_pass_up_and_down_unchanged, start, stop),
        cmocka_unit_test_setup_teardown(a_device_that_does_not_read_loses_nothing_and_costs_little, start, stop),
        cmocka_unit_test_setup_teardown(messages_sent_right_before_a_fin_arrive, start, stop),
        cmocka_unit_test_setup_teardown(messages_sent_right_before_a_reset_arrive, start, stop),
        cmocka_unit_test_setup_teardown(a_device_that_vanishes_behind_a_jam_is_still_read_to_its_end, start, stop),
        cmocka_unit_test_setup_teardown(messages_sent_right_before_a_close_notify_arrive, start, stop),
        cmocka_unit_test_setup_teardown(messages_sent_right_before_a_disconnect_arrive, start, stop),
        cmocka_unit_test_setup_teardown(a_session_that_asks_for_its_past_is_told_that_there_is_none, start, stop),
        cmocka_unit_test_setup_teardown(a_restored_subscription_brings_messages_without_a_subscribe, start, stop),
        cmocka_unit_test_setup_teardown(the_policy_hears_what_went_down_and_what_was_acknowledged, start, stop),
        cmocka_unit_test_setup_teardown(a_refused_filter_gets_0x80_and_nothing_else_does, start, stop),
        cmocka_unit_test_setup_teardown(unsubscribe_is_answered, start, stop),
        cmocka_unit_test_setup_teardown(filters_of_every_kind_stay_inside_the_session, start, stop),
        cmocka_unit_test_setup_teardown(retain_is_cleared_on_the_way_up, start, stop),
        cmocka_unit_test_setup_teardown(a_will_is_published_when_the_device_vanishes, start, stop),
        cmocka_unit_test_setup_teardown(a_will_is_not_published_after_disconnect, start, stop),
        cmocka_unit_test_setup_teardown(a_will_for_a_forbidden_topic_is_a_violation, start, stop),
        cmocka_unit_test_setup_teardown(the_events_of_a_registration_tell_all_of_it_in_order, start, stop),
        cmocka_unit_test_setup_teardown(a_refused_device_is_closed_after_its_puback, start, stop),
        cmocka_unit_test_setup_teardown(a_device_that_never_acknowledges_is_closed_when_patience_ends, start, stop),
        cmocka_unit_test_setup_teardown(a_refused_device_that_disconnects_first_has_closed_itself, start, stop),
        cmocka_unit_test_setup_teardown(a_refused_device_that_subscribed_at_qos_0_is_closed_after_the_reply, start, stop),
        cmocka_unit_test_setup_teardown(the_service_can_close_a_session_at_once, start, stop),
        cmocka_unit_test_setup_teardown(session_numbers_grow_and_stay_exact_in_json, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
