/*
 * reports/progress.h - what a person sees while a run goes on
 *
 * What:     on a terminal one line that is rewritten (row, step, elapsed, left); elsewhere a plain line with each
 *           verdict. Goes to stderr: results never do.
 * Clock:    injected; the caller ticks (progress_tick) as often as it likes, the line is rewritten at most ten times a second.
 */
#ifndef REPORTS_PROGRESS_H
#define REPORTS_PROGRESS_H

#include "base/clock.h"
#include "reports/result.h"

#include <stdio.h>

enum { PROGRESS_STEP_MAX_BYTES = 160 };

struct progress {
    FILE *file; /* NULL: say nothing */
    const struct clock *clock;
    bool is_terminal;
    bool has_colour;
    size_t row_number; /* from 1 */
    size_t row_total;
    const char *row;   /* lent */
    bool names_device; /* with each verdict */
    bool is_many;      /* `step` tells of several rows at once */
    char step[PROGRESS_STEP_MAX_BYTES];
    int64_t row_started_us;
    deadline_t row_deadline;
    int64_t drawn_us;
    bool is_drawn;
};

void progress_init(struct progress *progress, FILE *file, const struct clock *clock, size_t row_total);
/* A row begins; `deadline`: the latest end of its attempt. */
void progress_row(struct progress *progress, const char *row, deadline_t deadline);
/* Rows are counted from one verdict to the next; whoever repeats some says what the number of the next is. */
void progress_set_number(struct progress *progress, size_t number);
/* What it does, or waits for, now. */
void progress_step(struct progress *progress, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Several rows at once, in words; their verdicts come by progress_verdict in any order. */
void progress_many(struct progress *progress, const char *text);
void progress_tick(struct progress *progress);
void progress_verdict(struct progress *progress, const struct result_row *row);
/* A line that stays, for a person: "simulator: 127.0.0.1:40123". */
void progress_say(struct progress *progress, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Take the rewritten line away. */
void progress_done(struct progress *progress);

#endif
