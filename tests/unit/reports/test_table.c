#include "reports/table.h"

#include "base/cleanup.h"
#include "reports/account.h"

#include <string.h>

#include "tests/cmocka.h"

static void add_row(struct result_run *run, const char *id, enum verdict verdict, const char *rule, const char *outcome)
{
    struct result_row row = {.verdict = verdict, .duration_ms = 1234};
    result_set(&row.id, id);
    result_set(&row.device, "dk");
    result_set(&row.rule, rule);
    result_set(&row.outcome, outcome);
    assert_int_equal(result_run_add(run, &row, NULL), 0);
}

static void fill(struct result_run *run)
{
    result_set(&run->directory, "reports/out/1");
    run->planned_count = 5;
    run->ended_unix_us = 1;
    add_row(run, "provisioning/thread", VERDICT_PASS, NULL, "assigned to hub.azure-devices.net as dev-01");
    add_row(run, "refused/cn-mismatch:azure", VERDICT_PASS, "registration-id.mismatch", "the leaf's CN 'a' is not the registration id 'b'");
    add_row(run, "server/root-missing", VERDICT_FAIL, NULL, NULL);
    struct result_reason *reason = &run->rows[2].reason;
    result_set(&reason->text, "wire: it happened, and must never");
    result_set(&reason->expected, "no mqtt.connect");
    result_set(&reason->got, "mqtt.connect");
    result_set(&reason->place, "cases/server/root-missing.yaml:20:7");
    add_row(run, "x/y", VERDICT_SKIP, NULL, NULL);
    result_set(&run->rows[3].reason.text, "device 'dk' does not offer 'power'");
    add_row(run, "x/z", VERDICT_INCONCLUSIVE, NULL, NULL);
    result_set(&run->rows[4].reason.text, "the simulator ended");
    result_set(&run->rows[2].why, "the device refuses an unknown CA");
    result_set(&run->rows[2].why_source, "RFC 5246");
    account_fill(&run->rows[2], &(struct account_commands){"dpsbench run server/root-missing", "dpsbench show out server/root-missing"});
    account_fill(&run->rows[4], &(struct account_commands){0});
    result_add_finding(&run->rows[0], RESULT_FINDING_NOTE, "prints noise after a refusal", "captured console");
    result_add_finding(&run->rows[1], RESULT_FINDING_NOTE, "prints noise after a refusal", "captured console");
}

/* Inlined at -O3, gcc 12 takes what open_memstream stored for a pointer to this frame. */
__attribute__((noinline)) static char *print(const struct result_run *run, const struct table_options *options)
{
    char *text = NULL;
    size_t length;
    FILE *file = open_memstream(&text, &length);
    assert_non_null(file);
    table_print(file, run, options);
    fclose(file);
    return text;
}

static void prints_rows_reasons_findings_and_the_closing_line(void **state)
{
    (void)state;
    static const char expected[] =
        "ROW                        VERDICT           TIME  WHAT\n"
        "provisioning/thread        pass             1.2 s  assigned to hub.azure-devices.net as dev-01\n"
        "refused/cn-mismatch:azure  pass             1.2 s  registration-id.mismatch: the leaf's CN 'a' is not the registration id 'b'\n"
        "server/root-missing        fail             1.2 s  wire: it happened, and must never\n"
        "x/y                        skip             1.2 s  device 'dk' does not offer 'power'\n"
        "x/z                        inconclusive     1.2 s  the simulator ended\n"
        "\n"
        "server/root-missing: fail, wire: it happened, and must never\n"
        "  expected  no mqtt.connect (cases/server/root-missing.yaml:20:7)\n"
        "  got       mqtt.connect\n"
        "  rule      the device refuses an unknown CA (RFC 5246)\n"
        "  mend      the device has to do what the rule says; what it did: `dpsbench show out server/root-missing`\n"
        "  again     dpsbench run server/root-missing\n"
        "\n"
        "x/z: inconclusive\n"
        "  got       the simulator ended\n"
        "  mend      mend the rig or wait until it is well: this says nothing about the device\n"
        "\n"
        "Known findings that change no verdict:\n"
        "  prints noise after a refusal (captured console)\n"
        "    in provisioning/thread, refused/cn-mismatch:azure\n"
        "\n"
        "report: reports/out/1/results.json\n"
        "1 known finding\n"
        "2 passed, 2 failed, 1 skipped\n";
    CLEANUP(result_run_done) struct result_run run = {0};
    fill(&run);
    const struct table_options options = {0};
    CLEANUP_FREE char *text = print(&run, &options);
    assert_string_equal(text, expected);
}

static void tells_what_is_known_and_what_is_fixed_apart(void **state)
{
    (void)state;
    static const char expected[] = "\n"
                                   "Known findings that change no verdict:\n"
                                   "  noise (console)\n"
                                   "    in a/b\n"
                                   "\n"
                                   "Known findings that rows fail by (cases/known-findings.yaml):\n"
                                   "  gives up on 429 (the library's source)\n"
                                   "    in a/b\n"
                                   "\n"
                                   "Fixed: known findings that pass now; take them out of cases/known-findings.yaml:\n"
                                   "  hangs for 90 s (an old console)\n"
                                   "    in a/c\n"
                                   "\n"
                                   "report: out/results.json\n"
                                   "2 known findings, 1 row fails by them alone, 1 fixed\n"
                                   "1 passed, 0 failed, 0 skipped\n";
    CLEANUP(result_run_done) struct result_run run = {.ended_unix_us = 1};
    result_set(&run.directory, "out");
    add_row(&run, "a/b", VERDICT_KNOWN, NULL, NULL);
    add_row(&run, "a/c", VERDICT_PASS, NULL, "good");
    result_set(&run.rows[0].reason.text, "service: what should happen did not");
    result_set(&run.rows[0].reason.expected, "dps.assigned");
    result_set(&run.rows[0].reason.got, "nothing");
    result_add_finding(&run.rows[0], RESULT_FINDING_NOTE, "noise", "console");
    result_add_finding(&run.rows[0], RESULT_FINDING_FAILS, "gives up on 429", "the library's source");
    result_add_finding(&run.rows[1], RESULT_FINDING_FIXED, "hangs for 90 s", "an old console");
    const struct account_commands commands = {0};
    account_fill(&run.rows[0], &commands);
    const struct table_options options = {0};
    char *text = print(&run, &options);
    assert_string_equal(strstr(text, "\n\n") + 1, expected);
    free(text);
    assert_int_equal(result_run_exit_code(&run), EXIT_ALL_PASSED);
}

static void tells_in_one_line_what_a_run_leaned_on(void **state)
{
    (void)state;
    CLEANUP(result_run_done) struct result_run run = {.ended_unix_us = 1};
    result_set(&run.directory, "out");
    add_row(&run, "a/b", VERDICT_PASS, NULL, "good");
    add_row(&run, "a/c", VERDICT_PASS, NULL, "good");
    add_row(&run, "a/d", VERDICT_PASS, NULL, "good");
    result_add_assumed(&run.rows[0], "leaf.v1");
    result_add_assumed(&run.rows[2], "connect.id-scope");
    result_add_assumed(&run.rows[2], "leaf.v1");
    const struct table_options options = {0};
    CLEANUP_FREE char *text = print(&run, &options);
    assert_non_null(strstr(text, "\nleaned on what is assumed of Azure: leaf.v1 (2 rows), connect.id-scope (1 row); "
                                 "`dpsbench sim fidelity --evidence assumed`\n0 known findings\n"));
}

static void wraps_the_last_column_at_whole_words(void **state)
{
    (void)state;
    CLEANUP(result_run_done) struct result_run run = {0};
    result_set(&run.directory, "out");
    add_row(&run, "a/b", VERDICT_PASS, NULL, "one two three four five six seven eight nine ten");
    const struct table_options options = {.width = 30};
    CLEANUP_FREE char *text = print(&run, &options);
    assert_non_null(strstr(text, "one two three four five six\n                        seven eight nine ten\n"));
}

static void names_the_device_when_there_are_several(void **state)
{
    (void)state;
    CLEANUP(result_run_done) struct result_run run = {0};
    result_set(&run.directory, "out");
    add_row(&run, "a/b", VERDICT_PASS, NULL, "good");
    add_row(&run, "a/b", VERDICT_PASS, NULL, "good");
    result_set(&run.rows[1].device, "other");
    const struct table_options options = {0};
    CLEANUP_FREE char *text = print(&run, &options);
    assert_non_null(strstr(text, "a/b @dk"));
    assert_non_null(strstr(text, "a/b @other"));
}

static void counts_what_is_not_judged_as_failed(void **state)
{
    (void)state;
    CLEANUP(result_run_done) struct result_run run = {0};
    add_row(&run, "a", VERDICT_INCONCLUSIVE, NULL, NULL);
    add_row(&run, "b", VERDICT_ERROR, NULL, NULL);
    add_row(&run, "c", VERDICT_FAIL, NULL, NULL);
    char text[TABLE_CLOSING_BYTES];
    table_closing_line(&run, text);
    assert_string_equal(text, "0 passed, 3 failed, 0 skipped");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_rows_reasons_findings_and_the_closing_line),
        cmocka_unit_test(tells_what_is_known_and_what_is_fixed_apart),
        cmocka_unit_test(tells_in_one_line_what_a_run_leaned_on),
        cmocka_unit_test(wraps_the_last_column_at_whole_words),
        cmocka_unit_test(names_the_device_when_there_are_several),
        cmocka_unit_test(counts_what_is_not_judged_as_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
