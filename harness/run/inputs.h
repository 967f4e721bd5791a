/*
 * harness/run/inputs.h - what a run was made of, as hashes: rig, cases, quarantine, dialects
 *
 * What:     one SHA-256 a file, under the name that a person knows it by, so that a run that goes on later can say which of them has changed.
 */
#ifndef HARNESS_RUN_INPUTS_H
#define HARNESS_RUN_INPUTS_H

#include "base/json.h"
#include "harness/run/run.h"

enum { INPUT_MAX_BYTES = 4 * 1024 * 1024 };

/* {"my.yaml": "ab12...", "cases/refused/wrong-chain.yaml": ...}. Given; NULL on failure: IO (rig), NOT_FOUND (file), CRYPTO (ours). */
cJSON *inputs_hash(const struct run_options *options, struct error *error);
/*
 * What `rows` are chosen from, before they are dealt out to shards: the same on every machine that has the same cases and is asked the same. `rig` does
 * not belong to it: boards of several machines differ. As inputs_hash.
 */
int inputs_suite(const struct run_options *options, const struct case_list *rows, struct result_suite *ret_suite, struct error *error);
/* CONFLICT (file): the text names a file that has changed, is new, or is gone. */
int inputs_compare(const cJSON *then, const cJSON *now, struct error *error);

#endif
