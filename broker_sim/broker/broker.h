/*
 * broker_sim/broker/broker.h - our own Mosquitto: configuration, child process, watch
 *
 * What:     writes configuration and ACLs into a private 0700 runtime folder, starts Mosquitto, restarts it when it dies (at once, then at
 * growing intervals up to 1 s; gives up loudly after BROKER_RESTARTS_MAX within a minute), and leaves nothing behind. Keeper:   a small
 * process of ours that waits for our end, however it comes: it ends Mosquitto and removes the runtime folder and ready.json. So nothing
 * stays after kill -9 of the simulator or of Mosquitto. Ports:    the TLS listeners' ports are chosen by the kernel: a bound, never
 * listening socket with SO_REUSEADDR keeps each reserved for Mosquitto, over restarts too. Source:   facts by experiment with
 * Mosquitto 2.0.11, docs/adr.
 */
#ifndef BROKER_SIM_BROKER_BROKER_H
#define BROKER_SIM_BROKER_BROKER_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct broker;

struct broker_callbacks {
    void *user;
    void (*up)(void *user);                          /* the Unix sockets accept connections */
    void (*down)(void *user, const char *reason);    /* Mosquitto ended; a restart is under way */
    void (*gave_up)(void *user, const char *reason); /* it will not come back */
};

struct broker_options {
    uv_loop_t *loop;
    const char *address;    /* numeric: where the TLS listeners are bound */
    uint16_t control_port;  /* 0: the kernel chooses */
    const char *control_ca; /* PEM files: CA of control and observer clients, certificate and key of the listeners */
    const char *server_cert;
    const char *server_key;
    const char *ready_path; /* removed by the keeper after our end; NULL: none */
    struct broker_callbacks callbacks;
};

/* NOT_FOUND (rig): Mosquitto is not installed (the text says how to install it). `up` follows from the loop. */
int broker_start(const struct broker_options *options, struct broker **ret_broker, struct error *error);
/* Ends Mosquitto (SIGTERM, SIGKILL after 2 s), the keeper, and removes the runtime folder. NULL allowed. */
void broker_stop(struct broker *broker);

const char *broker_device_path(const struct broker *broker);  /* Unix socket for the front door: client id n may only use s/n/ */
const char *broker_service_path(const struct broker *broker); /* for the services: everything */
const char *broker_hand_path(const struct broker *broker);    /* for a person with mosquitto_pub: s/# only */
uint16_t broker_control_port(const struct broker *broker);
uint16_t broker_observer_port(const struct broker *broker);
int broker_pid(const struct broker *broker); /* 0 while it is down */
/* "2.0.11": asks the program, which takes some milliseconds, once. "" when it does not say. Lent. */
const char *broker_version(struct broker *broker);

enum { BROKER_RESTARTS_MAX = 20 };

#endif
