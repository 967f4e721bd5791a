#include "tests/unit/broker_sim/service_rig.h"

#include "base/cleanup.h"

#include <string.h>

#include "tests/cmocka.h"

#define PUT "$dps/registrations/PUT/iotdps-register/?$rid=1"
#define GET "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId="
#define TWIN "\"initialTwin\":{\"tags\":{\"floor\":3},\"properties\":{\"desired\":{\"on\":true}}}"

static struct session connect_device(struct service_rig *rig, uint64_t number, const char *api_version)
{
    static char user_name[128];
    struct session session = rig_dps_session(rig, number, "leaf");
    snprintf(user_name, sizeof user_name, RIG_ID_SCOPE "/registrations/dev-01/api-version=%s", api_version);
    session.user_name = user_name;
    assert_true(dps_decide(rig->dps, &session).is_admitted);
    assert_int_equal(dps_grant(rig->dps, &session, "$dps/registrations/res/#", 1), 1);
    return session;
}

static void finish(struct service_rig *rig, struct session *session)
{
    dps_closed(rig->dps, session);
    rig_close_session(session);
}

/* The body of the reply; given. */
static cJSON *send_register(struct service_rig *rig, struct session *session, const char *body)
{
    dps_message(rig->dps, session, PUT, body, strlen(body));
    return rig_last_body(rig);
}

static cJSON *send_poll(struct service_rig *rig, struct session *session, const char *operation_id)
{
    char topic[256];
    snprintf(topic, sizeof topic, GET "%s", operation_id);
    dps_message(rig->dps, session, topic, " ", 1);
    return rig_last_body(rig);
}

/* The registrationState of a registration that ends at once; given. */
static cJSON *assign_at_once(struct service_rig *rig, uint64_t number, const char *api_version)
{
    struct session session = connect_device(rig, number, api_version);
    CLEANUP_JSON cJSON *body = send_register(rig, &session, "");
    finish(rig, &session);
    assert_string_equal(json_string(body, "status", ""), "assigned");
    return cJSON_DetachItemFromObjectCaseSensitive(body, "registrationState");
}

static void check_state(cJSON *state, const char *hub, const char *substatus)
{
    CLEANUP_JSON cJSON *owned = state;
    assert_string_equal(json_string(owned, "assignedHub", ""), hub);
    assert_string_equal(json_string(owned, "substatus", ""), substatus);
}

static const char *desired_of(const struct service_rig *rig)
{
    static char text[256];
    CLEANUP_JSON cJSON *json = hub_device_to_json(hub_registry_first(rig->devices, "dev-01"));
    CLEANUP_FREE char *printed = json_print_line(json);
    snprintf(text, sizeof text, "%s%s", strstr(printed, "\"on\":true") ? "on " : "", strstr(printed, "\"floor\":3") ? "floor" : "");
    return text;
}

static void a_second_registration_stays_and_says_so_and_a_new_hub_migrates_or_resets(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    rig_scenario(&rig, "{\"polls_until_assigned\":0}");
    rig_enroll(&rig, "{\"iotHubs\":[\"a\"]," TWIN "}");
    check_state(assign_at_once(&rig, 1, "2019-03-31"), "a", "initialAssignment");
    assert_string_equal(desired_of(&rig), "on floor");
    check_state(assign_at_once(&rig, 2, "2019-03-31"), "a", "reprovisionedToInitialAssignment");
    rig_enroll(&rig, "{\"iotHubs\":[\"b\"]}");
    check_state(assign_at_once(&rig, 3, "2018-04-01"), "a", "reprovisionedToInitialAssignment");
    check_state(assign_at_once(&rig, 4, "2019-03-31"), "b", "deviceDataMigrated");
    assert_string_equal(desired_of(&rig), "on floor");
    rig_enroll(&rig, "{\"iotHubs\":[\"c\"],\"reprovisionPolicy\":{\"updateHubAssignment\":true,\"migrateDeviceData\":false}}");
    check_state(assign_at_once(&rig, 5, "2019-03-31"), "c", "deviceDataReset");
    assert_string_equal(desired_of(&rig), "");
    rig_enroll(&rig, "{\"iotHubs\":[\"a\"],\"reprovisionPolicy\":{\"updateHubAssignment\":false,\"migrateDeviceData\":false}}");
    check_state(assign_at_once(&rig, 6, "2019-03-31"), "c", "reprovisionedToInitialAssignment");
    assert_string_equal(hub_registry_first(rig.devices, "dev-01")->hub, "c");
    assert_int_equal(hub_registry_count(rig.devices), 1);
}

#define CUSTOM                                                                                                                             \
    "{\"iotHubs\":[\"a\",\"b\"],\"allocationPolicy\":\"custom\",\"customAllocationDefinition\":{\"webhookUrl\":\"http://127.0.0.1:1/"      \
    "x?code=secret\",\"apiVersion\":\"2021-10-01\"}," TWIN "}"

static void a_webhook_chooses_hub_twin_and_payload(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    rig_scenario(&rig, "{\"polls_until_assigned\":0}");
    rig_enroll(&rig, CUSTOM);
    struct session session = connect_device(&rig, 1, "2019-03-31");
    CLEANUP_JSON cJSON *first = send_register(&rig, &session, "{\"payload\":{\"m\":1}}");
    assert_string_equal(json_string(first, "status", ""), "assigning");
    assert_string_equal(rig.webhook.url, "http://127.0.0.1:1/x?code=secret");
    assert_int_equal(json_integer(json_path(rig.webhook.request, "deviceRuntimeContext.payload"), "m", 0), 1);
    assert_null(json_path(rig.webhook.request, "deviceRuntimeContext.currentIotHubHostName"));
    const char *operation = json_string(first, "operationId", "");
    cJSON_Delete(send_poll(&rig, &session, operation));
    assert_non_null(strstr(rig_last_topic(&rig), "/res/202/"));
    rig_answer_webhook(&rig, 200, "{\"iotHubHostName\":\"b\",\"initialTwin\":{\"tags\":{\"floor\":3}},\"payload\":{\"p\":\"\xc3\xa9\"}}");
    const cJSON *event = rig_last_event(&rig, EVENT_DPS_WEBHOOK);
    assert_string_equal(json_string(event, "url", ""), "http://127.0.0.1:1/x?****");
    assert_string_equal(json_string(event, "hub", ""), "b");
    CLEANUP_JSON cJSON *last = send_poll(&rig, &session, operation);
    assert_non_null(strstr(rig_last_topic(&rig), "/res/200/"));
    assert_string_equal(json_string(json_path(last, "registrationState.payload"), "p", ""), "\xc3\xa9");
    assert_non_null(strstr(rig.replies[rig.reply_count - 1].body, "\\u00e9"));
    check_state(cJSON_DetachItemFromObjectCaseSensitive(last, "registrationState"), "b", "initialAssignment");
    assert_string_equal(desired_of(&rig), "floor");
    finish(&rig, &session);
}

static void a_webhook_is_told_where_the_device_is_and_asked_even_when_it_stays(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    rig_scenario(&rig, "{\"polls_until_assigned\":0}");
    rig_enroll(&rig, "{\"iotHubs\":[\"a\"],\"deviceId\":\"dev-01\"}");
    check_state(assign_at_once(&rig, 1, "2019-03-31"), "a", "initialAssignment");
    rig_enroll(&rig, "{\"iotHubs\":[\"a\",\"b\"],\"allocationPolicy\":\"custom\",\"reprovisionPolicy\":{\"updateHubAssignment\":false,"
                     "\"migrateDeviceData\":false},\"customAllocationDefinition\":{\"webhookUrl\":\"http://127.0.0.1:1/\"}}");
    struct session session = connect_device(&rig, 2, "2019-03-31");
    CLEANUP_JSON cJSON *first = send_register(&rig, &session, "");
    assert_string_equal(json_string(first, "status", ""), "assigning");
    const cJSON *context = json_member(rig.webhook.request, "deviceRuntimeContext");
    assert_string_equal(json_string(context, "currentIotHubHostName", ""), "a");
    assert_string_equal(json_string(context, "currentDeviceId", ""), "dev-01");
    assert_int_equal(cJSON_GetArraySize(json_member(rig.webhook.request, "linkedHubs")), 1);
    assert_non_null(json_path(context, "x509.clientCertificates.primary.info"));
    finish(&rig, &session);
}

static void check_failed(struct service_rig *rig, int status, const char *answer, const char *message, const char *trouble)
{
    struct session session = connect_device(rig, 1, "2019-03-31");
    CLEANUP_JSON cJSON *first = send_register(rig, &session, "");
    if (rig->webhook.done)
        rig_answer_webhook(rig, status, answer);
    CLEANUP_JSON cJSON *last = send_poll(rig, &session, json_string(first, "operationId", ""));
    const cJSON *result = json_member(last, "registrationState");
    assert_string_equal(json_string(last, "status", ""), "failed");
    assert_int_equal(json_integer(result, "errorCode", 0), 400207);
    assert_string_equal(json_string(result, "errorMessage", ""), message);
    const char *told = json_string(rig_last_event(rig, EVENT_DPS_WEBHOOK), "trouble", "");
    if (!strstr(told, trouble))
        fail_msg("%s", told);
    finish(rig, &session);
}

static void a_webhook_that_fails_ends_the_registration_as_failed(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    rig_enroll(&rig, CUSTOM);
    check_failed(&rig, 400, "No hub", "Custom allocation failed with status code: 400", "status 400: No hub");
    check_failed(&rig, 200, "{\"iotHubHostName\":\"c\"}", "Custom allocation failed with status code: 200", "none of linkedHubs");
    check_failed(&rig, 200, "{\"iotHubHostName\":\"b\",\"initialTwin\":{\"tags\":{\"a.b\":1}}}",
                 "Custom allocation failed with status code: 200", "the webhook's answer: initialTwin: ");
    check_failed(&rig, 0, "", "Custom allocation failed with status code: 503", "nobody there");
    rig.refuses_webhooks = true;
    check_failed(&rig, 0, "", "Custom allocation failed with status code: 503", "not that host");
    assert_null(hub_registry_first(rig.devices, "dev-01"));
}

static void an_answer_for_an_operation_that_was_replaced_changes_nothing(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    rig_scenario(&rig, "{\"polls_until_assigned\":0}");
    rig_enroll(&rig, CUSTOM);
    struct session session = connect_device(&rig, 1, "2019-03-31");
    cJSON_Delete(send_register(&rig, &session, ""));
    rig_enroll(&rig, "{\"iotHubs\":[\"a\"]}");
    CLEANUP_JSON cJSON *second = send_register(&rig, &session, "");
    assert_string_equal(json_string(second, "status", ""), "assigned");
    rig_answer_webhook(&rig, 200, "{\"iotHubHostName\":\"b\"}");
    assert_string_equal(registration_find(rig.registrations, "dev-01")->current.hub, "a");
    finish(&rig, &session);
}

static void check_code(struct service_rig *rig, const char *scenario, int code, const char *message)
{
    struct session session = connect_device(rig, 9, "2019-03-31");
    rig_scenario(rig, scenario);
    CLEANUP_JSON cJSON *body = send_register(rig, &session, "");
    const cJSON *result = json_member(body, "registrationState");
    assert_int_equal(json_integer(result, "errorCode", 0), code);
    assert_non_null(strstr(json_string(result, "errorMessage", ""), message));
    finish(rig, &session);
}

static void hubs_that_are_not_linked_or_take_neither_dps_nor_the_twin_end_the_registration(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    rig_enroll(&rig, "{\"allocationPolicy\":\"static\",\"iotHubs\":[\"a\"]}");
    check_code(&rig, "{\"polls_until_assigned\":0,\"hub_link\":\"unauthorized\"}", 400209, "nauthorized");
    check_code(&rig, "{\"polls_until_assigned\":0,\"hub_link\":\"nested\"}", 401002, "\"ExceptionMessage\"");
    rig_enroll(&rig, "{\"iotHubs\":[\"a\"],\"initialTwin\":{\"tags\":[1]}}");
    check_code(&rig, "{\"polls_until_assigned\":0}", 400000, "Bad Request");
    assert_string_equal(json_string(rig_last_event(&rig, EVENT_DPS_WARNING), "rule", ""), "twin.initial-bad");
    assert_null(hub_registry_first(rig.devices, "dev-01"));
}

static void two_connections_at_once_conflict(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    rig_enroll(&rig, "{}");
    struct session one = connect_device(&rig, 1, "2019-03-31"), other = connect_device(&rig, 2, "2019-03-31");
    CLEANUP_JSON cJSON *first = send_register(&rig, &one, "");
    CLEANUP_JSON cJSON *refused = send_register(&rig, &other, "");
    assert_non_null(strstr(rig_last_topic(&rig), "/res/409/"));
    assert_int_equal(json_integer(refused, "errorCode", 0), 409203);
    assert_int_equal(rig.close_count, 0);
    CLEANUP_JSON cJSON *assigned = send_poll(&rig, &one, json_string(first, "operationId", ""));
    assert_string_equal(json_string(assigned, "status", ""), "assigned");
    rig_scenario(&rig, "{\"conflict_ms\":0}");
    cJSON_Delete(send_register(&rig, &one, ""));
    cJSON_Delete(send_register(&rig, &other, ""));
    assert_non_null(strstr(rig_last_topic(&rig), "/res/202/"));
    finish(&rig, &one);
    finish(&rig, &other);
}

static void quotas_are_off_and_throttle_when_they_are_on(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    rig_enroll(&rig, "{}");
    struct session session = connect_device(&rig, 1, "2019-03-31");
    for (int i = 0; i < 7; i++)
        cJSON_Delete(send_register(&rig, &session, ""));
    assert_non_null(strstr(rig_last_topic(&rig), "/res/202/"));
    rig_scenario(&rig, "{\"registrations_per_min\":2,\"polls_per_10_s\":1,\"polls_until_assigned\":9}");
    cJSON_Delete(send_register(&rig, &session, ""));
    CLEANUP_JSON cJSON *second = send_register(&rig, &session, "");
    assert_non_null(strstr(rig_last_topic(&rig), "/res/202/"));
    CLEANUP_JSON cJSON *third = send_register(&rig, &session, "");
    assert_string_equal(rig_last_topic(&rig), "$dps/registrations/res/429/?$rid=1&retry-after=61");
    assert_int_equal(json_integer(third, "errorCode", 0), 429001);
    const char *operation = json_string(second, "operationId", "");
    cJSON_Delete(send_poll(&rig, &session, operation));
    assert_non_null(strstr(rig_last_topic(&rig), "/res/202/"));
    cJSON_Delete(send_poll(&rig, &session, operation));
    assert_string_equal(rig_last_topic(&rig), "$dps/registrations/res/429/?$rid=2&retry-after=11");
    rig.clock.mono_now_us += 10000000;
    cJSON_Delete(send_poll(&rig, &session, operation));
    assert_non_null(strstr(rig_last_topic(&rig), "/res/202/"));
    rig.clock.mono_now_us += 50000000;
    cJSON_Delete(send_register(&rig, &session, ""));
    assert_non_null(strstr(rig_last_topic(&rig), "/res/202/"));
    assert_int_equal(rig.close_count, 0);
    finish(&rig, &session);
}

/* Windows are shorter by the scale; retry-after stays in the device's seconds. */
static void quotas_and_conflicts_follow_the_time_scale(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup_scaled(&rig, 10);
    rig_enroll(&rig, "{}");
    rig_scenario(&rig, "{\"registrations_per_min\":1,\"conflict_ms\":1000}");
    struct session session = connect_device(&rig, 1, "2019-03-31"), other = connect_device(&rig, 2, "2019-03-31");
    cJSON_Delete(send_register(&rig, &session, ""));
    cJSON_Delete(send_register(&rig, &session, ""));
    assert_string_equal(rig_last_topic(&rig), "$dps/registrations/res/429/?$rid=1&retry-after=61");
    rig.clock.mono_now_us += 6000000;
    cJSON_Delete(send_register(&rig, &session, ""));
    assert_non_null(strstr(rig_last_topic(&rig), "/res/202/"));
    rig_scenario(&rig, "{\"conflict_ms\":1000}");
    rig.clock.mono_now_us += 99999;
    cJSON_Delete(send_register(&rig, &other, ""));
    assert_non_null(strstr(rig_last_topic(&rig), "/res/409/"));
    rig.clock.mono_now_us += 1;
    cJSON_Delete(send_register(&rig, &other, ""));
    assert_non_null(strstr(rig_last_topic(&rig), "/res/202/"));
    finish(&rig, &session);
    finish(&rig, &other);
}

static void bodies_that_cannot_be_are_answered_by_code(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    rig_enroll(&rig, "{}");
    struct session session = connect_device(&rig, 1, "2019-03-31");
    CLEANUP_FREE char *large = calloc(1, REGISTER_BODY_MAX_BYTES + 2);
    memset(large, ' ', REGISTER_BODY_MAX_BYTES + 1);
    const struct {
        const char *body;
        int code;
    } rows[] = {
        {"{\"tpm\":{\"endorsementKey\":\"AAAA\"}}", 400000}, {large, 400000}, {"{", 400012}, {"{\"csr\":7}", 400012},
        {"{\"registrationId\":\"other\"}", 400004},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CLEANUP_JSON cJSON *body = send_register(&rig, &session, rows[i].body);
        assert_int_equal(json_integer(body, "errorCode", 0), rows[i].code);
    }
    finish(&rig, &session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_registration_stays_and_says_so_and_a_new_hub_migrates_or_resets),
        cmocka_unit_test(a_webhook_chooses_hub_twin_and_payload),
        cmocka_unit_test(a_webhook_is_told_where_the_device_is_and_asked_even_when_it_stays),
        cmocka_unit_test(a_webhook_that_fails_ends_the_registration_as_failed),
        cmocka_unit_test(an_answer_for_an_operation_that_was_replaced_changes_nothing),
        cmocka_unit_test(hubs_that_are_not_linked_or_take_neither_dps_nor_the_twin_end_the_registration),
        cmocka_unit_test(two_connections_at_once_conflict),
        cmocka_unit_test(quotas_are_off_and_throttle_when_they_are_on),
        cmocka_unit_test(quotas_and_conflicts_follow_the_time_scale),
        cmocka_unit_test(bodies_that_cannot_be_are_answered_by_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
