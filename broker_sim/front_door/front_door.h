/*
 * broker_sim/front_door/front_door.h - TCP, TLS and CONNECT; then a relay to Mosquitto with a topic prefix a session
 *
 * What:     accepts any client certificate and records everything; reads CONNECT; asks the policy; refuses with a CONNACK of its own, or
 * opens one upstream connection on Mosquitto's Unix socket and relays, with "s/<number>/" put before the device's topics and taken off
 * again. Not here: what DPS or a hub decides (broker_sim/dps, broker_sim/hub), events' way to MQTT (event_sink.h). Lanes:    what happens
 * before CONNECT cannot depend on who connects: each lane has its own server certificate and faults. A lane is a listener of its own, or a
 * host name (SNI) on the listener of another. Threads:  none; everything runs on one libuv loop. Callbacks must not free the front door.
 * Errors:   rig for what the system refuses (a port in use), ours for OpenSSL.
 */
#ifndef BROKER_SIM_FRONT_DOOR_FRONT_DOOR_H
#define BROKER_SIM_FRONT_DOOR_FRONT_DOOR_H

#include "base/clock.h"
#include "base/error.h"
#include "broker_sim/event_sink.h"
#include "broker_sim/front_door/session.h"
#include "broker_sim/scenario/knobs.h"

#include <openssl/ssl.h>
#include <stddef.h>
#include <uv.h>

struct front_door;

/* From where on nothing goes down to an admitted device any more; it is relayed up as ever, and may close when it likes. */
enum admission_silence { SILENCE_NEVER, SILENCE_AFTER_CONNECT, SILENCE_AFTER_CONNACK, SILENCE_AFTER_SUBACK };

enum { ADMISSION_FILTER_MAX_BYTES = 255 };

/* What to do with a CONNECT. */
struct admission {
    bool is_admitted;
    int return_code;                /* 1 to 5 when refused */
    const char *close_how;          /* not admitted, and not NULL: no CONNACK, closed so; see front_door_close_session */
    enum admission_silence silence; /* admitted */
    bool is_session_present;        /* admitted: the flag of the CONNACK */
    int keep_alive_percent;         /* admitted: silent for so much of its keep-alive it is closed; 0: 150, as MQTT 3.1.1 says; -1: never */
    int restored_qos;
    /* admitted: what an earlier session left subscribed, so that the device need not; "": nothing */
    char restored_filter[ADMISSION_FILTER_MAX_BYTES + 1];
};

struct publish_request {
    const char *topic;
    int qos; /* 2 too: what is taken with it is served as with 1 */
    bool is_retained;
    size_t payload_bytes;
};

enum publish_permit {
    PUBLISH_REFUSED,   /* mqtt.violation, closed */
    PUBLISH_TOO_LARGE, /* the same in other words */
    PUBLISH_TAKEN,
    PUBLISH_IGNORED, /* nothing comes of it, and no acknowledgement */
};

struct front_door_policy {
    void *user;
    /* At CONNECT. May set session->service. */
    struct admission (*decide)(void *user, struct session *session);
    /* A SUBACK for `filter` (the device's, without prefix) went down with a granted QoS. */
    void (*subscribed)(void *user, struct session *session, const char *filter, int granted_qos);
    /* An UNSUBACK for `filter` went down. */
    void (*unsubscribed)(void *user, struct session *session, const char *filter);
    /* May the device publish that? Also asked for a will. */
    enum publish_permit (*may_publish)(void *user, struct session *session, const struct publish_request *request);
    /*
     * A will, or a PUBLISH with RETAIN, which Mosquitto does not get to see: another topic to send it up under, malloc'ed; NULL: its own. For the will
     * it is asked before decide.
     */
    char *(*amend_topic)(void *user, const struct session *session, const char *topic, bool is_will, bool is_retained);
    /* A PUBLISH went down. packet_id: 0 at QoS 0. */
    void (*sent)(void *user, struct session *session, const char *topic, uint16_t packet_id);
    /* The device's PUBACK came. */
    void (*acknowledged)(void *user, struct session *session, uint16_t packet_id);
    /* Granted QoS (0, 1), 0x80 to refuse the filter. */
    int (*grant)(void *user, struct session *session, const char *filter, int qos);
    /* Not before this goes a CONNACK, a SUBACK (packet_type of MQTT 3.1.1). In the past, or NULL: at once. */
    deadline_t (*ack_due)(void *user, const struct session *session, int packet_type);
    /* The session is over, admitted or not (only after decide was called for it). Release session->service. */
    void (*closed)(void *user, struct session *session);
    /* The knobs that are turned for this device; lent until the next call. NULL: none are. */
    const struct knobs *(*knobs)(void *user, const struct session *session, const char *registration_id);
    /* Does the fault of this knob happen now? Counts and tells it. */
    bool (*fault)(void *user, const struct session *session, const char *registration_id, int knob);
    /*
     * In the handshake, when the client's certificates have come, leaf first; session->chain is not filled yet. 0 goes on; with X509_V_ERR_... the
     * handshake ends with the alert that OpenSSL has for it. An empty chain: none came where one is needed, and the handshake ends in any case.
     * NULL: any certificate goes on.
     */
    int (*verify)(void *user, struct session *session, const STACK_OF(X509) * chain);
    /* Must a client certificate come? Asked at ClientHello. NULL: no. */
    bool (*needs_certificate)(void *user);
};

struct front_door_options {
    uv_loop_t *loop;
    const struct clock *clock;
    double time_scale;         /* divides keepalive and close-after-refusal; not the CONNECT deadline */
    const char *upstream_path; /* Mosquitto's Unix socket for devices; copied */
    struct event_sink sink;
    struct front_door_policy policy;
    int64_t connect_deadline_ms; /* from accept to CONNECT; 10000 in production */
    size_t sessions_max;         /* 0: 4096 */
    size_t packet_max_bytes;     /* of a device's PUBLISH; 0: 262144 + topic */
};

int front_door_new(const struct front_door_options *options, struct front_door **ret_front_door, struct error *error);
/* Close all lanes and sessions (close_notify, FIN; events say "shutdown"), then free. Returns at once; handles close on the loop. NULL
 * allowed. */
void front_door_free(struct front_door *front_door);

/* A lane's server identity: what it sends. Taken references; the lane keeps its own. */
struct lane_identity {
    X509 *leaf;
    EVP_PKEY *key;
    STACK_OF(X509) * intermediates; /* sent behind the leaf, in this order; may be empty or NULL */
};

struct lane_options {
    const char *name;    /* "main", "lane-7"; copied */
    const char *address; /* numeric listening address and ... */
    uint16_t port;       /* ... port, 0: the kernel chooses; both ignored when `parent` is given */
    const char *parent;  /* name of the lane whose listener is shared; then `host` selects by SNI */
    const char *host;    /* SNI name of a lane with a parent; copied */
    int tls_min_version; /* TLS1_2_VERSION (the default, for 0) ... */
    int tls_max_version; /* ... to TLS1_2_VERSION (the default) or TLS1_3_VERSION */
    struct lane_identity identity;
};

/* ret_port: what the kernel chose. EXISTS (ours): name taken. IO (rig): port in use; the text names address and port. */
int front_door_lane_open(struct front_door *front_door, const struct lane_options *options, uint16_t *ret_port, struct error *error);
/* From the next handshake on. NOT_FOUND (rig). */
int front_door_lane_set_identity(struct front_door *front_door, const char *name, const struct lane_identity *identity,
                                 struct error *error);
/* Net and tls knobs, from the next connection on; NULL: nothing is turned. Copied. NOT_FOUND (rig); USAGE (file). */
int front_door_lane_set_knobs(struct front_door *front_door, const char *name, const struct knobs *knobs, struct error *error);
/* Lent; NULL: nothing is turned, or there is no such lane. */
const struct knobs *front_door_lane_knobs(struct front_door *front_door, const char *name);
/* Closes its listener and its sessions. NOT_FOUND (rig). */
int front_door_lane_close(struct front_door *front_door, const char *name, struct error *error);

/*
 * The gate: while it is shut (Mosquitto is away, or the services are not subscribed yet) a CONNECT is held up to 5 s, then answered with
 * CONNACK 3. Shutting it closes every admitted session (by "broker", how "broker_down").
 */
void front_door_set_gate(struct front_door *front_door, bool is_open);

/* What happened since the start, for tests and `simulator.info`. */
struct front_door_counts {
    uint64_t accepted;
    uint64_t over_limit;       /* closed at once: sessions_max */
    uint64_t deadlines_missed; /* half-open and slow peers: no CONNECT before connect_deadline_ms */
    uint64_t lingers_cut;      /* peers that did not close within 2 s after our FIN */
    uint64_t violations;
    uint64_t upstream_retries; /* Mosquitto's backlog was full, or it was away */
};
struct front_door_counts front_door_counts(const struct front_door *front_door);

/* Scenarios were set or cleared: sessions that stand ask policy.knobs again. */
void front_door_reload_faults(struct front_door *front_door);

/* NULL when it is gone. */
struct session *front_door_session(struct front_door *front_door, uint64_t number);
size_t front_door_session_count(const struct front_door *front_door);

/*
 * The reply that is on its way to the session is its last one: close at the device's DISCONNECT or FIN, at the latest `after_ms` (unscaled;
 * the front door divides by the time scale) after the device acknowledged the reply, or after the reply went down where it needs no PUBACK.
 * A device that does not acknowledge has `patience_ms` (unscaled) from the moment when the reply went down; some acknowledge only when they wake
 * up for their next request. `how` as in front_door_close_session. Unknown number: nothing.
 */
void front_door_close_after_reply(struct front_door *front_door, uint64_t number, int64_t after_ms, int64_t patience_ms, const char *how);
/* Close in `after_ms` (unscaled). Unknown number: nothing. */
void front_door_close_later(struct front_door *front_door, uint64_t number, int64_t after_ms, const char *how);
/*
 * Close now: flush, close_notify, FIN. by "service"; `how` one of docs/events.md, a literal. Two are done as they say, as a network or a
 * crashed server would: "fin" leaves out the close_notify, "reset" sends an RST and nothing more. Unknown number: nothing.
 */
void front_door_close_session(struct front_door *front_door, uint64_t number, const char *how);

#endif
