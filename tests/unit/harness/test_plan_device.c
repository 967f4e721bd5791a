/* The plan of the suite itself: on a board that can be erased, on one that forgets at boot, on one that cannot forget. */
#include "harness/run/plan.h"

#include "base/cleanup.h"

#include <string.h>

#include "tests/cmocka.h"

static const char board[] = "format: 1\n"
                            "devices:\n"
                            "  - id: board\n"
                            "    serial: /dev/null\n"
                            "    registration_id: nrf-1\n"
                            "    id_scope: 0ne00000001\n"
                            "    sec_tag: 42\n";

static void plan_board(const char *more, const char *const *selectors, size_t count, bool keeps_order, struct rig *rig, struct plan *plan)
{
    struct error error = ERROR_INIT;
    char text[1024];
    snprintf(text, sizeof text, "%s%s", board, more);
    if (rig_read_text(text, strlen(text), "rig.yaml", rig, &error))
        fail_msg("%s", error.text);
    const struct run_options options = {.rig = rig,
                                        .cases_directory = DPSBENCH_SOURCE_DIR "/cases",
                                        .cases_shown = "cases",
                                        .selectors = selectors,
                                        .selector_count = count,
                                        .keeps_order = keeps_order};
    if (plan_make(&options, plan, &error))
        fail_msg("%s", error.text);
}

static void the_suite_writes_no_more_than_it_must(void **state)
{
    (void)state;
    static const char *const ways[] = {"    hooks: {reset: [true], chip_erase: [true]}\n",
                                       "    hooks: {reset: [true]}\n    fixtures: [forgets-assignment]\n"};
    for (size_t i = 0; i < ARRAY_COUNT(ways); i++) {
        CLEANUP(rig_done) struct rig rig = {0};
        CLEANUP(plan_done) struct plan plan = {.device_count = 0};
        plan_board(ways[i], NULL, 0, false, &rig, &plan);
        const struct device_plan *device = &plan.devices[0].plan;
        assert_int_equal(device->unmet_count, 0);
        assert_int_equal(device->stuck_count, 0);
        assert_int_equal(device->planned.writes, device->bound.writes);
        assert_true(device->as_listed.writes > device->planned.writes);
        assert_true(device->planned.device_s <= 1.1 * device->bound.device_s);
        assert_true(device->planned.device_s <= device->as_listed.device_s);
    }
}

static void rows_as_they_are_listed_stay_so(void **state)
{
    (void)state;
    CLEANUP(rig_done) struct rig rig = {0};
    CLEANUP(plan_done) struct plan plan = {.device_count = 0};
    CLEANUP(case_list_done) struct case_list listed = {0};
    struct error error = ERROR_INIT;
    plan_board("    hooks: {reset: [true], chip_erase: [true]}\n", NULL, 0, true, &rig, &plan);
    assert_int_equal(plan_list(DPSBENCH_SOURCE_DIR "/cases", "cases", NULL, 0, &listed, &error), 0);
    assert_int_equal(plan.devices[0].rows.count, listed.count);
    for (size_t i = 0; i < listed.count; i++)
        assert_string_equal(plan.devices[0].rows.rows[i]->id, listed.rows[i]->id);
    assert_int_equal(plan.devices[0].plan.planned.writes, plan.devices[0].plan.as_listed.writes);
}

static void what_cannot_be_forgotten_comes_last(void **state)
{
    (void)state;
    CLEANUP(rig_done) struct rig rig = {0};
    CLEANUP(plan_done) struct plan plan = {.device_count = 0};
    plan_board("    hooks: {reset: [true]}\n", NULL, 0, false, &rig, &plan);
    const struct case_list *rows = &plan.devices[0].rows;
    size_t leaving = 0;
    for (size_t i = 0; i < rows->count; i++) {
        assert_true(row_leaves_assignment(rows->rows[i]) || leaving == 0);
        leaving += row_leaves_assignment(rows->rows[i]);
    }
    assert_true(leaving > 1);
    assert_int_equal(plan.devices[0].plan.stuck_count, leaving - 1);
    assert_int_equal(plan.devices[0].plan.forget, FORGET_NOT);
}

static void a_board_has_a_health_check_unless_told_otherwise(void **state)
{
    (void)state;
    static const struct {
        const char *more;
        const char *row;
    } cases[] = {{"", "provisioning/thread"}, {"health: none\n", NULL}, {"health: provisioning/guide\n", "provisioning/guide"}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        CLEANUP(rig_done) struct rig rig = {0};
        CLEANUP(plan_done) struct plan plan = {.device_count = 0};
        static const char *const selectors[] = {"refused/wrong-chain"};
        plan_board(cases[i].more, selectors, 1, false, &rig, &plan);
        const struct case_list *health = &plan.devices[0].health;
        assert_int_equal(health->count, cases[i].row ? 1 : 0);
        if (cases[i].row)
            assert_string_equal(health->rows[0]->id, cases[i].row);
        assert_int_equal(plan_row_count(&plan), 2);
    }
}

static void a_board_without_any_hook_runs_nothing(void **state)
{
    (void)state;
    CLEANUP(rig_done) struct rig rig = {0};
    CLEANUP(plan_done) struct plan plan = {.device_count = 0};
    plan_board("", NULL, 0, false, &rig, &plan);
    assert_int_equal(plan.devices[0].plan.row_count, 0);
    assert_int_equal(plan.devices[0].plan.unmet_count, plan.devices[0].rows.count);
    assert_string_equal(device_unmet_need(plan.devices[0].device, plan.devices[0].rows.rows[0]), "start");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_suite_writes_no_more_than_it_must), cmocka_unit_test(rows_as_they_are_listed_stay_so),
        cmocka_unit_test(what_cannot_be_forgotten_comes_last),   cmocka_unit_test(a_board_has_a_health_check_unless_told_otherwise),
        cmocka_unit_test(a_board_without_any_hook_runs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
