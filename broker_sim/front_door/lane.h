/*
 * broker_sim/front_door/lane.h - inside of the front door: listeners and server identities
 *
 * What:     a lane is an SSL_CTX under a name. It has a listening socket of its own, or is chosen by SNI on the listener of its parent.
 */
#ifndef BROKER_SIM_FRONT_DOOR_LANE_H
#define BROKER_SIM_FRONT_DOOR_LANE_H

#include "broker_sim/front_door/front_door.h"

struct lane;

int lane_open(struct front_door *door, const struct lane_options *options, uint16_t *ret_port, struct error *error);
/* NULL when there is none of that name. */
struct lane *lane_find(struct front_door *door, const char *name);
/* The lane that `host` selects on this listener: a child's, else itself. `host` may be NULL. */
struct lane *lane_for_host(struct lane *listener, const char *host);
const char *lane_name(const struct lane *lane);
/* Its context, lent; for the next handshake. */
SSL_CTX *lane_tls(const struct lane *lane);
/* Certificate and versions for a handshake that began on the parent's context. */
int lane_apply(const struct lane *lane, SSL *ssl);
/* Net and tls knobs, from the next connection on; NULL: nothing is turned. USAGE (file): one that this lane cannot have. */
int lane_set_knobs(struct lane *lane, const struct knobs *knobs, struct error *error);
const struct knobs *lane_knobs(const struct lane *lane); /* lent; NULL: nothing is turned */
/*
 * One more connection: the knobs that spoil it, lent; NULL: none do, or they did so fault_times times. ret_seed: of this connection.
 */
const struct knobs *lane_spoil(struct lane *lane, uint64_t *ret_seed);
/* May a connection that it accepts be spoiled, by itself or by a lane that shares it? */
bool lane_may_spoil(const struct lane *listener);
int lane_set_identity(struct lane *lane, const struct lane_identity *identity, struct error *error);
/* Closes its listener and the lanes that share it, and frees them. Connections are not touched. */
void lane_close(struct front_door *door, struct lane *lane);
/* Is `lane` the one, or a child of it? */
bool lane_is_within(const struct lane *lane, const struct lane *ancestor);

#endif
