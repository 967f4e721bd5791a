/*
 * broker_sim/mqtt/utf8.h - is it a text that MQTT allows
 *
 * Source:   OASIS MQTT 3.1.1 section 1.5.3, RFC 3629: shortest form only, no surrogates, nothing above U+10FFFF, no U+0000.
 */
#ifndef BROKER_SIM_MQTT_UTF8_H
#define BROKER_SIM_MQTT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `data` may be NULL when the length is 0. */
bool utf8_is_mqtt_text(const uint8_t *data, size_t length_bytes);

#endif
