/* The small tables of the front door: user names, alerts, verification errors. */
#include "base/cleanup.h"
#include "broker_sim/front_door/alert.h"
#include "broker_sim/front_door/user_name.h"
#include "broker_sim/front_door/verify_error.h"

#include <string.h>

#include "tests/cmocka.h"

static void the_user_name_alone_tells_dps_from_a_hub(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum session_endpoint endpoint;
        const char *id;
    } rows[] = {
        {"0ne000AAAA1/registrations/dev-01/api-version=2019-03-31", SESSION_ENDPOINT_DPS, "dev-01"},
        {"0ne000AAAA1/registrations/dev-01/api-version=2019-03-31&ClientVersion=azure-iot-provisioning-device%2F1.9.1",
         SESSION_ENDPOINT_DPS, "dev-01"},
        {"0ne000AAAA1/registrations/dev-01", SESSION_ENDPOINT_DPS, "dev-01"},
        {"/registrations/dev-01/api-version=2019-03-31", SESSION_ENDPOINT_DPS, "dev-01"},
        {"hub.azure-devices.net/dev-01/?api-version=2020-09-30&DeviceClientType=azsdk-c%2F1.4.0-beta.2", SESSION_ENDPOINT_HUB, "dev-01"},
        {"hub.azure-devices.net/dev-01/api-version=2016-11-14", SESSION_ENDPOINT_HUB, "dev-01"},
        {"localhost:18883/dev-01/module-a/?api-version=2021-04-12", SESSION_ENDPOINT_HUB, "dev-01"},
        {"hub/registrations/?api-version=2021-04-12", SESSION_ENDPOINT_HUB, "registrations"},
        {"hub/dev-01/?api-version=2021-04-12/with/slashes/behind", SESSION_ENDPOINT_HUB, "dev-01"},
        {"", SESSION_ENDPOINT_UNKNOWN, NULL},
        {"user", SESSION_ENDPOINT_UNKNOWN, NULL},
        {"hub.azure-devices.net/dev-01", SESSION_ENDPOINT_UNKNOWN, NULL},
        {"0ne000AAAA1/registrations/", SESSION_ENDPOINT_UNKNOWN, NULL},
        {"0ne000AAAA1/registration/dev-01/x", SESSION_ENDPOINT_UNKNOWN, NULL},
        {"//?api-version=2021-04-12", SESSION_ENDPOINT_UNKNOWN, NULL},
        {"a/b/c/d/e/f/g", SESSION_ENDPOINT_UNKNOWN, NULL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct user_name name = user_name_parse(rows[i].text);
        assert_int_equal(name.endpoint, rows[i].endpoint);
        if (!rows[i].id) {
            assert_null(name.id);
            continue;
        }
        assert_int_equal(name.id_bytes, strlen(rows[i].id));
        assert_memory_equal(name.id, rows[i].id, name.id_bytes);
    }
    assert_string_equal(endpoint_name(SESSION_ENDPOINT_DPS), "dps");
    assert_string_equal(endpoint_name(SESSION_ENDPOINT_HUB), "hub");
    assert_string_equal(endpoint_name(SESSION_ENDPOINT_UNKNOWN), "unknown");
}

static void alerts_carry_the_names_of_the_rfc(void **state)
{
    (void)state;
    assert_string_equal(alert_name(0), "close_notify");
    assert_string_equal(alert_name(42), "bad_certificate");
    assert_string_equal(alert_name(45), "certificate_expired");
    assert_string_equal(alert_name(48), "unknown_ca");
    assert_string_equal(alert_name(51), "decrypt_error");
    assert_string_equal(alert_name(116), "certificate_required");
    assert_string_equal(alert_name(255), "unassigned");
}

static void verification_errors_carry_the_names_of_openssl(void **state)
{
    (void)state;
    assert_string_equal(verify_error_name(10), "X509_V_ERR_CERT_HAS_EXPIRED");
    assert_string_equal(verify_error_name(18), "X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT");
    assert_string_equal(verify_error_name(20), "X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY");
    assert_string_equal(verify_error_name(66), "X509_V_ERR_EE_KEY_TOO_SMALL");
    assert_string_equal(verify_error_name(9999), "X509_V_ERR_UNSPECIFIED");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_user_name_alone_tells_dps_from_a_hub),
        cmocka_unit_test(alerts_carry_the_names_of_the_rfc),
        cmocka_unit_test(verification_errors_carry_the_names_of_openssl),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
