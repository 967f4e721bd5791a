/*
 * base/pattern.h - what a POSIX extended expression costs before it is compiled
 *
 * Why:      glibc unrolls repetitions: a++++++++++++++++++++++++++++++ and (((a{99}){99}){99}) are short, and their compilation takes all memory. Files
 *           of cases and dialects are other people's, so their expressions are measured first.
 */
#ifndef BASE_PATTERN_H
#define BASE_PATTERN_H

#include <stddef.h>

enum { PATTERN_COST_MAX = 20000, PATTERN_GROUPS_DEEP_MAX = 32 };

/* About how many nodes the unrolled expression has; more than PATTERN_COST_MAX for one that must not be compiled. */
size_t pattern_cost(const char *text);

#endif
