/*
 * broker_sim/hub/registry.h - the device identities of all hubs
 *
 * What:     one identity a device id (compared with regard to case, as IoT Hub does), made by DPS when it assigns: the hub, the thumbprint
 *           of the leaf that the device presented, its twin. Registering again replaces hub and thumbprint and keeps the twin.
 * Why:      DPS creates identities of the kind "selfSigned" with the leaf's thumbprint, for enrollment groups too: a device that rolls its
 *           leaf is refused by the hub until it registers again.
 * Kept:     every change is put into the store that hub_registry_load was given; whoever tells of it flushes that first (service_port.h,
 *           commit). hub_device_to_json and hub_device_from_json are the form there.
 * Limits:   HUB_DEVICES_MAX identities, TWIN_MAX_BYTES of reported properties a twin.
 */
#ifndef BROKER_SIM_HUB_REGISTRY_H
#define BROKER_SIM_HUB_REGISTRY_H

#include "base/error.h"
#include "base/json.h"
#include "broker_sim/store/store.h"
#include "certs/chain.h"

enum { HUB_DEVICES_MAX = 100000, TWIN_MAX_BYTES = 32 * 1024, HUB_TEXT_MAX_BYTES = 255 };

struct hub_registry;

struct hub_device {
    struct hub_registry *registry; /* that it belongs to */
    char device_id[HUB_TEXT_MAX_BYTES + 1];
    char hub[HUB_TEXT_MAX_BYTES + 1];
    char sha256[SHA256_HEX_BYTES]; /* of the leaf; "" : none was presented */
    cJSON *reported;               /* without $version; owned */
    int64_t reported_version;
    uint64_t session; /* connected as; 0: not connected */
};

struct hub_registry *hub_registry_new(void);           /* NULL when out of memory */
void hub_registry_free(struct hub_registry *registry); /* NULL allowed */

/* Read all devices of `kept` (lent for the life of the registry), and put every change there from now on. SYNTAX (file), LIMIT, MEMORY, IO (rig). */
int hub_registry_load(struct hub_registry *registry, struct store *kept, struct error *error);
/* All that is kept of a device. Given; NULL when out of memory. */
cJSON *hub_device_to_json(const struct hub_device *device);
/* Fill all but `registry`, device_id and `session`; members that are missing keep what is there. MEMORY. */
int hub_device_from_json(const cJSON *json, struct hub_device *device, struct error *error);

/* LIMIT (rig), MEMORY. */
int hub_registry_put(struct hub_registry *registry, const char *hub, const char *device_id, const char *sha256, struct error *error);
/* Lent, until the registry goes. NULL when there is none. */
struct hub_device *hub_registry_find(const struct hub_registry *registry, const char *device_id);

/*
 * Merge `patch` into the reported properties (RFC 7396: null removes) and count the version up.
 *
 * error   SYNTAX (device): not a JSON object. LIMIT (device): the twin would be too large. LIMIT (rig): too many changes wait to be written.
 */
int hub_device_patch(struct hub_device *device, const void *patch, size_t length_bytes, struct error *error);
/* {"desired":{"$version":1},"reported":{...,"$version":n}}; NULL when out of memory. */
cJSON *hub_device_twin(const struct hub_device *device);

#endif
