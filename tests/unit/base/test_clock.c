#include "base/clock.h"

#include "tests/cmocka.h"

static struct clock_fake fake_at(int64_t mono_us, int64_t unix_us)
{
    struct clock_fake fake;
    clock_fake_init(&fake, mono_us, unix_us);
    return fake;
}

static void stands_still_until_a_test_moves_it(void **state)
{
    (void)state;
    struct clock_fake fake = fake_at(5, 1790000000999999);
    assert_int_equal(clock_mono_us(&fake.clock), 5);
    assert_int_equal(clock_unix_us(&fake.clock), 1790000000999999);
    assert_int_equal(clock_unix_s(&fake.clock), 1790000000);
    fake.mono_now_us = 6;
    assert_int_equal(clock_mono_us(&fake.clock), 6);
}

static void the_system_clocks_go_forward(void **state)
{
    (void)state;
    int64_t before = clock_mono_us(&clock_system);
    assert_true(before > 0);
    assert_true(clock_mono_us(&clock_system) >= before);
    assert_true(clock_unix_s(&clock_system) > 1600000000);
}

static void a_deadline_passes_at_its_very_microsecond(void **state)
{
    (void)state;
    struct clock_fake fake = fake_at(1000, 0);
    deadline_t deadline = deadline_in_ms(&fake.clock, 20);
    fake.mono_now_us = 20999;
    assert_false(deadline_has_passed(&fake.clock, deadline));
    fake.mono_now_us = 21000;
    assert_true(deadline_has_passed(&fake.clock, deadline));
}

/* Rounded down, a poll() of the rest would spin through the last millisecond. */
static void milliseconds_left_are_rounded_up_and_never_negative(void **state)
{
    (void)state;
    struct clock_fake fake = fake_at(0, 0);
    deadline_t deadline = deadline_in_ms(&fake.clock, 2);
    assert_int_equal(deadline_left_ms(&fake.clock, deadline), 2);
    fake.mono_now_us = 999;
    assert_int_equal(deadline_left_ms(&fake.clock, deadline), 2);
    fake.mono_now_us = 1999;
    assert_int_equal(deadline_left_ms(&fake.clock, deadline), 1);
    fake.mono_now_us = 2000;
    assert_int_equal(deadline_left_ms(&fake.clock, deadline), 0);
    fake.mono_now_us = 9000;
    assert_int_equal(deadline_left_ms(&fake.clock, deadline), 0);
}

static void the_scale_divides_waits_and_rounds_up(void **state)
{
    (void)state;
    assert_int_equal(clock_scaled_ms(20000, 20), 1000);
    assert_int_equal(clock_scaled_ms(500, 50), 10);
    assert_int_equal(clock_scaled_ms(501, 50), 11);
    assert_int_equal(clock_scaled_ms(1, 1000), 1);
    assert_int_equal(clock_scaled_ms(0, 10), 0);
    assert_int_equal(clock_scaled_ms(-5, 10), 0);
}

static void a_scale_below_one_does_not_slow_down(void **state)
{
    (void)state;
    assert_int_equal(clock_scaled_ms(90000, 0.5), 90000);
    assert_int_equal(clock_scaled_ms(90000, 1), 90000);
}

static void a_scaled_deadline_uses_the_scaled_wait(void **state)
{
    (void)state;
    struct clock_fake fake = fake_at(7000, 0);
    assert_int_equal(deadline_in_scaled_ms(&fake.clock, 90000, 10).at_us, 7000 + 9000 * 1000);
}

static void the_earlier_of_two_deadlines_wins(void **state)
{
    (void)state;
    deadline_t early = {3}, late = {4};
    assert_int_equal(deadline_earlier(early, late).at_us, 3);
    assert_int_equal(deadline_earlier(late, early).at_us, 3);
}

static void writes_iso_8601_in_utc_with_microseconds(void **state)
{
    (void)state;
    char text[CLOCK_ISO8601_BYTES];
    clock_format_iso8601(0, text);
    assert_string_equal(text, "1970-01-01T00:00:00.000000Z");
    clock_format_iso8601(1709208000000001, text);
    assert_string_equal(text, "2024-02-29T12:00:00.000001Z");
    clock_format_iso8601(1709207999999999, text);
    assert_string_equal(text, "2024-02-29T11:59:59.999999Z");
}

static void writes_times_before_1970_too(void **state)
{
    (void)state;
    char text[CLOCK_ISO8601_BYTES];
    clock_format_iso8601(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999999Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stands_still_until_a_test_moves_it),        cmocka_unit_test(the_system_clocks_go_forward),
        cmocka_unit_test(a_deadline_passes_at_its_very_microsecond), cmocka_unit_test(milliseconds_left_are_rounded_up_and_never_negative),
        cmocka_unit_test(the_scale_divides_waits_and_rounds_up),     cmocka_unit_test(a_scale_below_one_does_not_slow_down),
        cmocka_unit_test(a_scaled_deadline_uses_the_scaled_wait),    cmocka_unit_test(the_earlier_of_two_deadlines_wins),
        cmocka_unit_test(writes_iso_8601_in_utc_with_microseconds),  cmocka_unit_test(writes_times_before_1970_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
