/*
 * harness/serial/network_address.h - the name of a serial port on another machine
 *
 * What:     rfc2217://HOST:PORT (baud rate, flow control and modem lines are set from here) and tcp://HOST:PORT (bytes alone).
 * Form:     HOST is a name or an address, of IPv6 in brackets; PORT a number.
 */
#ifndef HARNESS_SERIAL_NETWORK_ADDRESS_H
#define HARNESS_SERIAL_NETWORK_ADDRESS_H

#include "base/error.h"

#include <stdbool.h>

enum { NETWORK_HOST_MAX_BYTES = 256, NETWORK_PORT_MAX_BYTES = 6 };

struct network_address {
    bool is_rfc2217;
    char host[NETWORK_HOST_MAX_BYTES];
    char port[NETWORK_PORT_MAX_BYTES];
};

/* Does it begin with a scheme ("...://")? Then it is no file. */
bool network_address_is(const char *path);
/* SYNTAX (file): another scheme, no host, no port. ret_address is untouched then. */
int network_address_read(const char *path, struct network_address *ret_address, struct error *error);

#endif
