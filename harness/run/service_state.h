/*
 * harness/run/service_state.h - what DPS shall know while a row runs
 *
 * What:     puts a row's certificates, enrollment groups and enrollments into the simulator under the run's lease, in the shape of Azure's
 *           service API; proves possession with a real verification certificate where the case says so; takes them away afterwards.
 */
#ifndef HARNESS_RUN_SERVICE_STATE_H
#define HARNESS_RUN_SERVICE_STATE_H

#include "harness/run/bench.h"

/* service_state_remove() takes it away, also after a failure half-way. */
int service_state_put(struct bench *bench, const struct case_row *row, const struct pki *pki, struct error *error);
/* Its scenario alone, once more: faults count anew. */
int service_state_set_scenario(struct bench *bench, const struct case_row *row, struct error *error);
/* Objects, scenario and registration record of the row. What is not there is fine. */
int service_state_remove(struct bench *bench, const struct case_row *row, struct error *error);

#endif
