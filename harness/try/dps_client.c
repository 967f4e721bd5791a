#include "harness/try/dps_client.h"

#include "base/mqtt_link.h"

#include <openssl/err.h>
#include <string.h>

DEFINE_CLEANUP(struct mqtt_link *, mqtt_link_free)
DEFINE_CLEANUP(SSL_CTX *, SSL_CTX_free)

enum { USER_NAME_MAX_BYTES = 1024, TOPIC_MAX_BYTES = 512, ADDRESS_MAX_BYTES = 64, KEEP_ALIVE_S = 1767, HTTP_ACCEPTED = 202, HTTP_OK = 200 };
#define RESPONSES "$dps/registrations/res/"

/* One connection, to DPS or to the hub. */
struct client {
    const struct dps_client_options *options;
    struct dps_conversation conversation;
    int connack;
    bool is_subscribed;
    bool has_reply;
    bool is_closed;
    char closed_text[128];
};

/* ---- TLS ---- */

static int fail_tls(const char *what, struct error *error)
{
    char text[256];
    ERR_error_string_n(ERR_peek_last_error(), text, sizeof text);
    ERR_clear_error();
    return error_set(error, ERROR_OWNER_FILE, ERROR_CRYPTO, "use the %s in a TLS handshake: OpenSSL says %s", what, text);
}

static int load_chain(SSL_CTX *context, const struct device_files *files, struct error *error)
{
    if (SSL_CTX_use_certificate(context, sk_X509_value(files->chain, 0)) != 1)
        return fail_tls("certificate", error);
    for (int i = 1; i < sk_X509_num(files->chain); i++)
        if (SSL_CTX_add1_chain_cert(context, sk_X509_value(files->chain, i)) != 1)
            return fail_tls("chain", error);
    return SSL_CTX_use_PrivateKey(context, files->key) == 1 ? 0 : fail_tls("private key", error);
}

/* As the modem: TLS 1.2, the chain exactly as in the file, weak keys and digests not judged. */
static int make_tls(const struct dps_client_options *options, SSL_CTX **ret_context, struct error *error)
{
    CLEANUP(SSL_CTX_free_cleanup) SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (!context)
        return error_set_memory(error);
    SSL_CTX_set_security_level(context, 0);
    SSL_CTX_set_mode(context, SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_load_verify_file(context, options->server_root_path) != 1)
        return fail_tls("simulator's root", error);
    if (load_chain(context, options->files, error))
        return -1;
    *ret_context = TAKE(context);
    return 0;
}

/* ---- what comes ---- */

static void on_connack(void *user, int return_code)
{
    struct client *client = user;
    client->connack = return_code;
}

static void on_suback(void *user, int packet_id, const int *codes, size_t count)
{
    (void)packet_id, (void)codes, (void)count;
    struct client *client = user;
    client->is_subscribed = true;
}

static int64_t number_behind(const char *topic, const char *name)
{
    const char *at = strstr(topic, name);
    return at ? strtoll(at + strlen(name), NULL, 10) : 0;
}

static void on_message(void *user, const char *topic, const void *payload, size_t length, int qos, bool is_retained)
{
    (void)qos, (void)is_retained;
    struct client *client = user;
    struct dps_conversation *conversation = &client->conversation;
    if (strncmp(topic, RESPONSES, strlen(RESPONSES)) != 0)
        return;
    int64_t retry_after_s = number_behind(topic, "retry-after=");
    conversation->status = (int)number_behind(topic, RESPONSES);
    if (retry_after_s > 0)
        conversation->retry_after_s = retry_after_s;
    cJSON_Delete(conversation->body);
    conversation->body = length ? json_parse(payload, length, "reply", NULL) : NULL;
    client->has_reply = true;
}

static void on_closed(void *user, int rc, int system_errno, const char *text)
{
    (void)rc, (void)system_errno;
    struct client *client = user;
    client->is_closed = true;
    snprintf(client->closed_text, sizeof client->closed_text, "%s", text);
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

static int split_address(const char *text, char address[ADDRESS_MAX_BYTES], uint16_t *ret_port, struct error *error)
{
    const char *colon = strrchr(text, ':');
    size_t start = text[0] == '[', length = colon ? (size_t)(colon - text) - 2 * start : 0;
    if (!colon || length == 0 || length >= ADDRESS_MAX_BYTES)
        return error_set(error, ERROR_OWNER_RIG, ERROR_PROTOCOL, "ready.json: dps '%s' is not ADDR:PORT", text);
    snprintf(address, ADDRESS_MAX_BYTES, "%.*s", (int)length, text + start);
    *ret_port = (uint16_t)strtol(colon + 1, NULL, 10);
    return 0;
}

/* A handshake that fails at once is told by the call, one that fails later by on_closed: to us it is the same. */
static int start(struct client *client, struct mqtt_link *link)
{
    struct error error = ERROR_INIT;
    if (mqtt_link_connect(link, NULL, NULL, &error) == 0)
        return 0;
    client->is_closed = true;
    snprintf(client->closed_text, sizeof client->closed_text, "%s", error.text);
    return -1;
}

static int open_link(struct client *client, SSL_CTX *tls, const char *host, const char *client_id, const char *user_name,
                     struct mqtt_link **ret_link, struct error *error)
{
    CLEANUP(mqtt_link_free_cleanup) struct mqtt_link *link = NULL;
    char address[ADDRESS_MAX_BYTES];
    uint16_t port;
    if (split_address(client->options->address, address, &port, error))
        return -1;
    const struct mqtt_link_options options = {
        .loop = waiting_loop(client->options->waiting),
        .client_id = client_id,
        .user_name = user_name,
        .host = host,
        .address = address,
        .port = port,
        .tls = tls,
        .keeps_session = true, /* as the client of the nRF Connect SDK */
        .keep_alive_s = KEEP_ALIVE_S,
        .callbacks = {.user = client, .on_connack = on_connack, .on_message = on_message, .on_suback = on_suback, .on_closed = on_closed},
    };
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
    mqtt_link_disconnect(link);
    return await(client, is_closed, "the end of the connection", error);
}

static void note_end(struct client *client)
{
    if (client->is_closed && !client->conversation.ended)
        client->conversation.ended = strdup(client->closed_text);
}

/* ---- DPS ---- */

static int ask(struct client *client, struct mqtt_link *link, const char *topic, struct error *error)
{
    client->has_reply = false;
    if (client->is_closed)
        return 0;
    if (mqtt_link_publish(link, topic, NULL, 0, 1, false, NULL, error))
        return -1;
    return await(client, has_reply, "the answer of DPS", error);
}

static int poll_once(struct client *client, struct mqtt_link *link, struct error *error)
{
    struct dps_conversation *conversation = &client->conversation;
    char topic[TOPIC_MAX_BYTES];
    snprintf(topic, sizeof topic, "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1&operationId=%s",
             json_string(conversation->body, "operationId", ""));
    conversation->polls++;
    if (waiting_settle(client->options->waiting, clock_scaled_ms(conversation->retry_after_s * 1000, client->options->time_scale), error))
        return -1;
    return ask(client, link, topic, error);
}

static int register_device(struct client *client, struct mqtt_link *link, struct error *error)
{
    const struct dps_conversation *conversation = &client->conversation;
    if (mqtt_link_subscribe(link, RESPONSES "#", 1, NULL, error) || await(client, is_subscribed, "SUBACK", error) ||
        ask(client, link, "$dps/registrations/PUT/iotdps-register/?$rid=1", error))
        return -1;
    while (client->has_reply && conversation->status == HTTP_ACCEPTED && conversation->polls < DPS_CLIENT_POLLS_MAX)
        if (poll_once(client, link, error))
            return -1;
    if (!client->has_reply)
        note_end(client);
    return 0;
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

static int talk_to_dps(struct client *client, SSL_CTX *tls, struct error *error)
{
    CLEANUP(mqtt_link_free_cleanup) struct mqtt_link *link = NULL;
    const struct dps_client_options *options = client->options;
    char user_name[USER_NAME_MAX_BYTES];
    snprintf(user_name, sizeof user_name, "%s/registrations/%s/api-version=2019-03-31", options->id_scope, options->registration_id);
    if (open_link(client, tls, options->host, options->registration_id, user_name, &link, error))
        return -1;
    client->conversation.connack = client->connack;
    if (client->connack == DPS_CLIENT_NONE)
        note_end(client);
    if (client->connack == 0 && register_device(client, link, error))
        return -1;
    return close_link(client, link, error) || take_assignment(&client->conversation, error) ? -1 : 0;
}

/* ---- the hub ---- */

static int talk_to_hub(struct client *client, SSL_CTX *tls, struct error *error)
{
    CLEANUP(mqtt_link_free_cleanup) struct mqtt_link *link = NULL;
    struct dps_conversation *conversation = &client->conversation;
    char user_name[USER_NAME_MAX_BYTES];
    snprintf(user_name, sizeof user_name, "%s/%s/?api-version=2020-09-30&DeviceClientType=azsdk-c%%2F1.4.0-beta.2", conversation->hub,
             conversation->device_id);
    if (open_link(client, tls, conversation->hub, conversation->device_id, user_name, &link, error))
        return -1;
    conversation->hub_connack = client->connack;
    if (client->connack == DPS_CLIENT_NONE)
        note_end(client);
    return close_link(client, link, error);
}

/* ---- together ---- */

static int talk(struct client *client, struct error *error)
{
    CLEANUP(SSL_CTX_free_cleanup) SSL_CTX *tls = NULL;
    if (make_tls(client->options, &tls, error) || talk_to_dps(client, tls, error))
        return -1;
    return client->conversation.is_assigned ? talk_to_hub(client, tls, error) : 0;
}

int dps_client_run(const struct dps_client_options *options, struct dps_conversation *ret_conversation, struct error *error)
{
    struct client client = {.options = options,
                            .conversation = {.connack = DPS_CLIENT_NONE, .status = DPS_CLIENT_NONE, .hub_connack = DPS_CLIENT_NONE}};
    if (talk(&client, error)) {
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
