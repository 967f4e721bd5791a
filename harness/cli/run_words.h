/*
 * harness/cli/run_words.h - words that `dpsbench run` and its like share: a length of time, a shard, an order, a time scale
 */
#ifndef HARNESS_CLI_RUN_WORDS_H
#define HARNESS_CLI_RUN_WORDS_H

#include "base/error.h"

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

/* "90", "90s", "20m", "8h", "1h30m": seconds, 1 to RUN_TIME_BUDGET_MAX_S. USAGE (file). */
int run_words_duration(const char *word, int64_t *ret_s, struct error *error);
/* "2/5". USAGE (file). */
int run_words_shard(const char *word, unsigned *ret_index, unsigned *ret_count, struct error *error);
/* "listed": true; "planned": false; anything else ends the program as wrong usage. */
bool run_words_keeps_order(const char *word, struct argp_state *state);
/* 1 to RUN_TIME_SCALE_MAX; anything else likewise. */
double run_words_time_scale(const char *word, struct argp_state *state);

#endif
