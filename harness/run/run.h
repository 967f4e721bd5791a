/*
 * harness/run/run.h - run cases on a rig: bring up, row by row, verdicts, report
 *
 * What:     loads and checks all selected rows for every connected device, brings up the simulator (its own, or a running one), leases a lane a
 *           device, runs the rows one after the other (of several devices at once: crew.h), writes journal and report after every row, and takes everything
 *           down again. After a kill the run goes on where it was (resume.h).
 * Verdicts: the device's fault is `fail`, the rig's `inconclusive`, ours `error`, an unmet need `skip` (reports/result.h). A device that does
 *           not answer, does not boot, boots unasked or dumps a fault is inconclusive until a row has passed on it in this run, then a fail.
 * Signals:  SIGINT and SIGTERM end the row in flight; the report of what ran is written, and everything is taken down.
 */
#ifndef HARNESS_RUN_RUN_H
#define HARNESS_RUN_RUN_H

#include "harness/case/case.h"
#include "harness/rig/rig.h"
#include "reports/result.h"

#include <stdio.h>

/* Work of the machine does not scale: where it is slower, waits must be longer. */
#ifdef DPSBENCH_SANITIZED
enum { RUN_TIME_SCALE_DEFAULT = 10 };
#else
enum { RUN_TIME_SCALE_DEFAULT = 50 };
#endif
enum {
    RUN_TIME_SCALE_PROGRAM = 10,
    RUN_TIME_SCALE_MAX = 1000,
    RUN_RETRIES_MAX = RESULT_ATTEMPTS_MAX - 1,
    RUN_TIME_BUDGET_MAX_S = 30 * 24 * 3600
};

struct run_options {
    const struct rig *rig;
    const char *cases_directory;
    const char *cases_shown; /* stands for it in errors and reports */
    bool has_own_cases;      /* a person chose them: they belong to the command that runs a row again */
    const char *const *selectors;
    size_t selector_count;
    bool keeps_order;            /* rows run as they are listed, whatever that costs the modem */
    const char *device_id;       /* run on this device alone; NULL: on each that is connected */
    const char *directory;       /* of the run: made, or empty */
    bool wants_flash;            /* run the hook `flash` of each device before its first row; it must have one */
    double time_scale;           /* 0: the default of the rig */
    unsigned shard_index;        /* from 1 */
    unsigned shard_count;        /* 0: the whole */
    unsigned repeat;             /* how often each row runs; 0: once, or with is_until_fail as often as can be */
    unsigned retries;            /* of a row that is inconclusive, failed or an error; at most RUN_RETRIES_MAX */
    bool is_until_fail;          /* the run ends at the first such row */
    int64_t time_budget_s;       /* no row begins that might not end within it; 0: no limit */
    const char *quarantine_file; /* NULL: QUARANTINE_FILE of the cases, if it is there */
    bool is_resumed;             /* `directory` holds a run that was killed: go on with what is missing (resume.h) */
    size_t jobs;                 /* devices at once; 0: all real ones, of virtual ones as many as there are processors */
    FILE *talk;                  /* progress, for a person; NULL: silent */
};

/*
 * ret_result   filled on success; result_run_done() it. Its report is written.
 * error        file: a bad case, rig or argument (USAGE), nothing selected (NOT_FOUND): nothing has run. rig: the run's folder cannot be written.
 *              Anything that goes wrong later is a row's verdict, not an error.
 */
int run_suite(const struct run_options *options, struct result_run *ret_result, struct error *error);

#endif
