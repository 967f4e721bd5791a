/*
 * harness/run/attempt.h - one row on one device
 *
 * What:     server PKI, credentials, service state, the start, the watch, the verdict. Straight-line: every step waits with a deadline.
 */
#ifndef HARNESS_RUN_ATTEMPT_H
#define HARNESS_RUN_ATTEMPT_H

#include "harness/run/bench.h"

/*
 * Run it. `result` has id, case_id, title and device; the call fills in the rest. Everything that goes wrong is a verdict.
 */
void attempt_run(struct bench *bench, const struct case_row *row, struct result_row *result);
/* The verdict of an error that ended a row, and its reason. */
void attempt_blame(const struct bench *bench, const struct error *error, struct result_row *result);

#endif
