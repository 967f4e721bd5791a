/* The journal of a run that was killed: its options, its entries, and one more behind them. What counts as never written is gone, and nothing else. */
#include "harness/run/journal.h"

#include "harness/run/resume.h"
#include "harness/run/schedule.h"
#include "harness/run/shard.h"
#include "reports/results_json.h"
#include "tests/fuzz/fuzz.h"

const char fuzz_words[] =
    "v version run started_unix_us folder inputs options rig cases quarantine device keeps_order wants_flash time_scale jobs shard_index "
    "shard_count repeat retries is_until_fail time_budget_s selectors begin row attempt repetition lease simulator versions resumed health "
    "is_opening id case title verdict pass fail skip inconclusive error attempts timeline first last";

static void check_options(const char *folder)
{
    struct error error = ERROR_INIT;
    struct resume_options options = {0};
    if (resume_read_options(folder, &options, &error)) {
        fuzz_check_error(&error);
        FUZZ_MUST(error.owner == ERROR_OWNER_FILE && !options.header);
        return;
    }
    const struct run_options *run = &options.run;
    FUZZ_MUST(run->shard_count <= SHARDS_MAX && run->shard_index <= run->shard_count && (!run->shard_count || run->shard_index));
    FUZZ_MUST(run->repeat <= SCHEDULE_TURNS_MAX && run->retries <= RUN_RETRIES_MAX && run->jobs <= RIG_DEVICES_MAX);
    FUZZ_MUST(run->time_scale >= 0 && run->time_scale <= RUN_TIME_SCALE_MAX && run->time_budget_s >= 0);
    resume_options_done(&options);
}

static void check_row(const cJSON *json)
{
    struct result_row row = {0};
    struct error error = ERROR_INIT;
    if (results_row_from_json(json, &row, &error))
        fuzz_check_error(&error);
    result_row_done(&row);
}

static int count(void *user, const cJSON *entry, struct error *error)
{
    (void)error;
    ++*(size_t *)user;
    check_row(json_member(entry, "row"));
    check_row(json_member(json_member(entry, "health"), "row"));
    return 0;
}

static bool reopen(const char *folder, size_t *ret_count, struct journal **ret_journal)
{
    struct error error = ERROR_INIT;
    *ret_count = 0;
    if (journal_reopen(folder, count, ret_count, ret_journal, &error) == 0)
        return true;
    fuzz_check_error(&error);
    FUZZ_MUST(error.owner == ERROR_OWNER_FILE);
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *folder = fuzz_folder();
    CLEANUP_FREE char *path = path_join(folder, JOURNAL_FILE);
    struct journal *journal = NULL;
    size_t before, after;
    FUZZ_MUST(path && file_write_unsynced(path, data, size, 0600, NULL) == 0);
    check_options(folder);
    if (!reopen(folder, &before, &journal))
        return 0;
    cJSON *entry = cJSON_CreateObject();
    FUZZ_MUST(json_set_integer(entry, "resumed", 1) == 0);
    FUZZ_MUST(journal_append(journal, entry, false, NULL) == 0);
    journal_close(journal);
    FUZZ_MUST(reopen(folder, &after, &journal) && after == before + 1);
    journal_close(journal);
    return 0;
}
