/*
 * base/ready.h - DIR/ready.json: how a started program tells others where it is
 *
 * What:     written atomically when the program serves, printed as one line on stdout at the same time, removed when it ends.
 *           docs/ready.md is the contract: {"v":1,"program":"dpsbench-sim","pid":...,...}.
 * Rules:    a reader trusts it only while the pid lives and the program's lock on the folder is held.
 */
#ifndef BASE_READY_H
#define BASE_READY_H

#include "base/clock.h"
#include "base/json.h"

enum { READY_VERSION = 1 };

/* {"v","program","version","pid"} to be filled further. NULL when out of memory. */
cJSON *ready_new(const char *program);
/* Write DIR/ready.json and the same record as one line on stdout. */
int ready_publish(const char *dir, const cJSON *ready, struct error *error);
/* Remove DIR/ready.json; nothing there is fine. */
void ready_withdraw(const char *dir);
/*
 * Read DIR/ready.json once. NOT_FOUND (rig): it is not there, or its pid is gone (the text says which). PROTOCOL (rig): another program's,
 * or another version.
 */
int ready_read(const char *dir, const char *program, cJSON **ret_ready, struct error *error);

#endif
