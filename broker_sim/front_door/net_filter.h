/*
 * broker_sim/front_door/net_filter.h - a bad network, as a filter BIO between TLS and the socket
 *
 * What:     what goes through is held back (delay_ms, jitter_ms), comes in small pieces (dribble_bytes), and at a trigger stalls, ends or is
 *           changed (net_fault, tls_alert). TLS above and the socket's BIO below (wire.h) know nothing of it. Pushed on the socket's BIO only
 *           where a lane asks for it: other connections have none.
 * Triggers: "start", messages of the handshake, numbers of bytes, MQTT packets (broker_sim/scenario/trigger.h). Messages are read off the wire
 *           while they are in the clear; the names of later ones come from SSL_set_msg_callback, and packets from whoever reads MQTT.
 * Time:     the filter has no timer. Its owner asks when something is due, and pumps then.
 * Limits:   NET_HELD_MAX_BYTES a direction; more waits in TLS above or in the socket below. A stall without end throws away what comes.
 */
#ifndef BROKER_SIM_FRONT_DOOR_NET_FILTER_H
#define BROKER_SIM_FRONT_DOOR_NET_FILTER_H

#include "base/clock.h"
#include "broker_sim/scenario/knobs.h"

#include <openssl/bio.h>
#include <stdbool.h>

enum { NET_HELD_MAX_BYTES = 256 * 1024 };

struct net_filter;

/* What a fault that has been reached asks of the connection. */
enum net_end {
    NET_GOES_ON,
    NET_CUT,         /* FIN, nothing more is said */
    NET_ALERT,       /* the alert of tls_alert is out; FIN */
    NET_RESET,       /* RST */
    NET_HALF_CLOSED, /* FIN, but what the device sends is still taken */
};

struct net_filter_options {
    const struct clock *clock;
    double time_scale;         /* divides delays */
    const struct knobs *knobs; /* of the lane; copied */
    uint64_t seed;             /* of this connection */
    void *user;
    void (*happened)(void *user, int knob); /* KNOB_net_fault, KNOB_tls_alert: now */
};

/* One method serves all. NULL when out of memory. */
BIO_METHOD *net_filter_method_new(void);
/* To be pushed on the socket's BIO; the filter lives as long as the BIO. NULL when out of memory. */
BIO *net_filter_bio_new(const BIO_METHOD *method, const struct net_filter_options *options, struct net_filter **ret_filter);
/* Other knobs from here on: the host name in ClientHello has chosen another lane. What a lane asks for before that is over. */
void net_filter_configure(struct net_filter *filter, const struct knobs *knobs, uint64_t seed);

const struct knobs *net_filter_knobs(const struct net_filter *filter); /* lent */

/* From SSL_set_msg_callback: OpenSSL has written or read this handshake message. */
void net_filter_message(struct net_filter *filter, bool is_sent, int handshake_type);
void net_filter_handshake_done(struct net_filter *filter);
/* A fault waits for a packet: net_filter_packet() wants to hear of each. */
bool net_filter_awaits_packet(const struct net_filter *filter);
/*
 * A packet is about to pass (`is_behind` false) or has passed; what goes down in front of this place has been written. One from the device has been
 * read already, so only what comes behind it can stall or be changed. topic: of a PUBLISH, NULL of others.
 */
void net_filter_packet(struct net_filter *filter, bool is_behind, bool is_up, int type, const char *topic);

/* Pass on what is due on its way down, and act on faults that are reached. */
void net_filter_pump(struct net_filter *filter);
enum net_end net_filter_end(const struct net_filter *filter);
/* Nothing is on its way down any more. */
bool net_filter_is_drained(const struct net_filter *filter);
bool net_filter_is_stalled(const struct net_filter *filter);
/* What to poll the socket for: room for what comes up; what goes down waits for the socket, not for its time. */
bool net_filter_has_room(const struct net_filter *filter);
bool net_filter_is_blocked(const struct net_filter *filter);
/* When to pump, or to read when is_reading; far away for never. */
deadline_t net_filter_due(const struct net_filter *filter, bool is_reading);

#endif
