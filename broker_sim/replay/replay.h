/*
 * broker_sim/replay/replay.h - have a recorded conversation with every device, in the place of DPS and the hub
 *
 * What:     the n-th register request of a connection is answered as the n-th of the recording, and so is the n-th status request; behind the
 *           last one of its kind, the last answer repeats, and a warning says so. Codes, bodies and times are the recording's; "{registration_id}",
 *           "{id_scope}" and $rid become the device's own. Nothing is judged, kept or assigned.
 *           A handshake that the service ended is ended again, by the knobs of a lane.
 * Times:    divided by the time scale; what the recorded network took is in them.
 */
#ifndef BROKER_SIM_REPLAY_REPLAY_H
#define BROKER_SIM_REPLAY_REPLAY_H

#include "broker_sim/event_sink.h"
#include "broker_sim/front_door/front_door.h"
#include "broker_sim/replay/recording.h"
#include "broker_sim/service_port.h"

struct replay;

struct replay_options {
    uv_loop_t *loop;
    double time_scale;
    struct event_sink sink;
    struct service_port port;
};

/* Reads `path`. Errors as recording_read. */
int replay_new(const char *path, const struct replay_options *options, struct replay **ret_replay, struct error *error);
/* Before the loop runs for the last time. NULL allowed. */
void replay_free(struct replay *replay);

/*
 * The knobs of the lane on which the handshake ends as it was recorded; ret_host: the host name that chooses that lane, lent; NULL: it is the main
 * one. false: every recorded handshake stood. USAGE (file) in `error`, with true: an alert that no knob has.
 */
bool replay_handshake(const struct replay *replay, struct knobs *ret_knobs, const char **ret_host, struct error *error);

/* A recorded handshake was one of TLS 1.3: the lanes offer it too. */
bool replay_needs_tls_1_3(const struct replay *replay);

/* In the place of DPS's and the hub's; lent as long as the front door lives, which may end its sessions when the replay is gone already. */
struct front_door_policy replay_policy(struct replay *replay);
void replay_message(struct replay *replay, const struct session *session, const char *topic, const void *payload, size_t length_bytes);

#endif
