#include "certs/central_model.h"

#include "base/files.h"
#include "certs/attestation.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

const char *central_status_name(enum central_status status)
{
    static const char *const names[] = {
#define X(id, name) name,
        CENTRAL_STATUSES(X)
#undef X
    };
    return names[status];
}

const char *const central_action_names[] = {
#define X(id, name) name,
    CENTRAL_ACTIONS(X)
#undef X
        NULL,
};

/* ---- looking ---- */

static cJSON *find(const struct central_application *application, const char *id)
{
    cJSON *device;
    cJSON_ArrayForEach(device, application->devices) if (strcasecmp(json_string(device, "id", ""), id) == 0) return device;
    return NULL;
}

static cJSON *require(const struct central_application *application, const char *id, struct error *error)
{
    cJSON *device = find(application, id);
    if (!device)
        error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "application '%s' has no device '%.128s'",
                  central_application_name(application), id);
    return device;
}

static enum central_status status_of(const cJSON *device)
{
    if (!json_bool(device, "enabled", true))
        return CENTRAL_BLOCKED;
    if (!json_bool(device, "approved", true))
        return CENTRAL_WAITING;
    if (!json_bool(device, "provisioned", false))
        return CENTRAL_REGISTERED;
    return json_member(device, "template") ? CENTRAL_PROVISIONED : CENTRAL_UNASSOCIATED;
}

static cJSON *view_of(const cJSON *device)
{
    CLEANUP_JSON cJSON *view = cJSON_Duplicate(device, true);
    return view && json_set_string(view, "deviceStatus", central_status_name(status_of(device))) == 0 ? TAKE(view) : NULL;
}

cJSON *central_device_get(const struct central_application *application, const char *id, struct error *error)
{
    const cJSON *device = require(application, id, error);
    cJSON *view = device ? view_of(device) : NULL;
    if (device && !view)
        error_set_memory(error);
    return view;
}

cJSON *central_device_list(const struct central_application *application)
{
    CLEANUP_JSON cJSON *views = cJSON_CreateArray();
    const cJSON *device;
    cJSON_ArrayForEach(device, application->devices) if (!views || !cJSON_AddItemToArray(views, view_of(device))) return NULL;
    return TAKE(views);
}

static const char *hub_of(const struct central_application *application, const cJSON *device)
{
    const cJSON *hubs = json_member(application->json, "hubs");
    const char *first = cJSON_IsString(cJSON_GetArrayItem(hubs, 0)) ? cJSON_GetArrayItem(hubs, 0)->valuestring : "";
    return json_string(device, "hub", first);
}

const char *central_device_hub(const struct central_application *application, const char *id)
{
    return hub_of(application, find(application, id));
}

/* ---- changing ---- */

static int write_device(const struct central_application *application, cJSON *device, struct error *error)
{
    CLEANUP_FREE char *file = dps_state_file_name(json_string(device, "id", "")), *path = NULL;
    CLEANUP_FREE char *etag = dps_etag_new(application->clock);
    if (!file || !etag || json_set_string(device, "etag", etag) || asprintf(&path, "%s/devices/%s", application->dir, file) < 0)
        return error_set_memory(error);
    return json_write_file(path, device, 0644, error);
}

/* Written first: what cannot be written does not happen. Takes `fresh`, in place of `old` (NULL: a new one). */
static int store(struct central_application *application, cJSON *old, cJSON *fresh, struct error *error)
{
    CLEANUP_JSON cJSON *owned = fresh;
    if (!owned)
        return error_set_memory(error);
    if (!old && cJSON_GetArraySize(application->devices) >= CENTRAL_DEVICES_MAX)
        return error_set(error, ERROR_OWNER_RIG, ERROR_LIMIT, "application '%s' holds %d devices already",
                         central_application_name(application), CENTRAL_DEVICES_MAX);
    if (write_device(application, owned, error))
        return -1;
    if (old)
        return cJSON_ReplaceItemViaPointer(application->devices, old, TAKE(owned)) ? 0 : error_set_memory(error);
    return cJSON_AddItemToArray(application->devices, TAKE(owned)) ? 0 : error_set_memory(error);
}

static cJSON *device_of(const char *id, const char *display_name, const char *template, bool is_approved)
{
    CLEANUP_JSON cJSON *device = cJSON_CreateObject();
    return json_set_string(device, "id", id) || json_set_string(device, "displayName", display_name) ||
                   json_set_string(device, "template", template) || json_set_bool(device, "approved", is_approved) ||
                   json_set_bool(device, "enabled", true) || json_set_bool(device, "provisioned", false) ||
                   json_set_bool(device, "simulated", false)
               ? NULL
               : TAKE(device);
}

static bool has_template(const struct central_application *application, const char *model)
{
    const cJSON *template;
    cJSON_ArrayForEach(template, json_member(application->json, "deviceTemplates"))
    {
        if (strcmp(json_string(template, "modelId", ""), model) == 0)
            return true;
    }
    return false;
}

static int check_template(const struct central_application *application, const char *model, struct error *error)
{
    if (!model || has_template(application, model))
        return 0;
    return error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND,
                     "application '%s' has no template '%.128s'; add it: dpsbench central app update --device-templates",
                     central_application_name(application), model);
}

int central_device_create(struct central_application *application, const cJSON *json, struct error *error)
{
    const char *id = json_string(json, "id", "");
    if (!registration_id_is_valid(id))
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX,
                         "device id '%.128s': 1 to 128 letters, digits and - . _ : are expected, the last one a letter, a digit or '-'",
                         id);
    if (find(application, id))
        return error_set(error, ERROR_OWNER_FILE, ERROR_EXISTS, "application '%s' has a device '%s' already",
                         central_application_name(application), id);
    const char *template = json_string(json, "template", NULL);
    if (check_template(application, template, error))
        return -1;
    return store(application, NULL, device_of(id, json_string(json, "displayName", id), template, true), error);
}

int central_device_delete(struct central_application *application, const char *id, struct error *error)
{
    cJSON *device = require(application, id, error);
    if (!device)
        return -1;
    CLEANUP_FREE char *file = dps_state_file_name(json_string(device, "id", "")), *path = NULL;
    if (!file || asprintf(&path, "%s/devices/%s", application->dir, file) < 0)
        return error_set_memory(error);
    if (unlink(path) && errno != ENOENT)
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "remove '%s'", path);
    cJSON_Delete(cJSON_DetachItemViaPointer(application->devices, device));
    return 0;
}

/* The one behind the present one, around the corner. */
static const char *next_hub(const struct central_application *application, const char *present)
{
    const cJSON *hubs = json_member(application->json, "hubs");
    int count = cJSON_GetArraySize(hubs);
    for (int i = 0; i < count; i++)
        if (strcasecmp(cJSON_GetArrayItem(hubs, i)->valuestring, present) == 0)
            return cJSON_GetArrayItem(hubs, (i + 1) % count)->valuestring;
    return count ? cJSON_GetArrayItem(hubs, 0)->valuestring : present;
}

static int set_hub(const struct central_application *application, cJSON *device, const char *hub, struct error *error)
{
    const char *present = hub_of(application, device), *next = hub ? hub : next_hub(application, present);
    if (strcasecmp(next, present) == 0)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "device '%s' is at hub '%s' already; name another one: --iot-hubs HOST",
                         json_string(device, "id", ""), present);
    return json_set_string(device, "hub", next) ? error_set_memory(error) : 0;
}

int central_device_change(struct central_application *application, const char *id, enum central_action action, const char *hub,
                          struct error *error)
{
    cJSON *device = require(application, id, error);
    CLEANUP_JSON cJSON *fresh = device ? cJSON_Duplicate(device, true) : NULL;
    if (!fresh)
        return device ? error_set_memory(error) : -1;
    int rc = action == CENTRAL_APPROVE ? json_set_bool(fresh, "approved", true)
             : action == CENTRAL_MOVE  ? set_hub(application, fresh, hub, error)
                                       : json_set_bool(fresh, "enabled", action == CENTRAL_UNBLOCK);
    if (rc)
        return action == CENTRAL_MOVE ? -1 : error_set_memory(error);
    return store(application, device, TAKE(fresh), error);
}

int central_device_set_provisioned(struct central_application *application, const char *id, struct error *error)
{
    cJSON *device = require(application, id, error);
    if (!device)
        return -1;
    if (json_bool(device, "provisioned", false) && json_member(device, "hub"))
        return 0;
    CLEANUP_JSON cJSON *fresh = cJSON_Duplicate(device, true);
    if (!fresh || json_set_string(fresh, "hub", hub_of(application, device)) || json_set_bool(fresh, "provisioned", true))
        return error_set_memory(error);
    return store(application, device, TAKE(fresh), error);
}

/* ---- who may come in ---- */

struct rule {
    const char *name;
    int error_code;
    const char *message;
    const char *mend;
};
#define X(id, name, code, message, mend) static const struct rule RULE_##id = {name, code, message, mend};
CENTRAL_RULES(X)
#undef X

static void refuse(struct central_answer *answer, const struct rule *rule, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void refuse(struct central_answer *answer, const struct rule *rule, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(answer->text, sizeof answer->text, format, args);
    va_end(args);
    answer->is_admitted = false;
    answer->rule = rule->name;
    answer->error_code = rule->error_code;
    answer->message = rule->message;
    snprintf(answer->mend, sizeof answer->mend, "%s", rule->mend);
}

/* Names of both kinds hold nothing that a shell minds. */
static void complete_mend(const struct central_application *application, const char *id, struct central_answer *answer)
{
    size_t used = strlen(answer->mend);
    if (strstr(answer->mend, "dpsbench central"))
        snprintf(answer->mend + used, sizeof answer->mend - used, " --app-id %s --device-id %s", central_application_name(application), id);
}

/* What a device that nobody created may be called. */
static bool may_register_itself(const char *id)
{
    for (; *id; id++)
        if (!isalnum((unsigned char)*id) && *id != '-')
            return false;
    return true;
}

/* CN=dev-01 of a name such as "CN=dev-01,O=Example"; the only one. */
static bool issuer_is(const X509 *leaf, const char *id)
{
    char text[256];
    const X509_NAME *issuer = X509_get_issuer_name(leaf);
    int at = X509_NAME_get_index_by_NID(issuer, NID_commonName, -1);
    return at >= 0 && X509_NAME_get_text_by_NID((X509_NAME *)(uintptr_t)issuer, NID_commonName, text, sizeof text) > 0 &&
           strcasecmp(text, id) == 0;
}

static const char *model_of(const cJSON *payload)
{
    const char *model = json_string(payload, "modelId", json_string(payload, "iotcModelId", ""));
    return *model ? model : NULL;
}

/* The payload may choose a template, once, and name the gateway in front of the device. */
static int take_payload(struct central_application *application, const struct central_applicant *applicant, struct error *error)
{
    cJSON *device = find(application, applicant->id);
    const char *model = model_of(applicant->payload);
    const char *gateway = json_string(json_member(applicant->payload, "iotcGateway"), "iotcGatewayId", NULL);
    bool wants_template = model && !json_member(device, "template") && has_template(application, model);
    bool wants_gateway = gateway && strcmp(gateway, json_string(device, "gateway", "")) != 0;
    if (!wants_template && !wants_gateway)
        return 0;
    CLEANUP_JSON cJSON *fresh = cJSON_Duplicate(device, true);
    if (!fresh || (wants_template && json_set_string(fresh, "template", model)) ||
        (wants_gateway && json_set_string(fresh, "gateway", gateway)))
        return error_set_memory(error);
    return store(application, device, TAKE(fresh), error);
}

/* A device that nobody created: it comes with a group, and waits where the application does not approve by itself. */
static int welcome(struct central_application *application, const struct central_applicant *applicant, struct central_answer *answer,
                   struct error *error)
{
    bool is_approved = json_bool(application->json, "autoApprove", true);
    if (!applicant->is_group) {
        refuse(answer, &RULE_NO_DEVICE, "application '%s' has an enrollment '%s' and no device of that name",
               central_application_name(application), applicant->id);
        return 0;
    }
    if (!may_register_itself(applicant->id)) {
        refuse(answer, &RULE_DEVICE_ID,
               "device '%s' is not in application '%s', and may not register itself: its id holds more than letters, digits and '-'",
               applicant->id, central_application_name(application));
        return 0;
    }
    return store(application, NULL, device_of(applicant->id, applicant->id, NULL, is_approved), error);
}

static void judge(const struct central_application *application, const struct central_applicant *applicant, const cJSON *device,
                  struct central_answer *answer)
{
    const char *name = central_application_name(application), *id = json_string(device, "id", "");
    answer->status = status_of(device);
    answer->has_device = true;
    if (answer->status == CENTRAL_BLOCKED)
        refuse(answer, &RULE_BLOCKED, "device '%s' is blocked in application '%s'", id, name);
    else if (answer->status == CENTRAL_WAITING)
        refuse(answer, &RULE_UNAPPROVED, "device '%s' waits for approval in application '%s'", id, name);
    else if (!applicant->is_group && applicant->leaf && !issuer_is(applicant->leaf, applicant->id))
        refuse(answer, &RULE_COMMON_NAMES,
               "the issuer's CN of the certificate is not the device id '%s', as IoT Central wants it for an individual enrollment",
               applicant->id);
}

int central_admit(struct central_application *application, const struct central_applicant *applicant, struct central_answer *ret_answer,
                  struct error *error)
{
    struct central_answer answer = {.is_admitted = true};
    if (!find(application, applicant->id) && welcome(application, applicant, &answer, error))
        return -1;
    if (answer.is_admitted && take_payload(application, applicant, error))
        return -1;
    if (answer.is_admitted)
        judge(application, applicant, find(application, applicant->id), &answer);
    complete_mend(application, applicant->id, &answer);
    *ret_answer = answer;
    return 0;
}
