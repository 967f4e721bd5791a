/* What a device writes into user names, topics and bodies of DPS and hub, and the topic of a control request. The first byte says which. */
#include "base/json.h"
#include "broker_sim/control/request.h"
#include "broker_sim/dps/request.h"
#include "broker_sim/dps/user_name.h"
#include "broker_sim/front_door/user_name.h"
#include "broker_sim/hub/registry.h"
#include "broker_sim/hub/user_name.h"
#include "tests/fuzz/fuzz.h"

static void front_door_user_name(const char *text)
{
    struct user_name name = user_name_parse(text);
    size_t length = strlen(text);
    FUZZ_MUST((name.endpoint == SESSION_ENDPOINT_UNKNOWN) == (name.id == NULL));
    if (name.id)
        FUZZ_MUST(name.id >= text && name.id + name.id_bytes <= text + length);
}

static void dps_user_name(const char *text)
{
    struct dps_user_name name;
    struct error error = ERROR_INIT;
    if (dps_user_name_read(text, &name, &error)) {
        fuzz_check_error(&error);
        return;
    }
    FUZZ_MUST(strlen(name.id_scope) <= ID_SCOPE_MAX_BYTES && strlen(name.registration_id) <= CLAIMED_ID_MAX_BYTES);
    FUZZ_MUST(strlen(name.api_version) <= API_VERSION_MAX_BYTES);
}

static void hub_user_name(const char *text)
{
    struct hub_user_name name;
    struct error error = ERROR_INIT;
    if (hub_user_name_read(text, &name, &error))
        fuzz_check_error(&error);
    else
        FUZZ_MUST(name.hub[0] && name.device_id[0] && strlen(name.hub) + strlen(name.device_id) <= strlen(text));
}

static void request_topic(const char *text)
{
    struct dps_request request;
    struct error error = ERROR_INIT;
    size_t length = strlen(text);
    if (dps_request_read(text, &request, &error)) {
        fuzz_check_error(&error);
        return;
    }
    FUZZ_MUST(dps_topic_is_request(text));
    FUZZ_MUST(request.rid.text && request.rid.length <= length && request.operation_id.text && request.operation_id.length <= length);
}

static void control_topic(const char *text)
{
    char name[CLIENT_NAME_MAX_BYTES + 1] = "";
    struct error error = ERROR_INIT;
    if (control_topic_read(text, name, &error))
        fuzz_check_error(&error);
    else
        FUZZ_MUST(name[0] && strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == strlen(name));
}

static void register_body(const uint8_t *data, size_t size)
{
    struct error error = ERROR_INIT;
    struct register_body body = {.json = NULL};
    if (dps_register_body_read(data, size, "dev-01", &body, &error))
        fuzz_check_error(&error);
    else
        FUZZ_MUST(!body.json == !size);
    register_body_done(&body);
}

static void reported(const uint8_t *data, size_t size)
{
    struct hub_registry *registry = hub_registry_new();
    struct error error = ERROR_INIT;
    FUZZ_MUST(registry && hub_registry_put(registry, "hub", "dev-01", "", NULL) == 0);
    struct hub_device *device = hub_registry_first(registry, "dev-01");
    FUZZ_MUST(device);
    CLEANUP_JSON cJSON *patch = json_parse((const char *)data, size, "patch", NULL);
    if (hub_device_twin_patch(device, TWIN_REPORTED, patch, &error))
        fuzz_check_error(&error);
    CLEANUP_JSON cJSON *twin = twin_for_device(&device->twin);
    CLEANUP_FREE char *text = json_print_line(twin);
    FUZZ_MUST(text);
    for (const char *at = text; *at; at++)
        FUZZ_MUST(*at >= 0x20 && *at < 0x7f);
    hub_registry_free(registry);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const readers[])(const char *) = {front_door_user_name, dps_user_name, hub_user_name, request_topic, control_topic};
    if (size < 1)
        return 0;
    CLEANUP_FREE char *text = fuzz_text(data + 1, size - 1);
    /* A letter, so that the corpus can be read. */
    unsigned which = (unsigned)(data[0] - 'a') % (ARRAY_COUNT(readers) + 2);
    if (which == ARRAY_COUNT(readers))
        register_body(data + 1, size - 1);
    else if (which > ARRAY_COUNT(readers))
        reported(data + 1, size - 1);
    else
        readers[which](text);
    return 0;
}
