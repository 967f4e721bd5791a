/*
 * broker_sim/simulator/simulator.h - the whole simulator: its parts, wired together on one loop
 *
 * What:     state folder (lock, PKI, enrollments), broker, front door, services, control plane, ready.json, signals. Ready is published once a device
 *           could register: Mosquitto is up, the services' SUBACKs are there, the gate is open.
 * Order:    what is started last ends first; the end waits (a second at most) until the last events are with their subscribers.
 * Errors:   file, rig or ours, as the part that fails says.
 */
#ifndef BROKER_SIM_SIMULATOR_SIMULATOR_H
#define BROKER_SIM_SIMULATOR_SIMULATOR_H

#include "broker_sim/simulator/options.h"

#include <uv.h>

/*
 * Run until a signal asks for the end.
 *
 * options  lent for the call.
 * error    why it could not start, or why it ended by itself (BUSY, rig: the folder is in use; the text names the holder).
 */
int simulator_run(const struct options *options, struct error *error);

#endif
