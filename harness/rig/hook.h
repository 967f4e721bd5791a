/*
 * harness/rig/hook.h - run one hook of the rig file: reset, chip erase, power, flash, before and after a case or a run
 *
 * What:     starts the program of a hook and waits for its end; the loop turns meanwhile, so that no byte of a console is lost while a board
 *           is programmed. At its time limit it is killed, with all that it started. Its output goes to a log file, between two lines that
 *           say what ran, when, and how it ended.
 */
#ifndef HARNESS_RIG_HOOK_H
#define HARNESS_RIG_HOOK_H

#include "harness/rig/rig.h"
#include "harness/wait/waiting.h"

struct hook_options {
    const struct rig_command *command; /* argv[0] is looked up in PATH */
    const char *name;                  /* "chip_erase" */
    const char *log_path;              /* appended to */
    struct waiting *waiting;
    const char *const *environment; /* "NAME=VALUE" on top of ours, NULL-terminated; NULL: nothing */
};

/*
 * Errors:   rig; the text names the hook, the program, its last words and the log. NOT_FOUND: no such program; TIMEOUT: it was killed at its
 *           time limit; IO: it ended with an error. INTERRUPTED (person): it was killed.
 */
int hook_run(const struct hook_options *options, struct error *error);

/* Would hook_run find its program, now and as this user? */
bool hook_program_is_there(const struct rig_command *command);

#endif
