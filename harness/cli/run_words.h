/*
 * harness/cli/run_words.h - words of `dpsbench run` that stand for numbers: a length of time, a shard
 */
#ifndef HARNESS_CLI_RUN_WORDS_H
#define HARNESS_CLI_RUN_WORDS_H

#include "base/error.h"

#include <stdint.h>

enum { RUN_TIME_BUDGET_MAX_S = 30 * 24 * 3600 };

/* "90", "90s", "20m", "8h", "1h30m": seconds, 1 to RUN_TIME_BUDGET_MAX_S. USAGE (file). */
int run_words_duration(const char *word, int64_t *ret_s, struct error *error);
/* "2/5". USAGE (file). */
int run_words_shard(const char *word, unsigned *ret_index, unsigned *ret_count, struct error *error);

#endif
