#include "broker_sim/hub/topic.h"
#include "tests/unit/broker_sim/service_rig.h"

#include "base/cleanup.h"

#include <string.h>

#include "tests/cmocka.h"

#define HUB "h.azure-devices.net"

static void put_device(struct service_rig *rig)
{
    char sha256[SHA256_HEX_BYTES];
    certificate_sha256(pki_certificate(rig->pki, "leaf"), sha256);
    assert_int_equal(hub_registry_put(rig->devices, HUB, "dev-01", sha256, NULL), 0);
}

static void finish(struct service_rig *rig, struct session *session)
{
    hub_closed(rig->hub, session);
    rig_close_session(session);
}

static void refuses_each_wrong_thing_by_its_own_rule(void **state)
{
    (void)state;
    static const struct {
        const char *user_name;
        const char *client_id;
        const char *member;
        const char *rule;
        const char *text;
    } rows[] = {
        {HUB "/dev-01/", "dev-01", "leaf", "hub.user-name", HUB},
        {HUB "/dev-01/?api-version=2020-09-30", "dev-02", "leaf", "hub.client-id", "dev-02"},
        {HUB "/dev-02/?api-version=2020-09-30", "dev-02", "leaf", "hub.unknown-device", "dev-02"},
        {HUB "/DEV-01/?api-version=2020-09-30", "DEV-01", "leaf", "hub.unknown-device", "DEV-01"},
        {"o.azure-devices.net/dev-01/?api-version=2020-09-30", "dev-01", "leaf", "hub.other-hub", "o.azure-devices.net"},
        {HUB "/dev-01/?api-version=2020-09-30", "dev-01", "other", "hub.thumbprint", "registered with"},
        {HUB "/dev-01/?api-version=2020-09-30", "dev-01", NULL, "hub.thumbprint", "no certificate"},
    };
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    put_device(&rig);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct session session = rig_hub_session(&rig, i + 1, rows[i].member);
        session.user_name = rows[i].user_name;
        session.client_id = rows[i].client_id;
        struct admission admission = hub_decide(rig.hub, &session);
        assert_false(admission.is_admitted);
        assert_int_equal(admission.return_code, 5);
        const cJSON *verdict = rig_last_event(&rig, EVENT_HUB_VERDICT);
        assert_string_equal(json_string(verdict, "rule", ""), rows[i].rule);
        assert_non_null(strstr(json_string(verdict, "text", ""), rows[i].text));
        assert_true(*json_string(verdict, "mend", "") != 0);
        finish(&rig, &session);
    }
}

static void admits_the_device_with_the_certificate_that_registered(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    put_device(&rig);
    struct session session = rig_hub_session(&rig, 1, "leaf");
    assert_true(hub_decide(rig.hub, &session).is_admitted);
    assert_string_equal(json_string(rig_last_event(&rig, EVENT_HUB_VERDICT), "verdict", ""), "accepted");
    finish(&rig, &session);
}

static void refuses_an_expired_leaf(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    put_device(&rig);
    rig.clock.unix_now_us += INT64_C(31) * 24 * 3600 * 1000000;
    struct session session = rig_hub_session(&rig, 1, "leaf");
    assert_false(hub_decide(rig.hub, &session).is_admitted);
    assert_string_equal(json_string(rig_last_event(&rig, EVENT_HUB_VERDICT), "rule", ""), "hub.expired");
    finish(&rig, &session);
}

static void newer_connection_of_a_device_ends_the_older_one(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    put_device(&rig);
    struct session first = rig_hub_session(&rig, 1, "leaf"), second = rig_hub_session(&rig, 2, "leaf");
    assert_true(hub_decide(rig.hub, &first).is_admitted);
    assert_true(hub_decide(rig.hub, &second).is_admitted);
    assert_int_equal(rig.close_count, 1);
    assert_int_equal(rig.closes[0].session, 1);
    assert_string_equal(rig.closes[0].how, "taken_over");
    finish(&rig, &first);
    assert_ptr_equal(hub_registry_first(rig.devices, "dev-01")->connection, second.service);
    finish(&rig, &second);
    assert_null(hub_registry_first(rig.devices, "dev-01")->connection);
}

static enum publish_permit permit(struct service_rig *rig, const struct session *session, const char *topic, int qos, size_t payload_bytes)
{
    const struct publish_request request = {.topic = topic, .qos = qos, .payload_bytes = payload_bytes};
    return hub_may_publish(rig->hub, session, &request);
}

static void device_may_use_its_own_topics_alone(void **state)
{
    (void)state;
    static const struct {
        const char *topic;
        bool may_publish;
    } rows[] = {
        {"devices/dev-01/messages/events/", true},
        {"devices/dev-01/messages/events/%24.mid=1", true},
        {"devices/dev-01/messages/events", false},
        {"devices/dev-011/messages/events/", false},
        {"devices/dev-01xmessages/events/", false},
        {"devices/dev-02/messages/events/", false},
        {"devices/dev-01/messages/devicebound/", false},
        {"$iothub/twin/GET/?$rid=1", true},
        {"$iothub/twin/PATCH/properties/reported/?$rid=1", true},
        {"$iothub/twin/PATCH/properties/desired/", false},
        {"$iothub/methods/res/200/?$rid=1", true},
        {"$dps/registrations/PUT/iotdps-register/?$rid=1", false},
        {"anything", false},
    };
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    put_device(&rig);
    struct session session = rig_hub_session(&rig, 1, "leaf");
    assert_true(hub_decide(rig.hub, &session).is_admitted);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        assert_int_equal(permit(&rig, &session, rows[i].topic, 1, 9), rows[i].may_publish ? PUBLISH_TAKEN : PUBLISH_REFUSED);
    finish(&rig, &session);
}

/* 256 KB, of which names and values of properties are a part; no QoS 2. */
static void messages_are_bounded_with_their_properties(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    put_device(&rig);
    struct session session = rig_hub_session(&rig, 1, "leaf");
    assert_true(hub_decide(rig.hub, &session).is_admitted);
    assert_int_equal(permit(&rig, &session, "devices/dev-01/messages/events/", 1, HUB_MESSAGE_MAX_BYTES), PUBLISH_TAKEN);
    assert_int_equal(permit(&rig, &session, "devices/dev-01/messages/events/a=b&%24.ct=c%2f", 1, HUB_MESSAGE_MAX_BYTES - 8), PUBLISH_TAKEN);
    assert_int_equal(permit(&rig, &session, "devices/dev-01/messages/events/a=b&%24.ct=c%2f", 1, HUB_MESSAGE_MAX_BYTES - 7),
                     PUBLISH_TOO_LARGE);
    assert_int_equal(permit(&rig, &session, "devices/dev-01/messages/events/", 2, 1), PUBLISH_REFUSED);
    finish(&rig, &session);
}

static void grants_the_documented_filters_alone(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    put_device(&rig);
    struct session session = rig_hub_session(&rig, 1, "leaf");
    assert_true(hub_decide(rig.hub, &session).is_admitted);
    assert_int_equal(hub_grant(rig.hub, &session, "devices/dev-01/messages/devicebound/#", 2), 1);
    assert_int_equal(hub_grant(rig.hub, &session, "$iothub/twin/res/#", 0), 0);
    assert_int_equal(hub_grant(rig.hub, &session, "$iothub/twin/PATCH/properties/desired/#", 1), 1);
    assert_int_equal(hub_grant(rig.hub, &session, "$iothub/methods/POST/#", 0), 0);
    assert_int_equal(hub_grant(rig.hub, &session, "devices/dev-02/messages/devicebound/#", 0), 0x80);
    assert_int_equal(hub_grant(rig.hub, &session, "#", 0), 0x80);
    finish(&rig, &session);
}

static void answers_twin_requests_with_the_request_id(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    put_device(&rig);
    struct session session = rig_hub_session(&rig, 5, "leaf");
    assert_true(hub_decide(rig.hub, &session).is_admitted);
    hub_message(rig.hub, 5, &session, "$iothub/twin/GET/?$rid=2290", " ", 1);
    assert_string_equal(rig_last_topic(&rig), "$iothub/twin/res/200/?$rid=2290");
    assert_string_equal(rig.replies[0].body, "{\"desired\":{\"$version\":1},\"reported\":{\"$version\":1}}");
    hub_message(rig.hub, 5, &session, "$iothub/twin/PATCH/properties/reported/?$rid=b&x=1", "{\"a\":1}", 7);
    assert_string_equal(rig_last_topic(&rig), "$iothub/twin/res/204/?$rid=b&$version=2");
    hub_message(rig.hub, 5, &session, "$iothub/twin/PATCH/properties/reported/?$rid=c", "{", 1);
    assert_string_equal(rig_last_topic(&rig), "$iothub/twin/res/400/?$rid=c");
    assert_int_equal(json_integer(rig_last_event(&rig, EVENT_HUB_TWIN), "status", 0), 400);
    finish(&rig, &session);
}

static void twin_requests_are_throttled_when_a_scenario_asks_for_it(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    put_device(&rig);
    rig_scenario(&rig, "{\"hub_twin_per_s\":1}");
    struct session session = rig_hub_session(&rig, 5, "leaf");
    assert_true(hub_decide(rig.hub, &session).is_admitted);
    hub_message(rig.hub, 5, &session, "$iothub/twin/GET/?$rid=1", NULL, 0);
    assert_string_equal(rig_last_topic(&rig), "$iothub/twin/res/200/?$rid=1");
    hub_message(rig.hub, 5, &session, "$iothub/twin/PATCH/properties/reported/?$rid=2", "{\"a\":1}", 7);
    assert_string_equal(rig_last_topic(&rig), "$iothub/twin/res/429/?$rid=2");
    CLEANUP_JSON cJSON *body = rig_last_body(&rig);
    assert_int_equal(json_integer(body, "errorCode", 0), 429001);
    assert_int_equal(json_integer(rig_last_event(&rig, EVENT_HUB_TWIN), "status", 0), 429);
    rig.clock.mono_now_us += 1000000;
    hub_message(rig.hub, 5, &session, "$iothub/twin/PATCH/properties/reported/?$rid=3", "{\"a\":1}", 7);
    assert_string_equal(rig_last_topic(&rig), "$iothub/twin/res/204/?$rid=3&$version=2");
    finish(&rig, &session);
}

static void names_what_it_passes_over(void **state)
{
    (void)state;
    static const struct {
        const char *topic, *rule;
    } rows[] = {{"$iothub/twin/GET/", "twin.rid"},
                {"$iothub/twin/PATCH/properties/reported/?$rid=", "twin.rid"},
                {"$iothub/methods/res/200/?$rid=77", "method.unasked"},
                {"$iothub/methods/res/200/", "method.unasked"}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CLEANUP(rig_teardown) struct service_rig rig;
        rig_setup(&rig);
        put_device(&rig);
        struct session session = rig_hub_session(&rig, 5, "leaf");
        assert_true(hub_decide(rig.hub, &session).is_admitted);
        hub_message(rig.hub, 5, &session, rows[i].topic, "{}", 2);
        assert_int_equal(rig.reply_count, 0);
        assert_string_equal(json_string(rig_last_event(&rig, EVENT_HUB_WARNING), "rule", ""), rows[i].rule);
        finish(&rig, &session);
    }
}

static void counts_telemetry_even_when_the_device_has_gone(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    put_device(&rig);
    hub_message(rig.hub, 5, NULL, "devices/dev-01/messages/events/", "{\"temperature\":25.0}", 20);
    const cJSON *data = rig_last_event(&rig, EVENT_HUB_TELEMETRY);
    assert_string_equal(json_string(data, "device_id", ""), "dev-01");
    assert_int_equal(json_integer(json_member(data, "body"), "temperature", 0), 25);
    hub_message(rig.hub, 5, NULL, "devices/dev-01/messages/events/", "not json", 8);
    data = rig_last_event(&rig, EVENT_HUB_TELEMETRY);
    assert_null(json_member(data, "body"));
    assert_int_equal(json_integer(data, "payload_bytes", 0), 8);
    hub_message(rig.hub, 5, NULL, "$iothub/twin/GET/?$rid=1", NULL, 0);
    assert_int_equal(rig.reply_count, 0);
}

static void a_scenario_refuses_as_often_as_asked_and_says_so(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    put_device(&rig);
    rig_scenario(&rig, "{\"hub_connack\":3,\"fault_times\":1}");
    struct session first = rig_hub_session(&rig, 1, "leaf"), second = rig_hub_session(&rig, 2, "leaf");
    struct admission admission = hub_decide(rig.hub, &first);
    assert_false(admission.is_admitted);
    assert_int_equal(admission.return_code, 3);
    const cJSON *verdict = rig_last_event(&rig, EVENT_HUB_VERDICT), *fault = rig_last_event(&rig, EVENT_SCENARIO_FAULT);
    assert_string_equal(json_string(verdict, "rule", ""), "hub.scenario");
    assert_int_equal(json_integer(verdict, "return_code", 0), 3);
    assert_string_equal(json_string(fault, "knob", ""), "hub_connack");
    assert_string_equal(json_string(fault, "value", ""), "3");
    finish(&rig, &first);
    assert_true(hub_decide(rig.hub, &second).is_admitted);
    assert_int_equal(json_integer(rig_last_event(&rig, EVENT_HUB_VERDICT), "return_code", -1), 0);
    finish(&rig, &second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_each_wrong_thing_by_its_own_rule),
        cmocka_unit_test(admits_the_device_with_the_certificate_that_registered),
        cmocka_unit_test(refuses_an_expired_leaf),
        cmocka_unit_test(a_scenario_refuses_as_often_as_asked_and_says_so),
        cmocka_unit_test(newer_connection_of_a_device_ends_the_older_one),
        cmocka_unit_test(device_may_use_its_own_topics_alone),
        cmocka_unit_test(messages_are_bounded_with_their_properties),
        cmocka_unit_test(grants_the_documented_filters_alone),
        cmocka_unit_test(answers_twin_requests_with_the_request_id),
        cmocka_unit_test(twin_requests_are_throttled_when_a_scenario_asks_for_it),
        cmocka_unit_test(names_what_it_passes_over),
        cmocka_unit_test(counts_telemetry_even_when_the_device_has_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
