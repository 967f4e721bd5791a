/* The shards of one whole, put together; and what is no whole. */
#include "reports/merge.h"

#include "base/cleanup.h"
#include "base/json.h"

#include <string.h>

#include "tests/cmocka.h"

enum { PARTS = 3 };

static void add_row(struct result_run *run, const char *id, enum verdict verdict)
{
    struct result_row row = {.verdict = verdict, .timeline_first = 1, .timeline_last = 9};
    result_set(&row.id, id);
    result_set(&row.device, "dk");
    result_setf(&row.certificates, "certificates/%s", id);
    assert_int_equal(result_run_add(run, &row, NULL), 0);
    run->planned_count++;
}

/* Shard I/3 of a whole of two rows: the third has none. */
static struct merge_part part_of(unsigned index)
{
    static const char *const folders[] = {"one", "two", "three"};
    struct merge_part part = {.folder = folders[index - 1]};
    struct result_run *run = &part.run;
    run->started_unix_us = index * 1000;
    run->ended_unix_us = index * 1000 + 500;
    run->time_scale = 50;
    run->suite.row_count = 2;
    result_set(&run->suite.cases, "c0ffee");
    result_set(&run->suite.selection, "5e1ec7");
    result_set(&run->version, DPSBENCH_VERSION);
    result_setf(&run->id, "run-%u", index);
    result_setf(&run->shard, "%u/%d", index, PARTS);
    run->devices = cJSON_CreateArray();
    if (index == 3)
        return part;
    cJSON *device = cJSON_CreateObject();
    json_set_string(device, "id", "dk");
    cJSON_AddItemToArray(run->devices, device);
    add_row(run, index == 1 ? "a/b" : "c/d", index == 1 ? VERDICT_PASS : VERDICT_FAIL);
    return part;
}

struct bench {
    struct merge_part parts[PARTS];
    struct error error;
};

/* In an order that is none. */
static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    assert_non_null(bench);
    for (unsigned i = 0; i < PARTS; i++)
        bench->parts[i] = part_of(PARTS - i);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    for (size_t i = 0; i < PARTS; i++)
        result_run_done(&bench->parts[i].run);
    free(bench);
    return 0;
}

static void is_the_whole(void **state)
{
    struct bench *bench = *state;
    CLEANUP(result_run_done) struct result_run run = {0};
    assert_int_equal(merge_check(bench->parts, PARTS, false, &bench->error), 0);
    assert_int_equal(merge_parts(bench->parts, PARTS, &run, &bench->error), 0);
    assert_int_equal(run.row_count, 2);
    assert_int_equal(run.planned_count, 2);
    assert_string_equal(run.rows[0].id, "a/b");
    assert_string_equal(run.rows[0].shard, "1/3");
    assert_string_equal(run.rows[1].timeline_folder, "shard-2");
    assert_string_equal(run.rows[1].certificates, "shard-2/certificates/c/d");
    assert_int_equal(run.started_unix_us, 1000);
    assert_int_equal(run.ended_unix_us, 3500);
    assert_int_equal(run.exit_code, EXIT_DEVICE_FAILED);
    assert_int_equal(cJSON_GetArraySize(run.devices), 2);
    assert_int_equal(cJSON_GetArraySize(run.shards), PARTS);
    assert_null(run.missing_shards);
    assert_null(run.shard);
}

static void refuses(struct bench *bench, size_t count, const char *complaint)
{
    assert_int_equal(merge_check(bench->parts, count, false, &bench->error), -1);
    assert_int_equal(bench->error.owner, ERROR_OWNER_FILE);
    if (!strstr(bench->error.text, complaint))
        fail_msg("'%s' is not in '%s'", complaint, bench->error.text);
}

static void names_what_is_missing(void **state)
{
    refuses(*state, 2, "shard 1/3 is missing: name its folder too");
    refuses(*state, 1, "shards 1/3, 3/3 are missing: name their folders too");
}

static void takes_what_there_is_when_asked_and_is_not_green(void **state)
{
    struct bench *bench = *state;
    CLEANUP(result_run_done) struct result_run run = {0};
    bench->parts[0].run.is_interrupted = true;
    bench->parts[1].run.rows[0].verdict = VERDICT_PASS;
    assert_int_equal(merge_check(bench->parts, 2, true, &bench->error), 0);
    assert_int_equal(merge_parts(bench->parts, 2, &run, &bench->error), 0);
    assert_int_equal(run.exit_code, EXIT_NOT_ALL_RAN);
    CLEANUP_FREE char *missing = json_print_line(run.missing_shards);
    assert_string_equal(missing, "[\"1/3\",\"3/3\"]");
}

static void refuses_what_is_there_twice(void **state)
{
    struct bench *bench = *state;
    result_set(&bench->parts[0].run.shard, "2/3");
    refuses(bench, PARTS, "shard 2/3 is there twice: in '");
    result_set(&bench->parts[0].run.shard, "3/3");
    result_set(&bench->parts[1].run.shard, "2/3");
    add_row(&bench->parts[1].run, "a/b", VERDICT_PASS);
    CLEANUP(result_run_done) struct result_run run = {0};
    struct error error = ERROR_INIT;
    for (size_t i = 0; i < PARTS; i++)
        result_setf(&bench->parts[i].run.shard, "%zu/3", i + 1);
    assert_int_equal(merge_check(bench->parts, PARTS, false, &error), 0);
    assert_int_equal(merge_parts(bench->parts, PARTS, &run, &error), -1);
    assert_non_null(strstr(error.text, "row 'a/b' of device 'dk' is there twice: in shard "));
    assert_null(run.rows);
}

static void refuses_parts_of_different_wholes(void **state)
{
    struct bench *bench = *state;
    struct result_run *run = &bench->parts[0].run;
    result_set(&run->shard, "3/4");
    refuses(bench, PARTS, "parts of different wholes");
    result_set(&run->shard, "3/3");
    result_set(&run->suite.cases, "0ther");
    refuses(bench, PARTS, "the cases (or the quarantine, the known findings, a dialect) were others");
    result_set(&run->suite.cases, "c0ffee");
    result_set(&run->suite.selection, "0ther");
    refuses(bench, PARTS, "other rows were selected");
    result_set(&run->suite.selection, "5e1ec7");
    run->time_scale = 10;
    refuses(bench, PARTS, "the time scale was another");
}

static void refuses_what_is_no_shard(void **state)
{
    struct bench *bench = *state;
    struct result_run *run = &bench->parts[0].run;
    static const char *const shards[] = {"0/3", "4/3", "1/999", "x", "1/3x", "99999999999/3"};
    for (size_t i = 0; i < ARRAY_COUNT(shards); i++) {
        result_set(&run->shard, shards[i]);
        refuses(bench, PARTS, "'three': its shard '");
    }
    result_set(&run->shard, NULL);
    refuses(bench, PARTS, "'three' is a whole run");
    result_set(&run->shard, "3/3");
    result_set(&run->version, "0.0.1");
    refuses(bench, PARTS, "'three' was run by dpsbench 0.0.1, this is ");
    result_set(&run->version, DPSBENCH_VERSION);
    result_set(&run->suite.cases, NULL);
    refuses(bench, PARTS, "does not say what it is a shard of");
}

static void refuses_a_shard_that_is_not_all_there(void **state)
{
    struct bench *bench = *state;
    bench->parts[1].run.planned_count++;
    refuses(bench, PARTS, "shard 2/3 in 'two' has 1 of its 2 rows");
    /* The check sorted them. */
    bench->parts[1].run.ended_unix_us = 0;
    refuses(bench, PARTS, "did not come to its end (1 of 2 rows)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(is_the_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_what_is_missing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(takes_what_there_is_when_asked_and_is_not_green, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_what_is_there_twice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_parts_of_different_wholes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_what_is_no_shard, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_a_shard_that_is_not_all_there, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
