/* dpsbench central ...: applications of IoT Central, their devices, and how these may come in */
#include "harness/cli/az_command.h"

#include "certs/dps_view.h"

#include <string.h>

/* {"application": NAME, "deviceId": ID}; what was not given is left out. */
static cJSON *params_of(const struct az_call *call)
{
    CLEANUP_JSON cJSON *params = cJSON_CreateObject();
    return json_set_string(params, "application", az_value(call, AZ_APPLICATION)) ||
                   json_set_string(params, "deviceId", az_value(call, AZ_CENTRAL_DEVICE_ID))
               ? NULL
               : TAKE(params);
}

/* A method whose result is what is printed. */
static int ask(struct az_call *call, const char *method, cJSON *params, struct error *error)
{
    cJSON *result = NULL;
    return object_store_central(call->store, method, params, &result, error) ? -1 : az_answer(call, result, error);
}

/* The list in the result's `value`. */
static int ask_list(struct az_call *call, const char *method, cJSON *params, struct error *error)
{
    CLEANUP_JSON cJSON *result = NULL;
    if (object_store_central(call->store, method, params, &result, error))
        return -1;
    return az_answer(call, cJSON_DetachItemFromObjectCaseSensitive(result, "value"), error);
}

/* ---- applications ---- */

static int add_templates(const struct az_call *call, cJSON *application, struct error *error)
{
    const char *text = az_value(call, AZ_TEMPLATES);
    if (!text)
        return 0;
    cJSON *templates = az_json_of(text, "--device-templates", error);
    if (!templates)
        return -1;
    return json_set(application, "deviceTemplates", templates) ? error_set_memory(error) : 0;
}

static cJSON *application_of(const struct az_call *call, struct error *error)
{
    const struct az_arguments *arguments = call->arguments;
    CLEANUP_JSON cJSON *application = cJSON_CreateObject();
    if (json_set_string(application, "name", az_value(call, AZ_APPLICATION)) ||
        json_set_string(application, "idScope", az_value(call, AZ_ID_SCOPE)) ||
        (az_value(call, AZ_AUTO_APPROVE) && json_set_bool(application, "autoApprove", az_flag(arguments, AZ_AUTO_APPROVE))) ||
        (arguments->hub_count && json_set(application, "hubs", cJSON_CreateStringArray(arguments->hubs, (int)arguments->hub_count)))) {
        error_set_memory(error);
        return NULL;
    }
    return add_templates(call, application, error) ? NULL : TAKE(application);
}

static int put_application(struct az_call *call, struct error *error)
{
    CLEANUP_JSON cJSON *params = cJSON_CreateObject(), *application = application_of(call, error);
    if (!application)
        return -1;
    if (json_set(params, "application", TAKE(application)))
        return error_set_memory(error);
    return ask(call, "central.put", TAKE(params), error);
}

/* NULL, and no error: there is none of that name. */
static int find_application(struct az_call *call, cJSON **ret_application, struct error *error)
{
    CLEANUP_JSON cJSON *result = NULL;
    if (object_store_central(call->store, "central.list", cJSON_CreateObject(), &result, error))
        return -1;
    const cJSON *application;
    cJSON_ArrayForEach(application, json_member(result, "value"))
    {
        if (strcmp(json_string(application, "name", ""), az_value(call, AZ_APPLICATION)) == 0)
            *ret_application = cJSON_Duplicate(application, true);
    }
    return 0;
}

static int app_create(struct az_call *call, struct error *error)
{
    CLEANUP_JSON cJSON *present = NULL;
    if (find_application(call, &present, error))
        return -1;
    if (present)
        return error_set(error, ERROR_OWNER_FILE, ERROR_EXISTS, "application '%s' exists already; `dpsbench central app update` changes it",
                         az_value(call, AZ_APPLICATION));
    return put_application(call, error);
}

static int require_application(struct az_call *call, cJSON **ret_application, struct error *error)
{
    if (find_application(call, ret_application, error))
        return -1;
    return *ret_application ? 0
                            : error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND,
                                        "application '%s' does not exist; `dpsbench central app list` names those that do",
                                        az_value(call, AZ_APPLICATION));
}

static int app_update(struct az_call *call, struct error *error)
{
    CLEANUP_JSON cJSON *present = NULL;
    return require_application(call, &present, error) ? -1 : put_application(call, error);
}

static int app_show(struct az_call *call, struct error *error)
{
    cJSON *present = NULL;
    return require_application(call, &present, error) ? -1 : az_answer(call, present, error);
}

static int app_list(struct az_call *call, struct error *error)
{
    return ask_list(call, "central.list", cJSON_CreateObject(), error);
}

/* ---- devices ---- */

static int device_create(struct az_call *call, struct error *error)
{
    CLEANUP_JSON cJSON *params = cJSON_CreateObject(), *device = cJSON_CreateObject();
    if (json_set_string(params, "application", az_value(call, AZ_APPLICATION)) ||
        json_set_string(device, "id", az_value(call, AZ_CENTRAL_DEVICE_ID)) ||
        json_set_string(device, "displayName", az_value(call, AZ_DEVICE_NAME)) ||
        json_set_string(device, "template", az_value(call, AZ_TEMPLATE)) || json_set(params, "device", TAKE(device)))
        return error_set_memory(error);
    return ask(call, "centralDevice.put", TAKE(params), error);
}

static int device_show(struct az_call *call, struct error *error)
{
    return ask(call, "centralDevice.get", params_of(call), error);
}

static int device_list(struct az_call *call, struct error *error)
{
    return ask_list(call, "centralDevice.list", params_of(call), error);
}

static int device_delete(struct az_call *call, struct error *error)
{
    return object_store_central(call->store, "centralDevice.delete", params_of(call), NULL, error);
}

static int device_change(struct az_call *call, const char *action, struct error *error)
{
    CLEANUP_JSON cJSON *params = params_of(call);
    const char *hub = call->arguments->hub_count ? call->arguments->hubs[0] : NULL;
    if (!params || json_set_string(params, "action", action) || json_set_string(params, "hub", hub))
        return error_set_memory(error);
    return ask(call, "centralDevice.change", TAKE(params), error);
}

#define ACTION(name)                                                                                                                       \
    static int device_##name(struct az_call *call, struct error *error)                                                                    \
    {                                                                                                                                      \
        return device_change(call, #name, error);                                                                                          \
    }
ACTION(approve)
ACTION(block)
ACTION(unblock)
ACTION(move)

/* ---- what devices prove themselves with ---- */

static int choose(struct az_call *call, struct error *error)
{
    return object_store_choose(call->store, az_value(call, AZ_APPLICATION), error);
}

static int add_certificate(cJSON *pair, const char *name, const char *path, struct error *error)
{
    CLEANUP(bytes_done) struct bytes pem = {0};
    CLEANUP_JSON cJSON *certificate = cJSON_CreateObject();
    if (!path)
        return 0;
    if (az_read_pem(path, &pem, error))
        return -1;
    return json_set_string(certificate, "certificate", bytes_text(&pem)) || json_set(pair, name, TAKE(certificate))
               ? error_set_memory(error)
               : 0;
}

/* {"attestation": {"type": "x509", "x509": {`member`: {}}}}: ret_pair is the innermost, lent. */
static cJSON *x509_object(const char *id_member, const char *id, const char *member, cJSON **ret_pair)
{
    CLEANUP_JSON cJSON *object = cJSON_CreateObject();
    cJSON *attestation = object ? cJSON_AddObjectToObject(object, "attestation") : NULL;
    cJSON *x509 = attestation ? cJSON_AddObjectToObject(attestation, "x509") : NULL;
    *ret_pair = x509 ? cJSON_AddObjectToObject(x509, member) : NULL;
    return !*ret_pair || json_set_string(object, id_member, id) || json_set_string(attestation, "type", "x509") ? NULL : TAKE(object);
}

static int answer_object(struct az_call *call, enum dps_kind kind, cJSON *object, struct error *error)
{
    CLEANUP_JSON cJSON *owned = object;
    return az_answer(call, dps_enrollment_view(kind, owned, false), error);
}

/* The individual enrollment of a device. The guides upload the same certificate as primary and secondary. */
static int attestation_create(struct az_call *call, struct error *error)
{
    cJSON *pair, *stored = NULL, *device = NULL;
    const char *id = az_value(call, AZ_CENTRAL_DEVICE_ID);
    if (object_store_central(call->store, "centralDevice.get", params_of(call), &device, error))
        return -1;
    cJSON_Delete(device);
    CLEANUP_JSON cJSON *object = x509_object("registrationId", id, "clientCertificates", &pair);
    if (!object)
        return error_set_memory(error);
    if (choose(call, error) || add_certificate(pair, "primary", az_value(call, AZ_CERTIFICATE_PATH), error) ||
        add_certificate(pair, "secondary", az_value(call, AZ_SECONDARY_CERTIFICATE_PATH), error) ||
        object_store_put(call->store, DPS_ENROLLMENT, TAKE(object), NULL, &stored, error))
        return -1;
    return answer_object(call, DPS_ENROLLMENT, stored, error);
}

static int attestation_show(struct az_call *call, struct error *error)
{
    cJSON *object = NULL;
    if (choose(call, error) || object_store_get(call->store, DPS_ENROLLMENT, az_value(call, AZ_CENTRAL_DEVICE_ID), &object, error))
        return -1;
    return answer_object(call, DPS_ENROLLMENT, object, error);
}

static int attestation_delete(struct az_call *call, struct error *error)
{
    return choose(call, error) ? -1 : object_store_delete(call->store, DPS_ENROLLMENT, az_value(call, AZ_CENTRAL_DEVICE_ID), NULL, error);
}

/* A group's CAs are certificates of the application, named after group and entry, so that each has a verification of its own. */
enum { ENTRY_NAME_BYTES = DPS_ID_MAX_BYTES + 16 };

static void name_entry(const struct az_call *call, const char *entry, char name[ENTRY_NAME_BYTES])
{
    snprintf(name, ENTRY_NAME_BYTES, "%s-%s", az_value(call, AZ_CENTRAL_GROUP_ID), entry);
}

static int upload_entry(struct az_call *call, cJSON *references, const char *entry, const char *path, struct error *error)
{
    CLEANUP(bytes_done) struct bytes pem = {0};
    CLEANUP_JSON cJSON *object = cJSON_CreateObject(), *stored = NULL;
    char name[ENTRY_NAME_BYTES];
    if (!path)
        return 0;
    name_entry(call, entry, name);
    cJSON *properties = object ? cJSON_AddObjectToObject(object, "properties") : NULL;
    if (az_read_pem(path, &pem, error))
        return -1;
    if (!properties || json_set_string(object, "name", name) || json_set_string(properties, "certificate", bytes_text(&pem)) ||
        json_set_bool(properties, "isVerified", false) || json_set_string(references, entry, name))
        return error_set_memory(error);
    return object_store_put(call->store, DPS_CERTIFICATE, TAKE(object), NULL, &stored, error);
}

static int group_create(struct az_call *call, struct error *error)
{
    cJSON *references, *stored = NULL;
    CLEANUP_JSON cJSON *object = x509_object("enrollmentGroupId", az_value(call, AZ_CENTRAL_GROUP_ID), "caReferences", &references);
    if (!object)
        return error_set_memory(error);
    if (choose(call, error) || upload_entry(call, references, "primary", az_value(call, AZ_CERTIFICATE_PATH), error) ||
        upload_entry(call, references, "secondary", az_value(call, AZ_SECONDARY_CERTIFICATE_PATH), error) ||
        object_store_put(call->store, DPS_GROUP, TAKE(object), NULL, &stored, error))
        return -1;
    return answer_object(call, DPS_GROUP, stored, error);
}

static int group_show(struct az_call *call, struct error *error)
{
    cJSON *object = NULL;
    if (choose(call, error) || object_store_get(call->store, DPS_GROUP, az_value(call, AZ_CENTRAL_GROUP_ID), &object, error))
        return -1;
    return answer_object(call, DPS_GROUP, object, error);
}

static int group_list(struct az_call *call, struct error *error)
{
    CLEANUP_JSON cJSON *objects = NULL, *views = cJSON_CreateArray();
    if (!views)
        return error_set_memory(error);
    if (choose(call, error) || object_store_list(call->store, DPS_GROUP, &objects, error))
        return -1;
    const cJSON *object;
    cJSON_ArrayForEach(
        object, objects) if (!cJSON_AddItemToArray(views, dps_enrollment_view(DPS_GROUP, object, false))) return error_set_memory(error);
    return az_answer(call, TAKE(views), error);
}

static int group_delete(struct az_call *call, struct error *error)
{
    static const char *const entries[] = {"primary", "secondary"};
    if (choose(call, error) || object_store_delete(call->store, DPS_GROUP, az_value(call, AZ_CENTRAL_GROUP_ID), NULL, error))
        return -1;
    for (size_t i = 0; i < ARRAY_COUNT(entries); i++) {
        char name[ENTRY_NAME_BYTES];
        struct error why = ERROR_INIT;
        name_entry(call, entries[i], name);
        if (object_store_delete(call->store, DPS_CERTIFICATE, name, NULL, &why) && why.code != ERROR_NOT_FOUND)
            return (int)(*error = why, -1);
    }
    return 0;
}

static void chosen_entry(const struct az_call *call, char name[ENTRY_NAME_BYTES])
{
    static const char *const entries[] = {"primary", "secondary", NULL};
    const char *entry = az_word(call, AZ_CERTIFICATE_ENTRY, entries);
    name_entry(call, entry ? entry : "primary", name);
}

static int answer_certificate(struct az_call *call, cJSON *object, struct error *error)
{
    CLEANUP_JSON cJSON *owned = object;
    return az_answer(call, dps_certificate_view(owned, true), error);
}

static int generate_code(struct az_call *call, struct error *error)
{
    char name[ENTRY_NAME_BYTES];
    cJSON *object = NULL;
    chosen_entry(call, name);
    if (choose(call, error) || object_store_verification_code(call->store, name, NULL, &object, error))
        return -1;
    return answer_certificate(call, object, error);
}

static int verify_certificate(struct az_call *call, struct error *error)
{
    char name[ENTRY_NAME_BYTES];
    CLEANUP(bytes_done) struct bytes pem = {0};
    cJSON *object = NULL;
    chosen_entry(call, name);
    if (choose(call, error) || az_read_pem(az_value(call, AZ_PATH), &pem, error) ||
        object_store_verify(call->store, name, NULL, bytes_text(&pem), &object, error))
        return -1;
    return answer_certificate(call, object, error);
}

/* ---- the tables ---- */

/* clang-format off */
#define SET(name, ...) static const enum az_option name[] = {__VA_ARGS__, AZ_OPTION_END};
SET(none, AZ_OPTION_END)
SET(of_app, AZ_APPLICATION)
SET(of_app_put, AZ_APPLICATION, AZ_ID_SCOPE, AZ_AUTO_APPROVE, AZ_IOT_HUBS, AZ_TEMPLATES)
SET(of_device, AZ_APPLICATION, AZ_CENTRAL_DEVICE_ID)
SET(of_device_create, AZ_APPLICATION, AZ_CENTRAL_DEVICE_ID, AZ_DEVICE_NAME, AZ_TEMPLATE)
SET(of_device_move, AZ_APPLICATION, AZ_CENTRAL_DEVICE_ID, AZ_IOT_HUBS)
SET(of_attestation, AZ_APPLICATION, AZ_CENTRAL_DEVICE_ID, AZ_CERTIFICATE_PATH, AZ_SECONDARY_CERTIFICATE_PATH)
SET(needs_attestation, AZ_APPLICATION, AZ_CENTRAL_DEVICE_ID, AZ_CERTIFICATE_PATH)
SET(of_group, AZ_APPLICATION, AZ_CENTRAL_GROUP_ID)
SET(of_group_create, AZ_APPLICATION, AZ_CENTRAL_GROUP_ID, AZ_CERTIFICATE_PATH, AZ_SECONDARY_CERTIFICATE_PATH)
SET(needs_group_create, AZ_APPLICATION, AZ_CENTRAL_GROUP_ID, AZ_CERTIFICATE_PATH)
SET(of_code, AZ_APPLICATION, AZ_CENTRAL_GROUP_ID, AZ_CERTIFICATE_ENTRY)
SET(of_verify, AZ_APPLICATION, AZ_CENTRAL_GROUP_ID, AZ_CERTIFICATE_ENTRY, AZ_PATH)
SET(needs_verify, AZ_APPLICATION, AZ_CENTRAL_GROUP_ID, AZ_PATH)

#define DEVICE " --app-id my-app --device-id gateway1"
#define GROUP " --app-id my-app --group-id line-1"
/* X(function, group of commands, name, options, what it needs, makes a folder, text, example) */
#define APP_ROWS(X) \
    X(app_create, "app", "create", of_app_put, of_app, true, "Create an application, with an ID scope of its own", " --app-id my-app") \
    X(app_update, "app", "update", of_app_put, of_app, false, "Change an application", " --app-id my-app --auto-approve false") \
    X(app_show, "app", "show", of_app, of_app, false, "Show an application", " --app-id my-app") \
    X(app_list, "app", "list", none, none, false, "List the applications", "")
#define DEVICE_ROWS(X) \
    X(device_create, "device", "create", of_device_create, of_device, false, "Create a device", DEVICE) \
    X(device_show, "device", "show", of_device, of_device, false, "Show a device and its deviceStatus", DEVICE) \
    X(device_list, "device", "list", of_app, of_app, false, "List the devices", " --app-id my-app --output table") \
    X(device_delete, "device", "delete", of_device, of_device, false, "Delete a device; its hub refuses it from now on", DEVICE) \
    X(device_approve, "device", "approve", of_device, of_device, false, "Let a device in that waits for approval", DEVICE) \
    X(device_block, "device", "block", of_device, of_device, false, "Shut a device out, at its hub too", DEVICE) \
    X(device_unblock, "device", "unblock", of_device, of_device, false, "Let a blocked device in again", DEVICE) \
    X(device_move, "device", "move", of_device_move, of_device, false, "Move a device to another hub: it has to register again", DEVICE)
#define ATTESTATION_ROWS(X) \
    X(attestation_create, "device attestation", "create", of_attestation, needs_attestation, false, \
      "Give a device an individual enrollment with a certificate", DEVICE " \\\n    --certificate-path root-cert.pem --secondary-certificate-path root-cert.pem") \
    X(attestation_show, "device attestation", "show", of_device, of_device, false, "Show a device's individual enrollment", DEVICE) \
    X(attestation_delete, "device attestation", "delete", of_device, of_device, false, "Delete a device's individual enrollment", DEVICE)
#define GROUP_ROWS(X) \
    X(group_create, "enrollment-group", "create", of_group_create, needs_group_create, false, \
      "Create an enrollment group with a CA, which needs verification", GROUP " \\\n    --certificate-path root-cert.pem") \
    X(group_show, "enrollment-group", "show", of_group, of_group, false, "Show an enrollment group", GROUP) \
    X(group_list, "enrollment-group", "list", of_app, of_app, false, "List the enrollment groups", " --app-id my-app") \
    X(group_delete, "enrollment-group", "delete", of_group, of_group, false, "Delete an enrollment group with its CAs", GROUP) \
    X(generate_code, "enrollment-group", "generate-verification-code", of_code, of_group, false, \
      "Ask for the code that proves possession of the CA's key", GROUP " \\\n    | jq -r .properties.verificationCode") \
    X(verify_certificate, "enrollment-group", "verify-certificate", of_verify, needs_verify, false, \
      "Prove possession with a certificate whose CN is the code, signed by the CA's key", GROUP " \\\n    --path verificationCert.pem")

#define DEFINE(function, group, name, options, needs, makes, text, example) \
    static int run_##function(int argc, char **argv) \
    { \
        static const struct az_command command = { \
            .signature = {options, needs, AZ_OF_OURS, text ".\vExamples:\n  dpsbench central " group " " name example}, \
            .may_make = makes, .run = function}; \
        return az_run(&command, argc, argv); \
    }
#define ROW(function, group, name, options, needs, makes, text, example) {name, text, run_##function, NULL},
APP_ROWS(DEFINE)
DEVICE_ROWS(DEFINE)
ATTESTATION_ROWS(DEFINE)
GROUP_ROWS(DEFINE)

static const struct command app_commands[] = {
    APP_ROWS(ROW)
    {NULL, NULL, NULL, NULL},
};
static const struct command attestation_commands[] = {
    ATTESTATION_ROWS(ROW)
    {NULL, NULL, NULL, NULL},
};
static const struct command device_commands[] = {
    DEVICE_ROWS(ROW)
    {"attestation", "The individual enrollment of a device", NULL, attestation_commands},
    {NULL, NULL, NULL, NULL},
};
static const struct command group_commands[] = {
    GROUP_ROWS(ROW)
    {NULL, NULL, NULL, NULL},
};
/* clang-format on */

const struct command central_commands[] = {
    {"app", "Applications, each with an ID scope of its own", NULL, app_commands},
    {"device", "Devices of an application: create, approve, block, unblock, move", NULL, device_commands},
    {"enrollment-group", "Enrollment groups of an application", NULL, group_commands},
    {NULL, NULL, NULL, NULL},
};
