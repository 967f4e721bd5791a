/*
 * broker_sim/hub/topic.h - the topics of an IoT hub, and the properties that stand in them
 *
 * Source:   "Communicate with an IoT hub using the MQTT protocol", Azure documentation.
 */
#ifndef BROKER_SIM_HUB_TOPIC_H
#define BROKER_SIM_HUB_TOPIC_H

#include "base/error.h"
#include "base/json.h"

#include <stdbool.h>
#include <stdint.h>

/* What a device may publish to. */
enum hub_topic {
    HUB_TOPIC_NONE,
    HUB_TOPIC_TELEMETRY,    /* devices/{id}/messages/events/[{properties}] */
    HUB_TOPIC_TWIN_GET,     /* $iothub/twin/GET/?$rid={rid} */
    HUB_TOPIC_TWIN_PATCH,   /* $iothub/twin/PATCH/properties/reported/?$rid={rid} */
    HUB_TOPIC_METHOD_REPLY, /* $iothub/methods/res/{status}/?$rid={rid} */
};
/* ret_rest (may be NULL): what stands behind the fixed part; lent. */
enum hub_topic hub_topic_read(const char *topic, const char *device_id, const char **ret_rest);

/* What a device may subscribe to. */
#define HUB_FILTERS(X)                                                                                                                     \
    X(DEVICEBOUND, "messages")                                                                                                             \
    X(TWIN_RESULT, "twin-results")                                                                                                         \
    X(TWIN_DESIRED, "desired")                                                                                                             \
    X(METHODS, "methods")
enum hub_filter {
#define X(id, name) HUB_FILTER_##id,
    HUB_FILTERS(X)
#undef X
        HUB_FILTER_COUNT /* none of them */
};
enum hub_filter hub_filter_read(const char *filter, const char *device_id);
const char *hub_filter_name(enum hub_filter filter);

/* The value behind "$rid=" in "?$rid=7&x=1"; false: there is none, or it is longer than size - 1. */
bool hub_query_rid(const char *query, char *ret_rid, size_t size);

/*
 * The property bag at a telemetry topic's end, percent-decoded: {"$.mid":"1","level":"a b"}. A property without "=" has the value "". What is not
 * percent-encoded as it should be is kept as it was sent, and so is text that is no UTF-8. NULL when out of memory.
 */
cJSON *hub_properties_json(const char *bag);

enum { HUB_RID_MAX_BYTES = 128, HUB_PROPERTIES_MAX = 256, HUB_MESSAGE_MAX_BYTES = 256 * 1024 };

/* The names and values of a bag of properties, decoded: what counts in HUB_MESSAGE_MAX_BYTES beside the body. */
size_t hub_properties_bytes(const char *bag);

#endif
