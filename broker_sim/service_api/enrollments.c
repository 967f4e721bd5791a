/* Individual enrollments and enrollment groups. */
#include "base/cleanup.h"
#include "broker_sim/dps/reply.h"
#include "broker_sim/service_api/service_call.h"
#include "broker_sim/service_api/service_query.h"
#include "certs/dps_view.h"

#include <string.h>
#include <strings.h>

enum { OK = 200, NO_CONTENT = 204, BULK_MAX = 10, CODE_BAD_ID = 400004 };

static enum dps_kind kind_of(const struct service_call *call)
{
    return call->path.resource == SERVICE_GROUPS ? DPS_GROUP : DPS_ENROLLMENT;
}

/* --- what is shown --- */

/* An individual enrollment shows what its device's last registration came to. */
static int add_registration(const struct service_call *call, const struct dps_object *object, cJSON *view)
{
    const struct registration *found = object->kind == DPS_ENROLLMENT ? registration_find(call->options->registrations, object->id) : NULL;
    return found ? json_set(view, "registrationState", reply_registration_state(found)) : 0;
}

static cJSON *view_of(const struct service_call *call, const struct dps_object *object)
{
    CLEANUP_JSON cJSON *view = dps_enrollment_view(object->kind, object->json, false);
    return view && add_registration(call, object, view) == 0 ? TAKE(view) : NULL;
}

static int get(struct service_call *call)
{
    const struct dps_object *object;
    if (dps_state_get(call->options->state, kind_of(call), call->path.id, &object, call->error))
        return -1;
    return service_call_answer(call, OK, view_of(call, object));
}

static int show_attestation(struct service_call *call)
{
    const struct dps_object *object;
    if (dps_state_get(call->options->state, kind_of(call), call->path.id, &object, call->error))
        return -1;
    CLEANUP_JSON cJSON *view = dps_enrollment_view(object->kind, object->json, true);
    return service_call_answer(call, OK, view ? cJSON_DetachItemFromObjectCaseSensitive(view, "attestation") : NULL);
}

/* --- what is stored --- */

static bool is_same_certificate(const cJSON *given, const cJSON *stored)
{
    const char *new_print = json_string(json_member(given, "info"), "sha256Thumbprint", NULL);
    const char *old_print = json_string(json_member(stored, "info"), "sha256Thumbprint", NULL);
    return new_print && old_print && strcasecmp(new_print, old_print) == 0;
}

/* Whoever gets an enrollment, changes it and puts it back has no certificate to put, only its `info`. */
static int keep_certificate(cJSON *given, const cJSON *stored)
{
    if (json_string(given, "certificate", NULL) || !is_same_certificate(given, stored))
        return 0;
    const char *certificate = json_string(stored, "certificate", NULL);
    return certificate ? json_set_string(given, "certificate", certificate) : 0;
}

static int keep_certificates(cJSON *json, const cJSON *stored)
{
    static const char *const places[] = {"attestation.x509.clientCertificates.primary", "attestation.x509.clientCertificates.secondary",
                                         "attestation.x509.signingCertificates.primary", "attestation.x509.signingCertificates.secondary"};
    for (size_t i = 0; i < ARRAY_COUNT(places); i++)
        if (keep_certificate((cJSON *)(uintptr_t)json_path(json, places[i]), json_path(stored, places[i])))
            return -1;
    return 0;
}

/* The path names the object; the body may, and then it must be the same. */
static int fit_id(struct service_call *call, cJSON *json)
{
    const char *member = dps_kind_id_member(kind_of(call)), *id = json_string(json, member, call->path.id);
    if (!service_id_is_legal(call->path.id)) {
        call->error_code = CODE_BAD_ID;
        return error_set(call->error, ERROR_OWNER_FILE, ERROR_SYNTAX,
                         "Invalid %s '%s': letters, digits and - . _ : alone, the last one a letter, a digit or -",
                         kind_of(call) == DPS_GROUP ? "EnrollmentGroupId" : "RegistrationId", call->path.id);
    }
    if (strcasecmp(id, call->path.id) != 0)
        return error_set(call->error, ERROR_OWNER_FILE, ERROR_SYNTAX, "Bad Request: the path names '%s', the body's %s is '%s'",
                         call->path.id, member, id);
    return json_set_string(json, member, call->path.id) ? error_set_memory(call->error) : 0;
}

/* etag: NULL: no check. */
static int put_json(struct service_call *call, cJSON *json, const char *etag, const struct dps_object **ret_object)
{
    enum dps_kind kind = kind_of(call);
    if (fit_id(call, json))
        return -1;
    const struct dps_object *stored = dps_state_find(call->options->state, kind, call->path.id);
    cJSON_DeleteItemFromObjectCaseSensitive(json, "registrationState");
    if (stored && keep_certificates(json, stored->json))
        return error_set_memory(call->error);
    if (dps_state_put(call->options->state, kind, json, etag, NULL, ret_object, call->error))
        return -1;
    service_call_changed(call, kind, (*ret_object)->id, "put", (*ret_object)->etag);
    return 0;
}

static int put(struct service_call *call)
{
    CLEANUP_JSON cJSON *json = service_call_body(call);
    const struct dps_object *object;
    if (!json || put_json(call, json, call->request->if_match, &object))
        return -1;
    return service_call_answer(call, OK, view_of(call, object));
}

static int remove_one(struct service_call *call, const char *etag)
{
    if (dps_state_delete(call->options->state, kind_of(call), call->path.id, etag, NULL, call->error))
        return -1;
    service_call_changed(call, kind_of(call), call->path.id, "delete", NULL);
    return 0;
}

static int delete_one(struct service_call *call)
{
    if (remove_one(call, call->request->if_match))
        return -1;
    call->response->status = NO_CONTENT;
    return 0;
}

/* --- queries --- */

static size_t first_behind(const struct dps_state *state, enum dps_kind kind, const char *after)
{
    size_t low = 0, high = *after ? dps_state_count(state, kind) : 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcasecmp(dps_state_at(state, kind, middle)->id, after) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int query(struct service_call *call)
{
    enum dps_kind kind = kind_of(call);
    const struct dps_state *state = call->options->state;
    struct service_query asked;
    if (service_query_read(call->request, &asked, call->error))
        return -1;
    CLEANUP_JSON cJSON *items = cJSON_CreateArray();
    size_t at = first_behind(state, kind, asked.after), count = dps_state_count(state, kind), last = at;
    for (; items && at < count && at - last < asked.max_count; at++) {
        cJSON *view = view_of(call, dps_state_at(state, kind, at));
        if (!view || !cJSON_AddItemToArray(items, view))
            return error_set_memory(call->error);
    }
    if (at < count && at > 0)
        service_query_continue(dps_state_at(state, kind, at - 1)->id, call->response->continuation);
    call->response->item_type = kind == DPS_GROUP ? "enrollmentGroup" : "enrollment";
    return service_call_answer(call, OK, TAKE(items));
}

/* --- bulk --- */

enum bulk_mode { BULK_CREATE, BULK_UPDATE, BULK_UPDATE_IF_MATCH, BULK_DELETE, BULK_NONE };

static enum bulk_mode mode_of(const char *text)
{
    static const char *const names[] = {"create", "update", "updateIfMatchETag", "delete"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (strcasecmp(text, names[i]) == 0)
            return (enum bulk_mode)i;
    return BULK_NONE;
}

static int run_item(struct service_call *call, enum bulk_mode mode, const cJSON *item)
{
    CLEANUP_JSON cJSON *json = cJSON_Duplicate(item, true);
    const struct dps_object *object;
    const char *id = json_string(item, "registrationId", "");
    snprintf(call->path.id, sizeof call->path.id, "%s", id);
    if (!json)
        return error_set_memory(call->error);
    if (!*id)
        return error_set(call->error, ERROR_OWNER_FILE, ERROR_SYNTAX, "Bad Request: an enrollment has no registrationId");
    if (mode == BULK_DELETE)
        return remove_one(call, NULL);
    if (mode == BULK_CREATE && dps_state_find(call->options->state, DPS_ENROLLMENT, id))
        return error_set(call->error, ERROR_OWNER_FILE, ERROR_EXISTS, "Enrollment already exists: '%s'", id);
    if (mode == BULK_UPDATE && dps_state_get(call->options->state, DPS_ENROLLMENT, id, &object, call->error))
        return -1;
    return put_json(call, json, mode == BULK_UPDATE_IF_MATCH ? json_string(item, "etag", "") : NULL, &object);
}

static int add_bulk_error(const struct service_call *call, cJSON *errors)
{
    char text[SERVICE_MESSAGE_BYTES];
    int code = service_call_code(call);
    CLEANUP_JSON cJSON *entry = cJSON_CreateObject();
    if (json_set_string(entry, "registrationId", call->path.id) || json_set_integer(entry, "errorCode", code) ||
        json_set_string(entry, "errorStatus", service_call_message(call, code, text)) || !cJSON_AddItemToArray(errors, entry))
        return -1;
    entry = NULL;
    return 0;
}

static int run_items(struct service_call *call, enum bulk_mode mode, const cJSON *enrollments, cJSON *errors)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, enrollments)
    {
        struct error error = ERROR_INIT;
        struct service_call one = *call;
        one.error = &error;
        if (run_item(&one, mode, item) && add_bulk_error(&one, errors))
            return error_set_memory(call->error);
    }
    return 0;
}

static int bulk(struct service_call *call)
{
    CLEANUP_JSON cJSON *body = service_call_body(call), *result = cJSON_CreateObject();
    if (!body)
        return -1;
    const cJSON *enrollments = json_member(body, "enrollments");
    enum bulk_mode mode = mode_of(json_string(body, "mode", ""));
    int count = cJSON_IsArray(enrollments) ? cJSON_GetArraySize(enrollments) : 0;
    if (mode == BULK_NONE || count < 1 || count > BULK_MAX)
        return error_set(call->error, ERROR_OWNER_FILE, ERROR_SYNTAX,
                         "Bad Request: send {\"mode\": create, update, updateIfMatchETag or delete, \"enrollments\": [1 to %d]}", BULK_MAX);
    cJSON *errors = cJSON_CreateArray();
    if (!errors || run_items(call, mode, enrollments, errors) || json_set_bool(result, "isSuccessful", cJSON_GetArraySize(errors) == 0)) {
        cJSON_Delete(errors);
        return error_set_memory(call->error);
    }
    return json_set(result, "errors", errors) ? error_set_memory(call->error) : service_call_answer(call, OK, TAKE(result));
}

static int on_item(struct service_call *call)
{
    if (service_call_is(call, "GET"))
        return get(call);
    if (service_call_is(call, "PUT"))
        return put(call);
    if (service_call_is(call, "DELETE"))
        return delete_one(call);
    /* POST /enrollments/query: an enrollment may have that very id. */
    if (service_call_is(call, "POST") && strcasecmp(call->path.id, "query") == 0)
        return query(call);
    return service_call_refuse_method(call);
}

int service_enrollments(struct service_call *call)
{
    bool is_post = service_call_is(call, "POST");
    if (call->path.action == SERVICE_ITEM)
        return on_item(call);
    if (call->path.action == SERVICE_ATTESTATION_MECHANISM && is_post)
        return show_attestation(call);
    if (call->path.action == SERVICE_COLLECTION && is_post && kind_of(call) == DPS_ENROLLMENT)
        return bulk(call);
    return service_call_refuse_method(call);
}
