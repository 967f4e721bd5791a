/*
 * broker_sim/service_api/service_call.h - one request in work; internal to broker_sim/service_api
 */
#ifndef BROKER_SIM_SERVICE_API_SERVICE_CALL_H
#define BROKER_SIM_SERVICE_API_SERVICE_CALL_H

#include "broker_sim/service_api/service_api.h"
#include "broker_sim/service_api/service_path.h"

struct service_call {
    const struct service_api_options *options;
    const struct http_request *request;
    struct service_path path;
    struct http_response *response;
    cJSON *result;  /* given; NULL: no body */
    int error_code; /* Azure's, where the error alone does not tell it; 0: by the error */
    struct error *error;
};

/* They return 0 with status and result set, or -1 with the error. */
int service_enrollments(struct service_call *call);
int service_registrations(struct service_call *call);
int service_certificates(struct service_call *call);

/* The body as a JSON object. SYNTAX (file): 400012. Given. */
cJSON *service_call_body(struct service_call *call);
/* status and result (taken); MEMORY when it is NULL. */
int service_call_answer(struct service_call *call, int status, cJSON *result);
/* Azure's code for the call's error; its first three digits are the status. */
int service_call_code(const struct service_call *call);
/* What a client is told of the call's error; `text` is room for it. */
enum { SERVICE_MESSAGE_BYTES = 256 };
const char *service_call_message(const struct service_call *call, int code, char text[SERVICE_MESSAGE_BYTES]);
/* Azure's 405: always -1. */
int service_call_refuse_method(struct service_call *call);
/* state.changed, and what the state has to say about unknown members. */
void service_call_changed(const struct service_call *call, enum dps_kind kind, const char *id, const char *action, const char *etag);
bool service_call_is(const struct service_call *call, const char *method);
/* Write to disk what was changed in memory. */
int service_call_commit(const struct service_call *call);

#endif
