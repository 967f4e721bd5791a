#include "perf/load_client/script.h"

#include <string.h>

#include "tests/cmocka.h"

#define CONNACK "\x20\x02\x00\x00"
#define SUBACK "\x90\x03\x00\x01\x01"

struct talk {
    struct script script;
    struct bytes in, out;
};

static struct talk start(enum script_kind kind)
{
    struct talk talk = {.script = {.kind = kind, .id_scope = "0ne", .id = "perf-00001"}};
    bytes_init(&talk.in, SCRIPT_BUFFER_MAX_BYTES);
    bytes_init(&talk.out, SCRIPT_BUFFER_MAX_BYTES);
    script_begin(&talk.script, &talk.out);
    return talk;
}

static void end(struct talk *talk)
{
    bytes_done(&talk->in);
    bytes_done(&talk->out);
}

static enum script_result hear(struct talk *talk, const void *data, size_t length_bytes)
{
    bytes_clear(&talk->out);
    assert_int_equal(bytes_append(&talk->in, data, length_bytes), 0);
    return script_feed(&talk->script, &talk->in, &talk->out);
}

static enum script_result hear_publish(struct talk *talk, const char *topic, const char *body)
{
    uint8_t packet[512];
    size_t topic_bytes = strlen(topic), length = 2 + topic_bytes + 2 + strlen(body);
    assert_true(length < 16384 && length >= 128 && topic_bytes < 256);
    packet[0] = 0x32;
    packet[1] = (uint8_t)(length % 128 | 128);
    packet[2] = (uint8_t)(length / 128);
    packet[3] = 0;
    packet[4] = (uint8_t)topic_bytes;
    memcpy(packet + 5, topic, topic_bytes);
    packet[5 + topic_bytes] = 0;
    packet[6 + topic_bytes] = 9;
    memcpy(packet + 7 + topic_bytes, body, strlen(body));
    return hear(talk, packet, 3 + length);
}

static struct talk start_registered(void)
{
    struct talk talk = start(SCRIPT_REGISTRATION);
    assert_int_equal(hear(&talk, CONNACK, 4), SCRIPT_MORE);
    assert_int_equal(hear(&talk, SUBACK, 5), SCRIPT_MORE);
    assert_non_null(memmem(talk.out.data, talk.out.length_bytes, "PUT/iotdps-register/?$rid=1", 27));
    return talk;
}

#define ASSIGNING "{\"operationId\":\"4.0123456789abcdef.01234567-89ab-cdef-0123-456789abcdef\",\"status\":\"assigning\"}"
#define ASSIGNED(id)                                                                                                                       \
    "{\"operationId\":\"4.x\",\"status\":\"assigned\",\"registrationState\":{\"registrationId\":\"" id "\"},\"padding\":\"0123456789\"}"

static void a_registration_ends_when_this_device_is_assigned(void **state)
{
    (void)state;
    struct talk talk = start_registered();
    assert_int_equal(hear_publish(&talk, "$dps/registrations/res/202/?$rid=1&retry-after=3", ASSIGNING), SCRIPT_MORE);
    assert_memory_equal(talk.out.data, "\x40\x02\x00\x09", 4); /* PUBACK first */
    assert_non_null(memmem(talk.out.data, talk.out.length_bytes, "?$rid=2&operationId=4.0123456789abcdef.", 39));
    assert_int_equal(hear(&talk, "\x40\x02\x00\x03", 4), SCRIPT_MORE);
    assert_int_equal(hear_publish(&talk, "$dps/registrations/res/200/?$rid=2", ASSIGNED("perf-00001")), SCRIPT_DONE);
    end(&talk);
}

static void a_reply_that_is_not_ours_is_wrong(void **state)
{
    (void)state;
    struct talk talk = start_registered();
    assert_int_equal(hear_publish(&talk, "$dps/registrations/res/202/?$rid=7&retry-after=3", ASSIGNING), SCRIPT_WRONG);
    end(&talk);
    talk = start_registered();
    assert_int_equal(hear_publish(&talk, "$dps/registrations/res/401/?$rid=1", ASSIGNING), SCRIPT_WRONG);
    end(&talk);
    talk = start_registered();
    assert_int_equal(hear_publish(&talk, "$dps/registrations/res/202/?$rid=1&retry-after=3", ASSIGNING), SCRIPT_MORE);
    assert_int_equal(hear_publish(&talk, "$dps/registrations/res/200/?$rid=2", ASSIGNED("perf-00002")), SCRIPT_WRONG);
    end(&talk);
}

static void a_refusal_is_wrong_and_a_part_of_a_packet_is_nothing(void **state)
{
    (void)state;
    struct talk talk = start(SCRIPT_CONNACK);
    assert_int_equal(hear(&talk, "\x20\x02\x00", 3), SCRIPT_MORE);
    assert_int_equal(hear(&talk, "\x05", 1), SCRIPT_WRONG);
    end(&talk);
    talk = start(SCRIPT_IDLE);
    assert_int_equal(hear(&talk, CONNACK, 4), SCRIPT_MORE);
    assert_int_equal(hear(&talk, "\x90\x03\x00\x01\x80", 5), SCRIPT_WRONG);
    end(&talk);
}

static void four_bytes_are_a_greeting_and_five_are_not(void **state)
{
    (void)state;
    struct talk talk = start(SCRIPT_HANDSHAKE);
    assert_int_equal(talk.out.length_bytes, 0);
    assert_int_equal(hear(&talk, "abc", 3), SCRIPT_MORE);
    assert_int_equal(hear(&talk, "d", 1), SCRIPT_DONE);
    end(&talk);
    talk = start(SCRIPT_HANDSHAKE);
    assert_int_equal(hear(&talk, "abcde", 5), SCRIPT_WRONG);
    end(&talk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_registration_ends_when_this_device_is_assigned),
        cmocka_unit_test(a_reply_that_is_not_ours_is_wrong),
        cmocka_unit_test(a_refusal_is_wrong_and_a_part_of_a_packet_is_nothing),
        cmocka_unit_test(four_bytes_are_a_greeting_and_five_are_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
