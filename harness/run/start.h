/*
 * harness/run/start.h - start the device for a row: reset, chip erase, power; with its assignment forgotten, and its modem spared
 *
 * What:     one step of a row: says goodbye to the modem, pulls, waits for the boot. `fresh` chooses the cheapest way to a device without an
 *           assignment: a reset when none is stored or each boot forgets it, else a chip erase.
 * Modem:    it counts resets without AT+CFUN=0 before them, and refuses the network for half an hour after START_RESETS_MAX of them that
 *           came within a minute each. So AT+CFUN=0 goes first; where the device does not answer it, the reset is counted, and before the
 *           limit the next one waits until a minute has passed.
 * Source:   Nordic, nWP-042 "Modem Reset Loop Restriction": limit 7 (5 in mfw 1.3.0), counter cleared by CFUN=0 or 60 s without a reset.
 */
#ifndef HARNESS_RUN_START_H
#define HARNESS_RUN_START_H

#include "harness/case/case.h"
#include "harness/run/bench.h"

enum {
    START_RESETS_MAX = 5, /* of the strictest firmware */
    START_CALM_S = 60,
    START_GOODBYE_MS = 10000, /* device milliseconds for AT+CFUN=0 */
};

/*
 * Returns when the boot banner came. The watch, if there is one, sees everything from there.
 * Errors: rig for a hook, a port that is gone, a device that never answered; device for one that did (dk_expect_boot); INTERRUPTED (person).
 */
int start_step(struct bench *bench, enum case_step step, struct error *error);

/* Why a row that begins with `fresh` cannot run now: text for the report, lent; NULL: it can. */
const char *start_obstacle(const struct bench *bench, const struct case_row *row);

#endif
