/* Readers and writers of packets, byte by byte. */
#include "base/cleanup.h"
#include "broker_sim/mqtt/ack.h"
#include "broker_sim/mqtt/connack.h"
#include "broker_sim/mqtt/connect.h"
#include "broker_sim/mqtt/publish.h"
#include "broker_sim/mqtt/subscribe.h"
#include "broker_sim/mqtt/topic.h"
#include "broker_sim/mqtt/utf8.h"

#include <stdlib.h>
#include <string.h>

#include "tests/cmocka.h"

static void assert_text(struct mqtt_text text, const char *expected)
{
    assert_int_equal(text.length_bytes, strlen(expected));
    assert_memory_equal(text.data, expected, text.length_bytes);
}

static struct mqtt_text text_of(const char *text)
{
    return (struct mqtt_text){(const uint8_t *)text, (uint16_t)strlen(text)};
}

static void assert_bytes(const struct bytes *bytes, const void *expected, size_t length)
{
    assert_int_equal(bytes->length_bytes, length);
    assert_memory_equal(bytes->data, expected, length);
}

/* A copy on the heap, so that the sanitizer sees a read one byte too far. */
static uint8_t *exact_copy(const void *data, size_t length)
{
    uint8_t *copy = malloc(length ? length : 1);
    memcpy(copy, data, length);
    return copy;
}

static void reads_and_writes_every_remaining_length(void **state)
{
    (void)state;
    static const struct {
        uint32_t value;
        const char *bytes;
        size_t length;
    } rows[] = {{0, "\x00", 1},
                {127, "\x7f", 1},
                {128, "\x80\x01", 2},
                {16383, "\xff\x7f", 2},
                {16384, "\x80\x80\x01", 3},
                {2097151, "\xff\xff\x7f", 3},
                {2097152, "\x80\x80\x80\x01", 4},
                {268435455, "\xff\xff\xff\x7f", 4}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        uint8_t packet[MQTT_HEADER_MAX_BYTES] = {0x3b};
        struct mqtt_header header = {0};
        memcpy(packet + 1, rows[i].bytes, rows[i].length);
        for (size_t length = 0; length <= rows[i].length; length++)
            assert_int_equal(mqtt_read_header(packet, length, &header), MQTT_MORE);
        assert_int_equal(header.type, 0);
        assert_int_equal(mqtt_read_header(packet, rows[i].length + 1, &header), MQTT_DONE);
        assert_int_equal(header.type, MQTT_PUBLISH);
        assert_int_equal(header.flags, 0x0b);
        assert_int_equal(header.remaining_bytes, rows[i].value);
        assert_int_equal(header.size_bytes, rows[i].length + 1);
        uint8_t written[MQTT_HEADER_MAX_BYTES];
        assert_int_equal(mqtt_encode_header(written, MQTT_PUBLISH, 0x0b, rows[i].value), rows[i].length + 1);
        assert_memory_equal(written, packet, rows[i].length + 1);
    }
}

static void a_fifth_length_byte_breaks_the_stream(void **state)
{
    (void)state;
    struct mqtt_header header;
    assert_int_equal(mqtt_read_header((const uint8_t *)"\x30\xff\xff\xff\xff", 5, &header), MQTT_BROKEN);
}

static void names_every_packet_type(void **state)
{
    (void)state;
    assert_string_equal(mqtt_type_name(1), "CONNECT");
    assert_string_equal(mqtt_type_name(14), "DISCONNECT");
    assert_string_equal(mqtt_type_name(0), "reserved");
    assert_string_equal(mqtt_type_name(15), "reserved");
}

static void tells_mqtt_text_from_other_bytes(void **state)
{
    (void)state;
    static const char *const good[] = {
        "", "abc", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {
        "\x80",         "\xc3",     "\xc0\x80",         "\xc1\xbf",         "\xe0\x9f\xbf",     "\xed\xa0\x80",
        "\xed\xbf\xbf", "\xe2\x82", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80", "a\xff",
        "\xc3\xa9\xa9"};
    for (size_t i = 0; i < ARRAY_COUNT(good); i++)
        assert_true(utf8_is_mqtt_text((const uint8_t *)good[i], strlen(good[i])));
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        uint8_t *copy = exact_copy(bad[i], strlen(bad[i]));
        assert_false(utf8_is_mqtt_text(copy, strlen(bad[i])));
        free(copy);
    }
    assert_false(utf8_is_mqtt_text((const uint8_t *)"a\0b", 3));
    assert_true(utf8_is_mqtt_text(NULL, 0));
}

static void tells_topics_and_filters_that_mqtt_allows(void **state)
{
    (void)state;
    static const char *const good_filters[] = {"#", "+", "a/#", "+/+", "/", "a/+/b", "$dps/registrations/res/#"};
    static const char *const bad_filters[] = {"", "a#", "#/a", "a/#/b", "a+", "+a", "a/b+/c", "##"};
    assert_null(topic_name_fault(text_of("$dps/registrations/PUT/iotdps-register/?$rid=1")));
    assert_non_null(topic_name_fault(text_of("")));
    assert_non_null(topic_name_fault(text_of("a/+")));
    assert_non_null(topic_name_fault(text_of("a/#")));
    for (size_t i = 0; i < ARRAY_COUNT(good_filters); i++)
        assert_null(topic_filter_fault(text_of(good_filters[i])));
    for (size_t i = 0; i < ARRAY_COUNT(bad_filters); i++)
        assert_non_null(topic_filter_fault(text_of(bad_filters[i])));
    char levels[TOPIC_LEVELS_MAX + 2];
    memset(levels, '/', sizeof levels);
    levels[TOPIC_LEVELS_MAX - 1] = 0;
    assert_null(topic_name_fault(text_of(levels)));
    assert_null(topic_filter_fault(text_of(levels)));
    levels[TOPIC_LEVELS_MAX - 1] = '/';
    levels[TOPIC_LEVELS_MAX] = 0;
    assert_non_null(topic_name_fault(text_of(levels)));
    assert_non_null(topic_filter_fault(text_of(levels)));
}

/* CONNECT. */

/* Everything that a CONNECT can hold; flags: user name, password, will retained at QoS 1, clean session. */
static const uint8_t full_connect[] = {0, 4,   'M', 'Q', 'T', 'T', 4, 0xee, 0x06, 0xe7, 0,   6,   'd', 'e', 'v', '-', '0', '1', 0,
                                       3, 'w', '/', 't', 0,   2,   0, 'x',  0,    4,    'u', 's', 'e', 'r', 0,   3,   'p', 0,   'w'};

static void reads_every_field_of_connect(void **state)
{
    (void)state;
    struct mqtt_connect connect;
    struct error error = ERROR_INIT;
    assert_int_equal(mqtt_read_connect(full_connect, sizeof full_connect, &connect, &error), 0);
    assert_int_equal(connect.protocol_level, 4);
    assert_true(connect.is_clean_session);
    assert_true(connect.has_will);
    assert_int_equal(connect.will_qos, 1);
    assert_true(connect.is_will_retained);
    assert_int_equal(connect.keep_alive_s, 1767);
    assert_text(connect.client_id, "dev-01");
    assert_text(connect.will_topic, "w/t");
    assert_int_equal(connect.will_payload.length_bytes, 2);
    assert_memory_equal(connect.will_payload.data, "\0x", 2);
    assert_text(connect.user_name, "user");
    assert_int_equal(connect.password.length_bytes, 3);
}

static void refuses_connect_cut_at_every_length_and_leaves_the_output_untouched(void **state)
{
    (void)state;
    for (size_t length = 0; length < sizeof full_connect; length++) {
        struct mqtt_connect connect = {.keep_alive_s = 4711};
        struct error error = ERROR_INIT;
        uint8_t *copy = exact_copy(full_connect, length);
        assert_int_equal(mqtt_read_connect(copy, length, &connect, &error), -1);
        assert_int_equal(error.owner, ERROR_OWNER_DEVICE);
        assert_int_equal(error.code, ERROR_PROTOCOL);
        assert_string_not_equal(error.text, "");
        assert_int_equal(connect.keep_alive_s, 4711);
        free(copy);
    }
}

static void recognises_other_protocol_levels_without_reading_on(void **state)
{
    (void)state;
    struct mqtt_connect connect;
    assert_int_equal(mqtt_read_connect((const uint8_t *)"\0\6MQIsdp\3", 9, &connect, NULL), 0);
    assert_int_equal(connect.protocol_level, MQTT_LEVEL_3_1);
    assert_int_equal(mqtt_read_connect((const uint8_t *)"\0\4MQTT\5", 7, &connect, NULL), 0);
    assert_int_equal(connect.protocol_level, MQTT_LEVEL_5);
    assert_int_equal(mqtt_read_connect((const uint8_t *)"\0\4MQTT\3", 7, &connect, NULL), -1);
    assert_int_equal(mqtt_read_connect((const uint8_t *)"\0\6MQIsdp\4", 9, &connect, NULL), -1);
    assert_int_equal(mqtt_read_connect((const uint8_t *)"\0\4mqtt\4", 7, &connect, NULL), -1);
}

static void refuses_flags_that_contradict_each_other(void **state)
{
    (void)state;
    static const uint8_t bad[] = {0x03, 0x0a, 0x12, 0x22, 0x1e, 0x42};
    static const uint8_t rest[] = {0, 0, 0, 1, 'd', 0, 1, 'w', 0, 1, 'x', 0, 1, 'u', 0, 1, 'p'};
    for (size_t i = 0; i < sizeof bad; i++) {
        uint8_t body[8 + sizeof rest] = {0, 4, 'M', 'Q', 'T', 'T', 4, bad[i]};
        struct mqtt_connect connect;
        memcpy(body + 8, rest, sizeof rest);
        assert_int_equal(mqtt_read_connect(body, sizeof body, &connect, NULL), -1);
    }
}

static void rewrites_connect_for_mosquitto(void **state)
{
    (void)state;
    static const uint8_t expected[] = {0x10, 28, 0, 4,   'M', 'Q', 'T', 'T', 4,   0x0e, 0,   0, 0, 2, '4',
                                       '2',  0,  8, 's', '/', '4', '2', '/', 'w', '/',  't', 0, 2, 0, 'x'};
    static const uint8_t expected_plain[] = {0x10, 14, 0, 4, 'M', 'Q', 'T', 'T', 4, 0x02, 0, 0, 0, 2, '4', '2'};
    struct mqtt_connect connect;
    struct bytes out;
    assert_int_equal(mqtt_read_connect(full_connect, sizeof full_connect, &connect, NULL), 0);
    bytes_init(&out, 1024);
    assert_int_equal(mqtt_write_connect(&out, "42", "s/42/", &connect), 0);
    assert_bytes(&out, expected, sizeof expected);
    bytes_clear(&out);
    connect.has_will = false;
    assert_int_equal(mqtt_write_connect(&out, "42", "s/42/", &connect), 0);
    assert_bytes(&out, expected_plain, sizeof expected_plain);
    bytes_done(&out);
}

static void a_will_topic_that_does_not_fit_behind_the_prefix_is_not_written(void **state)
{
    (void)state;
    uint8_t *topic = malloc(MQTT_TEXT_MAX_BYTES);
    memset(topic, 'a', MQTT_TEXT_MAX_BYTES);
    struct mqtt_connect connect = {.has_will = true, .will_topic = {topic, MQTT_TEXT_MAX_BYTES}};
    struct bytes out;
    bytes_init(&out, 1024 * 1024);
    assert_int_equal(mqtt_write_connect(&out, "42", "s/42/", &connect), -1);
    assert_int_equal(out.length_bytes, 0);
    connect.will_topic.length_bytes = MQTT_TEXT_MAX_BYTES - 5;
    assert_int_equal(mqtt_write_connect(&out, "42", "s/42/", &connect), 0);
    bytes_done(&out);
    free(topic);
}

/* CONNACK. */

static void writes_connack_in_both_forms(void **state)
{
    (void)state;
    struct bytes out;
    bytes_init(&out, 64);
    assert_int_equal(mqtt_write_connack(&out, false, CONNACK_NOT_AUTHORIZED), 0);
    assert_int_equal(mqtt_write_connack(&out, true, CONNACK_ACCEPTED), 0);
    assert_int_equal(mqtt_write_connack_v5(&out, CONNACK_V5_UNSUPPORTED_PROTOCOL_VERSION), 0);
    assert_bytes(&out, "\x20\x02\x00\x05\x20\x02\x01\x00\x20\x03\x00\x84\x00", 13);
    bytes_done(&out);
}

static void reads_connack(void **state)
{
    (void)state;
    struct mqtt_connack connack;
    assert_int_equal(mqtt_read_connack((const uint8_t *)"\x01\x03", 2, &connack, NULL), 0);
    assert_true(connack.is_session_present);
    assert_int_equal(connack.return_code, 3);
    assert_int_equal(mqtt_read_connack((const uint8_t *)"\x01", 1, &connack, NULL), -1);
    assert_int_equal(mqtt_read_connack((const uint8_t *)"\x01\x00\x00", 3, &connack, NULL), -1);
}

/* PUBLISH. */

static void measures_the_head_of_publish_at_every_length(void **state)
{
    (void)state;
    static const uint8_t packet[] = {0x32, 9, 0, 3, 'a', '/', 'b', 0, 7, 'x', 'y'};
    struct mqtt_header header;
    size_t wanted = 0;
    assert_int_equal(mqtt_read_header(packet, 2, &header), MQTT_DONE);
    for (size_t length = 2; length < 9; length++) {
        uint8_t *copy = exact_copy(packet, length);
        assert_int_equal(mqtt_publish_head_bytes(&header, copy, length, &wanted), MQTT_MORE);
        assert_int_equal(wanted, length < 4 ? 4 : 9);
        free(copy);
    }
    assert_int_equal(mqtt_publish_head_bytes(&header, packet, 9, &wanted), MQTT_DONE);
    assert_int_equal(wanted, 9);
}

static void a_publish_too_short_for_its_topic_is_broken(void **state)
{
    (void)state;
    static const uint8_t qos0[] = {0x30, 3, 0, 2, 'a'}, qos1[] = {0x32, 4, 0, 1, 'a', 0}, tiny[] = {0x30, 1, 0};
    struct mqtt_header header;
    size_t wanted;
    assert_int_equal(mqtt_read_header(qos0, sizeof qos0, &header), MQTT_DONE);
    assert_int_equal(mqtt_publish_head_bytes(&header, qos0, sizeof qos0, &wanted), MQTT_BROKEN);
    assert_int_equal(mqtt_read_header(qos1, sizeof qos1, &header), MQTT_DONE);
    assert_int_equal(mqtt_publish_head_bytes(&header, qos1, sizeof qos1, &wanted), MQTT_BROKEN);
    assert_int_equal(mqtt_read_header(tiny, sizeof tiny, &header), MQTT_DONE);
    assert_int_equal(mqtt_publish_head_bytes(&header, tiny, sizeof tiny, &wanted), MQTT_BROKEN);
}

static void reads_the_head_of_publish(void **state)
{
    (void)state;
    const struct mqtt_header header = {.type = MQTT_PUBLISH, .flags = 0x0b, .remaining_bytes = 107, .size_bytes = 2};
    struct mqtt_publish publish;
    assert_int_equal(mqtt_read_publish(&header, (const uint8_t *)"\0\3a/b\1\2", 7, &publish, NULL), 0);
    assert_text(publish.topic, "a/b");
    assert_int_equal(publish.qos, 1);
    assert_true(publish.is_duplicate);
    assert_true(publish.is_retained);
    assert_int_equal(publish.packet_id, 0x0102);
    assert_int_equal(publish.payload_bytes, 100);
}

static void writes_publish_with_a_prefix(void **state)
{
    (void)state;
    struct bytes out;
    struct mqtt_publish publish = {.topic = text_of("a/b"), .packet_id = 0x0102, .qos = 1, .payload_bytes = 2};
    bytes_init(&out, 64);
    assert_int_equal(mqtt_write_publish_head(&out, "s/42/", &publish), 0);
    assert_bytes(&out, "\x32\x0e\x00\x08s/42/a/b\x01\x02", 14);
    bytes_clear(&out);
    publish.qos = 0;
    publish.is_duplicate = true;
    publish.is_retained = true;
    assert_int_equal(mqtt_write_publish_head(&out, "", &publish), 0);
    assert_bytes(&out,
                 "\x39\x07\x00\x03"
                 "a/b",
                 7);
    bytes_done(&out);
}

static void writes_nothing_of_a_publish_that_does_not_fit(void **state)
{
    (void)state;
    struct mqtt_publish publish = {.topic = text_of("a/b"), .packet_id = 1, .qos = 1};
    for (size_t limit = 0; limit < 14; limit++) {
        struct bytes out;
        bytes_init(&out, limit);
        assert_int_equal(mqtt_write_publish_head(&out, "s/42/", &publish), -1);
        assert_int_equal(out.length_bytes, 0);
        bytes_done(&out);
    }
    struct bytes out;
    bytes_init(&out, 64);
    publish.payload_bytes = MQTT_REMAINING_MAX_BYTES;
    assert_int_equal(mqtt_write_publish_head(&out, "", &publish), -1);
    bytes_done(&out);
}

/* SUBSCRIBE and UNSUBSCRIBE. */

static const struct mqtt_header subscribe_header = {.type = MQTT_SUBSCRIBE, .flags = 2, .remaining_bytes = 13, .size_bytes = 2};
static const uint8_t subscribe_body[] = {0, 5, 0, 3, 'a', '/', '#', 1, 0, 1, 'b', 2};

static void reads_subscribe_filter_by_filter(void **state)
{
    (void)state;
    struct mqtt_filters filters;
    struct mqtt_filter filter;
    assert_int_equal(mqtt_read_filters(&subscribe_header, subscribe_body, sizeof subscribe_body, &filters, NULL), 0);
    assert_int_equal(filters.packet_id, 5);
    assert_int_equal(filters.count, 2);
    assert_true(mqtt_next_filter(&filters, &filter));
    assert_text(filter.text, "a/#");
    assert_int_equal(filter.qos, 1);
    assert_true(mqtt_next_filter(&filters, &filter));
    assert_text(filter.text, "b");
    assert_int_equal(filter.qos, 2);
    assert_false(mqtt_next_filter(&filters, &filter));
}

static void reads_unsubscribe(void **state)
{
    (void)state;
    const struct mqtt_header header = {.type = MQTT_UNSUBSCRIBE, .flags = 2};
    struct mqtt_filters filters;
    struct mqtt_filter filter;
    assert_int_equal(mqtt_read_filters(&header, (const uint8_t *)"\0\5\0\1a\0\1b", 8, &filters, NULL), 0);
    assert_int_equal(filters.count, 2);
    assert_true(mqtt_next_filter(&filters, &filter) && mqtt_next_filter(&filters, &filter));
    assert_text(filter.text, "b");
    assert_int_equal(filter.qos, 0);
}

static void refuses_subscribe_cut_at_every_length(void **state)
{
    (void)state;
    for (size_t length = 0; length < sizeof subscribe_body; length++) {
        struct mqtt_filters filters = {.packet_id = 4711};
        uint8_t *copy = exact_copy(subscribe_body, length);
        int result = mqtt_read_filters(&subscribe_header, copy, length, &filters, NULL);
        assert_int_equal(result, length == 8 ? 0 : -1); /* 8: one whole filter */
        if (result)
            assert_int_equal(filters.packet_id, 4711);
        free(copy);
    }
}

static void rebuilds_subscribe_with_a_prefix(void **state)
{
    (void)state;
    struct bytes body, out;
    bytes_init(&body, 1024);
    bytes_init(&out, 1024);
    assert_int_equal(mqtt_begin_filters(&body, 5), 0);
    assert_int_equal(mqtt_add_filter(&body, "s/1/", text_of("a/#")), 0);
    assert_int_equal(mqtt_add_filter_qos(&body, 1), 0);
    assert_int_equal(mqtt_end_filters(&out, MQTT_SUBSCRIBE, &body), 0);
    assert_bytes(&out, "\x82\x0c\x00\x05\x00\x07s/1/a/#\x01", 14);
    bytes_done(&body);
    bytes_done(&out);
}

/* Acknowledgements. */

static void reads_and_writes_acknowledgements(void **state)
{
    (void)state;
    const struct mqtt_header puback = {.type = MQTT_PUBACK}, flagged = {.type = MQTT_PUBACK, .flags = 1};
    struct mqtt_suback suback;
    struct bytes out;
    uint16_t packet_id = 4711;
    assert_int_equal(mqtt_read_ack(&puback, (const uint8_t *)"\0\0", 2, &packet_id, NULL), -1);
    assert_int_equal(mqtt_read_ack(&puback, (const uint8_t *)"\1", 1, &packet_id, NULL), -1);
    assert_int_equal(mqtt_read_ack(&flagged, (const uint8_t *)"\1\2", 2, &packet_id, NULL), -1);
    assert_int_equal(packet_id, 4711);
    assert_int_equal(mqtt_read_ack(&puback, (const uint8_t *)"\1\2", 2, &packet_id, NULL), 0);
    assert_int_equal(packet_id, 0x0102);
    assert_int_equal(mqtt_read_suback((const uint8_t *)"\0\5\x80\1", 4, &suback, NULL), 0);
    assert_int_equal(suback.count, 2);
    assert_int_equal(suback.codes[0], MQTT_SUBACK_REFUSED);
    assert_int_equal(mqtt_read_suback((const uint8_t *)"\0\5", 2, &suback, NULL), -1);
    bytes_init(&out, 64);
    assert_int_equal(mqtt_write_ack(&out, MQTT_PUBACK, 0x0102), 0);
    assert_int_equal(mqtt_write_bare(&out, MQTT_PINGRESP), 0);
    assert_bytes(&out, "\x40\x02\x01\x02\xd0\x00", 6);
    bytes_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_writes_every_remaining_length),
        cmocka_unit_test(a_fifth_length_byte_breaks_the_stream),
        cmocka_unit_test(names_every_packet_type),
        cmocka_unit_test(tells_mqtt_text_from_other_bytes),
        cmocka_unit_test(tells_topics_and_filters_that_mqtt_allows),
        cmocka_unit_test(reads_every_field_of_connect),
        cmocka_unit_test(refuses_connect_cut_at_every_length_and_leaves_the_output_untouched),
        cmocka_unit_test(recognises_other_protocol_levels_without_reading_on),
        cmocka_unit_test(refuses_flags_that_contradict_each_other),
        cmocka_unit_test(rewrites_connect_for_mosquitto),
        cmocka_unit_test(a_will_topic_that_does_not_fit_behind_the_prefix_is_not_written),
        cmocka_unit_test(writes_connack_in_both_forms),
        cmocka_unit_test(reads_connack),
        cmocka_unit_test(measures_the_head_of_publish_at_every_length),
        cmocka_unit_test(a_publish_too_short_for_its_topic_is_broken),
        cmocka_unit_test(reads_the_head_of_publish),
        cmocka_unit_test(writes_publish_with_a_prefix),
        cmocka_unit_test(writes_nothing_of_a_publish_that_does_not_fit),
        cmocka_unit_test(reads_subscribe_filter_by_filter),
        cmocka_unit_test(reads_unsubscribe),
        cmocka_unit_test(refuses_subscribe_cut_at_every_length),
        cmocka_unit_test(rebuilds_subscribe_with_a_prefix),
        cmocka_unit_test(reads_and_writes_acknowledgements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
