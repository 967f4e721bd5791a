#include "base/cleanup.h"
#include "base/files.h"
#include "harness/case/quarantine.h"
#include "harness/cli/run_words.h"
#include "harness/run/journal.h"
#include "harness/run/shard.h"
#include "reports/result.h"
#include "tests/unit/base/scratch.h"

#include <string.h>

#include "tests/cmocka.h"

/* ---- shards ---- */

enum { ROWS_MAX = 200 };

static struct case_list make_rows(size_t first, size_t count)
{
    struct case_list list = {.rows = calloc(count + 1, sizeof(struct case_row *)), .count = count};
    for (size_t i = 0; i < count; i++) {
        list.rows[i] = calloc(1, sizeof *list.rows[i]);
        result_setf(&list.rows[i]->id, "area/case-%zu", first + i);
    }
    return list;
}

/* Which shard each row is in; -1: none, or two. */
static void deal(size_t count, unsigned shards, int ret_shard[ROWS_MAX], size_t ret_loads[])
{
    for (size_t i = 0; i < count; i++)
        ret_shard[i] = -1;
    for (unsigned shard = 1; shard <= shards; shard++) {
        struct case_list list = make_rows(0, count);
        assert_int_equal(shard_keep(&list, shard, shards, NULL), 0);
        ret_loads[shard - 1] = list.count;
        for (size_t i = 0; i < list.count; i++) {
            size_t number = strtoul(list.rows[i]->id + strlen("area/case-"), NULL, 10);
            assert_int_equal(ret_shard[number], -1);
            ret_shard[number] = (int)shard;
        }
        case_list_done(&list);
    }
}

static void shards_are_disjoint_together_the_whole_and_balanced(void **state)
{
    (void)state;
    const unsigned counts[] = {1, 2, 3, 7};
    for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
        int shard[ROWS_MAX];
        size_t loads[8];
        deal(100, counts[i], shard, loads);
        for (size_t row = 0; row < 100; row++)
            assert_int_not_equal(shard[row], -1);
        for (unsigned j = 0; j < counts[i]; j++)
            assert_in_range(loads[j], 1, (100 + counts[i] - 1) / counts[i]);
    }
}

/* Dealt out by rank, a new row would move half of the others. */
static void a_new_row_moves_few_others(void **state)
{
    (void)state;
    int before[ROWS_MAX], after[ROWS_MAX];
    size_t loads[8], moved = 0;
    deal(100, 5, before, loads);
    deal(101, 5, after, loads);
    for (size_t i = 0; i < 100; i++)
        moved += before[i] != after[i];
    assert_in_range(moved, 0, 20);
}

static void reads_shards_and_lengths_of_time(void **state)
{
    (void)state;
    unsigned index = 0, count = 0;
    int64_t seconds = 0;
    struct error error = ERROR_INIT;
    assert_int_equal(run_words_shard("2/5", &index, &count, NULL), 0);
    assert_int_equal(index * 10 + count, 25);
    const char *const no_shards[] = {"", "2", "0/5", "6/5", "2/0", "2/5x", " 2/5", "-1/5", "1/999", "2//5"};
    for (size_t i = 0; i < ARRAY_COUNT(no_shards); i++)
        assert_int_equal(run_words_shard(no_shards[i], &index, &count, &error), -1);
    const struct {
        const char *word;
        int64_t seconds;
    } times[] = {{"90", 90}, {"45s", 45}, {"20m", 1200}, {"8h", 28800}, {"1h30m", 5400}, {"1h5", 3605}};
    for (size_t i = 0; i < ARRAY_COUNT(times); i++) {
        assert_int_equal(run_words_duration(times[i].word, &seconds, NULL), 0);
        assert_int_equal(seconds, times[i].seconds);
    }
    const char *const no_times[] = {"", "0", "h", "1d", "30m1h", "5s5s", "-5", "99999999h", "1.5h", "31000h"};
    for (size_t i = 0; i < ARRAY_COUNT(no_times); i++)
        assert_int_equal(run_words_duration(no_times[i], &seconds, &error), -1);
}

/* ---- attempts ---- */

static struct result_row attempt_of(enum verdict verdict, const char *reason)
{
    struct result_row row = {.verdict = verdict, .credential_writes = 1};
    result_set(&row.id, "a/b");
    result_set(&row.reason.text, reason);
    return row;
}

static void no_attempt_makes_a_row_better(void **state)
{
    (void)state;
    CLEANUP(result_row_done) struct result_row row = attempt_of(VERDICT_FAIL, "the first");
    struct result_row second = attempt_of(VERDICT_PASS, NULL), third = attempt_of(VERDICT_ERROR, "the third");
    /* Each attempt is told of its quarantine, and each text has one owner. */
    struct result_row *const attempts[] = {&row, &second, &third};
    for (size_t i = 0; i < ARRAY_COUNT(attempts); i++)
        result_set(&attempts[i]->quarantine.reason, "flaky");
    result_row_add_attempt(&row, &second);
    assert_int_equal(row.verdict, VERDICT_FAIL);
    assert_true(row.is_unstable);
    assert_string_equal(row.reason.text, "the first");
    assert_null(second.id);
    result_row_add_attempt(&row, &third);
    assert_int_equal(row.verdict, VERDICT_ERROR);
    assert_string_equal(row.reason.text, "the third");
    assert_int_equal(row.attempt_count, 3);
    assert_string_equal(row.attempts[0].reason, "the first");
    assert_int_equal(row.attempts[1].verdict, VERDICT_PASS);
    assert_int_equal(row.credential_writes, 3);
    assert_true(row.is_unstable);
    assert_string_equal(row.quarantine.reason, "flaky");
}

static int exit_code_of(const struct result_row *like)
{
    CLEANUP(result_run_done) struct result_run run = {0};
    struct result_row row = attempt_of(like->verdict, "x");
    if (like->quarantine.reason) {
        result_set(&row.quarantine.reason, like->quarantine.reason);
        row.quarantine.is_over = like->quarantine.is_over;
    }
    assert_int_equal(result_run_add(&run, &row, NULL), 0);
    return result_run_exit_code(&run);
}

static void a_quarantined_row_counts_for_nothing_until_its_day_is_over(void **state)
{
    (void)state;
    struct result_row row = {.verdict = VERDICT_FAIL, .quarantine = {.reason = (char *)(uintptr_t) "flaky"}};
    assert_int_equal(exit_code_of(&row), EXIT_ALL_SKIPPED);
    row.quarantine.is_over = true;
    assert_int_equal(exit_code_of(&row), EXIT_DEVICE_FAILED);
    row.verdict = VERDICT_PASS;
    row.quarantine.is_over = false;
    assert_int_equal(exit_code_of(&row), EXIT_ALL_SKIPPED);
}

static void rows_that_did_not_run_are_no_pass(void **state)
{
    (void)state;
    CLEANUP(result_run_done) struct result_run run = {0};
    struct result_row ran = attempt_of(VERDICT_PASS, NULL), left_out = attempt_of(VERDICT_SKIP, "no time");
    assert_int_equal(result_run_add(&run, &ran, NULL), 0);
    assert_int_equal(result_run_add_not_run(&run, &left_out, NULL), 0);
    assert_int_equal(result_run_exit_code(&run), EXIT_NOT_ALL_RAN);
    run.rows[0].verdict = VERDICT_FAIL;
    assert_int_equal(result_run_exit_code(&run), EXIT_DEVICE_FAILED);
}

/* ---- quarantine ---- */

#define ENTRY "format: 1\nquarantine:\n  - rows: [a/b]\n    reason: why\n    owner: who\n"

static void says_where_and_what_is_wrong_with_a_quarantine(void **state)
{
    (void)state;
    static const struct {
        const char *text, *complaint;
    } rows[] = {
        {ENTRY, "q.yaml:3:5: "},
        {ENTRY "    expires: 2026-06-31\n", "q.yaml:6:14: '2026-06-31' is no day"},
        {ENTRY "    expires: tomorrow\n", "'tomorrow' is no day"},
        {ENTRY "    expires: 2026-06-30x\n", "is no day"},
        {ENTRY "    expires: 2026-06-30\n    until: 3\n", "q.yaml:7:5: "},
        {"format: 1\nquarantine:\n  - {rows: [a/b], reason: '', owner: who, expires: 2026-06-30}\n", "`reason` is empty"},
        {"format: 1\nquarantine:\n  - {rows: [], reason: why, owner: who, expires: 2026-06-30}\n", "a list of 1 to"},
        {"format: 1\nquarantine: 7\n", "must be a list"},
        {"format: 9\nquarantine: []\n", "format"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct quarantine quarantine = {0};
        struct error error = ERROR_INIT;
        assert_int_equal(quarantine_read_text(rows[i].text, strlen(rows[i].text), "q.yaml", &quarantine, &error), -1);
        assert_int_equal(error.owner, ERROR_OWNER_FILE);
        assert_non_null(strstr(error.text, rows[i].complaint));
        assert_null(quarantine.items);
    }
}

static void finds_what_a_quarantine_means(void **state)
{
    (void)state;
    static const char text[] = ENTRY "    device: dk-1\n    expires: 2026-06-30\n";
    struct case_row row = {.id = (char *)(uintptr_t) "a/b:c", .case_id = (char *)(uintptr_t) "a/b"};
    struct case_row *one[] = {&row};
    struct case_list list = {.rows = one, .count = 1};
    CLEANUP(quarantine_done) struct quarantine quarantine = {0};
    assert_int_equal(quarantine_read_text(text, sizeof text - 1, "q.yaml", &quarantine, NULL), 0);
    assert_int_equal(quarantine.items[0].expires_unix_s, 1782864000); /* 2026-07-01, 0:00 */
    assert_non_null(quarantine_find(&quarantine, &row, "dk-1", NULL));
    assert_null(quarantine_find(&quarantine, &row, "dk-2", NULL));
    assert_int_equal(quarantine_check(&quarantine, &list, NULL), 0);
    row.id = row.case_id = (char *)(uintptr_t) "a/other";
    struct error error = ERROR_INIT;
    assert_null(quarantine_find(&quarantine, &row, "dk-1", NULL));
    assert_int_equal(quarantine_check(&quarantine, &list, &error), -1);
    assert_string_equal(error.text, "q.yaml:3:5: no case or row fits 'a/b'");
}

/* ---- the journal ---- */

static int count_entries(void *user, const cJSON *entry, struct error *error)
{
    (void)error;
    *(int64_t *)user = *(int64_t *)user * 10 + json_integer(entry, "n", 0);
    return 0;
}

static cJSON *entry_of(const char *name, int64_t number)
{
    cJSON *json = cJSON_CreateObject();
    json_set_integer(json, name, number);
    return json;
}

static void append_bytes(const char *path, const char *bytes)
{
    FILE *file = fopen(path, "ae");
    assert_non_null(file);
    fputs(bytes, file);
    fclose(file);
}

static void a_torn_last_line_was_never_written(void **state)
{
    struct journal *journal = NULL;
    CLEANUP_FREE char *path = path_join(*state, JOURNAL_FILE);
    assert_int_equal(journal_create(*state, entry_of("v", 1), &journal, NULL), 0);
    assert_int_equal(journal_append(journal, entry_of("n", 1), true, NULL), 0);
    journal_close(journal);
    const char *const torn[] = {"{\"n\":", "{\"n\":7}", "garbage\n"};
    for (size_t i = 0; i < ARRAY_COUNT(torn); i++) {
        int64_t seen = 0;
        append_bytes(path, torn[i]);
        assert_int_equal(journal_reopen(*state, count_entries, &seen, &journal, NULL), 0);
        assert_int_equal(journal_append(journal, entry_of("n", 2), false, NULL), 0);
        journal_close(journal);
    }
    int64_t seen = 0;
    assert_int_equal(journal_reopen(*state, count_entries, &seen, &journal, NULL), 0);
    journal_close(journal);
    assert_int_equal(seen, 1222);
}

static void a_line_that_is_broken_in_the_middle_is_an_error(void **state)
{
    struct journal *journal = NULL;
    struct error error = ERROR_INIT;
    int64_t seen = 0;
    CLEANUP_FREE char *path = path_join(*state, JOURNAL_FILE);
    assert_null(journal_read_header(*state, &error));
    assert_non_null(strstr(error.text, "holds no journal.jsonl"));
    append_bytes(path, "{\"v\":1}\nrubbish\n{\"n\":1}\n");
    assert_int_equal(journal_reopen(*state, count_entries, &seen, &journal, &error), -1);
    assert_int_equal(error.owner, ERROR_OWNER_FILE);
    assert_non_null(strstr(error.text, "journal.jsonl:2: "));
}

static void refuses_the_journal_of_a_newer_version(void **state)
{
    struct error error = ERROR_INIT;
    CLEANUP_FREE char *path = path_join(*state, JOURNAL_FILE);
    append_bytes(path, "{\"v\":2,\"version\":\"9.0\"}\n");
    assert_null(journal_read_header(*state, &error));
    assert_non_null(strstr(error.text, "written by a newer dpsbench (9.0)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shards_are_disjoint_together_the_whole_and_balanced),
        cmocka_unit_test(a_new_row_moves_few_others),
        cmocka_unit_test(reads_shards_and_lengths_of_time),
        cmocka_unit_test(no_attempt_makes_a_row_better),
        cmocka_unit_test(a_quarantined_row_counts_for_nothing_until_its_day_is_over),
        cmocka_unit_test(rows_that_did_not_run_are_no_pass),
        cmocka_unit_test(says_where_and_what_is_wrong_with_a_quarantine),
        cmocka_unit_test(finds_what_a_quarantine_means),
        cmocka_unit_test_setup_teardown(a_torn_last_line_was_never_written, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(a_line_that_is_broken_in_the_middle_is_an_error, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(refuses_the_journal_of_a_newer_version, scratch_make, scratch_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
