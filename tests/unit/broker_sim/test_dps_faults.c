/* What DPS does when a scenario asks for misbehaviour: each knob, and that the service behaves again when it happened often enough. */
#include "tests/unit/broker_sim/service_rig.h"

#include "base/cleanup.h"

#include <string.h>

#include "tests/cmocka.h"

#define FILTER "$dps/registrations/res/#"
#define RES "$dps/registrations/res/"

struct device {
    struct service_rig rig;
    struct session session;
};

static struct admission connect_with(struct device *device, const char *knobs)
{
    rig_setup(&device->rig);
    rig_enroll(&device->rig, "{}");
    rig_scenario(&device->rig, knobs);
    device->session = rig_dps_session(&device->rig, 7, "leaf");
    return dps_decide(device->rig.dps, &device->session);
}

static void subscribe(struct device *device)
{
    assert_int_equal(dps_grant(device->rig.dps, &device->session, FILTER, 1), 1);
    dps_subscribed(device->rig.dps, &device->session, FILTER);
}

static void open_with(struct device *device, const char *knobs)
{
    assert_true(connect_with(device, knobs).is_admitted);
    subscribe(device);
}

static void finish(struct device *device)
{
    dps_closed(device->rig.dps, &device->session);
    rig_close_session(&device->session);
    rig_teardown(&device->rig);
}

static const char *ask_to_register(struct device *device)
{
    dps_message(device->rig.dps, &device->session, "$dps/registrations/PUT/iotdps-register/?$rid=1", NULL, 0);
    return rig_last_topic(&device->rig);
}

static const char *poll(struct device *device)
{
    const struct registration *registration = registration_find(device->rig.registrations, "dev-01");
    CLEANUP_FREE char *topic = NULL;
    assert_true(asprintf(&topic, "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId=%s", registration->operation_id) >
                0);
    dps_message(device->rig.dps, &device->session, topic, NULL, 0);
    return rig_last_topic(&device->rig);
}

static const char *last_status(const struct device *device, char text[16])
{
    CLEANUP_JSON cJSON *body = rig_last_body(&device->rig);
    snprintf(text, 16, "%s", json_string(body, "status", ""));
    return text;
}

static void assert_fault(const struct device *device, const char *knob, const char *value)
{
    const cJSON *fault = rig_last_event(&device->rig, EVENT_SCENARIO_FAULT);
    assert_string_equal(json_string(fault, "knob", ""), knob);
    assert_string_equal(json_string(fault, "value", ""), value);
}

static void retry_after_has_three_states(void **state)
{
    (void)state;
    static const struct {
        const char *knobs;
        const char *topic;
        int64_t told;
    } rows[] = {
        {"{}", RES "202/?$rid=1&retry-after=3", 3},
        {"{\"retry_after_s\":0}", RES "202/?$rid=1&retry-after=0", 0},
        {"{\"has_retry_after\":false}", RES "202/?$rid=1", -1},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct device device;
        open_with(&device, rows[i].knobs);
        assert_string_equal(ask_to_register(&device), rows[i].topic);
        assert_int_equal(json_integer(rig_last_event(&device.rig, EVENT_DPS_REPLY), "retry_after_s", -1), rows[i].told);
        assert_null(rig_last_event(&device.rig, EVENT_SCENARIO_FAULT));
        finish(&device);
    }
}

static void connack_is_the_code_asked_for_and_then_the_device_is_admitted(void **state)
{
    (void)state;
    for (int code = 1; code <= 5; code++) {
        struct device device;
        char knobs[64], text[8];
        snprintf(knobs, sizeof knobs, "{\"connack\":%d,\"fault_times\":1}", code);
        snprintf(text, sizeof text, "%d", code);
        struct admission admission = connect_with(&device, knobs);
        assert_false(admission.is_admitted);
        assert_int_equal(admission.return_code, code);
        assert_null(admission.close_how);
        assert_fault(&device, "connack", text);
        assert_true(dps_decide(device.rig.dps, &device.session).is_admitted);
        finish(&device);
    }
}

static void a_device_that_deserves_no_admission_is_refused_for_its_own_fault(void **state)
{
    (void)state;
    struct device device;
    rig_setup(&device.rig);
    rig_enroll(&device.rig, "{}");
    rig_scenario(&device.rig, "{\"connack\":3,\"profile\":\"connack\"}");
    device.session = rig_dps_session(&device.rig, 7, "other");
    assert_int_equal(dps_decide(device.rig.dps, &device.session).return_code, 5);
    assert_null(rig_last_event(&device.rig, EVENT_SCENARIO_FAULT));
    finish(&device);
}

static void error_replies_have_azures_bodies_and_end_after_so_many(void **state)
{
    (void)state;
    static const struct {
        const char *knobs;
        const char *topic;
        int code;
        const char *message;
        bool is_closed;
    } rows[] = {
        {"{\"reply_status\":429,\"error_retry_after_s\":30,\"fault_times\":1}", RES "429/?$rid=1&retry-after=30", 429001,
         "Operations are being throttled for this tenant.", false},
        {"{\"reply_status\":500,\"fault_times\":1}", RES "500/?$rid=1", 500000, "Internal server error", false},
        {"{\"reply_status\":418,\"fault_times\":1}", RES "418/?$rid=1", 418000, "An error that a scenario asks for", true},
        {"{\"reply_status\":401,\"fault_times\":1}", RES "401/?$rid=1", 401002, "Unauthorized", true},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct device device;
        open_with(&device, rows[i].knobs);
        assert_string_equal(ask_to_register(&device), rows[i].topic);
        CLEANUP_JSON cJSON *body = rig_last_body(&device.rig);
        assert_int_equal(json_integer(body, "errorCode", 0), rows[i].code);
        assert_string_equal(json_string(body, "message", ""), rows[i].message);
        assert_int_equal(device.rig.close_count, rows[i].is_closed);
        assert_null(registration_find(device.rig.registrations, "dev-01"));
        assert_string_equal(ask_to_register(&device), RES "202/?$rid=1&retry-after=3");
        finish(&device);
    }
}

static void poll_status_throttles_the_status_requests_alone(void **state)
{
    (void)state;
    struct device device;
    open_with(&device, "{\"poll_status\":429,\"error_retry_after_s\":5,\"fault_times\":1}");
    assert_string_equal(ask_to_register(&device), RES "202/?$rid=1&retry-after=3");
    assert_string_equal(poll(&device), RES "429/?$rid=2&retry-after=5");
    assert_fault(&device, "poll_status", "429");
    assert_string_equal(poll(&device), RES "200/?$rid=2");
    finish(&device);
}

static void ends_as_asked(void **state)
{
    (void)state;
    static const char *const words[] = {"failed", "disabled"};
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        struct device device;
        char knobs[32], text[16];
        snprintf(knobs, sizeof knobs, "{\"end_as\":\"%s\"}", words[i]);
        open_with(&device, knobs);
        ask_to_register(&device);
        assert_string_equal(last_status(&device, text), "assigning");
        assert_string_equal(poll(&device), RES "200/?$rid=2");
        assert_string_equal(last_status(&device, text), words[i]);
        assert_null(hub_registry_first(device.rig.devices, "dev-01"));
        assert_fault(&device, "end_as", words[i]);
        finish(&device);
    }
}

static void stays_assigning_for_ever(void **state)
{
    (void)state;
    struct device device;
    char text[16];
    open_with(&device, "{\"end_as\":\"never\"}");
    ask_to_register(&device);
    for (int i = 0; i < 20; i++)
        assert_string_equal(poll(&device), RES "202/?$rid=2&retry-after=3");
    assert_string_equal(last_status(&device, text), "assigning");
    finish(&device);
}

static void spoils_the_body_and_tells_what_was_sent(void **state)
{
    (void)state;
    static const char *const words[] = {"truncated", "empty", "text"};
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        struct device device;
        char knobs[64];
        snprintf(knobs, sizeof knobs, "{\"reply_body\":\"%s\",\"fault_times\":1}", words[i]);
        open_with(&device, knobs);
        assert_string_equal(ask_to_register(&device), RES "202/?$rid=1&retry-after=3");
        CLEANUP_JSON cJSON *body = rig_last_body(&device.rig);
        assert_null(body);
        const cJSON *reply = rig_last_event(&device.rig, EVENT_DPS_REPLY);
        assert_string_equal(json_string(reply, "body_text", "absent"), device.rig.replies[0].body);
        assert_null(json_member(reply, "body"));
        ask_to_register(&device);
        assert_non_null(json_member(rig_last_event(&device.rig, EVENT_DPS_REPLY), "body"));
        finish(&device);
    }
}

static void closes_before_connack(void **state)
{
    (void)state;
    struct device device;
    struct admission admission = connect_with(&device, "{\"close_at\":\"before-connack\",\"close_how\":\"fin\",\"fault_times\":1}");
    assert_false(admission.is_admitted);
    assert_string_equal(admission.close_how, "fin");
    assert_true(dps_decide(device.rig.dps, &device.session).is_admitted);
    finish(&device);
}

static void closes_after_suback_and_answers_nothing_meanwhile(void **state)
{
    (void)state;
    struct device device;
    open_with(&device, "{\"close_at\":\"after-suback\",\"close_how\":\"reset\"}");
    assert_int_equal(device.rig.close_count, 1);
    assert_string_equal(device.rig.closes[0].how, "reset");
    assert_true(device.rig.closes[0].after_ms > 0);
    ask_to_register(&device);
    assert_int_equal(device.rig.reply_count, 0);
    assert_non_null(rig_last_event(&device.rig, EVENT_DPS_REQUEST));
    finish(&device);
}

static void closes_between_polls_after_the_reply_went_down(void **state)
{
    (void)state;
    struct device device;
    open_with(&device, "{\"close_at\":\"between-polls\",\"polls_until_assigned\":2}");
    ask_to_register(&device);
    assert_int_equal(device.rig.close_count, 0);
    assert_string_equal(poll(&device), RES "202/?$rid=2&retry-after=3");
    assert_int_equal(device.rig.close_count, 1);
    assert_string_equal(device.rig.closes[0].how, "close_notify");
    size_t replies = device.rig.reply_count;
    poll(&device);
    assert_int_equal(device.rig.reply_count, replies); /* too late, however soon */
    finish(&device);
}

static void silence_is_the_front_doors_affair(void **state)
{
    (void)state;
    static const char *const words[] = {"connect", "connack", "suback"};
    for (int i = 0; i < 3; i++) {
        struct device device;
        char knobs[64];
        snprintf(knobs, sizeof knobs, "{\"silent_after\":\"%s\"}", words[i]);
        struct admission admission = connect_with(&device, knobs);
        assert_true(admission.is_admitted);
        assert_int_equal(admission.silence, SILENCE_AFTER_CONNECT + i);
        finish(&device);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retry_after_has_three_states),
        cmocka_unit_test(connack_is_the_code_asked_for_and_then_the_device_is_admitted),
        cmocka_unit_test(a_device_that_deserves_no_admission_is_refused_for_its_own_fault),
        cmocka_unit_test(error_replies_have_azures_bodies_and_end_after_so_many),
        cmocka_unit_test(poll_status_throttles_the_status_requests_alone),
        cmocka_unit_test(ends_as_asked),
        cmocka_unit_test(stays_assigning_for_ever),
        cmocka_unit_test(spoils_the_body_and_tells_what_was_sent),
        cmocka_unit_test(closes_before_connack),
        cmocka_unit_test(closes_after_suback_and_answers_nothing_meanwhile),
        cmocka_unit_test(closes_between_polls_after_the_reply_went_down),
        cmocka_unit_test(silence_is_the_front_doors_affair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
