/*
 * broker_sim/simulator/print_fidelity.h - dpsbench-sim --fidelity
 */
#ifndef BROKER_SIM_SIMULATOR_PRINT_FIDELITY_H
#define BROKER_SIM_SIMULATOR_PRINT_FIDELITY_H

#include "broker_sim/simulator/options.h"

#include <stdio.h>

/* The table in the form that `options` asks for. MEMORY (ours), IO (rig): `out` does not take it. */
int print_fidelity(const struct options *options, FILE *out, struct error *error);

#endif
