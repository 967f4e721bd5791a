#include "certs/central.h"

#include <string.h>

struct call {
    struct central *central;
    const cJSON *params;
    cJSON *result;
    struct error *error;
};

static int give(struct call *call, cJSON *result)
{
    call->result = result;
    return result ? 0 : error_set_memory(call->error);
}

static int require_application(const struct call *call, struct central_application **ret_application)
{
    const char *name = json_string(call->params, "application", "");
    if (!*name)
        return error_set(call->error, ERROR_OWNER_FILE, ERROR_USAGE, "parameter 'application' is missing");
    return central_require(call->central, name, ret_application, call->error);
}

static int require_device(const struct call *call, struct central_application **ret_application, const char **ret_id)
{
    const char *id = json_string(call->params, "deviceId", "");
    if (!*id)
        return error_set(call->error, ERROR_OWNER_FILE, ERROR_USAGE, "parameter 'deviceId' is missing");
    *ret_id = id;
    return require_application(call, ret_application);
}

static int list(struct call *call)
{
    CLEANUP_JSON cJSON *result = cJSON_CreateObject();
    cJSON *value = result ? cJSON_AddArrayToObject(result, "value") : NULL;
    for (size_t i = 0; value && i < central_count(call->central); i++)
        if (!cJSON_AddItemToArray(value, cJSON_Duplicate(central_application_json(central_at(call->central, i)), true)))
            return error_set_memory(call->error);
    return value ? give(call, TAKE(result)) : error_set_memory(call->error);
}

static int put(struct call *call)
{
    const cJSON *json = json_member(call->params, "application");
    struct central_application *application;
    if (!cJSON_IsObject(json))
        return error_set(call->error, ERROR_OWNER_FILE, ERROR_USAGE, "parameter 'application' is missing, or is not an object");
    if (central_put(call->central, json, &application, call->error))
        return -1;
    return give(call, cJSON_Duplicate(central_application_json(application), true));
}

static int answer_device(struct call *call, const struct central_application *application, const char *id)
{
    call->result = central_device_get(application, id, call->error);
    return call->result ? 0 : -1;
}

static int device_put(struct call *call)
{
    const cJSON *device = json_member(call->params, "device");
    struct central_application *application;
    if (require_application(call, &application) || central_device_create(application, device, call->error))
        return -1;
    return answer_device(call, application, json_string(device, "id", ""));
}

static int device_get(struct call *call)
{
    struct central_application *application;
    const char *id;
    return require_device(call, &application, &id) ? -1 : answer_device(call, application, id);
}

static int device_list(struct call *call)
{
    struct central_application *application;
    if (require_application(call, &application))
        return -1;
    CLEANUP_JSON cJSON *result = cJSON_CreateObject();
    return json_set(result, "value", central_device_list(application)) ? error_set_memory(call->error) : give(call, TAKE(result));
}

static int device_delete(struct call *call)
{
    struct central_application *application;
    const char *id;
    if (require_device(call, &application, &id) || answer_device(call, application, id))
        return -1;
    return central_device_delete(application, id, call->error);
}

static int read_action(const struct call *call, enum central_action *ret_action)
{
    const char *word = json_string(call->params, "action", "");
    for (int i = 0; central_action_names[i]; i++)
        if (strcmp(central_action_names[i], word) == 0)
            return (int)(*ret_action = (enum central_action)i, 0);
    return error_set(call->error, ERROR_OWNER_FILE, ERROR_USAGE, "action '%.64s' is none of approve, block, unblock, move", word);
}

static int device_change(struct call *call)
{
    struct central_application *application;
    const char *id;
    enum central_action action;
    if (require_device(call, &application, &id) || read_action(call, &action) ||
        central_device_change(application, id, action, json_string(call->params, "hub", NULL), call->error))
        return -1;
    return answer_device(call, application, id);
}

static const struct method {
    const char *name;
    int (*run)(struct call *call);
} methods[] = {
    {"central.list", list},
    {"central.put", put},
    {"centralDevice.put", device_put},
    {"centralDevice.get", device_get},
    {"centralDevice.list", device_list},
    {"centralDevice.delete", device_delete},
    {"centralDevice.change", device_change},
};

int central_call(struct central *central, const char *method, const cJSON *params, cJSON **ret_result, struct error *error)
{
    struct call call = {.central = central, .params = params, .error = error};
    for (size_t i = 0; i < ARRAY_COUNT(methods); i++) {
        if (strcmp(methods[i].name, method) != 0)
            continue;
        if (methods[i].run(&call) == 0)
            return (int)(*ret_result = call.result, 0);
        cJSON_Delete(call.result);
        return -1;
    }
    return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "there is no method '%.64s'", method);
}
