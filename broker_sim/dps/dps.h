/*
 * broker_sim/dps/dps.h - the Device Provisioning Service: CONNECT, SUBSCRIBE, register, operation status
 *
 * What:     decides who may connect (CONNECT's own rules, then a SAS token, or the judge of certs/attestation.h under the profile of the scenario), answers
 * requests, and gives assigned devices an identity at the hub. Emits attestation.verdict, dps.request, dps.reply, dps.warning,
 * dps.assigned, dps.webhook. Not here: rules about certificates (certs/attestation.h), the bytes of MQTT (front_door), how bodies look (reply.h).
 * Source:   "Communicate with DPS using the MQTT protocol", Azure documentation; field logs: docs/fidelity.md says which is which.
 * Time:     the service itself waits for nothing but a webhook: assignment is counted in polls.
 */
#ifndef BROKER_SIM_DPS_DPS_H
#define BROKER_SIM_DPS_DPS_H

#include "broker_sim/dps/linked_hubs.h"
#include "broker_sim/dps/registration.h"
#include "broker_sim/event_sink.h"
#include "broker_sim/front_door/front_door.h"
#include "broker_sim/hub/registry.h"
#include "broker_sim/pki/issuing_ca.h"
#include "broker_sim/scenario/scenario.h"
#include "broker_sim/service_port.h"
#include "broker_sim/webhook_port.h"
#include "certs/dps_state.h"

/*
 * What a CONNECT is refused for before the judge is asked: CONNACK 5, or, where a knob says so, a reply with code and message.
 * X(id, rule id, error code, message, mend)
 */
#define DPS_CONNECT_RULES(X)                                                                                                               \
    X(USER_NAME, "connect.user-name", 0, NULL, "send the user name {idScope}/registrations/{registrationId}/api-version=2019-03-31")       \
    X(API_VERSION, "connect.api-version", 0, NULL, "end the user name with /api-version=2019-03-31")                                       \
    X(UNKNOWN_API_VERSION, "connect.unknown-api-version", 400000, "Bad Request",                                                           \
      "say api-version=2019-03-31 or a later one that is known")                                                                           \
    X(ID_SCOPE, "connect.id-scope", 404001, "Not found",                                                                                   \
      "give the device the ID scope of this service (CONFIG_AZURE_IOT_HUB_DPS_ID_SCOPE in Nordic's sample)")                               \
    X(CLIENT_ID, "connect.client-id", 0, NULL, "use the registration id as MQTT client id")

/* The same for a CONNECT with a SAS token. */
#define DPS_SAS_RULES(X)                                                                                                                   \
    X(TOKEN, "sas.token", 401000, "Unauthorized",                                                                                          \
      "send SharedAccessSignature sr={idScope}%2Fregistrations%2F{registrationId}&sig=...&se=...&skn=registration as the password")        \
    X(RESOURCE, "sas.resource", 401000, "Unauthorized", "sign sr={idScope}%2Fregistrations%2F{registrationId} of this very CONNECT")       \
    X(POLICY, "sas.policy", 401000, "Unauthorized", "say skn=registration")                                                                \
    X(EXPIRED, "sas.expired", 401000, "Unauthorized", "make a token with a later se; set the device's clock")                              \
    X(NO_ENROLLMENT, "sas.no-enrollment", 404201, "Not found", "add an enrollment or a group with attestation.type \"symmetricKey\"")      \
    X(SIGNATURE, "sas.signature", 401000, "Unauthorized", "sign with a key of the enrollment, or with the key derived from the group's")   \
    X(GROUP_KEY, "sas.group-key", 401000, "Unauthorized",                                                                                  \
      "give the device the derived key: base64 of HMAC-SHA256 over the registration id, with the group's key")                             \
    X(TPM, "sas.tpm", 401000, "Unauthorized", "use a certificate or a symmetric key: TPM attestation is not supported over MQTT")

struct dps;

/* A device that has attested and registers. All lent. */
struct dps_applicant {
    const char *registration_id;
    bool is_group;        /* attested by a group, not by an individual enrollment */
    const X509 *leaf;     /* NULL: by a token */
    const cJSON *payload; /* of the register request; NULL: none */
};

/* Why it is turned away: res/{status} with code and message, after which the service closes. */
struct dps_turned_away {
    int status;
    int error_code;
    const char *message; /* lent for ever */
};

/* What stands between attestation and assignment at some tenants: an application (IoT Central) with a will of its own. */
struct dps_application {
    void *user;
    /* false: turned away. */
    bool (*admit)(void *user, const struct session *session, const struct dps_applicant *applicant, struct dps_turned_away *ret_answer);
    /* The hub that the device is to be assigned to, whatever the enrollment says; lent until the next change. */
    const char *(*hub)(void *user, const char *registration_id);
    /* It has been assigned. */
    void (*assigned)(void *user, const char *registration_id);
};

/* One instance of the service, chosen by the ID scope of CONNECT. All lent. */
struct dps_tenant {
    const char *id_scope;
    const struct dps_state *state;
    struct registration_store *registrations;
    const struct dps_application *application; /* NULL: none, plain DPS */
    const struct linked_hubs *linked_hubs;     /* NULL: the default one, and every hub that an enrollment names */
};

enum { DPS_TENANTS_MAX = 8 };

struct dps_options {
    struct dps_tenant tenants[DPS_TENANTS_MAX];
    size_t tenant_count;              /* one at least */
    struct scenario_table *scenarios; /* lent */
    struct hub_registry *hubs;        /* lent */
    struct event_sink sink;
    struct service_port port;
    struct webhook_port webhooks; /* of custom allocation; without `post` every such registration fails */
    struct issuing_ca *issuer;    /* lent; signs the csr of a register request. NULL: none is taken */
    double time_scale;            /* divides quota windows and conflict_ms; 0: 1 */
};

struct dps *dps_new(const struct dps_options *options); /* NULL when out of memory */
void dps_free(struct dps *dps);                         /* NULL allowed */
/* One more tenant, for good. LIMIT (file): DPS_TENANTS_MAX. */
int dps_add_tenant(struct dps *dps, const struct dps_tenant *tenant, struct error *error);

/* The front door's policy for sessions that are not a hub's. decide sets session->service, closed releases it. */
struct admission dps_decide(struct dps *dps, struct session *session);
/*
 * In the handshake: 0, or X509_V_ERR_... where a profile refuses the chain there; then attestation.verdict has been emitted. An empty chain: no
 * certificate came where dps_needs_certificate().
 */
int dps_verify(struct dps *dps, struct session *session, const x509_stack *chain);
/* The profile of everybody refuses in the handshake. */
bool dps_needs_certificate(const struct dps *dps);
enum publish_permit dps_may_publish(struct dps *dps, const struct session *session, const struct publish_request *request);
int dps_grant(struct dps *dps, const struct session *session, const char *filter, int qos);
/* The SUBACK for `filter` went down. */
void dps_subscribed(struct dps *dps, struct session *session, const char *filter);
void dps_closed(struct dps *dps, struct session *session);

/* What devices publish to DPS, for the service's connection: filters with s/+/ before them. */
extern const char *const dps_filters[];
extern const size_t dps_filter_count;
/* `topic` without the prefix. */
void dps_message(struct dps *dps, const struct session *session, const char *topic, const void *payload, size_t length_bytes);

#endif
