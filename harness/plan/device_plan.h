/*
 * harness/plan/device_plan.h - the rows of one device in the order that spares its modem, and what that costs
 *
 * What:     says what each row needs of the device (the text of each credential slot, a device without an assignment), finds the order
 *           (order.h), and puts the rows into it. Rows whose needs the device does not meet come last: they cost nothing. Where nothing can
 *           forget a stored assignment, rows that end with one come behind all others, and only the first of them can run.
 * Costs:    device seconds, by DEVICE_PLAN_COSTS; nobody has published figures for a board: they are assumed.
 * Texts:    two rows have the same text in a slot when recipe and members are the same: within a run a recipe is forged once a device.
 * Threads:  none.
 */
#ifndef HARNESS_PLAN_DEVICE_PLAN_H
#define HARNESS_PLAN_DEVICE_PLAN_H

#include "harness/case/case.h"
#include "harness/plan/order.h"
#include "harness/rig/rig.h"

/* X(member, seconds, what it is) */
#define DEVICE_PLAN_COSTS(X)                                                                                                               \
    X(write_s, 1.5, "writing or deleting one credential")                                                                                  \
    X(prepare_s, 2.0, "modem off and the list of what it holds, before each row")                                                          \
    X(reset_s, 8.0, "from a reset until the network is there")                                                                             \
    X(erase_s, 45.0, "chip erase, programming, and the boot after it")                                                                     \
    X(row_s, 15.0, "a row from the boot to its end, when nothing in the case says more")

/* How a stored assignment is forgotten. */
enum forget_way {
    FORGET_NOT,     /* by nothing that the rig has */
    FORGET_AT_BOOT, /* the application was built so that each boot forgets it: fixture RIG_FORGETS_AT_BOOT */
    FORGET_ERASE,   /* the chip_erase hook; a virtual DK's own */
};
enum forget_way forget_way_of(const struct rig_device *device);
/* "each boot forgets", "chip erase", "nothing can": for a person. Never NULL. */
const char *forget_way_text(enum forget_way way);

struct device_plan {
    enum forget_way forget;
    struct order_costs costs;
    struct order_bill planned;   /* as the rows stand after the call */
    struct order_bill as_listed; /* as they stood before it */
    struct order_bill bound;     /* no order can go below */
    size_t row_count;            /* that the bills are about */
    size_t unmet_count;          /* rows whose needs are not met; the last of the list */
    size_t stuck_count;          /* rows that cannot run behind another's assignment (FORGET_NOT); in the bills all the same */
};

/*
 * rows         put into the planned order, or left as they are.
 * keeps_order  leave them: only the bills are wanted.
 * Errors:      MEMORY, LIMIT (file). `rows` is unharmed.
 */
int device_plan_make(const struct rig_device *device, struct case_list *rows, bool keeps_order, struct device_plan *ret_plan,
                     struct error *error);

/* The first need of the row that the device does not meet, lent; NULL: none. */
const char *device_unmet_need(const struct rig_device *device, const struct case_row *row);
/* Does it end with a stored assignment when all goes as the case says? */
bool row_leaves_assignment(const struct case_row *row);
/* Must nothing be stored when it starts? */
bool row_needs_fresh(const struct case_row *row);

#endif
