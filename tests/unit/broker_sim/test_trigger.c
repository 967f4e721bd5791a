/* Triggers: protocol events in words. */
#include "base/cleanup.h"
#include "broker_sim/scenario/trigger.h"

#include <string.h>

#include "tests/cmocka.h"

static struct trigger read_good(const char *text)
{
    struct error error = ERROR_INIT;
    struct trigger trigger;
    if (trigger_read(text, &trigger, &error))
        fail_msg("%s", error.text);
    return trigger;
}

static void reads_the_words_of_the_manual(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum trigger_kind kind;
        bool is_after, is_up;
        int number;
        int64_t first, last;
        const char *filter;
    } rows[] = {
        {"", TRIGGER_START, false, false, 0, 0, 0, ""},
        {"start", TRIGGER_START, false, false, 0, 0, 0, ""},
        {"at ServerHelloDone", TRIGGER_MESSAGE, false, false, 14, 0, 0, ""},
        {"after the client Certificate", TRIGGER_MESSAGE, true, true, 11, 0, 0, ""},
        {"at server CertificateVerify", TRIGGER_MESSAGE, false, false, 15, 0, 0, ""},
        {"after ChangeCipherSpec", TRIGGER_MESSAGE, true, false, TRIGGER_CHANGE_CIPHER_SPEC, 0, 0, ""},
        {"after 300 bytes down", TRIGGER_BYTES, true, false, 0, 300, 300, ""},
        {"after 10-700 bytes up", TRIGGER_BYTES, true, true, 0, 10, 700, ""},
        {"after the 2nd PUBLISH on $dps/registrations/PUT/#", TRIGGER_PACKET, true, true, 3, 2, 2, "$dps/registrations/PUT/#"},
        {"at SUBACK", TRIGGER_PACKET, false, false, 9, 1, 1, ""},
        {"after the 1st-4th PUBLISH down", TRIGGER_PACKET, true, false, 3, 1, 4, ""},
        {"at PUBACK", TRIGGER_PACKET, false, false, 4, 1, 1, ""},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct trigger trigger = read_good(rows[i].text);
        assert_int_equal(trigger.kind, rows[i].kind);
        assert_int_equal(trigger.is_after, rows[i].is_after);
        assert_int_equal(trigger.is_up, rows[i].is_up);
        assert_int_equal(trigger.number, rows[i].number);
        assert_int_equal(trigger.first, rows[i].first);
        assert_int_equal(trigger.last, rows[i].last);
        assert_string_equal(trigger.filter, rows[i].filter);
    }
}

static void refuses_what_names_no_event_and_suggests_the_nearest(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"at ServerHeloDone", "did you mean 'ServerHelloDone'"},
        {"after the 2nd PUBLSH", "did you mean 'PUBLISH'"},
        {"ServerHelloDone", "names no protocol event"},
        {"at 300 bytes", "names no protocol event"},
        {"after 0 bytes", "names no protocol event"},
        {"after 700-10 bytes", "names no protocol event"},
        {"after 99999999999999999999 bytes", "names no protocol event"},
        {"after the PUBLISH on $dps/# now", "names no protocol event"},
        {"at ServerHelloDone down", "names no protocol event"},
        {"after", "names no protocol event"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct error error = ERROR_INIT;
        struct trigger trigger = {.number = 4711};
        assert_int_equal(trigger_read(rows[i].text, &trigger, &error), -1);
        if (!strstr(error.text, rows[i].expected))
            fail_msg("'%s' is not in: %s", rows[i].expected, error.text);
        assert_int_equal(trigger.number, 4711);
    }
}

static void a_trigger_is_of_the_wire_or_of_packets(void **state)
{
    (void)state;
    assert_int_equal(trigger_check_wire("at ServerHello", NULL), 0);
    assert_int_equal(trigger_check_wire("at SUBACK", NULL), -1);
    assert_int_equal(trigger_check_packet("at SUBACK", NULL), 0);
    assert_int_equal(trigger_check_packet("after 3 bytes", NULL), -1);
}

static void the_same_seed_draws_the_same_number(void **state)
{
    (void)state;
    struct trigger trigger = read_good("after 10-700 bytes");
    bool differs = false;
    for (uint64_t seed = 0; seed < 100; seed++) {
        uint64_t one = seed, two = seed, other = seed + 1;
        int64_t count = trigger_count(&trigger, &one);
        assert_int_equal(count, trigger_count(&trigger, &two));
        assert_in_range(count, 10, 700);
        differs |= count != trigger_count(&trigger, &other);
    }
    assert_true(differs);
}

static void packets_are_known_by_direction_type_and_topic(void **state)
{
    (void)state;
    static const struct {
        const char *filter, *topic;
        bool matches;
    } rows[] = {
        {"a/b", "a/b", true},   {"a/b", "a/bc", false},  {"a/+", "a/b", true}, {"a/+", "a/b/c", false}, {"a/#", "a/b/c", true},
        {"a/#", "a", true},     {"#", "a/b", true},      {"a/b", "a", false},  {"+/b", "x/b", true},    {"a", "a/b", false},
        {"a//b", "a//b", true}, {"a/+/b", "a//b", true}, {"ab", "a", false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char text[64];
        snprintf(text, sizeof text, "at PUBLISH on %s", rows[i].filter);
        struct trigger trigger = read_good(text);
        if (trigger_is_packet(&trigger, true, 3, rows[i].topic) != rows[i].matches)
            fail_msg("'%s' and '%s'", rows[i].filter, rows[i].topic);
        assert_false(trigger_is_packet(&trigger, false, 3, rows[i].topic));
        assert_false(trigger_is_packet(&trigger, true, 8, NULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_words_of_the_manual),
        cmocka_unit_test(refuses_what_names_no_event_and_suggests_the_nearest),
        cmocka_unit_test(a_trigger_is_of_the_wire_or_of_packets),
        cmocka_unit_test(the_same_seed_draws_the_same_number),
        cmocka_unit_test(packets_are_known_by_direction_type_and_topic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
