/*
 * harness/rig/hook.h - run one hook of the rig file: reset, chip erase, power
 *
 * What:     starts the program of a hook and waits for its end; the loop turns meanwhile, so that no byte of a console is lost while a board
 *           is programmed. Its output goes to a log file.
 */
#ifndef HARNESS_RIG_HOOK_H
#define HARNESS_RIG_HOOK_H

#include "harness/wait/waiting.h"

/*
 * argv      NULL-terminated; argv[0] is looked up in PATH.
 * log_path  appended to.
 * Errors:   rig. NOT_FOUND: no such program; TIMEOUT: it was killed at the deadline; IO: it ended with an error (the text says how).
 *           INTERRUPTED (person): it was killed.
 */
int hook_run(const char *const *argv, const char *log_path, struct waiting *waiting, deadline_t deadline, struct error *error);

#endif
