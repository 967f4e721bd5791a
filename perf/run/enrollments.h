/*
 * perf/run/enrollments.h - what many individual enrollments cost: the start with them, their memory, and the judge among them
 *
 * What:     a state folder of its own with as many enrollments, each with a leaf of its own. Start and memory are those of dpsbench-sim, less what it
 *           takes without them. The judge runs in this process, on chains of three as a handshake gives them: read from DER anew, their own
 *           signatures known to be good; so what is measured is the judge beyond the signature checks.
 */
#ifndef PERF_RUN_ENROLLMENTS_H
#define PERF_RUN_ENROLLMENTS_H

#include "perf/run/measure.h"

enum { ENROLLMENTS_COUNT = 10000 };

int measure_enrollments(const struct lab *lab, size_t count, struct figures *figures, struct error *error);

#endif
