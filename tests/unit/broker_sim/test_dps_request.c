#include "broker_sim/dps/request.h"
#include "broker_sim/dps/user_name.h"
#include "broker_sim/hub/user_name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cmocka.h"

#define PUT "$dps/registrations/PUT/iotdps-register/"
#define GET "$dps/registrations/GET/iotdps-get-operationstatus/"

static void assert_slice(struct slice slice, const char *expected)
{
    assert_int_equal(slice.length, strlen(expected));
    assert_memory_equal(slice.text, expected, slice.length);
}

static void reads_request_topics(void **state)
{
    (void)state;
    static const struct {
        const char *topic;
        enum dps_operation operation;
        const char *rid;
        const char *operation_id;
    } rows[] = {
        {PUT "?$rid=1", DPS_REGISTER, "1", ""},
        {PUT "?$rid=a b/c=d?e", DPS_REGISTER, "a b/c=d?e", ""},
        {GET "?$rid=1&operationId=5.71cf.4469", DPS_STATUS, "1", "5.71cf.4469"},
        {GET "?operationId=x&$rid=2", DPS_STATUS, "2", "x"},
        {GET "?$rid=1&$rid=2", DPS_STATUS, "1", ""},
        {PUT "?$ridx=1", DPS_REGISTER, "", ""},
        {PUT "?$rid=", DPS_REGISTER, "", ""},
        {PUT "?", DPS_REGISTER, "", ""},
        {PUT, DPS_REGISTER, "", ""},
        {PUT "$rid=1", DPS_REGISTER, "", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct dps_request request;
        assert_int_equal(dps_request_read(rows[i].topic, &request, NULL), 0);
        assert_int_equal(request.operation, rows[i].operation);
        assert_slice(request.rid, rows[i].rid);
        assert_slice(request.operation_id, rows[i].operation_id);
    }
}

static void refuses_other_topics(void **state)
{
    (void)state;
    static const char *const topics[] = {"", "$dps/registrations/PUT/iotdps-register", "$dps/registrations/res/202/?$rid=1",
                                         "devices/x/messages/events/"};
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++) {
        struct dps_request request;
        struct error error = ERROR_INIT;
        assert_int_equal(dps_request_read(topics[i], &request, &error), -1);
        assert_int_equal(error.owner, ERROR_OWNER_DEVICE);
        assert_false(dps_topic_is_request(topics[i]));
    }
}

static int check_bytes(const char *body, size_t length_bytes, struct error *error)
{
    struct register_body read = {.json = NULL};
    int rc = dps_register_body_read(body, length_bytes, "dev-01", &read, error);
    register_body_done(&read);
    return rc;
}

static int check_body(const char *body, struct error *error)
{
    return check_bytes(body, strlen(body), error);
}

static void accepts_the_bodies_that_clients_send(void **state)
{
    (void)state;
    assert_int_equal(check_bytes(NULL, 0, NULL), 0);
    assert_int_equal(check_body("{\"registrationId\":\"dev-01\"}", NULL), 0);
    assert_int_equal(check_body("{\"registrationId\":\"DEV-01\",\"payload\":{\"a\":[1]}}", NULL), 0);
    assert_int_equal(check_body("{\"payload\":{\"modelId\":\"dtmi:com:example:Thermostat;1\"}}", NULL), 0);
    assert_int_equal(check_body("{}", NULL), 0);
}

static void refuses_bodies_that_are_broken_or_of_another_device(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        enum error_code code;
    } rows[] = {
        {"{\"registrationId\":", ERROR_SYNTAX},
        {"[]", ERROR_SYNTAX},
        {" ", ERROR_SYNTAX},
        {"{} x", ERROR_SYNTAX},
        {"{\"registrationId\":\"dev-02\"}", ERROR_CONFLICT},
        {"{\"registrationId\":7}", ERROR_CONFLICT},
        {"{\"csr\":{}}", ERROR_SYNTAX},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct error error = ERROR_INIT;
        assert_int_equal(check_body(rows[i].body, &error), -1);
        assert_int_equal(error.code, rows[i].code);
        assert_int_equal(error.owner, ERROR_OWNER_DEVICE);
    }
}

static void names_both_registration_ids_of_a_mismatch(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    assert_int_equal(check_body("{\"registrationId\":\"dev-02\"}", &error), -1);
    assert_non_null(strstr(error.text, "dev-01"));
    assert_non_null(strstr(error.text, "dev-02"));
}

static void refuses_a_body_above_the_limit_of_the_service(void **state)
{
    (void)state;
    char *large = malloc(REGISTER_BODY_MAX_BYTES + 1);
    memset(large, ' ', REGISTER_BODY_MAX_BYTES + 1);
    struct error error = ERROR_INIT;
    assert_int_equal(check_bytes(large, REGISTER_BODY_MAX_BYTES + 1, &error), -1);
    assert_int_equal(error.code, ERROR_LIMIT);
    free(large);
}

static void reads_the_user_names_of_known_clients(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *api_version;
    } rows[] = {
        {"0ne000AAAA1/registrations/dev-01/api-version=2019-03-31", "2019-03-31"},
        {"0ne000AAAA1/registrations/dev-01/api-version=2019-03-31&ClientVersion=azure-iot-provisioning-device%2F1.9.1", "2019-03-31"},
        {"0ne000AAAA1/registrations/dev-01/ClientVersion=1.6.0&api-version=2021-06-01", "2021-06-01"},
        {"0ne000AAAA1/registrations/dev-01/api-version=2025-07-01-preview", "2025-07-01-preview"},
        {"0ne000AAAA1/registrations/dev-01/api-version=1", ""},
        {"0ne000AAAA1/registrations/dev-01/api-version=", ""},
        {"0ne000AAAA1/registrations/dev-01/", ""},
        {"0ne000AAAA1/registrations/dev-01/xapi-version=2019-03-31", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct dps_user_name name;
        assert_int_equal(dps_user_name_read(rows[i].text, &name, NULL), 0);
        assert_string_equal(name.id_scope, "0ne000AAAA1");
        assert_string_equal(name.registration_id, "dev-01");
        assert_string_equal(name.api_version, rows[i].api_version);
    }
}

static void refuses_user_names_of_another_form_and_says_the_right_one(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "dev-01",
        "/registrations/dev-01/api-version=2019-03-31",
        "0ne/registrations//api-version=2019-03-31",
        "0ne/registrations/dev-01",
        "0ne/registration/dev-01/api-version=2019-03-31",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct dps_user_name name = {.id_scope = "untouched"};
        struct error error = ERROR_INIT;
        assert_int_equal(dps_user_name_read(rows[i], &name, &error), -1);
        assert_non_null(strstr(error.text, "{idScope}/registrations/{registrationId}/api-version="));
        assert_string_equal(name.id_scope, "untouched");
    }
}

static void leaves_the_characters_of_a_registration_id_to_the_judge(void **state)
{
    (void)state;
    char id[CLAIMED_ID_MAX_BYTES + 2], text[512];
    struct dps_user_name name;
    assert_int_equal(dps_user_name_read("0ne/registrations/dev 01./api-version=2019-03-31", &name, NULL), 0);
    assert_string_equal(name.registration_id, "dev 01.");
    memset(id, 'a', sizeof id);
    id[CLAIMED_ID_MAX_BYTES] = 0;
    snprintf(text, sizeof text, "0ne/registrations/%s/api-version=2019-03-31", id);
    assert_int_equal(dps_user_name_read(text, &name, NULL), 0);
    snprintf(text, sizeof text, "0ne/registrations/a%s/api-version=2019-03-31", id);
    assert_int_equal(dps_user_name_read(text, &name, NULL), -1);
}

static void reads_hub_user_names_in_both_forms(void **state)
{
    (void)state;
    static const char *const rows[] = {"h.azure-devices.net/dev-01/?api-version=2020-09-30&DeviceClientType=azsdk-c%2F1.4.0-beta.2",
                                       "h.azure-devices.net/dev-01/api-version=2016-11-14"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct hub_user_name name;
        assert_int_equal(hub_user_name_read(rows[i], &name, NULL), 0);
        assert_string_equal(name.hub, "h.azure-devices.net");
        assert_string_equal(name.device_id, "dev-01");
    }
}

static void refuses_other_hub_user_names(void **state)
{
    (void)state;
    static const char *const rows[] = {"", "h", "h/", "h/dev-01", "h/dev-01/", "/dev-01/?api-version=1", "h//?api-version=1"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct hub_user_name name;
        assert_int_equal(hub_user_name_read(rows[i], &name, NULL), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_request_topics),
        cmocka_unit_test(refuses_other_topics),
        cmocka_unit_test(accepts_the_bodies_that_clients_send),
        cmocka_unit_test(refuses_bodies_that_are_broken_or_of_another_device),
        cmocka_unit_test(names_both_registration_ids_of_a_mismatch),
        cmocka_unit_test(refuses_a_body_above_the_limit_of_the_service),
        cmocka_unit_test(reads_the_user_names_of_known_clients),
        cmocka_unit_test(refuses_user_names_of_another_form_and_says_the_right_one),
        cmocka_unit_test(leaves_the_characters_of_a_registration_id_to_the_judge),
        cmocka_unit_test(reads_hub_user_names_in_both_forms),
        cmocka_unit_test(refuses_other_hub_user_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
