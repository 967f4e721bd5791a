/*
 * broker_sim/mqtt/packet.h - what all MQTT 3.1.1 packets share: fixed header, texts, packet ids
 *
 * What:     pure functions over bounded cursors and growing buffers; nothing here does I/O or keeps state.
 * Not here: cutting a byte stream into packets (framer.h), topics (topic.h), each packet type (connect.h, publish.h, subscribe.h, ack.h).
 * Source:   OASIS MQTT 3.1.1, sections 2 and 1.5.3. "[MQTT-x.y.z-n]" in comments are its statement numbers.
 * Errors:   owner device, code PROTOCOL: the text is what mqtt.violation says. Success outputs are untouched on failure.
 * Writers:  append to a `struct bytes` and return -1, nothing appended, when its limit would be exceeded.
 */
#ifndef BROKER_SIM_MQTT_PACKET_H
#define BROKER_SIM_MQTT_PACKET_H

#include "base/bytes.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MQTT_TYPES(X)                                                                                                                      \
    X(MQTT_CONNECT, 1, "CONNECT")                                                                                                          \
    X(MQTT_CONNACK, 2, "CONNACK")                                                                                                          \
    X(MQTT_PUBLISH, 3, "PUBLISH")                                                                                                          \
    X(MQTT_PUBACK, 4, "PUBACK")                                                                                                            \
    X(MQTT_PUBREC, 5, "PUBREC")                                                                                                            \
    X(MQTT_PUBREL, 6, "PUBREL")                                                                                                            \
    X(MQTT_PUBCOMP, 7, "PUBCOMP")                                                                                                          \
    X(MQTT_SUBSCRIBE, 8, "SUBSCRIBE")                                                                                                      \
    X(MQTT_SUBACK, 9, "SUBACK")                                                                                                            \
    X(MQTT_UNSUBSCRIBE, 10, "UNSUBSCRIBE")                                                                                                 \
    X(MQTT_UNSUBACK, 11, "UNSUBACK")                                                                                                       \
    X(MQTT_PINGREQ, 12, "PINGREQ")                                                                                                         \
    X(MQTT_PINGRESP, 13, "PINGRESP")                                                                                                       \
    X(MQTT_DISCONNECT, 14, "DISCONNECT")

enum mqtt_type {
#define X(name, number, text) name = number,
    MQTT_TYPES(X)
#undef X
};

/* "CONNECT"; "reserved" for 0 and 15. Never NULL. */
const char *mqtt_type_name(unsigned type);

enum {
    MQTT_HEADER_MAX_BYTES = 5,
    MQTT_REMAINING_MAX_BYTES = 268435455,
    MQTT_TEXT_MAX_BYTES = 65535,
    MQTT_SUBACK_REFUSED = 0x80,
};

/* The fixed header. */
struct mqtt_header {
    uint8_t type;  /* enum mqtt_type, or 0 or 15 */
    uint8_t flags; /* the lower four bits */
    uint32_t remaining_bytes;
    uint8_t size_bytes; /* of the header itself: 2 to 5 */
};

enum mqtt_progress {
    MQTT_DONE,
    MQTT_MORE,   /* well-formed so far; more bytes are needed */
    MQTT_BROKEN, /* no further byte can mend it */
};

/* Read a fixed header from the front of `data`. ret_header is set by MQTT_DONE alone. */
enum mqtt_progress mqtt_read_header(const uint8_t *data, size_t length_bytes, struct mqtt_header *ret_header);
/* Into buffer (MQTT_HEADER_MAX_BYTES); returns its size. remaining_bytes <= MQTT_REMAINING_MAX_BYTES. */
size_t mqtt_encode_header(uint8_t *buffer, uint8_t type, uint8_t flags, uint32_t remaining_bytes);
int mqtt_write_header(struct bytes *out, uint8_t type, uint8_t flags, uint32_t remaining_bytes);
/* A whole packet. */
int mqtt_write_packet(struct bytes *out, uint8_t type, uint8_t flags, const void *body, size_t length_bytes);

/* Text or binary data behind a two-byte length; lent from the packet, not NUL-terminated. */
struct mqtt_text {
    const uint8_t *data;
    uint16_t length_bytes;
};

/*
 * Read one text and check that it is UTF-8 without U+0000 and surrogates [MQTT-1.5.3-1, -2]. `what` names it in the error: "client id".
 */
int mqtt_read_text(struct cursor *cursor, const char *what, struct mqtt_text *ret_text, struct error *error);
/* The same without the check: will payload, password. */
int mqtt_read_binary(struct cursor *cursor, const char *what, struct mqtt_text *ret_data, struct error *error);
/* Two-byte length and `prefix` followed by `text`. -1 also when both are longer than MQTT_TEXT_MAX_BYTES. */
int mqtt_write_text(struct bytes *out, const char *prefix, struct mqtt_text text);
int mqtt_write_u16(struct bytes *out, uint16_t value);
/* malloc'ed, NUL-terminated copy; NULL when out of memory. */
char *mqtt_text_copy(struct mqtt_text text);

/* A packet id, which must not be 0 [MQTT-2.3.1-1]. */
int mqtt_read_packet_id(struct cursor *cursor, uint16_t *ret_packet_id, struct error *error);
/* error_set with owner device and code PROTOCOL. Returns -1. */
int mqtt_fault(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
