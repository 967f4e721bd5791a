/*
 * harness/cli/sim_link.h - a command's way to a simulator that runs
 *
 * What:     finds it by its state folder (ready.json), or by a ticket from another machine, and opens its control plane. The folder is --state, or else the environment variable
 *           DPSBENCH_STATE.
 * Errors:   NOT_FOUND (file) when no folder is named or nothing runs there: the text says how to start one; else as control_open.
 */
#ifndef HARNESS_CLI_SIM_LINK_H
#define HARNESS_CLI_SIM_LINK_H

#include "harness/control/control.h"

struct sim_link;

/* state: of --state, may be NULL. callbacks: NULL: no events. */
int sim_link_open(const char *state, const struct control_callbacks *callbacks, struct sim_link **ret_link, struct error *error);
void sim_link_close(struct sim_link *link); /* NULL allowed */

/* As control_call, with the usual deadline. `params` is taken over; NULL: none. */
int sim_link_call(struct sim_link *link, const char *method, cJSON *params, cJSON **ret_result, struct error *error);
/* For what takes longer: control_call. */
int sim_link_call_until(struct sim_link *link, const char *method, cJSON *params, deadline_t deadline, cJSON **ret_result,
                        struct error *error);
struct waiting *sim_link_waiting(const struct sim_link *link);

#endif
