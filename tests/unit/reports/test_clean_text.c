#include "reports/clean_text.h"

#include "base/cleanup.h"

#include <string.h>

#include "tests/cmocka.h"

static void leaves_out_what_is_no_text(void **state)
{
    (void)state;
    static const struct {
        const char *text, *one_line, *lines;
    } rows[] = {
        {"plain", "plain", "plain"},
        {"", "", ""},
        {"\033[1;31mred\033[0m", "red", "red"},
        {"\033[2K\033[1Gline", "line", "line"},
        {"\033]0;title\ardy", "rdy", "rdy"},
        {"\033]0;title\033\\rdy", "rdy", "rdy"},
        {"\033]no end", "no end", "no end"},
        {"\033Psixel\033\\x", "x", "x"},
        {"\033(Bx", "x", "x"},
        {"\033=x", "x", "x"},
        {"cut \033", "cut ", "cut "},
        {"cut \033[", "cut ", "cut "},
        {"cut \033[1;3", "cut ", "cut "},
        {"\302\23331mx", "x", "x"},
        {"a\tb\nc\r\nd\re", "a b c d e", "a\tb\nc\nd\ne"},
        {"bell\a null-like\001 del\177", "bell null-like del", "bell null-like del"},
        {"bad \377\200 utf-8 \303", "bad  utf-8 ", "bad  utf-8 "},
        {"over\300\257long", "overlong", "overlong"},
        {"surrogate \355\240\200.", "surrogate .", "surrogate ."},
        {"no character \357\277\276\357\277\277.", "no character .", "no character ."},
        {"C1 \302\205.", "C1 .", "C1 ."},
        {"kept \303\251 \342\202\254 \360\237\230\200 \357\277\275", "kept \303\251 \342\202\254 \360\237\230\200 \357\277\275",
         "kept \303\251 \342\202\254 \360\237\230\200 \357\277\275"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CLEANUP_FREE char *one_line = clean_text(rows[i].text, CLEAN_TEXT_ONE_LINE);
        CLEANUP_FREE char *lines = clean_text(rows[i].text, CLEAN_TEXT_LINES);
        assert_string_equal(one_line, rows[i].one_line);
        assert_string_equal(lines, rows[i].lines);
    }
}

static void takes_no_text_for_an_empty_one(void **state)
{
    (void)state;
    CLEANUP_FREE char *text = clean_text(NULL, CLEAN_TEXT_LINES);
    assert_string_equal(text, "");
}

static void cuts_where_the_buffer_ends(void **state)
{
    (void)state;
    CLEANUP(bytes_done) struct bytes out = {.max_bytes = 3};
    assert_int_equal(clean_text_append(&out, "abcdef", CLEAN_TEXT_LINES), -1);
    assert_true(out.length_bytes <= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves_out_what_is_no_text),
        cmocka_unit_test(takes_no_text_for_an_empty_one),
        cmocka_unit_test(cuts_where_the_buffer_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
