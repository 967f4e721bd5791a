/*
 * harness/run/worker.h - a process for one device of a run that has several
 *
 * What:     the run (the parent) starts `dpsbench run --worker` for each device; the worker opens its device on the run's simulator, says so, and runs the
 *           rows that it is told, one after the other (station.h). It decides nothing: order, retries and the report are the parent's.
 * Messages: to the worker {"row":ID,"repetition":N,"attempt":N}; from it {"device":{...},"problem":TEXT} once, and {"row":{...},"unwritten":TEXT} for
 *           each row, a row as in results.json. The parent ends the channel when nothing is left to do.
 * Death:    a worker does not outlive its parent (SIGKILL), nor its virtual DK the worker. A worker that dies leaves a turn without a row: the parent sees
 *           its end.
 */
#ifndef HARNESS_RUN_WORKER_H
#define HARNESS_RUN_WORKER_H

#include "harness/run/channel.h"
#include "harness/run/run.h"
#include "harness/run/station.h"

struct worker;

struct worker_options {
    const struct run_options *run;
    const struct rig_device *device;
    double time_scale;
    const char *private_directory;
    bool wants_flash;
    uv_loop_t *loop;
    void *user;
    /* `problem`: why every row of the device will say that the rig is broken; NULL: it is well. Both lent. */
    void (*on_device)(void *user, const cJSON *device, const char *problem);
    /* row: taken over by the callee. unwritten: why no further row may begin; NULL: one may. */
    void (*on_row)(void *user, struct result_row *row, const char *unwritten);
    /* It has ended, once; `reason` says how, for a worker that should not have. Free it then, not before the callback returns. */
    void (*on_end)(void *user, const char *reason);
};

int worker_start(const struct worker_options *options, struct worker **ret_worker, struct error *error);
int worker_run(struct worker *worker, const char *row, struct station_turn turn, struct error *error);
/* Nothing is left to do: it gives its device back and ends. */
void worker_dismiss(struct worker *worker);
void worker_signal(struct worker *worker, int signal_number);
void worker_free(struct worker *worker); /* NULL allowed; kills one that still runs */

/* The worker's side: its whole life. Standard input is the channel. Returns the exit code. */
int worker_serve(const struct run_options *options, const char *private_directory);

#endif
