#include "broker_sim/hub/topic.h"

#include "base/percent.h"
#include "base/utf8.h"

#include <string.h>

static const char *behind(const char *text, const char *start)
{
    size_t length = strlen(start);
    return text && strncmp(text, start, length) == 0 ? text + length : NULL;
}

/* What stands behind "devices/{device id}/"; NULL: another's topic. */
static const char *behind_own(const char *topic, const char *device_id)
{
    const char *rest = behind(behind(topic, "devices/"), device_id);
    return behind(rest, "/");
}

enum hub_topic hub_topic_read(const char *topic, const char *device_id, const char **ret_rest)
{
    const struct {
        enum hub_topic kind;
        const char *rest;
    } rows[] = {
        {HUB_TOPIC_TELEMETRY, behind(behind_own(topic, device_id), "messages/events/")},
        {HUB_TOPIC_TWIN_GET, behind(topic, "$iothub/twin/GET/")},
        {HUB_TOPIC_TWIN_PATCH, behind(topic, "$iothub/twin/PATCH/properties/reported/")},
        {HUB_TOPIC_METHOD_REPLY, behind(topic, "$iothub/methods/res/")},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (!rows[i].rest)
            continue;
        if (ret_rest)
            *ret_rest = rows[i].rest;
        return rows[i].kind;
    }
    return HUB_TOPIC_NONE;
}

static const char *const fixed_filters[HUB_FILTER_COUNT] = {
    [HUB_FILTER_TWIN_RESULT] = "$iothub/twin/res/#",
    [HUB_FILTER_TWIN_DESIRED] = "$iothub/twin/PATCH/properties/desired/#",
    [HUB_FILTER_METHODS] = "$iothub/methods/POST/#",
};

enum hub_filter hub_filter_read(const char *filter, const char *device_id)
{
    const char *own = behind_own(filter, device_id);
    if (own && strcmp(own, "messages/devicebound/#") == 0)
        return HUB_FILTER_DEVICEBOUND;
    for (int i = 0; i < HUB_FILTER_COUNT; i++)
        if (fixed_filters[i] && strcmp(filter, fixed_filters[i]) == 0)
            return (enum hub_filter)i;
    return HUB_FILTER_COUNT;
}

const char *hub_filter_name(enum hub_filter filter)
{
    static const char *const names[] = {
#define X(id, name) [HUB_FILTER_##id] = (name),
        HUB_FILTERS(X)
#undef X
    };
    return filter < HUB_FILTER_COUNT ? names[filter] : "none";
}

bool hub_query_rid(const char *query, char *ret_rid, size_t size)
{
    const char *rid = strstr(query, "$rid=");
    size_t length = rid ? strcspn(rid + 5, "&") : 0;
    if (length == 0 || length >= size)
        return false;
    memcpy(ret_rid, rid + 5, length);
    ret_rid[length] = 0;
    return true;
}

/* malloc'ed. */
static char *decoded(const char *text, size_t length)
{
    char *plain = malloc(length + 1);
    if (!plain)
        return NULL;
    if (percent_decode(text, length, plain, length + 1) == 0 && !utf8_find_error(plain))
        return plain;
    memcpy(plain, text, length);
    plain[length] = 0;
    return plain;
}

static int add_property(cJSON *json, const char *text, size_t length)
{
    const char *equals = memchr(text, '=', length);
    size_t name_length = equals ? (size_t)(equals - text) : length;
    CLEANUP_FREE char *name = decoded(text, name_length);
    CLEANUP_FREE char *value = decoded(equals ? equals + 1 : "", equals ? length - name_length - 1 : 0);
    return name && value ? json_set_string(json, name, value) : -1;
}

cJSON *hub_properties_json(const char *bag)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json)
        return NULL;
    for (int count = 0; *bag && count < HUB_PROPERTIES_MAX; count++) {
        size_t length = strcspn(bag, "&");
        if (length && add_property(json, bag, length))
            return NULL;
        bag += length + (bag[length] == '&');
    }
    return TAKE(json);
}

size_t hub_properties_bytes(const char *bag)
{
    size_t count = 0;
    for (const char *at = bag; *at; at++) {
        bool is_escape = at[0] == '%' && at[1] && at[2];
        count += *at != '&' && *at != '=';
        at += is_escape ? 2 : 0;
    }
    return count;
}
