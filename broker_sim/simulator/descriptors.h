/*
 * broker_sim/simulator/descriptors.h - as many open files as the machine allows, and how many devices that makes
 *
 * What:     a device costs two descriptors (its TCP connection and its way to Mosquitto), and a shell's usual soft limit of 1024 would end the
 *           front door's welcome at 500. Mosquitto inherits what is set here.
 */
#ifndef BROKER_SIM_SIMULATOR_DESCRIPTORS_H
#define BROKER_SIM_SIMULATOR_DESCRIPTORS_H

#include <stddef.h>

enum {
    DESCRIPTORS_A_SESSION = 2,
    /* Loop, lanes, files, Mosquitto's pipes, connections of our own; three for each connection to the service API. */
    DESCRIPTORS_OF_OURS = 64 + 3 * 32,
};

/*
 * Raise the soft limit to the hard one. Returns how many sessions then fit, at most `wanted` and at least 1; less than `wanted` is logged as a
 * warning, with the mend.
 */
size_t descriptors_for_sessions(size_t wanted);

#endif
