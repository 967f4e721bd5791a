#include "harness/run/schedule.h"

#include <stdlib.h>
#include <string.h>

static unsigned repeat_of(const struct schedule_options *options, size_t row_count)
{
    if (options->repeat)
        return options->repeat;
    return row_count && row_count < SCHEDULE_TURNS_MAX ? (unsigned)(SCHEDULE_TURNS_MAX / row_count) : 1;
}

static int make_device(const struct case_list *rows, unsigned repeat, struct schedule_device *device, struct error *error)
{
    device->turns = calloc(rows->count * repeat + 1, sizeof *device->turns);
    if (!device->turns)
        return error_set_memory(error);
    for (unsigned repetition = 1; repetition <= repeat; repetition++)
        for (size_t i = 0; i < rows->count; i++)
            device->turns[device->count++] = (struct turn){.row = rows->rows[i], .repetition = repetition};
    return 0;
}

static int make_all(const struct plan *plan, unsigned repeat, struct schedule *schedule, struct error *error)
{
    for (size_t i = 0; i < plan->device_count; i++)
        if (make_device(&plan->devices[i].rows, repeat, &schedule->devices[i], error))
            return -1;
    return 0;
}

int schedule_make(const struct plan *plan, const struct schedule_options *options, struct schedule *ret_schedule, struct error *error)
{
    struct schedule schedule = {.device_count = plan->device_count, .retries = options->retries, .is_until_fail = options->is_until_fail};
    size_t row_count = plan_row_count(plan);
    unsigned repeat = repeat_of(options, row_count);
    if (row_count * repeat > SCHEDULE_TURNS_MAX)
        return error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "--repeat %u of %zu rows makes %zu: at most %d rows are run at once", repeat,
                         row_count, row_count * repeat, SCHEDULE_TURNS_MAX);
    if (make_all(plan, repeat, &schedule, error)) {
        schedule_done(&schedule);
        return -1;
    }
    *ret_schedule = schedule;
    return 0;
}

void schedule_done(struct schedule *schedule)
{
    for (size_t i = 0; i < schedule->device_count; i++)
        free(schedule->devices[i].turns);
    *schedule = (struct schedule){0};
}

size_t schedule_count(const struct schedule *schedule)
{
    size_t count = 0;
    for (size_t i = 0; i < schedule->device_count; i++)
        count += schedule->devices[i].count;
    return count;
}

struct turn *schedule_next(struct schedule *schedule, size_t device, schedule_fits_fn *fits, void *user)
{
    struct schedule_device *of = &schedule->devices[device];
    for (size_t i = 0; i < of->count && !schedule->is_stopped; i++) {
        struct turn *turn = &of->turns[i];
        if (turn->state != TURN_WAITING || (fits && !fits(user, turn->row)))
            continue;
        turn->state = TURN_RUNNING;
        return turn;
    }
    return NULL;
}

bool schedule_has_more(const struct schedule *schedule, size_t device)
{
    const struct schedule_device *of = &schedule->devices[device];
    for (size_t i = 0; i < of->count && !schedule->is_stopped; i++)
        if (of->turns[i].state == TURN_WAITING)
            return true;
    return false;
}

bool schedule_is_good(enum verdict verdict)
{
    return verdict < VERDICT_INCONCLUSIVE;
}

void schedule_take(struct schedule *schedule, struct turn *turn, enum verdict verdict)
{
    bool is_good = schedule_is_good(verdict);
    turn->attempts++;
    turn->state = is_good || turn->attempts > schedule->retries ? TURN_DONE : TURN_WAITING;
    schedule->is_stopped |= schedule->is_until_fail && !is_good && turn->state == TURN_DONE;
}

void schedule_put_back(struct turn *turn)
{
    turn->state = TURN_WAITING;
}

struct turn *schedule_find(const struct schedule *schedule, size_t device, const char *row, unsigned repetition)
{
    const struct schedule_device *of = &schedule->devices[device];
    for (size_t i = 0; i < of->count; i++)
        if (of->turns[i].repetition == repetition && strcmp(of->turns[i].row->id, row) == 0)
            return &of->turns[i];
    return NULL;
}
