/*
 * broker_sim/mqtt/connect.h - CONNECT as a device sends it, and as the front door sends it on
 *
 * What:     a reader for all fields, and a writer for the CONNECT that goes to Mosquitto: client id of ours, clean session 1, keepalive 0,
 * no user name, the will with a prefix before its topic and without RETAIN. Levels:   only level 4 (3.1.1) is read to the end. Another
 * level is recognised and reported, so that it can be answered as such. Source:   OASIS MQTT 3.1.1 section 3.1.
 */
#ifndef BROKER_SIM_MQTT_CONNECT_H
#define BROKER_SIM_MQTT_CONNECT_H

#include "broker_sim/mqtt/packet.h"

enum { MQTT_LEVEL_3_1 = 3, MQTT_LEVEL_3_1_1 = 4, MQTT_LEVEL_5 = 5 };

/* Texts are lent from the packet. */
struct mqtt_connect {
    uint8_t protocol_level; /* when this is not MQTT_LEVEL_3_1_1, nothing below is set */
    bool is_clean_session;
    bool has_will, has_user_name, has_password;
    uint8_t will_qos; /* 0 to 2 */
    bool is_will_retained;
    uint16_t keep_alive_s;
    struct mqtt_text client_id;
    struct mqtt_text will_topic;
    struct mqtt_text will_payload;
    struct mqtt_text user_name;
    struct mqtt_text password;
};

/* `body` is all that follows the fixed header. PROTOCOL (device): malformed. */
int mqtt_read_connect(const uint8_t *body, size_t length_bytes, struct mqtt_connect *ret_connect, struct error *error);
/* -1 also when prefix and will topic together are too long. */
int mqtt_write_connect(struct bytes *out, const char *client_id, const char *prefix, const struct mqtt_connect *connect);

#endif
