/*
 * broker_sim/replay/recording.h - read a recorded conversation (docs/recording.md)
 *
 * What:     a file of JSON lines, as `dpsbench probe --record` writes it or a person does; in memory it is what the service did: how it ended the
 *           handshake, or how it answered CONNECT, each SUBSCRIBE, each request, and when it closed.
 * Errors:   file: "FILE:LINE: ..." with what is wrong and what would be right. LIMIT for more than RECORDING_... .
 */
#ifndef BROKER_SIM_REPLAY_RECORDING_H
#define BROKER_SIM_REPLAY_RECORDING_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RECORDING_VERSION = 1,
    RECORDING_FILE_MAX_BYTES = 4 * 1024 * 1024,
    RECORDED_EXCHANGES_MAX = 256,
    RECORDED_REPLIES_MAX = 16,
    RECORDED_SUBACKS_MAX = 64,
    RECORDED_PLACE_BYTES = 64,
    RECORDED_HOST_BYTES = 256,
};

enum { RECORDED_NOTHING = -1 };

/* One PUBLISH of the service. */
struct recorded_reply {
    int64_t after_ms; /* behind the request */
    char *topic;
    char *body; /* "" when it was empty */
};

/* A request of the device, and what came of it. */
struct recorded_exchange {
    bool is_register; /* else a status request */
    struct recorded_reply replies[RECORDED_REPLIES_MAX];
    size_t reply_count;
    int64_t closed_after_ms; /* behind the request; RECORDED_NOTHING: the connection stayed */
};

struct recorded_suback {
    int code;
    int64_t after_ms; /* behind its SUBSCRIBE */
};

/* How the service ended a handshake. */
enum recorded_end { HANDSHAKE_STOOD, HANDSHAKE_ALERT, HANDSHAKE_CLOSED, HANDSHAKE_RESET };

struct recorded_handshake {
    enum recorded_end end;
    int alert;                     /* HANDSHAKE_ALERT: its number */
    char at[RECORDED_PLACE_BYTES]; /* where, in the words of broker_sim/scenario/trigger.h */
    int64_t after_ms;              /* behind the message before it */
    bool is_behind;                /* of TLS 1.3: for the device the handshake stood, and then the alert came */
    bool is_ended_by_device;       /* by an alert of its own: what the service would have said nobody knows */
    int device_alert;              /* its number */
};

/* A connection: to DPS, or to the hub. */
struct recorded_stage {
    bool is_there; /* CONNECT was sent */
    struct recorded_handshake handshake;
    bool is_tls_1_3;
    int connack;             /* RECORDED_NOTHING: none came */
    int64_t connack_ms;      /* behind CONNECT */
    int64_t closed_after_ms; /* without any request: behind CONNECT; RECORDED_NOTHING */
    struct recorded_suback subacks[RECORDED_SUBACKS_MAX];
    size_t suback_count;
    struct recorded_exchange *exchanges;
    size_t exchange_count;
};

enum { RECORDED_DPS, RECORDED_HUB, RECORDED_STAGES };

struct recording {
    struct recorded_stage stages[RECORDED_STAGES];
    char hub[RECORDED_HOST_BYTES]; /* assignedHub of the last reply that has one; "": none has */
};

/* ret_recording: recording_done() it; untouched on failure. */
int recording_read(const char *path, struct recording *ret_recording, struct error *error);
/* The same from memory; `name` stands for the file in errors. */
int recording_read_text(const char *text, size_t length_bytes, const char *name, struct recording *ret_recording, struct error *error);
void recording_done(struct recording *recording); /* NULL allowed */

#endif
