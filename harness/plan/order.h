/*
 * harness/plan/order.h - in which order rows run, so that a device's modem is written to least
 *
 * What:     a stop is what one row needs of a device: the text of each credential slot, and whether an assignment may be stored. The order is
 *           searched that changes the fewest slots (flash wears out, and Nordic names no number), then takes the least device time. A bound
 *           that no order can beat stands beside it, so that the search can be judged.
 * Method:   a shortest Hamiltonian path over the different sets of texts, distance: slots that differ. Nearest neighbour from every set, then
 *           2-opt and or-opt. Bound: the greater of the minimum spanning tree and of the sum of different texts a slot.
 * Same:     the same stops give the same order, always; among equals the order of the file stays.
 * Threads:  none; no clock, no files.
 */
#ifndef HARNESS_PLAN_ORDER_H
#define HARNESS_PLAN_ORDER_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ORDER_SLOTS = 3, ORDER_STOPS_MAX = 16384 };

#define ORDER_UNKNOWN UINT32_MAX /* nobody knows what the slot holds */

struct order_stop {
    uint32_t slots[ORDER_SLOTS]; /* equal numbers: equal texts; any number may stand for "absent" */
    bool needs_fresh;            /* no assignment may be stored when it starts */
    bool leaves_assignment;      /* one is stored when it ends well */
    double device_s;             /* from the boot to its end, device seconds */
};

/* What the device is like before the first stop. */
struct order_start {
    uint32_t slots[ORDER_SLOTS];
    bool may_be_assigned;
};

/* Device seconds. */
struct order_costs {
    double write_s;   /* one slot written or deleted */
    double prepare_s; /* once a stop: modem off, list of what it holds */
    double reset_s;   /* until the application runs, network included */
    double forget_s;  /* a boot that forgets the assignment, all in all, instead of a reset */
};

struct order_bill {
    size_t writes; /* slots written or deleted */
    size_t resets;
    size_t forgets;
    double device_s; /* all together, the stops' own time included */
};

/*
 * ret_order  `count` indices of stops, filled.
 * Errors:    LIMIT (file): more than ORDER_STOPS_MAX. MEMORY.
 */
int order_find(const struct order_stop *stops, size_t count, const struct order_start *start, const struct order_costs *costs,
               size_t *ret_order, struct error *error);

/* What an order costs. `order` NULL: as they stand. */
struct order_bill order_bill(const struct order_stop *stops, const size_t *order, size_t count, const struct order_start *start,
                             const struct order_costs *costs);

/* What no order can go below: writes, forgets, device_s. `resets`: the other boots. */
int order_bound(const struct order_stop *stops, size_t count, const struct order_start *start, const struct order_costs *costs,
                struct order_bill *ret_bound, struct error *error);

#endif
