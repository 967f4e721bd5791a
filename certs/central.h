/*
 * certs/central.h - what IoT Central knows: applications, their templates, their devices and what these may do
 *
 * What:     DIR/central/NAME/ for each application (docs/central.md is the contract): application.json, devices/, and a state folder of its own
 *           (enrollments, groups, certificates: certs/dps_state.h), in memory, with every change written before the call returns.
 *           central_admit is the rule that stands between attestation and assignment.
 * Not here: what a certificate is worth (certs/attestation.h), hubs, who may write (the caller holds the lock of DIR).
 * Names:    device ids are compared without regard to ASCII case, as registration ids are.
 * Source:   azure-docs articles/iot-central/core: concepts-device-authentication, howto-manage-devices-individually, troubleshoot-connection,
 *           concepts-device-implementation.
 * Errors:   file: NOT_FOUND, EXISTS, SYNTAX, USAGE, LIMIT. rig: IO. Success outputs are untouched on failure.
 */
#ifndef CERTS_CENTRAL_H
#define CERTS_CENTRAL_H

#include "certs/dps_state.h"

struct central;
struct central_application;

enum { CENTRAL_APPLICATIONS_MAX = 7, CENTRAL_NAME_MAX_BYTES = 63, CENTRAL_DEVICES_MAX = 20000 };

/* All applications under `dir`/central; none is fine. Given: central_free() it. */
int central_open(const char *dir, const struct clock *clock, struct central **ret_central, struct error *error);
void central_free(struct central *central); /* NULL allowed */
/* Read the folders again; a new application is appended, one that is gone stays. */
int central_reload(struct central *central, size_t *ret_changed, struct error *error);

size_t central_count(const struct central *central);
/* Lent, until central_free. */
struct central_application *central_at(const struct central *central, size_t index);
/* NOT_FOUND (file): the text names those that there are. */
int central_require(const struct central *central, const char *name, struct central_application **ret_application, struct error *error);
/* Create or change, from {"name", "idScope", "autoApprove", "hubs", "deviceTemplates"}; members that are absent stay, or have their default. */
int central_put(struct central *central, const cJSON *json, struct central_application **ret_application, struct error *error);

const char *central_application_name(const struct central_application *application);
const char *central_application_id_scope(const struct central_application *application);
const char *central_application_dir(const struct central_application *application);
const cJSON *central_application_json(const struct central_application *application); /* lent until the next change */
/* The enrollments, groups and certificates of the application. */
struct dps_state *central_application_state(const struct central_application *application);

/* X(id, Central's word) */
#define CENTRAL_STATUSES(X)                                                                                                                \
    X(REGISTERED, "registered")                                                                                                            \
    X(UNASSOCIATED, "unassociated")                                                                                                        \
    X(WAITING, "waitingForApproval")                                                                                                       \
    X(PROVISIONED, "provisioned")                                                                                                          \
    X(BLOCKED, "blocked")

enum central_status {
#define X(id, name) CENTRAL_##id,
    CENTRAL_STATUSES(X)
#undef X
};
const char *central_status_name(enum central_status status);

/* A device's JSON with its deviceStatus. Given; NULL: NOT_FOUND (file), or out of memory. */
cJSON *central_device_get(const struct central_application *application, const char *id, struct error *error);
/* An array of all, sorted by id. NULL when out of memory. */
cJSON *central_device_list(const struct central_application *application);
/* From {"id", "displayName", "template"}: approved, enabled, not yet provisioned. EXISTS, SYNTAX (file). */
int central_device_create(struct central_application *application, const cJSON *json, struct error *error);
int central_device_delete(struct central_application *application, const char *id, struct error *error);

#define CENTRAL_ACTIONS(X)                                                                                                                 \
    X(APPROVE, "approve")                                                                                                                  \
    X(BLOCK, "block")                                                                                                                      \
    X(UNBLOCK, "unblock")                                                                                                                  \
    X(MOVE, "move")

enum central_action {
#define X(id, name) CENTRAL_##id,
    CENTRAL_ACTIONS(X)
#undef X
};
/* NULL-terminated. */
extern const char *const central_action_names[];

/*
 * hub  of MOVE: where to; NULL: the application's next hub. USAGE (file): there is no other one.
 */
int central_device_change(struct central_application *application, const char *id, enum central_action action, const char *hub,
                          struct error *error);
/* The hub that the device is to be assigned to: its own, else the application's first. Lent until the next change. */
const char *central_device_hub(const struct central_application *application, const char *id);
/* It has been assigned. */
int central_device_set_provisioned(struct central_application *application, const char *id, struct error *error);

/* A device that has attested and asks to be assigned. All lent. */
struct central_applicant {
    const char *id;
    bool is_group;
    const X509 *leaf;     /* NULL: attested by a token */
    const cJSON *payload; /* {"modelId", "iotcModelId", "iotcGateway"}; NULL: none */
};

/* X(id, rule, error code, message, mend; behind the mend stand --app-id and --device-id when it ends with a command of dpsbench) */
#define CENTRAL_RULES(X)                                                                                                                   \
    X(BLOCKED, "central.blocked", 400209, "Unauthorized", "unblock the device: dpsbench central device unblock")                           \
    X(UNAPPROVED, "central.not-approved", 400209, "Unauthorized",                                                                          \
      "let the application approve by itself, or approve the device: dpsbench central device approve")                                     \
    X(DEVICE_ID, "central.device-id", 400004, "Invalid RegistrationId",                                                                    \
      "use letters, digits and '-', or create the device first: dpsbench central device create")                                           \
    X(COMMON_NAMES, "central.common-names", 401002, "Invalid certificate.",                                                                \
      "enroll a certificate whose subject and issuer CN are both the device id (self-signed), or use an enrollment group")                 \
    X(NO_DEVICE, "central.no-device", 400209, "Unauthorized", "create the device in the application: dpsbench central device create")

struct central_answer {
    bool is_admitted;
    enum central_status status; /* of the device, when there is one */
    bool has_device;
    const char *rule; /* NULL: admitted; lent for ever, like the message */
    const char *message;
    int error_code; /* the reply's status is 401 for 400209, else the code's own */
    char text[512]; /* one sentence for a person */
    char mend[512]; /* what to type */
};

/*
 * May it? A device that is new comes into being here, when its group lets it in. The model of the payload chooses the template, once.
 * error: rig: IO, LIMIT; MEMORY.
 */
int central_admit(struct central_application *application, const struct central_applicant *applicant, struct central_answer *ret_answer,
                  struct error *error);

/*
 * The methods "central.list", "central.put", "centralDevice.put|get|list|delete|change" of docs/control.md, for whoever holds the folder.
 * ret_result: given.
 */
int central_call(struct central *central, const char *method, const cJSON *params, cJSON **ret_result, struct error *error);

#endif
