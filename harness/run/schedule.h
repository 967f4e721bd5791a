/*
 * harness/run/schedule.h - which row runs next on each device, and how often
 *
 * What:     for each device a list of turns in the order of the plan; a row that is repeated has one for each repetition, a row that did not go well
 *           is given out again as long as it has retries. Pure: no clock, no files, no device.
 * Order:    that of plan.devices[i].rows, repetition after repetition. Whoever wants another order arranges those rows before schedule_make.
 * Limits:   SCHEDULE_TURNS_MAX turns of all devices together.
 */
#ifndef HARNESS_RUN_SCHEDULE_H
#define HARNESS_RUN_SCHEDULE_H

#include "harness/run/plan.h"

enum { SCHEDULE_TURNS_MAX = 10000 };

enum turn_state { TURN_WAITING, TURN_RUNNING, TURN_DONE };

struct turn {
    const struct case_row *row; /* lent from the plan */
    unsigned repetition;        /* from 1 */
    unsigned attempts;          /* that came to their end */
    unsigned interruptions;     /* attempts that a kill ended */
    enum turn_state state;
    size_t result; /* index of its row in the results, once attempts > 0 */
};

struct schedule_device {
    struct turn *turns;
    size_t count;
};

struct schedule {
    struct schedule_device devices[RIG_DEVICES_MAX];
    size_t device_count;
    unsigned retries;
    bool is_until_fail;
    bool is_stopped; /* nothing is given out any more */
};

struct schedule_options {
    unsigned repeat;  /* how often each row runs; 0: as often as SCHEDULE_TURNS_MAX allows */
    unsigned retries; /* of a row that did not go well */
    bool is_until_fail;
};

/* ret_schedule: schedule_done() it. LIMIT (file): more than SCHEDULE_TURNS_MAX turns. */
int schedule_make(const struct plan *plan, const struct schedule_options *options, struct schedule *ret_schedule, struct error *error);
void schedule_done(struct schedule *schedule);
/* The turns of all devices. */
size_t schedule_count(const struct schedule *schedule);

/* May this row begin now? NULL: every one may. */
typedef bool schedule_fits_fn(void *user, const struct case_row *row);
/* The next turn of a device: it is running from now on. NULL: there is none (that fits). Lent. */
struct turn *schedule_next(struct schedule *schedule, size_t device, schedule_fits_fn *fits, void *user);
/* Something of the device waits. */
bool schedule_has_more(const struct schedule *schedule, size_t device);
/* The turn's attempt came to its end. */
void schedule_take(struct schedule *schedule, struct turn *turn, enum verdict verdict);
/* It did not come to its end: it is given out again. */
void schedule_put_back(struct turn *turn);
/* NULL: the device has no such turn. */
struct turn *schedule_find(const struct schedule *schedule, size_t device, const char *row, unsigned repetition);

/* Pass, skip or known: nothing to do again. */
bool schedule_is_good(enum verdict verdict);

#endif
