/*
 * broker_sim/mqtt/publish.h - the head of a PUBLISH: all but the payload, which is passed on as it comes
 *
 * Source:   OASIS MQTT 3.1.1 section 3.3.
 */
#ifndef BROKER_SIM_MQTT_PUBLISH_H
#define BROKER_SIM_MQTT_PUBLISH_H

#include "broker_sim/mqtt/packet.h"

struct mqtt_publish {
    struct mqtt_text topic; /* lent */
    uint16_t packet_id;     /* 0 at QoS 0 */
    uint8_t qos;            /* 0 to 2 */
    bool is_duplicate;
    bool is_retained;
    uint32_t payload_bytes;
};

/*
 * How many bytes of `data` (fixed header included) the head takes. MQTT_MORE sets ret_bytes too: to how many are needed at least before
 * asking again. MQTT_BROKEN: topic and packet id do not fit into the packet.
 */
enum mqtt_progress mqtt_publish_head_bytes(const struct mqtt_header *header, const uint8_t *data, size_t length_bytes, size_t *ret_bytes);
/* `head` is what follows the fixed header, up to the payload. The topic is checked for UTF-8 alone (topic.h does the rest). */
int mqtt_read_publish(const struct mqtt_header *header, const uint8_t *head, size_t length_bytes, struct mqtt_publish *ret_publish,
                      struct error *error);
/* Fixed header, prefix and topic, packet id; the payload follows. -1 also when prefix and topic together are too long. */
int mqtt_write_publish_head(struct bytes *out, const char *prefix, const struct mqtt_publish *publish);

#endif
