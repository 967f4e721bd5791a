/*
 * broker_sim/dps/request.h - what a device asks of DPS: a bounded reader of topics and bodies
 *
 * What:     $dps/registrations/PUT/iotdps-register/?$rid={rid}
 *           $dps/registrations/GET/iotdps-get-operationstatus/?$rid={rid}&operationId={operationId}
 *           and the register body: empty, or a JSON object (DeviceRegistration). The body of a status request is ignored: clients send
 * nothing, one space or the register body again. Source:   "Communicate with DPS using the MQTT protocol", Azure documentation;
 * DeviceRegistration of the service's REST specification. Lifetime: slices are lent from the topic.
 */
#ifndef BROKER_SIM_DPS_REQUEST_H
#define BROKER_SIM_DPS_REQUEST_H

#include "base/error.h"
#include "base/json.h"

#include <stddef.h>

enum dps_operation { DPS_REGISTER, DPS_STATUS };

/* `length` bytes at `text`, not NUL-terminated; text is never NULL. */
struct slice {
    const char *text;
    size_t length;
};

struct dps_request {
    enum dps_operation operation;
    struct slice rid;          /* any text; empty when the topic has none */
    struct slice operation_id; /* empty when the topic has none */
};

/* "register" or "status", as events name them. */
const char *dps_operation_name(enum dps_operation operation);

/* Does a device of DPS publish there at all? Anything else is a violation. */
int dps_topic_is_request(const char *topic);

/* `topic` as the device sent it, NUL-terminated. PROTOCOL (device): neither of the two. */
int dps_request_read(const char *topic, struct dps_request *ret_request, struct error *error);

enum {
    REGISTER_BODY_MAX_BYTES = 96 * 1024, /* the service's own limit of a message */
};

/* What stands in the body of a register request. Texts and JSON are lent from `json`. */
struct register_body {
    cJSON *json;          /* owned; NULL: there was no body */
    const cJSON *payload; /* any JSON, for a webhook; NULL: none */
    const char *csr;      /* base64 of a PKCS#10 request; NULL: none */
    bool has_tpm;
};

void register_body_done(struct register_body *body);

/*
 * registration_id  of CONNECT; a registrationId in the body must be the same (without regard to case).
 * ret_body         register_body_done() it.
 * error            LIMIT (device): too large. SYNTAX (device): not a JSON object, or csr is no text. CONFLICT (device): another registration id.
 */
int dps_register_body_read(const void *body, size_t length_bytes, const char *registration_id, struct register_body *ret_body,
                           struct error *error);

#endif
