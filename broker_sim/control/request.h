/*
 * broker_sim/control/request.h - a request of the control plane, read from foreign bytes
 *
 * What:     topic dpsbench/v1/control/<name>/request, body {"v":1,"id","method","params"}; and the replies' shape. docs/control.md is the contract.
 * Limits:   REQUEST_MAX_BYTES a body, REQUEST_ID_MAX_BYTES an id, CLIENT_NAME_MAX_BYTES a name.
 */
#ifndef BROKER_SIM_CONTROL_REQUEST_H
#define BROKER_SIM_CONTROL_REQUEST_H

#include "base/error.h"
#include "base/json.h"

enum { REQUEST_MAX_BYTES = 256 * 1024, REQUEST_ID_MAX_BYTES = 64, CLIENT_NAME_MAX_BYTES = 64 };

struct control_request {
    cJSON *json; /* owns what the others point into */
    const char *id;
    const char *method;
    const cJSON *params; /* an object, maybe an empty one; never NULL */
};

/* ret_name: CLIENT_NAME_MAX_BYTES + 1 bytes. PROTOCOL (file): another topic, or a name with other characters than letters, digits, '-', '_'. */
int control_topic_read(const char *topic, char *ret_name, struct error *error);

/* error: PROTOCOL, LIMIT (file). ret_request: control_request_done() it; untouched on failure. */
int control_request_read(const void *body, size_t length_bytes, struct control_request *ret_request, struct error *error);
void control_request_done(struct control_request *request);

/* Refuse members of params that are not among the words of `allowed` ("name etag lease"). USAGE (file): names the nearest. */
int control_params_check(const cJSON *params, const char *allowed, struct error *error);
/* A text member that must be there, at most `max_bytes` long and not empty. USAGE (file). Lent. */
int control_params_text(const cJSON *params, const char *name, size_t max_bytes, const char **ret_text, struct error *error);

/* {"v":1,"id","ok":true,"result":{}}: takes `result`. id NULL: null. NULL when out of memory. */
cJSON *control_reply_ok(const char *id, cJSON *result);
/* {"v":1,"id","ok":false,"error":{"code","text","place"}}; place may be NULL. */
cJSON *control_reply_error(const char *id, const struct error *error, const char *place);

#endif
