/* The health check: when it is its turn, and whom it clears of blame. */
#include "harness/run/health.h"

#include "base/cleanup.h"
#include "base/json.h"

#include <string.h>

#include "tests/cmocka.h"

static char good_id[] = "provisioning/thread", other_id[] = "server/expired", title[] = "a title";
static const struct case_row good = {.id = good_id, .case_id = good_id, .title = title};
static const struct case_row other = {.id = other_id, .case_id = other_id, .title = title};

static struct result_row row_of(const char *id, const char *device, enum verdict verdict, const char *reason)
{
    struct result_row row = {.verdict = verdict};
    result_set(&row.id, id);
    result_set(&row.device, device);
    result_set(&row.reason.text, reason);
    return row;
}

static void add(struct result_run *run, const char *id, const char *device, enum verdict verdict)
{
    struct error error = ERROR_INIT;
    struct result_row row = row_of(id, device, verdict, verdict == VERDICT_FAIL ? "silent" : NULL);
    assert_int_equal(result_run_add(run, &row, &error), 0);
}

static size_t take(struct health *health, enum verdict verdict, const char *reason, cJSON *device, struct result_run *run)
{
    CLEANUP(result_row_done) struct result_row check = row_of(good.id, "dk", verdict, reason);
    return health_take(health, &check, device, run);
}

static void opens_and_closes(void **state)
{
    (void)state;
    CLEANUP(health_done) struct health health;
    CLEANUP_JSON cJSON *device = cJSON_CreateObject();
    struct result_run run = {0};
    health_init(&health, &good);
    struct turn *turn = health_next(&health, false);
    assert_true(health_is(&health, turn));
    assert_ptr_equal(turn->row, &good);
    assert_int_equal(take(&health, VERDICT_PASS, NULL, device, &run), 0);
    assert_null(health.trouble);
    assert_null(health_next(&health, false));
    assert_null(health_next(&health, false));
    assert_true(health_is(&health, health_next(&health, true)));
    take(&health, VERDICT_PASS, NULL, device, &run);
    assert_null(health_next(&health, true));
    assert_string_equal(json_string(json_member(json_member(device, "health"), "closed"), "verdict", ""), "pass");
    assert_string_equal(json_string(json_member(device, "health"), "row", ""), good.id);
}

static void a_device_without_a_check_has_none(void **state)
{
    (void)state;
    CLEANUP(health_done) struct health health;
    health_init(&health, NULL);
    assert_null(health_next(&health, false));
    assert_null(health_next(&health, true));
    assert_false(health_is(&health, NULL));
}

static void nothing_closes_what_never_ran(void **state)
{
    (void)state;
    CLEANUP(health_done) struct health health;
    health_init(&health, &good);
    assert_null(health_next(&health, true));
    assert_non_null(health_next(&health, false));
    struct result_run run = {0};
    take(&health, VERDICT_PASS, NULL, NULL, &run);
    assert_null(health_next(&health, true));
}

static void an_opening_that_fails_stops_every_row(void **state)
{
    (void)state;
    CLEANUP(health_done) struct health health;
    CLEANUP(result_row_done) struct result_row row = {0};
    struct result_run run = {0};
    struct turn turn = {.row = &other};
    health_init(&health, &good);
    health_next(&health, false);
    take(&health, VERDICT_FAIL, "no DPS", NULL, &run);
    assert_non_null(health.trouble);
    health_fail_row(&health, &turn, "dk", &row);
    assert_int_equal(row.verdict, VERDICT_INCONCLUSIVE);
    assert_string_equal(row.reason.text, "the health check 'provisioning/thread' before the rows did not pass: no DPS");
    assert_null(health_next(&health, true));
}

static void a_closing_that_fails_lifts_the_blame_since_the_last_good_row(void **state)
{
    (void)state;
    CLEANUP(health_done) struct health health;
    CLEANUP(result_run_done) struct result_run run = {0};
    health_init(&health, &good);
    health_next(&health, false);
    take(&health, VERDICT_PASS, NULL, NULL, &run);
    health_next(&health, false);
    add(&run, "a", "dk", VERDICT_FAIL);
    add(&run, "b", "dk", VERDICT_PASS);
    add(&run, "c", "dk", VERDICT_FAIL);
    add(&run, "c", "other", VERDICT_FAIL);
    add(&run, "d", "dk", VERDICT_SKIP);
    add(&run, "e", "dk", VERDICT_FAIL);
    assert_non_null(health_next(&health, true));
    assert_int_equal(take(&health, VERDICT_INCONCLUSIVE, "port gone", NULL, &run), 2);
    static const enum verdict expected[] = {VERDICT_FAIL, VERDICT_PASS, VERDICT_INCONCLUSIVE,
                                            VERDICT_FAIL, VERDICT_SKIP, VERDICT_INCONCLUSIVE};
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++)
        assert_int_equal(run.rows[i].verdict, expected[i]);
    assert_string_equal(run.rows[2].reason.text,
                        "the health check 'provisioning/thread' after the rows did not pass either (port gone), so nobody "
                        "knows whose fault this is: silent");
}

static void a_good_check_clears_nobody_who_failed_before_it(void **state)
{
    (void)state;
    CLEANUP(health_done) struct health health;
    CLEANUP(result_run_done) struct result_run run = {0};
    health_init(&health, &good);
    add(&run, "a", "dk", VERDICT_FAIL);
    health_next(&health, false);
    take(&health, VERDICT_PASS, NULL, NULL, &run);
    health_next(&health, false);
    add(&run, "b", "dk", VERDICT_FAIL);
    assert_non_null(health_next(&health, true));
    assert_int_equal(take(&health, VERDICT_FAIL, "silent", NULL, &run), 1);
    assert_int_equal(run.rows[0].verdict, VERDICT_FAIL);
    assert_int_equal(run.rows[1].verdict, VERDICT_INCONCLUSIVE);
}

static void a_run_that_goes_on_closes_what_a_kill_left_open_and_opens_what_is_left(void **state)
{
    (void)state;
    CLEANUP(health_done) struct health health;
    struct result_run run = {0};
    /* As the journal tells it: opened, a row, and the kill. */
    health_init(&health, &good);
    health.phase = HEALTH_OPENING;
    take(&health, VERDICT_PASS, NULL, NULL, &run);
    health_note_row(&health);
    assert_true(health_is_due(&health));
    struct health rows_left = health;
    health_resume(&health, false);
    assert_non_null(health_next(&health, true));
    assert_int_equal(health.phase, HEALTH_CLOSING);
    health_resume(&rows_left, true);
    assert_false(health_is_due(&rows_left));
    assert_non_null(health_next(&rows_left, false));
    assert_int_equal(rows_left.phase, HEALTH_OPENING);
}

static void a_check_that_failed_before_the_kill_stops_nothing_behind_it(void **state)
{
    (void)state;
    CLEANUP(health_done) struct health health;
    struct result_run run = {0};
    health_init(&health, &good);
    health.phase = HEALTH_OPENING;
    take(&health, VERDICT_FAIL, "no DPS", NULL, &run);
    health_resume(&health, true);
    assert_null(health.trouble);
    assert_non_null(health_next(&health, false));
    health.phase = HEALTH_CLOSING;
    take(&health, VERDICT_FAIL, "no DPS", NULL, &run);
    health_note_row(&health);
    health_resume(&health, false);
    assert_false(health_is_due(&health));
    assert_null(health_next(&health, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_and_closes),
        cmocka_unit_test(a_device_without_a_check_has_none),
        cmocka_unit_test(nothing_closes_what_never_ran),
        cmocka_unit_test(an_opening_that_fails_stops_every_row),
        cmocka_unit_test(a_closing_that_fails_lifts_the_blame_since_the_last_good_row),
        cmocka_unit_test(a_good_check_clears_nobody_who_failed_before_it),
        cmocka_unit_test(a_run_that_goes_on_closes_what_a_kill_left_open_and_opens_what_is_left),
        cmocka_unit_test(a_check_that_failed_before_the_kill_stops_nothing_behind_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
