#include "harness/run/crew.h"

#include "base/cleanup.h"
#include "harness/run/worker.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

/* A guard against a worker that hangs, which would be a bug: every wait of its own has a deadline before this. */
enum { GUARD_MARGIN_MS = 120000, LOOK_MS = 3600 * 1000, END_MS = 120000, BARREN_MAX = 2 };

/* One device of the crew. */
struct seat {
    struct crew *crew;
    size_t index; /* of the device in the plan */
    struct worker *worker;
    struct turn *turn;  /* in flight; NULL: none */
    deadline_t guard;   /* of what is in flight */
    size_t rows_so_far; /* of this worker */
    unsigned barren;    /* workers in a row that ended before they had run one */
    bool was_started;   /* a worker of it, some time */
    bool has_ended;     /* its worker has: to be freed by the main line */
    bool is_done;       /* nothing more of this device */
    char *lease;        /* of its worker; NULL: none */
    char reason[ERROR_TEXT_MAX_BYTES];
};

struct crew {
    struct run *run;
    struct seat seats[RIG_DEVICES_MAX];
    size_t count;
    size_t jobs;
};

static const struct rig_device *device_of(const struct seat *seat)
{
    return seat->crew->run->plan.devices[seat->index].device;
}

/* ---- what a person sees ---- */

static void tell_progress(struct crew *crew)
{
    char text[PROGRESS_STEP_MAX_BYTES] = "";
    for (size_t i = 0; i < crew->count; i++) {
        const struct seat *seat = &crew->seats[i];
        size_t used = strlen(text);
        if (seat->turn)
            snprintf(text + used, sizeof text - used, "%s%s @%s", used ? ", " : "", seat->turn->row->id, device_of(seat)->id);
    }
    progress_many(&crew->run->progress, text);
}

/* ---- rows ---- */

static deadline_t guard_of(const struct seat *seat, const struct case_row *row)
{
    const struct bench *bench = &seat->crew->run->bench;
    int64_t hooks_ms = rig_hooks_longest_ms(device_of(seat));
    int64_t budget_ms = clock_scaled_ms(row->budget_s * 1000, bench->time_scale);
    int64_t steps_ms = (int64_t)(row->step_count + 1) * (BENCH_BOOT_MS + 2 * hooks_ms);
    return deadline_in_ms(bench->clock, budget_ms + steps_ms + BENCH_AT_MS + GUARD_MARGIN_MS);
}

/* The turn ends with an error of ours: nobody knows what the device did. */
static void fail_turn(struct seat *seat, struct turn *turn, const char *reason)
{
    const struct case_row *row = turn->row;
    struct result_row result = {.verdict = VERDICT_ERROR, .started_unix_us = clock_unix_us(seat->crew->run->bench.clock)};
    result_set(&result.id, row->id);
    result_set(&result.case_id, row->case_id);
    result_set(&result.title, row->title);
    result_set(&result.device, device_of(seat)->id);
    result_set(&result.reason.text, reason);
    run_take_row(seat->crew->run, turn, &result, NULL);
}

static void give_next(struct seat *seat)
{
    struct run *run = seat->crew->run;
    struct error error = ERROR_INIT;
    seat->turn = run_next_turn(run, seat->index);
    if (!seat->turn) {
        seat->is_done = true;
        worker_dismiss(seat->worker);
        seat->guard = deadline_in_ms(run->bench.clock, END_MS + rig_hooks_longest_ms(device_of(seat)));
        return;
    }
    const struct station_turn turn = {.repetition = seat->turn->repetition, .attempt = seat->turn->attempts + 1};
    seat->guard = guard_of(seat, seat->turn->row);
    /* A worker that takes nothing is gone, or is killed by its guard: its end tells. */
    if (worker_run(seat->worker, seat->turn->row->id, turn, &error))
        worker_signal(seat->worker, SIGKILL);
    tell_progress(seat->crew);
}

static void on_device(void *user, const cJSON *device, const char *problem)
{
    struct seat *seat = user;
    result_set(&seat->lease, json_string(device, "lease", NULL));
    run_take_device(seat->crew->run, cJSON_Duplicate(device, true), problem);
    give_next(seat);
}

static void on_row(void *user, struct result_row *row, const char *unwritten)
{
    struct seat *seat = user;
    struct turn *turn = TAKE(seat->turn);
    if (!turn) {
        result_row_done(row);
        return;
    }
    seat->rows_so_far++;
    run_take_row(seat->crew->run, turn, row, unwritten);
    give_next(seat);
}

static void on_end(void *user, const char *reason)
{
    struct seat *seat = user;
    seat->has_ended = true;
    snprintf(seat->reason, sizeof seat->reason, "%s", reason);
}

/* ---- workers ---- */

static void fail_rest(struct seat *seat, const char *reason)
{
    struct turn *turn;
    while ((turn = run_next_turn(seat->crew->run, seat->index)))
        fail_turn(seat, turn, reason);
    seat->is_done = true;
}

static void take_seat(struct seat *seat)
{
    struct run *run = seat->crew->run;
    struct error error = ERROR_INIT;
    const struct worker_options options = {
        .run = run->options,
        .device = device_of(seat),
        .time_scale = run->bench.time_scale,
        .private_directory = run->private_directory,
        .wants_flash = run->options->wants_flash && !seat->was_started,
        .loop = &run->loop,
        .user = seat,
        .on_device = on_device,
        .on_row = on_row,
        .on_end = on_end,
    };
    seat->rows_so_far = 0;
    seat->was_started = true;
    seat->guard =
        deadline_in_ms(run->bench.clock, BENCH_START_MS + BENCH_AT_MS + GUARD_MARGIN_MS + 3 * rig_hooks_longest_ms(device_of(seat)));
    if (worker_start(&options, &seat->worker, &error))
        fail_rest(seat, error.text);
}

/* It ended: as it was told to, or by itself, which costs the row in flight. Two that got nowhere are enough. */
static void clear_seat(struct seat *seat)
{
    struct run *run = seat->crew->run;
    struct turn *turn = TAKE(seat->turn);
    worker_free(TAKE(seat->worker));
    seat->has_ended = false;
    seat->barren = seat->rows_so_far ? 0 : seat->barren + 1;
    /* One that died gave nothing back, and what it had put into the service is in the way of the next. */
    run_release_lease(run, seat->lease);
    result_set(&seat->lease, NULL);
    if (turn && run_is_interrupted(run))
        schedule_put_back(turn);
    else if (turn)
        fail_turn(seat, turn, seat->reason);
    if (seat->is_done || run_is_over(run) || !run_has_work(run, seat->index))
        seat->is_done = true;
    else if (seat->barren == BARREN_MAX)
        fail_rest(seat, seat->reason);
}

/* A seat without a worker waits for a free place. */
static void fill_seats(struct crew *crew)
{
    size_t busy = 0;
    for (size_t i = 0; i < crew->count; i++)
        busy += crew->seats[i].worker != NULL;
    for (size_t i = 0; i < crew->count && busy < crew->jobs && !run_is_over(crew->run); i++) {
        struct seat *seat = &crew->seats[i];
        if (seat->is_done || seat->worker)
            continue;
        take_seat(seat);
        busy += seat->worker != NULL;
    }
}

static void kill_late(struct crew *crew)
{
    for (size_t i = 0; i < crew->count; i++) {
        struct seat *seat = &crew->seats[i];
        if (!seat->worker || !deadline_has_passed(crew->run->bench.clock, seat->guard))
            continue;
        progress_say(&crew->run->progress, "the process of device '%s' does not answer: it is ended", device_of(seat)->id);
        worker_signal(seat->worker, SIGKILL);
        seat->guard = deadline_in_ms(crew->run->bench.clock, END_MS);
    }
}

static bool has_news(void *user)
{
    struct crew *crew = user;
    size_t busy = 0;
    kill_late(crew);
    for (size_t i = 0; i < crew->count; i++) {
        if (crew->seats[i].has_ended)
            return true;
        busy += crew->seats[i].worker != NULL;
    }
    return busy == 0;
}

static bool is_busy(const struct crew *crew)
{
    for (size_t i = 0; i < crew->count; i++)
        if (crew->seats[i].worker)
            return true;
    return false;
}

static void signal_all(struct crew *crew, int signal_number)
{
    for (size_t i = 0; i < crew->count; i++)
        if (crew->seats[i].worker)
            worker_signal(crew->seats[i].worker, signal_number);
}

static void clear_ended(struct crew *crew)
{
    for (size_t i = 0; i < crew->count; i++)
        if (crew->seats[i].has_ended)
            clear_seat(&crew->seats[i]);
}

/* Ctrl-C: each ends its row and gives its device back; a second one ends them at once. */
static void work(struct crew *crew)
{
    int signal_number = SIGTERM;
    struct waiting *waiting = crew->run->bench.waiting;
    fill_seats(crew);
    while (is_busy(crew)) {
        struct error error = ERROR_INIT;
        deadline_t deadline = deadline_in_ms(crew->run->bench.clock, LOOK_MS);
        if (waiting_until(waiting, has_news, crew, deadline, "the devices", &error) && error.code == ERROR_INTERRUPTED) {
            signal_all(crew, signal_number);
            signal_number = SIGKILL;
            waiting_resume(waiting);
        }
        clear_ended(crew);
        fill_seats(crew);
    }
}

/* Real devices wait for the network; virtual ones compute, and a machine that is short of time says nothing about them. */
static size_t choose_jobs(const struct run *run)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (run->options->jobs)
        return run->options->jobs;
    return rig_is_on_this_host(run->options->rig) && cores > 0 ? (size_t)cores : run->plan.device_count;
}

void crew_run(struct run *run)
{
    struct crew crew = {.run = run, .count = run->plan.device_count, .jobs = choose_jobs(run)};
    for (size_t i = 0; i < crew.count; i++)
        crew.seats[i] = (struct seat){.crew = &crew, .index = i, .is_done = !run_has_work(run, i)};
    work(&crew);
}
