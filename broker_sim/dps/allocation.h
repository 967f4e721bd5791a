/*
 * broker_sim/dps/allocation.h - which hub a device is assigned to, and what becomes of its data there
 *
 * What:     the hubs that may take it, the choice among them by allocation policy, the reprovision policy, the substatus that follows.
 * Policies: "hashed" spreads registration ids by the hubs' weights, evenly and always alike. "geoLatency" takes the hub of the lowest latency,
 *           and hashes among hubs of the same: here all have the same. "static" takes the first hub. "custom" asks a webhook
 *           (custom_allocation.h).
 * Source:   "How to use allocation policies", "IoT Hub Device reprovisioning concepts", "Understand custom allocation policies", Azure
 *           documentation.
 */
#ifndef BROKER_SIM_DPS_ALLOCATION_H
#define BROKER_SIM_DPS_ALLOCATION_H

#include "broker_sim/dps/linked_hubs.h"
#include "broker_sim/dps/registration.h"

enum reprovision_policy { REPROVISION_MIGRATE, REPROVISION_RESET, REPROVISION_NEVER };

struct allocation_question {
    const cJSON *enrollment; /* individual enrollment or group */
    const struct linked_hubs *linked;
    const char *registration_id;
    const char *current_hub; /* "": never assigned */
    bool is_sticky;          /* an api-version in which a missing reprovision policy means that the device stays */
};

/* A plain value; names are lent from enrollment, linked hubs and current_hub. */
struct allocation {
    enum allocation_policy policy;
    enum reprovision_policy reprovision;
    const char *hubs[LINKED_HUBS_MAX]; /* that may take the device: what a webhook gets as linkedHubs */
    int weights[LINKED_HUBS_MAX];
    size_t count;
    const char *hub; /* the choice; NULL: policy custom, or no hub at all */
};

struct allocation allocation_make(const struct allocation_question *question);

/* What it is called when a device that was at `current_hub` ("": nowhere) is assigned to `hub`. */
enum registration_substatus allocation_substatus(const char *current_hub, const char *hub, enum reprovision_policy policy);

#endif
