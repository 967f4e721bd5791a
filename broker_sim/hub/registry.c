#include "broker_sim/hub/registry.h"

#include <search.h>
#include <string.h>

struct hub_registry {
    struct store *kept; /* NULL: nothing is kept */
    void *tree;         /* of struct hub_device, by device id */
    size_t count;
};

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct hub_device *)a)->device_id, ((const struct hub_device *)b)->device_id);
}

static void device_free(void *pointer)
{
    struct hub_device *device = pointer;
    cJSON_Delete(device->reported);
    free(device);
}

struct hub_registry *hub_registry_new(void)
{
    return calloc(1, sizeof(struct hub_registry));
}

void hub_registry_free(struct hub_registry *registry)
{
    if (registry)
        tdestroy(registry->tree, device_free);
    free(registry);
}

struct hub_device *hub_registry_find(const struct hub_registry *registry, const char *device_id)
{
    struct hub_device key;
    if (snprintf(key.device_id, sizeof key.device_id, "%s", device_id) >= (int)sizeof key.device_id)
        return NULL;
    void *const *node = tfind(&key, &registry->tree, compare);
    return node ? *node : NULL;
}

static struct hub_device *add(struct hub_registry *registry, const char *device_id, struct error *error)
{
    if (registry->count >= HUB_DEVICES_MAX) {
        error_set(error, ERROR_OWNER_RIG, ERROR_LIMIT, "the hubs hold %d devices already", HUB_DEVICES_MAX);
        return NULL;
    }
    struct hub_device *made = calloc(1, sizeof *made);
    if (made) {
        snprintf(made->device_id, sizeof made->device_id, "%s", device_id);
        made->registry = registry;
        made->reported_version = 1;
        made->reported = cJSON_CreateObject();
    }
    if (!made || !made->reported || !tsearch(made, &registry->tree, compare)) {
        error_set_memory(error);
        if (made)
            device_free(made);
        return NULL;
    }
    registry->count++;
    return made;
}

/* --- what is kept --- */

cJSON *hub_device_to_json(const struct hub_device *device)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_add_string(json, "hub", device->hub) || json_add_string(json, "sha256", device->sha256) ||
        json_add(json, "reported", cJSON_Duplicate(device->reported, true)) ||
        json_add_integer(json, "reportedVersion", device->reported_version))
        return NULL;
    return TAKE(json);
}

int hub_device_from_json(const cJSON *json, struct hub_device *device, struct error *error)
{
    const cJSON *reported = json_member(json, "reported");
    cJSON *copy = cJSON_IsObject(reported) ? cJSON_Duplicate(reported, true) : cJSON_CreateObject();
    if (!copy)
        return error_set_memory(error);
    cJSON_Delete(device->reported);
    device->reported = copy;
    device->reported_version = json_integer(json, "reportedVersion", 1);
    snprintf(device->hub, sizeof device->hub, "%s", json_string(json, "hub", ""));
    snprintf(device->sha256, sizeof device->sha256, "%s", json_string(json, "sha256", ""));
    return 0;
}

static int load_row(void *user, const char *id, const cJSON *json, struct error *error)
{
    struct hub_registry *registry = user;
    struct hub_device *device = add(registry, id, error);
    return device ? hub_device_from_json(json, device, error) : -1;
}

int hub_registry_load(struct hub_registry *registry, struct store *kept, struct error *error)
{
    if (store_each(kept, STORE_DEVICE, load_row, registry, error))
        return -1;
    registry->kept = kept;
    return 0;
}

static int keep(const struct hub_device *device, struct error *error)
{
    if (!device->registry->kept)
        return 0;
    CLEANUP_JSON cJSON *json = hub_device_to_json(device);
    return json ? store_put(device->registry->kept, STORE_DEVICE, device->device_id, json, error) : error_set_memory(error);
}

/* --- changes --- */

int hub_registry_put(struct hub_registry *registry, const char *hub, const char *device_id, const char *sha256, struct error *error)
{
    struct hub_device *device = hub_registry_find(registry, device_id);
    if (!device && !(device = add(registry, device_id, error)))
        return -1;
    snprintf(device->hub, sizeof device->hub, "%s", hub);
    snprintf(device->sha256, sizeof device->sha256, "%s", sha256);
    return keep(device, error);
}

/* RFC 7396. json_parse bounds the depth. */
static void merge(cJSON *target, const cJSON *patch)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, patch)
    {
        cJSON *present = cJSON_GetObjectItemCaseSensitive(target, item->string);
        if (cJSON_IsNull(item)) {
            cJSON_DeleteItemFromObjectCaseSensitive(target, item->string);
        } else if (cJSON_IsObject(item) && cJSON_IsObject(present)) {
            merge(present, item);
        } else if (cJSON_IsObject(item)) {
            json_set(target, item->string, cJSON_CreateObject());
            merge(cJSON_GetObjectItemCaseSensitive(target, item->string), item);
        } else {
            json_set(target, item->string, cJSON_Duplicate(item, true));
        }
    }
}

int hub_device_patch(struct hub_device *device, const void *patch, size_t length_bytes, struct error *error)
{
    CLEANUP_JSON cJSON *json = json_parse(patch ? patch : "", length_bytes, "reported properties", error);
    if (!json || !cJSON_IsObject(json)) {
        error_set(error, ERROR_OWNER_DEVICE, ERROR_SYNTAX, "reported properties are not a JSON object");
        return -1;
    }
    CLEANUP_JSON cJSON *merged = cJSON_Duplicate(device->reported, true);
    if (!merged)
        return error_set_memory(error);
    merge(merged, json);
    CLEANUP_FREE char *text = json_print_line(merged);
    if (!text)
        return error_set_memory(error);
    if (strlen(text) > TWIN_MAX_BYTES)
        return error_set(error, ERROR_OWNER_DEVICE, ERROR_LIMIT, "reported properties of %zu bytes; a twin holds %d", strlen(text),
                         TWIN_MAX_BYTES);
    cJSON *before = device->reported;
    device->reported = merged;
    device->reported_version++;
    if (keep(device, error)) {
        device->reported = before;
        device->reported_version--;
        return -1;
    }
    merged = NULL;
    cJSON_Delete(before);
    return 0;
}

cJSON *hub_device_twin(const struct hub_device *device)
{
    CLEANUP_JSON cJSON *twin = cJSON_CreateObject();
    cJSON *desired = cJSON_AddObjectToObject(twin, "desired");
    if (!desired || json_set_integer(desired, "$version", 1) || json_set(twin, "reported", cJSON_Duplicate(device->reported, true)) ||
        json_set_integer(cJSON_GetObjectItemCaseSensitive(twin, "reported"), "$version", device->reported_version))
        return NULL;
    return TAKE(twin);
}
