/*
 * perf/run/goals.h - figures against goals: a table for a person, JSON for a program
 *
 * Not here: how the figures come about (measure.h). The goals are those of docs/performance.md.
 */
#ifndef PERF_RUN_GOALS_H
#define PERF_RUN_GOALS_H

#include "perf/run/measure.h"

enum { GOALS_MAX = 16, GOAL_TEXT_BYTES = 96 };

struct goal {
    const char *id; /* lent: "connack-to-bare" */
    const char *text;
    const char *unit; /* "" for a ratio */
    double limit;
    bool is_at_least; /* else: at most */
    double figure;
    char detail[GOAL_TEXT_BYTES];
};

/* Those that were measured. Returns how many. */
size_t goals_of(const struct figures *figures, struct goal goals[GOALS_MAX]);
bool goal_is_met(const struct goal *goal);
/* Loads with a failed device or a wrong reply: then no figure is worth anything. */
bool figures_are_clean(const struct figures *figures);

void goals_print(const struct figures *figures);
/* NULL when out of memory. */
cJSON *goals_json(const struct figures *figures);

#endif
