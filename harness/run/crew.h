/*
 * harness/run/crew.h - several devices at once: a worker each, at most `jobs` at a time
 *
 * What:     starts workers, gives each the next row of its device as soon as it is free, and takes what comes. A worker that dies costs the row in flight
 *           (an error, ours) and is started again as long as it got anywhere; one that does not answer within its row's deadlines is killed.
 */
#ifndef HARNESS_RUN_CREW_H
#define HARNESS_RUN_CREW_H

#include "harness/run/run_state.h"

/* All rows of all devices. What goes wrong is in the rows. */
void crew_run(struct run *run);

#endif
