/*
 * harness/run/wear.h - what a row wrote into the modem, counted in the wear ledger
 *
 * What:     boards are counted always, virtual DKs (which do not wear) only where the environment variable DPSBENCH_LEDGER names a ledger.
 *           A ledger that cannot be written is a warning, once a run: it is no reason to stop.
 */
#ifndef HARNESS_RUN_WEAR_H
#define HARNESS_RUN_WEAR_H

#include "harness/credentials/credential_set.h"
#include "harness/run/bench.h"

void wear_count(struct bench *bench, uint32_t sec_tag, const struct credential_result *result);

#endif
