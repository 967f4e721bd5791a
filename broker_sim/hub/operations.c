#include "base/cleanup.h"
#include "broker_sim/hub/service.h"

#include <string.h>
#include <strings.h>

struct hub_device *hub_find_device(const struct hub *hub, const cJSON *params, struct error *error)
{
    return hub_registry_pick(hub->options.registry, json_string(params, "hub", NULL), json_string(params, "deviceId", ""), error);
}

static int commit(const struct hub *hub, struct error *error)
{
    return service_commit(&hub->options.port, error);
}

static void emit_changed(const struct hub *hub, const char *host, const char *device_id, const char *action)
{
    cJSON *event = event_new(EVENT_STATE_CHANGED, hub->options.sink.clock, EVENT_SOURCE), *data = event_data(event);
    json_set_string(data, "what", "device");
    json_set_string(data, "id", device_id);
    json_set_string(data, "hub", host);
    json_set_string(data, "action", action);
    hub->options.sink.emit(hub->options.sink.user, event);
}

/* ---- looking ---- */

static int add_connection(cJSON *json, const struct hub_connection *connection)
{
    if (json_set_string(json, "connectionState", connection ? "Connected" : "Disconnected"))
        return -1;
    if (!connection)
        return 0;
    cJSON *filters = cJSON_AddArrayToObject(json, "subscriptions");
    for (int filter = 0; filter < HUB_FILTER_COUNT; filter++)
        if (connection->is_subscribed[filter])
            cJSON_AddItemToArray(filters, cJSON_CreateString(hub_filter_name((enum hub_filter)filter)));
    return json_set_integer(json, "session", (int64_t)connection->session->number);
}

/* With keys: whoever may ask the control plane may know them, as an owner of an IoT hub may. */
static cJSON *describe(const struct hub_device *device)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    CLEANUP_JSON cJSON *kept = hub_device_to_json(device);
    if (!kept)
        return NULL;
    static const char *const members[] = {"deviceId", "hub", "status", "authentication"};
    for (size_t i = 0; i < ARRAY_COUNT(members); i++)
        if (json_set(json, members[i], cJSON_DetachItemFromObjectCaseSensitive(kept, members[i])))
            return NULL;
    if (add_connection(json, device->connection) || json_set_integer(json, "cloudToDeviceMessageCount", (int64_t)device->messages.count))
        return NULL;
    return TAKE(json);
}

static int give_description(const struct hub_device *device, bool with_twin, cJSON **ret_result, struct error *error)
{
    CLEANUP_JSON cJSON *json = describe(device);
    if (!json || (with_twin && json_set(json, "twin", twin_json(&device->twin))))
        return error_set_memory(error);
    *ret_result = TAKE(json);
    return 0;
}

struct listing {
    const char *host; /* NULL: all hubs */
    cJSON *value;
};

static void add_device(void *user, struct hub_device *device)
{
    const struct listing *listing = user;
    if (!listing->host || strcasecmp(listing->host, device->hub) == 0)
        cJSON_AddItemToArray(listing->value, describe(device));
}

int hub_list(struct hub *hub, const cJSON *params, cJSON **ret_result, struct error *error)
{
    CLEANUP_JSON cJSON *result = cJSON_CreateObject();
    struct listing listing = {.host = json_string(params, "hub", NULL), .value = cJSON_AddArrayToObject(result, "value")};
    if (!listing.value)
        return error_set_memory(error);
    hub_registry_each(hub->options.registry, add_device, &listing);
    *ret_result = TAKE(result);
    return 0;
}

int hub_show(struct hub *hub, const cJSON *params, cJSON **ret_result, struct error *error)
{
    const struct hub_device *device = hub_find_device(hub, params, error);
    return device ? give_description(device, true, ret_result, error) : -1;
}

/* ---- changing ---- */

int hub_create(struct hub *hub, const cJSON *params, cJSON **ret_result, struct error *error)
{
    struct hub_device *device;
    if (hub_registry_create(hub->options.registry, params, &device, error) || commit(hub, error))
        return -1;
    emit_changed(hub, device->hub, device->device_id, "put");
    return give_description(device, true, ret_result, error);
}

/* Before anything is changed: all of an update is done, or nothing. */
static int check_tags(const struct hub_device *device, const cJSON *tags, struct error *error)
{
    CLEANUP(twin_done) struct twin copy = {.version = 0};
    CLEANUP_JSON cJSON *json = tags ? twin_json(&device->twin) : NULL;
    if (!tags)
        return 0;
    return twin_read(json, &copy, error) || twin_patch(&copy, TWIN_TAGS, tags, error) ? -1 : 0;
}

int hub_update(struct hub *hub, const cJSON *params, cJSON **ret_result, struct error *error)
{
    struct hub_device *device = hub_find_device(hub, params, error);
    const cJSON *tags = json_member(params, "tags");
    if (!device || check_tags(device, tags, error) || hub_device_update(device, params, error) ||
        (tags && hub_device_twin_patch(device, TWIN_TAGS, tags, error)) || commit(hub, error))
        return -1;
    emit_changed(hub, device->hub, device->device_id, "put");
    if (device->is_disabled)
        hub_drop(hub, device);
    return give_description(device, true, ret_result, error);
}

int hub_delete(struct hub *hub, const cJSON *params, cJSON **ret_result, struct error *error)
{
    struct hub_device *device = hub_find_device(hub, params, error);
    if (!device)
        return -1;
    char device_id[HUB_DEVICE_ID_MAX_BYTES + 1], host[HUB_TEXT_MAX_BYTES + 1];
    snprintf(device_id, sizeof device_id, "%s", device->device_id);
    snprintf(host, sizeof host, "%s", device->hub);
    if (hub_registry_delete(hub->options.registry, device, error) || commit(hub, error))
        return -1;
    emit_changed(hub, host, device_id, "delete");
    *ret_result = cJSON_CreateObject();
    return 0;
}

int hub_desired(struct hub *hub, const cJSON *params, cJSON **ret_result, struct error *error)
{
    struct hub_device *device = hub_find_device(hub, params, error);
    const cJSON *patch = json_member(params, "desired");
    if (!device || hub_device_twin_patch(device, TWIN_DESIRED, patch, error) || commit(hub, error))
        return -1;
    bool is_pushed = twin_push_desired(hub, device, patch);
    if (give_description(device, true, ret_result, error))
        return -1;
    json_set_bool(*ret_result, "isPublished", is_pushed);
    return 0;
}

int hub_purge(struct hub *hub, const cJSON *params, cJSON **ret_result, struct error *error)
{
    struct hub_device *device = hub_find_device(hub, params, error);
    if (!device)
        return -1;
    int64_t count = (int64_t)device->messages.count;
    while (device->messages.first) {
        delivery_tell(hub, device, device->messages.first, c2d_outcome_name(C2D_PURGED));
        hub_device_end_message(device, device->messages.first, C2D_PURGED);
    }
    *ret_result = cJSON_CreateObject();
    json_set_integer(*ret_result, "purged", count);
    return commit(hub, error);
}

/* ---- sending ---- */

static cJSON *send_result(const char *message_id, const char *outcome)
{
    cJSON *result = cJSON_CreateObject();
    json_set_string(result, "messageId", message_id);
    json_set_string(result, "outcome", outcome);
    return result;
}

static void unlink_wait(struct hub_send_wait *wait)
{
    struct hub_send_wait **at = &wait->hub->send_waits;
    while (*at && *at != wait)
        at = &(*at)->next;
    if (*at)
        *at = wait->next;
}

static void end_wait(struct hub_send_wait *wait, const char *message_id, const char *outcome)
{
    unlink_wait(wait);
    wait->waiter.done(wait->waiter.user, send_result(message_id, outcome));
    free(wait);
}

static void on_message_ended(void *user, const char *message_id, enum c2d_outcome outcome)
{
    end_wait(user, message_id, c2d_outcome_name(outcome));
}

static void stop_waiting(struct hub_send_wait *wait)
{
    wait->message->waiter = (struct c2d_waiter){.done = NULL};
    end_wait(wait, wait->message->id, "waiting");
}

void send_waits_expire(struct hub *hub)
{
    struct hub_send_wait *next;
    for (struct hub_send_wait *wait = hub->send_waits; wait; wait = next) {
        next = wait->next;
        if (deadline_has_passed(hub->options.sink.clock, wait->deadline))
            stop_waiting(wait);
    }
}

void send_waits_end_all(struct hub *hub)
{
    while (hub->send_waits)
        stop_waiting(hub->send_waits);
}

deadline_t send_waits_next_deadline(const struct hub *hub)
{
    deadline_t first = {INT64_MAX};
    for (const struct hub_send_wait *wait = hub->send_waits; wait; wait = wait->next)
        first = deadline_earlier(first, wait->deadline);
    return first;
}

static int start_waiting(struct hub *hub, struct c2d_message *message, int64_t wait_s, const struct hub_waiter *waiter, struct error *error)
{
    struct hub_send_wait *wait = calloc(1, sizeof *wait);
    if (!wait)
        return error_set_memory(error);
    *wait = (struct hub_send_wait){.next = hub->send_waits,
                                   .hub = hub,
                                   .message = message,
                                   .deadline = deadline_in_ms(hub->options.sink.clock, wait_s * 1000),
                                   .waiter = *waiter};
    hub->send_waits = wait;
    message->waiter = (struct c2d_waiter){on_message_ended, wait};
    return 0;
}

int hub_send(struct hub *hub, const cJSON *params, const struct hub_waiter *waiter, struct error *error)
{
    struct hub_device *device = hub_find_device(hub, params, error);
    int64_t wait_s = json_integer(params, "waitInSeconds", 0);
    struct c2d_message *message;
    if (wait_s < 0 || wait_s > HUB_WAIT_MAX_S)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "waitInSeconds is a number from 0 to %d", HUB_WAIT_MAX_S);
    if (!device || hub_device_enqueue(device, params, hub_now_s(hub), &message, error) || commit(hub, error))
        return -1;
    delivery_tell(hub, device, message, "enqueued");
    if (wait_s > 0 && start_waiting(hub, message, wait_s, waiter, error))
        return -1;
    if (message->expires_unix_s < hub->next_unix_s)
        hub->next_unix_s = message->expires_unix_s;
    if (wait_s == 0)
        waiter->done(waiter->user, send_result(message->id, "waiting"));
    delivery_pump(hub, device);
    hub_rearm(hub);
    return 0;
}
