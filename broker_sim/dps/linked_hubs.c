#include "broker_sim/dps/linked_hubs.h"

#include "base/cleanup.h"
#include "base/files.h"

#include <string.h>
#include <strings.h>

int allocation_policy_read(const char *name, enum allocation_policy *ret_policy)
{
    static const char *const names[] = {[ALLOCATION_HASHED] = "hashed",
                                        [ALLOCATION_GEO_LATENCY] = "geoLatency",
                                        [ALLOCATION_STATIC] = "static",
                                        [ALLOCATION_CUSTOM] = "custom"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (strcasecmp(name, names[i]) != 0)
            continue;
        *ret_policy = (enum allocation_policy)i;
        return 0;
    }
    return -1;
}

void linked_hubs_init(struct linked_hubs *hubs)
{
    *hubs = (struct linked_hubs){.items = {{.name = LINKED_HUB_DEFAULT, .weight = 1, .applies = true}}, .count = 1, .is_open = true};
}

static int fail(struct error *error, const char *member, const char *what)
{
    return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, LINKED_HUBS_FILE ": %s: %s", member, what);
}

static int read_hub(const cJSON *item, struct linked_hubs *hubs, struct error *error)
{
    struct linked_hub *hub = &hubs->items[hubs->count];
    const char *name = json_string(item, "name", "");
    const cJSON *weight_member = json_member(item, "allocationWeight"), *applies = json_member(item, "applyAllocationPolicy");
    int64_t weight = weight_member ? json_integer(item, "allocationWeight", -1) : 1;
    if (!*name || strlen(name) > LINKED_HUB_NAME_MAX_BYTES)
        return fail(error, "properties.iotHubs[].name", "must be a host name, such as hub-1.azure-devices.net");
    if (linked_hubs_find(hubs, name))
        return fail(error, name, "is listed twice; drop one");
    if (weight < 0 || weight > LINKED_HUB_WEIGHT_MAX)
        return fail(error, "properties.iotHubs[].allocationWeight", "must be an integer from 0 to 1000");
    if (applies && !cJSON_IsBool(applies))
        return fail(error, "properties.iotHubs[].applyAllocationPolicy", "must be true or false");
    *hub = (struct linked_hub){.weight = (int)weight, .applies = json_bool(item, "applyAllocationPolicy", true)};
    snprintf(hub->name, sizeof hub->name, "%s", name);
    hubs->count++;
    return 0;
}

static int read_list(const cJSON *list, struct linked_hubs *hubs, struct error *error)
{
    const cJSON *item;
    if (!cJSON_IsArray(list))
        return fail(error, "properties.iotHubs", "must be a list of hubs, [{\"name\": \"hub-1.azure-devices.net\"}]");
    if (cJSON_GetArraySize(list) > LINKED_HUBS_MAX)
        return fail(error, "properties.iotHubs", "holds more than 50 hubs");
    cJSON_ArrayForEach(item, list) if (read_hub(item, hubs, error)) return -1;
    return 0;
}

int linked_hubs_read_json(const cJSON *json, struct linked_hubs *ret_hubs, struct error *error)
{
    struct linked_hubs hubs = {.count = 0};
    const cJSON *properties = json_member(json, "properties");
    const char *policy = json_string(properties, "allocationPolicy", "hashed");
    if (!cJSON_IsObject(properties))
        return fail(error, "properties", "is missing; the file has the shape of 'az iot dps show': {\"properties\": {\"iotHubs\": [...]}}");
    if (allocation_policy_read(policy, &hubs.policy) || hubs.policy == ALLOCATION_CUSTOM)
        return fail(error, "properties.allocationPolicy", "must be Hashed, GeoLatency or Static");
    if (read_list(json_member(properties, "iotHubs"), &hubs, error))
        return -1;
    *ret_hubs = hubs;
    return 0;
}

int linked_hubs_read(const char *dir, struct linked_hubs *ret_hubs, struct error *error)
{
    CLEANUP_FREE char *path = path_join(dir, LINKED_HUBS_FILE);
    if (!path)
        return error_set_memory(error);
    if (!path_exists(path)) {
        linked_hubs_init(ret_hubs);
        return 0;
    }
    CLEANUP_JSON cJSON *json = json_read_file(path, error);
    return json ? linked_hubs_read_json(json, ret_hubs, error) : -1;
}

const struct linked_hub *linked_hubs_find(const struct linked_hubs *hubs, const char *name)
{
    for (size_t i = 0; i < hubs->count; i++)
        if (strcasecmp(hubs->items[i].name, name) == 0)
            return &hubs->items[i];
    return NULL;
}
