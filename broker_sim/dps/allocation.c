#include "broker_sim/dps/allocation.h"

#include <ctype.h>
#include <string.h>

/* FNV-1a over the lower-case id: registration ids are compared without regard to case. */
static uint32_t hash(const char *registration_id)
{
    uint32_t value = 0x811c9dc5U;
    for (const unsigned char *c = (const unsigned char *)registration_id; *c; c++)
        value = (value ^ (unsigned)tolower(*c)) * 0x01000193U;
    return value ^ value >> 16; /* FNV's low bits alone are weak */
}

const char *allocation_hub(const cJSON *enrollment, const char *registration_id)
{
    const cJSON *hubs = json_member(enrollment, "iotHubs");
    int count = cJSON_GetArraySize(hubs);
    if (!cJSON_IsArray(hubs) || count == 0)
        return json_string(enrollment, "iotHubHostName", ALLOCATION_DEFAULT_HUB);
    bool is_static = strcmp(json_string(enrollment, "allocationPolicy", "hashed"), "static") == 0;
    const cJSON *hub = cJSON_GetArrayItem(hubs, is_static ? 0 : (int)(hash(registration_id) % (uint32_t)count));
    return cJSON_IsString(hub) ? hub->valuestring : ALLOCATION_DEFAULT_HUB;
}
