#include "tests/unit/broker_sim/service_rig.h"

#include "base/cleanup.h"

#include <string.h>

#include "tests/cmocka.h"

#define PUT "$dps/registrations/PUT/iotdps-register/?$rid=1"
#define GET "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId="

static struct admission connect_device(struct service_rig *rig, struct session *session)
{
    struct admission admission = dps_decide(rig->dps, session);
    if (admission.is_admitted)
        assert_int_equal(dps_grant(rig->dps, session, "$dps/registrations/res/#", 1), 1);
    return admission;
}

static void send_register(struct service_rig *rig, struct session *session)
{
    dps_message(rig->dps, session, PUT, NULL, 0);
}

/* With the operation of the last reply. */
static void send_poll(struct service_rig *rig, struct session *session)
{
    CLEANUP_JSON cJSON *body = rig_last_body(rig);
    CLEANUP_FREE char *topic = NULL;
    assert_true(asprintf(&topic, GET "%s", json_string(body, "operationId", "")) > 0);
    dps_message(rig->dps, session, topic, " ", 1);
}

static void finish(struct service_rig *rig, struct session *session)
{
    dps_closed(rig->dps, session);
    assert_null(session->service);
    rig_close_session(session);
}

static void assigns_an_enrolled_device_and_tells_the_hub(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    rig_enroll(&rig, "{\"deviceId\":\"meter-7\",\"iotHubs\":[\"h.azure-devices.net\"]}");
    struct session session = rig_dps_session(&rig, 7, "leaf");
    assert_true(connect_device(&rig, &session).is_admitted);
    send_register(&rig, &session);
    assert_string_equal(rig_last_topic(&rig), "$dps/registrations/res/202/?$rid=1&retry-after=3");
    assert_null(hub_registry_first(rig.devices, "meter-7"));
    send_poll(&rig, &session);
    assert_string_equal(rig_last_topic(&rig), "$dps/registrations/res/200/?$rid=2");
    const struct hub_device *device = hub_registry_first(rig.devices, "meter-7");
    assert_non_null(device);
    assert_string_equal(device->hub, "h.azure-devices.net");
    char sha256[SHA256_HEX_BYTES];
    certificate_sha256(pki_certificate(rig.pki, "leaf"), sha256);
    assert_string_equal(device->thumbprints[0], sha256);
    const cJSON *assigned = rig_last_event(&rig, EVENT_DPS_ASSIGNED);
    assert_string_equal(json_string(assigned, "device_id", ""), "meter-7");
    assert_int_equal(json_integer(assigned, "polls", 0), 1);
    assert_string_equal(json_string(json_member(assigned, "enrollment"), "kind", ""), "individual");
    assert_int_equal(rig.replies[0].session, 7);
    assert_int_equal(rig.close_count, 0);
    finish(&rig, &session);
}

static void refuses_after_the_request_and_closes_under_profile_azure(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    rig_enroll(&rig, "{}");
    rig_scenario(&rig, "{\"close_after_refusal_ms\":250}");
    struct session session = rig_dps_session(&rig, 8, "other");
    assert_true(connect_device(&rig, &session).is_admitted);
    assert_int_equal(rig.reply_count, 0);
    send_register(&rig, &session);
    assert_string_equal(rig_last_topic(&rig), "$dps/registrations/res/401/?$rid=1");
    CLEANUP_JSON cJSON *body = rig_last_body(&rig);
    assert_int_equal(json_integer(body, "errorCode", 0), 401002);
    assert_int_equal(rig.close_count, 1);
    assert_int_equal(rig.closes[0].session, 8);
    assert_int_equal(rig.closes[0].after_ms, 250);
    assert_null(registration_find(rig.registrations, "dev-01"));
    finish(&rig, &session);
}

static void refuses_at_connect_under_profile_connack(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    rig_enroll(&rig, "{}");
    rig_scenario(&rig, "{\"profile\":\"connack\"}");
    struct session session = rig_dps_session(&rig, 8, "other");
    struct admission admission = connect_device(&rig, &session);
    assert_false(admission.is_admitted);
    assert_int_equal(admission.return_code, 5);
    const cJSON *verdict = rig_last_event(&rig, EVENT_ATTESTATION_VERDICT);
    assert_string_equal(json_string(verdict, "surface", ""), "connack");
    assert_string_equal(json_string(verdict, "profile", ""), "connack");
    assert_string_equal(json_string(verdict, "rule", ""), "enrollment.other-certificate");
    finish(&rig, &session);
}

static void disabled_enrollment_shows_in_the_poll(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    rig_enroll(&rig, "{\"provisioningStatus\":\"disabled\"}");
    struct session session = rig_dps_session(&rig, 9, "leaf");
    assert_true(connect_device(&rig, &session).is_admitted);
    send_register(&rig, &session);
    assert_non_null(strstr(rig_last_topic(&rig), "/res/202/"));
    send_poll(&rig, &session);
    CLEANUP_JSON cJSON *body = rig_last_body(&rig);
    assert_non_null(strstr(rig_last_topic(&rig), "/res/200/"));
    assert_string_equal(json_string(body, "status", ""), "disabled");
    assert_null(hub_registry_first(rig.devices, "dev-01"));
    finish(&rig, &session);
}

static void illegal_registration_id_is_answered_with_400(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    struct session session = rig_dps_session(&rig, 9, "leaf");
    session.client_id = "dev 01";
    session.user_name = RIG_ID_SCOPE "/registrations/dev 01/api-version=2019-03-31";
    assert_true(connect_device(&rig, &session).is_admitted);
    send_register(&rig, &session);
    CLEANUP_JSON cJSON *body = rig_last_body(&rig);
    assert_non_null(strstr(rig_last_topic(&rig), "/res/400/"));
    assert_int_equal(json_integer(body, "errorCode", 0), 400004);
    finish(&rig, &session);
}

static void connect_rules_name_both_sides(void **state)
{
    (void)state;
    static const struct {
        const char *user_name;
        const char *client_id;
        const char *rule;
        const char *one;
        const char *other;
    } rows[] = {
        {"dev-01", "dev-01", "connect.user-name", "'dev-01'", "{idScope}/registrations/"},
        {RIG_ID_SCOPE "/registrations/dev-01/", "dev-01", "connect.api-version", "api-version", RIG_ID_SCOPE},
        {"0neOTHER/registrations/dev-01/api-version=2019-03-31", "dev-01", "connect.id-scope", "0neOTHER", RIG_ID_SCOPE},
        {RIG_ID_SCOPE "/registrations/dev-01/api-version=2019-03-31", "dev-02", "connect.client-id", "dev-01", "dev-02"},
    };
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct session session = rig_dps_session(&rig, i + 1, "leaf");
        session.user_name = rows[i].user_name;
        session.client_id = rows[i].client_id;
        struct admission admission = connect_device(&rig, &session);
        assert_false(admission.is_admitted);
        assert_int_equal(admission.return_code, 5);
        const cJSON *verdict = rig_last_event(&rig, EVENT_ATTESTATION_VERDICT);
        assert_string_equal(json_string(verdict, "rule", ""), rows[i].rule);
        assert_non_null(strstr(json_string(verdict, "text", ""), rows[i].one));
        assert_non_null(strstr(json_string(verdict, "text", ""), rows[i].other));
        assert_true(*json_string(verdict, "mend", "") != 0);
        assert_string_equal(json_string(cJSON_GetArrayItem(json_member(verdict, "rules"), 0), "class", ""), "C13");
        finish(&rig, &session);
    }
}

static void client_id_may_differ_in_case_alone(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    rig_enroll(&rig, "{}");
    struct session session = rig_dps_session(&rig, 1, "leaf");
    session.client_id = "DEV-01";
    assert_true(connect_device(&rig, &session).is_admitted);
    finish(&rig, &session);
}

static void grants_the_reply_filter_alone_with_qos_1_at_most(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    rig_enroll(&rig, "{}");
    struct session session = rig_dps_session(&rig, 1, "leaf");
    assert_true(connect_device(&rig, &session).is_admitted);
    assert_int_equal(dps_grant(rig.dps, &session, "$dps/registrations/res/#", 0), 0);
    assert_int_equal(dps_grant(rig.dps, &session, "$dps/registrations/res/#", 2), 1);
    assert_null(rig_last_event(&rig, EVENT_DPS_WARNING));
    assert_int_equal(dps_grant(rig.dps, &session, "#", 1), 0x80);
    assert_string_equal(json_string(rig_last_event(&rig, EVENT_DPS_WARNING), "rule", ""), "subscribe.filter");
    finish(&rig, &session);
}

static enum publish_permit permit(struct service_rig *rig, const struct session *session, const char *topic, int qos, bool is_retained)
{
    const struct publish_request request = {.topic = topic, .qos = qos, .is_retained = is_retained};
    return dps_may_publish(rig->dps, session, &request);
}

static void assert_warned(const struct service_rig *rig, const char *rule)
{
    assert_string_equal(json_string(rig_last_event(rig, EVENT_DPS_WARNING), "rule", ""), rule);
}

static void only_requests_may_be_published(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    rig_enroll(&rig, "{}");
    struct session session = rig_dps_session(&rig, 1, "leaf");
    assert_true(connect_device(&rig, &session).is_admitted);
    assert_int_equal(permit(&rig, &session, PUT, 1, false), PUBLISH_TAKEN);
    assert_int_equal(permit(&rig, &session, GET, 0, false), PUBLISH_TAKEN);
    assert_null(rig_last_event(&rig, EVENT_DPS_WARNING));
    assert_int_equal(permit(&rig, &session, "$dps/registrations/res/200/?$rid=1", 1, false), PUBLISH_REFUSED);
    assert_int_equal(permit(&rig, &session, "devices/dev-01/messages/events/", 1, false), PUBLISH_REFUSED);
    assert_warned(&rig, "publish.topic");
    assert_int_equal(permit(&rig, &session, PUT, 2, false), PUBLISH_REFUSED);
    assert_warned(&rig, "publish.qos-2");
    assert_int_equal(permit(&rig, &session, PUT, 1, true), PUBLISH_TAKEN);
    assert_warned(&rig, "publish.retain");
    dps_message(rig.dps, &session, "$dps/registrations/PUT/iotdps-register/", NULL, 0);
    assert_warned(&rig, "request.no-rid");
    finish(&rig, &session);
}

static void warns_of_a_request_before_any_subscription(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    rig_enroll(&rig, "{}");
    struct session session = rig_dps_session(&rig, 1, "leaf");
    assert_true(dps_decide(rig.dps, &session).is_admitted);
    send_register(&rig, &session);
    assert_string_equal(json_string(rig_last_event(&rig, EVENT_DPS_WARNING), "rule", ""), "subscribe.missing");
    assert_int_equal(rig.reply_count, 1);
    finish(&rig, &session);
}

static void bad_bodies_are_answered_with_400_and_nothing_starts(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    rig_enroll(&rig, "{}");
    struct session session = rig_dps_session(&rig, 1, "leaf");
    assert_true(connect_device(&rig, &session).is_admitted);
    dps_message(rig.dps, &session, PUT, "{", 1);
    CLEANUP_JSON cJSON *broken = rig_last_body(&rig);
    assert_int_equal(json_integer(broken, "errorCode", 0), 400012);
    static const char foreign[] = "{\"registrationId\":\"dev-02\"}";
    dps_message(rig.dps, &session, PUT, foreign, sizeof foreign - 1);
    CLEANUP_JSON cJSON *other = rig_last_body(&rig);
    assert_int_equal(json_integer(other, "errorCode", 0), 400004);
    assert_warned(&rig, "register.other-id");
    assert_null(registration_find(rig.registrations, "dev-01"));
    assert_int_equal(rig.close_count, 0);
    finish(&rig, &session);
}

static void unknown_operation_is_answered_with_404203(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    rig_enroll(&rig, "{}");
    struct session session = rig_dps_session(&rig, 1, "leaf");
    assert_true(connect_device(&rig, &session).is_admitted);
    dps_message(rig.dps, &session, GET "x", NULL, 0);
    CLEANUP_JSON cJSON *body = rig_last_body(&rig);
    assert_string_equal(rig_last_topic(&rig), "$dps/registrations/res/404/?$rid=2");
    assert_int_equal(json_integer(body, "errorCode", 0), 404203);
    assert_string_equal(json_string(body, "message", ""), "Operation not found.");
    finish(&rig, &session);
}

static void silent_service_hears_and_says_nothing(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    rig_scenario(&rig, "{\"is_silent\":true}");
    struct session session = rig_dps_session(&rig, 1, "leaf");
    assert_true(connect_device(&rig, &session).is_admitted);
    send_register(&rig, &session);
    assert_non_null(rig_last_event(&rig, EVENT_DPS_REQUEST));
    assert_int_equal(rig.reply_count, 0);
    assert_int_equal(rig.close_count, 0);
    finish(&rig, &session);
}

static void a_second_connection_ends_none_and_each_gets_its_own_reply(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    rig_enroll(&rig, "{}");
    struct session first = rig_dps_session(&rig, 1, "leaf"), second = rig_dps_session(&rig, 2, "leaf");
    assert_true(connect_device(&rig, &first).is_admitted);
    assert_true(connect_device(&rig, &second).is_admitted);
    assert_int_equal(rig.close_count, 0);
    send_register(&rig, &second);
    send_register(&rig, &first);
    assert_int_equal(rig.reply_count, 2);
    assert_int_equal(rig.replies[0].session, 2);
    assert_int_equal(rig.replies[1].session, 1);
    finish(&rig, &first);
    finish(&rig, &second);
}

static void strict_tls_refuses_in_the_handshake_and_others_wait(void **state)
{
    (void)state;
    enum { YEARS_S = 20 * 365 * 86400 };
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    rig_enroll(&rig, "{}");
    struct session session = rig_dps_session(&rig, 1, "leaf");
    rig.clock.unix_now_us += (int64_t)YEARS_S * 1000000;
    assert_false(dps_needs_certificate(rig.dps));
    assert_int_equal(dps_verify(rig.dps, &session, session.chain), X509_V_OK);
    assert_null(rig_last_event(&rig, EVENT_ATTESTATION_VERDICT));
    /* The certificate's CN stands for the registration id. */
    rig_scenario(&rig, "{\"profile\":\"strict-tls\"}");
    assert_int_equal(dps_verify(rig.dps, &session, session.chain), X509_V_ERR_CERT_HAS_EXPIRED);
    const cJSON *verdict = rig_last_event(&rig, EVENT_ATTESTATION_VERDICT);
    assert_string_equal(json_string(verdict, "surface", ""), "tls-alert");
    assert_string_equal(json_string(verdict, "rule", ""), "leaf.expired");
    /* Too late for an alert: CONNACK 5. */
    assert_int_equal(dps_decide(rig.dps, &session).return_code, 5);
    assert_string_equal(json_string(rig_last_event(&rig, EVENT_ATTESTATION_VERDICT), "surface", ""), "connack");
    rig.clock.unix_now_us -= (int64_t)YEARS_S * 1000000;
    assert_int_equal(dps_verify(rig.dps, &session, session.chain), X509_V_OK);
    rig_close_session(&session);
}

static void polls_are_counted(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    rig_enroll(&rig, "{}");
    rig_scenario(&rig, "{\"has_retry_after\":false,\"polls_until_assigned\":2}");
    struct session session = rig_dps_session(&rig, 1, "leaf");
    assert_true(connect_device(&rig, &session).is_admitted);
    send_register(&rig, &session);
    assert_string_equal(rig_last_topic(&rig), "$dps/registrations/res/202/?$rid=1");
    send_poll(&rig, &session);
    assert_string_equal(rig_last_topic(&rig), "$dps/registrations/res/202/?$rid=2");
    CLEANUP_JSON cJSON *body = rig_last_body(&rig);
    assert_string_equal(json_string(json_member(body, "registrationState"), "status", ""), "assigning");
    send_poll(&rig, &session);
    assert_string_equal(rig_last_topic(&rig), "$dps/registrations/res/200/?$rid=2");
    assert_int_equal(json_integer(rig_last_event(&rig, EVENT_DPS_ASSIGNED), "polls", 0), 2);
    finish(&rig, &session);
}

static void what_cannot_be_written_is_answered_with_500_until_it_can(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    rig_enroll(&rig, "{}");
    struct session session = rig_dps_session(&rig, 1, "leaf");
    assert_true(connect_device(&rig, &session).is_admitted);
    rig.is_disk_full = true;
    send_register(&rig, &session);
    assert_string_equal(rig_last_topic(&rig), "$dps/registrations/res/500/?$rid=1");
    rig.is_disk_full = false;
    send_register(&rig, &session);
    assert_string_equal(rig_last_topic(&rig), "$dps/registrations/res/202/?$rid=1&retry-after=3");
    assert_int_equal(rig.commit_count, 1);
    send_poll(&rig, &session);
    assert_string_equal(rig_last_topic(&rig), "$dps/registrations/res/200/?$rid=2");
    assert_int_equal(rig.commit_count, 2);
    finish(&rig, &session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(assigns_an_enrolled_device_and_tells_the_hub),
        cmocka_unit_test(refuses_after_the_request_and_closes_under_profile_azure),
        cmocka_unit_test(refuses_at_connect_under_profile_connack),
        cmocka_unit_test(disabled_enrollment_shows_in_the_poll),
        cmocka_unit_test(illegal_registration_id_is_answered_with_400),
        cmocka_unit_test(connect_rules_name_both_sides),
        cmocka_unit_test(client_id_may_differ_in_case_alone),
        cmocka_unit_test(grants_the_reply_filter_alone_with_qos_1_at_most),
        cmocka_unit_test(only_requests_may_be_published),
        cmocka_unit_test(warns_of_a_request_before_any_subscription),
        cmocka_unit_test(bad_bodies_are_answered_with_400_and_nothing_starts),
        cmocka_unit_test(unknown_operation_is_answered_with_404203),
        cmocka_unit_test(silent_service_hears_and_says_nothing),
        cmocka_unit_test(a_second_connection_ends_none_and_each_gets_its_own_reply),
        cmocka_unit_test(strict_tls_refuses_in_the_handshake_and_others_wait),
        cmocka_unit_test(polls_are_counted),
        cmocka_unit_test(what_cannot_be_written_is_answered_with_500_until_it_can),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
