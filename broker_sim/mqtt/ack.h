/*
 * broker_sim/mqtt/ack.h - PUBACK, SUBACK, UNSUBACK, and the packets that are nothing but a type
 *
 * Source:   OASIS MQTT 3.1.1 sections 3.4, 3.9, 3.11 to 3.14.
 */
#ifndef BROKER_SIM_MQTT_ACK_H
#define BROKER_SIM_MQTT_ACK_H

#include "broker_sim/mqtt/packet.h"

/* PUBACK and UNSUBACK: flags 0 and a packet id, nothing else. */
int mqtt_read_ack(const struct mqtt_header *header, const uint8_t *body, size_t length_bytes, uint16_t *ret_packet_id, struct error *error);
/* PINGREQ, PINGRESP, DISCONNECT: flags 0, no body. */
int mqtt_read_bare(const struct mqtt_header *header, struct error *error);
int mqtt_write_ack(struct bytes *out, enum mqtt_type type, uint16_t packet_id);
int mqtt_write_bare(struct bytes *out, enum mqtt_type type);

struct mqtt_suback {
    uint16_t packet_id;
    const uint8_t *codes; /* lent: 0, 1, 2 or MQTT_SUBACK_REFUSED each */
    size_t count;         /* at least 1 */
};
int mqtt_read_suback(const uint8_t *body, size_t length_bytes, struct mqtt_suback *ret_suback, struct error *error);

#endif
