/*
 * harness/calibrate/comparison.h - a device beside the virtual DK: what was assumed, what was observed
 *
 * What:     one finding for each thing that the virtual DK assumes of a board of this firmware: its value, the board's, and whether they agree.
 *           Times agree within a factor of two; everything else word for word. What was not seen is said so.
 */
#ifndef HARNESS_CALIBRATE_COMPARISON_H
#define HARNESS_CALIBRATE_COMPARISON_H

#include "harness/calibrate/measure.h"

#include <stdio.h>

/*
 * Given: cJSON_Delete() it; NULL when out of memory. A list of {"id" ("tls-errno.expired"; docs/virtual-dk.md, "Assumed"), "what", "assumed",
 * "observed", "verdict" "confirmed", "refuted", "not-observed"}; for lines also "only_board" and "only_virtual" (lists of texts).
 */
cJSON *comparison_make(const struct measures *board, const struct measures *virtual_dk);
void comparison_print(const cJSON *comparison, FILE *out);

/* The profile (docs/calibrate.md) as YAML text; malloc'ed, NULL when out of memory. `date`: "2026-11-21". */
char *profile_write(const struct measures *board, const char *date);

#endif
