/*
 * A hub: the first line of the input is a topic that the device publishes to (or subscribes to), the rest is the body. Once more as the parameters of what
 * a back end sends. Whatever comes, the service answers in bounded topics and ASCII JSON, and lets nothing wait for ever.
 */
#include "broker_sim/hub/hub.h"

#include "broker_sim/hub/topic.h"
#include "tests/fuzz/fuzz.h"

enum { NOW_S = 1795000000 };

static void on_emit(void *user, cJSON *event)
{
    (void)user;
    CLEANUP_FREE char *line = json_print_line(event);
    FUZZ_MUST(line);
    cJSON_Delete(event);
}

static void on_publish(void *user, uint64_t session, const char *topic, const char *body)
{
    (void)user;
    FUZZ_MUST(session == 7 && strlen(topic) < 65536 && strncmp(topic, "$iothub/", 8) == 0);
    for (const char *at = body; *at; at++)
        FUZZ_MUST(*at >= 0x20 && *at < 0x7f);
}

static int on_publish_bytes(void *user, uint64_t session, const char *topic, const void *data, size_t length_bytes)
{
    (void)user;
    FUZZ_MUST(session == 7 && data && length_bytes <= C2D_BODY_MAX_BYTES && strlen(topic) < 65536);
    FUZZ_MUST(strncmp(topic, "devices/dev-01/messages/devicebound/%24.mid=", 44) == 0);
    FUZZ_MUST(!strpbrk(topic, "+# "));
    return 0;
}

static void on_close(void *user, uint64_t session, const char *how)
{
    (void)user, (void)how;
    FUZZ_MUST(session == 7);
}

static void on_done(void *user, cJSON *result)
{
    int *count = user;
    FUZZ_MUST(*json_string(result, "outcome", ""));
    cJSON_Delete(result);
    (*count)++;
}

struct bench {
    struct clock_fake clock;
    struct hub_registry *registry;
    struct scenario_table *scenarios;
    struct hub *hub;
    struct session session;
};

static void from_device(struct bench *bench, const char *topic, const uint8_t *body, size_t size)
{
    struct hub *hub = bench->hub;
    struct session *session = &bench->session;
    int done = 0;
    const struct hub_waiter waiter = {on_done, &done};
    CLEANUP_JSON cJSON *params = cJSON_Parse("{\"deviceId\":\"dev-01\",\"methodName\":\"m\"}");
    FUZZ_MUST(hub_invoke(hub, params, &waiter, NULL) == 0); /* answered by "$iothub/methods/res/200/?$rid=1" */
    const struct publish_request request = {.topic = topic, .payload_bytes = size};
    if (hub_may_publish(hub, session, &request) == PUBLISH_TAKEN)
        hub_message(hub, 7, session, topic, body, size);
    int granted = hub_grant(hub, session, topic, 2);
    FUZZ_MUST(granted == 0x80 || granted == 1);
    if (granted != 0x80)
        hub_subscribed(hub, session, topic, granted);
    hub_sent(hub, session, topic, 1);
    hub_acknowledged(hub, session, 1);
    CLEANUP_FREE char *amended = hub_amend_topic(topic, true, true);
    FUZZ_MUST(!amended || strncmp(amended, topic, strlen(topic)) == 0);
    CLEANUP_JSON cJSON *properties = hub_properties_json(topic);
    FUZZ_MUST(properties);
    bench->clock.mono_now_us += INT64_C(3600) * 1000000;
    hub_expire(hub);
    FUZZ_MUST(done == 1);
}

static void from_cloud(struct hub *hub, const uint8_t *body, size_t size)
{
    int done = 0, started = 0;
    const struct hub_waiter waiter = {on_done, &done};
    struct error error = ERROR_INIT;
    CLEANUP_JSON cJSON *params = json_parse((const char *)body, size, "params", NULL);
    cJSON *result = NULL;
    if (!cJSON_IsObject(params))
        return;
    json_set_string(params, "deviceId", "dev-01");
    started += hub_send(hub, params, &waiter, &error) == 0;
    started += hub_invoke(hub, params, &waiter, &error) == 0;
    int (*const functions[])(struct hub *, const cJSON *, cJSON **, struct error *) = {hub_update, hub_desired, hub_show, hub_purge};
    for (size_t i = 0; i < ARRAY_COUNT(functions); i++, result = NULL) {
        error = (struct error)ERROR_INIT;
        if (functions[i](hub, params, &result, &error))
            fuzz_check_error(&error);
        cJSON_Delete(result);
    }
    hub_stop(hub);
    FUZZ_MUST(done == started);
}

static void start(struct bench *bench)
{
    static const struct hub_assignment assignment = {
        .hub = "h.net", .device_id = "dev-01", .authentication = HUB_BY_SAS, .keys = {"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}};
    struct knobs knobs;
    knobs_init(&knobs);
    clock_fake_init(&bench->clock, 1000000, INT64_C(1000000) * NOW_S);
    bench->registry = hub_registry_new();
    bench->scenarios = scenario_table_new(&knobs);
    FUZZ_MUST(bench->registry && bench->scenarios && hub_registry_assign(bench->registry, &assignment, NULL) == 0);
    const struct hub_options options = {
        .registry = bench->registry,
        .scenarios = bench->scenarios,
        .sink = {.emit = on_emit, .clock = &bench->clock.clock},
        .port = {.publish = on_publish, .publish_bytes = on_publish_bytes, .close = on_close},
    };
    bench->hub = hub_new(&options);
    bench->session = (struct session){
        .number = 7,
        .lane = "main",
        .client_id = "dev-01",
        .user_name = "h.net/dev-01/?api-version=2021-04-12",
        .password = "SharedAccessSignature sr=h.net%2Fdevices%2Fdev-01&se=1795003600&sig=lwYcWvDBzswY9SKfgjGUiB0Xy8kL6kpr8HG%2FxgqAc6I%3D",
        .chain = sk_X509_new_null()};
    FUZZ_MUST(bench->hub && hub_decide(bench->hub, &bench->session).is_admitted);
}

static void stop(struct bench *bench)
{
    if (bench->session.service)
        hub_closed(bench->hub, &bench->session);
    hub_free(bench->hub);
    sk_X509_free(bench->session.chain);
    scenario_table_free(bench->scenarios);
    hub_registry_free(bench->registry);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    size_t topic_bytes = end ? (size_t)(end - data) : size;
    CLEANUP_FREE char *topic = fuzz_text(data, topic_bytes);
    const uint8_t *body = end ? end + 1 : data;
    CLEANUP(stop) struct bench bench;
    start(&bench);
    hub_subscribed(bench.hub, &bench.session, "$iothub/methods/POST/#", 1);
    hub_subscribed(bench.hub, &bench.session, "devices/dev-01/messages/devicebound/#", 1);
    hub_subscribed(bench.hub, &bench.session, "$iothub/twin/PATCH/properties/desired/#", 0);
    from_device(&bench, topic, body, end ? size - topic_bytes - 1 : 0);
    from_cloud(bench.hub, body, end ? size - topic_bytes - 1 : 0);
    return 0;
}
