/*
 * harness/run/run_state.h - a run while it goes on: what its parts share
 *
 * What:     plan, schedule, bench and report of the one run of this process, and the few things that the ways to run rows (in this process, or in
 *           workers: crew.h) do with them. Private to harness/run.
 */
#ifndef HARNESS_RUN_RUN_STATE_H
#define HARNESS_RUN_RUN_STATE_H

#include "harness/rig/sweeper.h"
#include "harness/run/bench.h"
#include "harness/run/health.h"
#include "harness/run/journal.h"
#include "harness/run/schedule.h"

struct run {
    const struct run_options *options;
    uv_loop_t loop;
    struct plan plan;
    struct schedule schedule;
    struct health health[RIG_DEVICES_MAX];
    struct bench bench; /* of this process: with a device only when rows run here */
    struct progress progress;
    int lock_fd; /* of the run's folder: nobody else writes there */
    struct journal *journal;
    cJSON *old_leases;     /* of a run that was killed: ids */
    deadline_t budget_end; /* {0}: no time budget */
    bool is_out_of_time;   /* a row did not begin because of it */
    char *private_directory;
    struct sweeper *sweeper; /* of the private folder */
    struct result_run result;
    size_t rows_in_results; /* what is safe on the disk */
    size_t rows_in_junit;
};

/* ---- run_folder.c ---- */

/*
 * The run's folder, locked, with its private part and its journal: a new one, or, when the run is resumed, the one that is there, with everything in it
 * already accounted for. Errors: as run_suite.
 */
int run_open_folder(struct run *run, struct error *error);
/* By ourselves: the sweeper would wait for what a hook left running. */
void run_remove_private(struct run *run);
void run_close_folder(struct run *run);
/* An attempt begins, or has ended: into the journal. A journal that cannot be written is the end of the run. */
void run_note_begin(struct run *run, size_t device, const struct turn *turn);
void run_note_row(struct run *run, const struct turn *turn, const struct result_row *row);
void run_note_health(struct run *run, const struct health *health, const struct result_row *row);
void run_note_simulator(struct run *run);
void run_note_device(struct run *run, const cJSON *device, const char *lease);

/* ---- run_night.c ---- */

/* Is there time for it? */
bool run_has_time_for(void *run, const struct case_row *row);
/* What the schedule and the quarantine say of a row that has ended. */
void run_mark_row(const struct run *run, const struct turn *turn, struct result_row *row);
/* Quarantines that are over: told once. */
void run_tell_quarantines(struct run *run);
/* At the end: what the time budget left out. */
void run_list_not_run(struct run *run);

/* ---- run.c ---- */

/* The turn's attempt: into the results; the row is taken over. */
int run_account_row(struct run *run, struct turn *turn, struct result_row *row, struct error *error);
/* A health check came to its end. Returns the number of rows that nobody can blame the device for any more. */
size_t run_account_health(struct run *run, struct health *health, const struct result_row *row);
/* Is anything left to do for the device: a row, or the check that closes them? */
bool run_has_work(const struct run *run, size_t device);
void run_break_off(struct run *run, const struct error *error);
/* Give a lease back for somebody who died; one that is gone already, or NULL, is fine. */
void run_release_lease(struct run *run, const char *lease);
/* The next turn of a device; NULL: there is none, or the run is over. */
struct turn *run_next_turn(struct run *run, size_t device);
/* A device was opened: into the report. `device`: taken over; problem NULL: it is well. */
void run_take_device(struct run *run, cJSON *device, const char *problem);
/* A turn came to its end: into the report. The row is taken over. unwritten: why no further row may begin; NULL: one may. */
void run_take_row(struct run *run, struct turn *turn, struct result_row *row, const char *unwritten);
/* No further row begins: interrupted, or the report cannot be written. */
bool run_is_over(struct run *run);
bool run_is_interrupted(const struct run *run);

#endif
