/*
 * harness/try/trial_report.h - a try's result, for a person and for a program
 *
 * Text:     the verdict in one line; what the service saw; how it decided and where Azure would show it, with the evidence; what to type; warnings.
 * JSON:     docs/try.md.
 */
#ifndef HARNESS_TRY_TRIAL_REPORT_H
#define HARNESS_TRY_TRIAL_REPORT_H

#include "harness/try/trial.h"

#include <stdio.h>

void trial_print(FILE *file, const struct try_request *request, const struct trial_result *result, bool has_colour);
/* NULL when out of memory. */
cJSON *trial_to_json(const struct try_request *request, const struct trial_result *result);

#endif
