#include "base/files.h"
#include "broker_sim/scenario/scenario.h"
#include "certs/attestation.h"

#include <string.h>

#include "tests/cmocka.h"

static struct knobs conforming(void)
{
    struct knobs knobs;
    knobs_init(&knobs);
    return knobs;
}

static int apply(struct knobs *knobs, const char *text, struct error *error)
{
    CLEANUP_JSON cJSON *json = cJSON_Parse(text);
    assert_non_null(json);
    return knobs_apply(knobs, KNOB_TARGET_DEVICE, json, error);
}

static void defaults_are_the_conforming_behaviour(void **state)
{
    (void)state;
    struct knobs knobs = conforming();
    assert_int_equal(knobs.retry_after_s, 3);
    assert_int_equal(knobs.polls_until_assigned, 1);
    assert_int_equal(knobs.close_after_refusal_ms, 500);
    assert_int_equal(knobs.is_silent, 0);
    assert_string_equal(knob_list[KNOB_profile].words[knobs.profile], "azure");
    assert_int_equal(knobs.has_retry_after, 1);
    static const int faults[] = {KNOB_connack,    KNOB_hub_connack, KNOB_reply_status, KNOB_poll_status, KNOB_error_retry_after_s,
                                 KNOB_reply_body, KNOB_end_as,      KNOB_close_at,     KNOB_silent_after};
    for (size_t i = 0; i < ARRAY_COUNT(faults); i++)
        assert_int_equal(knob_value(&knobs, &knob_list[faults[i]]), 0);
}

static void turns_only_what_is_named(void **state)
{
    (void)state;
    struct knobs knobs = conforming();
    assert_int_equal(apply(&knobs, "{\"retry_after_s\":7,\"is_silent\":true,\"profile\":\"connack\"}", NULL), 0);
    assert_int_equal(knobs.retry_after_s, 7);
    assert_int_equal(knobs.is_silent, 1);
    assert_string_equal(knob_list[KNOB_profile].words[knobs.profile], "connack");
    assert_int_equal(knobs.polls_until_assigned, 1);
}

static void refuses_bad_knobs_with_the_mend_and_changes_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *expected;
    } rows[] = {
        {"{\"is_silent\":true,\"retry_after\":7}", "there is no knob 'retry_after'; did you mean 'retry_after_s'"},
        {"{\"is_silent\":true,\"puback\":7}", "there is no knob 'puback'; did you mean 'puback_comes', 'hub_puback'"},
        {"{\"is_silent\":true,\"xyzzy\":7}", "there is no knob 'xyzzy'"},
        {"{\"is_silent\":true,\"retry_after_s\":-1}", "knob 'retry_after_s' takes an integer from 0 to 999999999999"},
        {"{\"is_silent\":true,\"retry_after_s\":1.5}", "takes an integer"},
        {"{\"is_silent\":true,\"retry_after_s\":\"3\"}", "takes an integer"},
        {"{\"is_silent\":true,\"retry_after_s\":1e300}", "takes an integer"},
        {"{\"is_silent\":true,\"profile\":\"azur\"}", "knob 'profile' takes one of 'azure', 'connack'"},
        {"{\"profile\":\"connack\",\"is_silent\":1}", "knob 'is_silent' takes true or false"},
        {"[]", "must be a JSON object"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct knobs knobs = conforming(), before = knobs;
        struct error error = ERROR_INIT;
        assert_int_equal(apply(&knobs, rows[i].json, &error), -1);
        assert_non_null(strstr(error.text, rows[i].expected));
        assert_int_equal(error.code, ERROR_USAGE);
        assert_int_equal(error.owner, ERROR_OWNER_FILE);
        assert_memory_equal(&knobs, &before, sizeof knobs);
    }
}

static void json_holds_every_knob_and_reads_back(void **state)
{
    (void)state;
    struct knobs knobs = conforming(), again = conforming();
    assert_int_equal(apply(&knobs, "{\"retry_after_s\":9,\"profile\":\"connack\"}", NULL), 0);
    CLEANUP_JSON cJSON *json = knobs_to_json(&knobs, KNOB_TARGET_DEVICE);
    for (size_t i = 0; i < KNOB_COUNT; i++)
        assert_int_equal(cJSON_HasObjectItem(json, knob_list[i].name), knob_is_for(&knob_list[i], KNOB_TARGET_DEVICE));
    assert_int_equal(knobs_apply(&again, KNOB_TARGET_DEVICE, json, NULL), 0);
    assert_memory_equal(&knobs, &again, sizeof knobs);
}

static void help_and_description_come_from_the_list(void **state)
{
    (void)state;
    struct knobs knobs = conforming();
    CLEANUP_FREE char *help = knobs_help();
    CLEANUP_JSON cJSON *list = knobs_describe(&knobs);
    assert_int_equal(cJSON_GetArraySize(list), KNOB_COUNT);
    for (int i = 0; i < KNOB_COUNT; i++) {
        const cJSON *item = cJSON_GetArrayItem(list, i);
        assert_non_null(strstr(help, knob_list[i].name));
        assert_non_null(strstr(help, knob_list[i].text));
        assert_string_equal(json_string(item, "name", ""), knob_list[i].name);
        assert_string_equal(json_string(item, "text", ""), knob_list[i].text);
        assert_non_null(json_member(item, "default"));
    }
}

/* docs/control.md ends with a table of them. */
static void the_manual_has_a_row_for_every_knob(void **state)
{
    (void)state;
    CLEANUP(bytes_done) struct bytes page = {0};
    assert_int_equal(file_read(DPSBENCH_SOURCE_DIR "/docs/control.md", 1024 * 1024, &page, NULL), 0);
    for (int i = 0; i < KNOB_COUNT; i++) {
        char row[1024];
        snprintf(row, sizeof row, "\n| `%s` | %s | %s |\n", knob_list[i].name, knob_layer_name(knob_list[i].layer), knob_list[i].text);
        if (!strstr(bytes_text(&page), row))
            fail_msg("docs/control.md lacks this row:%s", row);
    }
}

static void profile_words_are_the_profiles_of_the_judge(void **state)
{
    (void)state;
    const char *const *words = knob_list[KNOB_profile].words;
    size_t count = 0;
    for (; words[count]; count++)
        assert_non_null(attestation_profile_find(words[count]));
    assert_null(attestation_profile_at(count));
}

struct table {
    struct scenario_table *table;
};

static void setup(struct table *table)
{
    struct knobs knobs = conforming();
    table->table = scenario_table_new(&knobs);
    assert_non_null(table->table);
}

static void teardown(struct table *table)
{
    scenario_table_free(table->table);
}

static void set(struct table *table, const char *id, const char *text, const char *lease)
{
    CLEANUP_JSON cJSON *json = cJSON_Parse(text);
    assert_int_equal(scenario_set(table->table, id, json, lease, NULL), 0);
}

static int64_t retry_after(struct table *table, const char *id)
{
    return scenario_knobs(table->table, id).retry_after_s;
}

static void scenario_binds_to_one_id_without_regard_to_case(void **state)
{
    (void)state;
    CLEANUP(teardown) struct table table = {NULL};
    setup(&table);
    set(&table, "Dev-01", "{\"retry_after_s\":7}", NULL);
    assert_int_equal(retry_after(&table, "dev-01"), 7);
    assert_int_equal(retry_after(&table, "dev-02"), 3);
    assert_int_equal(retry_after(&table, NULL), 3);
}

static void scenario_is_set_whole(void **state)
{
    (void)state;
    CLEANUP(teardown) struct table table = {NULL};
    setup(&table);
    set(&table, "dev-01", "{\"retry_after_s\":7}", NULL);
    set(&table, "dev-01", "{\"is_silent\":true}", NULL);
    assert_int_equal(retry_after(&table, "dev-01"), 3);
}

static void leased_scenario_hides_the_permanent_one_until_the_lease_ends(void **state)
{
    (void)state;
    CLEANUP(teardown) struct table table = {NULL};
    setup(&table);
    set(&table, "dev-01", "{\"retry_after_s\":7}", NULL);
    set(&table, "dev-01", "{\"retry_after_s\":8}", "lease-a");
    set(&table, "dev-02", "{\"retry_after_s\":9}", "lease-b");
    assert_int_equal(retry_after(&table, "dev-01"), 8);
    scenario_drop_lease(table.table, "lease-a");
    assert_int_equal(retry_after(&table, "dev-01"), 7);
    assert_int_equal(retry_after(&table, "dev-02"), 9);
}

static void clear_removes_all_of_an_id_and_says_when_there_is_none(void **state)
{
    (void)state;
    CLEANUP(teardown) struct table table = {NULL};
    setup(&table);
    set(&table, "dev-01", "{\"retry_after_s\":7}", NULL);
    set(&table, "dev-01", "{\"retry_after_s\":8}", "lease-a");
    assert_int_equal(scenario_clear(table.table, "DEV-01", NULL), 0);
    assert_int_equal(retry_after(&table, "dev-01"), 3);
    struct error error = ERROR_INIT;
    assert_int_equal(scenario_clear(table.table, "dev-01", &error), -1);
    assert_int_equal(error.code, ERROR_NOT_FOUND);
}

static void table_of_scenarios_is_bounded(void **state)
{
    (void)state;
    CLEANUP(teardown) struct table table = {NULL};
    setup(&table);
    CLEANUP_JSON cJSON *none = cJSON_CreateObject();
    struct error error = ERROR_INIT;
    char id[32];
    for (int i = 0; i < SCENARIOS_MAX; i++) {
        snprintf(id, sizeof id, "dev-%d", i);
        assert_int_equal(scenario_set(table.table, id, none, NULL, &error), 0);
    }
    assert_int_equal(scenario_set(table.table, "one-more", none, NULL, &error), -1);
    assert_int_equal(error.code, ERROR_LIMIT);
}

static void a_fault_happens_as_often_as_asked_and_counts_anew_with_the_next_scenario(void **state)
{
    (void)state;
    CLEANUP(teardown) struct table table = {NULL};
    setup(&table);
    assert_false(scenario_fault(table.table, "dev-01", KNOB_connack));
    set(&table, "dev-01", "{\"connack\":3,\"reply_status\":429,\"fault_times\":2}", NULL);
    for (int round = 0; round < 2; round++) {
        assert_true(scenario_fault(table.table, "dev-01", KNOB_connack));
        assert_true(scenario_fault(table.table, "DEV-01", KNOB_connack));
        assert_false(scenario_fault(table.table, "dev-01", KNOB_connack));
        assert_true(scenario_fault(table.table, "dev-01", KNOB_reply_status)); /* counted by itself */
        assert_false(scenario_fault(table.table, "dev-01", KNOB_end_as));
        assert_false(scenario_fault(table.table, "dev-02", KNOB_connack));
        set(&table, "dev-01", "{\"connack\":3,\"reply_status\":429,\"fault_times\":2}", NULL);
    }
    set(&table, "dev-01", "{\"connack\":3}", NULL);
    for (int i = 0; i < 20; i++)
        assert_true(scenario_fault(table.table, "dev-01", KNOB_connack));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_the_conforming_behaviour),
        cmocka_unit_test(turns_only_what_is_named),
        cmocka_unit_test(refuses_bad_knobs_with_the_mend_and_changes_nothing),
        cmocka_unit_test(json_holds_every_knob_and_reads_back),
        cmocka_unit_test(help_and_description_come_from_the_list),
        cmocka_unit_test(the_manual_has_a_row_for_every_knob),
        cmocka_unit_test(profile_words_are_the_profiles_of_the_judge),
        cmocka_unit_test(scenario_binds_to_one_id_without_regard_to_case),
        cmocka_unit_test(scenario_is_set_whole),
        cmocka_unit_test(a_fault_happens_as_often_as_asked_and_counts_anew_with_the_next_scenario),
        cmocka_unit_test(leased_scenario_hides_the_permanent_one_until_the_lease_ends),
        cmocka_unit_test(clear_removes_all_of_an_id_and_says_when_there_is_none),
        cmocka_unit_test(table_of_scenarios_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
