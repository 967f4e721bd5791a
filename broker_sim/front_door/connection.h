/*
 * broker_sim/front_door/connection.h - inside of the front door: one device connection and its two sockets
 *
 * What:     the data that the files of this folder share. connection.c owns phases, deadlines and the end; device.c the TLS side;
 * upstream.c the Unix socket to Mosquitto; admission.c CONNECT; relay_up.c and relay_down.c the packets of a session; wire_events.c the
 * events. Life:     accept -> phases in the order of `enum phase` -> PHASE_GONE when the device's socket is closed. Then the upstream
 * connection is drained (half-close), and at last the connection is retired: policy.closed, out of the table, memory freed by the loop.
 * Rule:     any call into the policy may close the connection; after it, look at the phase before going on.
 */
#ifndef BROKER_SIM_FRONT_DOOR_CONNECTION_H
#define BROKER_SIM_FRONT_DOOR_CONNECTION_H

#include "base/bytes.h"
#include "broker_sim/front_door/front_door.h"
#include "broker_sim/front_door/pending.h"
#include "broker_sim/front_door/wire.h"
#include "broker_sim/mqtt/connect.h"
#include "broker_sim/mqtt/framer.h"
#include "broker_sim/mqtt/subscribe.h"

struct lane;
struct certificate_memory;
struct tls_library;
struct net_filter;
struct session_faults;

enum {
    SESSION_BUCKETS = 4096,
    SCRATCH_BYTES = 64 * 1024,
    QUEUE_HIGH_BYTES = 64 * 1024,         /* reading from the other side stops above this */
    QUEUE_MAX_BYTES = 2 * 1024 * 1024,    /* what one more read can add, with prefixes, lies far below */
    DEVICE_PACKET_MAX_BYTES = 128 * 1024, /* of anything but a PUBLISH */
    HOLD_MS = 5000,                       /* a CONNECT before a shut gate */
    UPSTREAM_MS = 10000,                  /* from admission to Mosquitto's CONNACK */
    LINGER_MS = 2000,                     /* from our last byte to the device's FIN */
    DRAIN_MS = 10000,                     /* from the device's end to Mosquitto's */
    SETTLE_MS = 20,                       /* from Mosquitto's end to policy.closed: what it sent to the services may still be on its way */
    REFUSAL_MS = 30000,                   /* a last reply that never goes down */
    KEEP_ALIVE_MAX_MS = 1767000,          /* Azure's load balancer cuts idle connections after 29.45 minutes */
    PREFIX_MAX_BYTES = 32,
    NET_PATIENCE_MS = 600000, /* a network that is bad on request takes its time: handshake and last bytes */
};

enum phase {
    PHASE_HANDSHAKE,
    PHASE_CONNECT,   /* TLS stands, CONNECT has not come */
    PHASE_HELD,      /* CONNECT came, the gate is shut */
    PHASE_ADMITTED,  /* decided; waiting for Mosquitto's CONNACK */
    PHASE_SESSION,   /* relaying */
    PHASE_FINISHING, /* flushing the last bytes to the device */
    PHASE_LINGER,    /* close_notify and FIN are sent; waiting for the device's FIN */
    PHASE_GONE,      /* the device's socket is closed */
};

enum upstream_state {
    UPSTREAM_NONE,
    UPSTREAM_QUEUED, /* Mosquitto's backlog is full: trying again */
    UPSTREAM_OPEN,
    UPSTREAM_ENDING, /* flushing, then FIN; what comes is dropped until Mosquitto closes */
    UPSTREAM_CLOSED,
};

enum refusal_state {
    REFUSAL_NONE,
    REFUSAL_REPLY,  /* the last reply has not come down yet */
    REFUSAL_PUBACK, /* it has, at QoS 1 */
    REFUSAL_TIMER,
    REFUSAL_LATER, /* no reply is waited for */
};

struct connection {
    struct session session;
    struct front_door *door;
    struct lane *lane; /* NULL once the lane is closed */
    struct connection *next, *previous;
    struct connection *next_in_bucket;
    struct connection *next_queued; /* UPSTREAM_QUEUED */

    enum phase phase;
    int open_handles;
    int64_t accepted_us;
    const char *closed_by, *closed_how, *closed_stage; /* NULL until the end is decided */
    deadline_t phase_deadline;
    uv_timer_t timer;
    int64_t timer_due_us; /* INT64_MAX: not running */

    /* what session lends */
    char *lane_name, *peer, *sni, *client_id, *user_name, *password, *registration_id;

    /* device */
    struct wire wire;
    SSL *ssl;               /* NULL when gone */
    struct net_filter *net; /* NULL: nothing is between TLS and the socket; gone with ssl */
    uv_poll_t poll;
    struct bytes out;   /* plain text on its way to the device */
    struct bytes early; /* what came behind CONNECT before the session stood */
    struct mqtt_framer up;
    uint64_t bytes_up, bytes_down;
    X509 *verify_error_subjects[SESSION_VERIFY_ERRORS_MAX];

    /* upstream */
    uv_poll_t upstream_poll;
    struct bytes upstream_out;
    struct mqtt_framer down;
    enum upstream_state upstream;
    int upstream_fd;
    int upstream_mask;
    int poll_mask; /* of the device */

    /* session */
    struct mqtt_connect connect; /* flags only: the texts are gone */
    char *will_topic;
    struct pending_list pending;
    struct session_faults *faults; /* NULL: MQTT is as it should be */
    int64_t keep_alive_ms;         /* real time; 0: none */
    int64_t last_received_us;
    int keep_alive_percent; /* as in struct admission */
    size_t prefix_bytes;
    char prefix[PREFIX_MAX_BYTES];
    int64_t refusal_after_ms, refusal_patience_ms; /* real time */
    const char *refusal_how;
    deadline_t refusal_deadline;
    enum refusal_state refusal;
    enum admission_silence silence;
    uint16_t refusal_packet_id;
    char *restored_filter; /* of struct admission */
    int restored_qos;
    bool is_session_present;

    bool has_said_end;                           /* close_notify is out, or will not be said */
    bool has_seen_hello, is_tls_up, wants_write; /* TLS wants to write before it reads on */
    bool has_unread;                             /* OpenSSL has read more than we took: no poll tells of it */
    bool is_disturbed;                           /* something came while nobody reads */
    bool has_close_notify, has_sent_fatal_alert, has_received_fatal_alert;
    bool is_decided;          /* policy.decide was called */
    bool is_mute;             /* nothing goes down any more: enum admission_silence */
    bool is_dropping_payload; /* of a PUBLISH to a topic that a device cannot have */
    bool is_ignoring_payload; /* of a PUBLISH of which nothing comes */
    bool is_retired;
};

struct front_door {
    struct front_door_options options;
    char *upstream_path;
    BIO_METHOD *wire_method;
    BIO_METHOD *net_method;
    struct certificate_memory *certificates;
    struct tls_library *library; /* of all handshakes; NULL: OpenSSL's own */
    struct lane *lanes;
    struct connection *connections;
    struct connection *table[SESSION_BUCKETS];
    struct connection *queue_first, *queue_last; /* UPSTREAM_QUEUED */
    uv_timer_t *retry_timer;
    size_t device_count;
    uint64_t next_number;
    bool is_gate_open;
    bool is_ending;
    struct front_door_counts counts;
    uint8_t scratch[SCRATCH_BYTES]; /* one read; nothing in it outlives the callback */
};

static const deadline_t deadline_none = {INT64_MAX};

/* connection.c */
/* Takes `fd` over, in every case. */
void connection_accept(struct front_door *door, struct lane *lane, int fd, const char *peer);
/* Poll what the state asks for, set the timer. Call it last after anything that changed the connection. */
void connection_update(struct connection *connection);
/*
 * We end it: flush, close_notify, FIN, wait for the device's FIN; `how` "fin" without close_notify, "reset" with an RST alone. Does nothing
 * when the end is under way.
 */
void connection_finish(struct connection *connection, const char *by, const char *how);
/* Note who ended it and how; the first note counts. */
void connection_note_end(struct connection *connection, const char *by, const char *how);
/* mqtt.violation, then connection_finish. */
void connection_violation(struct connection *connection, const char *reason);
void connection_try_retire(struct connection *connection);
/* At once and without waiting for anybody. */
void connection_abandon(struct connection *connection, const char *how);
void connection_handle_opened(struct connection *connection);
void connection_handle_closed(uv_handle_t *handle);           /* handle->data is the connection */
bool connection_is_open(const struct connection *connection); /* admitted, or before; not ending */
deadline_t connection_deadline_ms(const struct connection *connection, int64_t ms);

/* device.c */
int device_start(struct connection *connection);
void device_poll(uv_poll_t *poll, int status, int events);
int device_mask(const struct connection *connection);
/* ClientHello has chosen another lane by its host name: its net and tls knobs count. */
/* scenario.fault for each knob that counts from now on and does not tell itself when it happens. */
void device_tell_knobs(struct connection *connection);
int device_change_lane(struct connection *connection, struct lane *lane);
/* The bad network: when it has something to do; do it. */
deadline_t device_net_due(const struct connection *connection);
void device_net_pump(struct connection *connection);
/* It waits for an MQTT packet; a packet passes: true when the connection ends by it. As faults_packet(). */
bool device_net_awaits_packet(const struct connection *connection);
bool device_net_packet(struct connection *connection, bool is_behind, bool is_up, int type, const char *topic);
void device_flush(struct connection *connection);
void device_finish(struct connection *connection);
/* RST: what is queued is thrown away. */
void device_reset(struct connection *connection);
/* The device's socket is closed; emits connection.closed. */
void device_close(struct connection *connection);

/* upstream.c */
void upstream_start(struct connection *connection);
void upstream_flush(struct connection *connection);
/* Half-close: what is queued still goes, then FIN. */
void upstream_end(struct connection *connection);
/* At once. */
void upstream_close(struct connection *connection);
int upstream_mask(const struct connection *connection);
void upstream_poll(uv_poll_t *poll, int status, int events);
void upstream_retry(uv_timer_t *timer);

/* admission.c */
int admission_read_connect(struct connection *connection, const struct mqtt_header *header, const uint8_t *body, size_t length_bytes,
                           struct error *error);
void admission_gate_opened(struct connection *connection);
/* Answer with a CONNACK that refuses, and finish. */
void admission_refuse(struct connection *connection, int return_code, const char *by, const char *how);
/* Mosquitto has accepted. */
void admission_complete(struct connection *connection);

/* relay_up.c: from the device; relay_down.c: from Mosquitto. */
void relay_up(struct connection *connection, const uint8_t *data, size_t length_bytes);
int relay_down(struct connection *connection, const uint8_t *data, size_t length_bytes);

/* wire_events.c */
void emit_accepted(struct connection *connection);
void emit_client_hello(struct connection *connection);
void emit_handshake(struct connection *connection);
void emit_alert(struct connection *connection, bool is_sent, int level, int number);
void emit_failed(struct connection *connection, const char *reason);
void emit_connect(struct connection *connection);
void emit_connack(struct connection *connection, int return_code);
void emit_filters(struct connection *connection, struct mqtt_filters filters);
void emit_suback(struct connection *connection, const uint8_t *codes, size_t count, uint16_t packet_id);
void emit_unsuback(struct connection *connection, const struct pending *pending, uint16_t packet_id);
void emit_publish(struct connection *connection, bool is_up, const char *topic, const struct mqtt_publish *publish);
void emit_puback(struct connection *connection, bool is_up, uint16_t packet_id);
void emit_bare(struct connection *connection, enum event_kind kind); /* pingreq, pingresp, disconnect */
void emit_violation(struct connection *connection, const char *reason);
void emit_fault(struct connection *connection, const struct knobs *knobs, int knob);
void emit_closed(struct connection *connection);

#endif
