#include "base/percent.h"

#include "base/cleanup.h"

#include <string.h>

#include "tests/cmocka.h"

static void encodes_all_but_unreserved_characters(void **state)
{
    (void)state;
    CLEANUP(bytes_done) struct bytes out = {.max_bytes = 64};
    assert_int_equal(percent_encode(&out, "aZ0-._~ /+%&\xc3\xa4", 14), 0);
    assert_string_equal(bytes_text(&out), "aZ0-._~%20%2F%2B%25%26%C3%A4");
    assert_int_equal(percent_encode(&out, "                    ", 20), -1);
}

static void decodes_strictly(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *expected; /* NULL: malformed */
    } rows[] = {
        {"", ""},     {"a%20b", "a b"}, {"%2f%2F", "//"}, {"a+b", "a+b"}, {"%24.mid", "$.mid"}, {"%25%32", "%2"}, {"%", NULL},
        {"%2", NULL}, {"a%2", NULL},    {"%zz", NULL},    {"%2g", NULL},  {"%00", NULL},        {"1234567", ""},  {"%-1", NULL},
    };
    char text[7];
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        bool is_too_long = strcmp(rows[i].text, "1234567") == 0;
        int rc = percent_decode(rows[i].text, strlen(rows[i].text), text, sizeof text);
        assert_int_equal(rc, rows[i].expected && !is_too_long ? 0 : -1);
        assert_string_equal(text, rows[i].expected ? rows[i].expected : "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodes_all_but_unreserved_characters),
        cmocka_unit_test(decodes_strictly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
