#include "base/error.h"

#include <errno.h>
#include <string.h>

#include "tests/cmocka.h"

static void says_owner_code_and_text_and_returns_minus_one(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    assert_int_equal(error_set(&error, ERROR_OWNER_FILE, ERROR_SYNTAX, "line %d", 7), -1);
    assert_int_equal(error.owner, ERROR_OWNER_FILE);
    assert_int_equal(error.code, ERROR_SYNTAX);
    assert_string_equal(error.text, "line 7");
}

static void takes_no_error_for_nobody_wants_to_know(void **state)
{
    (void)state;
    assert_int_equal(error_set(NULL, ERROR_OWNER_OURS, ERROR_OTHER, "x"), -1);
    assert_int_equal(error_prefix(NULL, "x"), -1);
    assert_int_equal(error_set_errno(NULL, ERROR_OWNER_RIG, EIO, "x"), -1);
}

static void adds_the_system_s_reason(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    error_set_errno(&error, ERROR_OWNER_RIG, EACCES, "open '%s'", "/dev/ttyACM0");
    assert_string_equal(error.text, "open '/dev/ttyACM0': Permission denied");
    assert_int_equal(error.code, ERROR_IO);
}

static void puts_the_place_before_the_text_and_keeps_owner_and_code(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    error_set(&error, ERROR_OWNER_DEVICE, ERROR_TIMEOUT, "no boot banner");
    error_prefix(&error, "device %s", "dk-1");
    assert_string_equal(error.text, "device dk-1: no boot banner");
    assert_int_equal(error.owner, ERROR_OWNER_DEVICE);
    assert_int_equal(error.code, ERROR_TIMEOUT);
}

static void may_have_its_own_text_among_the_arguments(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    error_set(&error, ERROR_OWNER_RIG, ERROR_IO, "inner");
    error_set(&error, ERROR_OWNER_RIG, ERROR_IO, "outer (%s)", error.text);
    assert_string_equal(error.text, "outer (inner)");
}

static void marks_a_text_that_was_cut(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    char longer[2 * ERROR_TEXT_MAX_BYTES];
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = 0;
    error_set(&error, ERROR_OWNER_RIG, ERROR_IO, "%s", longer);
    assert_int_equal(strlen(error.text), ERROR_TEXT_MAX_BYTES - 1);
    assert_string_equal(error.text + ERROR_TEXT_MAX_BYTES - 4, "...");
    error_prefix(&error, "%s", longer);
    assert_string_equal(error.text + ERROR_TEXT_MAX_BYTES - 4, "...");
}

static void keeps_an_exactly_fitting_text_whole(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    char fits[ERROR_TEXT_MAX_BYTES];
    memset(fits, 'x', sizeof fits);
    fits[sizeof fits - 1] = 0;
    error_set(&error, ERROR_OWNER_RIG, ERROR_IO, "%s", fits);
    assert_string_equal(error.text, fits);
}

/* A device's line, a key of a YAML file: foreign bytes must not break a log line or drive the terminal. */
static void is_one_line_whatever_bytes_it_quotes(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    error_set(&error, ERROR_OWNER_DEVICE, ERROR_PROTOCOL, "got '%s'", "a\nb\r\033[31mc\x7f");
    assert_string_equal(error.text, "got 'a?b??[31mc?'");
}

static void keeps_bytes_beyond_ascii(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    error_set(&error, ERROR_OWNER_FILE, ERROR_OTHER, "\xc3\xa4");
    assert_string_equal(error.text, "\xc3\xa4");
}

static void names_each_code_and_finds_it_by_its_name(void **state)
{
    (void)state;
#define X(code, name)                                                                                                                      \
    assert_string_equal(error_code_name(code), name);                                                                                      \
    assert_int_equal(error_code_from_name(name), code);
    ERROR_CODES(X)
#undef X
    assert_string_equal(error_code_name(ERROR_NONE), "none");
}

static void reads_an_unknown_code_as_other(void **state)
{
    (void)state;
    assert_int_equal(error_code_from_name("from-the-future"), ERROR_OTHER);
    assert_int_equal(error_code_from_name(NULL), ERROR_OTHER);
}

static void names_each_owner(void **state)
{
    (void)state;
    assert_string_equal(error_owner_name(ERROR_OWNER_OURS), "ours");
    assert_string_equal(error_owner_name(ERROR_OWNER_FILE), "file");
    assert_string_equal(error_owner_name(ERROR_OWNER_RIG), "rig");
    assert_string_equal(error_owner_name(ERROR_OWNER_DEVICE), "device");
    assert_string_equal(error_owner_name(ERROR_OWNER_PERSON), "person");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_owner_code_and_text_and_returns_minus_one),
        cmocka_unit_test(takes_no_error_for_nobody_wants_to_know),
        cmocka_unit_test(adds_the_system_s_reason),
        cmocka_unit_test(puts_the_place_before_the_text_and_keeps_owner_and_code),
        cmocka_unit_test(may_have_its_own_text_among_the_arguments),
        cmocka_unit_test(marks_a_text_that_was_cut),
        cmocka_unit_test(keeps_an_exactly_fitting_text_whole),
        cmocka_unit_test(is_one_line_whatever_bytes_it_quotes),
        cmocka_unit_test(keeps_bytes_beyond_ascii),
        cmocka_unit_test(names_each_code_and_finds_it_by_its_name),
        cmocka_unit_test(reads_an_unknown_code_as_other),
        cmocka_unit_test(names_each_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
