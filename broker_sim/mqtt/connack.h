/*
 * broker_sim/mqtt/connack.h - CONNACK: written to devices, read from Mosquitto
 *
 * Source:   OASIS MQTT 3.1.1 section 3.2; for a client of MQTT 5, OASIS MQTT 5.0 section 3.2 (reason code 0x84, Unsupported Protocol
 * Version).
 */
#ifndef BROKER_SIM_MQTT_CONNACK_H
#define BROKER_SIM_MQTT_CONNACK_H

#include "broker_sim/mqtt/packet.h"

enum {
    CONNACK_ACCEPTED = 0,
    CONNACK_UNACCEPTABLE_PROTOCOL_LEVEL = 1,
    CONNACK_IDENTIFIER_REJECTED = 2,
    CONNACK_SERVER_UNAVAILABLE = 3,
    CONNACK_BAD_USER_NAME_OR_PASSWORD = 4,
    CONNACK_NOT_AUTHORIZED = 5,
    CONNACK_V5_UNSUPPORTED_PROTOCOL_VERSION = 0x84,
};

struct mqtt_connack {
    bool is_session_present;
    uint8_t return_code;
};

int mqtt_write_connack(struct bytes *out, bool is_session_present, uint8_t return_code);
/* In the form of MQTT 5, without properties. */
int mqtt_write_connack_v5(struct bytes *out, uint8_t reason_code);
int mqtt_read_connack(const uint8_t *body, size_t length_bytes, struct mqtt_connack *ret_connack, struct error *error);

#endif
