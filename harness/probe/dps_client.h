/*
 * harness/probe/dps_client.h - a device's conversation with DPS and its hub, by a client of our own
 *
 * What:     a real TLS handshake with the person's chain and key, CONNECT as the client of the nRF Connect SDK sends it, SUBSCRIBE, register,
 *           status requests until the operation ends, DISCONNECT; when a hub was assigned, CONNECT there too.
 * Not here: why the service decides as it does: a simulator's events say that.
 * Source:   "Communicate with DPS using the MQTT protocol", Azure documentation; nRF Connect SDK, azure_iot_hub_dps.c.
 */
#ifndef HARNESS_PROBE_DPS_CLIENT_H
#define HARNESS_PROBE_DPS_CLIENT_H

#include "base/json.h"
#include "harness/probe/tls.h"
#include "harness/wait/waiting.h"

#define DPS_CLIENT_API_VERSION "2019-03-31"

struct dps_client_options {
    struct waiting *waiting;
    struct probe_tls_options tls;
    struct probe_observer observer;
    const char *host;    /* of DPS: for SNI */
    uint16_t port;       /* there, and at the hub; not used with `address` */
    const char *address; /* "127.0.0.1:40123": DPS and hub are there, whatever their names; NULL: they are looked up */
    bool compares_names; /* the servers' certificates must name them */
    const char *id_scope;
    const char *registration_id;
    double time_scale; /* for retry-after */
    deadline_t deadline;
};

enum { DPS_CLIENT_NONE = -1, DPS_CLIENT_POLLS_MAX = 10 };

/* What the device saw. */
struct dps_conversation {
    int connack;           /* of DPS; DPS_CLIENT_NONE: none came */
    int status;            /* of the last reply, 202, 200, 401 ...; DPS_CLIENT_NONE */
    cJSON *body;           /* of the last reply; NULL */
    int64_t retry_after_s; /* of the last reply, or what is waited where it names none */
    int polls;
    bool is_too_late; /* retry-after reaches beyond the deadline: it was not asked again */
    bool is_assigned;
    char *hub;       /* assignedHub; NULL */
    char *device_id; /* NULL */
    int hub_connack; /* DPS_CLIENT_NONE: none came */
    char *ended;     /* why a connection ended before its answer, in the system's or libmosquitto's words; NULL */
};

/*
 * A refusal is no error. ret_conversation: dps_conversation_done() it; untouched on failure.
 * error  CRYPTO (file): OpenSSL does not take chain, key or root. IO (rig): no connection. TIMEOUT (rig). INTERRUPTED (person).
 */
int dps_client_run(const struct dps_client_options *options, struct dps_conversation *ret_conversation, struct error *error);
/* What may stand in assignedHub: RFC 1035, and a port perhaps. Where this is false, no hub was asked. */
bool dps_client_is_host(const char *name);
void dps_conversation_done(struct dps_conversation *conversation); /* NULL allowed */

#endif
