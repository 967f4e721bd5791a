/*
 * perf/run/suite.h - what a run of the suite cost, from its own report
 *
 * What:     a row's time is split by its timeline: the device has it from an AT command to its reply, and from a reset to the next
 *           thing that the harness does; the rest, and what lies between two rows, is the harness's own.
 * Source:   docs/events.md, results.json and timeline.jsonl of the run's folder.
 */
#ifndef PERF_RUN_SUITE_H
#define PERF_RUN_SUITE_H

#include "base/error.h"

#include <stdint.h>

struct suite_cost {
    int64_t rows;
    double overhead_ms; /* a row */
};

/* PROTOCOL (rig): the folder holds no report of a run with rows. */
int suite_read_cost(const char *run_dir, struct suite_cost *ret_cost, struct error *error);

#endif
