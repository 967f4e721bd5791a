/*
 * broker_sim/scenario/scenario.h - which knobs are turned for which registration id
 *
 * What:     a table of scenarios, bound to a registration id (compared without regard to case, as Azure does), each permanent or under a
 * lease. Order:    the scenario that was set last hides the others of its id; when it goes, the one before it shows again; below all are
 * the defaults. A scenario is set whole: knobs that it does not name have their defaults.
 */
#ifndef BROKER_SIM_SCENARIO_SCENARIO_H
#define BROKER_SIM_SCENARIO_SCENARIO_H

#include "broker_sim/scenario/knobs.h"

#include <stdbool.h>

enum { SCENARIOS_MAX = 4096 };

struct scenario_table;

/* NULL when out of memory. `defaults` copied. */
struct scenario_table *scenario_table_new(const struct knobs *defaults);
void scenario_table_free(struct scenario_table *table); /* NULL allowed */

/*
 * Set the scenario of `registration_id` under `lease` (NULL: permanent), in place of the one that the same lease set before.
 *
 * knobs     JSON object; lent.
 * error     USAGE (file) as knobs_apply; LIMIT (rig): too many.
 */
int scenario_set(struct scenario_table *table, const char *registration_id, const cJSON *knobs, const char *lease, struct error *error);
/* Remove every scenario of that id, leased or not. NOT_FOUND (file): there is none. */
int scenario_clear(struct scenario_table *table, const char *registration_id, struct error *error);
/* Remove what `lease` set. */
void scenario_drop_lease(struct scenario_table *table, const char *lease);

/* [{"registration_id","lease","is_in_force","knobs"}], the last set first; of the knobs the turned ones. NULL when out of memory. */
cJSON *scenario_list(const struct scenario_table *table);

/* The knobs in force; the defaults where no scenario is set. NULL id: the defaults. */
struct knobs scenario_knobs(const struct scenario_table *table, const char *registration_id);
/* The knobs of the scenario in force, lent until the next change; NULL: none is set. */
const struct knobs *scenario_find(const struct scenario_table *table, const char *registration_id);
/*
 * Does the fault that `knob` (KNOB_connack, ...) stands for happen now? Counts it when it does: a knob that is turned away from its default
 * is a fault, as often as the knob fault_times says. Faults of the defaults are counted over all devices together.
 */
bool scenario_fault(struct scenario_table *table, const char *registration_id, int knob);

#endif
