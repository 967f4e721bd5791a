/*
 * harness/rig/hook.h - run one hook of the rig file: reset, chip erase, power
 *
 * What:     starts the program of a hook and waits for its end. Its output goes to a log file.
 */
#ifndef HARNESS_RIG_HOOK_H
#define HARNESS_RIG_HOOK_H

#include "base/clock.h"
#include "base/error.h"

/*
 * argv      NULL-terminated; argv[0] is looked up in PATH.
 * log_path  appended to.
 * Errors:   rig. NOT_FOUND: no such program; TIMEOUT: it was killed at the deadline; IO: it ended with an error (the text says how).
 */
int hook_run(const char *const *argv, const char *log_path, deadline_t deadline, struct error *error);

#endif
