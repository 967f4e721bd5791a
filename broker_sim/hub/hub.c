#include "broker_sim/hub/hub.h"

#include "base/cleanup.h"
#include "base/uuid.h"
#include "broker_sim/hub/service.h"
#include "broker_sim/hub/user_name.h"
#include "broker_sim/scenario/fault.h"

#include <string.h>
#include <strings.h>

enum { TIMER_MAX_MS = 3600 * 1000 };

const char *const hub_filters[] = {"s/+/devices/+/messages/events/#", "s/+/$iothub/twin/GET/#",
                                   "s/+/$iothub/twin/PATCH/properties/reported/#", "s/+/$iothub/methods/res/#"};
const size_t hub_filter_count = ARRAY_COUNT(hub_filters);

/* ---- what the files share ---- */

cJSON *hub_event_of(const struct hub *hub, enum event_kind kind, const char *host, const char *device_id)
{
    cJSON *event = event_new(kind, hub->options.sink.clock, EVENT_SOURCE);
    json_set_string(event_data(event), "device_id", device_id);
    json_set_string(event_data(event), "hub", host);
    return event;
}

void hub_emit(const struct hub *hub, cJSON *event, const struct hub_connection *connection, const char *device_id)
{
    const struct session *session = connection ? connection->session : NULL;
    if (event)
        event_set_origin(event, session ? session->lane : NULL, session ? session->number : 0, device_id);
    hub->options.sink.emit(hub->options.sink.user, event);
}

void hub_warn(const struct hub *hub, const struct hub_connection *connection, const char *rule, const char *text, const char *mend)
{
    cJSON *event = hub_event_of(hub, EVENT_HUB_WARNING, connection->hub, connection->device_id), *data = event_data(event);
    json_set_string(data, "rule", rule);
    json_set_string(data, "text", text);
    json_set_string(data, "mend", mend);
    hub_emit(hub, event, connection, connection->device_id);
}

int64_t hub_now_s(const struct hub *hub)
{
    return clock_unix_s(hub->options.sink.clock);
}

cJSON *hub_error_body(const struct hub *hub, int code, const char *message)
{
    char tracking_id[UUID_TEXT_BYTES], now[CLOCK_ISO8601_BYTES];
    CLEANUP_JSON cJSON *body = cJSON_CreateObject();
    uuid_make(tracking_id);
    clock_format_iso8601(clock_unix_us(hub->options.sink.clock), now);
    if (json_set_integer(body, "errorCode", code) || json_set_string(body, "trackingId", tracking_id) ||
        json_set_string(body, "message", message) || json_set_string(body, "timestampUtc", now))
        return NULL;
    return TAKE(body);
}

/* ---- time ---- */

static void on_timer(uv_timer_t *timer)
{
    struct hub *hub = timer->data;
    hub_expire(hub);
    hub_rearm(hub);
}

/* Looks at everything: only when something may have expired. In between, what is new moves next_unix_s. */
static int64_t find_next_unix_s(const struct hub *hub)
{
    int64_t first_s = delivery_next_expiry_s(hub);
    for (const struct hub_connection *connection = hub->connections; connection; connection = connection->next)
        if (connection->token_expires_unix_s < first_s)
            first_s = connection->token_expires_unix_s;
    return first_s;
}

static int64_t next_ms(const struct hub *hub)
{
    const struct clock *clock = hub->options.sink.clock;
    int64_t at_s = hub->next_unix_s, now_us = clock_unix_us(clock), unix_ms = TIMER_MAX_MS;
    if (at_s < now_us / 1000000 + TIMER_MAX_MS / 1000)
        unix_ms = at_s * 1000 - now_us / 1000;
    deadline_t next = deadline_earlier(method_next_deadline(hub), send_waits_next_deadline(hub));
    int64_t mono_ms = deadline_left_ms(clock, deadline_earlier(next, late_next_deadline(hub)));
    int64_t ms = unix_ms < mono_ms ? unix_ms : mono_ms;
    return ms < 0 ? 0 : ms > TIMER_MAX_MS ? TIMER_MAX_MS : ms;
}

/* One millisecond more: nothing has expired before its time has passed. */
void hub_rearm(struct hub *hub)
{
    if (hub->timer)
        uv_timer_start(hub->timer, on_timer, (uint64_t)next_ms(hub) + 1, 0);
}

/* From the start each time: a close may end the connection at once. */
static void close_expired_tokens(struct hub *hub, int64_t now_unix_s)
{
    for (;;) {
        struct hub_connection *connection = hub->connections;
        while (connection && connection->token_expires_unix_s > now_unix_s)
            connection = connection->next;
        if (!connection)
            return;
        connection->token_expires_unix_s = INT64_MAX;
        hub->options.port.close(hub->options.port.user, connection->session->number, "token_expired");
    }
}

void hub_expire(struct hub *hub)
{
    int64_t now_s = hub_now_s(hub);
    if (hub->next_unix_s <= now_s) {
        delivery_expire(hub, now_s);
        close_expired_tokens(hub, now_s);
        hub->next_unix_s = find_next_unix_s(hub);
    }
    method_expire(hub);
    send_waits_expire(hub);
    late_expire(hub);
}

/* ---- life ---- */

void hub_drop(struct hub *hub, const struct hub_device *device)
{
    struct hub_connection *connection = device->connection;
    if (!connection)
        return;
    hub_detach(hub, connection);
    hub->options.port.close(hub->options.port.user, connection->session->number, "refused");
}

static void on_leaving(void *user, struct hub_device *device)
{
    struct hub *hub = user;
    hub_drop(hub, device);
    method_drop_device(hub, device);
    for (const struct c2d_message *message = device->messages.first; message; message = message->next)
        delivery_tell(hub, device, message, c2d_outcome_name(C2D_PURGED));
}

struct hub *hub_new(const struct hub_options *options)
{
    struct hub *hub = calloc(1, sizeof *hub);
    if (!hub)
        return NULL;
    hub->options = *options;
    hub->timer = options->loop ? calloc(1, sizeof *hub->timer) : NULL;
    if (options->loop && (!hub->timer || uv_timer_init(options->loop, hub->timer))) {
        free(hub->timer);
        free(hub);
        return NULL;
    }
    if (hub->timer)
        hub->timer->data = hub;
    hub_registry_watch(hub->options.registry, on_leaving, hub);
    hub->next_unix_s = find_next_unix_s(hub);
    hub_rearm(hub);
    return hub;
}

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

void hub_stop(struct hub *hub)
{
    if (!hub)
        return;
    method_end_all(hub);
    send_waits_end_all(hub);
    late_end_all(hub);
    if (hub->timer)
        uv_close((uv_handle_t *)TAKE(hub->timer), free_handle);
}

void hub_free(struct hub *hub)
{
    hub_stop(hub);
    if (hub)
        hub_registry_watch(hub->options.registry, NULL, NULL);
    free(hub);
}

/* ---- CONNECT ---- */

static int check_scenario(const struct hub *hub, const struct hub_device *device, const struct session *session,
                          struct hub_judgement *judgement)
{
    struct knobs knobs = scenario_knobs(hub->options.scenarios, device->device_id);
    if (!fault_happens(hub->options.scenarios, &hub->options.sink, session, device->device_id, KNOB_hub_connack))
        return 0;
    hub_refuse(judgement, HUB_SCENARIO, "the scenario refuses device '%s' here", device->device_id);
    judgement->return_code = (int)knobs.hub_connack;
    return -1;
}

static int judge(const struct hub *hub, const struct session *session, const struct hub_user_name *name, struct hub_judgement *judgement,
                 struct hub_device **ret_device)
{
    if (strcmp(session->client_id, name->device_id) != 0)
        return hub_refuse(judgement, HUB_CLIENT_ID, "client id '%.128s' is not the device id '%.128s' of the user name", session->client_id,
                          name->device_id);
    struct hub_device *device = hub_registry_find(hub->options.registry, name->hub, name->device_id);
    const struct hub_device *elsewhere = hub_registry_first(hub->options.registry, name->device_id);
    if (!elsewhere)
        return hub_refuse(judgement, HUB_UNKNOWN_DEVICE, "no hub knows device '%.128s'", name->device_id);
    if (!device)
        return hub_refuse(judgement, HUB_OTHER_HUB, "hub '%.128s' does not know device '%s'; it is at '%s'%s", name->hub,
                          elsewhere->device_id, elsewhere->hub, elsewhere->next ? " and others" : "");
    if (hub_authenticate(device, session, hub->options.state, hub_now_s(hub), judgement))
        return -1;
    if (device->is_disabled)
        return hub_refuse(judgement, HUB_DISABLED, "the identity of device '%s' is disabled", device->device_id);
    if (check_scenario(hub, device, session, judgement))
        return -1;
    *ret_device = device;
    return 0;
}

static void emit_verdict(const struct hub *hub, const struct session *session, const struct hub_user_name *name,
                         const struct hub_judgement *judgement)
{
    const struct hub_connection connection = {.session = session};
    cJSON *event = hub_event_of(hub, EVENT_HUB_VERDICT, name->hub, name->device_id), *data = event_data(event);
    bool is_accepted = judgement->rule == HUB_ACCEPTED;
    int code = hub_rule_code(judgement->rule);
    json_set_string(data, "verdict", is_accepted ? "accepted" : "refused");
    json_set_string(data, "rule", hub_rule_name(judgement->rule));
    json_set_string(data, "text", judgement->text);
    json_set_string(data, "mend", hub_rule_mend(judgement->rule));
    json_set_integer(data, "return_code", judgement->return_code);
    if (code)
        json_set_integer(data, "error_code", code);
    hub_emit(hub, event, &connection, name->device_id);
}

static void emit_connection(const struct hub *hub, const struct hub_connection *connection, const char *state)
{
    cJSON *event = hub_event_of(hub, EVENT_HUB_CONNECTION, connection->hub, connection->device_id);
    json_set_string(event_data(event), "state", state);
    hub_emit(hub, event, connection, connection->device_id);
}

static struct hub_connection *connection_new(struct hub *hub, struct hub_device *device, const struct session *session,
                                             const struct hub_judgement *judgement)
{
    struct hub_connection *connection = calloc(1, sizeof *connection);
    if (!connection)
        return NULL;
    connection->session = session;
    connection->device = device;
    connection->token_expires_unix_s = judgement->token_expires_unix_s;
    snprintf(connection->device_id, sizeof connection->device_id, "%s", device->device_id);
    snprintf(connection->hub, sizeof connection->hub, "%s", device->hub);
    connection->next = hub->connections;
    if (hub->connections)
        hub->connections->previous = connection;
    if (connection->token_expires_unix_s < hub->next_unix_s)
        hub->next_unix_s = connection->token_expires_unix_s;
    return hub->connections = connection;
}

void hub_detach(struct hub *hub, struct hub_connection *connection)
{
    struct hub_device *device = TAKE(connection->device);
    method_drop_session(hub, connection->session->number);
    if (!device || device->connection != connection)
        return;
    device->connection = NULL;
    delivery_requeue(hub, device);
}

/* IoT Hub drops the older connection of a device when a newer one comes (error 400027 in its log). */
static void take_over(struct hub *hub, struct hub_device *device, struct hub_connection *connection)
{
    struct hub_connection *before = device->connection;
    if (before) {
        hub_detach(hub, before);
        hub->options.port.close(hub->options.port.user, before->session->number, "taken_over");
    }
    device->connection = connection;
}

/*
 * A clean session ends what an earlier one left subscribed; another one takes it up again. IoT Hub says "session present" to each session that is not
 * clean, its first one too.
 */
static struct admission admit(struct hub_device *device, const struct session *session)
{
    struct admission admission = {.is_admitted = true, .is_session_present = !session->is_clean_session};
    if (session->is_clean_session && device->has_kept_subscription) {
        device->has_kept_subscription = false;
        hub_device_keep(device, NULL);
    }
    if (!device->has_kept_subscription)
        return admission;
    admission.restored_qos = device->kept_qos;
    snprintf(admission.restored_filter, sizeof admission.restored_filter, "devices/%s/messages/devicebound/#", device->device_id);
    return admission;
}

struct admission hub_decide(struct hub *hub, struct session *session)
{
    struct hub_user_name name = {.hub = ""};
    struct hub_judgement judgement = {.rule = HUB_ACCEPTED};
    struct hub_device *device = NULL;
    struct error error = ERROR_INIT;
    if (hub_user_name_read(session->user_name, &name, &error))
        hub_refuse(&judgement, HUB_USER_NAME, "%.400s", error.text);
    else if (judge(hub, session, &name, &judgement, &device) == 0)
        snprintf(judgement.text, sizeof judgement.text, "device '%.128s' may connect to hub '%.128s'", name.device_id, name.hub);
    emit_verdict(hub, session, &name, &judgement);
    if (!device)
        return (struct admission){.is_admitted = false, .return_code = judgement.return_code};
    struct hub_connection *connection = connection_new(hub, device, session, &judgement);
    if (!connection)
        return (struct admission){.is_admitted = false, .return_code = 3};
    session->service = connection;
    take_over(hub, device, connection);
    emit_connection(hub, connection, "connected");
    hub_rearm(hub);
    return admit(device, session);
}

void hub_closed(struct hub *hub, struct session *session)
{
    struct hub_connection *connection = TAKE(session->service);
    if (!connection)
        return;
    emit_connection(hub, connection, "disconnected");
    hub_detach(hub, connection);
    if (connection->next)
        connection->next->previous = connection->previous;
    *(connection->previous ? &connection->previous->next : &hub->connections) = connection->next;
    free(connection);
}

/* ---- SUBSCRIBE, PUBLISH ---- */

enum publish_permit hub_may_publish(struct hub *hub, const struct session *session, const struct publish_request *request)
{
    (void)hub;
    const struct hub_connection *connection = session->service;
    const char *bag = "";
    enum hub_topic topic = connection ? hub_topic_read(request->topic, connection->device_id, &bag) : HUB_TOPIC_NONE;
    if (topic == HUB_TOPIC_NONE || request->qos > 1)
        return PUBLISH_REFUSED;
    bool is_large = topic == HUB_TOPIC_TELEMETRY && request->payload_bytes + hub_properties_bytes(bag) > HUB_MESSAGE_MAX_BYTES;
    return is_large ? PUBLISH_TOO_LARGE : PUBLISH_TAKEN;
}

char *hub_amend_topic(const char *topic, bool is_will, bool is_retained)
{
    char *amended;
    bool has_properties = *topic && topic[strlen(topic) - 1] != '/';
    if (!strstr(topic, "/messages/events/") || (!is_will && !is_retained))
        return NULL;
    int length = asprintf(&amended, "%s%s%s%s%s", topic, has_properties ? "&" : "", is_will ? "iothub-MessageType=Will" : "",
                          is_will && is_retained ? "&" : "", is_retained ? "mqtt-retain=true" : "");
    return length < 0 ? NULL : amended;
}

int hub_grant(struct hub *hub, const struct session *session, const char *filter, int qos)
{
    enum { REFUSED = 0x80 };
    (void)hub;
    const struct hub_connection *connection = session->service;
    if (!connection || hub_filter_read(filter, connection->device_id) == HUB_FILTER_COUNT)
        return REFUSED;
    return qos > 1 ? 1 : qos;
}

static void keep_subscription(struct hub_device *device, bool is_kept, int qos)
{
    if (device->has_kept_subscription == is_kept && device->kept_qos == qos)
        return;
    device->has_kept_subscription = is_kept;
    device->kept_qos = qos;
    hub_device_keep(device, NULL);
}

void hub_subscribed(struct hub *hub, struct session *session, const char *filter, int granted_qos)
{
    struct hub_connection *connection = session->service;
    enum hub_filter known = connection ? hub_filter_read(filter, connection->device_id) : HUB_FILTER_COUNT;
    if (known == HUB_FILTER_COUNT || !connection->device)
        return;
    connection->is_subscribed[known] = true;
    if (known == HUB_FILTER_DEVICEBOUND) {
        if (!session->is_clean_session)
            keep_subscription(connection->device, true, granted_qos);
        delivery_pump(hub, connection->device);
    } else if (known == HUB_FILTER_METHODS) {
        method_connected(hub, connection->device);
    }
}

void hub_unsubscribed(struct hub *hub, struct session *session, const char *filter)
{
    (void)hub;
    struct hub_connection *connection = session->service;
    enum hub_filter known = connection ? hub_filter_read(filter, connection->device_id) : HUB_FILTER_COUNT;
    if (known == HUB_FILTER_COUNT)
        return;
    connection->is_subscribed[known] = false;
    if (known == HUB_FILTER_DEVICEBOUND && connection->device && connection->device->has_kept_subscription)
        keep_subscription(connection->device, false, 0);
}

void hub_sent(struct hub *hub, struct session *session, const char *topic, uint16_t packet_id)
{
    if (session->service)
        delivery_sent(hub, session->service, topic, packet_id);
}

void hub_acknowledged(struct hub *hub, struct session *session, uint16_t packet_id)
{
    if (session->service)
        delivery_acknowledged(hub, session->service, packet_id);
}

void hub_message(struct hub *hub, uint64_t number, const struct session *session, const char *topic, const void *payload,
                 size_t length_bytes)
{
    struct hub_connection *connection = session ? session->service : NULL;
    const char *rest = "";
    enum hub_topic kind = connection ? hub_topic_read(topic, connection->device_id, &rest) : HUB_TOPIC_NONE;
    switch (kind) {
    case HUB_TOPIC_NONE: /* of a device that has gone */
    case HUB_TOPIC_TELEMETRY:
        telemetry_take(hub, number, session, topic, payload, length_bytes);
        break;
    case HUB_TOPIC_TWIN_GET:
        twin_answer_get(hub, connection, rest);
        break;
    case HUB_TOPIC_TWIN_PATCH:
        twin_answer_patch(hub, connection, rest, payload, length_bytes);
        break;
    case HUB_TOPIC_METHOD_REPLY:
        method_answered(hub, connection, rest, payload, length_bytes);
        break;
    }
}
