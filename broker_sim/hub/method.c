#include "base/cleanup.h"
#include "base/percent.h"
#include "broker_sim/hub/service.h"

#include <string.h>

enum { NOT_ONLINE = 404103, GATEWAY_TIMEOUT = 504101, BAD_REPLY = 502001 };

static const deadline_t never = {INT64_MAX};

static void invocation_free(struct hub_invocation *invocation)
{
    free(invocation->topic);
    free(invocation->payload);
    free(invocation);
}
DEFINE_CLEANUP(struct hub_invocation *, invocation_free)

/* ---- the end of one ---- */

static void emit_method(const struct hub *hub, const struct hub_invocation *invocation, const cJSON *result)
{
    const struct hub_device *device = invocation->device;
    cJSON *event = hub_event_of(hub, EVENT_HUB_METHOD, device->hub, device->device_id), *data = event_data(event);
    json_set_string(data, "method", invocation->topic);
    json_set_string(data, "outcome", json_string(result, "outcome", "sent"));
    if (json_member(result, "status"))
        json_set_integer(data, "status", json_integer(result, "status", 0));
    if (json_member(result, "errorCode"))
        json_set_integer(data, "error_code", json_integer(result, "errorCode", 0));
    hub_emit(hub, event, device->connection, device->device_id);
}

/* Takes `invocation` and `result`. */
static void finish(struct hub *hub, struct hub_invocation *invocation, cJSON *result)
{
    struct hub_invocation **at = &hub->invocations;
    while (*at && *at != invocation)
        at = &(*at)->next;
    if (*at)
        *at = invocation->next;
    emit_method(hub, invocation, result);
    invocation->waiter.done(invocation->waiter.user, result);
    invocation_free(invocation);
}

static void finish_error(struct hub *hub, struct hub_invocation *invocation, const char *outcome, int code, const char *message)
{
    cJSON *result = cJSON_CreateObject();
    json_set_string(result, "outcome", outcome);
    json_set_integer(result, "errorCode", code);
    json_set_string(result, "message", message);
    finish(hub, invocation, result);
}

static void finish_offline(struct hub *hub, struct hub_invocation *invocation)
{
    finish_error(hub, invocation, "offline", NOT_ONLINE,
                 invocation->device->connection
                     ? "the device is connected and has not subscribed to $iothub/methods/POST/# (DeviceNotOnline)"
                     : "the device is not connected (DeviceNotOnline)");
}

/* ---- sending ---- */

static bool can_take(const struct hub_device *device)
{
    return device->connection && device->connection->is_subscribed[HUB_FILTER_METHODS];
}

/* The request id is hexadecimal, as IoT Hub's is. */
static void dispatch(struct hub *hub, struct hub_device *device, struct hub_invocation *invocation)
{
    const struct service_port *port = &hub->options.port;
    CLEANUP_FREE char *topic = NULL;
    if (asprintf(&topic, "$iothub/methods/POST/%s/?$rid=%llx", invocation->topic, (unsigned long long)invocation->rid) < 0)
        topic = NULL;
    if (!topic)
        return;
    invocation->is_sent = true;
    invocation->session = device->connection->session->number;
    invocation->response_deadline = deadline_in_ms(hub->options.sink.clock, invocation->response_ms);
    port->publish(port->user, invocation->session, topic, invocation->payload);
    emit_method(hub, invocation, NULL);
}

void method_connected(struct hub *hub, struct hub_device *device)
{
    for (struct hub_invocation *invocation = hub->invocations; invocation; invocation = invocation->next)
        if (!invocation->is_sent && invocation->device == device)
            dispatch(hub, device, invocation);
    hub_rearm(hub);
}

/* ---- parameters ---- */

static int read_seconds(const cJSON *params, const char *name, int64_t least, int64_t most, int64_t fallback, int64_t *ret_ms,
                        struct error *error)
{
    int64_t seconds = json_member(params, name) ? json_integer(params, name, -1) : fallback;
    if (seconds < least || seconds > most)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "%s is a number from %lld to %lld", name, (long long)least, (long long)most);
    *ret_ms = seconds * 1000;
    return 0;
}

static int read_name(const cJSON *params, struct hub_invocation *invocation, struct error *error)
{
    CLEANUP(bytes_done) struct bytes name = {.max_bytes = METHOD_NAME_MAX_BYTES * 3};
    const char *text = json_string(params, "methodName", "");
    if (!*text || strlen(text) > METHOD_NAME_MAX_BYTES || percent_encode(&name, text, strlen(text)))
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "methodName is missing, or longer than %d bytes", METHOD_NAME_MAX_BYTES);
    invocation->topic = strdup(bytes_text(&name));
    return invocation->topic ? 0 : error_set_memory(error);
}

/* Without a payload it is null: Microsoft's client for Node.js cannot read an empty body, though the documentation allows one. */
static int read_payload(const cJSON *params, struct hub_invocation *invocation, struct error *error)
{
    const cJSON *payload = cJSON_GetObjectItemCaseSensitive(params, "payload");
    invocation->payload = payload ? json_print_line(payload) : strdup("null");
    if (!invocation->payload)
        return error_set_memory(error);
    if (strlen(invocation->payload) > METHOD_PAYLOAD_MAX_BYTES)
        return error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "the payload of a direct method may have %d bytes",
                         METHOD_PAYLOAD_MAX_BYTES);
    return 0;
}

static int read_invocation(struct hub *hub, const cJSON *params, struct hub_invocation *invocation, struct error *error)
{
    int64_t connect_ms = 0;
    if (read_name(params, invocation, error) || read_payload(params, invocation, error) ||
        read_seconds(params, "responseTimeoutInSeconds", METHOD_RESPONSE_MIN_S, METHOD_RESPONSE_MAX_S, METHOD_RESPONSE_DEFAULT_S,
                     &invocation->response_ms, error) ||
        read_seconds(params, "connectTimeoutInSeconds", 0, METHOD_CONNECT_MAX_S, 0, &connect_ms, error))
        return -1;
    invocation->connect_deadline = deadline_in_ms(hub->options.sink.clock, connect_ms);
    return 0;
}

static size_t count(const struct hub *hub)
{
    size_t n = 0;
    for (const struct hub_invocation *invocation = hub->invocations; invocation; invocation = invocation->next)
        n++;
    return n;
}

int hub_invoke(struct hub *hub, const cJSON *params, const struct hub_waiter *waiter, struct error *error)
{
    struct hub_device *device = hub_find_device(hub, params, error);
    if (!device)
        return -1;
    if (count(hub) >= METHODS_PENDING_MAX)
        return error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "%d direct methods wait for devices already", METHODS_PENDING_MAX);
    CLEANUP(invocation_free_cleanup) struct hub_invocation *made = calloc(1, sizeof *made);
    if (!made)
        return error_set_memory(error);
    if (read_invocation(hub, params, made, error))
        return -1;
    made->device = device;
    made->rid = ++hub->rid_count;
    made->waiter = *waiter;
    made->next = hub->invocations;
    hub->invocations = made;
    struct hub_invocation *invocation = TAKE(made);
    if (can_take(device))
        dispatch(hub, device, invocation);
    else if (deadline_has_passed(hub->options.sink.clock, invocation->connect_deadline))
        finish_offline(hub, invocation);
    hub_rearm(hub);
    return 0;
}

/* ---- the answer ---- */

static struct hub_invocation *find_answered(const struct hub *hub, const struct hub_connection *connection, const char *rest)
{
    char rid[HUB_RID_MAX_BYTES + 1], own[24];
    if (!hub_query_rid(rest, rid, sizeof rid))
        return NULL;
    for (struct hub_invocation *invocation = hub->invocations; invocation; invocation = invocation->next) {
        snprintf(own, sizeof own, "%llx", (unsigned long long)invocation->rid);
        if (invocation->is_sent && invocation->session == connection->session->number && strcmp(own, rid) == 0)
            return invocation;
    }
    return NULL;
}

/* "{status}/?$rid=..."; false: no number. */
static bool read_status(const char *rest, int *ret_status)
{
    char *end;
    long status = strtol(rest, &end, 10);
    if (end == rest || *end != '/' || status < -100000 || status > 100000)
        return false;
    *ret_status = (int)status;
    return true;
}

void method_answered(struct hub *hub, struct hub_connection *connection, const char *rest, const void *payload, size_t length_bytes)
{
    int status;
    struct hub_invocation *invocation = find_answered(hub, connection, rest);
    if (!invocation) {
        hub_warn(hub, connection, "method.unasked", "an answer to a direct method that nobody waits for: too late, or never asked for",
                 "answer before the call times out, on $iothub/methods/res/STATUS/?$rid= with the $rid of the call");
        return;
    }
    CLEANUP_JSON cJSON *body = length_bytes ? json_parse(payload, length_bytes, "method reply", NULL) : cJSON_CreateNull();
    if (!read_status(rest, &status) || !body || length_bytes > METHOD_PAYLOAD_MAX_BYTES) {
        finish_error(hub, invocation, "bad-reply", BAD_REPLY, "the device's answer has no status, or is neither empty nor JSON");
        return;
    }
    cJSON *result = cJSON_CreateObject();
    json_set_string(result, "outcome", "answered");
    json_set_integer(result, "status", status);
    json_set(result, "payload", TAKE(body));
    finish(hub, invocation, result);
}

/* ---- those that end without one ---- */

void method_drop_session(struct hub *hub, uint64_t session)
{
    struct hub_invocation *next;
    for (struct hub_invocation *invocation = hub->invocations; invocation; invocation = next) {
        next = invocation->next;
        if (invocation->is_sent && invocation->session == session)
            finish_error(hub, invocation, "lost", GATEWAY_TIMEOUT, "the device's connection ended before it answered");
    }
}

void method_drop_device(struct hub *hub, const struct hub_device *device)
{
    struct hub_invocation *next;
    for (struct hub_invocation *invocation = hub->invocations; invocation; invocation = next) {
        next = invocation->next;
        if (invocation->device == device)
            finish_error(hub, invocation, "offline", NOT_ONLINE, "the device's identity is gone from the hub");
    }
}

static deadline_t deadline_of(const struct hub_invocation *invocation)
{
    return invocation->is_sent ? invocation->response_deadline : invocation->connect_deadline;
}

void method_expire(struct hub *hub)
{
    struct hub_invocation *next;
    for (struct hub_invocation *invocation = hub->invocations; invocation; invocation = next) {
        next = invocation->next;
        if (!deadline_has_passed(hub->options.sink.clock, deadline_of(invocation)))
            continue;
        if (invocation->is_sent)
            finish_error(hub, invocation, "timeout", GATEWAY_TIMEOUT, "the device did not answer in time");
        else
            finish_offline(hub, invocation);
    }
}

void method_end_all(struct hub *hub)
{
    while (hub->invocations)
        finish_error(hub, hub->invocations, "ended", GATEWAY_TIMEOUT, "the simulator ends");
}

deadline_t method_next_deadline(const struct hub *hub)
{
    deadline_t first = never;
    for (const struct hub_invocation *invocation = hub->invocations; invocation; invocation = invocation->next)
        first = deadline_earlier(first, deadline_of(invocation));
    return first;
}
