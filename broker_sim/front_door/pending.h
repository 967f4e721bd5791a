/*
 * broker_sim/front_door/pending.h - SUBSCRIBE and UNSUBSCRIBE packets that Mosquitto has not answered yet
 *
 * What:     remembers filters and what was granted until the SUBACK or UNSUBACK comes, so that the codes of refused filters can be patched
 * in. Limits:   PENDING_MAX packets a session, PENDING_FILTERS_MAX filters a packet.
 */
#ifndef BROKER_SIM_FRONT_DOOR_PENDING_H
#define BROKER_SIM_FRONT_DOOR_PENDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PENDING_MAX = 32, PENDING_FILTERS_MAX = 256 };

struct pending_filter {
    char *filter;        /* the device's, without prefix */
    uint8_t granted_qos; /* or 0x80 */
};

struct pending {
    struct pending *next;
    uint16_t packet_id;
    uint8_t ack_type; /* MQTT_SUBACK or MQTT_UNSUBACK */
    bool is_restored; /* ours: the device did not ask, and gets no answer */
    size_t count;
    struct pending_filter filters[];
};

struct pending_list {
    struct pending *first;
    size_t count;
};

/* Room for `count` filters (not counted yet). NULL when out of memory. */
struct pending *pending_new(uint16_t packet_id, uint8_t ack_type, size_t count);
void pending_free(struct pending *pending); /* NULL allowed */
void pending_push(struct pending_list *list, struct pending *pending);
/* The oldest one that this answers, taken out of the list; NULL: none. */
struct pending *pending_take(struct pending_list *list, uint16_t packet_id, uint8_t ack_type);
void pending_clear(struct pending_list *list);

#endif
