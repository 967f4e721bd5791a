#include "harness/case/known_findings.h"

#include "base/cleanup.h"
#include "base/files.h"
#include "tests/unit/base/scratch.h"
#include "tests/unit/harness/test_case_support.h"

#include <string.h>

#include "tests/cmocka.h"

static const char good[] = "format: 1\n"
                           "findings:\n"
                           "  - rows: ['*:connack']\n"
                           "    device: {dialect: nordic, personality: nordic-sample}\n"
                           "    fails: [{event: console.connection-rejected}, {event: attestation.verdict, where: {verdict: refused}}]\n"
                           "    reason: it says nothing\n"
                           "    source: https://example.com\n";

static const struct known_device sample = {.dialect = "nordic", .personality = "nordic-sample"};

static int read_known(const char *text, struct known_findings *known, struct error *error)
{
    static const char *const console_events[] = {"console.connection-rejected", "console.assigned", NULL};
    const struct event_vocabulary vocabulary = {.console_events = console_events};
    return known_findings_read_text(text, strlen(text), "cases/known-findings.yaml", &vocabulary, known, error);
}

static char *with(const char *from, const char *to)
{
    const char *at = strstr(good, from);
    char *text = NULL;
    if (!at || asprintf(&text, "%.*s%s%s", (int)(at - good), good, to, at + strlen(from)) < 0)
        abort();
    return text;
}

struct fixture {
    struct case_list list;
    struct known_findings known;
};

static void mark(struct fixture *fixture, const char *text, const struct known_device *device)
{
    struct error error = ERROR_INIT;
    if (case_support_read(case_support_good, &fixture->list, &error) || read_known(text, &fixture->known, &error) ||
        known_findings_mark(&fixture->known, device, &fixture->list, &error))
        fail_msg("%s", error.text);
}

static void forget(struct fixture *fixture)
{
    case_list_done(&fixture->list);
    known_findings_done(&fixture->known);
}

static bool is_marked(const struct fixture *fixture, size_t row)
{
    return fixture->list.rows[row]->views[CASE_VIEW_SERVICE].in_order.items[0].known != NULL;
}

static void marks_what_it_means_in_the_rows_that_it_means(void **state)
{
    (void)state;
    CLEANUP(forget) struct fixture fixture = {0};
    mark(&fixture, good, &sample);
    const struct case_row *connack = fixture.list.rows[0];
    assert_ptr_equal(connack->views[CASE_VIEW_CONSOLE].in_order.items[0].known, &fixture.known.items[0]);
    assert_ptr_equal(connack->views[CASE_VIEW_SERVICE].in_order.items[0].known, &fixture.known.items[0]);
    assert_null(connack->views[CASE_VIEW_CONSOLE].never.items[0].known);
    assert_null(connack->views[CASE_VIEW_WIRE].in_order.items[0].known);
    assert_false(is_marked(&fixture, 1));
}

static void a_virtual_device_is_told_by_its_personality_a_real_one_by_its_dialect(void **state)
{
    (void)state;
    static const struct {
        struct known_device device;
        bool is_meant;
    } rows[] = {
        {{.dialect = "nordic", .personality = "nordic-sample"}, true},
        {{.dialect = "nordic", .personality = "reference"}, false},
        {{.dialect = "nordic"}, true},
        {{.dialect = "other"}, false},
        {{.dialect = "other", .personality = "nordic-sample"}, false},
        {{.client = "sdk"}, false},
        {{.dialect = "nordic", .client = "sdk"}, false},
        {{0}, false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CLEANUP(forget) struct fixture fixture = {0};
        mark(&fixture, good, &rows[i].device);
        assert_int_equal(is_marked(&fixture, 0), rows[i].is_meant);
    }
    CLEANUP(forget) struct fixture fixture = {0};
    mark(&fixture, good, NULL);
    assert_false(is_marked(&fixture, 0));
}

static void a_program_is_told_by_what_it_is(void **state)
{
    (void)state;
    CLEANUP_FREE char *text = with("{dialect: nordic, personality: nordic-sample}", "{client: sdk}");
    static const struct {
        struct known_device device;
        bool is_meant;
    } rows[] = {
        {{.client = "sdk"}, true},
        {{.dialect = "nordic", .client = "sdk"}, true},
        {{.client = "other"}, false},
        {{.dialect = "nordic"}, false},
        {{0}, false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CLEANUP(forget) struct fixture fixture = {0};
        mark(&fixture, text, &rows[i].device);
        assert_int_equal(is_marked(&fixture, 0), rows[i].is_meant);
    }
}

static void chooses_between_what_must_and_what_must_never_happen(void **state)
{
    (void)state;
    CLEANUP_FREE char *text = with("fails: [{event: console.connection-rejected},", "fails: [{event: console.assigned, list: never},");
    CLEANUP(forget) struct fixture fixture = {0};
    mark(&fixture, text, &sample);
    assert_non_null(fixture.list.rows[0]->views[CASE_VIEW_CONSOLE].never.items[0].known);
    assert_null(fixture.list.rows[0]->views[CASE_VIEW_CONSOLE].in_order.items[0].known);
}

static void refuses_what_is_wrong_and_what_is_about_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *complaint;
    } rows[] = {
        {"rows:", "row:", "cases/known-findings.yaml:3:5: unknown key 'row' in a known finding; did you mean 'rows'?"},
        {"format: 1", "format: 2", ":1:9: format '2': this version of dpsbench reads known findings of format 1"},
        {"    source: https://example.com\n", "", "key 'source' is missing"},
        {"dialect: nordic, ", "", "key 'dialect' is missing"},
        {"dialect: nordic", "client: sdk, dialect: nordic", "a program is told by its `client` alone"},
        {"console.connection-rejected", "console.conection-rejected", "did you mean 'console.connection-rejected'?"},
        {"fails: [{event: console.connection-rejected},", "fails: [{event: console.connection-rejected, list: ever},",
         "'ever' is not a list"},
        {"['*:connack']", "[]", ":3:5: a list of 1 to 16 rows"},
        {"['*:connack']", "[refused/right-chain]", "cases/known-findings.yaml:3:5: no case or row fits 'refused/right-chain'"},
        {"verdict: refused", "verdict: accepted", ":5:59: none of these rows expects 'attestation.verdict where verdict = 'accepted''"},
        {"console.connection-rejected", "console.assigned, list: in_order", "none of these rows expects 'console.assigned'"},
    };
    CLEANUP(case_list_done) struct case_list list = {0};
    assert_int_equal(case_support_read(case_support_good, &list, NULL), 0);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CLEANUP_FREE char *text = with(rows[i].from, rows[i].to);
        CLEANUP(known_findings_done) struct known_findings known = {0};
        struct error error = ERROR_INIT;
        int failed = read_known(text, &known, &error) || known_findings_mark(&known, NULL, &list, &error);
        if (!failed || !strstr(error.text, rows[i].complaint))
            fail_msg("expected '%s', got '%s'", rows[i].complaint, error.text);
        assert_int_equal(error.owner, ERROR_OWNER_FILE);
    }
}

static void a_folder_without_the_file_knows_nothing_and_the_file_is_no_case(void **state)
{
    const struct event_vocabulary vocabulary = {0};
    CLEANUP(known_findings_done) struct known_findings known = {0};
    CLEANUP(case_list_done) struct case_list list = {0};
    CLEANUP_FREE char *path = path_join(*state, KNOWN_FINDINGS_FILE);
    const struct case_options options = {.device = {"r", "s", "h", "1"}};
    assert_int_equal(known_findings_read(*state, "cases", &vocabulary, &known, NULL), 0);
    assert_int_equal(known.count, 0);
    assert_int_equal(file_write_atomic(path, "format: 1\nfindings: []\n", 23, 0644, NULL), 0);
    assert_int_equal(known_findings_read(*state, "cases", &vocabulary, &known, NULL), 0);
    assert_int_equal(cases_read(*state, "cases", &options, &list, NULL), 0);
    assert_int_equal(list.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(marks_what_it_means_in_the_rows_that_it_means),
        cmocka_unit_test(a_virtual_device_is_told_by_its_personality_a_real_one_by_its_dialect),
        cmocka_unit_test(a_program_is_told_by_what_it_is),
        cmocka_unit_test(chooses_between_what_must_and_what_must_never_happen),
        cmocka_unit_test(refuses_what_is_wrong_and_what_is_about_nothing),
        cmocka_unit_test_setup_teardown(a_folder_without_the_file_knows_nothing_and_the_file_is_no_case, scratch_make, scratch_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
