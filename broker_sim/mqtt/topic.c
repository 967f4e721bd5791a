#include "broker_sim/mqtt/topic.h"

#include <string.h>

static size_t count_levels(struct mqtt_text text)
{
    size_t levels = 1;
    for (size_t i = 0; i < text.length_bytes; i++)
        levels += text.data[i] == '/';
    return levels;
}

const char *topic_name_fault(struct mqtt_text topic)
{
    if (topic.length_bytes == 0)
        return "an empty topic";
    if (memchr(topic.data, '+', topic.length_bytes) || memchr(topic.data, '#', topic.length_bytes))
        return "a wildcard in a topic";
    return count_levels(topic) > TOPIC_LEVELS_MAX ? "a topic of too many levels" : NULL;
}

/* '+' and '#' occupy a whole level, '#' the last one [MQTT-4.7.1-2, -3]. */
static bool is_wildcard_misplaced(struct mqtt_text filter, size_t at)
{
    bool starts_level = at == 0 || filter.data[at - 1] == '/';
    bool is_last = at + 1 == filter.length_bytes;
    if (filter.data[at] == '#')
        return !starts_level || !is_last;
    if (filter.data[at] == '+')
        return !starts_level || !(is_last || filter.data[at + 1] == '/');
    return false;
}

const char *topic_filter_fault(struct mqtt_text filter)
{
    if (filter.length_bytes == 0)
        return "an empty filter";
    for (size_t i = 0; i < filter.length_bytes; i++)
        if (is_wildcard_misplaced(filter, i))
            return "a misplaced wildcard in a filter";
    return count_levels(filter) > TOPIC_LEVELS_MAX ? "a filter of too many levels" : NULL;
}
