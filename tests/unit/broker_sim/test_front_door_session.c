/* What an admitted device gets: the relay, its topics, its end. Real TLS, real Mosquitto. */
#include "tests/unit/broker_sim/rig.h"

#include "base/clock.h"

#include <string.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(two_devices_with_the_same_rid_get_their_own_reply_alone, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
