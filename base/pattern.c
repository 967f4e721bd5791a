#include "base/pattern.h"

#include <stdlib.h>
#include <string.h>

/* The groups that are open at one point of the expression; each level sums up what stands in it. */
struct levels {
    size_t sums[PATTERN_GROUPS_DEEP_MAX + 1];
    size_t depth;
    size_t last; /* what the last atom costs: a repetition multiplies it */
};

/* Sums stay small enough to be multiplied once more. */
static size_t bounded(size_t cost)
{
    return cost > PATTERN_COST_MAX ? PATTERN_COST_MAX + 1 : cost;
}

static void add_atom(struct levels *levels, size_t cost)
{
    levels->last = bounded(cost);
    levels->sums[levels->depth] = bounded(levels->sums[levels->depth] + levels->last);
}

static void repeat(struct levels *levels, size_t times)
{
    size_t *sum = &levels->sums[levels->depth];
    size_t before = levels->last;
    levels->last = bounded(before * times);
    *sum = bounded(*sum + levels->last - before);
}

/* "{2,30}": the larger number. ret_end: its last character. */
static size_t brace_times(const char *at, const char **ret_end)
{
    char *end;
    unsigned long low = strtoul(at + 1, &end, 10), high = *end == ',' ? strtoul(end + 1, &end, 10) : low;
    *ret_end = *end == '}' ? end : at;
    unsigned long times = high > low ? high : low;
    return times > PATTERN_COST_MAX ? PATTERN_COST_MAX + 1 : times + 1;
}

/* The last character of a bracket expression, "[]abc]" or "[^]abc]"; of the text where it is never closed. */
static const char *skip_bracket(const char *at)
{
    const char *first = at + 1 + (at[1] == '^');
    const char *end = *first ? strchr(first + 1, ']') : NULL;
    return end ? end : at + strlen(at) - 1;
}

static void close_group(struct levels *levels)
{
    size_t inside = levels->sums[levels->depth--];
    add_atom(levels, inside + 1);
}

size_t pattern_cost(const char *text)
{
    struct levels levels = {.depth = 0};
    for (const char *at = text; *at; at++) {
        if (*at == '(' && levels.depth == PATTERN_GROUPS_DEEP_MAX)
            return PATTERN_COST_MAX + 1;
        if (*at == '\\' && at[1] >= '1' && at[1] <= '9')
            return PATTERN_COST_MAX + 1;
        if (*at == '(')
            levels.sums[++levels.depth] = 0;
        else if (*at == ')' && levels.depth > 0)
            close_group(&levels);
        else if (*at == '+')
            repeat(&levels, 2);
        else if (*at == '{')
            repeat(&levels, brace_times(at, &at));
        else if (*at != '*' && *at != '?')
            add_atom(&levels, 1);
        if (*at == '[')
            at = skip_bracket(at);
        else if (*at == '\\' && at[1])
            at++;
    }
    while (levels.depth > 0)
        close_group(&levels);
    return levels.sums[0];
}
