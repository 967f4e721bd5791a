/*
 * broker_sim/mqtt/topic.h - which topic names and topic filters MQTT 3.1.1 allows
 *
 * What:     the checks that Mosquitto would make, made before the prefix goes in front: with a prefix an empty topic would become legal,
 * and a filter that is replaced because it is refused would never be looked at. Source:   OASIS MQTT 3.1.1 section 4.7; TOPIC_LEVELS_MAX is
 * Mosquitto 2.0's limit (200) less the two levels of the prefix.
 */
#ifndef BROKER_SIM_MQTT_TOPIC_H
#define BROKER_SIM_MQTT_TOPIC_H

#include "broker_sim/mqtt/packet.h"

enum { TOPIC_LEVELS_MAX = 198 };

/* NULL when the topic may stand in a PUBLISH, else what is wrong: "an empty topic". UTF-8 is not checked again. */
const char *topic_name_fault(struct mqtt_text topic);
/* The same for a filter in SUBSCRIBE and UNSUBSCRIBE. */
const char *topic_filter_fault(struct mqtt_text filter);

#endif
