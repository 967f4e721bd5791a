/* dpsbench az iot dps enrollment ..., enrollment-group ...: what there is to register against, and what has registered */
#include "base/log.h"
#include "certs/dps_view.h"
#include "harness/cli/az_command.h"
#include "harness/cli/az_enrollment_json.h"

#include <stdlib.h>
#include <string.h>

static const char *id_of(const struct az_call *call, enum dps_kind kind)
{
    return az_value(call, kind == DPS_GROUP ? AZ_GROUP_ID : AZ_ENROLLMENT_ID);
}

static int answer(struct az_call *call, enum dps_kind kind, cJSON *object, bool with_keys, struct error *error)
{
    CLEANUP_JSON cJSON *owned = object;
    return az_answer(call, dps_enrollment_view(kind, owned, with_keys || az_flag(call->arguments, AZ_SHOW_KEYS)), error);
}

/* ---- create, update, delete ---- */

static int refuse_existing(struct az_call *call, enum dps_kind kind, struct error *error)
{
    CLEANUP_JSON cJSON *present = NULL;
    struct error why = ERROR_INIT;
    if (object_store_get(call->store, kind, id_of(call, kind), &present, &why) == 0)
        return error_set(error, ERROR_OWNER_FILE, ERROR_EXISTS, "%s '%s' exists already (Azure: 409); use `%s update`, or delete it first",
                         dps_kind_text(kind), id_of(call, kind), kind == DPS_GROUP ? "enrollment-group" : "enrollment");
    return why.code == ERROR_NOT_FOUND ? 0 : (*error = why, -1);
}

/* A slip in the name, and a certificate that nobody verified, show when a device is refused: said here, to the one who can mend it. */
static void warn_of_reference(const struct az_call *call, const char *name)
{
    CLEANUP_JSON cJSON *certificate = NULL;
    struct error why = ERROR_INIT;
    if (!name)
        return;
    if (object_store_get(call->store, DPS_CERTIFICATE, name, &certificate, &why)) {
        if (why.code == ERROR_NOT_FOUND)
            log_warning("%s; devices of this group are refused until it is created", why.text);
    } else if (!json_bool(json_member(certificate, "properties"), "isVerified", false)) {
        log_warning("certificate '%s' is not verified: a device of this group is refused unless its chain leads on to one that is; "
                    "generate-verification-code and verify make it so",
                    name);
    }
}

static void warn_of_references(const struct az_call *call, const cJSON *group)
{
    const cJSON *references = json_path(group, "attestation.x509.caReferences");
    warn_of_reference(call, json_string(references, "primary", NULL));
    warn_of_reference(call, json_string(references, "secondary", NULL));
}

static int create(struct az_call *call, enum dps_kind kind, struct error *error)
{
    cJSON *object = az_enrollment_new(call, kind, error), *stored = NULL;
    if (!object)
        return -1;
    if (refuse_existing(call, kind, error)) {
        cJSON_Delete(object);
        return -1;
    }
    if (object_store_put(call->store, kind, object, NULL, &stored, error))
        return -1;
    warn_of_references(call, stored);
    return answer(call, kind, stored, kind == DPS_ENROLLMENT, error);
}

/* What az reads, changes and writes back: without --etag whatever is there. */
static int update(struct az_call *call, enum dps_kind kind, struct error *error)
{
    CLEANUP_JSON cJSON *object = NULL;
    cJSON *stored = NULL;
    const char *etag = az_value(call, AZ_ETAG);
    if (object_store_get(call->store, kind, id_of(call, kind), &object, error) || az_enrollment_change(call, kind, object, error) ||
        object_store_put(call->store, kind, TAKE(object), etag ? etag : "*", &stored, error))
        return -1;
    warn_of_references(call, stored);
    return answer(call, kind, stored, false, error);
}

static int delete_object(struct az_call *call, enum dps_kind kind, struct error *error)
{
    const char *etag = az_value(call, AZ_ETAG);
    return object_store_delete(call->store, kind, id_of(call, kind), etag ? etag : "*", error);
}

/* ---- show, list ---- */

/* Only a running simulator knows what has registered. */
static int add_registration_state(struct az_call *call, enum dps_kind kind, cJSON *object, struct error *error)
{
    CLEANUP_JSON cJSON *params = cJSON_CreateObject(), *state = NULL;
    struct error none = ERROR_INIT;
    const char *id = json_string(object, "registrationId", "");
    if (kind != DPS_ENROLLMENT || !object_store_is_served(call->store))
        return 0;
    if (json_set_string(params, "registrationId", id))
        return error_set_memory(error);
    if (object_store_call(call->store, "registration.get", TAKE(params), &state, &none)) {
        state = cJSON_CreateObject();
        if (json_set_string(state, "registrationId", id) || json_set_string(state, "status", "unassigned"))
            return error_set_memory(error);
    }
    return json_set(object, "registrationState", TAKE(state)) ? error_set_memory(error) : 0;
}

static int show(struct az_call *call, enum dps_kind kind, struct error *error)
{
    CLEANUP_JSON cJSON *object = NULL;
    if (object_store_get(call->store, kind, id_of(call, kind), &object, error) || add_registration_state(call, kind, object, error))
        return -1;
    return answer(call, kind, TAKE(object), false, error);
}

/* --top; -1: all. */
static long top_of(const struct az_call *call)
{
    const char *text = az_value(call, AZ_TOP);
    char *end = NULL;
    long top = text ? strtol(text, &end, 10) : -1;
    if (text && (*end || end == text || top == 0 || top < -1))
        az_refuse(call->command, "argument --top: '%s' is no count: 1 or more, or -1 for all", text);
    return top;
}

static int list(struct az_call *call, enum dps_kind kind, struct error *error)
{
    CLEANUP_JSON cJSON *objects = NULL, *views = cJSON_CreateArray();
    long left = top_of(call);
    if (!views || object_store_list(call->store, kind, &objects, error))
        return views ? -1 : error_set_memory(error);
    const cJSON *object;
    cJSON_ArrayForEach(object, objects)
    {
        if (left-- == 0)
            break;
        if (!cJSON_AddItemToArray(views, dps_enrollment_view(kind, object, false)))
            return error_set_memory(error);
    }
    return az_answer(call, TAKE(views), error);
}

/* ---- registrations ---- */

static const char *registration_of(const struct az_call *call)
{
    const char *id = az_value(call, AZ_REGISTRATION_ID);
    return id ? id : az_value(call, AZ_ENROLLMENT_ID);
}

static int call_registration(struct az_call *call, const char *method, cJSON **ret_state, struct error *error)
{
    CLEANUP_JSON cJSON *params = cJSON_CreateObject();
    if (json_set_string(params, "registrationId", registration_of(call)) || json_set_string(params, "etag", az_value(call, AZ_ETAG)))
        return error_set_memory(error);
    return object_store_call(call->store, method, TAKE(params), ret_state, error);
}

static int registration_show(struct az_call *call, struct error *error)
{
    cJSON *state = NULL;
    return call_registration(call, "registration.get", &state, error) ? -1 : az_answer(call, state, error);
}

static int registration_delete(struct az_call *call, struct error *error)
{
    return call_registration(call, "registration.delete", NULL, error);
}

static int registration_list(struct az_call *call, struct error *error)
{
    CLEANUP_JSON cJSON *params = cJSON_CreateObject(), *result = NULL;
    long top = top_of(call);
    if (json_set_string(params, "enrollmentGroupId", az_value(call, AZ_GROUP_ID)))
        return error_set_memory(error);
    if (object_store_call(call->store, "registration.list", TAKE(params), &result, error))
        return -1;
    cJSON *value = cJSON_DetachItemFromObjectCaseSensitive(result, "value");
    while (top > 0 && cJSON_GetArraySize(value) > top)
        cJSON_DeleteItemFromArray(value, (int)top);
    return az_answer(call, value, error);
}

/* ---- the tables ---- */

#define FOR_KIND(function, kind_name, kind)                                                                                                \
    static int kind_name##_##function(struct az_call *call, struct error *error)                                                           \
    {                                                                                                                                      \
        return function(call, kind, error);                                                                                                \
    }
#define FOR_BOTH(function) FOR_KIND(function, enrollment, DPS_ENROLLMENT) FOR_KIND(function, group, DPS_GROUP)
FOR_BOTH(create)
FOR_BOTH(update)
FOR_BOTH(delete_object)
FOR_BOTH(show)
FOR_BOTH(list)

/* clang-format off */
#define COMMON AZ_PROVISIONING_STATUS, AZ_ALLOCATION_POLICY, AZ_IOT_HUBS, AZ_IOT_HUB_HOST_NAME, AZ_REPROVISION_POLICY, AZ_INITIAL_TWIN_TAGS, \
    AZ_INITIAL_TWIN_PROPERTIES, AZ_EDGE_ENABLED, AZ_WEBHOOK_URL, AZ_API_VERSION, AZ_CERTIFICATE_PATH, AZ_SECONDARY_CERTIFICATE_PATH, \
    AZ_PRIMARY_KEY, AZ_SECONDARY_KEY
#define OF_DEVICE AZ_ENROLLMENT_ID, AZ_ENDORSEMENT_KEY, AZ_STORAGE_ROOT_KEY, AZ_DEVICE_ID, AZ_DEVICE_INFORMATION, COMMON
#define OF_GROUP AZ_GROUP_ID, AZ_CA_NAME, AZ_SECONDARY_CA_NAME, AZ_SHOW_KEYS, COMMON
#define FOR_UPDATE AZ_REMOVE_CERTIFICATE, AZ_REMOVE_SECONDARY_CERTIFICATE, AZ_ETAG
#define SET(name, ...) static const enum az_option name[] = {__VA_ARGS__, AZ_OPTION_END};
SET(none, AZ_OPTION_END)
SET(enrollment_create_options, AZ_ATTESTATION_TYPE, OF_DEVICE)
SET(enrollment_create_needs, AZ_ENROLLMENT_ID, AZ_ATTESTATION_TYPE)
SET(enrollment_update_options, OF_DEVICE, FOR_UPDATE)
SET(enrollment_show_options, AZ_ENROLLMENT_ID, AZ_SHOW_KEYS)
SET(enrollment_delete_options, AZ_ENROLLMENT_ID, AZ_ETAG)
SET(enrollment_needs, AZ_ENROLLMENT_ID)
SET(group_create_options, OF_GROUP)
SET(group_update_options, OF_GROUP, FOR_UPDATE)
SET(group_show_options, AZ_GROUP_ID, AZ_SHOW_KEYS)
SET(group_delete_options, AZ_GROUP_ID, AZ_ETAG)
SET(group_needs, AZ_GROUP_ID)
SET(list_options, AZ_TOP)
SET(registration_needs, AZ_REGISTRATION_ID)
SET(registration_delete_options, AZ_REGISTRATION_ID, AZ_ETAG)
SET(registration_list_options, AZ_GROUP_ID, AZ_TOP)

/* X(function, group of commands, name, options, what it needs, makes a folder, text, example) */
#define ENROLLMENT_ROWS(X) \
    X(enrollment_create, "enrollment", "create", enrollment_create_options, enrollment_create_needs, true, "Create an individual enrollment", \
      "--enrollment-id dev-01 \\\n    --attestation-type x509 --certificate-path device.pem") \
    X(enrollment_update, "enrollment", "update", enrollment_update_options, enrollment_needs, false, "Change an individual enrollment", \
      "--enrollment-id dev-01 \\\n    --provisioning-status disabled") \
    X(enrollment_show, "enrollment", "show", enrollment_show_options, enrollment_needs, false, "Show an individual enrollment", \
      "--enrollment-id dev-01") \
    X(enrollment_list, "enrollment", "list", list_options, none, false, "List the individual enrollments", "--output table") \
    X(enrollment_delete_object, "enrollment", "delete", enrollment_delete_options, enrollment_needs, false, "Delete an individual enrollment", \
      "--enrollment-id dev-01")
#define GROUP_ROWS(X) \
    X(group_create, "enrollment-group", "create", group_create_options, group_needs, true, \
      "Create an enrollment group: by a CA's file, by the name of a certificate of the service, or, with neither, with symmetric keys", \
      "--enrollment-id line-1 \\\n    --certificate-path rootCA.pem --iot-hubs hub.azure-devices.net \\\n    --allocation-policy static") \
    X(group_update, "enrollment-group", "update", group_update_options, group_needs, false, "Change an enrollment group", \
      "--enrollment-id line-1 --ca-name root-ca") \
    X(group_show, "enrollment-group", "show", group_show_options, group_needs, false, "Show an enrollment group", "--enrollment-id line-1") \
    X(group_list, "enrollment-group", "list", list_options, none, false, "List the enrollment groups", "--output table") \
    X(group_delete_object, "enrollment-group", "delete", group_delete_options, group_needs, false, "Delete an enrollment group", \
      "--enrollment-id line-1")
#define ENROLLMENT_REGISTRATION_ROWS(X) \
    X(registration_show, "enrollment registration", "show", enrollment_needs, enrollment_needs, false, "Show what a device has registered", \
      "--enrollment-id dev-01") \
    X(registration_delete, "enrollment registration", "delete", enrollment_delete_options, enrollment_needs, false, \
      "Forget what a device has registered", "--enrollment-id dev-01")
#define GROUP_REGISTRATION_ROWS(X) \
    X(registration_list, "enrollment-group registration", "list", registration_list_options, group_needs, false, \
      "List what devices of a group have registered", "--enrollment-id line-1") \
    X(registration_delete, "enrollment-group registration", "delete", registration_delete_options, registration_needs, false, \
      "Forget what a device has registered", "--registration-id dev-01") \
    X(registration_show, "enrollment-group registration", "show", registration_needs, registration_needs, false, \
      "Show what a device has registered", "--registration-id dev-01")

#define X(function, group, name, options, needs, makes, text, example) {name, text, RUN(function), NULL},
#define RUN(function) run_##function
#define DEFINE(function, group, name, options, needs, makes, text, example) \
    static int RUN(function)(int argc, char **argv) \
    { \
        static const struct az_command command = { \
            .signature = {options, needs, AZ_OF_ENROLLMENTS, text ".\vExamples:\n  dpsbench az iot dps " group " " name " " example}, \
            .may_make = makes, .run = function}; \
        return az_run(&command, argc, argv); \
    }
ENROLLMENT_ROWS(DEFINE)
GROUP_ROWS(DEFINE)
ENROLLMENT_REGISTRATION_ROWS(DEFINE)
#undef RUN
#define RUN(function) run_of_group_##function
GROUP_REGISTRATION_ROWS(DEFINE)

static const struct command group_registration_commands[] = {
    GROUP_REGISTRATION_ROWS(X)
    {NULL, NULL, NULL, NULL},
};
#undef RUN
#define RUN(function) run_##function
static const struct command enrollment_registration_commands[] = {
    ENROLLMENT_REGISTRATION_ROWS(X)
    {NULL, NULL, NULL, NULL},
};
const struct command az_enrollment_commands[] = {
    ENROLLMENT_ROWS(X)
    {"registration", "What devices have registered", NULL, enrollment_registration_commands},
    {NULL, NULL, NULL, NULL},
};
const struct command az_group_commands[] = {
    GROUP_ROWS(X)
    {"registration", "What devices of a group have registered", NULL, group_registration_commands},
    {NULL, NULL, NULL, NULL},
};
/* clang-format on */
