/*
 * harness/run/watch.h - one row's expectations against the events that come
 *
 * What:     follows `in_order` and `never` of the three views, event by event, keeps the nearest miss, and says what the verdict is and why.
 *           A view's expectations are met in their order, or in any; other events may come between, and what the device is known to fail may be
 *           left out. An event meets one expectation of each list.
 * Not here: which events belong to the row (attempt.h decides), deadlines, the rig's own troubles.
 */
#ifndef HARNESS_RUN_WATCH_H
#define HARNESS_RUN_WATCH_H

#include "harness/case/case.h"
#include "reports/result.h"

/* One view's progress. */
struct watch_view {
    size_t met;                           /* the next of in_order to come; all before it came, or are known to fail */
    bool seen[CASE_EXPECTATIONS_MAX];     /* of in_order: it came, in time */
    bool any_seen[CASE_EXPECTATIONS_MAX]; /* of in_any_order */
    int64_t met_us;                       /* when the last of them did, on its source's monotonic clock */
    size_t noticed;                       /* `met` when watch_is_overdue last looked, and ... */
    int64_t noticed_us;                   /* ... since when it is so, on the bench's clock */
    size_t never_counts[CASE_EXPECTATIONS_MAX];
    cJSON *nearest; /* the event that came nearest to the next expectation */
    int nearness;   /* conditions that it met; -1: none came */
    cJSON *last;    /* the last event of the view that means something (no console.line, no AT traffic) */
    size_t event_count;
};

/* A `never` that happened, or what came at the wrong time. */
struct watch_violation {
    const struct expectation *expectation; /* lent from the row */
    cJSON *event;
    double seconds; /* the wrong time, in device seconds */
};

enum { WATCH_VIOLATIONS_MAX = 16 };

struct watch {
    const struct case_row *row; /* lent */
    double time_scale;
    struct watch_view views[CASE_VIEW_COUNT];
    struct watch_violation violations[WATCH_VIOLATIONS_MAX]; /* the first of each expectation */
    size_t violation_count;
    bool findings_seen[CASE_LIST_MAX];
    cJSON *verdict; /* the last attestation.verdict */
    cJSON *hub_verdict;
    const struct expectation *refusal; /* what the last of the two met, when it was a refusal and the row asks for it; lent from the row */
    cJSON *assigned;                   /* the last dps.assigned */
    cJSON *fault;                      /* the last scenario.fault */
    cJSON *alert;                      /* the last tls.alert, but for close_notify */
    cJSON *failed;                     /* the last tls.failed */
    cJSON *assumed;                    /* array: what the events say that they leaned on; NULL: nothing */
    bool has_dropped_lines;
};

void watch_init(struct watch *watch, const struct case_row *row, double time_scale);
void watch_done(struct watch *watch);
/* Lent event, of any view; kinds of the bench are ignored. */
void watch_event(struct watch *watch, const cJSON *event);
/* Every in_order and in_any_order is complete, but for what is known to fail. */
bool watch_is_met(const struct watch *watch);
/* Something happened that must never, and that is not known to happen. */
bool watch_is_violated(const struct watch *watch);
/*
 * Waiting on is of no use: what must come by a certain time (after_s) is overdue, or so is what is known to fail, and all else has come. Ask
 * again and again: it notices by itself when something came. now_us: the bench's monotonic clock.
 */
bool watch_is_overdue(struct watch *watch, int64_t now_us);
/* "console 1/2, wire 0/1, service 2/2": for progress and for time-outs. `text` holds WATCH_TEXT_BYTES. */
enum { WATCH_TEXT_BYTES = 96 };
void watch_progress(const struct watch *watch, char *text);
/* Put outcome, rule, surface, mend and findings into the row's result: what was seen, whatever the verdict. */
void watch_tell(const struct watch *watch, struct result_row *result);
/*
 * Unless everything is as expected: verdict fail with its reason (inconclusive when the console has a hole where it should have come), or known when
 * nothing failed but what is known to. Known findings are added: those that failed, and those that did not although they are known to.
 */
void watch_judge(const struct watch *watch, struct result_row *result);

#endif
