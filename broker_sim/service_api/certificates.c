/* Certificates of the service, in the shape of the management plane (Microsoft.Devices/provisioningServices/certificates). */
#include "base/cleanup.h"
#include "broker_sim/service_api/service_call.h"
#include "certs/dps_view.h"

#include <string.h>

enum { OK = 200, NO_CONTENT = 204 };

/* Older and newer versions wrap the members, the ones between do not. */
static const cJSON *body_member(const cJSON *body, const char *name)
{
    const cJSON *member = json_member(json_member(body, "properties"), name);
    return member ? member : json_member(body, name);
}

/* An object that exists is changed by those alone who know its etag, or say "*". */
static int require_etag(const struct service_call *call)
{
    if (call->request->if_match || !dps_state_find(call->options->state, DPS_CERTIFICATE, call->path.id))
        return 0;
    return error_set(call->error, ERROR_OWNER_FILE, ERROR_CONFLICT,
                     "Precondition failed: send the etag of certificate '%s' as If-Match, or *", call->path.id);
}

static int answer(struct service_call *call, const struct dps_object *object, const char *action, bool with_certificate)
{
    if (action)
        service_call_changed(call, DPS_CERTIFICATE, object->id, action, object->etag);
    return service_call_answer(call, OK, dps_certificate_view(object->json, with_certificate));
}

static cJSON *object_of(const struct service_call *call, const cJSON *body)
{
    CLEANUP_JSON cJSON *object = cJSON_CreateObject();
    cJSON *properties = cJSON_AddObjectToObject(object, "properties");
    const cJSON *certificate = body_member(body, "certificate"), *is_verified = body_member(body, "isVerified");
    if (!properties || json_set_string(object, "name", call->path.id) ||
        (certificate && json_set(properties, "certificate", cJSON_Duplicate(certificate, true))) ||
        (is_verified && json_set(properties, "isVerified", cJSON_Duplicate(is_verified, true))))
        return NULL;
    return TAKE(object);
}

static int put(struct service_call *call)
{
    CLEANUP_JSON cJSON *body = service_call_body(call);
    if (!body || require_etag(call))
        return -1;
    if (!service_id_is_legal(call->path.id))
        return error_set(call->error, ERROR_OWNER_FILE, ERROR_SYNTAX, "'%s' is no name of a certificate: letters, digits and - . _ : alone",
                         call->path.id);
    CLEANUP_JSON cJSON *json = object_of(call, body);
    const struct dps_object *object;
    if (!json)
        return error_set_memory(call->error);
    if (dps_state_put(call->options->state, DPS_CERTIFICATE, json, call->request->if_match, NULL, &object, call->error))
        return -1;
    return answer(call, object, "put", false);
}

static int get(struct service_call *call)
{
    const struct dps_object *object;
    if (dps_state_get(call->options->state, DPS_CERTIFICATE, call->path.id, &object, call->error))
        return -1;
    return answer(call, object, NULL, true);
}

static int delete_one(struct service_call *call)
{
    if (require_etag(call) ||
        dps_state_delete(call->options->state, DPS_CERTIFICATE, call->path.id, call->request->if_match, NULL, call->error))
        return -1;
    service_call_changed(call, DPS_CERTIFICATE, call->path.id, "delete", NULL);
    call->response->status = NO_CONTENT;
    return 0;
}

static int list(struct service_call *call)
{
    CLEANUP_JSON cJSON *result = cJSON_CreateObject();
    cJSON *value = cJSON_AddArrayToObject(result, "value");
    for (size_t i = 0; value && i < dps_state_count(call->options->state, DPS_CERTIFICATE); i++) {
        cJSON *view = dps_certificate_view(dps_state_at(call->options->state, DPS_CERTIFICATE, i)->json, true);
        if (!view || !cJSON_AddItemToArray(value, view))
            return error_set_memory(call->error);
    }
    return value ? service_call_answer(call, OK, TAKE(result)) : error_set_memory(call->error);
}

static int make_code(struct service_call *call)
{
    const struct dps_object *object;
    if (require_etag(call) ||
        dps_state_verification_code(call->options->state, call->path.id, call->request->if_match, &object, call->error))
        return -1;
    return answer(call, object, "verification-code", true);
}

static int verify(struct service_call *call)
{
    CLEANUP_JSON cJSON *body = service_call_body(call);
    const struct dps_object *object;
    if (!body || require_etag(call))
        return -1;
    const char *proof = json_string(body, "certificate", "");
    if (dps_state_verify(call->options->state, call->path.id, call->request->if_match, proof, strlen(proof), &object, call->error))
        return -1;
    return answer(call, object, "verify", true);
}

int service_certificates(struct service_call *call)
{
    bool is_get = service_call_is(call, "GET"), is_post = service_call_is(call, "POST");
    switch (call->path.action) {
    case SERVICE_COLLECTION:
        return is_get ? list(call) : service_call_refuse_method(call);
    case SERVICE_VERIFICATION_CODE:
        return is_post ? make_code(call) : service_call_refuse_method(call);
    case SERVICE_VERIFY:
        return is_post ? verify(call) : service_call_refuse_method(call);
    default:
        break;
    }
    if (service_call_is(call, "PUT"))
        return put(call);
    if (service_call_is(call, "DELETE"))
        return delete_one(call);
    return is_get ? get(call) : service_call_refuse_method(call);
}
