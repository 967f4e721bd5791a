/*
 * broker_sim/service_port.h - what the services need of the world: a way to a device, and ways to end its connection
 *
 * What:     a table of functions, so that DPS and the hub run against Mosquitto and the front door in the program, and against a list in
 * tests.
 */
#ifndef BROKER_SIM_SERVICE_PORT_H
#define BROKER_SIM_SERVICE_PORT_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct service_port {
    void *user;
    /*
     * Write all changes to disk: before a device is told that something was done. IO (rig): the disk is full or gone; the changes stay in memory and the
     * device is to be told 500. NULL: there is nothing to write to.
     */
    int (*commit)(void *user, struct error *error);
    /* PUBLISH QoS 1 to the device of `session`; `topic` as the device knows it, `body` text. A device that is gone: nothing. */
    void (*publish)(void *user, uint64_t session, const char *topic, const char *body);
    /* The same for a body of any bytes. -1: it did not go. */
    int (*publish_bytes)(void *user, uint64_t session, const char *topic, const void *data, size_t length_bytes);
    /* As front_door_close_after_reply. */
    void (*close_after_reply)(void *user, uint64_t session, int64_t after_ms, int64_t patience_ms, const char *how);
    /* As front_door_close_later. */
    void (*close_later)(void *user, uint64_t session, int64_t after_ms, const char *how);
    /* As front_door_close_session. */
    void (*close)(void *user, uint64_t session, const char *how);
};

static inline int service_commit(const struct service_port *port, struct error *error)
{
    return port->commit ? port->commit(port->user, error) : 0;
}

#endif
