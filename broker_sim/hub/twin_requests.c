#include "base/cleanup.h"
#include "broker_sim/hub/service.h"

#include <string.h>

struct twin_answer {
    const char *operation;
    int status;
    const char *rid;
    int64_t version; /* 0: none in the topic */
    const cJSON *body;
};

static void emit_twin(const struct hub *hub, const struct hub_connection *connection, const struct hub_device *device,
                      const char *operation, int status, int64_t version)
{
    cJSON *event = hub_event_of(hub, EVENT_HUB_TWIN, device->hub, device->device_id);
    json_set_string(event_data(event), "operation", operation);
    json_set_integer(event_data(event), "status", status);
    if (version)
        json_set_integer(event_data(event), "version", version);
    hub_emit(hub, event, connection, device->device_id);
}

static void answer(struct hub *hub, const struct hub_connection *connection, const struct twin_answer *answer)
{
    char topic[HUB_RID_MAX_BYTES + 96], version[40] = "";
    CLEANUP_FREE char *text = answer->body ? json_print_line(answer->body) : NULL;
    if (answer->version)
        snprintf(version, sizeof version, "&$version=%lld", (long long)answer->version);
    snprintf(topic, sizeof topic, "$iothub/twin/res/%d/?$rid=%s%s", answer->status, answer->rid, version);
    late_publish(hub, connection, topic, text ? text : "");
    emit_twin(hub, connection, connection->device, answer->operation, answer->status, answer->version);
}

/* A request without a request id cannot be answered: no topic would fit it. */
static bool is_answerable(const struct hub *hub, const struct hub_connection *connection, const char *query,
                          char rid[HUB_RID_MAX_BYTES + 1])
{
    bool has_rid = hub_query_rid(query, rid, HUB_RID_MAX_BYTES + 1);
    if (!has_rid)
        hub_warn(hub, connection, "twin.rid", "a twin request without $rid, or with one of more than 128 bytes, is not answered",
                 "end its topic with ?$rid= and a short text of your own");
    return connection->device && has_rid;
}

/* It has been answered when this is true. */
static bool is_throttled(struct hub *hub, struct hub_connection *connection, const char *operation, const char *rid)
{
    enum { SECOND_US = 1000000, THROTTLED = 429001 };
    int64_t limit = scenario_knobs(hub->options.scenarios, connection->device_id).hub_twin_per_s;
    double scale = hub->options.time_scale >= 1 ? hub->options.time_scale : 1;
    if (!quota_take(&connection->twin_rate, clock_mono_us(hub->options.sink.clock), (int64_t)(SECOND_US / scale), limit))
        return false;
    CLEANUP_JSON cJSON *body = hub_error_body(hub, THROTTLED, "Operations are being throttled for this device.");
    answer(hub, connection, &(struct twin_answer){.operation = operation, .status = THROTTLED / 1000, .rid = rid, .body = body});
    return true;
}

void twin_answer_get(struct hub *hub, struct hub_connection *connection, const char *query)
{
    char rid[HUB_RID_MAX_BYTES + 1];
    if (!is_answerable(hub, connection, query, rid) || is_throttled(hub, connection, "get", rid))
        return;
    CLEANUP_JSON cJSON *twin = twin_for_device(&connection->device->twin);
    answer(hub, connection, &(struct twin_answer){.operation = "get", .status = 200, .rid = rid, .body = twin});
}

/* 0, or the code of what is wrong. */
static int patch_reported(struct hub *hub, struct hub_device *device, const void *payload, size_t length_bytes, struct error *error)
{
    CLEANUP_JSON cJSON *patch = json_parse(payload ? payload : "", length_bytes, "reported properties", error);
    if (!patch || hub_device_twin_patch(device, TWIN_REPORTED, patch, error))
        return error->owner == ERROR_OWNER_FILE ? 400004 : 500001;
    return service_commit(&hub->options.port, error) ? 500001 : 0;
}

void twin_answer_patch(struct hub *hub, struct hub_connection *connection, const char *query, const void *payload, size_t length_bytes)
{
    char rid[HUB_RID_MAX_BYTES + 1];
    struct error error = ERROR_INIT;
    if (!is_answerable(hub, connection, query, rid) || is_throttled(hub, connection, "patch", rid))
        return;
    int code = patch_reported(hub, connection->device, payload, length_bytes, &error);
    CLEANUP_JSON cJSON *body = code ? hub_error_body(hub, code, error.text) : NULL;
    struct twin_answer reply = {.operation = "patch", .status = code ? code / 1000 : 204, .rid = rid, .body = body};
    if (!code)
        reply.version = connection->device->twin.versions[TWIN_REPORTED];
    answer(hub, connection, &reply);
}

bool twin_push_desired(struct hub *hub, struct hub_device *device, const cJSON *patch)
{
    struct hub_connection *connection = device->connection;
    int64_t version = device->twin.versions[TWIN_DESIRED];
    bool is_pushed = connection && connection->is_subscribed[HUB_FILTER_TWIN_DESIRED];
    CLEANUP_JSON cJSON *body = cJSON_Duplicate(patch, true);
    if (is_pushed && json_set_integer(body, "$version", version) == 0) {
        char topic[96];
        CLEANUP_FREE char *text = json_print_line(body);
        snprintf(topic, sizeof topic, "$iothub/twin/PATCH/properties/desired/?$version=%lld", (long long)version);
        hub->options.port.publish(hub->options.port.user, connection->session->number, topic, text ? text : "");
    }
    emit_twin(hub, is_pushed ? connection : NULL, device, "desired", is_pushed ? 200 : 204, version);
    return is_pushed;
}
