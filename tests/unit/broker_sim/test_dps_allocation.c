#include "base/cleanup.h"
#include "broker_sim/dps/allocation.h"
#include "broker_sim/dps/api_version.h"
#include "broker_sim/dps/custom_allocation.h"

#include <string.h>

#include "tests/cmocka.h"

static struct linked_hubs linked_of(const char *text)
{
    struct linked_hubs hubs;
    struct error error = ERROR_INIT;
    CLEANUP_JSON cJSON *json = text ? cJSON_Parse(text) : NULL;
    linked_hubs_init(&hubs);
    if (text && linked_hubs_read_json(json, &hubs, &error))
        fail_msg("%s", error.text);
    return hubs;
}

/* The chosen hub; "custom" when a webhook is to be asked, "none" without any. */
static const char *hub_for(const char *enrollment, const char *linked_text, const char *id, const char *current)
{
    static char hub[64];
    CLEANUP_JSON cJSON *json = cJSON_Parse(enrollment);
    struct linked_hubs linked = linked_of(linked_text);
    const struct allocation_question question = {.enrollment = json, .linked = &linked, .registration_id = id, .current_hub = current};
    struct allocation allocation = allocation_make(&question);
    bool is_custom = allocation.policy == ALLOCATION_CUSTOM && allocation.count;
    snprintf(hub, sizeof hub, "%s", allocation.hub ? allocation.hub : is_custom ? "custom" : "none");
    return hub;
}

#define TWO "{\"properties\":{\"iotHubs\":[{\"name\":\"a\"},{\"name\":\"b\"}]}}"
#define STATIC_DEFAULT "{\"properties\":{\"allocationPolicy\":\"Static\",\"iotHubs\":[{\"name\":\"b\"},{\"name\":\"a\"}]}}"
#define NOT_APPLIED                                                                                                                        \
    "{\"properties\":{\"iotHubs\":[{\"name\":\"a\",\"applyAllocationPolicy\":false},{\"name\":\"b\",\"allocationWeight\":5}]}}"
#define NONE "{\"properties\":{\"iotHubs\":[]}}"

static void hubs_come_from_the_enrollment_and_what_is_linked(void **state)
{
    (void)state;
    static const struct {
        const char *enrollment, *linked, *current, *hub;
    } rows[] = {
        {"{}", NULL, "", LINKED_HUB_DEFAULT},
        {"{\"iotHubs\":[]}", NULL, "", LINKED_HUB_DEFAULT},
        {"{\"iotHubs\":null,\"iotHubHostName\":\"x\"}", NULL, "", "x"},
        {"{\"iotHubs\":[\"y\"],\"iotHubHostName\":\"x\"}", NULL, "", "y"},
        {"{\"iotHubs\":[\"y\",\"x\"],\"allocationPolicy\":\"static\"}", NULL, "", "y"},
        {"{\"iotHubs\":[\"y\",\"x\"],\"allocationPolicy\":\"custom\"}", NULL, "", "custom"},
        {"{}", STATIC_DEFAULT, "", "b"},
        {"{\"iotHubs\":[\"x\",\"B\"]}", TWO, "", "B"},
        {"{\"iotHubs\":[\"x\"]}", TWO, "", "none"},
        {"{\"iotHubHostName\":\"x\"}", TWO, "", "none"},
        {"{}", NOT_APPLIED, "", "b"},
        {"{\"iotHubs\":[\"a\"]}", NOT_APPLIED, "", "a"},
        {"{}", NONE, "", "none"},
        {"{\"allocationPolicy\":\"custom\"}", NONE, "", "none"},
        /* never: where it is, whatever the enrollment says now */
        {"{\"iotHubs\":[\"a\"],\"reprovisionPolicy\":{\"updateHubAssignment\":false,\"migrateDeviceData\":false}}", TWO, "b", "b"},
        {"{\"iotHubs\":[\"a\"],\"reprovisionPolicy\":{\"updateHubAssignment\":false}}", TWO, "", "a"},
        {"{\"iotHubs\":[\"a\"],\"reprovisionPolicy\":{\"updateHubAssignment\":true}}", TWO, "b", "a"},
        {"{\"iotHubs\":[\"a\"]}", TWO, "b", "a"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const char *hub = hub_for(rows[i].enrollment, rows[i].linked, "dev-02", rows[i].current);
        if (strcmp(hub, rows[i].hub) != 0)
            fail_msg("row %zu: %s in place of %s", i, hub, rows[i].hub);
    }
}

static void hashed_allocation_is_stable_and_uses_every_hub_by_its_weight(void **state)
{
    (void)state;
    static const char three[] = "{\"iotHubs\":[\"b\",\"c\",\"d\"],\"allocationPolicy\":\"geoLatency\"}";
    static const char weighted[] =
        "{\"properties\":{\"iotHubs\":[{\"name\":\"a\",\"allocationWeight\":9},{\"name\":\"b\"},{\"name\":\"c\",\"allocationWeight\":0}]}}";
    int count_b = 0, count_a = 0;
    char id[16], upper[16], hub[64];
    for (int i = 0; i < 100; i++) {
        snprintf(id, sizeof id, "dev-%d", i);
        snprintf(upper, sizeof upper, "DEV-%d", i);
        snprintf(hub, sizeof hub, "%s", hub_for(three, NULL, id, ""));
        assert_string_equal(hub, hub_for(three, NULL, upper, ""));
        count_b += strcmp(hub, "b") == 0;
        snprintf(hub, sizeof hub, "%s", hub_for("{}", weighted, id, ""));
        assert_string_not_equal(hub, "c");
        count_a += strcmp(hub, "a") == 0;
    }
    assert_in_range(count_b, 15, 60);
    assert_in_range(count_a, 75, 99);
}

static void substatus_follows_from_where_the_device_was(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after;
        enum reprovision_policy policy;
        const char *substatus;
    } rows[] = {
        {"", "a", REPROVISION_MIGRATE, "initialAssignment"},
        {"", "a", REPROVISION_NEVER, "initialAssignment"},
        {"a", "A", REPROVISION_MIGRATE, "reprovisionedToInitialAssignment"},
        {"a", "a", REPROVISION_RESET, "reprovisionedToInitialAssignment"},
        {"a", "a", REPROVISION_NEVER, "reprovisionedToInitialAssignment"},
        {"a", "b", REPROVISION_MIGRATE, "deviceDataMigrated"},
        {"a", "b", REPROVISION_RESET, "deviceDataReset"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        assert_string_equal(registration_substatus_name(allocation_substatus(rows[i].before, rows[i].after, rows[i].policy)),
                            rows[i].substatus);
}

static void old_api_versions_stay_where_no_policy_is_set(void **state)
{
    (void)state;
    struct linked_hubs linked = linked_of(TWO);
    static const struct {
        const char *version, *enrollment;
        enum reprovision_policy policy;
    } rows[] = {
        {"2018-04-01", "{}", REPROVISION_NEVER},
        {"2017-08-31-preview", "{}", REPROVISION_NEVER},
        {"2018-09-01-preview", "{}", REPROVISION_MIGRATE},
        {"2019-03-31", "{}", REPROVISION_MIGRATE},
        {"2018-04-01", "{\"reprovisionPolicy\":{\"updateHubAssignment\":true,\"migrateDeviceData\":false}}", REPROVISION_RESET},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CLEANUP_JSON cJSON *json = cJSON_Parse(rows[i].enrollment);
        const struct allocation_question question = {.enrollment = json,
                                                     .linked = &linked,
                                                     .registration_id = "dev-01",
                                                     .current_hub = "a",
                                                     .is_sticky = api_version_read(rows[i].version).is_sticky};
        assert_int_equal(allocation_make(&question).reprovision, rows[i].policy);
    }
    assert_true(api_version_read("2025-07-01-preview").has_csr);
    assert_false(api_version_read("2021-10-01").has_csr);
}

static void a_wrong_service_file_is_refused_with_its_member(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"{}", "service.json: properties: is missing"},
        {"{\"properties\":{}}", "service.json: properties.iotHubs: must be a list"},
        {"{\"properties\":{\"iotHubs\":[{}]}}", "properties.iotHubs[].name: must be a host name"},
        {"{\"properties\":{\"iotHubs\":[{\"name\":\"a\"},{\"name\":\"A\"}]}}", "A: is listed twice"},
        {"{\"properties\":{\"iotHubs\":[{\"name\":\"a\",\"allocationWeight\":-1}]}}", "allocationWeight: must be"},
        {"{\"properties\":{\"iotHubs\":[{\"name\":\"a\",\"allocationWeight\":\"5\"}]}}", "allocationWeight: must be"},
        {"{\"properties\":{\"iotHubs\":[{\"name\":\"a\",\"applyAllocationPolicy\":1}]}}", "applyAllocationPolicy: must be true or false"},
        {"{\"properties\":{\"iotHubs\":[],\"allocationPolicy\":\"nearest\"}}", "properties.allocationPolicy: must be"},
        {"{\"properties\":{\"iotHubs\":[],\"allocationPolicy\":\"custom\"}}", "properties.allocationPolicy: must be"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CLEANUP_JSON cJSON *json = cJSON_Parse(rows[i].text);
        struct linked_hubs hubs = {.count = 7};
        struct error error = ERROR_INIT;
        assert_int_equal(linked_hubs_read_json(json, &hubs, &error), -1);
        if (!strstr(error.text, rows[i].expected))
            fail_msg("%s", error.text);
        assert_int_equal(hubs.count, 7);
    }
}

static const char enrollment_text[] =
    "{\"registrationId\":\"dev-01\",\"etag\":\"IjEyMDA4NmYyLTAwMDAtMDMwMC0wMDAwLTYzMGE1YTBmMDAwMCI=\",\"attestation\":{\"type\":"
    "\"symmetricKey\","
    "\"symmetricKey\":{\"primaryKey\":\"secret\"}},\"customAllocationDefinition\":{\"webhookUrl\":\"http://127.0.0.1/a?code=secret\","
    "\"apiVersion\":\"2021-10-01\"}}";

static void a_webhook_is_asked_as_the_documentation_shows_and_gets_no_secret(void **state)
{
    (void)state;
    CLEANUP_JSON cJSON *enrollment = cJSON_Parse(enrollment_text), *payload = cJSON_Parse("{\"model\":7}");
    const struct allocation allocation = {.hubs = {"a", "b"}, .count = 2};
    struct custom_question question = {.enrollment = enrollment,
                                       .has_symmetric_key = true,
                                       .registration_id = "dev-01",
                                       .current_hub = "a",
                                       .current_device_id = "meter-7",
                                       .payload = payload,
                                       .allocation = &allocation};
    CLEANUP_JSON cJSON *request = custom_allocation_request(&question);
    CLEANUP_FREE char *text = json_print_line(request);
    assert_string_equal(
        text, "{\"individualEnrollment\":{\"registrationId\":\"dev-01\",\"etag\":\"\\\"120086f2-0000-0300-0000-630a5a0f0000\\\"\","
              "\"attestation\":"
              "{\"type\":\"symmetricKey\"},\"customAllocationDefinition\":{\"webhookUrl\":\"http://127.0.0.1/"
              "a?****\",\"apiVersion\":\"2021-10-01\"}},"
              "\"deviceRuntimeContext\":{\"registrationId\":\"dev-01\",\"currentIotHubHostName\":\"a\",\"currentDeviceId\":\"meter-7\","
              "\"symmetricKey\":{},\"payload\":{\"model\":7}},\"linkedHubs\":[\"a\",\"b\"]}");
    question.current_hub = "";
    question.payload = NULL;
    question.is_group = true;
    question.has_symmetric_key = false;
    CLEANUP_JSON cJSON *first = custom_allocation_request(&question);
    CLEANUP_FREE char *context = json_print_line(json_member(first, "deviceRuntimeContext"));
    assert_string_equal(context, "{\"registrationId\":\"dev-01\",\"x509\":{}}");
    assert_non_null(json_member(first, "enrollmentGroup"));
}

static void a_webhooks_answer_is_read_or_named(void **state)
{
    (void)state;
    CLEANUP_JSON cJSON *hubs = cJSON_Parse("[\"Hub-A\",\"b\"]");
    static const struct {
        const char *text, *expected; /* NULL: good */
    } rows[] = {
        {"{\"iotHubHostName\":\"hub-a\",\"initialTwin\":{\"tags\":{\"t\":1}},\"payload\":[1]}", NULL},
        {"{\"iotHubHostName\":\"b\",\"initialTwin\":null,\"payload\":null}", NULL},
        {"", "the webhook's answer"},
        {"[]", "not an object"},
        {"{\"iotHubHostName\":7}", "no iotHubHostName"},
        {"{\"iotHubHostName\":\"c\"}", "'c', which is none of linkedHubs"},
        {"{\"iotHubHostName\":\"b\",\"initialTwin\":[]}", "initialTwin that is not an object"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct custom_reply reply = {.hub = "untouched"};
        struct error error = ERROR_INIT;
        int rc = custom_allocation_read(rows[i].text, strlen(rows[i].text), hubs, &reply, &error);
        assert_int_equal(rc, rows[i].expected ? -1 : 0);
        if (rows[i].expected && !strstr(error.text, rows[i].expected))
            fail_msg("%s", error.text);
        assert_string_equal(reply.hub, rows[i].expected ? "untouched" : i == 0 ? "Hub-A" : "b");
        if (i == 0)
            assert_string_equal(reply.initial_twin, "{\"tags\":{\"t\":1}}");
        if (i == 0)
            assert_string_equal(reply.payload, "[1]");
        else
            assert_null(reply.payload);
        custom_reply_done(&reply);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hubs_come_from_the_enrollment_and_what_is_linked),
        cmocka_unit_test(hashed_allocation_is_stable_and_uses_every_hub_by_its_weight),
        cmocka_unit_test(substatus_follows_from_where_the_device_was),
        cmocka_unit_test(old_api_versions_stay_where_no_policy_is_set),
        cmocka_unit_test(a_wrong_service_file_is_refused_with_its_member),
        cmocka_unit_test(a_webhook_is_asked_as_the_documentation_shows_and_gets_no_secret),
        cmocka_unit_test(a_webhooks_answer_is_read_or_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
