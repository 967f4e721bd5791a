/*
 * broker_sim/mqtt/framer.h - cuts one direction of an MQTT connection into packets
 *
 * What:     fed with bytes as they come, it calls back for each whole packet; of a PUBLISH for the head (topic and packet id), then for the
 *           payload as it arrives, so that a payload is never held here.
 * Limits:   a packet that is not a PUBLISH: packet_max_bytes; a payload: payload_max_bytes. More is a PROTOCOL error (device).
 * Memory:   nothing is held between packets. A packet that arrives in one piece is not copied.
 */
#ifndef BROKER_SIM_MQTT_FRAMER_H
#define BROKER_SIM_MQTT_FRAMER_H

#include "broker_sim/mqtt/publish.h"

struct mqtt_framer {
    struct bytes held; /* the beginning of a packet that has not come whole */
    uint32_t packet_max_bytes;
    uint32_t payload_max_bytes;
    uint32_t payload_left_bytes; /* of the PUBLISH under way */
};

/* Each returns 0 to go on, 1 to stop after this packet (or piece of payload), -1 with `error` set. */
struct mqtt_framer_callbacks {
    void *user;
    int (*on_packet)(void *user, const struct mqtt_header *header, const uint8_t *body, size_t length_bytes, struct error *error);
    int (*on_publish)(void *user, const struct mqtt_publish *publish, struct error *error);
    int (*on_payload)(void *user, const uint8_t *data, size_t length_bytes, struct error *error);
};

void mqtt_framer_init(struct mqtt_framer *framer, uint32_t packet_max_bytes, uint32_t payload_max_bytes);
void mqtt_framer_done(struct mqtt_framer *framer); /* NULL allowed */

/*
 * Take bytes of the stream. Returns 0 when all were taken; 1 when a callback stopped it (ret_used says how many were taken: feed the rest
 * later); -1 when the stream is broken or a callback failed: do not feed it again. ret_used is always set.
 */
int mqtt_framer_feed(struct mqtt_framer *framer, const struct mqtt_framer_callbacks *callbacks, const uint8_t *data, size_t length_bytes,
                     size_t *ret_used, struct error *error);
/* Between packets, with nothing held and no payload under way. */
bool mqtt_framer_is_idle(const struct mqtt_framer *framer);

#endif
