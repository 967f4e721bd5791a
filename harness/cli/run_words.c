#include "harness/cli/run_words.h"

#include "base/arguments.h"
#include "harness/run/run.h"
#include "harness/run/shard.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { DIGITS_MAX = 7 };

/* Digits alone: strtol() would take spaces and signs. -1: none, or too many. */
static long read_number(const char **at)
{
    const char *begin = *at;
    while (isdigit((unsigned char)**at))
        (*at)++;
    return *at == begin || *at - begin > DIGITS_MAX ? -1 : strtol(begin, NULL, 10);
}

/* Hours, minutes, seconds, each once and in this order; a number alone is seconds. 0: the word is no such thing. */
static int64_t read_duration(const char *at)
{
    static const struct {
        char letter;
        int64_t seconds;
    } units[] = {{'h', 3600}, {'m', 60}, {'s', 1}};
    int64_t total = 0;
    for (size_t unit = 0; *at; at += *at != 0) {
        long number = read_number(&at);
        char letter = *at ? *at : 's';
        while (unit < sizeof units / sizeof units[0] && units[unit].letter != letter)
            unit++;
        if (number < 0 || unit == sizeof units / sizeof units[0])
            return 0;
        total += number * units[unit++].seconds;
    }
    return total;
}

int run_words_duration(const char *word, int64_t *ret_s, struct error *error)
{
    int64_t seconds = read_duration(word);
    if (seconds < 1 || seconds > RUN_TIME_BUDGET_MAX_S)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "'%s' is no time from 1 second to 30 days, as in 45s, 20m, 8h or 1h30m",
                         word);
    *ret_s = seconds;
    return 0;
}

int run_words_shard(const char *word, unsigned *ret_index, unsigned *ret_count, struct error *error)
{
    const char *at = word;
    long index = read_number(&at);
    bool has_slash = *at == '/';
    at += has_slash;
    long count = has_slash ? read_number(&at) : -1;
    if (*at || index < 1 || count < 1 || count > SHARDS_MAX || index > count)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "'%s' is no shard: I/N, with I from 1 to N, and N at most %d, as in 2/5",
                         word, SHARDS_MAX);
    *ret_index = (unsigned)index;
    *ret_count = (unsigned)count;
    return 0;
}

double run_words_time_scale(const char *word, struct argp_state *state)
{
    char *end;
    double scale = strtod(word, &end);
    if (!*word || *end || !(scale >= 1 && scale <= RUN_TIME_SCALE_MAX))
        arguments_refuse(state, "'%s' is not a time scale from 1 to %d", word, RUN_TIME_SCALE_MAX);
    return scale;
}

bool run_words_keeps_order(const char *word, struct argp_state *state)
{
    if (strcmp(word, "listed") != 0 && strcmp(word, "planned") != 0)
        arguments_refuse(state, "'%s' is no order; one of: planned, listed", word);
    return strcmp(word, "listed") == 0;
}
