#include "harness/case/case.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "tests/unit/base/scratch.h"
#include "tests/unit/harness/test_case_support.h"

#include <string.h>

#include "tests/cmocka.h"

static void read_good(struct case_list *list)
{
    struct error error = ERROR_INIT;
    if (case_support_read(case_support_good, list, &error))
        fail_msg("%s", error.text);
}

static void gives_a_row_for_each_permutation(void **state)
{
    (void)state;
    CLEANUP(case_list_done) struct case_list list = {0};
    read_good(&list);
    assert_int_equal(list.count, 2);
    assert_string_equal(list.rows[0]->id, "refused/wrong-chain:connack");
    assert_string_equal(list.rows[1]->id, "refused/wrong-chain:azure");
    assert_string_equal(list.rows[1]->case_id, "refused/wrong-chain");
    assert_string_equal(list.rows[1]->title, "A certificate of another CA is refused at azure");
}

static void permutes_several_names_with_the_last_fastest(void **state)
{
    (void)state;
    CLEANUP_FREE char *text = case_support_with("{surface: [connack, azure]}", "{surface: [connack, azure], size: [1, 2]}");
    CLEANUP(case_list_done) struct case_list list = {0};
    assert_int_equal(case_support_read(text, &list, NULL), 0);
    assert_int_equal(list.count, 4);
    assert_string_equal(list.rows[1]->id, "refused/wrong-chain:connack,2");
    assert_string_equal(list.rows[2]->id, "refused/wrong-chain:azure,1");
}

static void reads_credentials_and_service(void **state)
{
    (void)state;
    CLEANUP(case_list_done) struct case_list list = {0};
    read_good(&list);
    const struct case_row *row = list.rows[0];
    assert_string_equal(row->credentials.recipe, "device/wrong-chain");
    assert_int_equal(row->credentials.root_ca, CASE_ROOT_LANE);
    assert_int_equal(row->credentials.client_cert.count, 2);
    assert_string_equal(row->credentials.client_cert.items[1], "other-root");
    assert_string_equal(row->service.profile, "connack");
    assert_int_equal(row->service.certificates[0].verified, CASE_VERIFIED_BY_POSSESSION);
    assert_string_equal(row->service.groups[0].ca_references[CASE_PRIMARY], "root-ca");
    assert_string_equal(row->service.enrollments[0].device_id, "dev-01-hub");
    assert_int_equal(json_integer(row->service.knobs, "retry_after_s", 0), 3);
    assert_true(cJSON_IsFalse(cJSON_GetObjectItem(row->service.knobs, "is_silent")));
}

static void keeps_the_expectations_of_its_own_permutation(void **state)
{
    (void)state;
    CLEANUP(case_list_done) struct case_list list = {0};
    read_good(&list);
    const struct case_expectations *connack = &list.rows[0]->views[CASE_VIEW_CONSOLE].in_order;
    const struct case_expectations *azure = &list.rows[1]->views[CASE_VIEW_CONSOLE].in_order;
    assert_int_equal(connack->count, 1);
    assert_string_equal(connack->items[0].event, "console.connection-rejected");
    assert_int_equal(azure->count, 1);
    assert_string_equal(azure->items[0].event, "console.non-retriable");
    assert_string_equal(azure->items[0].place, "cases/refused/wrong-chain.yaml:18:17");
}

static void steps_become_needs(void **state)
{
    (void)state;
    CLEANUP(case_list_done) struct case_list list = {0};
    read_good(&list);
    assert_int_equal(list.rows[0]->needs.count, 2);
    assert_string_equal(list.rows[0]->needs.items[0], "reset");
    assert_string_equal(list.rows[0]->needs.items[1], "chip-erase");
}

static void starts_from_a_fresh_device_unless_told_otherwise(void **state)
{
    (void)state;
    CLEANUP_FREE char *text = case_support_with("steps: [reset, chip-erase]\n", "");
    CLEANUP(case_list_done) struct case_list list = {0};
    assert_int_equal(case_support_read(text, &list, NULL), 0);
    assert_int_equal(list.rows[0]->step_count, 1);
    assert_int_equal(list.rows[0]->steps[0], CASE_STEP_FRESH);
    assert_string_equal(list.rows[0]->needs.items[0], "start");
}

/* What a person gets wrong, and where the complaint must stand. */
static void says_where_and_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *complaint;
    } rows[] = {
        {"title: A", "titel: A", "cases/refused/wrong-chain.yaml:3:1: unknown key 'titel' in a case; did you mean 'title'?"},
        {"format: 1", "format: 2", ":1:9: format '2': this version of dpsbench reads cases of format 1"},
        {"id: refused/wrong-chain\n", "id: refused/other\n", ":2:5: id 'refused/other' is not the file's path"},
        {"budget_s: 60\n", "", "key 'budget_s' is missing"},
        {"budget_s: 60", "budget_s: 0", "'0' is not a whole number from 1 to 3600"},
        {"console.non-retriable", "console.non-retryable",
         ":18:17: unknown event 'console.non-retryable'; did you mean 'console.non-retriable'?"},
        {"event: tls.handshake", "event: tls.handshaking", "unknown event 'tls.handshaking'; did you mean 'tls.handshake'?"},
        {"event: tls.handshake", "event: dps.assigned", "'dps.assigned' is an event of the service view and stands under 'wire'"},
        {"device/wrong-chain.yaml", "device/wrong-chian.yaml", ":6:23: "},
        {"[leaf, other-root]", "[leaf, other]",
         ":6:83: 'other' is no member of recipe 'device/wrong-chain'; its members: root, other-root, leaf"},
        {"member: root,", "member: roto,", "'roto' is no member of recipe"},
        {"{primary: root-ca}", "{primary: root-cb}", "'root-cb' is none of service.certificates"},
        {"ca_references: {primary: root-ca}", "signing_certificates: {primary: root}, ca_references: {primary: root-ca}",
         "either signing_certificates or ca_references"},
        {"by-possession", "by-posession", "'by-posession' is not a way to be verified; one of: false, true, by-possession"},
        {"at ${surface}", "at ${surfaces}", ":3:8: unknown variable '${surfaces}'; known: ${surface}, ${registration_id}"},
        {"at ${surface}", "at ${surface", "'${' without '}'"},
        {"catches: [accepts-any-server]", "more_than: 1",
         "row 'refused/wrong-chain:connack': no expectation of wire or service says `catches: [accepts-any-server]`"},
        {"never: [{event: console.assigned}]", "never: [{event: console.assigned, catches: [never-gives-up]}]",
         ":19:21: it catches 'never-gives-up', which is not in `fails_under`"},
        {"only: {surface: azure}", "only: {surfaces: azure}", "unknown key 'surfaces' in only; did you mean 'surface'?"},
        {"matches: 'POLLHUP$'", "matches: '(POLLHUP'", "is not a POSIX extended regular expression"},
        {"{return_code: 5}, only", "{return_code: 5}, after_s: {min: 1}, only",
         "after_s counts from the expectation before it; there is none"},
        {"{event: console.assigned}", "{event: console.assigned, after_s: {min: 1}}", "unknown key 'after_s' in an expectation"},
        {"count: 2", "counts: 2", "'counts' is not a comparison; one of: min, max, matches, count, absent"},
        {"[connack, azure]", "[con:nack, azure]", "a word without / : , or blanks"},
        {"[connack, azure]", "[]", "`vary` needs a list of values"},
        {"steps: [reset, chip-erase]", "steps: [rest]", "'rest' is not a step; one of: fresh, reset, chip-erase, power-cycle"},
        {"root_ca: lane", "root_ca: lain", "'lain' is no member of recipe"},
        {"  profile: ${surface}\n", "  registration_id: other\n", "unknown key 'registration_id' in service"},
        {"budget_s: 60", "server: {recipe: device/root-leaf.yaml}\nbudget_s: 60", "recipe 'device/root-leaf' is not for a server"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CLEANUP_FREE char *text = case_support_with(rows[i].from, rows[i].to);
        CLEANUP(case_list_done) struct case_list list = {0};
        struct error error = ERROR_INIT;
        assert_int_equal(case_support_read(text, &list, &error), -1);
        assert_int_equal(error.owner, ERROR_OWNER_FILE);
        if (!strstr(error.text, rows[i].complaint))
            fail_msg("'%s' does not say '%s'", error.text, rows[i].complaint);
    }
}

static void refuses_a_case_that_expects_nothing_to_happen(void **state)
{
    (void)state;
    CLEANUP_FREE char *text = NULL;
    assert_true(asprintf(&text, "%.*s%s", (int)(strstr(case_support_good, "    in_order:") - case_support_good), case_support_good,
                         "    never: [{event: console.assigned}]\nbudget_s: 60\n") > 0);
    CLEANUP(case_list_done) struct case_list list = {0};
    struct error error = ERROR_INIT;
    assert_int_equal(case_support_read(text, &list, &error), -1);
    assert_non_null(strstr(error.text, "nothing is expected to happen"));
}

static void reads_a_tree_of_cases_sorted(void **state)
{
    const char *directory = *state;
    CLEANUP_FREE char *folder = path_join(directory, "refused");
    assert_int_equal(dir_make(folder, 0755, NULL), 0);
    CLEANUP_FREE char *path = path_join(folder, "wrong-chain.yaml");
    CLEANUP_FREE char *manual = path_join(directory, "README.md");
    scratch_write(path, case_support_good);
    scratch_write(manual, "not a case\n");
    static const char *const console_events[] = {"console.connection-rejected", "console.non-retriable", "console.assigned", NULL};
    const struct case_options options = {.vocabulary = {.console_events = console_events},
                                         .device = {.registration_id = "r", .id_scope = "s", .dps_host = "h", .sec_tag = "1"}};
    CLEANUP(case_list_done) struct case_list list = {0};
    assert_int_equal(cases_read(directory, "mine", &options, &list, NULL), 0);
    assert_int_equal(list.count, 2);
    assert_string_equal(list.rows[0]->place, "mine/refused/wrong-chain.yaml");
}

static void a_missing_folder_is_the_users_mistake(void **state)
{
    (void)state;
    const struct case_options options = {0};
    CLEANUP(case_list_done) struct case_list list = {0};
    struct error error = ERROR_INIT;
    assert_int_equal(cases_read("/nonexistent", "x", &options, &list, &error), -1);
    assert_int_equal(error.owner, ERROR_OWNER_FILE);
    assert_int_equal(error.code, ERROR_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_a_row_for_each_permutation),
        cmocka_unit_test(permutes_several_names_with_the_last_fastest),
        cmocka_unit_test(reads_credentials_and_service),
        cmocka_unit_test(keeps_the_expectations_of_its_own_permutation),
        cmocka_unit_test(steps_become_needs),
        cmocka_unit_test(starts_from_a_fresh_device_unless_told_otherwise),
        cmocka_unit_test(says_where_and_what_is_wrong),
        cmocka_unit_test(refuses_a_case_that_expects_nothing_to_happen),
        cmocka_unit_test_setup_teardown(reads_a_tree_of_cases_sorted, scratch_make, scratch_remove),
        cmocka_unit_test(a_missing_folder_is_the_users_mistake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
