#include "base/cleanup.h"
#include "base/utf8.h"
#include "broker_sim/hub/service.h"

#include <string.h>

enum { TELEMETRY_BODY_MAX_BYTES = 4096 };

/* An object stands in the event as one, other text as text; what is long or binary does not. */
static void add_body(cJSON *data, const void *payload, size_t length_bytes)
{
    if (!payload || length_bytes > TELEMETRY_BODY_MAX_BYTES)
        return;
    cJSON *body = json_parse(payload, length_bytes, "telemetry", NULL);
    if (cJSON_IsObject(body)) {
        json_set(data, "body", body);
        return;
    }
    cJSON_Delete(body);
    CLEANUP_FREE char *text = strndup(payload, length_bytes);
    if (text && strlen(text) == length_bytes && !utf8_find_error(text))
        json_set_string(data, "body_text", text);
}

/* The topic is the device's own: hub_may_publish saw to that. */
void telemetry_take(const struct hub *hub, uint64_t number, const struct session *session, const char *topic, const void *payload,
                    size_t length_bytes)
{
    static const char start[] = "devices/", middle[] = "/messages/events/";
    const char *id = strncmp(topic, start, sizeof start - 1) == 0 ? topic + sizeof start - 1 : NULL;
    const char *bag = id ? strstr(id, middle) : NULL;
    if (!bag)
        return;
    CLEANUP_FREE char *device_id = strndup(id, strcspn(id, "/"));
    const struct hub_connection *connection = session ? session->service : NULL;
    cJSON *event = hub_event_of(hub, EVENT_HUB_TELEMETRY, connection ? connection->hub : NULL, device_id), *data = event_data(event);
    json_set_string(data, "topic", topic);
    json_set_integer(data, "payload_bytes", (int64_t)length_bytes);
    if (bag[sizeof middle - 1])
        json_set(data, "properties", hub_properties_json(bag + sizeof middle - 1));
    add_body(data, payload, length_bytes);
    if (event)
        event_set_origin(event, session ? session->lane : NULL, number, device_id);
    hub->options.sink.emit(hub->options.sink.user, event);
}
