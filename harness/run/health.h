/*
 * harness/run/health.h - a row that is known to be good, first and last on each device: whose fault is a failure?
 *
 * What:     opens a device's rows: when it does not pass, bench, network or device are not fit, and no row of the device begins (inconclusive). Closes
 *           them: when it no longer passes, nobody knows since when, and what failed after the last row that passed is inconclusive, not the device's.
 *           Between two good checks a failure is the device's.
 * Which:    `health` of the rig file; without it HEALTH_ROW_DEFAULT for boards, none for virtual devices and programs.
 * Resumed:  what a check found is in the journal. health_take() and health_note_row() tell it again, in the order in which it happened, then
 *           health_resume().
 * Not here: running it: it is a turn as any other, and never a row of the report.
 */
#ifndef HARNESS_RUN_HEALTH_H
#define HARNESS_RUN_HEALTH_H

#include "harness/run/schedule.h"

#define HEALTH_ROW_DEFAULT "provisioning/thread"

enum health_phase { HEALTH_BEFORE, HEALTH_OPENING, HEALTH_BETWEEN, HEALTH_CLOSING, HEALTH_AFTER };

struct health {
    struct turn turn; /* row NULL: the device has no check */
    enum health_phase phase;
    bool has_worked; /* a row ran between */
    size_t well_at;  /* so many rows were in the results when it last passed: nothing before is in doubt */
    char *trouble;   /* why no row may begin; NULL: they may */
};

void health_init(struct health *health, const struct case_row *row);
void health_done(struct health *health);
/* The check itself, when it is its turn; `is_last`: the device has no row left. NULL: a row may run, or nothing is left. */
struct turn *health_next(struct health *health, bool is_last);
bool health_is(const struct health *health, const struct turn *turn);
/* Rows have run since it passed, and nothing but the closing check is left to do for the device. */
bool health_is_due(const struct health *health);
/*
 * The check came to its end.
 *
 * device  its object in the report: gets `health` {"row", "opened": {"verdict", "reason"}, "closed": {...}}.
 * result  of the run: rows of this device that nobody can blame it for any more are changed. Returns how many.
 */
size_t health_take(struct health *health, const struct result_row *row, cJSON *device, struct result_run *result);
/* Of a run that goes on: a row ended between the checks. */
void health_note_row(struct health *health);
/* Of a run that goes on, behind its journal. has_more: rows of the device are left, so a check opens them; else one that is due still closes. */
void health_resume(struct health *health, bool has_more);
/* A row of the device that must not begin: its result, to be reported. */
void health_fail_row(const struct health *health, const struct turn *turn, const char *device, struct result_row *ret_row);

#endif
