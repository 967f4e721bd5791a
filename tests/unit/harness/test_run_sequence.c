#include "harness/control/sequence.h"

#include "tests/cmocka.h"

static void counts_a_hole(void **state)
{
    (void)state;
    struct sequence sequence = {0};
    sequence_sync(&sequence, 10);
    assert_true(sequence_take(&sequence, 11));
    assert_true(sequence_take(&sequence, 14));
    assert_int_equal(sequence.missing, 2);
}

static void drops_a_repetition(void **state)
{
    (void)state;
    struct sequence sequence = {0};
    sequence_sync(&sequence, 10);
    assert_true(sequence_take(&sequence, 11));
    assert_false(sequence_take(&sequence, 11));
    assert_false(sequence_take(&sequence, 9));
    assert_int_equal(sequence.missing, 0);
}

static void misses_nothing_of_the_time_before_it_listened(void **state)
{
    (void)state;
    struct sequence sequence = {0};
    assert_true(sequence_take(&sequence, 500));
    sequence_sync(&sequence, 502);
    assert_int_equal(sequence.missing, 0);
}

static void sees_that_the_last_ones_are_missing(void **state)
{
    (void)state;
    struct sequence sequence = {0};
    sequence_sync(&sequence, 10);
    assert_true(sequence_take(&sequence, 11));
    sequence_sync(&sequence, 13);
    assert_int_equal(sequence.missing, 2);
    assert_true(sequence_take(&sequence, 14));
    sequence_sync(&sequence, 14);
    assert_int_equal(sequence.missing, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_a_hole),
        cmocka_unit_test(drops_a_repetition),
        cmocka_unit_test(misses_nothing_of_the_time_before_it_listened),
        cmocka_unit_test(sees_that_the_last_ones_are_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
