/*
 * broker_sim/broker/reserved_port.h - a TCP port, chosen by us or by the kernel, that stays ours while nobody listens on it
 *
 * What:     a bound socket with SO_REUSEADDR that never listens. Mosquitto sets SO_REUSEADDR too, so it may bind and listen on the same
 * port, again after each restart, while the kernel gives the port to nobody who asks for any. Limit:    a process that names this very port
 * with SO_REUSEADDR could listen there while Mosquitto is away (docs/adr/0012).
 */
#ifndef BROKER_SIM_BROKER_RESERVED_PORT_H
#define BROKER_SIM_BROKER_RESERVED_PORT_H

#include "base/error.h"

#include <stdint.h>

struct reserved_port {
    int fd; /* close-on-exec; -1: none */
    uint16_t port;
};

/* `address` is numeric, IPv4 or IPv6; port 0: the kernel chooses. USAGE (file): it is not; BUSY (rig): in use; IO (rig): the system refuses. */
int reserved_port_open(const char *address, uint16_t port, struct reserved_port *ret_port, struct error *error);
void reserved_port_close(struct reserved_port *port); /* NULL allowed */

#endif
