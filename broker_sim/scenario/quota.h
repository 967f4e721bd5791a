/*
 * broker_sim/scenario/quota.h - so many requests in so much time
 *
 * What:     a window that opens with the first request and holds a number of them; the next one behind its end opens another.
 * Source:   Azure documents the numbers (DPS: 1000 registrations a minute and service, 5 polls in 10 s and device), not how it counts.
 */
#ifndef BROKER_SIM_SCENARIO_QUOTA_H
#define BROKER_SIM_SCENARIO_QUOTA_H

#include <stdint.h>

struct quota_window {
    int64_t opened_us; /* monotonic; 0: never */
    int64_t count;
};

/*
 * One request more. Returns 0 when it fits, else how many microseconds are left of the window; it is not counted then.
 *
 * limit   0: none.
 */
int64_t quota_take(struct quota_window *window, int64_t now_us, int64_t length_us, int64_t limit);

#endif
