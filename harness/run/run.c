#include "harness/run/run.h"

#include "base/cleanup.h"
#include "base/files.h"
#include "harness/run/crew.h"
#include "harness/run/evidence.h"
#include "harness/run/room.h"
#include "harness/run/run_state.h"
#include "harness/run/station.h"
#include "reports/junit.h"
#include "reports/results_json.h"

#include <string.h>
#include <time.h>

enum { RUN_ID_MAX_BYTES = 48, CLOSE_TURNS_MAX = 1000, ROWS_EACH = 256, ROWS_PART = 32 };

/* ---- set-up ---- */

/* An interpreter needs its time to start, and no time scale makes that faster. */
static double choose_scale(const struct run_options *options)
{
    if (options->time_scale > 0)
        return options->time_scale;
    if (!rig_takes_time_scale(options->rig))
        return 1;
    for (size_t i = 0; i < options->rig->device_count; i++)
        if (options->rig->devices[i].is_connected && options->rig->devices[i].is_exec)
            return RUN_TIME_SCALE_PROGRAM;
    return RUN_TIME_SCALE_DEFAULT;
}

static int check_scale(const struct run_options *options, struct error *error)
{
    if (options->time_scale > 1 && !rig_takes_time_scale(options->rig))
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE,
                         "a real device lives in real time, and so does a program that is not told the time scale: it is 1, not %g",
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
    *bench = (struct bench){
        .clock = &clock_system,
        .rig = options->rig,
        .directory = options->directory,
        .wants_flash = options->wants_flash,
        .progress = &run->progress,
        .simulator_folder = options->rig->simulator_ready,
        .is_simulator_ours = !options->rig->simulator_ready,
        .wants_events = run->plan.device_count == 1,
    };
    bench->time_scale = choose_scale(options);
    run->result.started_unix_us = clock_unix_us(bench->clock);
    run->result.time_scale = bench->time_scale;
    run->result.planned_count = schedule_count(&run->schedule);
    name_run(run);
    result_set(&run->result.directory, options->directory);
    result_set(&run->result.rig_file, options->rig->file);
    run->result.devices = cJSON_CreateArray();
    progress_init(&run->progress, options->talk, bench->clock, run->result.planned_count);
    struct waiting_options waiting = {.loop = &run->loop, .clock = bench->clock, .tick = tick, .user = &run->progress};
    bench->keys = key_cache_new();
    bench->pkis = pki_store_new();
    run->old_leases = cJSON_CreateArray();
    if (!bench->keys || !bench->pkis || !run->result.devices || !run->old_leases)
        return error_set_memory(error);
    if (options->time_budget_s)
        run->budget_end = deadline_in_ms(bench->clock, options->time_budget_s * 1000);
    if (options->shard_count)
        result_setf(&run->result.shard, "%u/%u", options->shard_index, options->shard_count);
    run->result.suite.row_count = run->plan.suite.row_count;
    result_set(&run->result.suite.selection, run->plan.suite.selection);
    result_set(&run->result.suite.cases, run->plan.suite.cases);
    return run_open_folder(run, error) || waiting_new(&waiting, &bench->waiting, error) ? -1 : 0;
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
    run_close_folder(run);
    timeline_close(TAKE(run->bench.timeline));
    pki_store_free(TAKE(run->bench.pkis));
    key_cache_free(TAKE(run->bench.keys));
    waiting_free(TAKE(run->bench.waiting));
    drain_loop(&run->loop);
    progress_done(&run->progress);
}

/* ---- what the report says about the bench ---- */

static void record_simulator(struct run *run)
{
    static const char *const names[] = {"version", "dps", "host", "id_scope", "profile"};
    cJSON *json = cJSON_CreateObject();
    for (size_t i = 0; json && i < ARRAY_COUNT(names); i++)
        json_set_string(json, names[i], json_string(run->bench.ready, names[i], NULL));
    if (json)
        json_set_bool(json, "is_ours", run->bench.is_simulator_ours);
    cJSON_Delete(TAKE(run->result.simulator));
    cJSON_Delete(TAKE(run->result.versions));
    run->result.simulator = json;
    run->result.versions = evidence_versions(&run->bench);
    run_note_simulator(run);
}

/* ---- rows ---- */

/* The report cannot be written any more: the run ends with the row in flight. */
void run_break_off(struct run *run, const struct error *error)
{
    if (!run->result.broken_off)
        result_set(&run->result.broken_off, error->text);
}

/* Of a long list each change costs as much as the whole: then not every row is worth it. The journal has them all. */
static bool is_worth_writing(const struct run *run)
{
    size_t count = run->result.row_count, fresh = count - run->rows_in_results;
    return count <= ROWS_EACH || fresh > count / ROWS_PART || run->result.ended_unix_us;
}

static int write_report(struct run *run)
{
    struct error error = ERROR_INIT;
    if (!is_worth_writing(run))
        return 0;
    if (results_write(&run->result, &error)) {
        run_break_off(run, &error);
        return -1;
    }
    run->rows_in_results = run->result.row_count;
    if (junit_write(&run->result, &error)) {
        run_break_off(run, &error);
        return -1;
    }
    run->rows_in_junit = run->result.row_count;
    return 0;
}

int run_account_row(struct run *run, struct turn *turn, struct result_row *row, struct error *error)
{
    bool is_first = turn->attempts == 0;
    schedule_take(&run->schedule, turn, row->verdict);
    if (!is_first) {
        result_row_add_attempt(&run->result.rows[turn->result], row);
        return 0;
    }
    turn->result = run->result.row_count;
    return result_run_add(&run->result, row, error);
}

static void tell_retry(struct run *run, const struct turn *turn)
{
    const struct result_row *row = &run->result.rows[turn->result];
    char name[RESULT_NAME_BYTES];
    if (turn->attempts > 1 && row->is_unstable && turn->state == TURN_DONE)
        progress_say(&run->progress, "%s is unstable: attempt %u went well; the verdict stays %s", result_row_name(row, name),
                     turn->attempts, verdict_name(row->verdict));
}

static struct health *health_of(struct run *run, const struct turn *turn)
{
    for (size_t i = 0; i < run->plan.device_count; i++)
        if (health_is(&run->health[i], turn))
            return &run->health[i];
    return NULL;
}

static cJSON *device_in_report(const struct run *run, const char *id)
{
    cJSON *device;
    cJSON_ArrayForEach(device, run->result.devices)
    {
        if (strcmp(json_string(device, "id", ""), id) == 0)
            return device;
    }
    return NULL;
}

size_t run_account_health(struct run *run, struct health *health, const struct result_row *row)
{
    return health_take(health, row, device_in_report(run, row->device ? row->device : ""), &run->result);
}

/* The check is told on the terminal and in the device's part of the report; it is none of the rows. Interrupted, it says nothing. */
static void take_health(struct run *run, struct health *health, struct result_row *row)
{
    bool is_opening = health->phase == HEALTH_OPENING;
    if (run_is_interrupted(run)) {
        health->phase = HEALTH_AFTER;
        result_row_done(row);
        return;
    }
    if (!run->result.broken_off)
        run_note_health(run, health, row);
    size_t lifted = run_account_health(run, health, row);
    progress_say(&run->progress, "health check of '%s' %s the rows: %s%s%s", row->device, is_opening ? "before" : "after",
                 verdict_name(row->verdict), row->reason.text ? ": " : "", row->reason.text ? row->reason.text : "");
    if (lifted)
        progress_say(&run->progress, "%zu row%s that failed since the last one that passed: inconclusive now", lifted,
                     lifted == 1 ? "" : "s");
    result_row_done(row);
    write_report(run);
}

/* Into results and report. */
static void report_row(struct run *run, struct turn *turn, struct result_row *row)
{
    struct error error = ERROR_INIT;
    turn->interruptions = 0;
    progress_set_number(&run->progress, run->result.row_count + (turn->attempts == 0));
    progress_verdict(&run->progress, row);
    if (run_account_row(run, turn, row, &error))
        progress_say(&run->progress, "%s", error.text);
    else
        tell_retry(run, turn);
    write_report(run);
}

/* A row that somebody interrupted, or that could not be written down, is not done: the journal does not have it. */
void run_take_row(struct run *run, struct turn *turn, struct result_row *row, const char *unwritten)
{
    struct health *health = health_of(run, turn);
    if (health) {
        if (unwritten && !run->result.broken_off)
            result_set(&run->result.broken_off, unwritten);
        take_health(run, health, row);
        return;
    }
    run_mark_row(run, turn, row);
    if (unwritten && !run->result.broken_off)
        result_set(&run->result.broken_off, unwritten);
    if (!unwritten && !run_is_interrupted(run))
        run_note_row(run, turn, row);
    report_row(run, turn, row);
}

/* The lease is for whoever goes on after a kill; no reader of the report needs it. */
static void note_device(struct run *run, cJSON *device)
{
    run_note_device(run, device, json_string(device, "lease", NULL));
    cJSON_DeleteItemFromObjectCaseSensitive(device, "lease");
}

/* One that is opened again (its worker was, or the run) takes the place of its earlier self, and keeps what its health check found. */
void run_take_device(struct run *run, cJSON *device, const char *problem)
{
    const char *id = json_string(device, "id", "");
    cJSON *earlier = device_in_report(run, id);
    if (problem && !run_is_interrupted(run))
        progress_say(&run->progress, "%s", problem);
    if (!earlier && json_string(device, "judged_on", NULL))
        progress_say(&run->progress, "%s is judged on %s; what it prints is recorded", id, json_string(device, "judged_on", ""));
    if (device && run->journal)
        note_device(run, device);
    if (device && earlier && cJSON_HasObjectItem(earlier, "health"))
        json_set(device, "health", cJSON_DetachItemFromObjectCaseSensitive(earlier, "health"));
    if (device && earlier)
        cJSON_ReplaceItemViaPointer(run->result.devices, earlier, device);
    else if (device)
        cJSON_AddItemToArray(run->result.devices, device);
}

bool run_is_interrupted(const struct run *run)
{
    return waiting_signal(run->bench.waiting) != 0;
}

bool run_is_over(struct run *run)
{
    struct error error = ERROR_INIT;
    if (!run->result.broken_off && room_check(run->options->directory, &error))
        run_break_off(run, &error);
    return run_is_interrupted(run) || run->result.broken_off;
}

/* Nothing can be learnt from it: the check before the rows has failed. */
static void leave_out(struct run *run, size_t device, struct turn *turn)
{
    struct result_row row;
    health_fail_row(&run->health[device], turn, run->plan.devices[device].device->id, &row);
    /* It never began: whoever resumes the run finds it missing in the journal. */
    run_mark_row(run, turn, &row);
    report_row(run, turn, &row);
}

struct turn *run_next_turn(struct run *run, size_t device)
{
    struct health *health = &run->health[device];
    struct turn *turn = NULL;
    if (run_is_over(run))
        return NULL;
    if ((turn = health_next(health, !schedule_has_more(&run->schedule, device))))
        return turn;
    while ((turn = schedule_next(&run->schedule, device, run_has_time_for, run)) && health->trouble)
        leave_out(run, device, turn);
    if (turn)
        run_note_begin(run, device, turn);
    /* The time budget may have left rows that wait: then the check closes all the same. */
    return turn ? turn : health_next(health, true);
}

/* In this process. `broken`: why there is no simulator; NULL: there is. */
static void run_device(struct run *run, size_t index, const struct error *broken)
{
    struct station station = {.options = run->options, .bench = &run->bench};
    cJSON *device = NULL;
    struct turn *turn;
    station_open(&station, run->plan.devices[index].device, broken, &device);
    run_take_device(run, device, station.broken.code && !broken ? station.broken.text : NULL);
    while ((turn = run_next_turn(run, index))) {
        struct result_row row = {0};
        progress_set_number(&run->progress, run->result.row_count + (turn->attempts == 0));
        station_run(&station, turn->row, (struct station_turn){turn->repetition, turn->attempts + 1}, &row);
        run_take_row(run, turn, &row, station_unwritten(&station));
    }
    /* Giving back what was leased may wait a little, also after Ctrl-C. */
    waiting_resume(run->bench.waiting);
    station_close(&station);
}

static void run_devices(struct run *run, const struct error *broken)
{
    if (!broken && run->plan.device_count > 1) {
        crew_run(run);
        return;
    }
    for (size_t i = 0; i < run->plan.device_count && !run_is_over(run); i++)
        run_device(run, i, broken);
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
    run->result.is_interrupted = run_is_interrupted(run);
    run_list_not_run(run);
    if (run->schedule.is_stopped)
        run->result.planned_count = run->result.row_count;
    run->result.ended_unix_us = clock_unix_us(run->bench.clock);
    run->result.exit_code = result_run_exit_code(&run->result);
    /* Whoever asks for a report and gets none must not read "all passed". */
    if (write_report(run))
        run->result.exit_code = result_run_exit_code(&run->result);
    if (run->result.broken_off)
        say_what_is_safe(run);
}

void run_release_lease(struct run *run, const char *lease)
{
    struct error gone = ERROR_INIT;
    cJSON *params = lease && run->bench.control ? cJSON_CreateObject() : NULL;
    if (params && json_set_string(params, "lease", lease) == 0)
        bench_call(&run->bench, "lane.release", TAKE(params), NULL, &gone);
    cJSON_Delete(params);
}

/* A killed run's leases would keep its lanes until they expire. Those of a simulator of its own went with it. */
static void release_old_leases(struct run *run)
{
    const cJSON *lease;
    cJSON_ArrayForEach(lease, run->old_leases)
    {
        run_release_lease(run, lease->valuestring);
    }
}

/* Only a case that names an unknown knob is an error here: it is the first moment at which that can be known. */
static int run_all(struct run *run, struct error *error)
{
    struct error broken = ERROR_INIT;
    bool is_broken = bench_open_simulator(&run->bench, &broken) != 0;
    int failed = is_broken ? 0 : plan_check_knobs(&run->plan, run->bench.knobs, error);
    if (is_broken && !run_is_interrupted(run))
        progress_say(&run->progress, "simulator: %s", broken.text);
    record_simulator(run);
    if (!is_broken && !run->bench.is_simulator_ours)
        release_old_leases(run);
    if (!failed)
        run_devices(run, is_broken ? &broken : NULL);
    bench_close_simulator(&run->bench);
    return failed;
}

bool run_has_work(const struct run *run, size_t device)
{
    return schedule_has_more(&run->schedule, device) || health_is_due(&run->health[device]);
}

static bool has_work(const struct run *run)
{
    for (size_t i = 0; i < run->schedule.device_count; i++)
        if (run_has_work(run, i))
            return true;
    return false;
}

/* A run that was resumed behind its last row has nothing to start anything for. */
static int work(struct run *run, struct error *error)
{
    run_tell_quarantines(run);
    if (schedule_count(&run->schedule) == 0)
        progress_say(&run->progress, "shard %s holds none of the %zu selected row%s: nothing to run", run->result.shard,
                     run->plan.suite.row_count, run->plan.suite.row_count == 1 ? "" : "s");
    int failed = has_work(run) ? run_all(run, error) : 0;
    /* Before the report: on a full disk it makes the room for it. */
    run_remove_private(run);
    if (!failed)
        finish(run);
    return failed;
}

int run_suite(const struct run_options *options, struct result_run *ret_result, struct error *error)
{
    struct run run = {.options = options, .lock_fd = -1};
    const struct schedule_options schedule = {.repeat = options->is_until_fail ? options->repeat
                                                        : options->repeat      ? options->repeat
                                                                               : 1,
                                              .retries = options->retries,
                                              .is_until_fail = options->is_until_fail};
    if (check_scale(options, error) || plan_make(options, &run.plan, error))
        return -1;
    if (check_flash(options, &run.plan, error) || schedule_make(&run.plan, &schedule, &run.schedule, error)) {
        plan_done(&run.plan);
        return -1;
    }
    for (size_t i = 0; i < run.plan.device_count; i++)
        health_init(&run.health[i], run.plan.devices[i].health.count ? run.plan.devices[i].health.rows[0] : NULL);
    uv_loop_init(&run.loop);
    int failed = set_up(&run, error) || work(&run, error) ? -1 : 0;
    tear_down(&run);
    for (size_t i = 0; i < run.plan.device_count; i++)
        health_done(&run.health[i]);
    schedule_done(&run.schedule);
    plan_done(&run.plan);
    if (failed) {
        result_run_done(&run.result);
        return -1;
    }
    *ret_result = run.result;
    return 0;
}
