/*
 * broker_sim/hub/authentication.h - may this CONNECT be that device?
 *
 * What:     by thumbprint: the leaf is one of two certificates and valid now, whoever signed it. By CA: the chain that was sent leads to a verified
 *           certificate, each is valid now, and the leaf's CN is the device id. By SAS: the password is a token for this device that one of its keys
 *           signed, and it has not expired.
 * Rules:    HUB_RULES is the list of what a CONNECT is refused for, with the code that IoT Hub writes into its log (a device sees CONNACK 5 alone).
 * Source:   "Authenticate identities with X.509 certificates", "Control access to IoT Hub by using shared access signatures", "Troubleshooting error codes"
 *           (401003, 403012, 404001), Azure documentation.
 */
#ifndef BROKER_SIM_HUB_AUTHENTICATION_H
#define BROKER_SIM_HUB_AUTHENTICATION_H

#include "broker_sim/front_door/session.h"
#include "broker_sim/hub/registry.h"
#include "certs/dps_state.h"

/* X(id, rule id, code in the hub's log, mend) */
#define HUB_RULES(X)                                                                                                                       \
    X(USER_NAME, "hub.user-name", 401003, "send the user name {hub}/{deviceId}/?api-version=2021-04-12")                                   \
    X(CLIENT_ID, "hub.client-id", 401003, "use the device id as MQTT client id")                                                           \
    X(UNKNOWN_DEVICE, "hub.unknown-device", 404001,                                                                                        \
      "register with DPS first: that makes the device's identity; or make one with dpsbench hub create")                                   \
    X(OTHER_HUB, "hub.other-hub", 404001, "connect to the assignedHub of the last registration; register again when in doubt")             \
    X(DISABLED, "hub.disabled", 403012, "enable the device: dpsbench hub update DEVICE --status enabled")                                  \
    X(OTHER_KIND, "hub.other-kind", 401003,                                                                                                \
      "let the device prove itself as its identity says: a certificate (selfSigned, certificateAuthority) or a SAS token (sas)")           \
    X(THUMBPRINT, "hub.thumbprint", 401003, "connect with the certificate that was used to register, or register again with the new one")  \
    X(UNKNOWN_CA, "hub.unknown-ca", 401003, "send the chain up to a CA certificate that is uploaded and verified")                         \
    X(CN, "hub.cn", 401003, "give the device a certificate whose CN is its device id")                                                     \
    X(EXPIRED, "hub.expired", 401003, "give the device a certificate that is valid now and register again")                                \
    X(TOKEN, "hub.token", 401003, "send SharedAccessSignature sr={hub}%2Fdevices%2F{deviceId}&sig=...&se=... as the password")             \
    X(TOKEN_RESOURCE, "hub.token-resource", 401003, "sign sr={hub}%2Fdevices%2F{deviceId} of this very hub and device")                    \
    X(TOKEN_SIGNATURE, "hub.token-signature", 401003, "sign with the primary or the secondary key of the device's identity")               \
    X(TOKEN_EXPIRED, "hub.token-expired", 401003, "make a token with a later se; set the device's clock")                                  \
    X(SCENARIO, "hub.scenario", 0, "nothing: the knob hub_connack asks for it; a good device registers with DPS again")

enum hub_rule {
    HUB_ACCEPTED,
#define X(id, name, code, mend) HUB_##id,
    HUB_RULES(X)
#undef X
};

const char *hub_rule_name(enum hub_rule rule); /* NULL: accepted */
const char *hub_rule_mend(enum hub_rule rule);
int hub_rule_code(enum hub_rule rule);

struct hub_judgement {
    enum hub_rule rule;
    int return_code;
    char text[512];
    int64_t token_expires_unix_s; /* accepted by a token; INT64_MAX: by something else */
};

/* Fills the judgement, return_code 5. Returns -1. */
int hub_refuse(struct hub_judgement *judgement, enum hub_rule rule, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* state: its verified certificates are the CAs that hubs trust; NULL: none. -1: refused, the judgement says why. */
int hub_authenticate(const struct hub_device *device, const struct session *session, const struct dps_state *state, int64_t now_unix_s,
                     struct hub_judgement *judgement);

#endif
