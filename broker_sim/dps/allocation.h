/*
 * broker_sim/dps/allocation.h - which hub a device is assigned to
 *
 * What:     from the enrollment's iotHubs and iotHubHostName, by its allocationPolicy: "static" takes the first, everything else ("hashed",
 * the default; "geoLatency"; "custom", whose webhook is not called) spreads registration ids evenly and always alike. Hubs that enrollments
 * name count as linked. Source:   "How to use allocation policies", Azure documentation.
 */
#ifndef BROKER_SIM_DPS_ALLOCATION_H
#define BROKER_SIM_DPS_ALLOCATION_H

#include "base/json.h"

#define ALLOCATION_DEFAULT_HUB "dpsbench-hub.azure-devices.net"

/* `enrollment`: an individual enrollment or a group as JSON. The host name, lent from it; ALLOCATION_DEFAULT_HUB when it names none. */
const char *allocation_hub(const cJSON *enrollment, const char *registration_id);

#endif
