/*
 * reports/results_json.h - results.json, version 1
 *
 * What:     the machine's report (docs/results.md). Rewritten as a whole, atomically, after every row: a kill at any moment leaves a
 *           valid document that lacks at most the row in flight.
 */
#ifndef REPORTS_RESULTS_JSON_H
#define REPORTS_RESULTS_JSON_H

#include "reports/result.h"

enum { RESULTS_VERSION = 1 };

/* The document; NULL when out of memory. */
cJSON *results_to_json(const struct result_run *run);
/* Write DIRECTORY/results.json. IO (rig). */
int results_write(const struct result_run *run, struct error *error);

#endif
