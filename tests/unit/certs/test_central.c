/* What IoT Central decides about devices: each status, each rule, and what stays on disk. */
#include "certs/central.h"
#include "tests/unit/certs/support.h"

#include "tests/cmocka.h"

DEFINE_CLEANUP(struct central *, central_free)
#define CLEANUP_CENTRAL CLEANUP(central_free_cleanup)

static struct central *open_in(const struct scratch *scratch)
{
    struct central *central = NULL;
    struct error error = ERROR_INIT;
    if (central_open(scratch->dir, &clock_system, &central, &error))
        fail_msg("%s", error.text);
    return central;
}

static struct central_application *put(struct central *central, const char *text)
{
    struct central_application *application = NULL;
    struct error error = ERROR_INIT;
    CLEANUP_JSON cJSON *json = cJSON_Parse(text);
    if (central_put(central, json, &application, &error))
        fail_msg("%s", error.text);
    return application;
}

static void refuse_put(struct central *central, const char *text, enum error_code code, const char *part)
{
    struct central_application *application = NULL;
    struct error error = ERROR_INIT;
    CLEANUP_JSON cJSON *json = cJSON_Parse(text);
    assert_int_equal(central_put(central, json, &application, &error), -1);
    assert_int_equal(error.code, code);
    if (!strstr(error.text, part))
        fail_msg("'%s' is not in '%s'", part, error.text);
    assert_null(application);
}

static struct central_answer admit(struct central_application *application, const char *id, bool is_group, const char *payload)
{
    CLEANUP_JSON cJSON *json = payload ? cJSON_Parse(payload) : NULL;
    struct central_answer answer;
    const struct central_applicant applicant = {.id = id, .is_group = is_group, .payload = json};
    assert_int_equal(central_admit(application, &applicant, &answer, NULL), 0);
    return answer;
}

static void is_status(const struct central_application *application, const char *id, const char *status)
{
    CLEANUP_JSON cJSON *device = central_device_get(application, id, NULL);
    assert_non_null(device);
    assert_string_equal(json_string(device, "deviceStatus", ""), status);
}

static void create(struct central_application *application, const char *text)
{
    CLEANUP_JSON cJSON *json = cJSON_Parse(text);
    struct error error = ERROR_INIT;
    if (central_device_create(application, json, &error))
        fail_msg("%s", error.text);
}

static void an_application_has_defaults_and_keeps_its_id_scope(void **unused)
{
    (void)unused;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    CLEANUP_CENTRAL struct central *central = open_in(&scratch);
    struct central_application *application = put(central, "{\"name\":\"one\"}");
    const char *id_scope = central_application_id_scope(application);
    assert_int_equal(strlen(id_scope), 11);
    assert_true(json_bool(central_application_json(application), "autoApprove", false));
    assert_string_equal(central_device_hub(application, "any"), "iotc-one-1.azure-devices.net");
    assert_ptr_equal(put(central, "{\"name\":\"one\",\"autoApprove\":false}"), application);
    assert_ptr_equal(central_application_id_scope(application), id_scope);
    refuse_put(central, "{\"name\":\"one\",\"idScope\":\"0neOTHER\"}", ERROR_USAGE, "keeps its ID scope");
    CLEANUP_CENTRAL struct central *again = open_in(&scratch);
    assert_int_equal(central_count(again), 1);
    assert_string_equal(central_application_id_scope(central_at(again, 0)), id_scope);
    assert_false(json_bool(central_application_json(central_at(again, 0)), "autoApprove", true));
}

static void refuses_what_is_no_application(void **unused)
{
    (void)unused;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    CLEANUP_CENTRAL struct central *central = open_in(&scratch);
    put(central, "{\"name\":\"one\",\"idScope\":\"0ne1\"}");
    static const struct {
        const char *text;
        enum error_code code;
        const char *part;
    } bad[] = {
        {"{}", ERROR_SYNTAX, "name"},
        {"{\"name\":\"../x\"}", ERROR_SYNTAX, "'../x' is not"},
        {"{\"name\":\"Big\"}", ERROR_SYNTAX, "'Big' is not"},
        {"{\"name\":\"two\",\"idScope\":\"0ne1\"}", ERROR_EXISTS, "that of application 'one'"},
        {"{\"name\":\"two\",\"idScope\":\"a/b\"}", ERROR_SYNTAX, "no letter and no digit"},
        {"{\"name\":\"two\",\"autoApprove\":1}", ERROR_SYNTAX, "true or false"},
        {"{\"name\":\"two\",\"hubs\":[1]}", ERROR_SYNTAX, "list of texts"},
        {"{\"name\":\"two\",\"deviceTemplates\":[{}]}", ERROR_SYNTAX, "modelId"},
        {"{\"name\":\"two\",\"autoAprove\":true}", ERROR_SYNTAX, "did you mean 'autoApprove'?"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        refuse_put(central, bad[i].text, bad[i].code, bad[i].part);
    assert_int_equal(central_count(central), 1);
}

static void a_device_goes_through_its_statuses(void **unused)
{
    (void)unused;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    CLEANUP_CENTRAL struct central *central = open_in(&scratch);
    struct central_application *application =
        put(central, "{\"name\":\"one\",\"autoApprove\":false,\"deviceTemplates\":[{\"modelId\":\"dtmi:a;1\"}]}");
    struct central_answer answer = admit(application, "dev-01", true, NULL);
    assert_false(answer.is_admitted);
    assert_string_equal(answer.rule, "central.not-approved");
    assert_int_equal(answer.error_code, 400209);
    assert_non_null(strstr(answer.mend, "dpsbench central device approve --app-id one --device-id dev-01"));
    is_status(application, "DEV-01", "waitingForApproval");
    assert_int_equal(central_device_change(application, "dev-01", CENTRAL_APPROVE, NULL, NULL), 0);
    assert_true(admit(application, "dev-01", true, "{\"modelId\":\"dtmi:unknown;1\"}").is_admitted);
    is_status(application, "dev-01", "registered");
    assert_int_equal(central_device_set_provisioned(application, "dev-01", NULL), 0);
    is_status(application, "dev-01", "unassociated");
    assert_true(admit(application, "dev-01", true, "{\"iotcModelId\":\"dtmi:a;1\"}").is_admitted);
    is_status(application, "dev-01", "provisioned");
    assert_int_equal(central_device_change(application, "dev-01", CENTRAL_BLOCK, NULL, NULL), 0);
    assert_string_equal(admit(application, "dev-01", true, NULL).rule, "central.blocked");
    CLEANUP_CENTRAL struct central *again = open_in(&scratch);
    is_status(central_at(again, 0), "dev-01", "blocked");
    assert_int_equal(central_device_change(application, "dev-01", CENTRAL_UNBLOCK, NULL, NULL), 0);
    is_status(application, "dev-01", "provisioned");
}

static void a_new_device_comes_with_a_group_and_a_plain_id(void **unused)
{
    (void)unused;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    CLEANUP_CENTRAL struct central *central = open_in(&scratch);
    struct central_application *application = put(central, "{\"name\":\"one\"}");
    assert_true(admit(application, "dev-01", true, NULL).is_admitted);
    assert_string_equal(admit(application, "dev.02", true, NULL).rule, "central.device-id");
    assert_string_equal(admit(application, "dev-03", false, NULL).rule, "central.no-device");
    CLEANUP_JSON cJSON *devices = central_device_list(application);
    assert_int_equal(cJSON_GetArraySize(devices), 1);
    create(application, "{\"id\":\"dev.02\"}");
    assert_true(admit(application, "dev.02", true, NULL).is_admitted);
}

static void an_individual_certificate_is_issued_by_the_device_itself(void **unused)
{
    (void)unused;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    CLEANUP_CENTRAL struct central *central = open_in(&scratch);
    struct central_application *application = put(central, "{\"name\":\"one\"}");
    CLEANUP_PKI struct pki *alone = forge_builtin("device/self-signed"), *signed_by_root = forge_builtin("device/root-leaf");
    create(application, "{\"id\":\"dev-01\"}");
    struct central_answer answer;
    struct central_applicant applicant = {.id = "dev-01", .leaf = pki_certificate(alone, "leaf")};
    assert_non_null(applicant.leaf);
    assert_int_equal(central_admit(application, &applicant, &answer, NULL), 0);
    assert_true(answer.is_admitted);
    applicant.leaf = pki_certificate(signed_by_root, "leaf");
    assert_non_null(applicant.leaf);
    assert_int_equal(central_admit(application, &applicant, &answer, NULL), 0);
    assert_string_equal(answer.rule, "central.common-names");
    assert_int_equal(answer.error_code, 401002);
    applicant.is_group = true;
    assert_int_equal(central_admit(application, &applicant, &answer, NULL), 0);
    assert_true(answer.is_admitted);
}

static void a_device_moves_around_the_hubs(void **unused)
{
    (void)unused;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    CLEANUP_CENTRAL struct central *central = open_in(&scratch);
    struct central_application *application = put(central, "{\"name\":\"one\",\"hubs\":[\"a\",\"b\"]}");
    struct error error = ERROR_INIT;
    create(application, "{\"id\":\"dev-01\"}");
    assert_int_equal(central_device_change(application, "dev-01", CENTRAL_MOVE, NULL, NULL), 0);
    assert_string_equal(central_device_hub(application, "dev-01"), "b");
    assert_int_equal(central_device_change(application, "dev-01", CENTRAL_MOVE, NULL, NULL), 0);
    assert_string_equal(central_device_hub(application, "dev-01"), "a");
    assert_int_equal(central_device_change(application, "dev-01", CENTRAL_MOVE, "A", &error), -1);
    assert_non_null(strstr(error.text, "is at hub 'a' already"));
    assert_int_equal(central_device_change(application, "dev-01", CENTRAL_MOVE, "c", NULL), 0);
    assert_string_equal(central_device_hub(application, "dev-01"), "c");
}

static void a_broken_file_leaves_the_devices_as_they_were(void **unused)
{
    (void)unused;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    CLEANUP_CENTRAL struct central *central = open_in(&scratch);
    struct central_application *application = put(central, "{\"name\":\"one\"}");
    struct error error = ERROR_INIT;
    create(application, "{\"id\":\"dev-01\"}");
    write_text(scratch_path(&scratch, "central/one/devices/a.json"), "{\"id\":1}");
    assert_int_equal(central_reload(central, NULL, &error), -1);
    assert_non_null(strstr(error.text, "devices/a.json: id: is missing"));
    is_status(application, "dev-01", "registered");
    write_text(scratch_path(&scratch, "central/one/devices/a.json"), "{\"id\":\"dev-02\"}");
    assert_int_equal(central_reload(central, NULL, NULL), 0);
    is_status(application, "dev-01", "registered");
    is_status(application, "dev-02", "registered");
}

static void methods_name_what_is_missing(void **unused)
{
    (void)unused;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    CLEANUP_CENTRAL struct central *central = open_in(&scratch);
    put(central, "{\"name\":\"one\"}");
    static const struct {
        const char *method, *params, *part;
    } bad[] = {
        {"central.put", "{}", "'application' is missing"},
        {"centralDevice.get", "{\"application\":\"one\"}", "'deviceId' is missing"},
        {"centralDevice.get", "{\"application\":\"one\",\"deviceId\":\"x\"}", "has no device 'x'"},
        {"centralDevice.list", "{\"application\":\"on\"}", "there are: one"},
        {"centralDevice.put", "{\"application\":\"one\",\"device\":{\"id\":\"a b\"}}", "device id 'a b'"},
        {"centralDevice.put", "{\"application\":\"one\",\"device\":{\"id\":\"a\",\"template\":\"dtmi:x;1\"}}",
         "has no template 'dtmi:x;1'"},
        {"centralDevice.change", "{\"application\":\"one\",\"deviceId\":\"x\",\"action\":\"fly\"}", "'fly' is none"},
        {"central.fly", "{}", "no method 'central.fly'"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        CLEANUP_JSON cJSON *params = cJSON_Parse(bad[i].params), *result = NULL;
        struct error error = ERROR_INIT;
        assert_int_equal(central_call(central, bad[i].method, params, &result, &error), -1);
        if (!strstr(error.text, bad[i].part))
            fail_msg("'%s' is not in '%s'", bad[i].part, error.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_application_has_defaults_and_keeps_its_id_scope),
        cmocka_unit_test(refuses_what_is_no_application),
        cmocka_unit_test(a_device_goes_through_its_statuses),
        cmocka_unit_test(a_new_device_comes_with_a_group_and_a_plain_id),
        cmocka_unit_test(an_individual_certificate_is_issued_by_the_device_itself),
        cmocka_unit_test(a_device_moves_around_the_hubs),
        cmocka_unit_test(a_broken_file_leaves_the_devices_as_they_were),
        cmocka_unit_test(methods_name_what_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
