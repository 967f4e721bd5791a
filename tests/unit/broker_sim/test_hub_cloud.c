/* What comes from the cloud: messages to devices, direct methods, desired properties, identities by hand. */
#include "tests/unit/broker_sim/service_rig.h"

#include "base/cleanup.h"

#include <string.h>

#include "tests/cmocka.h"

#define DEVICEBOUND "devices/dev-01/messages/devicebound/#"
#define DESIRED "$iothub/twin/PATCH/properties/desired/#"
#define METHODS "$iothub/methods/POST/#"

/* What waiters were told. */
struct told {
    int count;
    char outcome[32];
    cJSON *last;
};

static void on_told(void *user, cJSON *result)
{
    struct told *told = user;
    told->count++;
    snprintf(told->outcome, sizeof told->outcome, "%s", json_string(result, "outcome", ""));
    cJSON_Delete(told->last);
    told->last = result;
}

static void told_done(struct told *told)
{
    cJSON_Delete(told->last);
}

static void setup(struct service_rig *rig)
{
    char sha256[SHA256_HEX_BYTES];
    rig_setup(rig);
    certificate_sha256(pki_certificate(rig->pki, "leaf"), sha256);
    assert_int_equal(hub_registry_put(rig->devices, "h.azure-devices.net", "dev-01", sha256, NULL), 0);
}

static struct hub_device *device_of(struct service_rig *rig)
{
    return hub_registry_first(rig->devices, "dev-01");
}

static struct session session_of(struct service_rig *rig, uint64_t number, bool is_clean)
{
    struct session session = rig_hub_session(rig, number, "leaf");
    session.is_clean_session = is_clean;
    return session;
}

/* The service keeps the session's address. */
#define CONNECT(name, number, is_clean)                                                                                                    \
    struct session name = session_of(&rig, number, is_clean);                                                                              \
    struct admission name##_admission = hub_decide(rig.hub, &name);                                                                        \
    assert_true(name##_admission.is_admitted)

static void finish(struct service_rig *rig, struct session *session)
{
    hub_closed(rig->hub, session);
    rig_close_session(session);
}

static int start(struct service_rig *rig, int (*function)(struct hub *, const cJSON *, const struct hub_waiter *, struct error *),
                 const char *params, struct told *told, struct error *error)
{
    CLEANUP_JSON cJSON *json = cJSON_Parse(params);
    assert_non_null(json);
    return function(rig->hub, json, &(struct hub_waiter){on_told, told}, error);
}

static int ask(struct service_rig *rig, int (*function)(struct hub *, const cJSON *, cJSON **, struct error *), const char *params,
               cJSON **ret_result, struct error *error)
{
    CLEANUP_JSON cJSON *json = cJSON_Parse(params);
    assert_non_null(json);
    return function(rig->hub, json, ret_result, error);
}

static const char *last_state(const struct service_rig *rig)
{
    return json_string(rig_last_event(rig, EVENT_HUB_MESSAGE), "state", "");
}

/* ---- messages ---- */

static void a_message_goes_out_at_once_and_ends_with_the_puback(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    CLEANUP(told_done) struct told told = {.count = 0};
    setup(&rig);
    CONNECT(session, 7, true);
    hub_subscribed(rig.hub, &session, DEVICEBOUND, 1);
    assert_int_equal(
        start(&rig, hub_send, "{\"deviceId\":\"dev-01\",\"body\":\"hi\",\"messageId\":\"m\",\"waitInSeconds\":9}", &told, NULL), 0);
    assert_string_equal(
        rig_last_topic(&rig),
        "devices/dev-01/messages/devicebound/%24.mid=m&%24.to=%2Fdevices%2Fdev-01%2Fmessages%2Fdevicebound&iothub-ack=none");
    assert_string_equal(rig.replies[0].body, "hi");
    assert_int_equal(rig.replies[0].session, 7);
    assert_int_equal(rig.commit_count, 1);
    hub_acknowledged(rig.hub, &session, 3); /* of something else */
    hub_sent(rig.hub, &session, rig_last_topic(&rig), 3);
    assert_int_equal(told.count, 0);
    hub_acknowledged(rig.hub, &session, 4);
    assert_int_equal(told.count, 0);
    hub_acknowledged(rig.hub, &session, 3);
    assert_string_equal(told.outcome, "completed");
    assert_string_equal(last_state(&rig), "completed");
    assert_int_equal(device_of(&rig)->messages.count, 0);
    finish(&rig, &session);
    assert_int_equal(told.count, 1);
}

static void at_qos_0_a_message_ends_when_it_has_gone_down(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    CLEANUP(told_done) struct told told = {.count = 0};
    setup(&rig);
    CONNECT(session, 7, true);
    hub_subscribed(rig.hub, &session, DEVICEBOUND, 0);
    assert_int_equal(start(&rig, hub_send, "{\"deviceId\":\"dev-01\",\"waitInSeconds\":9}", &told, NULL), 0);
    hub_sent(rig.hub, &session, rig_last_topic(&rig), 0);
    assert_string_equal(told.outcome, "completed");
    finish(&rig, &session);
}

static void messages_wait_for_the_subscription_and_keep_their_order(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    CLEANUP(told_done) struct told told = {.count = 0};
    setup(&rig);
    assert_int_equal(start(&rig, hub_send, "{\"deviceId\":\"dev-01\",\"body\":\"1\"}", &told, NULL), 0);
    assert_string_equal(told.outcome, "waiting");
    CONNECT(session, 7, true);
    assert_int_equal(start(&rig, hub_send, "{\"deviceId\":\"dev-01\",\"body\":\"2\"}", &told, NULL), 0);
    assert_int_equal(rig.reply_count, 0);
    hub_subscribed(rig.hub, &session, "$iothub/twin/res/#", 1);
    assert_int_equal(rig.reply_count, 0);
    hub_subscribed(rig.hub, &session, DEVICEBOUND, 1);
    assert_int_equal(rig.reply_count, 2);
    assert_string_equal(rig.replies[0].body, "1");
    assert_string_equal(rig.replies[1].body, "2");
    finish(&rig, &session);
}

static void what_was_not_acknowledged_comes_again_ten_times_in_all(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    CLEANUP(told_done) struct told told = {.count = 0};
    setup(&rig);
    assert_int_equal(start(&rig, hub_send, "{\"deviceId\":\"dev-01\",\"waitInSeconds\":9}", &told, NULL), 0);
    for (uint64_t i = 1; i <= 11; i++) {
        CONNECT(session, i, true);
        hub_subscribed(rig.hub, &session, DEVICEBOUND, 1);
        assert_int_equal(rig.reply_count, i <= 10 ? i : 10);
        if (i <= 10)
            hub_sent(rig.hub, &session, rig_last_topic(&rig), 5);
        finish(&rig, &session);
    }
    assert_string_equal(told.outcome, "deliveries-exceeded");
    assert_int_equal(device_of(&rig)->messages.count, 0);
}

static void a_session_that_is_not_clean_finds_its_subscription_again(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    CLEANUP(told_done) struct told told = {.count = 0};
    setup(&rig);
    CONNECT(first, 1, false);
    assert_true(first_admission.is_session_present);
    assert_string_equal(first_admission.restored_filter, "");
    hub_subscribed(rig.hub, &first, DEVICEBOUND, 1);
    finish(&rig, &first);
    assert_int_equal(start(&rig, hub_send, "{\"deviceId\":\"dev-01\"}", &told, NULL), 0);
    CONNECT(second, 2, false);
    assert_true(second_admission.is_session_present);
    assert_string_equal(second_admission.restored_filter, DEVICEBOUND);
    assert_int_equal(second_admission.restored_qos, 1);
    hub_unsubscribed(rig.hub, &second, DEVICEBOUND);
    finish(&rig, &second);
    CONNECT(third, 3, false);
    assert_string_equal(third_admission.restored_filter, "");
    hub_subscribed(rig.hub, &third, DEVICEBOUND, 1);
    finish(&rig, &third);
    CONNECT(clean, 4, true);
    assert_false(clean_admission.is_session_present);
    hub_subscribed(rig.hub, &clean, DEVICEBOUND, 1);
    finish(&rig, &clean);
    CONNECT(fifth, 5, false);
    assert_string_equal(fifth_admission.restored_filter, "");
    finish(&rig, &fifth);
}

static void messages_expire_and_waits_end(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    CLEANUP(told_done) struct told patient = {.count = 0}, hasty = {.count = 0};
    setup(&rig);
    assert_int_equal(start(&rig, hub_send, "{\"deviceId\":\"dev-01\",\"ttlInSeconds\":10,\"waitInSeconds\":100}", &patient, NULL), 0);
    assert_int_equal(start(&rig, hub_send, "{\"deviceId\":\"dev-01\",\"waitInSeconds\":5}", &hasty, NULL), 0);
    rig.clock.unix_now_us += 9 * 1000000;
    rig.clock.mono_now_us += 4 * 1000000;
    hub_expire(rig.hub);
    assert_int_equal(patient.count + hasty.count, 0);
    rig.clock.unix_now_us += 1000000;
    rig.clock.mono_now_us += 1000000;
    hub_expire(rig.hub);
    assert_string_equal(patient.outcome, "expired");
    assert_string_equal(hasty.outcome, "waiting");
    assert_int_equal(device_of(&rig)->messages.count, 1);
    rig.clock.unix_now_us += INT64_C(3600) * 1000000;
    hub_expire(rig.hub);
    assert_int_equal(device_of(&rig)->messages.count, 0);
    assert_int_equal(hasty.count, 1);
}

static void a_message_on_its_way_does_not_expire_before_it_comes_back(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    CLEANUP(told_done) struct told told = {.count = 0};
    setup(&rig);
    CONNECT(session, 7, true);
    hub_subscribed(rig.hub, &session, DEVICEBOUND, 1);
    assert_int_equal(start(&rig, hub_send, "{\"deviceId\":\"dev-01\",\"ttlInSeconds\":10,\"waitInSeconds\":100}", &told, NULL), 0);
    assert_true(c2d_queue_next_expiry_s(&device_of(&rig)->messages) == INT64_MAX);
    rig.clock.unix_now_us += 11 * 1000000;
    hub_expire(rig.hub);
    assert_int_equal(told.count, 0);
    finish(&rig, &session);
    hub_expire(rig.hub);
    assert_string_equal(told.outcome, "expired");
}

static void a_full_disk_and_a_full_way_lose_no_message(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    CLEANUP(told_done) struct told told = {.count = 0};
    struct error error = ERROR_INIT;
    setup(&rig);
    CONNECT(session, 7, true);
    hub_subscribed(rig.hub, &session, DEVICEBOUND, 1);
    rig.is_way_full = true;
    assert_int_equal(start(&rig, hub_send, "{\"deviceId\":\"dev-01\"}", &told, NULL), 0);
    assert_int_equal(device_of(&rig)->messages.first->deliveries, 0);
    rig.is_way_full = false;
    rig.is_disk_full = true;
    assert_int_equal(start(&rig, hub_send, "{\"deviceId\":\"dev-01\"}", &told, &error), -1);
    assert_int_equal(error.code, ERROR_IO);
    finish(&rig, &session);
}

/* ---- direct methods ---- */

static void a_method_goes_to_the_device_and_its_answer_comes_back(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    CLEANUP(told_done) struct told told = {.count = 0};
    setup(&rig);
    CONNECT(session, 7, true);
    hub_subscribed(rig.hub, &session, METHODS, 0);
    assert_int_equal(start(&rig, hub_invoke, "{\"deviceId\":\"dev-01\",\"methodName\":\"re boot\",\"payload\":{\"a\":[1]}}", &told, NULL),
                     0);
    assert_string_equal(rig_last_topic(&rig), "$iothub/methods/POST/re%20boot/?$rid=1");
    assert_string_equal(rig.replies[0].body, "{\"a\":[1]}");
    hub_message(rig.hub, 7, &session, "$iothub/methods/res/200/?$rid=2", "{}", 2);
    hub_message(rig.hub, 7, &session, "$iothub/methods/res/200/", "{}", 2);
    assert_int_equal(told.count, 0);
    hub_message(rig.hub, 7, &session, "$iothub/methods/res/404/?$rid=1", "{\"b\":2}", 7);
    assert_string_equal(told.outcome, "answered");
    assert_int_equal(json_integer(told.last, "status", 0), 404);
    assert_int_equal(json_integer(json_member(told.last, "payload"), "b", 0), 2);
    hub_message(rig.hub, 7, &session, "$iothub/methods/res/200/?$rid=1", "{}", 2);
    assert_int_equal(told.count, 1);
    finish(&rig, &session);
}

static void request_ids_are_hexadecimal_and_payloads_may_be_absent(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    CLEANUP(told_done) struct told told = {.count = 0};
    setup(&rig);
    CONNECT(session, 7, true);
    hub_subscribed(rig.hub, &session, METHODS, 0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(start(&rig, hub_invoke, "{\"deviceId\":\"dev-01\",\"methodName\":\"m\"}", &told, NULL), 0);
    assert_string_equal(rig_last_topic(&rig), "$iothub/methods/POST/m/?$rid=a");
    assert_string_equal(rig.replies[9].body, "null");
    hub_message(rig.hub, 7, &session, "$iothub/methods/res/-5/?$rid=a", NULL, 0);
    assert_string_equal(told.outcome, "answered");
    assert_int_equal(json_integer(told.last, "status", 0), -5);
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(told.last, "payload")));
    finish(&rig, &session);
    assert_int_equal(told.count, 10);
    assert_string_equal(told.outcome, "lost");
}

static void answers_that_are_none_end_a_method_too(void **state)
{
    (void)state;
    static const struct {
        const char *topic;
        const char *body;
    } answers[] = {
        {"$iothub/methods/res/OK/?$rid=1", "{}"}, {"$iothub/methods/res/200/?$rid=2", "{"}, {"$iothub/methods/res//?$rid=3", ""}};
    CLEANUP(rig_teardown) struct service_rig rig;
    CLEANUP(told_done) struct told told = {.count = 0};
    setup(&rig);
    CONNECT(session, 7, true);
    hub_subscribed(rig.hub, &session, METHODS, 0);
    for (size_t i = 0; i < ARRAY_COUNT(answers); i++) {
        assert_int_equal(start(&rig, hub_invoke, "{\"deviceId\":\"dev-01\",\"methodName\":\"m\"}", &told, NULL), 0);
        hub_message(rig.hub, 7, &session, answers[i].topic, answers[i].body, strlen(answers[i].body));
        assert_string_equal(told.outcome, "bad-reply");
        assert_int_equal(told.count, i + 1);
    }
    finish(&rig, &session);
}

static void a_device_that_is_not_there_is_404103_and_may_be_waited_for(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    CLEANUP(told_done) struct told told = {.count = 0};
    setup(&rig);
    assert_int_equal(start(&rig, hub_invoke, "{\"deviceId\":\"dev-01\",\"methodName\":\"m\"}", &told, NULL), 0);
    assert_string_equal(told.outcome, "offline");
    assert_int_equal(json_integer(told.last, "errorCode", 0), 404103);
    CONNECT(session, 7, true);
    assert_int_equal(start(&rig, hub_invoke, "{\"deviceId\":\"dev-01\",\"methodName\":\"m\"}", &told, NULL), 0);
    assert_non_null(strstr(json_string(told.last, "message", ""), "subscribed"));
    assert_int_equal(start(&rig, hub_invoke, "{\"deviceId\":\"dev-01\",\"methodName\":\"m\",\"connectTimeoutInSeconds\":5}", &told, NULL),
                     0);
    assert_int_equal(told.count, 2);
    hub_subscribed(rig.hub, &session, METHODS, 1);
    assert_string_equal(rig_last_topic(&rig), "$iothub/methods/POST/m/?$rid=3");
    rig.clock.mono_now_us += INT64_C(29999) * 1000;
    hub_expire(rig.hub);
    assert_int_equal(told.count, 2);
    rig.clock.mono_now_us += 1000;
    hub_expire(rig.hub);
    assert_string_equal(told.outcome, "timeout");
    assert_int_equal(json_integer(told.last, "errorCode", 0), 504101);
    hub_unsubscribed(rig.hub, &session, METHODS);
    assert_int_equal(start(&rig, hub_invoke, "{\"deviceId\":\"dev-01\",\"methodName\":\"m\",\"connectTimeoutInSeconds\":5}", &told, NULL),
                     0);
    rig.clock.mono_now_us += 5 * 1000000;
    hub_expire(rig.hub);
    assert_string_equal(told.outcome, "offline");
    assert_int_equal(told.count, 4);
    finish(&rig, &session);
}

static void refuses_methods_that_cannot_be(void **state)
{
    (void)state;
    static const struct {
        const char *params;
        enum error_code code;
    } rows[] = {
        {"{\"deviceId\":\"dev-02\",\"methodName\":\"m\"}", ERROR_NOT_FOUND},
        {"{\"deviceId\":\"dev-01\"}", ERROR_USAGE},
        {"{\"deviceId\":\"dev-01\",\"methodName\":\"\"}", ERROR_USAGE},
        {"{\"deviceId\":\"dev-01\",\"methodName\":\"m\",\"responseTimeoutInSeconds\":0}", ERROR_USAGE},
        {"{\"deviceId\":\"dev-01\",\"methodName\":\"m\",\"responseTimeoutInSeconds\":301}", ERROR_USAGE},
        {"{\"deviceId\":\"dev-01\",\"methodName\":\"m\",\"connectTimeoutInSeconds\":\"5\"}", ERROR_USAGE},
    };
    CLEANUP(rig_teardown) struct service_rig rig;
    CLEANUP(told_done) struct told told = {.count = 0};
    setup(&rig);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct error error = ERROR_INIT;
        assert_int_equal(start(&rig, hub_invoke, rows[i].params, &told, &error), -1);
        assert_int_equal(error.code, rows[i].code);
    }
    for (int is_payload = 0; is_payload < 2; is_payload++) {
        static char long_text[METHOD_PAYLOAD_MAX_BYTES + 1];
        CLEANUP_FREE char *params = NULL;
        struct error error = ERROR_INIT;
        memset(long_text, 'x', is_payload ? METHOD_PAYLOAD_MAX_BYTES - 1 : METHOD_NAME_MAX_BYTES + 1); /* and two quotes */
        assert_true(asprintf(&params, "{\"deviceId\":\"dev-01\",\"methodName\":\"%s\",\"payload\":\"%s\"}", is_payload ? "m" : long_text,
                             is_payload ? long_text : "") > 0);
        assert_int_equal(start(&rig, hub_invoke, params, &told, &error), -1);
        assert_int_equal(error.code, is_payload ? ERROR_LIMIT : ERROR_USAGE);
    }
    assert_int_equal(told.count, 0);
}

static void the_end_of_the_service_tells_all_who_wait(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    CLEANUP(told_done) struct told method = {.count = 0}, message = {.count = 0};
    setup(&rig);
    assert_int_equal(start(&rig, hub_invoke, "{\"deviceId\":\"dev-01\",\"methodName\":\"m\",\"connectTimeoutInSeconds\":5}", &method, NULL),
                     0);
    assert_int_equal(start(&rig, hub_send, "{\"deviceId\":\"dev-01\",\"waitInSeconds\":5}", &message, NULL), 0);
    hub_stop(rig.hub);
    assert_string_equal(method.outcome, "ended");
    assert_string_equal(message.outcome, "waiting");
}

/* ---- twins and identities ---- */

static void desired_properties_reach_the_device_that_subscribed(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    setup(&rig);
    cJSON *result = NULL;
    assert_int_equal(ask(&rig, hub_desired, "{\"deviceId\":\"dev-01\",\"desired\":{\"a\":1,\"b\":2}}", &result, NULL), 0);
    assert_false(json_bool(result, "isPublished", true));
    cJSON_Delete(result);
    assert_int_equal(rig.reply_count, 0);
    CONNECT(session, 7, true);
    hub_subscribed(rig.hub, &session, DESIRED, 1);
    assert_int_equal(rig.reply_count, 0); /* a device asks with GET for what it missed */
    assert_int_equal(ask(&rig, hub_desired, "{\"deviceId\":\"dev-01\",\"desired\":{\"a\":null,\"c\":{\"d\":3}}}", &result, NULL), 0);
    assert_true(json_bool(result, "isPublished", false));
    cJSON_Delete(result);
    assert_string_equal(rig_last_topic(&rig), "$iothub/twin/PATCH/properties/desired/?$version=3");
    assert_string_equal(rig.replies[0].body, "{\"a\":null,\"c\":{\"d\":3},\"$version\":3}");
    hub_message(rig.hub, 7, &session, "$iothub/twin/GET/?$rid=1", NULL, 0);
    assert_string_equal(rig.replies[1].body, "{\"desired\":{\"b\":2,\"c\":{\"d\":3},\"$version\":3},\"reported\":{\"$version\":1}}");
    struct error error = ERROR_INIT;
    assert_int_equal(ask(&rig, hub_desired, "{\"deviceId\":\"dev-01\",\"desired\":[1]}", &result, &error), -1);
    assert_int_equal(error.code, ERROR_SYNTAX);
    finish(&rig, &session);
}

static void a_bad_reported_patch_gets_a_body_with_an_error_code(void **state)
{
    (void)state;
    static const char *const patches[] = {"{", "[1]", "", "{\"a.b\":1}"};
    CLEANUP(rig_teardown) struct service_rig rig;
    setup(&rig);
    CONNECT(session, 7, true);
    for (size_t i = 0; i < ARRAY_COUNT(patches); i++) {
        hub_message(rig.hub, 7, &session, "$iothub/twin/PATCH/properties/reported/?$rid=c", patches[i], strlen(patches[i]));
        assert_string_equal(rig_last_topic(&rig), "$iothub/twin/res/400/?$rid=c");
        CLEANUP_JSON cJSON *body = rig_last_body(&rig);
        assert_int_equal(json_integer(body, "errorCode", 0), 400004);
        assert_true(*json_string(body, "trackingId", "") && *json_string(body, "message", ""));
    }
    rig.is_disk_full = true;
    hub_message(rig.hub, 7, &session, "$iothub/twin/PATCH/properties/reported/?$rid=d", "{}", 2);
    assert_string_equal(rig_last_topic(&rig), "$iothub/twin/res/500/?$rid=d");
    finish(&rig, &session);
}

static void requests_without_a_request_id_are_not_answered(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    setup(&rig);
    CONNECT(session, 7, true);
    hub_message(rig.hub, 7, &session, "$iothub/twin/GET/", NULL, 0);
    hub_message(rig.hub, 7, &session, "$iothub/twin/GET/?$rid=", NULL, 0);
    hub_message(rig.hub, 7, &session, "$iothub/twin/PATCH/properties/reported/?rid=1", "{\"a\":1}", 7);
    assert_int_equal(rig.reply_count, 0);
    finish(&rig, &session);
}

static void a_disabled_or_deleted_device_is_dropped_and_stays_out(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    CLEANUP(told_done) struct told told = {.count = 0};
    setup(&rig);
    CONNECT(session, 7, true);
    cJSON *result = NULL;
    assert_int_equal(ask(&rig, hub_update, "{\"deviceId\":\"dev-01\",\"status\":\"disabled\",\"tags\":{\"x\":1}}", &result, NULL), 0);
    assert_int_equal(json_integer(json_path(result, "twin.tags"), "x", 0), 1);
    cJSON_Delete(result);
    assert_int_equal(rig.close_count, 1);
    assert_int_equal(rig.closes[0].session, 7);
    finish(&rig, &session);
    struct session again = rig_hub_session(&rig, 8, "leaf");
    struct admission admission = hub_decide(rig.hub, &again);
    assert_int_equal(admission.return_code, 5);
    assert_string_equal(json_string(rig_last_event(&rig, EVENT_HUB_VERDICT), "rule", ""), "hub.disabled");
    assert_int_equal(json_integer(rig_last_event(&rig, EVENT_HUB_VERDICT), "error_code", 0), 403012);
    rig_close_session(&again);
    assert_int_equal(ask(&rig, hub_update, "{\"deviceId\":\"dev-01\",\"status\":\"enabled\",\"tags\":{\"a b\":1}}", &result, NULL), -1);
    assert_true(device_of(&rig)->is_disabled);
    assert_int_equal(ask(&rig, hub_update, "{\"deviceId\":\"dev-01\",\"status\":\"enabled\"}", &result, NULL), 0);
    cJSON_Delete(result);
    CONNECT(third, 9, true);
    assert_int_equal(start(&rig, hub_send, "{\"deviceId\":\"dev-01\",\"waitInSeconds\":9}", &told, NULL), 0);
    assert_int_equal(ask(&rig, hub_delete, "{\"deviceId\":\"dev-01\"}", &result, NULL), 0);
    cJSON_Delete(result);
    assert_string_equal(told.outcome, "purged");
    assert_int_equal(rig.close_count, 2);
    const struct publish_request request = {.topic = "$iothub/twin/GET/?$rid=1"};
    assert_int_equal(hub_may_publish(rig.hub, &third, &request), PUBLISH_TAKEN);
    hub_message(rig.hub, 9, &third, "$iothub/twin/GET/?$rid=1", NULL, 0); /* on its way when the identity went */
    hub_subscribed(rig.hub, &third, DEVICEBOUND, 1);
    assert_int_equal(rig.reply_count, 0);
    finish(&rig, &third);
}

static void a_device_that_moves_to_another_hub_is_dropped_by_the_old_one(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    setup(&rig);
    CLEANUP(told_done) struct told sent = {.count = 0};
    CLEANUP(told_done) struct told asked = {.count = 0};
    CONNECT(session, 7, true);
    assert_int_equal(hub_registry_put(rig.devices, "H.azure-devices.net", "dev-01", "AA", NULL), 0);
    assert_int_equal(hub_registry_put(rig.devices, "other.azure-devices.net", "dev-01", "AA", NULL), 0);
    assert_int_equal(rig.close_count, 0);
    struct error error = ERROR_INIT;
    assert_int_equal(start(&rig, hub_send, "{\"deviceId\":\"dev-01\"}", &sent, &error), -1);
    assert_int_equal(error.code, ERROR_USAGE);
    assert_int_equal(start(&rig, hub_send, "{\"deviceId\":\"dev-01\",\"hub\":\"H.azure-devices.net\",\"waitInSeconds\":9}", &sent, NULL),
                     0);
    assert_string_equal(json_string(rig_last_event(&rig, EVENT_HUB_MESSAGE), "hub", ""), "h.azure-devices.net");
    assert_int_equal(start(&rig, hub_invoke,
                           "{\"deviceId\":\"dev-01\",\"hub\":\"h.azure-devices.net\",\"methodName\":\"m\",\"connectTimeoutInSeconds\":9}",
                           &asked, NULL),
                     0);
    const struct hub_assignment move = {
        .hub = "third.azure-devices.net", .device_id = "dev-01", .hub_before = "h.azure-devices.net", .device_id_before = "dev-01"};
    assert_int_equal(hub_registry_assign(rig.devices, &move, NULL), 0);
    assert_int_equal(rig.close_count, 1);
    assert_int_equal(rig.closes[0].session, 7);
    assert_string_equal(sent.outcome, "purged");
    assert_string_equal(asked.outcome, "offline");
    assert_string_equal(json_string(rig_last_event(&rig, EVENT_HUB_MESSAGE), "state", ""), "purged");
    assert_non_null(hub_registry_find(rig.devices, "other.azure-devices.net", "dev-01"));
    finish(&rig, &session);
    struct session again = rig_hub_session(&rig, 8, "leaf");
    assert_false(hub_decide(rig.hub, &again).is_admitted);
    assert_string_equal(json_string(rig_last_event(&rig, EVENT_HUB_VERDICT), "rule", ""), "hub.other-hub");
    rig_close_session(&again);
}

static void a_connection_ends_with_its_token(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    setup(&rig);
    cJSON *result = NULL;
    assert_int_equal(ask(&rig, hub_create,
                         "{\"deviceId\":\"sas-1\",\"hub\":\"h.azure-devices.net\",\"authentication\":{\"symmetricKey\":{\"primaryKey\":"
                         "\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\"}}}",
                         &result, NULL),
                     0);
    cJSON_Delete(result);
    struct session session = rig_session(&rig, 7, NULL);
    session.client_id = "sas-1";
    session.user_name = "h.azure-devices.net/sas-1/?api-version=2020-09-30";
    session.password =
        "SharedAccessSignature sr=h.azure-devices.net%2Fdevices%2Fsas-1&sig=vFZU63k4Wmglg2rSc4wsRaGhYywKOFzQavZf81xYzH0%3D&se=1795000100";
    assert_true(hub_decide(rig.hub, &session).is_admitted);
    rig.clock.unix_now_us += 99 * 1000000;
    hub_expire(rig.hub);
    assert_int_equal(rig.close_count, 0);
    rig.clock.unix_now_us += 1000000;
    hub_expire(rig.hub);
    hub_expire(rig.hub);
    assert_int_equal(rig.close_count, 1);
    assert_string_equal(rig.closes[0].how, "token_expired");
    finish(&rig, &session);
}

static void properties_of_telemetry_are_decoded(void **state)
{
    (void)state;
    static const struct {
        const char *bag;
        const char *expected;
    } rows[] = {
        {"", NULL},
        {"%24.mid=mid-1&%24.ct=application%2Fjson&level=a%20b%2Fc",
         "{\"$.mid\":\"mid-1\",\"$.ct\":\"application/json\",\"level\":\"a b/c\"}"},
        {"$.mid=1&flag&&empty=&=x", "{\"$.mid\":\"1\",\"flag\":\"\",\"empty\":\"\",\"\":\"x\"}"},
        {"a=%zz&b=%ff&c=1+2", "{\"a\":\"%zz\",\"b\":\"%ff\",\"c\":\"1+2\"}"},
    };
    CLEANUP(rig_teardown) struct service_rig rig;
    setup(&rig);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char topic[256];
        snprintf(topic, sizeof topic, "devices/dev-01/messages/events/%s", rows[i].bag);
        hub_message(rig.hub, 5, NULL, topic, "text", 4);
        const cJSON *data = rig_last_event(&rig, EVENT_HUB_TELEMETRY), *properties = json_member(data, "properties");
        CLEANUP_FREE char *text = properties ? json_print_line(properties) : NULL;
        assert_string_equal(text ? text : "none", rows[i].expected ? rows[i].expected : "none");
        assert_string_equal(json_string(data, "body_text", ""), "text");
    }
}

static void wills_and_retained_messages_are_marked_by_properties(void **state)
{
    (void)state;
    static const struct {
        const char *topic;
        bool is_will;
        bool is_retained;
        const char *expected;
    } rows[] = {
        {"devices/a/messages/events/", true, false, "devices/a/messages/events/iothub-MessageType=Will"},
        {"devices/a/messages/events/x=1", true, true, "devices/a/messages/events/x=1&iothub-MessageType=Will&mqtt-retain=true"},
        {"devices/a/messages/events/", false, true, "devices/a/messages/events/mqtt-retain=true"},
        {"devices/a/messages/events/", false, false, "none"},
        {"$iothub/twin/GET/?$rid=1", false, true, "none"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CLEANUP_FREE char *topic = hub_amend_topic(rows[i].topic, rows[i].is_will, rows[i].is_retained);
        assert_string_equal(topic ? topic : "none", rows[i].expected);
    }
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_goes_out_at_once_and_ends_with_the_puback),
        cmocka_unit_test(at_qos_0_a_message_ends_when_it_has_gone_down),
        cmocka_unit_test(messages_wait_for_the_subscription_and_keep_their_order),
        cmocka_unit_test(what_was_not_acknowledged_comes_again_ten_times_in_all),
        cmocka_unit_test(a_session_that_is_not_clean_finds_its_subscription_again),
        cmocka_unit_test(messages_expire_and_waits_end),
        cmocka_unit_test(a_message_on_its_way_does_not_expire_before_it_comes_back),
        cmocka_unit_test(a_full_disk_and_a_full_way_lose_no_message),
        cmocka_unit_test(a_method_goes_to_the_device_and_its_answer_comes_back),
        cmocka_unit_test(request_ids_are_hexadecimal_and_payloads_may_be_absent),
        cmocka_unit_test(answers_that_are_none_end_a_method_too),
        cmocka_unit_test(a_device_that_is_not_there_is_404103_and_may_be_waited_for),
        cmocka_unit_test(refuses_methods_that_cannot_be),
        cmocka_unit_test(the_end_of_the_service_tells_all_who_wait),
        cmocka_unit_test(desired_properties_reach_the_device_that_subscribed),
        cmocka_unit_test(a_bad_reported_patch_gets_a_body_with_an_error_code),
        cmocka_unit_test(requests_without_a_request_id_are_not_answered),
        cmocka_unit_test(a_disabled_or_deleted_device_is_dropped_and_stays_out),
        cmocka_unit_test(a_device_that_moves_to_another_hub_is_dropped_by_the_old_one),
        cmocka_unit_test(a_connection_ends_with_its_token),
        cmocka_unit_test(properties_of_telemetry_are_decoded),
        cmocka_unit_test(wills_and_retained_messages_are_marked_by_properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
