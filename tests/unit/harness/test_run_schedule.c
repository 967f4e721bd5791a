#include "harness/run/own_names.h"
#include "harness/run/schedule.h"

#include "base/cleanup.h"
#include "base/json.h"

#include <string.h>

#include "tests/cmocka.h"

/* Rows r0, r1, ...; the plan's own memory is not ours to free here. */
struct rig_of_rows {
    struct case_row rows[3];
    struct case_row *list[3];
    struct plan plan;
};

static void fill(struct rig_of_rows *of, size_t row_count, size_t device_count)
{
    static const char *const ids[] = {"a/r0", "a/r1", "a/r2"};
    *of = (struct rig_of_rows){0};
    for (size_t i = 0; i < row_count; i++) {
        of->rows[i].id = of->rows[i].case_id = (char *)(uintptr_t)ids[i];
        of->list[i] = &of->rows[i];
    }
    for (size_t i = 0; i < device_count; i++)
        of->plan.devices[i].rows = (struct case_list){.rows = of->list, .count = row_count};
    of->plan.device_count = device_count;
}

/* Run what comes next with this verdict; its name, "" when nothing does. */
static const char *step(struct schedule *schedule, size_t device, enum verdict verdict)
{
    struct turn *turn = schedule_next(schedule, device, NULL, NULL);
    if (!turn)
        return "";
    schedule_take(schedule, turn, verdict);
    return turn->row->id;
}

static void gives_each_device_all_rows_in_the_plans_order(void **state)
{
    (void)state;
    struct rig_of_rows of;
    fill(&of, 2, 2);
    CLEANUP(schedule_done) struct schedule schedule = {0};
    assert_int_equal(schedule_make(&of.plan, &(struct schedule_options){.repeat = 1}, &schedule, NULL), 0);
    assert_int_equal(schedule_count(&schedule), 4);
    assert_string_equal(step(&schedule, 0, VERDICT_PASS), "a/r0");
    assert_string_equal(step(&schedule, 1, VERDICT_FAIL), "a/r0");
    assert_string_equal(step(&schedule, 0, VERDICT_PASS), "a/r1");
    assert_string_equal(step(&schedule, 0, VERDICT_PASS), "");
    assert_true(schedule_has_more(&schedule, 1));
    assert_false(schedule_has_more(&schedule, 0));
}

static void repeats_the_whole_list(void **state)
{
    (void)state;
    struct rig_of_rows of;
    fill(&of, 2, 1);
    CLEANUP(schedule_done) struct schedule schedule = {0};
    assert_int_equal(schedule_make(&of.plan, &(struct schedule_options){.repeat = 2}, &schedule, NULL), 0);
    const char *const wanted[] = {"a/r0", "a/r1", "a/r0", "a/r1", ""};
    for (size_t i = 0; i < ARRAY_COUNT(wanted); i++)
        assert_string_equal(step(&schedule, 0, VERDICT_PASS), wanted[i]);
    assert_int_equal(schedule_find(&schedule, 0, "a/r1", 2)->attempts, 1);
    assert_null(schedule_find(&schedule, 0, "a/r1", 3));
}

static void gives_a_row_again_until_it_is_well_or_has_no_retries(void **state)
{
    (void)state;
    struct rig_of_rows of;
    fill(&of, 2, 1);
    CLEANUP(schedule_done) struct schedule schedule = {0};
    assert_int_equal(schedule_make(&of.plan, &(struct schedule_options){.repeat = 1, .retries = 2}, &schedule, NULL), 0);
    assert_string_equal(step(&schedule, 0, VERDICT_FAIL), "a/r0");
    assert_string_equal(step(&schedule, 0, VERDICT_PASS), "a/r0");
    assert_string_equal(step(&schedule, 0, VERDICT_FAIL), "a/r1");
    assert_string_equal(step(&schedule, 0, VERDICT_INCONCLUSIVE), "a/r1");
    assert_string_equal(step(&schedule, 0, VERDICT_ERROR), "a/r1");
    assert_string_equal(step(&schedule, 0, VERDICT_ERROR), "");
}

static void does_not_repeat_what_is_good(void **state)
{
    (void)state;
    const enum verdict good[] = {VERDICT_PASS, VERDICT_SKIP, VERDICT_KNOWN};
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        struct rig_of_rows of;
        fill(&of, 1, 1);
        CLEANUP(schedule_done) struct schedule schedule = {0};
        assert_int_equal(schedule_make(&of.plan, &(struct schedule_options){.repeat = 1, .retries = 9}, &schedule, NULL), 0);
        step(&schedule, 0, good[i]);
        assert_string_equal(step(&schedule, 0, good[i]), "");
    }
}

static void stops_all_devices_at_the_first_row_that_fails(void **state)
{
    (void)state;
    struct rig_of_rows of;
    fill(&of, 3, 2);
    CLEANUP(schedule_done) struct schedule schedule = {0};
    const struct schedule_options options = {.is_until_fail = true, .retries = 1};
    assert_int_equal(schedule_make(&of.plan, &options, &schedule, NULL), 0);
    assert_in_range(schedule_count(&schedule), SCHEDULE_TURNS_MAX - 6, SCHEDULE_TURNS_MAX);
    step(&schedule, 0, VERDICT_PASS);
    step(&schedule, 0, VERDICT_FAIL);
    assert_string_equal(step(&schedule, 0, VERDICT_PASS), "a/r1");
    step(&schedule, 1, VERDICT_FAIL);
    step(&schedule, 1, VERDICT_FAIL);
    assert_string_equal(step(&schedule, 0, VERDICT_PASS), "");
    assert_string_equal(step(&schedule, 1, VERDICT_PASS), "");
}

static bool is_second(void *user, const struct case_row *row)
{
    (void)user;
    return strcmp(row->id, "a/r1") == 0;
}

static void leaves_waiting_what_does_not_fit(void **state)
{
    (void)state;
    struct rig_of_rows of;
    fill(&of, 3, 1);
    CLEANUP(schedule_done) struct schedule schedule = {0};
    assert_int_equal(schedule_make(&of.plan, &(struct schedule_options){.repeat = 1}, &schedule, NULL), 0);
    struct turn *turn = schedule_next(&schedule, 0, is_second, NULL);
    assert_string_equal(turn->row->id, "a/r1");
    assert_null(schedule_next(&schedule, 0, is_second, NULL));
    schedule_put_back(turn);
    assert_ptr_equal(schedule_next(&schedule, 0, is_second, NULL), turn);
    assert_true(schedule_has_more(&schedule, 0));
}

static void refuses_more_turns_than_it_can_hold(void **state)
{
    (void)state;
    struct rig_of_rows of;
    fill(&of, 3, 2);
    struct schedule schedule = {0};
    struct error error = ERROR_INIT;
    assert_int_equal(schedule_make(&of.plan, &(struct schedule_options){.repeat = 5000}, &schedule, &error), -1);
    assert_int_equal(error.code, ERROR_LIMIT);
    assert_string_equal(error.text, "--repeat 5000 of 6 rows makes 30000: at most 10000 rows are run at once");
    assert_null(schedule.devices[0].turns);
}

static void takes_its_own_suffix_off_every_text_and_no_others(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":\"root-ca.lane-1\",\"b\":[{\"c\":\"'x.lane-1' and y.lane-1.\"},\"z.lane-12\",7]}";
    CLEANUP_JSON cJSON *json = json_parse(text, sizeof text - 1, "test", NULL);
    own_names_strip(".lane-1", json);
    CLEANUP_FREE char *printed = json_print_line(json);
    assert_string_equal(printed, "{\"a\":\"root-ca\",\"b\":[{\"c\":\"'x' and y.\"},\"z.lane-12\",7]}");
    CLEANUP_FREE char *own = own_name(".lane-1", "root-ca");
    assert_string_equal(own, "root-ca.lane-1");
    assert_null(own_name(".lane-1", NULL));
    own_names_strip(NULL, json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_each_device_all_rows_in_the_plans_order),
        cmocka_unit_test(repeats_the_whole_list),
        cmocka_unit_test(gives_a_row_again_until_it_is_well_or_has_no_retries),
        cmocka_unit_test(does_not_repeat_what_is_good),
        cmocka_unit_test(stops_all_devices_at_the_first_row_that_fails),
        cmocka_unit_test(leaves_waiting_what_does_not_fit),
        cmocka_unit_test(refuses_more_turns_than_it_can_hold),
        cmocka_unit_test(takes_its_own_suffix_off_every_text_and_no_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
