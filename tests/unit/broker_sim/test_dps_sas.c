#include "tests/unit/broker_sim/service_rig.h"

#include "base/cleanup.h"
#include "certs/sas_token.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "tests/cmocka.h"

#define PUT "$dps/registrations/PUT/iotdps-register/?$rid=1"
#define KEY_ONE "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define KEY_TWO "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWc="
#define RESOURCE RIG_ID_SCOPE "/registrations/dev-01"

enum { NOW_S = 1795000000, TOKEN_BYTES = 512 };

static void enroll(struct service_rig *rig, enum dps_kind kind, const char *text)
{
    CLEANUP_JSON cJSON *json = cJSON_Parse(text);
    struct error error = ERROR_INIT;
    if (dps_state_put(rig->state, kind, json, NULL, "test", NULL, &error))
        fail_msg("%s", error.text);
}

#define KEYS(one, two)                                                                                                                     \
    "\"attestation\":{\"type\":\"symmetricKey\",\"symmetricKey\":{\"primaryKey\":\"" one "\",\"secondaryKey\":\"" two "\"}}"
#define INDIVIDUAL "{\"registrationId\":\"dev-01\"," KEYS(KEY_ONE, KEY_TWO) "}"
#define GROUP(id, one, two) "{\"enrollmentGroupId\":\"" id "\"," KEYS(one, two) "}"

/* Signs with `key`, or with what is derived from it for `derived_for`. */
static void make_token(char *token, const char *resource, int64_t expiry_s, const char *key_text, const char *derived_for)
{
    struct sas_key key, derived;
    char text[256], encoded[64];
    unsigned char signature[32];
    assert_int_equal(sas_key_read(key_text, &key, NULL), 0);
    if (derived_for)
        assert_int_equal(sas_key_derive(&key, derived_for, &derived, NULL), 0);
    const struct sas_key *used = derived_for ? &derived : &key;
    int length = snprintf(text, sizeof text, "%s\n%lld", resource, (long long)expiry_s);
    HMAC(EVP_sha256(), used->bytes, (int)used->length_bytes, (const unsigned char *)text, (size_t)length, signature, NULL);
    EVP_EncodeBlock((unsigned char *)encoded, signature, sizeof signature);
    encoded[43] = 0; /* the '=' is percent-encoded */
    snprintf(token, TOKEN_BYTES, "SharedAccessSignature sr=%s&sig=%s%%3D&skn=registration&se=%lld", resource, encoded, (long long)expiry_s);
}

static struct admission connect_with(struct service_rig *rig, struct session *session, const char *password)
{
    session->password = password;
    struct admission admission = dps_decide(rig->dps, session);
    if (admission.is_admitted)
        assert_int_equal(dps_grant(rig->dps, session, "$dps/registrations/res/#", 1), 1);
    return admission;
}

static void finish(struct service_rig *rig, struct session *session)
{
    dps_closed(rig->dps, session);
    rig_close_session(session);
}

static void check_matched(struct service_rig *rig, const char *id, const char *matched)
{
    const cJSON *verdict = rig_last_event(rig, EVENT_ATTESTATION_VERDICT);
    assert_string_equal(json_string(verdict, "verdict", ""), "accepted");
    assert_string_equal(json_string(json_path(verdict, "evidence.enrollment"), "id", ""), id);
    assert_string_equal(json_string(json_member(verdict, "evidence"), "matched", ""), matched);
}

static void assigns_by_primary_and_secondary_key_of_an_individual_enrollment(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    enroll(&rig, DPS_ENROLLMENT, INDIVIDUAL);
    static const char *const keys[] = {KEY_ONE, KEY_TWO}, *const names[] = {"primary key", "secondary key"};
    for (size_t i = 0; i < 2; i++) {
        struct session session = rig_dps_session(&rig, 7 + i, NULL);
        char token[TOKEN_BYTES];
        make_token(token, RESOURCE, NOW_S + 60, keys[i], NULL);
        assert_true(connect_with(&rig, &session, token).is_admitted);
        check_matched(&rig, "dev-01", names[i]);
        dps_message(rig.dps, &session, PUT, NULL, 0);
        assert_non_null(strstr(rig_last_topic(&rig), "/res/202/"));
        finish(&rig, &session);
    }
}

static void finds_the_group_whose_derived_key_signed(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    enroll(&rig, DPS_GROUP, GROUP("group-a", KEY_ONE, KEY_ONE));
    enroll(&rig, DPS_GROUP, GROUP("group-b", KEY_ONE, KEY_TWO));
    struct session session = rig_dps_session(&rig, 7, NULL);
    char token[TOKEN_BYTES];
    make_token(token, RIG_ID_SCOPE "%2fregistrations%2Fdev-01", NOW_S + 60, KEY_TWO, "dev-01");
    assert_true(connect_with(&rig, &session, token).is_admitted);
    check_matched(&rig, "group-b", "secondary key");
    finish(&rig, &session);
}

static void takes_a_group_key_derived_for_the_id_in_lower_case(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    enroll(&rig, DPS_GROUP, GROUP("group-a", KEY_ONE, KEY_TWO));
    struct session session = rig_dps_session(&rig, 7, NULL);
    session.user_name = RIG_ID_SCOPE "/registrations/Dev-01/api-version=2019-03-31";
    char token[TOKEN_BYTES];
    make_token(token, RIG_ID_SCOPE "/registrations/Dev-01", NOW_S + 60, KEY_ONE, "dev-01");
    assert_true(connect_with(&rig, &session, token).is_admitted);
    finish(&rig, &session);
}

/* Individual and group there, a token of the group: the individual enrollment decides. */
static void the_individual_enrollment_wins_over_a_group(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    enroll(&rig, DPS_GROUP, GROUP("group-a", KEY_ONE, KEY_ONE));
    enroll(&rig, DPS_ENROLLMENT, INDIVIDUAL);
    struct session session = rig_dps_session(&rig, 7, NULL);
    char token[TOKEN_BYTES];
    make_token(token, RESOURCE, NOW_S + 60, KEY_ONE, "dev-01");
    assert_false(connect_with(&rig, &session, token).is_admitted);
    assert_string_equal(json_string(rig_last_event(&rig, EVENT_ATTESTATION_VERDICT), "rule", ""), "sas.signature");
    finish(&rig, &session);
}

static void a_disabled_enrollment_shows_in_the_poll(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    enroll(&rig, DPS_ENROLLMENT, "{\"registrationId\":\"dev-01\",\"provisioningStatus\":\"disabled\"," KEYS(KEY_ONE, KEY_TWO) "}");
    struct session session = rig_dps_session(&rig, 7, NULL);
    char token[TOKEN_BYTES];
    make_token(token, RESOURCE, NOW_S + 60, KEY_ONE, NULL);
    assert_true(connect_with(&rig, &session, token).is_admitted);
    const cJSON *verdict = rig_last_event(&rig, EVENT_ATTESTATION_VERDICT);
    assert_string_equal(json_string(verdict, "verdict", ""), "disabled");
    assert_string_equal(json_string(verdict, "rule", ""), "enrollment.disabled");
    assert_string_equal(json_string(verdict, "surface", ""), "disabled");
    rig_scenario(&rig, "{\"polls_until_assigned\":0}");
    dps_message(rig.dps, &session, PUT, NULL, 0);
    CLEANUP_JSON cJSON *body = rig_last_body(&rig);
    assert_string_equal(json_string(body, "status", ""), "disabled");
    finish(&rig, &session);
}

struct bad_token {
    const char *resource;
    int64_t expiry_s;
    const char *key;
    const char *rule;
    int error_code;
};

static const struct bad_token bad_tokens[] = {
    {NULL, 0, NULL, "sas.token", 401000},
    {RIG_ID_SCOPE "/registrations/dev-02", NOW_S + 60, KEY_ONE, "sas.resource", 401000},
    {RESOURCE, NOW_S, KEY_ONE, "sas.expired", 401000},
    {RESOURCE, NOW_S + 60, "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWg=", "sas.signature", 401000},
};

static void check_bad_token(struct service_rig *rig, const struct bad_token *row)
{
    struct session session = rig_dps_session(rig, 7, NULL);
    char token[TOKEN_BYTES] = "hunter2";
    if (row->resource)
        make_token(token, row->resource, row->expiry_s, row->key, NULL);
    struct admission admission = connect_with(rig, &session, token);
    assert_false(admission.is_admitted);
    assert_int_equal(admission.return_code, 5);
    const cJSON *verdict = rig_last_event(rig, EVENT_ATTESTATION_VERDICT);
    assert_string_equal(json_string(verdict, "rule", ""), row->rule);
    assert_string_equal(json_string(verdict, "surface", ""), "connack");
    CLEANUP_FREE char *text = json_print_line(verdict);
    assert_null(strstr(text, "hunter2"));
    assert_null(strstr(text, "SharedAccessSignature sr=" RIG_ID_SCOPE));
    finish(rig, &session);
}

static void check_bad_token_in_reply(struct service_rig *rig, const struct bad_token *row)
{
    struct session session = rig_dps_session(rig, 7, NULL);
    char token[TOKEN_BYTES] = "hunter2";
    if (row->resource)
        make_token(token, row->resource, row->expiry_s, row->key, NULL);
    assert_true(connect_with(rig, &session, token).is_admitted);
    dps_message(rig->dps, &session, PUT, NULL, 0);
    CLEANUP_JSON cJSON *body = rig_last_body(rig);
    assert_int_equal(json_integer(body, "errorCode", 0), row->error_code);
    finish(rig, &session);
}

static void refuses_bad_tokens_with_connack_5_or_where_a_knob_says_in_a_reply(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bad_tokens); i++) {
        CLEANUP(rig_teardown) struct service_rig rig;
        rig_setup(&rig);
        enroll(&rig, DPS_ENROLLMENT, INDIVIDUAL);
        check_bad_token(&rig, &bad_tokens[i]);
        rig_scenario(&rig, "{\"sas_refusal\":\"reply\"}");
        check_bad_token_in_reply(&rig, &bad_tokens[i]);
    }
}

static void check_rule(struct service_rig *rig, const char *token, const char *rule)
{
    struct session session = rig_dps_session(rig, 7, NULL);
    assert_false(connect_with(rig, &session, token).is_admitted);
    assert_string_equal(json_string(rig_last_event(rig, EVENT_ATTESTATION_VERDICT), "rule", ""), rule);
    finish(rig, &session);
}

static void says_what_is_missing_where_no_key_can_fit(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    char token[TOKEN_BYTES];
    make_token(token, RESOURCE, NOW_S + 60, KEY_ONE, NULL);
    check_rule(&rig, token, "sas.no-enrollment");
    enroll(&rig, DPS_GROUP, GROUP("group-a", KEY_ONE, KEY_TWO));
    check_rule(&rig, token, "sas.group-key");
    enroll(&rig, DPS_ENROLLMENT,
           "{\"registrationId\":\"dev-01\",\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":\"AAAA\"}}}");
    check_rule(&rig, token, "sas.tpm");
    rig_enroll(&rig, "{}");
    check_rule(&rig, token, "sas.no-enrollment");
    char *policy = strstr(token, "registration&");
    memcpy(policy, "service12345", 12);
    check_rule(&rig, token, "sas.policy");
}

static void an_empty_password_is_no_token(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    rig_enroll(&rig, "{}");
    struct session session = rig_dps_session(&rig, 7, "leaf");
    assert_true(connect_with(&rig, &session, "").is_admitted);
    assert_string_equal(json_string(rig_last_event(&rig, EVENT_ATTESTATION_VERDICT), "verdict", ""), "accepted");
    finish(&rig, &session);
}

static void api_versions_are_known_or_as_the_knob_says(void **state)
{
    (void)state;
    CLEANUP(rig_teardown) struct service_rig rig;
    rig_setup(&rig);
    rig_enroll(&rig, "{}");
    static const struct {
        const char *version, *knob, *rule;
        bool is_admitted;
    } rows[] = {
        {"2021-06-01", "connack", NULL, true},
        {"2025-07-01-preview", "connack", NULL, true},
        {"1999-01-01", "accept", "warning", true},
        {"1999-01-01", "connack", "connect.unknown-api-version", false},
        {"2019-03-31-preview", "connack", "connect.unknown-api-version", false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct session session = rig_dps_session(&rig, 7 + i, "leaf");
        char user_name[128], knobs[64];
        snprintf(user_name, sizeof user_name, RIG_ID_SCOPE "/registrations/dev-01/api-version=%s", rows[i].version);
        snprintf(knobs, sizeof knobs, "{\"unknown_api_version\":\"%s\"}", rows[i].knob);
        session.user_name = user_name;
        rig_scenario(&rig, knobs);
        assert_int_equal(connect_with(&rig, &session, NULL).is_admitted, rows[i].is_admitted);
        const cJSON *warning = rig_last_event(&rig, EVENT_DPS_WARNING);
        const cJSON *verdict = rig_last_event(&rig, EVENT_ATTESTATION_VERDICT);
        if (rows[i].rule && rows[i].is_admitted)
            assert_string_equal(json_string(warning, "rule", ""), "connect.unknown-api-version");
        else if (rows[i].rule)
            assert_string_equal(json_string(verdict, "rule", ""), rows[i].rule);
        else
            assert_null(warning);
        finish(&rig, &session);
    }
}

static void unknown_scope_and_version_can_show_in_the_reply(void **state)
{
    (void)state;
    static const struct {
        const char *user_name, *topic;
        int code;
    } rows[] = {
        {"0neXXXX/registrations/dev-01/api-version=2019-03-31", "/res/404/", 404001},
        {RIG_ID_SCOPE "/registrations/dev-01/api-version=1999-01-01", "/res/400/", 400000},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CLEANUP(rig_teardown) struct service_rig rig;
        rig_setup(&rig);
        rig_scenario(&rig, "{\"unknown_id_scope\":\"reply\",\"unknown_api_version\":\"reply\"}");
        struct session session = rig_dps_session(&rig, 7, "leaf");
        session.user_name = rows[i].user_name;
        assert_true(connect_with(&rig, &session, NULL).is_admitted);
        dps_message(rig.dps, &session, PUT, NULL, 0);
        assert_non_null(strstr(rig_last_topic(&rig), rows[i].topic));
        CLEANUP_JSON cJSON *body = rig_last_body(&rig);
        assert_int_equal(json_integer(body, "errorCode", 0), rows[i].code);
        assert_int_equal(rig.close_count, 1);
        finish(&rig, &session);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(assigns_by_primary_and_secondary_key_of_an_individual_enrollment),
        cmocka_unit_test(finds_the_group_whose_derived_key_signed),
        cmocka_unit_test(takes_a_group_key_derived_for_the_id_in_lower_case),
        cmocka_unit_test(the_individual_enrollment_wins_over_a_group),
        cmocka_unit_test(a_disabled_enrollment_shows_in_the_poll),
        cmocka_unit_test(refuses_bad_tokens_with_connack_5_or_where_a_knob_says_in_a_reply),
        cmocka_unit_test(says_what_is_missing_where_no_key_can_fit),
        cmocka_unit_test(an_empty_password_is_no_token),
        cmocka_unit_test(api_versions_are_known_or_as_the_knob_says),
        cmocka_unit_test(unknown_scope_and_version_can_show_in_the_reply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
