/*
 * base/pattern.h - what a POSIX extended expression costs before it is compiled
 *
 * Why:      glibc unrolls repetitions: a++++++++++++++++++++++++++++++ and (((a{99}){99}){99}) are short, and their compilation takes all memory. Files
 *           of cases and dialects are other people's, so their expressions are measured first. Where what is repeated may be empty, the time of the
 *           compilation grows with the third power of the nodes, (((a*)+)+)+ and on: 400 nodes take 0.09 s, 1500 1.3 s, 6000 half a minute.
 *           A back reference, \1, is no part of POSIX extended expressions; glibc takes it, and a match may then take for ever.
 */
#ifndef BASE_PATTERN_H
#define BASE_PATTERN_H

#include <stddef.h>

enum { PATTERN_COST_MAX = 300, PATTERN_GROUPS_DEEP_MAX = 32 };

/* About how many nodes the unrolled expression has; more than PATTERN_COST_MAX for one that must not be compiled, or that refers back. */
size_t pattern_cost(const char *text);

#endif
