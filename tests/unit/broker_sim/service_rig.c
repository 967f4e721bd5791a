#include "tests/unit/broker_sim/service_rig.h"

#include "base/cleanup.h"
#include "base/files.h"

#include <string.h>

#include "tests/cmocka.h"

static const char recipe_text[] = "format: 1\n"
                                  "members:\n"
                                  "  leaf: {subject: {CN: dev-01}, issuer: self, key: p-256, not_after: +30d}\n"
                                  "  other: {subject: {CN: dev-01}, issuer: self, key: p-256, not_after: +30d}\n";

static void on_emit(void *user, cJSON *event)
{
    struct service_rig *rig = user;
    assert_non_null(event);
    assert_true(rig->event_count < RIG_LIST_MAX);
    rig->events[rig->event_count++] = event;
}

static void on_publish(void *user, uint64_t session, const char *topic, const char *body)
{
    struct service_rig *rig = user;
    assert_true(rig->reply_count < RIG_LIST_MAX);
    rig->replies[rig->reply_count++] = (struct rig_reply){session, strdup(topic), strdup(body)};
}

static int on_publish_bytes(void *user, uint64_t session, const char *topic, const void *data, size_t length_bytes)
{
    struct service_rig *rig = user;
    CLEANUP_FREE char *body = strndup(data, length_bytes);
    if (rig->is_way_full)
        return -1;
    on_publish(rig, session, topic, body);
    return 0;
}

static void on_close_later(void *user, uint64_t session, int64_t after_ms, const char *how)
{
    struct service_rig *rig = user;
    rig->closes[rig->close_count++] = (struct rig_close){session, after_ms, how};
}

static void on_close_after(void *user, uint64_t session, int64_t after_ms, int64_t patience_ms, const char *how)
{
    assert_true(patience_ms >= after_ms);
    on_close_later(user, session, after_ms, how);
}

static void on_close(void *user, uint64_t session, const char *how)
{
    struct service_rig *rig = user;
    rig->closes[rig->close_count++] = (struct rig_close){session, -1, how};
}

static int on_commit(void *user, struct error *error)
{
    struct service_rig *rig = user;
    if (rig->is_disk_full)
        return error_set(error, ERROR_OWNER_RIG, ERROR_IO, "the disk is full");
    rig->commit_count++;
    return 0;
}

static int on_webhook(void *user, const char *url, const char *body, void (*done)(void *context, const struct webhook_answer *answer),
                      void *context, struct error *error)
{
    struct service_rig *rig = user;
    if (rig->refuses_webhooks)
        return error_set(error, ERROR_OWNER_FILE, ERROR_REFUSED, "not that host");
    assert_null(rig->webhook.done);
    free(rig->webhook.url);
    cJSON_Delete(rig->webhook.request);
    rig->webhook = (struct rig_webhook){strdup(url), cJSON_Parse(body), done, context};
    return 0;
}

void rig_answer_webhook(struct service_rig *rig, int status, const char *body)
{
    assert_non_null(rig->webhook.done);
    const struct webhook_answer answer = {
        .status = status, .body = body, .length_bytes = strlen(body), .trouble = status ? NULL : "nobody there", .duration_ms = 7};
    rig->webhook.done(rig->webhook.context, &answer);
    rig->webhook.done = NULL;
}

static void make_services(struct service_rig *rig, double time_scale)
{
    struct event_sink sink = {.emit = on_emit, .user = rig, .clock = &rig->clock.clock};
    struct service_port port = {.user = rig,
                                .commit = on_commit,
                                .publish = on_publish,
                                .publish_bytes = on_publish_bytes,
                                .close_after_reply = on_close_after,
                                .close_later = on_close_later,
                                .close = on_close};
    struct dps_options dps = {.tenants = {{.id_scope = RIG_ID_SCOPE, .state = rig->state, .registrations = rig->registrations}},
                              .tenant_count = 1,
                              .scenarios = rig->scenarios,
                              .hubs = rig->devices,
                              .sink = sink,
                              .port = port,
                              .webhooks = {.user = rig, .post = on_webhook},
                              .time_scale = time_scale};
    struct hub_options hub = {.registry = rig->devices, .scenarios = rig->scenarios, .state = rig->state, .sink = sink, .port = port};
    rig->dps = dps_new(&dps);
    rig->hub = hub_new(&hub);
}

static void forge(struct service_rig *rig)
{
    struct recipe *recipe = NULL;
    struct error error = ERROR_INIT;
    if (recipe_read_text(recipe_text, sizeof recipe_text - 1, "rig", &recipe, &error) ||
        forge_pki(recipe, NULL, &rig->clock.clock, NULL, &rig->pki, &error))
        fail_msg("%s", error.text);
    recipe_free(recipe);
}

void rig_setup_scaled(struct service_rig *rig, double time_scale)
{
    *rig = (struct service_rig){.dir = "/tmp/dpsbench-rig-XXXXXX"};
    assert_non_null(mkdtemp(rig->dir));
    clock_fake_init(&rig->clock, 1000000, 1795000000000000);
    struct knobs knobs;
    knobs_init(&knobs);
    assert_int_equal(dps_state_open(rig->dir, &rig->clock.clock, &rig->state, NULL), 0);
    rig->scenarios = scenario_table_new(&knobs);
    rig->registrations = registration_store_new(RIG_ID_SCOPE, &rig->clock.clock);
    rig->devices = hub_registry_new();
    make_services(rig, time_scale);
    forge(rig);
}

void rig_setup(struct service_rig *rig)
{
    rig_setup_scaled(rig, 1);
}

void rig_teardown(struct service_rig *rig)
{
    if (rig->webhook.done)
        rig_answer_webhook(rig, 0, "");
    for (size_t i = 0; i < rig->event_count; i++)
        cJSON_Delete(rig->events[i]);
    for (size_t i = 0; i < rig->reply_count; i++) {
        free(rig->replies[i].topic);
        free(rig->replies[i].body);
    }
    free(rig->webhook.url);
    cJSON_Delete(rig->webhook.request);
    pki_free(rig->pki);
    hub_free(rig->hub);
    dps_free(rig->dps);
    hub_registry_free(rig->devices);
    registration_store_free(rig->registrations);
    scenario_table_free(rig->scenarios);
    dps_state_free(rig->state);
    dir_remove(rig->dir, NULL);
}

void rig_enroll(struct service_rig *rig, const char *more)
{
    CLEANUP(bytes_done) struct bytes pem;
    bytes_init(&pem, 65536);
    const char *const members[] = {"leaf", NULL};
    assert_int_equal(pki_append_pem(rig->pki, members, &pem, NULL), 0);
    CLEANUP_JSON cJSON *enrollment = cJSON_Parse(more);
    CLEANUP_JSON cJSON *attestation = cJSON_Parse("{\"type\":\"x509\",\"x509\":{\"clientCertificates\":{\"primary\":{}}}}");
    cJSON *primary = (cJSON *)(uintptr_t)json_path(attestation, "x509.clientCertificates.primary");
    json_set_string(primary, "certificate", bytes_text(&pem));
    json_set(enrollment, "attestation", TAKE(attestation));
    json_set_string(enrollment, "registrationId", "dev-01");
    struct error error = ERROR_INIT;
    if (dps_state_put(rig->state, DPS_ENROLLMENT, enrollment, NULL, "test", NULL, &error))
        fail_msg("%s", error.text);
}

void rig_scenario(struct service_rig *rig, const char *knobs)
{
    CLEANUP_JSON cJSON *json = cJSON_Parse(knobs);
    struct error error = ERROR_INIT;
    if (scenario_set(rig->scenarios, "dev-01", json, NULL, &error))
        fail_msg("%s", error.text);
}

struct session rig_session(struct service_rig *rig, uint64_t number, const char *member)
{
    struct session session = {
        .number = number, .lane = "main", .peer = "127.0.0.1:1", .client_id = "dev-01", .user_name = "", .chain = sk_X509_new_null()};
    if (member) {
        X509 *leaf = pki_certificate(rig->pki, member);
        X509_up_ref(leaf);
        sk_X509_push(session.chain, leaf);
    }
    return session;
}

struct session rig_dps_session(struct service_rig *rig, uint64_t number, const char *member)
{
    struct session session = rig_session(rig, number, member);
    session.endpoint = SESSION_ENDPOINT_DPS;
    session.user_name = RIG_ID_SCOPE "/registrations/dev-01/api-version=2019-03-31";
    return session;
}

struct session rig_hub_session(struct service_rig *rig, uint64_t number, const char *member)
{
    struct session session = rig_session(rig, number, member);
    session.endpoint = SESSION_ENDPOINT_HUB;
    session.user_name = "h.azure-devices.net/dev-01/?api-version=2020-09-30";
    return session;
}

void rig_close_session(struct session *session)
{
    sk_X509_pop_free(session->chain, X509_free);
}

const cJSON *rig_last_event(const struct service_rig *rig, enum event_kind kind)
{
    for (size_t i = rig->event_count; i > 0; i--)
        if (strcmp(json_string(rig->events[i - 1], "kind", ""), event_kind_name(kind)) == 0)
            return event_data(rig->events[i - 1]);
    return NULL;
}

const char *rig_last_topic(const struct service_rig *rig)
{
    return rig->reply_count ? rig->replies[rig->reply_count - 1].topic : "";
}

cJSON *rig_last_body(const struct service_rig *rig)
{
    return rig->reply_count ? cJSON_Parse(rig->replies[rig->reply_count - 1].body) : NULL;
}
