/* The cases of the repository themselves: each is good, and the suite covers what it must. */
#include "harness/run/plan.h"

#include "base/cleanup.h"
#include "base/json.h"

#include <string.h>

#include "tests/cmocka.h"

static void read_cases(struct case_list *list)
{
    struct error error = ERROR_INIT;
    if (plan_list(DPSBENCH_SOURCE_DIR "/cases", "cases", NULL, 0, list, &error))
        fail_msg("%s", error.text);
}

static void every_case_can_be_read(void **state)
{
    (void)state;
    CLEANUP(case_list_done) struct case_list list = {0};
    read_cases(&list);
    assert_true(list.count >= 14);
}

static bool asserts_a_rule(const struct case_row *row)
{
    const struct case_expectations *service = &row->views[CASE_VIEW_SERVICE].in_order;
    for (size_t i = 0; i < service->count; i++)
        for (size_t j = 0; j < service->items[i].condition_count; j++)
            if (strcmp(service->items[i].conditions[j].field, "rule") == 0)
                return true;
    return false;
}

/* Many causes print the same lines: a refusing row that looks at the console alone proves nothing. */
static void every_refusing_row_asserts_its_own_rule(void **state)
{
    (void)state;
    CLEANUP(case_list_done) struct case_list list = {0};
    read_cases(&list);
    for (size_t i = 0; i < list.count; i++)
        if (strncmp(list.rows[i]->id, "refused/", 8) == 0 && !asserts_a_rule(list.rows[i]))
            fail_msg("%s asserts no rule on the service view", list.rows[i]->id);
}

static bool forbids_connect(const struct case_row *row)
{
    const struct case_expectations *never = &row->views[CASE_VIEW_WIRE].never;
    for (size_t i = 0; i < never->count; i++)
        if (strcmp(never->items[i].event, "mqtt.connect") == 0 && never->items[i].more_than == 0)
            return true;
    return false;
}

static void every_server_row_forbids_mqtt(void **state)
{
    (void)state;
    CLEANUP(case_list_done) struct case_list list = {0};
    read_cases(&list);
    for (size_t i = 0; i < list.count; i++)
        if (strncmp(list.rows[i]->id, "server/", 7) == 0 && !forbids_connect(list.rows[i]))
            fail_msg("%s lets MQTT happen", list.rows[i]->id);
}

/* As knob.list gives them: every one that a case names. */
static cJSON *knobs_of(const struct case_list *rows)
{
    cJSON *knobs = cJSON_CreateArray();
    for (size_t i = 0; i < rows->count; i++) {
        const cJSON *knob;
        cJSON_ArrayForEach(knob, rows->rows[i]->service.knobs)
        {
            cJSON *known = cJSON_CreateObject();
            assert_int_equal(json_set_string(known, "name", knob->string), 0);
            cJSON_AddItemToArray(knobs, known);
        }
    }
    return knobs;
}

static void knobs_are_checked_by_name(void **state)
{
    (void)state;
    struct plan plan = {.device_count = 1};
    read_cases(&plan.devices[0].rows);
    CLEANUP_JSON cJSON *knobs = knobs_of(&plan.devices[0].rows);
    assert_int_equal(plan_check_knobs(&plan, knobs, NULL), 0);
    CLEANUP_JSON cJSON *none = cJSON_CreateArray();
    struct error error = ERROR_INIT;
    assert_int_equal(plan_check_knobs(&plan, none, &error), -1);
    assert_int_equal(error.owner, ERROR_OWNER_FILE);
    assert_non_null(strstr(error.text, ".yaml:"));
    assert_non_null(strstr(error.text, "the simulator has no knob '"));
    plan_done(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_can_be_read),
        cmocka_unit_test(every_refusing_row_asserts_its_own_rule),
        cmocka_unit_test(every_server_row_forbids_mqtt),
        cmocka_unit_test(knobs_are_checked_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
