#include "broker_sim/hub/hub.h"

#include "base/cleanup.h"
#include "broker_sim/hub/user_name.h"
#include "broker_sim/scenario/fault.h"

#include <stdarg.h>
#include <string.h>

enum { TELEMETRY_BODY_MAX_BYTES = 4096, NOT_AUTHORIZED = 5 };

struct hub {
    struct hub_options options;
};

static const struct {
    const char *name;
    const char *mend;
} rules[] = {[HUB_ACCEPTED] = {NULL, ""},
#define X(id, rule_name, rule_mend) [HUB_##id] = {rule_name, rule_mend},
             HUB_RULES(X)
#undef X
};

const char *const hub_filters[] = {"s/+/devices/+/messages/events/#", "s/+/$iothub/twin/GET/#",
                                   "s/+/$iothub/twin/PATCH/properties/reported/#"};
const size_t hub_filter_count = ARRAY_COUNT(hub_filters);

struct hub *hub_new(const struct hub_options *options)
{
    struct hub *hub = calloc(1, sizeof *hub);
    if (hub)
        hub->options = *options;
    return hub;
}

void hub_free(struct hub *hub)
{
    free(hub);
}

struct judgement {
    enum hub_rule rule;
    int return_code;
    char text[512];
};

static int refuse(struct judgement *judgement, enum hub_rule rule, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int refuse(struct judgement *judgement, enum hub_rule rule, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(judgement->text, sizeof judgement->text, format, args);
    va_end(args);
    judgement->rule = rule;
    judgement->return_code = NOT_AUTHORIZED;
    return -1;
}

static int check_leaf(const struct hub *hub, const struct hub_device *device, const struct session *session, struct judgement *judgement)
{
    X509 *leaf = sk_X509_num(session->chain) > 0 ? sk_X509_value(session->chain, 0) : NULL;
    char sha256[SHA256_HEX_BYTES] = "";
    int64_t from_s = 0, to_s = 0, now_s = clock_unix_s(hub->options.sink.clock);
    if (leaf)
        certificate_sha256(leaf, sha256);
    if (!leaf || strcmp(sha256, device->thumbprints[0]) != 0)
        return refuse(judgement, HUB_THUMBPRINT, "device '%s' presented %s%s; it registered with %s%s", device->device_id,
                      leaf ? "the certificate with SHA-256 " : "no certificate", sha256,
                      device->thumbprints[0][0] ? "the one with SHA-256 " : "none", device->thumbprints[0]);
    if (certificate_validity(leaf, &from_s, &to_s) || now_s < from_s || now_s > to_s)
        return refuse(judgement, HUB_EXPIRED, "the certificate of device '%s' is %s", device->device_id,
                      now_s < from_s ? "not valid yet" : "expired");
    return 0;
}

static int check_scenario(const struct hub *hub, const struct hub_device *device, const struct session *session,
                          struct judgement *judgement)
{
    struct knobs knobs = scenario_knobs(hub->options.scenarios, device->device_id);
    if (!fault_happens(hub->options.scenarios, &hub->options.sink, session, device->device_id, KNOB_hub_connack))
        return 0;
    refuse(judgement, HUB_SCENARIO, "the scenario refuses device '%s' here", device->device_id);
    judgement->return_code = (int)knobs.hub_connack;
    return -1;
}

static int judge(const struct hub *hub, const struct session *session, const struct hub_user_name *name, struct judgement *judgement,
                 struct hub_device **ret_device)
{
    if (strcmp(session->client_id, name->device_id) != 0)
        return refuse(judgement, HUB_CLIENT_ID, "client id '%.128s' is not the device id '%.128s' of the user name", session->client_id,
                      name->device_id);
    struct hub_device *device = hub_registry_find(hub->options.registry, name->device_id);
    if (!device)
        return refuse(judgement, HUB_UNKNOWN_DEVICE, "no hub knows device '%.128s'", name->device_id);
    if (strcasecmp(device->hub, name->hub) != 0)
        return refuse(judgement, HUB_OTHER_HUB, "device '%s' is assigned to hub '%s', not to '%.128s'", device->device_id, device->hub,
                      name->hub);
    if (check_leaf(hub, device, session, judgement) || check_scenario(hub, device, session, judgement))
        return -1;
    *ret_device = device;
    return 0;
}

static void emit(const struct hub *hub, cJSON *event, const struct session *session, const char *device_id)
{
    if (event)
        event_set_origin(event, session->lane, session->number, device_id);
    hub->options.sink.emit(hub->options.sink.user, event);
}

static void emit_verdict(const struct hub *hub, const struct session *session, const struct hub_user_name *name,
                         const struct judgement *judgement)
{
    cJSON *event = event_new(EVENT_HUB_VERDICT, hub->options.sink.clock, EVENT_SOURCE);
    cJSON *data = event_data(event);
    bool is_accepted = judgement->rule == HUB_ACCEPTED;
    json_set_string(data, "verdict", is_accepted ? "accepted" : "refused");
    json_set_string(data, "rule", rules[judgement->rule].name);
    json_set_string(data, "text", judgement->text);
    json_set_string(data, "mend", rules[judgement->rule].mend);
    json_set_string(data, "device_id", name->device_id);
    json_set_string(data, "hub", name->hub);
    json_set_integer(data, "return_code", judgement->return_code);
    emit(hub, event, session, name->device_id);
}

/* IoT Hub drops the older connection of a device when a newer one comes (error 400027 in its log). */
static void take_over(const struct hub *hub, struct hub_device *device, struct session *session)
{
    uint64_t before = device->session;
    device->session = session->number;
    session->service = device;
    if (before)
        hub->options.port.close(hub->options.port.user, before, "taken_over");
}

struct admission hub_decide(struct hub *hub, struct session *session)
{
    struct hub_user_name name = {.hub = ""};
    struct judgement judgement = {.rule = HUB_ACCEPTED};
    struct hub_device *device = NULL;
    struct error error = ERROR_INIT;
    if (hub_user_name_read(session->user_name, &name, &error))
        refuse(&judgement, HUB_USER_NAME, "%.400s", error.text);
    else if (judge(hub, session, &name, &judgement, &device) == 0)
        snprintf(judgement.text, sizeof judgement.text, "device '%.128s' may connect to hub '%.128s'", name.device_id, name.hub);
    emit_verdict(hub, session, &name, &judgement);
    if (!device)
        return (struct admission){.is_admitted = false, .return_code = judgement.return_code};
    take_over(hub, device, session);
    return (struct admission){.is_admitted = true};
}

void hub_closed(struct hub *hub, struct session *session)
{
    (void)hub;
    struct hub_device *device = TAKE(session->service);
    if (device && device->session == session->number)
        device->session = 0;
}

/* The text behind "devices/{device id}/", NULL for another topic. */
static const char *behind_own(const struct session *session, const char *topic)
{
    const struct hub_device *device = session->service;
    size_t length = strlen(device->device_id);
    if (strncmp(topic, "devices/", 8) != 0 || strncmp(topic + 8, device->device_id, length) != 0 || topic[8 + length] != '/')
        return NULL;
    return topic + 8 + length + 1;
}

static const char *behind(const char *topic, const char *start)
{
    size_t length = strlen(start);
    return strncmp(topic, start, length) == 0 ? topic + length : NULL;
}

#define TELEMETRY "messages/events/"
#define TWIN_GET "$iothub/twin/GET/"
#define TWIN_PATCH "$iothub/twin/PATCH/properties/reported/"
#define METHOD_REPLY "$iothub/methods/res/"

bool hub_may_publish(struct hub *hub, const struct session *session, const char *topic)
{
    (void)hub;
    if (!session->service)
        return false;
    const char *own = behind_own(session, topic);
    return (own && behind(own, TELEMETRY)) || behind(topic, TWIN_GET) || behind(topic, TWIN_PATCH) || behind(topic, METHOD_REPLY);
}

int hub_grant(struct hub *hub, const struct session *session, const char *filter, int qos)
{
    (void)hub;
    static const char *const known[] = {"$iothub/twin/res/#", "$iothub/twin/PATCH/properties/desired/#", "$iothub/methods/POST/#"};
    int granted = qos > 1 ? 1 : qos;
    if (!session->service)
        return 0x80;
    const char *own = behind_own(session, filter);
    if (own && strcmp(own, "messages/devicebound/#") == 0)
        return granted;
    for (size_t i = 0; i < ARRAY_COUNT(known); i++)
        if (strcmp(filter, known[i]) == 0)
            return granted;
    return 0x80;
}

/* The topic is the device's own: may_publish saw to that. */
static void on_telemetry(const struct hub *hub, uint64_t number, const struct session *session, const char *topic, const void *payload,
                         size_t length_bytes)
{
    const char *id = behind(topic, "devices/");
    CLEANUP_FREE char *device_id = id ? strndup(id, strcspn(id, "/")) : NULL;
    cJSON *event = event_new(EVENT_HUB_TELEMETRY, hub->options.sink.clock, EVENT_SOURCE);
    cJSON *data = event_data(event);
    json_set_string(data, "device_id", device_id);
    json_set_string(data, "topic", topic);
    json_set_integer(data, "payload_bytes", (int64_t)length_bytes);
    cJSON *body = payload && length_bytes <= TELEMETRY_BODY_MAX_BYTES ? json_parse(payload, length_bytes, "telemetry", NULL) : NULL;
    if (cJSON_IsObject(body))
        json_set(data, "body", body);
    else
        cJSON_Delete(body);
    if (event)
        event_set_origin(event, session ? session->lane : NULL, number, device_id);
    hub->options.sink.emit(hub->options.sink.user, event);
}

/* "?$rid=7" -> "7"; any text, "" when there is none. */
static const char *rid_of(const char *query)
{
    const char *rid = strstr(query, "$rid=");
    return rid ? rid + 5 : "";
}

static void answer(const struct hub *hub, const struct session *session, const char *operation, int status, const char *rid,
                   const char *more, const cJSON *body)
{
    const struct hub_device *device = session->service;
    CLEANUP_FREE char *topic = NULL;
    CLEANUP_FREE char *text = body ? json_print_line(body) : NULL;
    if (asprintf(&topic, "$iothub/twin/res/%d/?$rid=%.*s%s", status, (int)strcspn(rid, "&"), rid, more) < 0)
        topic = NULL;
    if (!topic)
        return;
    hub->options.port.publish(hub->options.port.user, session->number, topic, text ? text : "");
    cJSON *event = event_new(EVENT_HUB_TWIN, hub->options.sink.clock, EVENT_SOURCE);
    json_set_string(event_data(event), "device_id", device->device_id);
    json_set_string(event_data(event), "operation", operation);
    json_set_integer(event_data(event), "status", status);
    emit(hub, event, session, device->device_id);
}

static void on_twin_patch(const struct hub *hub, const struct session *session, const char *query, const void *payload, size_t length_bytes)
{
    struct hub_device *device = session->service;
    char version[48];
    CLEANUP_JSON cJSON *patch = json_parse(payload ? payload : "", length_bytes, "reported properties", NULL);
    struct error error = ERROR_INIT;
    int status = 204;
    if (hub_device_twin_patch(device, TWIN_REPORTED, patch, &error))
        status = error.owner == ERROR_OWNER_FILE ? 400 : 500;
    else if (service_commit(&hub->options.port, &error))
        status = 500;
    snprintf(version, sizeof version, "&$version=%lld", (long long)device->twin.versions[TWIN_REPORTED]);
    answer(hub, session, "patch", status, rid_of(query), status == 204 ? version : "", NULL);
}

void hub_message(struct hub *hub, uint64_t number, const struct session *session, const char *topic, const void *payload,
                 size_t length_bytes)
{
    const char *get = behind(topic, TWIN_GET), *patch = behind(topic, TWIN_PATCH);
    if (!get && !patch) {
        on_telemetry(hub, number, session, topic, payload, length_bytes);
    } else if (!session || !session->service) {
        return; /* nobody to answer */
    } else if (get) {
        const struct hub_device *device = session->service;
        CLEANUP_JSON cJSON *twin = twin_for_device(&device->twin);
        answer(hub, session, "get", 200, rid_of(get), "", twin);
    } else {
        on_twin_patch(hub, session, patch, payload, length_bytes);
    }
}
