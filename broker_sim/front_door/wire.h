/*
 * broker_sim/front_door/wire.h - the BIO between TLS and the socket
 *
 * What:     a BIO over a non-blocking socket that never raises SIGPIPE and remembers how the socket ended, which OpenSSL's errors do not
 * tell reliably. A filter BIO that delays, cuts or corrupts can be pushed on top of it (BIO_push): TLS above and this below know nothing of
 * it.
 */
#ifndef BROKER_SIM_FRONT_DOOR_WIRE_H
#define BROKER_SIM_FRONT_DOOR_WIRE_H

#include <openssl/bio.h>
#include <stdbool.h>
#include <stdint.h>

struct wire {
    int fd;
    bool has_ended;    /* the peer's FIN was read */
    int read_errno;    /* not 0: reading failed with it */
    int write_errno;   /* not 0: writing failed with it; what was received before can still be read */
    uint64_t bytes_in; /* as on the socket, TLS included */
};

/* One method serves all connections. NULL when out of memory. BIO_meth_free() it after all BIOs are gone. */
BIO_METHOD *wire_method_new(void);
/* `wire` is lent for the life of the BIO. NULL when out of memory. */
BIO *wire_bio_new(const BIO_METHOD *method, struct wire *wire);

#endif
