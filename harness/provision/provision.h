/*
 * harness/provision/provision.h - many boards at once: a process a board, some of them at a time
 *
 * What:     starts `dpsbench provision ... --board ID` for each board, up to `jobs` at a time, takes the one line of JSON that each prints, and
 *           writes the manifest after each. A board that fails, hangs or crashes takes no other with it.
 * Signals:  the first Ctrl-C starts no more boards and asks those under way to end (the modem goes back to its mode); what is done stays done.
 */
#ifndef HARNESS_PROVISION_PROVISION_H
#define HARNESS_PROVISION_PROVISION_H

#include "base/json.h"
#include "harness/rig/rig.h"
#include "harness/wait/waiting.h"

#define BOARD_OUTCOMES(X)                                                                                                                  \
    X(BOARD_WAITS, "not-started")                                                                                                          \
    X(BOARD_RUNS, "running")                                                                                                               \
    X(BOARD_DONE, "done")                                                                                                                  \
    X(BOARD_ALREADY, "already") /* before; the modem still holds it */                                                                     \
    X(BOARD_FAILED, "failed")                                                                                                              \
    X(BOARD_STOPPED, "stopped") /* by Ctrl-C */

enum board_outcome {
#define X(id, name) id,
    BOARD_OUTCOMES(X)
#undef X
};

const char *board_outcome_name(enum board_outcome outcome);

/* How one board ended. */
struct board_report {
    const struct rig_device *device; /* lent */
    enum board_outcome outcome;
    int64_t duration_ms;
    int exit_code; /* of docs/results.md */
    cJSON *answer; /* what it printed: "imei", "registration_id", "text"; never NULL once it has ended */
};

struct provision_options {
    struct waiting *waiting;
    const char *const *argv; /* of a worker, without --board; NULL-terminated */
    const char *out;
    struct board_report *boards; /* their devices set; filled here */
    size_t count;
    size_t jobs;
    /* A board has ended. May be NULL. */
    void (*on_end)(void *user, const struct board_report *report, size_t ended);
    void *user;
};

/* IO (rig): a worker cannot be started, or the manifest not be written. INTERRUPTED (person). The boards' answers: board_reports_done(). */
int provision_run(const struct provision_options *options, struct error *error);
void board_reports_done(struct board_report *boards, size_t count);

#endif
