/*
 * broker_sim/dps/reply.h - what DPS answers: topics and JSON bodies
 *
 * What:     $dps/registrations/res/{status}/?$rid={rid}[&retry-after={seconds}] and the bodies RegistrationOperationStatus and the error
 * body. Source:   the service's REST specification and bodies observed on the wire (docs/fidelity.md). Order of members as the service
 * sends them. Lifetime: results are the caller's; NULL when out of memory.
 */
#ifndef BROKER_SIM_DPS_REPLY_H
#define BROKER_SIM_DPS_REPLY_H

#include "base/json.h"
#include "broker_sim/dps/registration.h"

/* `retry_after_s` RETRY_AFTER_ABSENT: left out. malloc'ed. */
enum { RETRY_AFTER_ABSENT = -1 };
char *reply_topic(int status, struct slice rid, int64_t retry_after_s);

/* {"operationId","status"[,"registrationState"]}: the state is there from the first poll on. */
cJSON *reply_operation_body(const struct registration *registration, bool with_state);
/* DeviceRegistrationResult alone, for the control plane. */
cJSON *reply_registration_state(const struct registration *registration);
/* The code and the message that the service has for an HTTP status: 429001 "Operations are being throttled for this tenant.". */
struct reply_error {
    int code;
    const char *message;
};
struct reply_error reply_error_of(int status);
/* {"errorCode","trackingId","message","timestampUtc"} */
cJSON *reply_error_body(int error_code, const char *message, int64_t unix_us);

#endif
