/*
 * harness/probe/observer.h - what a client of ours does and meets, step by step
 *
 * What:     one record a step, in the order in which things happen, from the look-up of a name to the end of the last connection. The probe prints
 *           and records them; `dpsbench try` needs none.
 * Lifetime: everything in a step is lent for the call.
 */
#ifndef HARNESS_PROBE_OBSERVER_H
#define HARNESS_PROBE_OBSERVER_H

#include "certs/chain.h"

#include <stddef.h>
#include <stdint.h>

#define PROBE_STAGES(X)                                                                                                                    \
    X(PROBE_DPS, "dps")                                                                                                                    \
    X(PROBE_HUB, "hub")

enum probe_stage {
#define X(id, name) id,
    PROBE_STAGES(X)
#undef X
};
const char *probe_stage_name(enum probe_stage stage);

/* X(id, name): the names stand in --json and in recordings. */
#define PROBE_STEPS(X)                                                                                                                     \
    X(PROBE_RESOLVED, "resolved")       /* name: the host; text: the address with its port */                                              \
    X(PROBE_UNREACHED, "unreached")     /* name: the host; text: why there is no connection */                                             \
    X(PROBE_TLS_MESSAGE, "tls-message") /* name: "ServerHello"; is_from_server */                                                          \
    X(PROBE_TLS_ALERT, "tls-alert")     /* name: "unknown CA"; code: its number; is_from_server */                                         \
    X(PROBE_SERVER, "server")           /* its certificate: chain; code: X509_V_OK, or why we refuse it, with text */                      \
    X(PROBE_TLS_DONE, "tls")            /* name: version; text: cipher suite */                                                            \
    X(PROBE_CONNECT, "connect")         /* name: user name */                                                                              \
    X(PROBE_CONNACK, "connack")         /* code; is_from_server */                                                                         \
    X(PROBE_SUBSCRIBE, "subscribe")     /* name: filter */                                                                                 \
    X(PROBE_SUBACK, "suback")           /* code; is_from_server */                                                                         \
    X(PROBE_PUBLISH, "publish")         /* name: topic; body */                                                                            \
    X(PROBE_MESSAGE, "message")         /* name: topic; body; code: QoS; is_from_server */                                                 \
    X(PROBE_DISCONNECT, "disconnect")   /* we end the connection */                                                                        \
    X(PROBE_CLOSED, "closed")           /* the server, or the network, ended it; text: how; is_from_server */

enum probe_step {
#define X(id, name) id,
    PROBE_STEPS(X)
#undef X
};
const char *probe_step_name(enum probe_step step);
/* false for another word; `ret_step` is untouched then. */
bool probe_step_from_name(const char *name, enum probe_step *ret_step);

struct probe_event {
    enum probe_stage stage;
    enum probe_step step;
    int64_t mono_us;
    bool is_from_server;
    int code;
    const char *name; /* NULL: none */
    const char *text; /* NULL: none */
    const void *body; /* NULL: none, or empty */
    size_t body_bytes;
    const x509_stack *chain; /* NULL: none */
};

struct probe_observer {
    void (*observe)(void *user, const struct probe_event *event); /* NULL: nobody looks */
    void *user;
};

#endif
