/*
 * harness/run/station.h - one device at work: opened once, then row after row, closed
 *
 * What:     what a process does for one device, whoever decides which row comes next: the run itself when there is one device, a worker process of its
 *           own for each when there are several (worker.h). Gives the whole row of the report, its account included.
 * Not here: which row runs next and how often (schedule.h), the report's files (run.h).
 */
#ifndef HARNESS_RUN_STATION_H
#define HARNESS_RUN_STATION_H

#include "harness/run/bench.h"
#include "harness/run/run.h"

struct station {
    const struct run_options *options;
    struct bench *bench;
    struct error broken; /* why the device, or the simulator before it, is not up: every row's verdict, which nothing may hide */
};

/* Which run of a row it is. */
struct station_turn {
    unsigned repetition; /* from 1 */
    unsigned attempt;    /* from 1 */
};

/*
 * Open the device. A failure is no error of the call: `broken` says it, and each row.
 *
 * broken      why there is no simulator; NULL: there is one.
 * ret_device  the device as results.json has it, and its `lease`; given; NULL when memory is short.
 */
void station_open(struct station *station, const struct rig_device *device, const struct error *broken, cJSON **ret_device);
/* ret_row: result_row_done() it. */
void station_run(struct station *station, const struct case_row *row, struct station_turn turn, struct result_row *ret_row);
/* Why no further row may begin: a file of the report could not be written. NULL: all could. Lent. */
const char *station_unwritten(const struct station *station);
void station_close(struct station *station);

#endif
