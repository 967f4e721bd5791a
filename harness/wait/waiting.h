/*
 * harness/wait/waiting.h - straight-line code on an event loop: turn it until something is so
 *
 * What:     one loop for console, AT, control plane and child processes; whoever needs a result waits for it here, and everything else goes on
 *           meanwhile. Every wait has a deadline and says what it waits for. A signal (Ctrl-C) ends every wait.
 * Rules:    wait only from main's own call chain, never from within a callback of the loop.
 */
#ifndef HARNESS_WAIT_WAITING_H
#define HARNESS_WAIT_WAITING_H

#include "base/clock.h"
#include "base/error.h"

#include <stdbool.h>
#include <uv.h>

struct waiting;

struct waiting_options {
    uv_loop_t *loop;
    const struct clock *clock;
    /* Called about ten times a second while somebody waits; for progress. May be NULL. */
    void (*tick)(void *user);
    void *user;
};

/* Watches SIGINT and SIGTERM from now on: they end waits, not the program. */
int waiting_new(const struct waiting_options *options, struct waiting **ret_waiting, struct error *error);
/* The memory goes when the loop has run once more. NULL allowed. */
void waiting_free(struct waiting *waiting);

uv_loop_t *waiting_loop(const struct waiting *waiting);
const struct clock *waiting_clock(const struct waiting *waiting);
/* The signal that ended the waits; 0: none. */
int waiting_signal(const struct waiting *waiting);
/* Let clean-up wait again after an interruption; the signal stays known. A second signal interrupts that too. */
void waiting_resume(struct waiting *waiting);

/*
 * Turn the loop until `is_done(user)`. Looks first, so what is so already costs no turn.
 *
 * what   for the error: "the boot of dev-01".
 * error  TIMEOUT (rig): "waited 12.0 s for the boot of dev-01". INTERRUPTED (person).
 */
int waiting_until(struct waiting *waiting, bool (*is_done)(void *user), void *user, deadline_t deadline, const char *what,
                  struct error *error);
/* Turn the loop for so long. INTERRUPTED (person). For what has no event of its own: a device that settles. */
int waiting_settle(struct waiting *waiting, int64_t ms, struct error *error);

#endif
