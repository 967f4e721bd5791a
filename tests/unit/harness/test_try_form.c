/* How files are written, and what a shell takes. */
#include "base/cleanup.h"
#include "harness/try/pem_form.h"

#include <string.h>

#include "tests/cmocka.h"

#define BLOCK "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

static struct bytes text_of(const char *text)
{
    struct bytes bytes;
    bytes_init(&bytes, 64 * 1024);
    assert_int_equal(bytes_append_text(&bytes, text), 0);
    return bytes;
}

/* The ids of the notes about `text`, in order, each with a space behind it. */
static const char *notes_about(const char *text)
{
    static char ids[256];
    CLEANUP(bytes_done) struct bytes bytes = text_of(text);
    CLEANUP(notes_done) struct notes notes = {0};
    pem_form_check("my file.pem", "CERTIFICATE", &bytes, &notes);
    ids[0] = 0;
    for (size_t i = 0; i < notes.count; i++) {
        strncat(ids, notes.items[i].id, sizeof ids - strlen(ids) - 2);
        strcat(ids, " ");
        assert_non_null(strstr(notes.items[i].text, "my file.pem"));
        assert_non_null(strstr(notes.items[i].mend, "'my file.pem'"));
    }
    assert_false(notes.is_incomplete);
    return ids;
}

static void has_nothing_to_say_about_a_clean_file(void **state)
{
    (void)state;
    assert_string_equal(notes_about(BLOCK), "");
    assert_string_equal(notes_about(BLOCK BLOCK), "");
}

static void sees_windows_line_ends(void **state)
{
    (void)state;
    assert_string_equal(notes_about("-----BEGIN CERTIFICATE-----\r\nMIIB\r\n-----END CERTIFICATE-----\r\n"), "file.crlf ");
}

static void sees_white_space_behind_the_last_dash(void **state)
{
    (void)state;
    assert_string_equal(notes_about("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE----- \n"), "file.white-space ");
    assert_string_equal(notes_about(BLOCK "\n"), "file.white-space ");
    assert_string_equal(notes_about(BLOCK "  \n"), "file.white-space ");
    assert_string_equal(notes_about("-----BEGIN CERTIFICATE-----\t\nMIIB\n-----END CERTIFICATE-----\n"), "file.white-space ");
}

static void sees_that_the_last_line_end_is_missing(void **state)
{
    (void)state;
    assert_string_equal(notes_about("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"), "file.no-newline ");
}

static void sees_a_byte_order_mark_and_text_around(void **state)
{
    (void)state;
    assert_string_equal(notes_about("\xEF\xBB\xBF" BLOCK), "file.byte-order-mark ");
    assert_string_equal(notes_about("Bag Attributes\n" BLOCK), "file.text-outside ");
}

static void sees_a_block_that_does_not_belong_there(void **state)
{
    (void)state;
    assert_string_equal(notes_about(BLOCK "-----BEGIN EC PRIVATE KEY-----\nMIIB\n-----END EC PRIVATE KEY-----\n"), "file.other-block ");
    assert_string_equal(notes_about("-----BEGIN X509 CERTIFICATE-----\nMIIB\n-----END X509 CERTIFICATE-----\n"), "");
}

static void refuses_two_blocks_on_one_line(void **state)
{
    (void)state;
    CLEANUP(bytes_done)
    struct bytes glued = text_of("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE----------BEGIN CERTIFICATE-----\nMIIB\n");
    CLEANUP(bytes_done) struct bytes clean = text_of(BLOCK BLOCK);
    struct error error = ERROR_INIT;
    assert_int_equal(pem_form_require("a.pem", &clean, &error), 0);
    assert_int_equal(pem_form_require("a.pem", &glued, &error), -1);
    assert_int_equal(error.owner, ERROR_OWNER_FILE);
    assert_non_null(strstr(error.text, "sed -i 's/----------/-----\\n-----/' a.pem"));
}

static void knows_the_modems_limit_to_the_byte(void **state)
{
    (void)state;
    char longest[MODEM_TEXT_MAX_BYTES + 2];
    memset(longest, 'A', sizeof longest);
    for (int extra = 0; extra < 2; extra++) {
        CLEANUP(notes_done) struct notes notes = {0};
        longest[MODEM_TEXT_MAX_BYTES + extra] = 0;
        CLEANUP(bytes_done) struct bytes text = text_of(longest);
        pem_form_check_modem("a.pem", CREDENTIAL_CLIENT_CERT, &text, &notes);
        assert_int_equal(notes_find(&notes, "modem.too-long") != NULL, extra);
        longest[MODEM_TEXT_MAX_BYTES + extra] = 'A';
    }
}

static void sees_a_quote_that_no_at_command_can_carry(void **state)
{
    (void)state;
    CLEANUP(notes_done) struct notes notes = {0};
    CLEANUP(bytes_done) struct bytes text = text_of("friendlyName: \"me\"\n" BLOCK);
    pem_form_check_modem("a.pem", CREDENTIAL_CLIENT_CERT, &text, &notes);
    assert_non_null(notes_find(&notes, "modem.bad-byte"));
}

static void keeps_notes_within_its_limit(void **state)
{
    (void)state;
    CLEANUP(notes_done) struct notes notes = {0};
    for (int i = 0; i <= NOTES_MAX; i++)
        notes_add(&notes, NOTE_REMARK, "a.b", "line\n%d", i);
    assert_int_equal(notes.count, NOTES_MAX);
    assert_true(notes.is_incomplete);
    assert_string_equal(notes.items[3].text, "line?3");
    assert_int_equal(notes_count(&notes, NOTE_WARNING), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_nothing_to_say_about_a_clean_file),
        cmocka_unit_test(sees_windows_line_ends),
        cmocka_unit_test(sees_white_space_behind_the_last_dash),
        cmocka_unit_test(sees_that_the_last_line_end_is_missing),
        cmocka_unit_test(sees_a_byte_order_mark_and_text_around),
        cmocka_unit_test(sees_a_block_that_does_not_belong_there),
        cmocka_unit_test(refuses_two_blocks_on_one_line),
        cmocka_unit_test(knows_the_modems_limit_to_the_byte),
        cmocka_unit_test(sees_a_quote_that_no_at_command_can_carry),
        cmocka_unit_test(keeps_notes_within_its_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
