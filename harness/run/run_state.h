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
#include "harness/run/schedule.h"

struct run {
    const struct run_options *options;
    uv_loop_t loop;
    struct plan plan;
    struct schedule schedule;
    struct bench bench; /* of this process: with a device only when rows run here */
    struct progress progress;
    char *private_directory;
    struct sweeper *sweeper; /* of the private folder */
    struct result_run result;
    size_t rows_in_results; /* what is safe on the disk */
    size_t rows_in_junit;
};

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
