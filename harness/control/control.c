#include "harness/control/control.h"

#include "base/event.h"
#include "base/mqtt_link.h"
#include "harness/control/control_tls.h"
#include "harness/control/sequence.h"

#include <string.h>

enum { TOPIC_MAX_BYTES = 160, ADDRESS_MAX_BYTES = 64, KEEP_ALIVE_S = 30, NAME_MAX_BYTES = 64, ID_MAX_BYTES = 32 };
#define EVENTS_FILTER "dpsbench/v1/events/#"
#define EVENTS_PREFIX "dpsbench/v1/events/"

struct control {
    struct waiting *waiting;
    struct mqtt_link *link;
    SSL_CTX *tls;
    struct control_callbacks callbacks;
    char name[NAME_MAX_BYTES];
    char reply_topic[TOPIC_MAX_BYTES];
    char request_topic[TOPIC_MAX_BYTES];
    char lost[256]; /* why the connection ended */
    bool wants_events;
    int connack; /* -1: not yet */
    bool is_subscribed;
    bool is_refused_subscription;
    uint64_t request_count;
    char waits_for[ID_MAX_BYTES]; /* id of the request under way */
    cJSON *reply;
    struct sequence sequence;
    uint64_t unreadable; /* events that could not be read */
};

DEFINE_CLEANUP(struct control *, control_close)

/* ---- what comes ---- */

static void take_event(struct control *control, const char *topic, const void *payload, size_t length)
{
    CLEANUP_JSON cJSON *event = json_parse(payload, length, topic, NULL);
    enum event_kind kind;
    if (!event || event_check(event, &kind, NULL)) {
        control->unreadable++;
        return;
    }
    if (sequence_take(&control->sequence, json_integer(event, "seq", 0)) && control->callbacks.on_event)
        control->callbacks.on_event(control->callbacks.user, event);
}

static void take_reply(struct control *control, const void *payload, size_t length)
{
    CLEANUP_JSON cJSON *reply = json_parse(payload, length, "control reply", NULL);
    const char *id = reply ? json_string(reply, "id", "") : "";
    if (!*control->waits_for || strcmp(id, control->waits_for) != 0)
        return;
    cJSON_Delete(control->reply);
    control->reply = TAKE(reply);
}

static void on_message(void *user, const char *topic, const void *payload, size_t length, int qos, bool is_retained)
{
    (void)qos, (void)is_retained;
    struct control *control = user;
    if (strncmp(topic, EVENTS_PREFIX, strlen(EVENTS_PREFIX)) == 0)
        take_event(control, topic, payload, length);
    else if (strcmp(topic, control->reply_topic) == 0)
        take_reply(control, payload, length);
}

static void on_connack(void *user, int return_code)
{
    struct control *control = user;
    const char *filters[] = {control->reply_topic, EVENTS_FILTER};
    control->connack = return_code;
    if (return_code == 0 && mqtt_link_subscribe_many(control->link, filters, control->wants_events ? 2 : 1, 1, NULL, NULL))
        control->is_refused_subscription = true;
}

static void on_suback(void *user, int packet_id, const int *codes, size_t count)
{
    (void)packet_id;
    struct control *control = user;
    control->is_subscribed = true;
    for (size_t i = 0; i < count; i++)
        control->is_refused_subscription |= codes[i] == 0x80;
}

static void on_closed(void *user, int rc, int system_errno, const char *text)
{
    (void)rc, (void)system_errno;
    struct control *control = user;
    if (*control->lost)
        return;
    snprintf(control->lost, sizeof control->lost, "the connection to the simulator's control plane ended: %s", text);
    if (control->callbacks.on_lost)
        control->callbacks.on_lost(control->callbacks.user, control->lost);
}

/* ---- opening ---- */

static int split_address(const char *address, char host[ADDRESS_MAX_BYTES], uint16_t *ret_port, struct error *error)
{
    const char *colon = address ? strrchr(address, ':') : NULL;
    long port = colon ? strtol(colon + 1, NULL, 10) : 0;
    size_t length = colon ? (size_t)(colon - address) : 0;
    if (!colon || port < 1 || port > 65535 || length == 0 || length >= ADDRESS_MAX_BYTES)
        return error_set(error, ERROR_OWNER_RIG, ERROR_PROTOCOL, "ready.json: control '%s' is not ADDR:PORT", address ? address : "");
    if (address[0] == '[') {
        address++;
        length -= 2;
    }
    snprintf(host, ADDRESS_MAX_BYTES, "%.*s", (int)length, address);
    *ret_port = (uint16_t)port;
    return 0;
}

static bool is_ready(void *user)
{
    const struct control *control = user;
    return *control->lost || control->connack > 0 || control->is_subscribed || control->is_refused_subscription;
}

static int await_ready(struct control *control, deadline_t deadline, struct error *error)
{
    if (waiting_until(control->waiting, is_ready, control, deadline, "the simulator's control plane", error))
        return -1;
    if (control->connack > 0)
        return error_set(error, ERROR_OWNER_RIG, ERROR_REFUSED, "the simulator's control plane refused us with CONNACK %d",
                         control->connack);
    if (control->is_refused_subscription)
        return error_set(error, ERROR_OWNER_RIG, ERROR_REFUSED, "the simulator's control plane refused a subscription");
    return *control->lost ? error_set(error, ERROR_OWNER_RIG, ERROR_IO, "%s", control->lost) : 0;
}

static int make_link(struct control *control, const cJSON *ready, struct error *error)
{
    char host[ADDRESS_MAX_BYTES];
    uint16_t port;
    if (split_address(json_string(ready, "control", NULL), host, &port, error))
        return -1;
    struct mqtt_link_options options = {
        .loop = waiting_loop(control->waiting),
        .client_id = control->name,
        .host = host,
        .port = port,
        .tls = control->tls,
        .keep_alive_s = KEEP_ALIVE_S,
        .callbacks = {.user = control, .on_connack = on_connack, .on_message = on_message, .on_suback = on_suback, .on_closed = on_closed},
    };
    return mqtt_link_new(&options, &control->link, error) || mqtt_link_connect(control->link, NULL, NULL, error) ? -1 : 0;
}

int control_open(const struct control_options *options, struct control **ret_control, struct error *error)
{
    CLEANUP(control_close_cleanup) struct control *control = calloc(1, sizeof *control);
    if (!control)
        return error_set_memory(error);
    control->waiting = options->waiting;
    control->callbacks = options->callbacks;
    control->wants_events = options->wants_events;
    control->connack = -1;
    snprintf(control->name, sizeof control->name, "%s", options->name);
    snprintf(control->reply_topic, sizeof control->reply_topic, "dpsbench/v1/control/%s/reply", control->name);
    snprintf(control->request_topic, sizeof control->request_topic, "dpsbench/v1/control/%s/request", control->name);
    uint64_t missing;
    if (control_tls_new(options->ready, &control->tls, error) || make_link(control, options->ready, error) ||
        await_ready(control, options->deadline, error) || control_sync(control, options->deadline, &missing, error))
        return -1;
    *ret_control = TAKE(control);
    return 0;
}

void control_close(struct control *control)
{
    if (!control)
        return;
    mqtt_link_free(control->link);
    SSL_CTX_free(control->tls);
    cJSON_Delete(control->reply);
    free(control);
}

bool control_is_open(const struct control *control)
{
    return control && !*control->lost;
}

/* ---- asking ---- */

static int publish_request(struct control *control, const char *method, cJSON *params, struct error *error)
{
    CLEANUP_JSON cJSON *request = cJSON_CreateObject();
    snprintf(control->waits_for, sizeof control->waits_for, "%llu", (unsigned long long)++control->request_count);
    params = params ? params : cJSON_CreateObject();
    if (!request) {
        cJSON_Delete(params);
        return error_set_memory(error);
    }
    if (json_set(request, "params", params) || json_set_integer(request, "v", 1) || json_set_string(request, "id", control->waits_for) ||
        json_set_string(request, "method", method))
        return error_set_memory(error);
    CLEANUP_FREE char *text = json_print_line(request);
    if (!text)
        return error_set_memory(error);
    if (strlen(text) > CONTROL_REQUEST_MAX_BYTES)
        return error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "%s: the request is larger than %d bytes", method,
                         CONTROL_REQUEST_MAX_BYTES);
    return mqtt_link_publish(control->link, control->request_topic, text, strlen(text), 1, false, NULL, error);
}

/* What a person wrote is the person's to mend; everything else is the bench's. */
static enum error_owner owner_of(enum error_code code)
{
    switch (code) {
    case ERROR_SYNTAX:
    case ERROR_NOT_FOUND:
    case ERROR_EXISTS:
    case ERROR_CONFLICT:
    case ERROR_USAGE:
    case ERROR_LIMIT:
    case ERROR_REFUSED:
        return ERROR_OWNER_FILE;
    default:
        return ERROR_OWNER_RIG;
    }
}

static int fail_reply(const char *method, const cJSON *reply, struct error *error)
{
    const cJSON *refusal = json_member(reply, "error");
    enum error_code code = error_code_from_name(json_string(refusal, "code", "other"));
    const char *place = json_string(refusal, "place", NULL);
    return error_set(error, owner_of(code), code, "%s: %s%s%s", method, place ? place : "", place ? ": " : "",
                     json_string(refusal, "text", "refused without a reason"));
}

static bool has_reply(void *user)
{
    const struct control *control = user;
    return control->reply || *control->lost;
}

int control_call(struct control *control, const char *method, cJSON *params, deadline_t deadline, cJSON **ret_result, struct error *error)
{
    if (*control->lost) {
        cJSON_Delete(params);
        return error_set(error, ERROR_OWNER_RIG, ERROR_IO, "%s: %s", method, control->lost);
    }
    if (publish_request(control, method, params, error))
        return -1;
    int failed = waiting_until(control->waiting, has_reply, control, deadline, method, error);
    CLEANUP_JSON cJSON *reply = TAKE(control->reply);
    *control->waits_for = 0;
    if (failed)
        return -1;
    if (!reply)
        return error_set(error, ERROR_OWNER_RIG, ERROR_IO, "%s: %s", method, control->lost);
    if (!json_bool(reply, "ok", false))
        return fail_reply(method, reply, error);
    if (ret_result) {
        cJSON *result = cJSON_DetachItemFromObjectCaseSensitive(reply, "result");
        *ret_result = result ? result : cJSON_CreateObject();
    }
    return 0;
}

int control_sync(struct control *control, deadline_t deadline, uint64_t *ret_missing, struct error *error)
{
    CLEANUP_JSON cJSON *result = NULL;
    if (control_call(control, "sync", NULL, deadline, &result, error))
        return -1;
    if (control->wants_events)
        sequence_sync(&control->sequence, json_integer(result, "seq", 0));
    *ret_missing = control_missing_events(control);
    return 0;
}

uint64_t control_missing_events(const struct control *control)
{
    return control ? control->sequence.missing + control->unreadable : 0;
}
