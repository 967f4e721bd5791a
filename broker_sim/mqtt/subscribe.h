/*
 * broker_sim/mqtt/subscribe.h - SUBSCRIBE and UNSUBSCRIBE: a packet id and a list of filters
 *
 * What:     a reader that checks the whole packet first, then hands out filter after filter; a writer that takes filter after filter.
 * Source:   OASIS MQTT 3.1.1 sections 3.8 and 3.10.
 */
#ifndef BROKER_SIM_MQTT_SUBSCRIBE_H
#define BROKER_SIM_MQTT_SUBSCRIBE_H

#include "broker_sim/mqtt/packet.h"

struct mqtt_filter {
    struct mqtt_text text; /* lent */
    uint8_t qos;           /* 0 in UNSUBSCRIBE */
};

struct mqtt_filters {
    uint16_t packet_id;
    size_t count;       /* at least 1 */
    bool has_qos;       /* SUBSCRIBE */
    struct cursor rest; /* for mqtt_next_filter */
};

/* header->type tells which of the two. PROTOCOL (device): malformed, a filter that topic.h does not allow, flags that are not 2. */
int mqtt_read_filters(const struct mqtt_header *header, const uint8_t *body, size_t length_bytes, struct mqtt_filters *ret_filters,
                      struct error *error);
/* The next one; false when all were handed out. */
bool mqtt_next_filter(struct mqtt_filters *filters, struct mqtt_filter *ret_filter);

/* Build the body: packet id, then each filter with the prefix before it. -1: too long, or out of memory. */
int mqtt_begin_filters(struct bytes *body, uint16_t packet_id);
int mqtt_add_filter(struct bytes *body, const char *prefix, struct mqtt_text text);
int mqtt_add_filter_qos(struct bytes *body, uint8_t qos); /* SUBSCRIBE only, behind each filter */
int mqtt_end_filters(struct bytes *out, enum mqtt_type type, const struct bytes *body);

#endif
