/*
 * broker_sim/bus/bus_link.h - one MQTT connection of ours to our own Mosquitto, on its Unix socket
 *
 * What:     CONNECT with a clean session, subscriptions, PUBLISH both ways at QoS 0 and 1. What is to be written is gathered until
 *           bus_link_flush, so that the packets of a turn of the loop leave with one system call, and what has come is read with one.
 * Not here: what is published, sent again, or lost (bus.h). Threads: none.
 * Limits:   BUS_LINK_MESSAGE_MAX_BYTES a payload that comes; a larger one is dropped, with a warning in the log.
 * Callbacks: from the loop or from bus_link_flush; they may publish and close, and must not free the link.
 */
#ifndef BROKER_SIM_BUS_BUS_LINK_H
#define BROKER_SIM_BUS_BUS_LINK_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

enum { BUS_LINK_MESSAGE_MAX_BYTES = 16 * 1024 * 1024 };

struct bus_link;

struct bus_link_callbacks {
    void *user;
    void (*accepted)(void *user);   /* CONNACK 0 */
    void (*subscribed)(void *user); /* SUBACK */
    void (*acknowledged)(void *user, uint16_t packet_id);
    /* topic NUL-terminated; payload lent for the call, not NUL-terminated, NULL when empty. */
    void (*message)(void *user, const char *topic, const void *payload, size_t length_bytes);
    void (*closed)(void *user, const char *reason); /* by Mosquitto, or by its fault; not after bus_link_close */
};

/* callbacks: copied. NULL when out of memory. */
struct bus_link *bus_link_new(uv_loop_t *loop, const struct bus_link_callbacks *callbacks);
/* IO (rig): nobody listens there, or not now. It does not wait. Once a link. */
int bus_link_open(struct bus_link *link, const char *unix_path, const char *client_id, struct error *error);
bool bus_link_is_open(const struct bus_link *link); /* NULL allowed */
/* -1: memory is short. */
int bus_link_subscribe(struct bus_link *link, const char *const *filters, size_t count, int qos);
/* packet_id: not 0, of one's own choice; 0: QoS 0. -1: memory is short, or the topic too long. */
int bus_link_publish(struct bus_link *link, const char *topic, const void *payload, size_t length_bytes, uint16_t packet_id);
/* So much waits for Mosquitto to read it. */
size_t bus_link_unsent_bytes(const struct bus_link *link);
void bus_link_flush(struct bus_link *link);
/* DISCONNECT and close. */
void bus_link_close(struct bus_link *link);
/* Closes without DISCONNECT; its handle closes on the loop. NULL allowed. */
void bus_link_free(struct bus_link *link);

#endif
