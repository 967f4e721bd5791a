/*
 * mqtt_device - a device for shell tests: one MQTT connection over TLS, and the steps to take on it
 *
 * Why:      mosquitto_sub cannot publish, mosquitto_pub cannot subscribe, and mosquitto_rr refuses the '#' that DPS demands.
 * Usage:    mqtt_device OPTION... STEP...
 *           --port N --root FILE --cert FILE --key FILE --host SNI-NAME --id CLIENT-ID --user NAME --password TEXT --keeps-session
 *           sub FILTER QOS | pub TOPIC BODY QOS | unsub FILTER | recv | closed | disconnect
 *           In a TOPIC "{operationId}" is the one of the last message.
 * Output:   CONNACK n, SUBACK n, PUBLISHED, UNSUBACK, MESSAGE TOPIC BODY, CLOSED; a line each.
 * Status:   0 all steps done; 5 CONNACK was not 0; 1 closed too early, or 20 s without progress.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mqtt_link.h"

#include <string.h>

enum { PROGRESS_LIMIT_MS = 20000, QUEUE_MAX = 64 };

struct device {
    uv_loop_t loop;
    uv_timer_t limit;
    struct mqtt_link *link;
    char **step;            /* the next one; NULL at the end */
    const char *waits_for;  /* the step that is under way; NULL: none */
    char *queue[QUEUE_MAX]; /* messages that no recv has asked for yet */
    size_t queued;
    char operation_id[128];
    bool is_closed;
    int status; /* -1: goes on */
};

static void advance(struct device *device);

static void finish(struct device *device, int status)
{
    if (device->status >= 0)
        return;
    device->status = status;
    uv_stop(&device->loop);
}

static void say(struct device *device, const char *what, int code)
{
    if (code >= 0)
        printf("%s %d\n", what, code);
    else
        printf("%s\n", what);
    fflush(stdout);
    uv_timer_again(&device->limit);
}

static bool ends(struct device *device, const char *step)
{
    if (!device->waits_for || strcmp(device->waits_for, step) != 0)
        return false;
    device->waits_for = NULL;
    return true;
}

static void on_connack(void *user, int code)
{
    struct device *device = user;
    say(device, "CONNACK", code);
    if (code)
        finish(device, 5);
    else
        advance(device);
}

static void on_suback(void *user, int packet_id, const int *codes, size_t count)
{
    (void)packet_id;
    struct device *device = user;
    say(device, "SUBACK", count ? codes[0] : -1);
    if (ends(device, "sub"))
        advance(device);
}

static void on_unsuback(void *user, int packet_id)
{
    (void)packet_id;
    struct device *device = user;
    say(device, "UNSUBACK", -1);
    if (ends(device, "unsub"))
        advance(device);
}

static void on_published(void *user, int packet_id)
{
    (void)packet_id;
    struct device *device = user;
    say(device, "PUBLISHED", -1);
    if (ends(device, "pub"))
        advance(device);
}

static void remember_operation(struct device *device, const char *body)
{
    CLEANUP_JSON cJSON *json = json_parse(body, strlen(body), "body", NULL);
    const char *id = json_string(json, "operationId", NULL);
    if (id)
        snprintf(device->operation_id, sizeof device->operation_id, "%s", id);
}

static void on_message(void *user, const char *topic, const void *payload, size_t length_bytes, int qos, bool is_retained)
{
    (void)qos, (void)is_retained;
    struct device *device = user;
    char *line = NULL;
    CLEANUP_FREE char *body = strndup(payload ? payload : "", length_bytes);
    remember_operation(device, body);
    if (device->queued < QUEUE_MAX && asprintf(&line, "MESSAGE %s %s", topic, body) >= 0)
        device->queue[device->queued++] = line;
    if (ends(device, "recv")) {
        device->step--; /* take it again, now that there is one */
        advance(device);
    }
}

static void on_closed(void *user, int rc, int system_errno, const char *text)
{
    (void)rc, (void)system_errno, (void)text;
    struct device *device = user;
    device->is_closed = true;
    say(device, "CLOSED", -1);
    if (ends(device, "closed") || ends(device, "disconnect"))
        advance(device);
    else
        finish(device, 1);
}

/* "{operationId}" in `topic`; malloc'ed. */
static char *fill_topic(const struct device *device, const char *topic)
{
    static const char mark[] = "{operationId}";
    const char *at = strstr(topic, mark);
    char *filled;
    int rc = at ? asprintf(&filled, "%.*s%s%s", (int)(at - topic), topic, device->operation_id, at + sizeof mark - 1)
                : asprintf(&filled, "%s", topic);
    return rc < 0 ? NULL : filled;
}

static const char *next(struct device *device)
{
    return *device->step ? *device->step++ : "";
}

static void do_publish(struct device *device)
{
    CLEANUP_FREE char *topic = fill_topic(device, next(device));
    const char *body = next(device);
    if (mqtt_link_publish(device->link, topic, body, strlen(body), atoi(next(device)), false, NULL, NULL))
        finish(device, 1);
}

static void do_receive(struct device *device)
{
    if (device->queued == 0)
        return;
    printf("%s\n", device->queue[0]);
    fflush(stdout);
    uv_timer_again(&device->limit);
    free(device->queue[0]);
    memmove(device->queue, device->queue + 1, --device->queued * sizeof *device->queue);
    device->waits_for = NULL;
    advance(device);
}

static void advance(struct device *device)
{
    if (!*device->step) {
        finish(device, 0);
        return;
    }
    const char *step = device->waits_for = next(device);
    if (strcmp(step, "sub") == 0) {
        const char *filter = next(device);
        mqtt_link_subscribe(device->link, filter, atoi(next(device)), NULL, NULL);
    } else if (strcmp(step, "unsub") == 0) {
        mqtt_link_unsubscribe(device->link, next(device), NULL, NULL);
    } else if (strcmp(step, "pub") == 0) {
        do_publish(device);
    } else if (strcmp(step, "recv") == 0) {
        do_receive(device);
    } else if (strcmp(step, "disconnect") == 0) {
        mqtt_link_disconnect(device->link);
    } else if (strcmp(step, "closed") != 0) {
        fprintf(stderr, "mqtt_device: unknown step '%s'\n", step);
        finish(device, 2);
    } else if (device->is_closed) {
        device->waits_for = NULL;
        advance(device);
    }
}

static void on_limit(uv_timer_t *timer)
{
    struct device *device = timer->data;
    fprintf(stderr, "mqtt_device: nothing for %d ms while waiting for '%s'\n", PROGRESS_LIMIT_MS,
            device->waits_for ? device->waits_for : "CONNACK");
    finish(device, 1);
}

struct arguments {
    const char *port, *root, *cert, *key, *host, *id, *user, *password;
    bool keeps_session;
};

static char **read_options(char **argv, struct arguments *arguments)
{
    struct {
        const char *name;
        const char **value;
    } options[] = {{"--port", &arguments->port}, {"--root", &arguments->root},        {"--cert", &arguments->cert},
                   {"--key", &arguments->key},   {"--host", &arguments->host},        {"--id", &arguments->id},
                   {"--user", &arguments->user}, {"--password", &arguments->password}};
    for (argv++; *argv && strncmp(*argv, "--", 2) == 0; argv++) {
        if (strcmp(*argv, "--keeps-session") == 0)
            arguments->keeps_session = true;
        for (size_t i = 0; i < ARRAY_COUNT(options); i++)
            if (strcmp(*argv, options[i].name) == 0 && argv[1])
                *options[i].value = *++argv;
    }
    return argv;
}

static SSL_CTX *make_tls(const struct arguments *arguments)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    bool is_good = SSL_CTX_load_verify_locations(tls, arguments->root, NULL) == 1;
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    if (arguments->cert)
        is_good = is_good && SSL_CTX_use_certificate_chain_file(tls, arguments->cert) == 1 &&
                  SSL_CTX_use_PrivateKey_file(tls, arguments->key, SSL_FILETYPE_PEM) == 1;
    if (is_good)
        return tls;
    fprintf(stderr, "mqtt_device: the certificates cannot be used\n");
    exit(2);
}

static void run(struct device *device, const struct arguments *arguments, SSL_CTX *tls)
{
    struct mqtt_link_options options = {
        .loop = &device->loop,
        .client_id = arguments->id,
        .user_name = arguments->user,
        .password = arguments->password,
        .host = arguments->host ? arguments->host : "global.azure-devices-provisioning.net",
        .address = "127.0.0.1",
        .port = (uint16_t)atoi(arguments->port),
        .tls = tls,
        .keeps_session = arguments->keeps_session,
        .keep_alive_s = 60,
        .callbacks = {.user = device,
                      .on_connack = on_connack,
                      .on_message = on_message,
                      .on_suback = on_suback,
                      .on_unsuback = on_unsuback,
                      .on_published = on_published,
                      .on_closed = on_closed},
    };
    struct error error = ERROR_INIT;
    if (mqtt_link_new(&options, &device->link, &error) || mqtt_link_connect(device->link, NULL, NULL, &error)) {
        fprintf(stderr, "mqtt_device: %s\n", error.text);
        device->status = 1;
        return;
    }
    uv_timer_start(&device->limit, on_limit, PROGRESS_LIMIT_MS, PROGRESS_LIMIT_MS);
    uv_run(&device->loop, UV_RUN_DEFAULT);
}

int main(int argc, char **argv)
{
    (void)argc;
    struct arguments arguments = {.id = "", .port = "0"};
    struct device device = {.status = -1};
    device.step = read_options(argv, &arguments);
    uv_loop_init(&device.loop);
    uv_timer_init(&device.loop, &device.limit);
    device.limit.data = &device;
    SSL_CTX *tls = make_tls(&arguments);
    run(&device, &arguments, tls);
    mqtt_link_free(device.link);
    uv_close((uv_handle_t *)&device.limit, NULL);
    uv_run(&device.loop, UV_RUN_DEFAULT);
    uv_loop_close(&device.loop);
    SSL_CTX_free(tls);
    while (device.queued)
        free(device.queue[--device.queued]);
    return device.status < 0 ? 1 : device.status;
}
