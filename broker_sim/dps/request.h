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

/*
 * Check the body of a register request.
 *
 * registration_id  of CONNECT; a registrationId in the body must be the same (without regard to case).
 * error            LIMIT (device): too large. SYNTAX (device): not a JSON object. CONFLICT (device): another registration id.
 */
int dps_register_body_check(const void *body, size_t length_bytes, const char *registration_id, struct error *error);

#endif
