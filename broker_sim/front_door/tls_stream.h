/*
 * broker_sim/front_door/tls_stream.h - which handshake message begins and ends where in one direction of a TLS connection
 *
 * What:     reads record headers, and the headers of handshake messages while they are in the clear. What is behind ChangeCipherSpec has no
 *           name on the wire: of TLS 1.2 it can only be Finished; of TLS 1.3 the owner knows it, or not.
 * Source:   RFC 5246 sections 6.2 and 7.4, RFC 8446 section 5.
 */
#ifndef BROKER_SIM_FRONT_DOOR_TLS_STREAM_H
#define BROKER_SIM_FRONT_DOOR_TLS_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TLS_STREAM_UNKNOWN = -1 };

/* A plain value, zero at the start. Offsets count bytes from the beginning of the direction. */
struct tls_stream {
    uint64_t offset;
    uint64_t record_start;
    uint64_t record_left;
    uint64_t message_left;
    int message; /* under way, with message_left; or a whole record's */
    uint8_t type;
    uint8_t header[5];
    uint8_t header_bytes;  /* of the record, so far */
    uint8_t message_bytes; /* of a message's header in the clear, so far */
    uint8_t message_header[4];
    bool is_encrypted;
};

struct tls_stream_callbacks {
    void *user;
    /* `start`: of its record when it is the first in it, else its own; `body`: its first byte behind headers. */
    void (*begins)(void *user, int message, uint64_t start, uint64_t body);
    void (*ended)(void *user, int message, uint64_t end);
    /* The name of an encrypted record of TLS 1.3; TLS_STREAM_UNKNOWN. */
    int (*name)(void *user);
};

void tls_stream_take(struct tls_stream *stream, const struct tls_stream_callbacks *callbacks, const uint8_t *data, size_t length_bytes);
/* So far it is known what the bytes are; behind it may stand the beginning of a message. */
uint64_t tls_stream_known(const struct tls_stream *stream);

#endif
