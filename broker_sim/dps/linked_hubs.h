/*
 * broker_sim/dps/linked_hubs.h - the IoT hubs that are linked to the service, and its own allocation policy
 *
 * What:     DIR/service.json, in the shape that `az iot dps show` prints: properties.allocationPolicy and properties.iotHubs [{name,
 *           allocationWeight, applyAllocationPolicy}]. Without the file there is one hub, LINKED_HUB_DEFAULT, and every hub that an enrollment
 *           names counts as linked; with it, its hubs and no others.
 * Limits:   LINKED_HUBS_MAX, as Azure; names of LINKED_HUB_NAME_MAX_BYTES.
 * Errors:   SYNTAX (file): "service.json: properties.iotHubs: ...". Unknown members are skipped.
 */
#ifndef BROKER_SIM_DPS_LINKED_HUBS_H
#define BROKER_SIM_DPS_LINKED_HUBS_H

#include "base/error.h"
#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>

#define LINKED_HUBS_FILE "service.json"
#define LINKED_HUB_DEFAULT "dpsbench-hub.azure-devices.net"
enum { LINKED_HUBS_MAX = 50, LINKED_HUB_NAME_MAX_BYTES = 255, LINKED_HUB_WEIGHT_MAX = 1000 };

/* Azure's words, compared without regard to case: "hashed", "geoLatency", "static", "custom". */
enum allocation_policy { ALLOCATION_HASHED, ALLOCATION_GEO_LATENCY, ALLOCATION_STATIC, ALLOCATION_CUSTOM };

struct linked_hub {
    char name[LINKED_HUB_NAME_MAX_BYTES + 1];
    int weight;   /* of a hash; 1 by default, 0: never chosen by one */
    bool applies; /* takes part where an enrollment names no hub */
};

/* A plain value. */
struct linked_hubs {
    struct linked_hub items[LINKED_HUBS_MAX];
    size_t count;
    bool is_open; /* what an enrollment names is linked too */
    enum allocation_policy policy;
};

/* -1: another word. */
int allocation_policy_read(const char *name, enum allocation_policy *ret_policy);

void linked_hubs_init(struct linked_hubs *hubs);
/* `json`: the file's content. */
int linked_hubs_read_json(const cJSON *json, struct linked_hubs *ret_hubs, struct error *error);
/* As linked_hubs_init when there is no file in `dir`. */
int linked_hubs_read(const char *dir, struct linked_hubs *ret_hubs, struct error *error);

/* NULL when that hub is not linked by name. Names are compared without regard to case. */
const struct linked_hub *linked_hubs_find(const struct linked_hubs *hubs, const char *name);

#endif
