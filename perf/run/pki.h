/*
 * perf/run/pki.h - what the PKI of the suite costs: every built-in recipe forged once
 *
 * What:     as a run does it: in one process, keys used again between recipes. Each round begins without keys, for it is chance how long
 *           an RSA key is looked for.
 */
#ifndef PERF_RUN_PKI_H
#define PERF_RUN_PKI_H

#include "perf/run/measure.h"

int measure_pki(size_t rounds, struct figures *figures, struct error *error);

#endif
