#include "reports/result.h"

#include "base/cleanup.h"

#include <string.h>

#include "tests/cmocka.h"

static void add(struct result_run *run, enum verdict verdict)
{
    struct result_row row = {.verdict = verdict};
    result_set(&row.id, "area/case");
    assert_int_equal(result_run_add(run, &row, NULL), 0);
}

static int exit_code_of(const enum verdict *verdicts, size_t count)
{
    CLEANUP(result_run_done) struct result_run run = {0};
    for (size_t i = 0; i < count; i++)
        add(&run, verdicts[i]);
    return result_run_exit_code(&run);
}

static void orders_verdicts_from_pass_to_error(void **state)
{
    (void)state;
    assert_int_equal(verdict_worse(VERDICT_PASS, VERDICT_SKIP), VERDICT_SKIP);
    assert_int_equal(verdict_worse(VERDICT_FAIL, VERDICT_INCONCLUSIVE), VERDICT_FAIL);
    assert_int_equal(verdict_worse(VERDICT_FAIL, VERDICT_ERROR), VERDICT_ERROR);
}

static void blames_whoever_owns_the_error(void **state)
{
    (void)state;
    assert_int_equal(verdict_of_owner(ERROR_OWNER_DEVICE), VERDICT_FAIL);
    assert_int_equal(verdict_of_owner(ERROR_OWNER_RIG), VERDICT_INCONCLUSIVE);
    assert_int_equal(verdict_of_owner(ERROR_OWNER_PERSON), VERDICT_INCONCLUSIVE);
    assert_int_equal(verdict_of_owner(ERROR_OWNER_FILE), VERDICT_ERROR);
    assert_int_equal(verdict_of_owner(ERROR_OWNER_OURS), VERDICT_ERROR);
}

static void the_worst_verdict_gives_the_exit_code(void **state)
{
    (void)state;
    const struct {
        enum verdict verdicts[3];
        size_t count;
        int exit_code;
    } rows[] = {
        {{VERDICT_PASS, VERDICT_PASS}, 2, 0},
        {{VERDICT_PASS, VERDICT_SKIP}, 2, 0},
        {{VERDICT_SKIP, VERDICT_SKIP}, 2, 77},
        {{VERDICT_PASS, VERDICT_INCONCLUSIVE}, 2, 3},
        {{VERDICT_FAIL, VERDICT_INCONCLUSIVE, VERDICT_PASS}, 3, 1},
        {{VERDICT_FAIL, VERDICT_ERROR}, 2, 4},
        {{VERDICT_PASS}, 0, 5},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        assert_int_equal(exit_code_of(rows[i].verdicts, rows[i].count), rows[i].exit_code);
}

static void an_interrupted_run_says_so_whatever_passed(void **state)
{
    (void)state;
    CLEANUP(result_run_done) struct result_run run = {.is_interrupted = true};
    add(&run, VERDICT_PASS);
    assert_int_equal(result_run_exit_code(&run), 130);
}

static void keeps_a_finding_once(void **state)
{
    (void)state;
    CLEANUP(result_row_done) struct result_row row = {0};
    result_add_finding(&row, RESULT_FINDING_NOTE, "gives up on 429", "facts");
    result_add_finding(&row, RESULT_FINDING_NOTE, "gives up on 429", "facts");
    result_add_finding(&row, RESULT_FINDING_NOTE, "hangs", "facts");
    assert_int_equal(row.finding_count, 2);
}

static void drops_findings_above_the_limit(void **state)
{
    (void)state;
    CLEANUP(result_row_done) struct result_row row = {0};
    for (int i = 0; i < RESULT_FINDINGS_MAX + 3; i++) {
        char text[16];
        snprintf(text, sizeof text, "finding %d", i);
        result_add_finding(&row, RESULT_FINDING_NOTE, text, "facts");
    }
    assert_int_equal(row.finding_count, RESULT_FINDINGS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders_verdicts_from_pass_to_error),
        cmocka_unit_test(blames_whoever_owns_the_error),
        cmocka_unit_test(the_worst_verdict_gives_the_exit_code),
        cmocka_unit_test(an_interrupted_run_says_so_whatever_passed),
        cmocka_unit_test(keeps_a_finding_once),
        cmocka_unit_test(drops_findings_above_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
