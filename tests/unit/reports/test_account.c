#include "reports/account.h"

#include "base/cleanup.h"

#include <string.h>

#include "tests/cmocka.h"

static const struct account_commands commands = {.again = "dpsbench run a/b", .show = "dpsbench show out a/b"};

static struct result_row make(enum verdict verdict)
{
    struct result_row row = {.verdict = verdict};
    result_set(&row.id, "a/b");
    result_set(&row.why, "the device shall");
    result_set(&row.why_source, "RFC 1");
    return row;
}

static void refuse(struct result_row *row, const char *refusal_expected)
{
    result_set(&row->rule, "chain.unknown-ca");
    result_set(&row->surface, "connack");
    result_set(&row->outcome, "the chain ends elsewhere");
    result_set(&row->mend, "upload the root");
    result_set(&row->refusal_expected, refusal_expected);
}

static void expect_and_get(struct result_row *row)
{
    result_set(&row->reason.text, "service: what should happen did not");
    result_set(&row->reason.expected, "dps.assigned");
    result_set(&row->reason.place, "cases/a/b.yaml:3:1");
    result_set(&row->reason.got, "nothing");
}

static void a_refusal_that_fails_the_row_is_what_has_to_be_mended(void **state)
{
    (void)state;
    CLEANUP(result_row_done) struct result_row row = make(VERDICT_FAIL);
    refuse(&row, NULL);
    expect_and_get(&row);
    account_fill(&row, &commands);
    assert_string_equal(row.account.expected, "dps.assigned (cases/a/b.yaml:3:1)");
    assert_string_equal(row.account.got, "nothing");
    assert_string_equal(row.account.rule, "chain.unknown-ca (surface connack): the chain ends elsewhere");
    assert_string_equal(row.account.mend, "upload the root");
    assert_string_equal(row.account.again, "dpsbench run a/b");
}

static void a_refusal_that_was_wanted_is_not_what_has_to_be_mended(void **state)
{
    (void)state;
    CLEANUP(result_row_done) struct result_row row = make(VERDICT_FAIL);
    refuse(&row, "attestation.verdict where rule = 'chain.unknown-ca'");
    expect_and_get(&row);
    account_fill(&row, &commands);
    assert_string_equal(row.account.rule, "the device shall (RFC 1)");
    assert_string_equal(row.account.mend, "the device has to do what the rule says; what it did: `dpsbench show out a/b`");
}

static void a_refusal_that_passes_tells_its_rule_and_mend(void **state)
{
    (void)state;
    CLEANUP(result_row_done) struct result_row row = make(VERDICT_PASS);
    refuse(&row, "attestation.verdict where rule = 'chain.unknown-ca'");
    assert_true(account_is_due(&row));
    account_fill(&row, &commands);
    assert_string_equal(row.account.expected, "attestation.verdict where rule = 'chain.unknown-ca'");
    assert_string_equal(row.account.got, "the chain ends elsewhere");
    assert_string_equal(row.account.rule, "chain.unknown-ca (surface connack)");
    assert_string_equal(row.account.mend, "upload the root");
}

static void an_inconclusive_row_blames_the_rig_and_an_error_us(void **state)
{
    (void)state;
    CLEANUP(result_row_done) struct result_row rig = make(VERDICT_INCONCLUSIVE), ours = make(VERDICT_ERROR);
    result_set(&rig.reason.text, "the port went away");
    result_set(&ours.reason.text, "out of memory");
    account_fill(&rig, &commands);
    account_fill(&ours, &commands);
    assert_string_equal(rig.account.got, "the port went away");
    assert_non_null(strstr(rig.account.mend, "mend the rig"));
    assert_non_null(strstr(ours.account.mend, "dpsbench's own fault"));
    assert_null(rig.account.rule);
}

static void names_what_is_assumed_of_azure(void **state)
{
    (void)state;
    CLEANUP(result_row_done) struct result_row row = {.verdict = VERDICT_PASS};
    result_set(&row.rule, "leaf.not-yet-valid");
    result_add_assumed(&row, "leaf.not-yet-valid");
    result_add_assumed(&row, "leaf.v1");
    account_fill(&row, &commands);
    assert_string_equal(row.account.assumed,
                        "leaf.not-yet-valid, leaf.v1: no public source says what Azure does there (dpsbench sim fidelity)");
}

static void a_plain_pass_and_a_skip_have_no_account(void **state)
{
    (void)state;
    CLEANUP(result_row_done) struct result_row pass = make(VERDICT_PASS), skip = make(VERDICT_SKIP);
    account_fill(&pass, &commands);
    account_fill(&skip, &commands);
    struct account_line lines[ACCOUNT_LINES_MAX];
    assert_int_equal(account_lines(&pass.account, lines), 0);
    assert_int_equal(account_lines(&skip.account, lines), 0);
}

static void lists_only_the_lines_that_there_are(void **state)
{
    (void)state;
    CLEANUP(result_row_done) struct result_row row = make(VERDICT_INCONCLUSIVE);
    result_set(&row.reason.text, "the port went away");
    account_fill(&row, &(struct account_commands){0});
    struct account_line lines[ACCOUNT_LINES_MAX];
    assert_int_equal(account_lines(&row.account, lines), 2);
    assert_string_equal(lines[0].label, "got");
    assert_string_equal(lines[1].label, "mend");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refusal_that_fails_the_row_is_what_has_to_be_mended),
        cmocka_unit_test(a_refusal_that_was_wanted_is_not_what_has_to_be_mended),
        cmocka_unit_test(a_refusal_that_passes_tells_its_rule_and_mend),
        cmocka_unit_test(an_inconclusive_row_blames_the_rig_and_an_error_us),
        cmocka_unit_test(names_what_is_assumed_of_azure),
        cmocka_unit_test(a_plain_pass_and_a_skip_have_no_account),
        cmocka_unit_test(lists_only_the_lines_that_there_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
