#include "harness/run/run.h"

#include "base/cleanup.h"
#include "base/files.h"
#include "harness/plan/device_plan.h"
#include "harness/rig/sweeper.h"
#include "harness/run/attempt.h"
#include "harness/run/evidence.h"
#include "harness/run/plan.h"
#include "harness/run/rerun.h"
#include "harness/run/room.h"
#include "harness/run/start.h"
#include "reports/account.h"
#include "reports/junit.h"
#include "reports/results_json.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { RUN_ID_MAX_BYTES = 48, CLOSE_TURNS_MAX = 1000 };

struct run {
    const struct run_options *options;
    uv_loop_t loop;
    struct plan plan;
    struct bench bench;
    struct progress progress;
    struct sweeper *sweeper; /* of the private folder */
    struct result_run result;
    size_t rows_in_results; /* what is safe on the disk */
    size_t rows_in_junit;
};

/* ---- the run's own folder ---- */

static int refuse_folder(const char *directory, struct error *error)
{
    return error_set(error, ERROR_OWNER_FILE, ERROR_EXISTS, "folder '%s' is not empty: a run needs a folder of its own", directory);
}

static int check_empty(const char *directory, struct error *error)
{
    char **names = NULL;
    if (dir_list(directory, "", &names, error))
        return -1;
    bool is_empty = !names[0];
    names_free(names);
    return is_empty ? 0 : refuse_folder(directory, error);
}

static int make_directory(struct run *run, struct error *error)
{
    const char *directory = run->options->directory;
    CLEANUP_FREE char *private_directory = path_join(directory, ".private");
    if (!private_directory)
        return error_set_memory(error);
    if (dir_make(directory, 0755, error))
        return room_add_mend(error);
    if (check_empty(directory, error) || room_check(directory, error))
        return -1;
    /* Two runs may have found it empty: one of them makes this. */
    if (mkdir(private_directory, 0700))
        return errno == EEXIST ? refuse_folder(directory, error)
                               : error_set_errno(error, ERROR_OWNER_RIG, errno, "make folder '%s'", private_directory);
    if (sweeper_start(private_directory, &run->sweeper, error)) {
        rmdir(private_directory);
        return -1;
    }
    return timeline_open(directory, &run->bench.timeline, error);
}

/* By ourselves: the sweeper would wait for what a hook left running. */
static void remove_private(struct run *run)
{
    CLEANUP_FREE char *path = path_join(run->options->directory, ".private");
    struct error error = ERROR_INIT;
    if (path && dir_remove(path, &error))
        progress_say(&run->progress, "%s", error.text);
}

/* ---- set-up ---- */

static double choose_scale(const struct run_options *options)
{
    if (options->time_scale > 0)
        return options->time_scale;
    return rig_is_virtual(options->rig) ? RUN_TIME_SCALE_DEFAULT : 1;
}

static int check_scale(const struct run_options *options, struct error *error)
{
    if (options->time_scale > 1 && !rig_is_virtual(options->rig))
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "a real device lives in real time: its time scale is 1, not %g",
                         options->time_scale);
    return 0;
}

static int check_flash(const struct run_options *options, const struct plan *plan, struct error *error)
{
    for (size_t i = 0; options->wants_flash && i < plan->device_count; i++) {
        const struct rig_device *device = plan->devices[i].device;
        if (!rig_device_has_hook(device, RIG_HOOK_FLASH))
            return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "%s: device '%s' has no hook `flash`", device->place, device->id);
    }
    return 0;
}

static void name_run(struct run *run)
{
    char text[RUN_ID_MAX_BYTES];
    time_t now = (time_t)clock_unix_s(run->bench.clock);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &utc);
    result_setf(&run->result.id, "%s-%d", text, (int)getpid());
}

static void tick(void *user)
{
    progress_tick(user);
}

static int set_up(struct run *run, struct error *error)
{
    const struct run_options *options = run->options;
    struct bench *bench = &run->bench;
    *bench = (struct bench){.clock = &clock_system,
                            .rig = options->rig,
                            .directory = options->directory,
                            .wants_flash = options->wants_flash,
                            .progress = &run->progress};
    bench->time_scale = choose_scale(options);
    run->result.started_unix_us = clock_unix_us(bench->clock);
    run->result.time_scale = bench->time_scale;
    run->result.planned_count = plan_row_count(&run->plan);
    name_run(run);
    result_set(&run->result.directory, options->directory);
    result_set(&run->result.rig_file, options->rig->file);
    run->result.devices = cJSON_CreateArray();
    progress_init(&run->progress, options->talk, bench->clock, run->result.planned_count);
    struct waiting_options waiting = {.loop = &run->loop, .clock = bench->clock, .tick = tick, .user = &run->progress};
    bench->keys = key_cache_new();
    bench->pkis = pki_store_new();
    if (!bench->keys || !bench->pkis || !run->result.devices)
        return error_set_memory(error);
    return make_directory(run, error) || waiting_new(&waiting, &bench->waiting, error) ? -1 : 0;
}

/* Handles close on the loop. Bounded: a handle that somebody forgot must not hang the end. */
static void drain_loop(uv_loop_t *loop)
{
    for (int i = 0; i < CLOSE_TURNS_MAX && uv_run(loop, UV_RUN_NOWAIT); i++)
        ;
    uv_loop_close(loop);
}

static void tear_down(struct run *run)
{
    if (run->sweeper)
        remove_private(run);
    sweeper_dismiss(TAKE(run->sweeper));
    timeline_close(TAKE(run->bench.timeline));
    pki_store_free(TAKE(run->bench.pkis));
    key_cache_free(TAKE(run->bench.keys));
    waiting_free(TAKE(run->bench.waiting));
    drain_loop(&run->loop);
    progress_done(&run->progress);
}

/* ---- what the report says about the bench ---- */

static int add_words(cJSON *json, const char *name, const struct rig_words *words)
{
    if (words->count == 0)
        return 0;
    return json_set(json, name, cJSON_CreateStringArray((const char *const *)words->items, (int)words->count));
}

static cJSON *device_to_json(const struct rig_device *device)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_string(json, "id", device->id) || json_set_string(json, "platform", device->platform) ||
        json_set_string(json, "product", device->product) || json_set_bool(json, "is_virtual", device->is_virtual) ||
        json_set_string(json, "personality", device->personality) || json_set_string(json, "mfw", device->mfw) ||
        add_words(json, "weaknesses", &device->weaknesses) || add_words(json, "misbehaviours", &device->misbehaviours) ||
        json_set_string(json, "serial", device->serial) || json_set_string(json, "registration_id", device->registration_id) ||
        json_set_string(json, "id_scope", device->id_scope) || json_set_string(json, "dps_host", device->dps_host) ||
        json_set_integer(json, "sec_tag", device->sec_tag) || json_set_string(json, "dialect", device->dialect))
        return NULL;
    return TAKE(json);
}

static void record_device(struct run *run, const struct rig_device *device, cJSON *identity)
{
    cJSON *json = device_to_json(device);
    if (json && identity)
        json_set(json, "identity", identity);
    else
        cJSON_Delete(identity);
    if (json)
        json_set_string(json, "lane", run->bench.lane);
    if (json)
        cJSON_AddItemToArray(run->result.devices, json);
}

static void record_simulator(struct run *run)
{
    static const char *const names[] = {"version", "dps", "host", "id_scope", "profile"};
    cJSON *json = cJSON_CreateObject();
    for (size_t i = 0; json && i < ARRAY_COUNT(names); i++)
        json_set_string(json, names[i], json_string(run->bench.ready, names[i], NULL));
    if (json)
        json_set_bool(json, "is_ours", run->bench.simulator != NULL);
    run->result.simulator = json;
    run->result.versions = evidence_versions(&run->bench);
}

/* ---- rows ---- */

/* The report cannot be written any more: the run ends with the row in flight. */
static void break_off(struct run *run, const struct error *error)
{
    if (!run->result.broken_off)
        result_set(&run->result.broken_off, error->text);
}

static int write_report(struct run *run)
{
    struct error error = ERROR_INIT;
    if (results_write(&run->result, &error)) {
        break_off(run, &error);
        return -1;
    }
    run->rows_in_results = run->result.row_count;
    if (junit_write(&run->result, &error)) {
        break_off(run, &error);
        return -1;
    }
    run->rows_in_junit = run->result.row_count;
    return 0;
}

static void begin_row(struct run *run, const struct case_row *row, struct result_row *result)
{
    struct bench *bench = &run->bench;
    result_set(&result->id, row->id);
    result_set(&result->case_id, row->case_id);
    result_set(&result->title, row->title);
    result_set(&result->device, bench->device->id);
    result_set(&result->why, row->why_text);
    result_set(&result->why_source, row->why_source);
    result->started_unix_us = clock_unix_us(bench->clock);
    result->timeline_first = timeline_line(bench->timeline) + 1;
    progress_row(&run->progress, row->id, bench_device_deadline(bench, row->budget_s * 1000));
}

static void end_row(struct run *run, struct result_row *result, int64_t started_us)
{
    struct bench *bench = &run->bench;
    struct error error = ERROR_INIT;
    CLEANUP_FREE char *again = rerun_command(run->options, bench->device, result->id);
    CLEANUP_FREE char *show = rerun_show_command(run->options, result->id);
    account_fill(result, &(struct account_commands){.again = again, .show = show});
    result->duration_ms = (clock_mono_us(bench->clock) - started_us) / 1000;
    result->timeline_last = timeline_line(bench->timeline);
    if (result->timeline_last < result->timeline_first)
        result->timeline_first = result->timeline_last = 0;
    progress_verdict(&run->progress, result);
    if (result_run_add(&run->result, result, &error))
        progress_say(&run->progress, "%s", error.text);
    write_report(run);
}

static const char *unwritten_text(struct run *run, const struct result_row *result)
{
    struct bench *bench = &run->bench;
    struct error error = ERROR_INIT;
    bool is_good = result->verdict == VERDICT_PASS || result->verdict == VERDICT_SKIP;
    /* A raw file that reached its own limit is no trouble: what is missing in it is counted. */
    if (bench->dk && console_raw_check(dk_console(bench->dk), &error) && error.code == ERROR_IO)
        bench_report_unwritten(bench, &error);
    /* On a full disk other programs fail first, and look as if the device had. */
    if (!is_good && bench->unwritten.code == ERROR_NONE && room_is_out(run->options->directory)) {
        error_set(&error, ERROR_OWNER_RIG, ERROR_IO, "the disk of folder '%s' is full", run->options->directory);
        bench_report_unwritten(bench, &error);
    }
    return bench->unwritten.code ? bench->unwritten.text : NULL;
}

/* What happened while nobody could write it down proves nothing. */
static void look_at_files(struct run *run, struct result_row *result)
{
    const char *text = unwritten_text(run, result);
    if (!text)
        return;
    break_off(run, &run->bench.unwritten);
    char **members[] = {&result->reason.view, &result->reason.place, &result->reason.expected, &result->reason.got};
    for (size_t i = 0; i < ARRAY_COUNT(members); i++)
        result_set(members[i], NULL);
    result_set(&result->reason.text, text);
    result->verdict = VERDICT_INCONCLUSIVE;
}

/* The row with the rig's hooks around it. What `after_case` cannot do is the rig's trouble, and of the rows that follow. */
static void attempt_with_hooks(struct run *run, const struct case_row *row, struct result_row *result)
{
    struct bench *bench = &run->bench;
    struct error error = ERROR_INIT;
    bench->row_id = row->id;
    if (bench_hook(bench, RIG_HOOK_BEFORE_CASE, NULL, &error)) {
        attempt_blame(bench, &error, result);
    } else {
        attempt_run(bench, row, result);
        look_at_files(run, result);
    }
    /* It tidies up, also after Ctrl-C. */
    if (rig_device_has_hook(bench->device, RIG_HOOK_AFTER_CASE))
        waiting_resume(bench->waiting);
    if (bench_hook(bench, RIG_HOOK_AFTER_CASE, verdict_name(result->verdict), &error))
        attempt_blame(bench, &error, result);
    bench->row_id = NULL;
}

/* `broken`: why the bench is not up, which nothing may hide; NULL: it is. */
static void run_row(struct run *run, const struct case_row *row, const struct error *broken)
{
    struct bench *bench = &run->bench;
    CLEANUP(result_row_done) struct result_row result = {.verdict = VERDICT_PASS};
    int64_t started_us = clock_mono_us(bench->clock);
    begin_row(run, row, &result);
    const char *obstacle, *need = device_unmet_need(bench->device, row);
    if (broken) {
        attempt_blame(bench, broken, &result);
    } else if (need) {
        result.verdict = VERDICT_SKIP;
        result_setf(&result.reason.text, "device '%s' does not offer '%s'", bench->device->id, need);
    } else if ((obstacle = start_obstacle(bench, row))) {
        result.verdict = VERDICT_SKIP;
        result_set(&result.reason.text, obstacle);
    } else {
        attempt_with_hooks(run, row, &result);
    }
    end_row(run, &result, started_us);
}

static bool is_interrupted(const struct run *run)
{
    return waiting_signal(run->bench.waiting) != 0;
}

/* No further row begins. */
static bool is_over(struct run *run)
{
    struct error error = ERROR_INIT;
    if (!run->result.broken_off && room_check(run->options->directory, &error))
        break_off(run, &error);
    return is_interrupted(run) || run->result.broken_off;
}

static void run_device(struct run *run, size_t index, const struct error *broken)
{
    struct bench *bench = &run->bench;
    struct error error = ERROR_INIT;
    cJSON *identity = NULL;
    const struct rig_device *device = run->plan.devices[index].device;
    bench->device = device;
    if (!broken && bench_open_device(bench, device, &identity, &error))
        broken = &error;
    record_device(run, device, identity);
    if (broken == &error && !is_interrupted(run))
        progress_say(&run->progress, "%s", error.text);
    const struct case_list *rows = &run->plan.devices[index].rows;
    for (size_t i = 0; i < rows->count && !is_over(run); i++)
        run_row(run, rows->rows[i], broken);
    /* Giving back what was leased may wait a little, also after Ctrl-C. */
    waiting_resume(bench->waiting);
    bench_close_device(bench);
}

static void say_what_is_safe(struct run *run)
{
    const char *directory = run->options->directory;
    progress_say(&run->progress, "%s; the run ends here", run->result.broken_off);
    progress_say(&run->progress,
                 "safe in '%s': results.json with %zu and junit.xml with %zu of the %zu rows that ran; timeline.jsonl and console.log, "
                 "whole up to the full disk",
                 directory, run->rows_in_results, run->rows_in_junit, run->result.row_count);
}

static void finish(struct run *run)
{
    run->result.is_interrupted = is_interrupted(run);
    run->result.ended_unix_us = clock_unix_us(run->bench.clock);
    run->result.exit_code = result_run_exit_code(&run->result);
    /* Whoever asks for a report and gets none must not read "all passed". */
    if (write_report(run))
        run->result.exit_code = result_run_exit_code(&run->result);
    if (run->result.broken_off)
        say_what_is_safe(run);
}

/* Only a case that names an unknown knob is an error here: it is the first moment at which that can be known. */
static int run_all(struct run *run, struct error *error)
{
    struct error broken = ERROR_INIT;
    bool is_broken = bench_open_simulator(&run->bench, &broken) != 0;
    int failed = is_broken ? 0 : plan_check_knobs(&run->plan, run->bench.knobs, error);
    if (is_broken && !is_interrupted(run))
        progress_say(&run->progress, "simulator: %s", broken.text);
    record_simulator(run);
    for (size_t i = 0; !failed && i < run->plan.device_count && !is_over(run); i++)
        run_device(run, i, is_broken ? &broken : NULL);
    bench_close_simulator(&run->bench);
    /* Before the report: on a full disk it makes the room for it. */
    remove_private(run);
    if (!failed)
        finish(run);
    return failed;
}

int run_suite(const struct run_options *options, struct result_run *ret_result, struct error *error)
{
    struct run run = {.options = options};
    if (check_scale(options, error) || plan_make(options, &run.plan, error))
        return -1;
    if (check_flash(options, &run.plan, error)) {
        plan_done(&run.plan);
        return -1;
    }
    uv_loop_init(&run.loop);
    int failed = set_up(&run, error) || run_all(&run, error) ? -1 : 0;
    tear_down(&run);
    plan_done(&run.plan);
    if (failed) {
        result_run_done(&run.result);
        return -1;
    }
    *ret_result = run.result;
    return 0;
}
