/*
 * broker_sim/bus/bus.h - a lasting connection of ours to our own Mosquitto
 *
 * What:     a client on a Unix socket that subscribes, tells when all SUBACKs are there, comes back by itself after Mosquitto was away, and
 *           publishes in order through a bounded queue. What a turn of the loop publishes leaves at its end, with one system call.
 * QoS:      1: each message is acknowledged. 0: a turn's messages together, by a message of its own behind them that nobody else gets
 *           (Mosquitto takes what comes on a connection one after the other). What was not acknowledged is sent again after a loss, either way.
 * Queue:    at most BUS_QUEUE_MESSAGES_MAX messages and BUS_QUEUE_BYTES_MAX bytes; what does not fit is refused and counted. While
 *           Mosquitto is away the queue waits, what was not acknowledged is sent again (so a message may come twice), or all of it is
 *           dropped (`forgets_on_loss`: replies to devices whose connections are gone).
 * Threads:  none; everything runs on the loop. Callbacks must not free the bus.
 */
#ifndef BROKER_SIM_BUS_BUS_H
#define BROKER_SIM_BUS_BUS_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

enum { BUS_QUEUE_MESSAGES_MAX = 65536, BUS_QUEUE_BYTES_MAX = 64 * 1024 * 1024 };

struct bus;

struct bus_callbacks {
    void *user;
    void (*ready)(void *user);                    /* every filter is subscribed */
    void (*lost)(void *user, const char *reason); /* after ready; a new attempt follows */
    /* topic NUL-terminated; payload lent, not NUL-terminated, NULL when empty. */
    void (*message)(void *user, const char *topic, const void *payload, size_t length_bytes);
};

struct bus_options {
    uv_loop_t *loop;
    const char *client_id;      /* copied */
    const char *const *filters; /* lent for the life of the bus, at least one */
    size_t filter_count;
    int qos; /* 0 or 1, of what is published */
    bool forgets_on_loss;
    struct bus_callbacks callbacks;
};

/* NULL when out of memory. */
struct bus *bus_new(const struct bus_options *options);
/* Connect, and keep connected, to the Mosquitto behind `unix_path` (copied). Attempts go on until bus_stop; failures are not reported. */
void bus_start(struct bus *bus, const char *unix_path);
/* Disconnect and stay so. What is queued stays. */
void bus_stop(struct bus *bus);
bool bus_is_ready(const struct bus *bus);
/* Queue a message. Returns -1 when the queue is full (counted) or memory is short. */
int bus_publish(struct bus *bus, const char *topic, const void *payload, size_t length_bytes);
uint64_t bus_lost_count(const struct bus *bus);
/* Messages that wait for their PUBACK or to be sent. */
size_t bus_queued_count(const struct bus *bus);
/* Handles close on the loop, which must turn afterwards. NULL allowed. */
void bus_free(struct bus *bus);

#endif
