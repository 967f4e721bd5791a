/*
 * reports/results_json.h - results.json, version 4
 *
 * What:     the machine's report (docs/results.md). Rewritten as a whole, atomically, after every row: a kill at any moment leaves a
 *           valid document that lacks at most the row in flight. And back again, for whoever shows a run later.
 * Version:  2 knows the verdict `known`, 4 attempts, repetitions, quarantine and rows that did not run; documents of all versions before are read too.
 * Limits:   RESULTS_MAX_BYTES to read.
 * Reading:  members that this version does not know are skipped; a document of a newer version is refused.
 */
#ifndef REPORTS_RESULTS_JSON_H
#define REPORTS_RESULTS_JSON_H

#include "reports/result.h"

enum { RESULTS_VERSION = 4, RESULTS_MAX_BYTES = 64 * 1024 * 1024 };
#define RESULTS_FILE "results.json"

/* The document; NULL when out of memory. */
cJSON *results_to_json(const struct result_run *run);
/* One of its rows. */
cJSON *results_row_to_json(const struct result_row *row);
/* And back. SYNTAX (file): no id, or no verdict. result_row_done() it. */
int results_row_from_json(const cJSON *json, struct result_row *ret_row, struct error *error);
/* Write DIRECTORY/results.json. IO (rig). */
int results_write(const struct result_run *run, struct error *error);

/*
 * The run of a document. ended_unix_us is 0 for a run that did not come to its end, whatever the document says.
 *
 * name     stands for the document in errors: its path.
 * ret_run  given: result_run_done() it. `directory` is left to the caller.
 * error    SYNTAX (file): no results.json, or a broken one: the text says which row and member. USAGE (file): of a newer version.
 */
int results_from_json(const cJSON *json, const char *name, struct result_run *ret_run, struct error *error);
/* DIRECTORY/results.json. NOT_FOUND (file): there is none, so DIRECTORY is no run's folder. */
/* The document itself. Given. */
cJSON *results_read_json(const char *directory, struct error *error);
int results_read(const char *directory, struct result_run *ret_run, struct error *error);

#endif
