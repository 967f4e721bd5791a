/*
 * harness/control/simulator_place.h - where a simulator is: its state folder on this machine, or a ticket from another one
 *
 * What:     a ticket is one JSON file that `dpsbench sim ticket` writes on the simulator's machine: what ready.json says, with the address by
 *           which the control plane is reached from elsewhere, and certificates and key as texts in the place of paths. Whoever has it may do
 *           with the simulator what its owner may: mode 0600.
 * Format:   docs/ready.md, "A ticket".
 */
#ifndef HARNESS_CONTROL_SIMULATOR_PLACE_H
#define HARNESS_CONTROL_SIMULATOR_PLACE_H

#include "base/json.h"

#define TICKET_PROGRAM "dpsbench-sim ticket"

/*
 * path       a state folder (ready_read), or a ticket.
 * ret_ready  for control_open(). Given: cJSON_Delete() it.
 * Errors:    NOT_FOUND (rig): nothing there, or nothing runs there. SYNTAX (file): no ticket. As ready_read.
 */
int simulator_place_read(const char *path, cJSON **ret_ready, struct error *error);

/*
 * Make a ticket from the ready.json of a simulator on this machine.
 *
 * control   "HOST:PORT" by which the control plane is reached from elsewhere.
 * Errors:   IO (rig), LIMIT: a file that ready.json names cannot be read.
 */
int ticket_make(const cJSON *ready, const char *control, cJSON **ret_ticket, struct error *error);

/* An open file at `path` is a ticket rather than a folder. */
bool simulator_place_is_ticket(const char *path);

#endif
