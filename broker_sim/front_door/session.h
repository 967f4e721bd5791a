/*
 * broker_sim/front_door/session.h - one device connection, as the services may see it
 *
 * What:     the facts that the front door gathered: the handshake, the chain as sent, CONNECT. Filled by the front door, read by everybody
 * else. Lifetime: lent from the callback that shows it until front_door_policy.closed() has returned for it.
 */
#ifndef BROKER_SIM_FRONT_DOOR_SESSION_H
#define BROKER_SIM_FRONT_DOOR_SESSION_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>

enum session_endpoint {
    SESSION_ENDPOINT_UNKNOWN, /* the user name is neither DPS's nor a hub's */
    SESSION_ENDPOINT_DPS,     /* {idScope}/registrations/{registrationId}/api-version=... */
    SESSION_ENDPOINT_HUB,     /* {hub host}/{deviceId}/?api-version=..., old form without '?' too */
};

/* One verification error, in the order in which OpenSSL raised it; certificates of any quality are accepted in the handshake. */
struct session_verify_error {
    int code; /* X509_V_ERR_... */
    int depth;
};

enum { SESSION_VERIFY_ERRORS_MAX = 16 };

struct session {
    uint64_t number; /* never reused within a start; topic prefix s/<number>/ */
    const char *lane;
    const char *peer; /* "ADDR:PORT" */

    /* handshake */
    const char *sni; /* NULL: none sent */
    const char *tls_version;
    const char *tls_suite;
    STACK_OF(X509) * chain; /* as sent, leaf first; never NULL, empty when no certificate came */
    int signed_count;       /* so many of them, from the leaf on, were found to be signed by the one behind */
    struct session_verify_error verify_errors[SESSION_VERIFY_ERRORS_MAX];
    int verify_error_count;

    /* CONNECT; NULL texts before it */
    enum session_endpoint endpoint;
    const char *client_id;
    const char *user_name; /* "" when absent */
    const char *password;  /* NULL when absent; never logged */
    bool is_clean_session;
    uint16_t keep_alive_s;

    void *service; /* the services' own data: set in policy.decide, released in policy.closed */
};

#endif
