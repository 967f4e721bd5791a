#include "reports/results_json.h"

#include "base/event.h"
#include "base/files.h"
#include "reports/timeline.h"
#include "tests/unit/base/scratch.h"

#include <string.h>

#include "tests/cmocka.h"

static void fill(struct result_run *run, const char *directory)
{
    result_set(&run->id, "20260101T000000Z-1");
    result_set(&run->directory, directory);
    run->started_unix_us = 1767225600000000;
    run->time_scale = 20;
    run->planned_count = 2;
    struct result_row row = {.verdict = VERDICT_FAIL, .duration_ms = 12, .timeline_first = 3, .timeline_last = 9};
    result_set(&row.id, "a/b:c");
    result_set(&row.case_id, "a/b");
    result_set(&row.rule, "chain.unknown-ca");
    result_set(&row.reason.text, "service: what should happen did not");
    result_set(&row.reason.expected, "dps.assigned");
    result_add_finding(&row, RESULT_FINDING_NOTE, "noise", "seen");
    result_add_finding(&row, RESULT_FINDING_FIXED, "hangs", "seen");
    result_add_assumed(&row, "leaf.v1");
    result_add_assumed(&row, "leaf.v1");
    result_add_assumed(&row, "connect.id-scope");
    result_set(&result_add_also(&row)->place, "cases/a/b.yaml:7:9");
    assert_int_equal(result_run_add(run, &row, NULL), 0);
}

static const cJSON *first_row(const cJSON *json)
{
    return cJSON_GetArrayItem(json_member(json, "rows"), 0);
}

static void says_what_a_reader_needs(void **state)
{
    (void)state;
    CLEANUP(result_run_done) struct result_run run = {0};
    fill(&run, "out");
    CLEANUP_JSON cJSON *json = results_to_json(&run);
    assert_int_equal(json_integer(json, "v", 0), 4);
    assert_string_equal(json_string(json, "run", ""), "20260101T000000Z-1");
    assert_string_equal(json_string(json, "started", ""), "2026-01-01T00:00:00.000000Z");
    const cJSON *row = first_row(json);
    assert_string_equal(json_string(row, "verdict", ""), "fail");
    assert_string_equal(json_string(row, "rule", ""), "chain.unknown-ca");
    assert_string_equal(json_path(row, "reason.expected")->valuestring, "dps.assigned");
    assert_int_equal(json_path(row, "timeline.last")->valueint, 9);
    assert_int_equal(cJSON_GetArraySize(json_member(row, "assumed")), 2);
    assert_string_equal(cJSON_GetArrayItem(json_member(row, "assumed"), 1)->valuestring, "connect.id-scope");
    assert_int_equal(json_path(json, "summary.fail")->valueint, 1);
    assert_int_equal(json_path(json, "summary.planned")->valueint, 2);
    assert_int_equal(json_path(json, "summary.findings")->valueint, 2);
    assert_int_equal(json_path(json, "summary.fixed")->valueint, 1);
    assert_string_equal(json_string(cJSON_GetArrayItem(json_member(row, "findings"), 1), "kind", ""), "fixed");
    assert_string_equal(json_string(cJSON_GetArrayItem(json_member(row, "also"), 0), "place", ""), "cases/a/b.yaml:7:9");
}

static void is_incomplete_until_the_run_has_ended(void **state)
{
    (void)state;
    CLEANUP(result_run_done) struct result_run run = {0};
    fill(&run, "out");
    CLEANUP_JSON cJSON *running = results_to_json(&run);
    assert_false(json_bool(running, "is_complete", true));
    assert_null(json_member(running, "exit_code"));
    run.ended_unix_us = run.started_unix_us + 1;
    run.exit_code = 1;
    CLEANUP_JSON cJSON *ended = results_to_json(&run);
    assert_true(json_bool(ended, "is_complete", false));
    assert_int_equal(json_integer(ended, "exit_code", 0), 1);
}

static void leaves_out_what_does_not_apply(void **state)
{
    (void)state;
    CLEANUP(result_run_done) struct result_run run = {0};
    struct result_row row = {.verdict = VERDICT_PASS};
    result_set(&row.id, "a");
    assert_int_equal(result_run_add(&run, &row, NULL), 0);
    CLEANUP_JSON cJSON *json = results_to_json(&run);
    assert_null(json_member(first_row(json), "reason"));
    assert_null(json_member(first_row(json), "rule"));
    assert_null(json_member(first_row(json), "timeline"));
    assert_null(json_member(first_row(json), "assumed"));
}

static void writes_a_whole_document_each_time(void **state)
{
    CLEANUP(result_run_done) struct result_run run = {0};
    fill(&run, *state);
    assert_int_equal(results_write(&run, NULL), 0);
    assert_int_equal(results_write(&run, NULL), 0);
    CLEANUP_FREE char *path = path_join(*state, "results.json");
    CLEANUP_JSON cJSON *json = json_read_file(path, NULL);
    assert_non_null(json);
    assert_int_equal(cJSON_GetArraySize(json_member(json, "rows")), 1);
}

static void numbers_only_the_harnesss_own_events(void **state)
{
    struct timeline *timeline = NULL;
    assert_int_equal(timeline_open(*state, &timeline, NULL), 0);
    CLEANUP_JSON cJSON *foreign = event_new(EVENT_TCP_ACCEPTED, &clock_system, "dpsbench-sim");
    json_set_integer(foreign, "seq", 77);
    CLEANUP_JSON cJSON *own = event_new(EVENT_CONSOLE_LINE, &clock_system, TIMELINE_SOURCE);
    assert_int_equal(timeline_add(timeline, foreign, NULL), 0);
    assert_int_equal(timeline_add_own(timeline, own, NULL), 0);
    assert_int_equal(json_integer(foreign, "seq", 0), 77);
    assert_int_equal(json_integer(own, "seq", 0), 1);
    assert_int_equal(timeline_line(timeline), 2);
    timeline_close(timeline);
    CLEANUP_FREE char *path = path_join(*state, "timeline.jsonl");
    CLEANUP(bytes_done) struct bytes text = {0};
    assert_int_equal(file_read(path, 65536, &text, NULL), 0);
    assert_non_null(strstr(bytes_text(&text), "\"seq\":77"));
    assert_int_equal(text.data[text.length_bytes - 1], '\n');
}

static void reads_back_what_it_wrote(void **state)
{
    CLEANUP(result_run_done) struct result_run run = {0}, back = {0};
    fill(&run, *state);
    result_set(&run.rows[0].account.got, "nothing");
    result_set(&run.rows[0].why, "a requirement");
    result_set(&run.broken_off, "the disk is full");
    run.ended_unix_us = 1;
    run.exit_code = 3;
    assert_int_equal(results_write(&run, NULL), 0);
    assert_int_equal(results_read(*state, &back, NULL), 0);
    back.started_unix_us = run.started_unix_us;
    back.rows[0].started_unix_us = run.rows[0].started_unix_us;
    CLEANUP_JSON cJSON *a = results_to_json(&run), *b = results_to_json(&back);
    CLEANUP_FREE char *one = json_print_pretty(a), *other = json_print_pretty(b);
    assert_string_equal(one, other);
}

static void refuses_what_is_no_results_json(void **state)
{
    (void)state;
    static const struct {
        const char *text, *complaint;
    } rows[] = {
        {"{}", "no version"},
        {"[]", "no version"},
        {"{\"v\":\"1\",\"rows\":[]}", "no version"},
        {"{\"v\":5,\"version\":\"9.0\",\"rows\":[]}", "written by a newer dpsbench (9.0)"},
        {"{\"v\":1}", "no rows"},
        {"{\"v\":1,\"rows\":{}}", "no rows"},
        {"{\"v\":1,\"rows\":[{\"id\":\"a\",\"verdict\":\"pass\"},3]}", "row 2 has no id"},
        {"{\"v\":1,\"rows\":[{\"id\":\"a\",\"verdict\":\"good\"}]}", "row 1 has no id, or no verdict"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CLEANUP(result_run_done) struct result_run run = {0};
        struct error error = ERROR_INIT;
        CLEANUP_JSON cJSON *json = json_parse(rows[i].text, strlen(rows[i].text), "x", NULL);
        assert_non_null(json);
        assert_int_equal(results_from_json(json, "out/results.json", &run, &error), -1);
        assert_int_equal(error.owner, ERROR_OWNER_FILE);
        assert_non_null(strstr(error.text, rows[i].complaint));
        assert_null(run.rows);
    }
}

static void skips_members_that_it_does_not_know(void **state)
{
    (void)state;
    static const char text[] =
        "{\"v\":1,\"moon\":[],\"rows\":[{\"id\":\"a\",\"verdict\":\"skip\",\"reason\":7,\"findings\":\"x\",\"timeline\":[]}]}";
    CLEANUP(result_run_done) struct result_run run = {0};
    CLEANUP_JSON cJSON *json = json_parse(text, strlen(text), "x", NULL);
    assert_int_equal(results_from_json(json, "x", &run, NULL), 0);
    assert_int_equal(run.row_count, 1);
    assert_int_equal(run.rows[0].verdict, VERDICT_SKIP);
    assert_null(run.rows[0].reason.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_a_reader_needs),
        cmocka_unit_test(is_incomplete_until_the_run_has_ended),
        cmocka_unit_test(leaves_out_what_does_not_apply),
        cmocka_unit_test_setup_teardown(writes_a_whole_document_each_time, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(reads_back_what_it_wrote, scratch_make, scratch_remove),
        cmocka_unit_test(refuses_what_is_no_results_json),
        cmocka_unit_test(skips_members_that_it_does_not_know),
        cmocka_unit_test_setup_teardown(numbers_only_the_harnesss_own_events, scratch_make, scratch_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
