#include "base/bytes.h"

#include "base/cleanup.h"

#include <string.h>

#include "tests/cmocka.h"

static void is_empty_text_at_first(void **state)
{
    (void)state;
    struct bytes bytes;
    bytes_init(&bytes, 10);
    assert_string_equal(bytes_text(&bytes), "");
    assert_null(bytes.data);
    bytes_done(&bytes);
    bytes_done(NULL);
    bytes_wipe(NULL);
}

static void grows_up_to_its_limit_and_not_one_byte_further(void **state)
{
    (void)state;
    CLEANUP(bytes_done) struct bytes bytes;
    bytes_init(&bytes, 200);
    for (int i = 0; i < 200; i++)
        assert_int_equal(bytes_append_byte(&bytes, 'a'), 0);
    assert_int_equal(bytes_append_byte(&bytes, 'b'), -1);
    assert_int_equal(bytes.length_bytes, 200);
    assert_int_equal(strlen(bytes_text(&bytes)), 200);
}

static void stays_as_it_was_when_an_append_does_not_fit(void **state)
{
    (void)state;
    CLEANUP(bytes_done) struct bytes bytes;
    bytes_init(&bytes, 8);
    assert_int_equal(bytes_append_text(&bytes, "12345"), 0);
    assert_int_equal(bytes_append_text(&bytes, "6789"), -1);
    assert_int_equal(bytes_printf(&bytes, "%d", 6789), -1);
    assert_int_equal(bytes_append(&bytes, "x", SIZE_MAX), -1);
    assert_string_equal(bytes_text(&bytes), "12345");
    assert_int_equal(bytes_printf(&bytes, "%d", 678), 0);
    assert_string_equal(bytes_text(&bytes), "12345678");
}

static void holds_nul_bytes_and_ends_in_one_that_does_not_count(void **state)
{
    (void)state;
    CLEANUP(bytes_done) struct bytes bytes;
    bytes_init(&bytes, 8);
    assert_int_equal(bytes_append(&bytes, "a\0b", 3), 0);
    assert_int_equal(bytes.length_bytes, 3);
    assert_memory_equal(bytes.data, "a\0b\0", 4);
}

static void is_cut_behind_what_is_to_stay(void **state)
{
    (void)state;
    CLEANUP(bytes_done) struct bytes bytes;
    bytes_init(&bytes, 8);
    bytes_cut(&bytes, 0);
    assert_int_equal(bytes_append_text(&bytes, "12345"), 0);
    bytes_cut(&bytes, 6);
    assert_string_equal(bytes_text(&bytes), "12345");
    bytes_cut(&bytes, 2);
    assert_string_equal(bytes_text(&bytes), "12");
    assert_int_equal(bytes.length_bytes, 2);
}

static void takes_an_append_of_nothing(void **state)
{
    (void)state;
    CLEANUP(bytes_done) struct bytes bytes;
    bytes_init(&bytes, 0);
    assert_int_equal(bytes_append(&bytes, NULL, 0), 0);
    assert_int_equal(bytes_append_text(&bytes, ""), 0);
    assert_int_equal(bytes_append_byte(&bytes, 1), -1);
    assert_string_equal(bytes_text(&bytes), "");
}

static void consumes_from_the_front_and_never_more_than_there_is(void **state)
{
    (void)state;
    CLEANUP(bytes_done) struct bytes bytes;
    bytes_init(&bytes, 16);
    bytes_consume(&bytes, 3);
    bytes_append_text(&bytes, "abcdef");
    bytes_consume(&bytes, 2);
    assert_string_equal(bytes_text(&bytes), "cdef");
    bytes_consume(&bytes, 99);
    assert_string_equal(bytes_text(&bytes), "");
    assert_int_equal(bytes.length_bytes, 0);
}

static void can_be_cleared_and_used_again(void **state)
{
    (void)state;
    CLEANUP(bytes_done) struct bytes bytes;
    bytes_init(&bytes, 4);
    bytes_clear(&bytes);
    bytes_append_text(&bytes, "1234");
    bytes_clear(&bytes);
    assert_string_equal(bytes_text(&bytes), "");
    assert_int_equal(bytes_append_text(&bytes, "567"), 0);
    bytes_done(&bytes);
    assert_int_equal(bytes.max_bytes, 4);
    assert_int_equal(bytes_append_text(&bytes, "89"), 0);
    bytes_wipe(&bytes);
    assert_null(bytes.data);
    assert_int_equal(bytes.length_bytes, 0);
}

static void reads_big_endian_numbers(void **state)
{
    (void)state;
    struct cursor cursor = cursor_of("\x01\xfe\xdc", 3);
    assert_int_equal(cursor_u8(&cursor), 1);
    assert_int_equal(cursor_u16(&cursor), 0xfedc);
    assert_int_equal(cursor_left(&cursor), 0);
    assert_false(cursor.has_failed);
}

static void a_read_past_the_end_gives_zero_and_sticks(void **state)
{
    (void)state;
    struct cursor cursor = cursor_of("\x01", 1);
    assert_int_equal(cursor_u16(&cursor), 0);
    assert_true(cursor.has_failed);
    assert_int_equal(cursor_u8(&cursor), 0);
    assert_null(cursor_take(&cursor, 0));
}

static void takes_exactly_what_is_left(void **state)
{
    (void)state;
    struct cursor cursor = cursor_of("abc", 3);
    assert_memory_equal(cursor_take(&cursor, 3), "abc", 3);
    assert_non_null(cursor_take(&cursor, 0));
    assert_null(cursor_take(&cursor, 1));
}

static void nothing_at_all_can_be_read_too(void **state)
{
    (void)state;
    struct cursor cursor = cursor_of(NULL, 12);
    assert_int_equal(cursor_left(&cursor), 0);
    assert_int_equal(cursor_u8(&cursor), 0);
    assert_true(cursor.has_failed);
}

static void a_huge_length_does_not_wrap_around(void **state)
{
    (void)state;
    struct cursor cursor = cursor_of("abc", 3);
    assert_null(cursor_take(&cursor, SIZE_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_empty_text_at_first),
        cmocka_unit_test(grows_up_to_its_limit_and_not_one_byte_further),
        cmocka_unit_test(stays_as_it_was_when_an_append_does_not_fit),
        cmocka_unit_test(holds_nul_bytes_and_ends_in_one_that_does_not_count),
        cmocka_unit_test(is_cut_behind_what_is_to_stay),
        cmocka_unit_test(takes_an_append_of_nothing),
        cmocka_unit_test(consumes_from_the_front_and_never_more_than_there_is),
        cmocka_unit_test(can_be_cleared_and_used_again),
        cmocka_unit_test(reads_big_endian_numbers),
        cmocka_unit_test(a_read_past_the_end_gives_zero_and_sticks),
        cmocka_unit_test(takes_exactly_what_is_left),
        cmocka_unit_test(nothing_at_all_can_be_read_too),
        cmocka_unit_test(a_huge_length_does_not_wrap_around),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
