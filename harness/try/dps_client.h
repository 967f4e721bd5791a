/*
 * harness/try/dps_client.h - a device's conversation with DPS and its hub, by a client of our own
 *
 * What:     a real TLS handshake with the person's chain and key, CONNECT as the client of the nRF Connect SDK sends it, SUBSCRIBE, register,
 *           status requests until the operation ends, DISCONNECT; when a hub was assigned, CONNECT there too.
 * Not here: why the service decides as it does: that is in the simulator's events.
 * Source:   "Communicate with DPS using the MQTT protocol", Azure documentation; nRF Connect SDK, azure_iot_hub_dps.c.
 * Trust:    the server must stand under the root given; its name is not compared, because a hub may have any.
 */
#ifndef HARNESS_TRY_DPS_CLIENT_H
#define HARNESS_TRY_DPS_CLIENT_H

#include "harness/try/device_files.h"
#include "harness/wait/waiting.h"

struct dps_client_options {
    struct waiting *waiting;
    const struct device_files *files;
    const char *server_root_path; /* PEM */
    const char *address;          /* "127.0.0.1:40123" */
    const char *host;             /* for SNI */
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
    int64_t retry_after_s; /* of the last reply that named it; 0 */
    int polls;
    bool is_assigned;
    char *hub;       /* assignedHub; NULL */
    char *device_id; /* NULL */
    int hub_connack; /* DPS_CLIENT_NONE: none came */
    char *ended;     /* why a connection ended before its answer, in the system's or libmosquitto's words; NULL */
};

/*
 * A refusal is no error. ret_conversation: dps_conversation_done() it; untouched on failure.
 * error  CRYPTO (file): OpenSSL does not take chain or key. IO (rig): no connection. TIMEOUT (rig). INTERRUPTED (person).
 */
int dps_client_run(const struct dps_client_options *options, struct dps_conversation *ret_conversation, struct error *error);
void dps_conversation_done(struct dps_conversation *conversation); /* NULL allowed */

#endif
