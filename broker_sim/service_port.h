/*
 * broker_sim/service_port.h - what the services need of the world: a way to a device, and ways to end its connection
 *
 * What:     a table of functions, so that DPS and the hub run against Mosquitto and the front door in the program, and against a list in
 * tests.
 */
#ifndef BROKER_SIM_SERVICE_PORT_H
#define BROKER_SIM_SERVICE_PORT_H

#include <stdint.h>

struct service_port {
    void *user;
    /* PUBLISH QoS 1 to the device of `session`; `topic` as the device knows it, `body` text. A device that is gone: nothing. */
    void (*publish)(void *user, uint64_t session, const char *topic, const char *body);
    /* As front_door_close_after_reply. */
    void (*close_after_reply)(void *user, uint64_t session, int64_t after_ms, const char *how);
    /* As front_door_close_later. */
    void (*close_later)(void *user, uint64_t session, int64_t after_ms, const char *how);
    /* As front_door_close_session. */
    void (*close)(void *user, uint64_t session, const char *how);
};

#endif
