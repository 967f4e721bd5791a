/*
 * perf/load_client/script.h - what a device says and expects once TLS stands
 *
 * What:     one small state machine a conversation, fed with bytes, writing bytes; it judges each reply. Packets are written and read
 *           here by hand, so that the load does not trust the code that it measures.
 * Source:   OASIS MQTT 3.1.1; the topics of Azure DPS's MQTT interface.
 */
#ifndef PERF_LOAD_CLIENT_SCRIPT_H
#define PERF_LOAD_CLIENT_SCRIPT_H

#include "base/bytes.h"

enum script_kind {
    SCRIPT_HANDSHAKE,    /* four bytes come: what perf/bare_loop sends */
    SCRIPT_CONNACK,      /* CONNECT, CONNACK 0 */
    SCRIPT_REGISTRATION, /* CONNECT, SUBSCRIBE, PUT, 202, GET until 200 and assigned */
    SCRIPT_IDLE,         /* CONNECT, SUBSCRIBE; then hold */
    SCRIPT_KIND_COUNT
};

extern const char *const script_names[SCRIPT_KIND_COUNT + 1]; /* NULL-terminated */

enum script_result { SCRIPT_MORE, SCRIPT_DONE, SCRIPT_WRONG };

struct script {
    enum script_kind kind;
    const char *id_scope; /* lent */
    const char *id;       /* lent */
    int step;
    int rid;
};

enum { SCRIPT_BUFFER_MAX_BYTES = 16 * 1024 };

/* Write what the device says first. */
void script_begin(struct script *script, struct bytes *out);
/* Consume the whole packets of `in`; answers go to `out`. After SCRIPT_DONE or SCRIPT_WRONG call it no more. */
enum script_result script_feed(struct script *script, struct bytes *in, struct bytes *out);
/* DISCONNECT, where MQTT was spoken. */
void script_end(const struct script *script, struct bytes *out);

#endif
