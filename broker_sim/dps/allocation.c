#include "broker_sim/dps/allocation.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* FNV-1a over the lower-case id: registration ids are compared without regard to case. */
static uint32_t hash(const char *registration_id)
{
    uint32_t value = 0x811c9dc5U;
    for (const unsigned char *c = (const unsigned char *)registration_id; *c; c++)
        value = (value ^ (unsigned)tolower(*c)) * 0x01000193U;
    return value ^ value >> 16; /* FNV's low bits alone are weak */
}

static void add(struct allocation *allocation, const char *name, int weight)
{
    if (allocation->count >= LINKED_HUBS_MAX)
        return;
    allocation->hubs[allocation->count] = name;
    allocation->weights[allocation->count++] = weight;
}

static void add_named(struct allocation *allocation, const struct linked_hubs *linked, const char *name)
{
    const struct linked_hub *hub = linked_hubs_find(linked, name);
    if (hub || linked->is_open)
        add(allocation, name, hub ? hub->weight : 1);
}

/* Those that the enrollment selects, without any all that are linked. */
static void gather(struct allocation *allocation, const struct allocation_question *question)
{
    const cJSON *list = json_member(question->enrollment, "iotHubs"), *item;
    const char *host_name = json_string(question->enrollment, "iotHubHostName", "");
    const struct linked_hubs *linked = question->linked;
    if (cJSON_GetArraySize(list) > 0) {
        cJSON_ArrayForEach(item, list) if (cJSON_IsString(item)) add_named(allocation, linked, item->valuestring);
    } else if (*host_name) {
        add_named(allocation, linked, host_name);
    } else {
        for (size_t i = 0; i < linked->count; i++)
            if (linked->items[i].applies)
                add(allocation, linked->items[i].name, linked->items[i].weight);
    }
}

static const char *hashed(const struct allocation *allocation, const char *registration_id)
{
    uint32_t total = 0;
    for (size_t i = 0; i < allocation->count; i++)
        total += (uint32_t)allocation->weights[i];
    if (!total)
        return NULL;
    uint32_t at = hash(registration_id) % total;
    size_t i = 0;
    for (; at >= (uint32_t)allocation->weights[i]; i++)
        at -= (uint32_t)allocation->weights[i];
    return allocation->hubs[i];
}

static enum allocation_policy policy_of(const struct allocation_question *question)
{
    enum allocation_policy policy = question->linked->policy;
    allocation_policy_read(json_string(question->enrollment, "allocationPolicy", ""), &policy);
    return policy;
}

/* New api-versions migrate where an enrollment has no policy of its own; before them a device stayed where it was. */
static enum reprovision_policy reprovision_of(const struct allocation_question *question)
{
    const cJSON *policy = json_member(question->enrollment, "reprovisionPolicy");
    if (!policy)
        return question->is_sticky ? REPROVISION_NEVER : REPROVISION_MIGRATE;
    if (!json_bool(policy, "updateHubAssignment", true))
        return REPROVISION_NEVER;
    return json_bool(policy, "migrateDeviceData", true) ? REPROVISION_MIGRATE : REPROVISION_RESET;
}

struct allocation allocation_make(const struct allocation_question *question)
{
    struct allocation allocation = {.policy = policy_of(question), .reprovision = reprovision_of(question)};
    if (allocation.reprovision == REPROVISION_NEVER && question->current_hub[0])
        add(&allocation, question->current_hub, 1);
    else
        gather(&allocation, question);
    if (!allocation.count || allocation.policy == ALLOCATION_CUSTOM)
        return allocation;
    bool is_hashed = allocation.policy == ALLOCATION_HASHED || allocation.policy == ALLOCATION_GEO_LATENCY;
    allocation.hub = is_hashed ? hashed(&allocation, question->registration_id) : allocation.hubs[0];
    return allocation;
}

enum registration_substatus allocation_substatus(const char *current_hub, const char *hub, enum reprovision_policy policy)
{
    if (!current_hub[0])
        return SUBSTATUS_INITIAL;
    if (strcasecmp(current_hub, hub) == 0)
        return SUBSTATUS_REPROVISIONED;
    return policy == REPROVISION_RESET ? SUBSTATUS_RESET : SUBSTATUS_MIGRATED;
}
