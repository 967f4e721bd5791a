#include "harness/probe/dps_client.h"

#include "base/mqtt_link.h"
#include "harness/probe/endpoint.h"

#include <string.h>

DEFINE_CLEANUP(struct mqtt_link *, mqtt_link_free)

enum { USER_NAME_MAX_BYTES = 1024, TOPIC_MAX_BYTES = 512, KEEP_ALIVE_S = 1767, HTTP_ACCEPTED = 202, HTTP_OK = 200 };
enum { STATUS_MAX = 999, RETRY_AFTER_S = 2 }; /* where none is named, as most SDKs */
#define RETRY_AFTER_MAX_S INT64_C(1000000000000)
#define RESPONSES "$dps/registrations/res/"

/* One connection, to DPS or to the hub. */
struct client {
    const struct dps_client_options *options;
    struct probe_tls tls;
    const char *user_name; /* of the connection that is being made */
    struct dps_conversation conversation;
    int connack;
    bool is_subscribed;
    bool has_reply;
    bool is_closed;
    char closed_text[128];
};

/* ---- what is told ---- */

static void tell(const struct client *client, struct probe_event event)
{
    const struct probe_observer *observer = &client->options->observer;
    event.stage = client->tls.stage;
    event.mono_us = clock_mono_us(waiting_clock(client->options->waiting));
    if (observer->observe)
        observer->observe(observer->user, &event);
}

/* libmosquitto sends CONNECT as soon as the handshake is done. */
static void on_tls_event(void *user, const struct probe_event *event)
{
    const struct client *client = user;
    const struct probe_observer *observer = &client->options->observer;
    observer->observe(observer->user, event);
    if (event->step == PROBE_TLS_DONE)
        tell(client, (struct probe_event){.step = PROBE_CONNECT, .name = client->user_name});
}

/* ---- what comes ---- */

static void on_connack(void *user, int return_code)
{
    struct client *client = user;
    client->connack = return_code;
    tell(client, (struct probe_event){.step = PROBE_CONNACK, .is_from_server = true, .code = return_code});
}

static void on_suback(void *user, int packet_id, const int *codes, size_t count)
{
    (void)packet_id;
    struct client *client = user;
    client->is_subscribed = true;
    tell(client, (struct probe_event){.step = PROBE_SUBACK, .is_from_server = true, .code = count ? codes[0] : 0x80});
}

/* What is no number, or less, is 0. */
static int64_t number_behind(const char *topic, const char *name, int64_t absent, int64_t max)
{
    const char *at = strstr(topic, name);
    int64_t number = at ? strtoll(at + strlen(name), NULL, 10) : absent;
    return number < 0 ? 0 : number > max ? max : number;
}

static void on_message(void *user, const char *topic, const void *payload, size_t length, int qos, bool is_retained)
{
    (void)is_retained;
    struct client *client = user;
    struct dps_conversation *conversation = &client->conversation;
    tell(client, (struct probe_event){
                     .step = PROBE_MESSAGE, .is_from_server = true, .code = qos, .name = topic, .body = payload, .body_bytes = length});
    if (strncmp(topic, RESPONSES, strlen(RESPONSES)) != 0)
        return;
    conversation->status = (int)number_behind(topic, RESPONSES, 0, STATUS_MAX);
    conversation->retry_after_s = number_behind(topic, "retry-after=", RETRY_AFTER_S, RETRY_AFTER_MAX_S);
    cJSON_Delete(conversation->body);
    conversation->body = length ? json_parse(payload, length, "reply", NULL) : NULL;
    client->has_reply = true;
}

static void on_closed(void *user, int rc, int system_errno, const char *text)
{
    (void)system_errno;
    struct client *client = user;
    client->is_closed = true;
    snprintf(client->closed_text, sizeof client->closed_text, "%s", text);
    if (rc)
        tell(client, (struct probe_event){.step = PROBE_CLOSED, .is_from_server = true, .text = text});
}

static bool has_connack(void *user)
{
    const struct client *client = user;
    return client->connack != DPS_CLIENT_NONE || client->is_closed;
}

static bool is_subscribed(void *user)
{
    const struct client *client = user;
    return client->is_subscribed || client->is_closed;
}

static bool has_reply(void *user)
{
    const struct client *client = user;
    return client->has_reply || client->is_closed;
}

static bool is_closed(void *user)
{
    return ((struct client *)user)->is_closed;
}

static int await(struct client *client, bool (*is_done)(void *), const char *what, struct error *error)
{
    return waiting_until(client->options->waiting, is_done, client, client->options->deadline, what, error);
}

/* ---- one connection ---- */

/* A handshake that fails at once is told by the call, one that fails later by on_closed: to us it is the same. */
static int start(struct client *client, struct mqtt_link *link)
{
    struct error error = ERROR_INIT;
    if (mqtt_link_connect(link, NULL, NULL, &error) == 0)
        return 0;
    on_closed(client, -1, 0, error.text);
    return -1;
}

/* Where the server called `host` is. */
static int find_endpoint(const struct client *client, const char *host, struct endpoint *ret_endpoint, struct error *error)
{
    const struct dps_client_options *options = client->options;
    if (options->address)
        return endpoint_read(options->address, ret_endpoint, error);
    if (endpoint_resolve(options->waiting, host, options->port, options->deadline, ret_endpoint, error)) {
        tell(client, (struct probe_event){.step = PROBE_UNREACHED, .name = host, .text = error ? error->text : NULL});
        return -1;
    }
    return 0;
}

static void tell_endpoint(const struct client *client, const char *host, const struct endpoint *endpoint)
{
    char text[ENDPOINT_TEXT_BYTES];
    endpoint_format(endpoint, text);
    tell(client, (struct probe_event){.step = PROBE_RESOLVED, .name = host, .text = text});
}

static int open_link(struct client *client, const char *host, const char *client_id, const char *user_name, struct mqtt_link **ret_link,
                     struct error *error)
{
    CLEANUP(mqtt_link_free_cleanup) struct mqtt_link *link = NULL;
    struct endpoint endpoint;
    if (find_endpoint(client, host, &endpoint, error))
        return -1;
    tell_endpoint(client, host, &endpoint);
    const struct mqtt_link_options options = {
        .loop = waiting_loop(client->options->waiting),
        .client_id = client_id,
        .user_name = user_name,
        .host = host,
        .address = endpoint.address,
        .port = endpoint.port,
        .tls = client->tls.context,
        .keeps_session = true, /* as the client of the nRF Connect SDK */
        .keep_alive_s = KEEP_ALIVE_S,
        .callbacks = {.user = client, .on_connack = on_connack, .on_message = on_message, .on_suback = on_suback, .on_closed = on_closed},
    };
    client->user_name = user_name;
    client->connack = DPS_CLIENT_NONE;
    client->is_subscribed = client->has_reply = client->is_closed = false;
    if (mqtt_link_new(&options, &link, error))
        return -1;
    if (start(client, link) == 0 && await(client, has_connack, "CONNACK", error))
        return -1;
    *ret_link = TAKE(link);
    return 0;
}

/* Bounded: a peer that does not let go is dropped by mqtt_link_free. */
static int close_link(struct client *client, struct mqtt_link *link, struct error *error)
{
    if (client->is_closed)
        return 0;
    tell(client, (struct probe_event){.step = PROBE_DISCONNECT});
    mqtt_link_disconnect(link);
    return await(client, is_closed, "the end of the connection", error);
}

static void note_end(struct client *client)
{
    if (client->is_closed && !client->conversation.ended)
        client->conversation.ended = strdup(client->closed_text);
}

/* ---- DPS ---- */

static int expect(struct client *client, enum probe_stage stage, const char *host, struct error *error)
{
    return probe_tls_expect(&client->tls, stage, client->options->compares_names ? host : NULL, error);
}

static int ask(struct client *client, struct mqtt_link *link, const char *topic, struct error *error)
{
    client->has_reply = false;
    if (client->is_closed)
        return 0;
    tell(client, (struct probe_event){.step = PROBE_PUBLISH, .name = topic});
    if (mqtt_link_publish(link, topic, NULL, 0, 1, false, NULL, error))
        return -1;
    return await(client, has_reply, "the answer of DPS", error);
}

static int64_t wait_ms(const struct client *client)
{
    return clock_scaled_ms(client->conversation.retry_after_s * 1000, client->options->time_scale);
}

/* There is something to ask for, and time for it. */
static bool may_poll(struct client *client)
{
    struct dps_conversation *conversation = &client->conversation;
    if (!client->has_reply || conversation->status != HTTP_ACCEPTED || !json_string(conversation->body, "operationId", NULL))
        return false;
    conversation->is_too_late = wait_ms(client) > deadline_left_ms(waiting_clock(client->options->waiting), client->options->deadline);
    return !conversation->is_too_late && conversation->polls < DPS_CLIENT_POLLS_MAX;
}

static int poll_once(struct client *client, struct mqtt_link *link, struct error *error)
{
    struct dps_conversation *conversation = &client->conversation;
    char topic[TOPIC_MAX_BYTES];
    snprintf(topic, sizeof topic, "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1&operationId=%s",
             json_string(conversation->body, "operationId", ""));
    conversation->polls++;
    if (waiting_settle(client->options->waiting, wait_ms(client), error))
        return -1;
    return ask(client, link, topic, error);
}

/* Services close after a refusal, some of them: whoever looks on wants to see it. */
static int watch_end(struct client *client, struct error *error)
{
    enum { WATCH_MS = 2000, REFUSALS = 400 };
    struct error inner = ERROR_INIT;
    const struct dps_client_options *options = client->options;
    if (!options->observer.observe || !client->has_reply || client->conversation.status < REFUSALS)
        return 0;
    deadline_t deadline = deadline_earlier(options->deadline, deadline_in_ms(waiting_clock(options->waiting), WATCH_MS));
    if (waiting_until(options->waiting, is_closed, client, deadline, "the end of the connection", &inner) == 0 ||
        inner.code == ERROR_TIMEOUT)
        return 0;
    return error_set(error, inner.owner, inner.code, "%s", inner.text);
}

static int register_device(struct client *client, struct mqtt_link *link, struct error *error)
{
    tell(client, (struct probe_event){.step = PROBE_SUBSCRIBE, .name = RESPONSES "#"});
    if (mqtt_link_subscribe(link, RESPONSES "#", 1, NULL, error) || await(client, is_subscribed, "SUBACK", error) ||
        ask(client, link, "$dps/registrations/PUT/iotdps-register/?$rid=1", error))
        return -1;
    while (may_poll(client))
        if (poll_once(client, link, error))
            return -1;
    if (!client->has_reply)
        note_end(client);
    return watch_end(client, error);
}

static int take_assignment(struct dps_conversation *conversation, struct error *error)
{
    const cJSON *state = json_member(conversation->body, "registrationState");
    if (conversation->status != HTTP_OK || strcmp(json_string(conversation->body, "status", ""), "assigned") != 0)
        return 0;
    conversation->is_assigned = true;
    conversation->hub = strdup(json_string(state, "assignedHub", ""));
    conversation->device_id = strdup(json_string(state, "deviceId", ""));
    return conversation->hub && conversation->device_id ? 0 : error_set_memory(error);
}

static int talk_to_dps(struct client *client, struct error *error)
{
    CLEANUP(mqtt_link_free_cleanup) struct mqtt_link *link = NULL;
    const struct dps_client_options *options = client->options;
    char user_name[USER_NAME_MAX_BYTES];
    snprintf(user_name, sizeof user_name, "%s/registrations/%s/api-version=" DPS_CLIENT_API_VERSION, options->id_scope,
             options->registration_id);
    if (expect(client, PROBE_DPS, options->host, error) ||
        open_link(client, options->host, options->registration_id, user_name, &link, error))
        return -1;
    client->conversation.connack = client->connack;
    if (client->connack == DPS_CLIENT_NONE)
        note_end(client);
    if (client->connack == 0 && register_device(client, link, error))
        return -1;
    return close_link(client, link, error) || take_assignment(&client->conversation, error) ? -1 : 0;
}

/* ---- the hub ---- */

bool dps_client_is_host(const char *name)
{
    enum { NAME_MAX_BYTES = 253, PORT_MAX_BYTES = 6 };
    size_t length = strlen(name);
    return length > 0 && length <= NAME_MAX_BYTES + PORT_MAX_BYTES &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._:") == length;
}

static int talk_to_hub(struct client *client, struct error *error)
{
    CLEANUP(mqtt_link_free_cleanup) struct mqtt_link *link = NULL;
    struct dps_conversation *conversation = &client->conversation;
    char user_name[USER_NAME_MAX_BYTES];
    snprintf(user_name, sizeof user_name, "%s/%s/?api-version=2020-09-30&DeviceClientType=azsdk-c%%2F1.4.0-beta.2", conversation->hub,
             conversation->device_id);
    if (expect(client, PROBE_HUB, conversation->hub, error) ||
        open_link(client, conversation->hub, conversation->device_id, user_name, &link, error))
        return -1;
    conversation->hub_connack = client->connack;
    if (client->connack == DPS_CLIENT_NONE)
        note_end(client);
    return close_link(client, link, error);
}

/* ---- together ---- */

static int talk(struct client *client, struct error *error)
{
    if (talk_to_dps(client, error))
        return -1;
    return client->conversation.is_assigned && dps_client_is_host(client->conversation.hub) ? talk_to_hub(client, error) : 0;
}

int dps_client_run(const struct dps_client_options *options, struct dps_conversation *ret_conversation, struct error *error)
{
    struct client client = {.options = options,
                            .conversation = {.connack = DPS_CLIENT_NONE, .status = DPS_CLIENT_NONE, .hub_connack = DPS_CLIENT_NONE}};
    const struct probe_observer observer = {.observe = options->observer.observe ? on_tls_event : NULL, .user = &client};
    if (probe_tls_init(&options->tls, waiting_clock(options->waiting), &observer, &client.tls, error))
        return -1;
    int rc = talk(&client, error);
    probe_tls_done(&client.tls);
    if (rc) {
        dps_conversation_done(&client.conversation);
        return -1;
    }
    *ret_conversation = client.conversation;
    return 0;
}

void dps_conversation_done(struct dps_conversation *conversation)
{
    if (!conversation)
        return;
    cJSON_Delete(conversation->body);
    free(conversation->hub);
    free(conversation->device_id);
    free(conversation->ended);
    *conversation = (struct dps_conversation){.connack = DPS_CLIENT_NONE, .status = DPS_CLIENT_NONE, .hub_connack = DPS_CLIENT_NONE};
}
