/*
 * broker_sim/broker/mosquitto_conf.h - the configuration and the access lists of our Mosquitto
 *
 * What:     five listeners, each with settings of its own: devices (Unix socket; client id n may only touch s/n/#), services (Unix socket;
 *           everything), control and observer (TLS with client certificate), hand (Unix socket; may only write s/#).
 * Source:   mosquitto.conf(5); the limits are measured (docs/adr/0013).
 */
#ifndef BROKER_SIM_BROKER_MOSQUITTO_CONF_H
#define BROKER_SIM_BROKER_MOSQUITTO_CONF_H

#include "base/error.h"

#include <stdint.h>

#define MOSQUITTO_CONF_FILE "mosquitto.conf"
#define MOSQUITTO_LOG_FILE "mosquitto.log"
#define MOSQUITTO_DEVICE_SOCKET "device.sock"
#define MOSQUITTO_SERVICE_SOCKET "service.sock"
#define MOSQUITTO_HAND_SOCKET "hand.sock" /* the last listener: when it accepts, all do */

struct mosquitto_conf {
    const char *dir; /* of all files above */
    const char *address;
    uint16_t control_port;
    uint16_t observer_port;
    const char *control_ca;
    const char *server_cert;
    const char *server_key;
};

/* USAGE (file): a path that a line of the configuration cannot hold; IO (rig). */
int mosquitto_conf_write(const struct mosquitto_conf *conf, struct error *error);

#endif
