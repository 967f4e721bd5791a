/* A stream cut into packets, however the bytes arrive. */
#include "base/cleanup.h"
#include "broker_sim/mqtt/framer.h"

#include <stdlib.h>
#include <string.h>

#include "tests/cmocka.h"

/* What came out, as text: "12(0)" is a PINGREQ, "P a/b 1 7 [xy]" a PUBLISH of QoS 1 with its payload. */
struct record {
    struct bytes text;
    int stop_after; /* packets; 0: never */
    int count;
    int result;
};

static int on_packet(void *user, const struct mqtt_header *header, const uint8_t *body, size_t length, struct error *error)
{
    (void)body, (void)error;
    struct record *record = user;
    bytes_printf(&record->text, "%u(%zu) ", header->type, length);
    return ++record->count == record->stop_after ? record->result : 0;
}

static int on_publish(void *user, const struct mqtt_publish *publish, struct error *error)
{
    (void)error;
    struct record *record = user;
    bytes_printf(&record->text, "P %.*s %u %u ", publish->topic.length_bytes, (const char *)publish->topic.data, publish->qos,
                 publish->payload_bytes);
    return ++record->count == record->stop_after ? record->result : 0;
}

static int on_payload(void *user, const uint8_t *data, size_t length, struct error *error)
{
    (void)error;
    struct record *record = user;
    assert_true(length > 0);
    return bytes_append(&record->text, data, length);
}

static const uint8_t stream[] = {0xc0, 0, 0x32, 9, 0, 3, 'a', '/', 'b', 0, 7, 'x', 'y', 0x30, 3, 0, 1, 'e', 0x40, 2, 0, 1, 0xe0, 0};
static const char stream_text[] = "12(0) P a/b 1 2 xyP e 0 0 4(2) 14(0) ";

static int feed_in_pieces(struct record *record, const uint8_t *data, size_t length, size_t piece, struct error *error)
{
    struct mqtt_framer framer;
    const struct mqtt_framer_callbacks callbacks = {record, on_packet, on_publish, on_payload};
    int result = 0;
    mqtt_framer_init(&framer, 1000, 1000);
    bytes_init(&record->text, 1024 * 1024);
    for (size_t at = 0; at < length && result == 0; at += piece) {
        size_t used, size = length - at < piece ? length - at : piece;
        uint8_t *copy = malloc(size);
        memcpy(copy, data + at, size);
        result = mqtt_framer_feed(&framer, &callbacks, copy, size, &used, error);
        if (result == 0)
            assert_int_equal(used, size);
        free(copy);
    }
    if (result == 0)
        assert_true(mqtt_framer_is_idle(&framer));
    mqtt_framer_done(&framer);
    return result;
}

static void every_way_of_cutting_the_stream_gives_the_same_packets(void **state)
{
    (void)state;
    for (size_t piece = 1; piece <= sizeof stream; piece++) {
        struct record record = {0};
        assert_int_equal(feed_in_pieces(&record, stream, sizeof stream, piece, NULL), 0);
        assert_string_equal(bytes_text(&record.text), stream_text);
        bytes_done(&record.text);
    }
}

static void nothing_is_held_between_packets(void **state)
{
    (void)state;
    struct mqtt_framer framer;
    struct record record = {0};
    const struct mqtt_framer_callbacks callbacks = {&record, on_packet, on_publish, on_payload};
    size_t used;
    bytes_init(&record.text, 1024);
    mqtt_framer_init(&framer, 1000, 1000);
    mqtt_framer_feed(&framer, &callbacks, stream, 6, &used, NULL);
    assert_false(mqtt_framer_is_idle(&framer));
    mqtt_framer_feed(&framer, &callbacks, stream + 6, 6, &used, NULL);
    assert_false(mqtt_framer_is_idle(&framer)); /* inside the payload, of which nothing is held */
    assert_null(framer.held.data);
    mqtt_framer_feed(&framer, &callbacks, stream + 12, 1, &used, NULL);
    assert_true(mqtt_framer_is_idle(&framer));
    mqtt_framer_done(&framer);
    bytes_done(&record.text);
}

static void a_callback_may_stop_it_and_the_rest_is_fed_later(void **state)
{
    (void)state;
    for (int stop = 1; stop <= 5; stop++) {
        struct mqtt_framer framer;
        struct record record = {.stop_after = stop, .result = 1};
        const struct mqtt_framer_callbacks callbacks = {&record, on_packet, on_publish, on_payload};
        size_t used, more;
        bytes_init(&record.text, 1024);
        mqtt_framer_init(&framer, 1000, 1000);
        assert_int_equal(mqtt_framer_feed(&framer, &callbacks, stream, sizeof stream, &used, NULL), 1);
        assert_int_equal(mqtt_framer_feed(&framer, &callbacks, stream + used, sizeof stream - used, &more, NULL), 0);
        assert_int_equal(used + more, sizeof stream);
        assert_string_equal(bytes_text(&record.text), stream_text);
        mqtt_framer_done(&framer);
        bytes_done(&record.text);
    }
}

static void a_failing_callback_ends_it(void **state)
{
    (void)state;
    struct record record = {.stop_after = 2, .result = -1};
    assert_int_equal(feed_in_pieces(&record, stream, sizeof stream, 3, NULL), -1);
    assert_string_equal(bytes_text(&record.text), "12(0) P a/b 1 2 ");
    bytes_done(&record.text);
}

static void refuses_what_is_larger_than_its_limits_before_it_has_come(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
        const char *text;
    } rows[] = {
        {"\x82\xe9\x07", 3, "SUBSCRIBE of 1001 bytes; the limit is 1000"},
        {"\x30\xec\x07\x00\x01"
         "a",
         6, "PUBLISH with a payload of 1001 bytes; the limit is 1000"},
        {"\x30\xff\xff\xff\xff", 5, "a remaining length of more than four bytes"},
        {"\x30\x03\x00\x02", 4, "PUBLISH of 3 bytes is too short for its topic"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        for (size_t piece = 1; piece <= rows[i].length; piece++) {
            struct record record = {0};
            struct error error = ERROR_INIT;
            assert_int_equal(feed_in_pieces(&record, (const uint8_t *)rows[i].bytes, rows[i].length, piece, &error), -1);
            assert_string_equal(error.text, rows[i].text);
            bytes_done(&record.text);
        }
}

static void takes_what_is_just_as_large_as_its_limits(void **state)
{
    (void)state;
    static uint8_t packet[3 + 1000];
    struct record record = {0};
    memcpy(packet, "\x82\xe8\x07", 3);
    assert_int_equal(feed_in_pieces(&record, packet, sizeof packet, 100, NULL), 0);
    assert_string_equal(bytes_text(&record.text), "8(1000) ");
    bytes_done(&record.text);
}

static void takes_a_topic_of_the_greatest_length_byte_by_byte(void **state)
{
    (void)state;
    enum { TOPIC = 65535 };
    uint8_t *packet = malloc(4 + 2 + TOPIC);
    struct record record = {0};
    memcpy(packet, "\x30\x81\x80\x04\xff\xff", 6);
    memset(packet + 6, 'a', TOPIC);
    assert_int_equal(feed_in_pieces(&record, packet, 6 + TOPIC, 1, NULL), 0);
    assert_int_equal(record.count, 1);
    bytes_done(&record.text);
    free(packet);
}

/* Random bytes, and the stream with random bytes in it: it must end by itself, in bounds, the same way in one piece and in many. */
static void survives_noise(void **state)
{
    (void)state;
    srand(4711);
    for (int round = 0; round < 20000; round++) {
        uint8_t noise[sizeof stream];
        struct record one = {0}, many = {0};
        struct error error_one = ERROR_INIT, error_many = ERROR_INIT;
        memcpy(noise, stream, sizeof stream);
        for (int i = rand() % 4; i >= 0; i--)
            noise[(size_t)rand() % sizeof noise] = (uint8_t)rand();
        struct mqtt_framer framer;
        const struct mqtt_framer_callbacks callbacks = {&one, on_packet, on_publish, on_payload};
        size_t used;
        mqtt_framer_init(&framer, 1000, 1000);
        bytes_init(&one.text, 4096);
        int result = mqtt_framer_feed(&framer, &callbacks, noise, sizeof noise, &used, &error_one);
        mqtt_framer_done(&framer);
        struct mqtt_framer again;
        const struct mqtt_framer_callbacks callbacks_many = {&many, on_packet, on_publish, on_payload};
        int result_many = 0;
        mqtt_framer_init(&again, 1000, 1000);
        bytes_init(&many.text, 4096);
        for (size_t i = 0; i < sizeof noise && result_many == 0; i++)
            result_many = mqtt_framer_feed(&again, &callbacks_many, noise + i, 1, &used, &error_many);
        mqtt_framer_done(&again);
        assert_int_equal(result, result_many);
        assert_string_equal(error_one.text, error_many.text);
        assert_string_equal(bytes_text(&one.text), bytes_text(&many.text));
        bytes_done(&one.text);
        bytes_done(&many.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_of_cutting_the_stream_gives_the_same_packets),
        cmocka_unit_test(nothing_is_held_between_packets),
        cmocka_unit_test(a_callback_may_stop_it_and_the_rest_is_fed_later),
        cmocka_unit_test(a_failing_callback_ends_it),
        cmocka_unit_test(refuses_what_is_larger_than_its_limits_before_it_has_come),
        cmocka_unit_test(takes_what_is_just_as_large_as_its_limits),
        cmocka_unit_test(takes_a_topic_of_the_greatest_length_byte_by_byte),
        cmocka_unit_test(survives_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
