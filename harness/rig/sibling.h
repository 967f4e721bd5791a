/*
 * harness/rig/sibling.h - ask a program of ours for what it alone knows
 *
 * What:     runs a program that stands beside dpsbench and reads the one JSON document that it prints: the harness includes no header of the
 *           simulator, and has no copy of its lists.
 * Limits:   SIBLING_MAX_BYTES a document.
 */
#ifndef HARNESS_RIG_SIBLING_H
#define HARNESS_RIG_SIBLING_H

#include "base/clock.h"
#include "base/json.h"

enum { SIBLING_MAX_BYTES = 4 * 1024 * 1024, SIBLING_DEADLINE_MS = 30000 };

/*
 * name           "dpsbench-sim"
 * arguments      NULL-terminated, without the program's name; at most 14
 * ret_document   given
 * error          NOT_FOUND, TIMEOUT, IO, LIMIT, PROTOCOL (rig). What the program says on its stderr goes to ours.
 */
int sibling_ask(const char *name, const char *const *arguments, deadline_t deadline, cJSON **ret_document, struct error *error);
/* End as that program, with our stdout: for what it prints itself. Returns only on failure: NOT_FOUND, IO (rig). */
int sibling_become(const char *name, const char *const *arguments, struct error *error);

#endif
