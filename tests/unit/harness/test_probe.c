/* What the probe makes of answers, names and addresses; what it keeps of a conversation. */
#include "base/files.h"
#include "harness/probe/answer.h"
#include "harness/probe/endpoint.h"
#include "harness/probe/probe.h"
#include "harness/probe/recording.h"
#include "harness/probe/redactor.h"

#include <openssl/ssl.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/cmocka.h"
#include "tests/unit/base/scratch.h"

DEFINE_CLEANUP(struct redactor *, redactor_free)
DEFINE_CLEANUP(struct recording *, recording_free)

static void splits_host_and_port(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host; /* host NULL: refused */
        unsigned port;
    } rows[] = {
        {"localhost", "localhost", 8883},
        {"localhost:1", "localhost", 1},
        {"127.0.0.1:65535", "127.0.0.1", 65535},
        {"[::1]:42", "::1", 42},
        {"[::1]", "::1", 8883},
        {"::1", "::1", 8883},
        {"", NULL, 0},
        {":1", NULL, 0},
        {"a:", NULL, 0},
        {"a:0", NULL, 0},
        {"a:65536", NULL, 0},
        {"a:1x", NULL, 0},
        {"a:-1", NULL, 0},
        {"[]:1", NULL, 0},
        {"[::1", NULL, 0},
        {"[::1]x", NULL, 0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char host[ENDPOINT_HOST_BYTES] = "untouched";
        uint16_t port = 7;
        int rc = endpoint_split(rows[i].text, 8883, host, &port, NULL);
        if ((rc == 0) != (rows[i].host != NULL) || strcmp(host, rows[i].host ? rows[i].host : "untouched") != 0 ||
            port != (rows[i].host ? rows[i].port : 7))
            fail_msg("'%s': %d, '%s', %u", rows[i].text, rc, host, port);
    }
}

static void an_endpoint_is_numeric_and_has_a_port(void **state)
{
    (void)state;
    struct endpoint endpoint;
    char text[ENDPOINT_TEXT_BYTES];
    assert_int_equal(endpoint_read("[::1]:8883", &endpoint, NULL), 0);
    endpoint_format(&endpoint, text);
    assert_string_equal(text, "[::1]:8883");
    assert_int_equal(endpoint_read("127.0.0.1", &endpoint, NULL), -1);
    assert_int_equal(endpoint_read("localhost:1", &endpoint, NULL), -1);
}

static void assert_text(struct redactor *redactor, const char *text, const char *expected)
{
    CLEANUP_FREE char *got = redactor_text(redactor, text);
    assert_string_equal(got, expected);
}

static void names_are_replaced_as_words_alone(void **state)
{
    (void)state;
    CLEANUP(redactor_free_cleanup) struct redactor *redactor = redactor_new("0ne00112233", "dev-1");
    assert_text(redactor, "0ne00112233/registrations/DEV-1/api-version=2019-03-31",
                "{id_scope}/registrations/{registration_id}/api-version=2019-03-31");
    assert_text(redactor, "dev-10 dev-1x xdev-1 dev-1-2 dev-1_2", "dev-10 dev-1x xdev-1 dev-1-2 dev-1_2");
    assert_text(redactor, "$dps/registrations/res/401/?$rid=1", "$dps/registrations/res/401/?$rid=1");
    assert_text(redactor, "", "");
}

static void the_same_name_becomes_the_same_text_of_the_same_form(void **state)
{
    (void)state;
    CLEANUP(redactor_free_cleanup) struct redactor *redactor = redactor_new("scope", "dev");
    CLEANUP_FREE char *once = redactor_text(redactor, "at 4469ed4c-dc19-4af8-8b36-9ef6396ac1b3.");
    CLEANUP_FREE char *again = redactor_text(redactor, "at 4469ED4C-dc19-4af8-8b36-9ef6396ac1b3.");
    CLEANUP_FREE char *other = redactor_text(redactor, "at 4469ed4c-dc19-4af8-8b36-9ef6396ac1b4.");
    assert_string_equal(once, again);
    assert_string_not_equal(once, other);
    assert_int_equal(strlen(once), strlen("at 4469ed4c-dc19-4af8-8b36-9ef6396ac1b3."));
    assert_null(strstr(once, "4469"));
}

static void bodies_lose_names_and_secrets_and_keep_their_shape(void **state)
{
    (void)state;
    CLEANUP(redactor_free_cleanup) struct redactor *redactor = redactor_new("scope", "dev-1");
    static const char body[] =
        "{\"operationId\":\"5.71cf7e385566aa10.4469ed4c-dc19-4af8-8b36-9ef6396ac1b3\",\"status\":\"assigned\",\"registrationState\":"
        "{\"x509\":{\"enrollmentGroupId\":\"our-plant\"},\"registrationId\":\"dev-1\",\"deviceId\":\"dev-1\",\"errorCode\":401002,"
        "\"assignedHub\":\"secret-hub.azure-devices.net\",\"payload\":{\"key\":\"hunter2\"},\"errorMessage\":\"no dev-1 at "
        "secret-hub.azure-devices.net\"}}";
    CLEANUP_FREE char *got = redactor_body(redactor, body, strlen(body));
    static const char *const gone[] = {"4469ed4c", "71cf7e", "our-plant", "secret", "hunter2", "\"dev-1\"", "key"};
    for (size_t i = 0; i < ARRAY_COUNT(gone); i++)
        assert_null(strstr(got, gone[i]));
    assert_non_null(strstr(got, "\"registrationId\":\"{registration_id}\",\"deviceId\":\"{registration_id}\",\"errorCode\":401002"));
    assert_non_null(strstr(got, "\"payload\":\"redacted\""));
    assert_non_null(strstr(got, "no {registration_id} at hub"));
    /* a later topic holds the operation's id */
    CLEANUP_FREE char *topic = redactor_text(redactor, "?$rid=2&operationId=5.71cf7e385566aa10.4469ed4c-dc19-4af8-8b36-9ef6396ac1b3");
    CLEANUP_JSON cJSON *json = json_parse(got, strlen(got), "got", NULL);
    assert_non_null(strstr(topic, json_string(json, "operationId", "missing")));
    assert_int_equal(strlen(json_string(json, "operationId", "")), 55);
}

static void other_bodies_are_told_by_their_length(void **state)
{
    (void)state;
    CLEANUP(redactor_free_cleanup) struct redactor *redactor = redactor_new("scope", "dev-1");
    CLEANUP_FREE char *got = redactor_body(redactor, "secret", 6);
    assert_string_equal(got, "(6 bytes that are no JSON object)");
}

static void answers_have_a_meaning(void **state)
{
    (void)state;
    assert_non_null(strstr(answer_of_error(401, 401002, "CA certificate not found.").text, "leads to a CA"));
    assert_non_null(strstr(answer_of_error(401, 401002, "Invalid certificate").text, "leaf is not the one"));
    assert_non_null(strstr(answer_of_error(401, 401002, "").text, "does not say why"));
    assert_true(answer_of_error(429, 429001, "").is_transient);
    assert_true(answer_of_error(503, 503000, "").is_transient);
    assert_false(answer_of_error(418, 418000, "").is_transient);
    assert_true(answer_of_dps_connack(3).is_transient);
    assert_false(answer_of_dps_connack(5).is_transient);
    assert_non_null(strstr(answer_of_hub_connack(5).text, "thumbprint") ? "" : strstr(answer_of_hub_connack(5).mend, "thumbprint"));
    assert_non_null(strstr(answer_of_dps_connack(77).text, "does not have"));
    assert_non_null(strstr(answer_of_alert(SSL_AD_CERTIFICATE_EXPIRED).text, "expired"));
}

static void foreign_bytes_reach_no_terminal(void **state)
{
    (void)state;
    const struct probe_event event = {
        .step = PROBE_MESSAGE, .is_from_server = true, .name = "a\x1b[31mb", .body = "\x07{}", .body_bytes = 3};
    CLEANUP_FREE char *text = probe_event_text(&event);
    assert_string_equal(text, "< PUBLISH a\\x1b[31mb\n    \\x07{}");
}

static void a_recording_holds_what_a_replay_needs_and_no_address(void **state)
{
    const char *path = scratch_path(state, "rec.jsonl");
    CLEANUP(recording_free_cleanup) struct recording *recording = recording_new("scope", "dev-1", "a test");
    recording_add(recording, &(struct probe_event){.step = PROBE_RESOLVED, .mono_us = 5000, .name = "host", .text = "192.0.2.7:1"});
    recording_add(recording, &(struct probe_event){.step = PROBE_CONNECT, .mono_us = 7000, .name = "scope/registrations/dev-1/"});
    recording_add(recording, &(struct probe_event){.step = PROBE_CONNACK, .mono_us = 9000, .is_from_server = true, .code = 5});
    assert_int_equal(recording_write(recording, path, NULL), 0);
    CLEANUP(bytes_done) struct bytes text = {0};
    assert_int_equal(file_read(path, 4096, &text, NULL), 0);
    assert_string_equal(bytes_text(&text), "{\"v\":1,\"kind\":\"recording\",\"source\":\"a test\"}\n"
                                           "{\"t_ms\":2,\"stage\":\"dps\",\"step\":\"connect\",\"from\":\"device\",\"code\":0,"
                                           "\"name\":\"{id_scope}/registrations/{registration_id}/\"}\n"
                                           "{\"t_ms\":4,\"stage\":\"dps\",\"step\":\"connack\",\"from\":\"service\",\"code\":5}\n");
}

static void a_recording_that_cannot_be_written_says_where(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    CLEANUP(recording_free_cleanup) struct recording *recording = recording_new("scope", "dev-1", "a test");
    assert_int_equal(recording_write(recording, "/nowhere/at/all.jsonl", &error), -1);
    assert_non_null(strstr(error.text, "/nowhere/at/all.jsonl"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_host_and_port),
        cmocka_unit_test(an_endpoint_is_numeric_and_has_a_port),
        cmocka_unit_test(names_are_replaced_as_words_alone),
        cmocka_unit_test(the_same_name_becomes_the_same_text_of_the_same_form),
        cmocka_unit_test(bodies_lose_names_and_secrets_and_keep_their_shape),
        cmocka_unit_test(other_bodies_are_told_by_their_length),
        cmocka_unit_test(answers_have_a_meaning),
        cmocka_unit_test(foreign_bytes_reach_no_terminal),
        cmocka_unit_test_setup_teardown(a_recording_holds_what_a_replay_needs_and_no_address, scratch_make, scratch_remove),
        cmocka_unit_test(a_recording_that_cannot_be_written_says_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
