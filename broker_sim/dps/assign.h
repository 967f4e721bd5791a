/*
 * broker_sim/dps/assign.h - how a register request ends: hub, device id, data; internal to broker_sim/dps
 *
 * What:     makes the outcome of an operation from what was decided at CONNECT, the enrollment and where the device is now; asks the webhook of a
 *           custom allocation; makes the identity at the hub once the operation has ended.
 */
#ifndef BROKER_SIM_DPS_ASSIGN_H
#define BROKER_SIM_DPS_ASSIGN_H

#include "broker_sim/dps/allocation.h"
#include "broker_sim/dps/exchange.h"

/* What a register request will do. Texts of `outcome` are lent. */
struct assignment_plan {
    struct registration_outcome outcome; /* status UNASSIGNED: a webhook is to be asked */
    int64_t polls;                       /* that it takes */
    struct allocation allocation;
    const cJSON *enrollment; /* lent by the state; NULL: none */
    struct registration_place before;
};

void assign_plan(const struct dps *dps, const struct exchange *exchange, struct assignment_plan *ret_plan);

/* Ask the webhook of the plan for the operation that was started; its answer settles the operation. body: of the register request. */
void assign_ask_webhook(const struct dps *dps, const struct exchange *exchange, const struct assignment_plan *plan,
                        const struct register_body *body, const struct registration *registration);

/* The operation has ended: the identity at the hub is made before the device hears of it. before: where the device was until then. */
void assign_ended(const struct dps *dps, const struct exchange *exchange, const struct registration *registration,
                  const struct registration_place *before);

#endif
