#include "broker_sim/service_api/service_api.h"

#include "base/cleanup.h"
#include "base/files.h"
#include "base/percent.h"
#include "broker_sim/service_api/service_path.h"
#include "certs/forge.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/cmocka.h"

#define NOW_S 1795000000
#define VERSION "2021-10-01"
#define ARM "/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/provisioningServices/dps/certificates"

static const char recipe_text[] =
    "format: 1\n"
    "members:\n"
    "  root: {subject: {CN: root}, issuer: self, key: p-256, not_after: +30d, extensions: {basicConstraints: {ca: true}}}\n"
    "  leaf: {subject: {CN: dev-01}, issuer: self, key: p-256, not_after: +30d}\n"
    "  other: {subject: {CN: dev-02}, issuer: self, key: p-256, not_after: +30d}\n";

struct rig {
    char dir[64];
    struct clock_fake clock;
    struct dps_state *state;
    struct registration_store *registrations;
    struct policies *policies;
    struct service_api *api;
    struct pki *pki;
    bool is_disk_full;
    char event_reason[ERROR_TEXT_MAX_BYTES]; /* of the last http.request */
    char changes[1024];                      /* "put enrollment dev-01;" each state.changed */
    char *body;                              /* of the last answer */
    char continuation[HTTP_HEADER_VALUE_BYTES];
    char item_type[32];
};

static const char *const hosts[] = {"dps.example.org", "localhost"};

static void on_emit(void *user, cJSON *event)
{
    struct rig *rig = user;
    const cJSON *data = event_data(event);
    if (strcmp(json_string(event, "kind", ""), "http.request") == 0) {
        snprintf(rig->event_reason, sizeof rig->event_reason, "%s", json_string(data, "reason", ""));
    } else {
        size_t length = strlen(rig->changes);
        snprintf(rig->changes + length, sizeof rig->changes - length, "%s %s %s;", json_string(data, "action", ""),
                 json_string(data, "what", ""), json_string(data, "id", ""));
    }
    cJSON_Delete(event);
}

static int on_commit(void *user, struct error *error)
{
    const struct rig *rig = user;
    return rig->is_disk_full ? error_set(error, ERROR_OWNER_RIG, ERROR_IO, "the disk is full") : 0;
}

static void setup(struct rig *rig)
{
    struct error error = ERROR_INIT;
    struct recipe *recipe = NULL;
    *rig = (struct rig){.dir = "/tmp/dpsbench-api-XXXXXX"};
    assert_non_null(mkdtemp(rig->dir));
    clock_fake_init(&rig->clock, 1000000, INT64_C(1000000) * NOW_S);
    if (dps_state_open(rig->dir, &rig->clock.clock, &rig->state, &error) || policies_open(rig->dir, &rig->policies, &error) ||
        recipe_read_text(recipe_text, sizeof recipe_text - 1, "rig", &recipe, &error) ||
        forge_pki(recipe, NULL, &rig->clock.clock, NULL, &rig->pki, &error))
        fail_msg("%s", error.text);
    recipe_free(recipe);
    rig->registrations = registration_store_new("0ne", &rig->clock.clock);
    struct service_api_options options = {.state = rig->state,
                                          .registrations = rig->registrations,
                                          .policies = rig->policies,
                                          .hosts = hosts,
                                          .host_count = ARRAY_COUNT(hosts),
                                          .sink = {.emit = on_emit, .user = rig, .clock = &rig->clock.clock},
                                          .user = rig,
                                          .commit = on_commit};
    rig->api = service_api_new(&options);
}

static void teardown(struct rig *rig)
{
    service_api_free(rig->api);
    registration_store_free(rig->registrations);
    policies_free(rig->policies);
    dps_state_free(rig->state);
    pki_free(rig->pki);
    free(rig->body);
    dir_remove(rig->dir, NULL);
}

/* --- tokens --- */

static cJSON *read_policies(const struct rig *rig)
{
    CLEANUP_FREE char *path = path_join(rig->dir, POLICIES_FILE);
    cJSON *json = json_read_file(path, NULL);
    assert_non_null(json);
    return json;
}

static void make_token(const char *key_text, const char *resource, long long expiry, const char *policy, char token[1024])
{
    char signed_text[512], signature[64];
    unsigned char key[128], digest[EVP_MAX_MD_SIZE];
    unsigned digest_length = 0;
    snprintf(signed_text, sizeof signed_text, "%s\n%lld", resource, expiry);
    int key_length = EVP_DecodeBlock(key, (const unsigned char *)key_text, (int)strlen(key_text));
    key_length -= (int)(strlen(key_text) - strcspn(key_text, "="));
    HMAC(EVP_sha256(), key, key_length, (const unsigned char *)signed_text, strlen(signed_text), digest, &digest_length);
    EVP_EncodeBlock((unsigned char *)signature, digest, (int)digest_length);
    CLEANUP(bytes_done) struct bytes encoded;
    bytes_init(&encoded, 256);
    percent_encode(&encoded, signature, strlen(signature));
    snprintf(token, 1024, "SharedAccessSignature sr=%s&sig=%s&skn=%s&se=%lld", resource, bytes_text(&encoded), policy, expiry);
}

static void owner_token(const struct rig *rig, const char *key_member, char token[1024])
{
    CLEANUP_JSON cJSON *policies = read_policies(rig);
    make_token(json_string(cJSON_GetArrayItem(policies, 0), key_member, ""), "localhost", NOW_S + 3600, POLICY_OWNER, token);
}

/* --- requests --- */

static int send_request(struct rig *rig, struct http_request request)
{
    char token[1024];
    if (!request.authorization) {
        owner_token(rig, "primaryKey", token);
        request.authorization = token;
    }
    if (!request.body)
        request.body = "";
    request.body_bytes = strlen(request.body);
    struct http_response response = {.status = 500};
    service_api_handle(rig->api, &request, &response);
    free(rig->body);
    rig->body = response.body;
    snprintf(rig->continuation, sizeof rig->continuation, "%s", response.continuation);
    snprintf(rig->item_type, sizeof rig->item_type, "%s", response.item_type ? response.item_type : "");
    return response.status;
}

static int ask(struct rig *rig, const char *method, const char *path, const char *body)
{
    return send_request(rig, (struct http_request){.method = method, .path = path, .api_version = VERSION, .body = body});
}

static int ask_if(struct rig *rig, const char *method, const char *path, const char *etag, const char *body)
{
    return send_request(rig, (struct http_request){.method = method, .path = path, .api_version = VERSION, .if_match = etag, .body = body});
}

static cJSON *answer_json(const struct rig *rig)
{
    cJSON *json = rig->body ? cJSON_Parse(rig->body) : NULL;
    assert_non_null(json);
    return json;
}

static void assert_answer(const struct rig *rig, const char *part)
{
    if (!rig->body || !strstr(rig->body, part))
        fail_msg("'%s' lacks '%s'", rig->body ? rig->body : "(none)", part);
}

static char *etag_of_answer(const struct rig *rig)
{
    CLEANUP_JSON cJSON *json = answer_json(rig);
    return strdup(json_string(json, "etag", ""));
}

static char *pem_json(const struct rig *rig, const char *member)
{
    CLEANUP(bytes_done) struct bytes pem;
    bytes_init(&pem, 65536);
    const char *const members[] = {member, NULL};
    assert_int_equal(pki_append_pem(rig->pki, members, &pem, NULL), 0);
    CLEANUP_JSON cJSON *text = cJSON_CreateString(bytes_text(&pem));
    return json_print_line(text);
}

/* {"registrationId", "attestation"} with the member's certificate. */
static char *enrollment_json(const struct rig *rig, const char *id, const char *member)
{
    CLEANUP_FREE char *pem = pem_json(rig, member);
    char *json = NULL;
    assert_true(asprintf(&json,
                         "{\"registrationId\":\"%s\",\"attestation\":{\"type\":\"x509\",\"x509\":{\"clientCertificates\":{\"primary\":{"
                         "\"certificate\":%s}}}},\"provisioningStatus\":\"enabled\"}",
                         id, pem) > 0);
    return json;
}

static char *keyed_json(const char *id)
{
    char *json = NULL;
    assert_true(asprintf(&json, "{\"registrationId\":\"%s\",\"attestation\":{\"type\":\"symmetricKey\"}}", id) > 0);
    return json;
}

static void enroll_keyed(struct rig *rig, const char *id)
{
    char path[256];
    snprintf(path, sizeof path, "/enrollments/%s", id);
    CLEANUP_FREE char *json = keyed_json(id);
    assert_int_equal(ask(rig, "PUT", path, json), 200);
}

static void enroll(struct rig *rig, const char *id)
{
    char path[256];
    snprintf(path, sizeof path, "/enrollments/%s", id);
    CLEANUP_FREE char *json = enrollment_json(rig, id, "leaf");
    assert_int_equal(ask(rig, "PUT", path, json), 200);
}

static void registers(struct rig *rig, const char *id, const char *group)
{
    struct registration_outcome outcome = {.status = REGISTRATION_ASSIGNED, .is_group = group != NULL, .assigned_hub = "h"};
    const struct registration *registration;
    int status;
    snprintf(outcome.enrollment_id, sizeof outcome.enrollment_id, "%s", group ? group : id);
    snprintf(outcome.device_id, sizeof outcome.device_id, "%s", id);
    assert_int_equal(
        registration_register(rig->registrations, id, &(struct registration_start){.outcome = &outcome}, &status, &registration, NULL), 0);
}

/* --- tests --- */

static void policies_are_made_once_for_their_owner_alone(void **state)
{
    (void)state;
    CLEANUP(teardown) struct rig rig;
    setup(&rig);
    CLEANUP_FREE char *path = path_join(rig.dir, POLICIES_FILE);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    CLEANUP_JSON cJSON *before = read_policies(&rig);
    policies_free(rig.policies);
    assert_int_equal(policies_open(rig.dir, &rig.policies, NULL), 0);
    CLEANUP_JSON cJSON *after = read_policies(&rig);
    assert_true(cJSON_Compare(before, after, true));
    assert_string_not_equal(json_string(cJSON_GetArrayItem(after, 0), "primaryKey", ""),
                            json_string(cJSON_GetArrayItem(after, 0), "secondaryKey", ""));
}

static void broken_policies_name_file_and_member(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
    } rows[] = {
        {"{}", "array"},
        {"[{}]", "[0].keyName"},
        {"[{\"keyName\":\"a\",\"primaryKey\":\"x\"}]", "[0].primaryKey"},
        {"[{\"keyName\":\"a\",\"primaryKey\":\"MDEyMzQ1Njc4OWFiY2RlZg==\",\"secondaryKey\":\"MDEyMzQ1Njc4OWFiY2RlZg==\",\"rights\":\"All\"}"
         "]",
         "'All'"},
    };
    CLEANUP(teardown) struct rig rig;
    setup(&rig);
    CLEANUP_FREE char *path = path_join(rig.dir, POLICIES_FILE);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct policies *policies = NULL;
        struct error error = ERROR_INIT;
        assert_int_equal(file_write_atomic(path, rows[i].text, strlen(rows[i].text), 0600, NULL), 0);
        assert_int_equal(policies_open(rig.dir, &policies, &error), -1);
        if (!strstr(error.text, rows[i].part) || !strstr(error.text, POLICIES_FILE))
            fail_msg("%s", error.text);
    }
}

static void assert_unauthorized(struct rig *rig, const char *authorization, const char *reason)
{
    int status = send_request(
        rig, (struct http_request){.method = "GET", .path = "/enrollments/x", .api_version = VERSION, .authorization = authorization});
    if (status != 401 || !strstr(rig->event_reason, reason))
        fail_msg("'%s': %d, '%s' lacks '%s'", authorization, status, rig->event_reason, reason);
    assert_answer(rig, "{\"errorCode\":401000,\"trackingId\":\"");
    assert_answer(rig, "\"message\":\"Unauthorized\",\"timestampUtc\":\"");
}

static void tokens_with_wrong_fields_are_refused_and_the_event_says_why(void **state)
{
    (void)state;
    CLEANUP(teardown) struct rig rig;
    setup(&rig);
    CLEANUP_JSON cJSON *policies = read_policies(&rig);
    const char *key = json_string(cJSON_GetArrayItem(policies, 0), "primaryKey", "");
    char token[1024], good[1024];
    owner_token(&rig, "primaryKey", good);
    make_token(key, "localhost", NOW_S, POLICY_OWNER, token);
    assert_unauthorized(&rig, token, "expired");
    make_token(key, "evil.example.org", NOW_S + 60, POLICY_OWNER, token);
    assert_unauthorized(&rig, token, "evil.example.org");
    make_token(key, "localhosts", NOW_S + 60, POLICY_OWNER, token);
    assert_unauthorized(&rig, token, "no host name");
    make_token("MDEyMzQ1Njc4OWFiY2RlZg==", "localhost", NOW_S + 60, POLICY_OWNER, token);
    assert_unauthorized(&rig, token, "signature");
    make_token(key, "localhost", NOW_S + 60, "iothubowner", token);
    assert_unauthorized(&rig, token, "skn");
    assert_unauthorized(&rig, "Bearer eyJ", "Authorization");
    assert_unauthorized(&rig, "", "Authorization");
    char cut[1024];
    for (size_t length = 0; length < strlen(good); length += 7) {
        snprintf(cut, sizeof cut, "%.*s", (int)length, good);
        assert_unauthorized(&rig, cut, "");
    }
    snprintf(cut, sizeof cut, "%s0", good);
    assert_unauthorized(&rig, cut, "signature");
    assert_null(strstr(rig.event_reason, key));
}

static void good_tokens_of_both_keys_are_taken(void **state)
{
    (void)state;
    CLEANUP(teardown) struct rig rig;
    setup(&rig);
    CLEANUP_JSON cJSON *policies = read_policies(&rig);
    char token[1024];
    owner_token(&rig, "secondaryKey", token);
    assert_int_equal(
        send_request(&rig,
                     (struct http_request){.method = "GET", .path = "/enrollments/x", .api_version = VERSION, .authorization = token}),
        404);
    static const char *const resources[] = {"DPS.example.org", "dps.example.org%3A443", "dps.example.org/enrollments"};
    for (size_t i = 0; i < ARRAY_COUNT(resources); i++) {
        make_token(json_string(cJSON_GetArrayItem(policies, 0), "primaryKey", ""), resources[i], NOW_S + 1, POLICY_OWNER, token);
        assert_int_equal(
            send_request(&rig,
                         (struct http_request){.method = "GET", .path = "/enrollments/x", .api_version = VERSION, .authorization = token}),
            404);
    }
}

static void a_policy_may_do_what_its_rights_say_and_no_more(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path;
        int status;
    } rows[] = {
        {"GET", "/enrollments/dev-01", 200},
        {"POST", "/enrollments/query", 200},
        {"DELETE", "/enrollments/dev-01", 401},
        {"PUT", "/enrollments/dev-01", 401},
        {"POST", "/enrollments", 401},
        {"POST", "/enrollments/dev-01/attestationmechanism", 401},
        {"GET", "/registrations/dev-01", 401},
        {"POST", "/registrations/g/query", 401},
        {"GET", ARM, 401},
    };
    static const char key[] = "MDEyMzQ1Njc4OWFiY2RlZg==";
    CLEANUP(teardown) struct rig rig;
    setup(&rig);
    enroll(&rig, "dev-01");
    CLEANUP_FREE char *path = path_join(rig.dir, POLICIES_FILE), *text = NULL;
    assert_true(
        asprintf(&text, "[{\"keyName\":\"r\",\"primaryKey\":\"%s\",\"secondaryKey\":\"%s\",\"rights\":\"EnrollmentRead\"}]", key, key) > 0);
    assert_int_equal(file_write_atomic(path, text, strlen(text), 0600, NULL), 0);
    policies_free(rig.policies);
    assert_int_equal(policies_open(rig.dir, &rig.policies, NULL), 0);
    service_api_free(rig.api);
    struct service_api_options options = {.state = rig.state,
                                          .registrations = rig.registrations,
                                          .policies = rig.policies,
                                          .hosts = hosts,
                                          .host_count = ARRAY_COUNT(hosts),
                                          .sink = {.emit = on_emit, .user = &rig, .clock = &rig.clock.clock}};
    rig.api = service_api_new(&options);
    char token[1024];
    make_token(key, "localhost", NOW_S + 60, "r", token);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        int status = send_request(&rig, (struct http_request){.method = rows[i].method,
                                                              .path = rows[i].path,
                                                              .api_version = VERSION,
                                                              .authorization = token,
                                                              .body = "{\"query\":\"*\"}"});
        if (status != rows[i].status)
            fail_msg("%s %s: %d", rows[i].method, rows[i].path, status);
    }
}

static void enrollments_are_put_shown_and_deleted(void **state)
{
    (void)state;
    CLEANUP(teardown) struct rig rig;
    setup(&rig);
    enroll(&rig, "dev-01");
    CLEANUP_FREE char *first = etag_of_answer(&rig);
    assert_answer(&rig, "\"certificate\":null,\"info\":{\"subjectName\":\"CN=dev-01\"");
    assert_answer(&rig, "\"registrationState\":null");
    assert_int_equal(ask(&rig, "GET", "/Enrollments/DEV-01/", NULL), 200);
    registers(&rig, "dev-01", NULL);
    assert_int_equal(ask(&rig, "GET", "/enrollments/dev%2D01", NULL), 200);
    assert_answer(&rig, "\"registrationState\":{\"x509\":{},\"registrationId\":\"dev-01\"");
    assert_int_equal(ask_if(&rig, "DELETE", "/enrollments/dev-01", "stale", NULL), 412);
    assert_answer(&rig, "{\"errorCode\":412000,");
    assert_int_equal(ask_if(&rig, "DELETE", "/enrollments/dev-01", first, NULL), 204);
    assert_null(rig.body);
    assert_int_equal(ask(&rig, "DELETE", "/enrollments/dev-01", NULL), 404);
    assert_answer(&rig, "{\"errorCode\":404201,");
    assert_answer(&rig, "\"message\":\"Enrollment not found: 'dev-01'\"");
    assert_string_equal(rig.changes, "put enrollment dev-01;delete enrollment dev-01;");
}

static void what_was_shown_can_be_put_back_without_losing_the_certificate(void **state)
{
    (void)state;
    CLEANUP(teardown) struct rig rig;
    setup(&rig);
    enroll(&rig, "dev-01");
    CLEANUP_FREE char *shown = strdup(rig.body), *etag = etag_of_answer(&rig);
    assert_int_equal(ask_if(&rig, "PUT", "/enrollments/dev-01", etag, shown), 200);
    const struct dps_object *object = dps_state_find(rig.state, DPS_ENROLLMENT, "dev-01");
    assert_non_null(json_string(json_path(object->json, "attestation.x509.clientCertificates.primary"), "certificate", NULL));
    assert_int_equal(ask_if(&rig, "PUT", "/enrollments/dev-01", etag, shown), 412);
    CLEANUP_FREE char *other = enrollment_json(&rig, "dev-01", "other");
    assert_int_equal(ask(&rig, "PUT", "/enrollments/dev-01", other), 200);
    assert_answer(&rig, "CN=dev-02");
    assert_int_equal(ask_if(&rig, "PUT", "/enrollments/new", "any", "{}"), 412);
}

static void groups_have_paths_ids_and_codes_of_their_own(void **state)
{
    (void)state;
    CLEANUP(teardown) struct rig rig;
    setup(&rig);
    CLEANUP_FREE char *pem = pem_json(&rig, "root"), *json = NULL;
    assert_true(asprintf(&json,
                         "{\"enrollmentGroupId\":\"g1\",\"attestation\":{\"type\":\"x509\",\"x509\":{\"signingCertificates\":{\"primary\":{"
                         "\"certificate\":%s}}}}}",
                         pem) > 0);
    assert_int_equal(ask(&rig, "PUT", "/enrollmentGroups/g1", json), 200);
    CLEANUP_FREE char *shown = strdup(rig.body);
    assert_int_equal(ask_if(&rig, "PUT", "/enrollmentGroups/g1", "*", shown), 200);
    assert_non_null(dps_state_find(rig.state, DPS_GROUP, "g1")->certificates[DPS_PRIMARY].certificate);
    assert_int_equal(ask(&rig, "GET", "/enrollmentgroups/g1", NULL), 200);
    assert_int_equal(ask(&rig, "GET", "/enrollmentGroups/g2", NULL), 404);
    assert_answer(&rig, "{\"errorCode\":404202,");
    assert_int_equal(ask(&rig, "POST", "/enrollmentGroups", "{}"), 405);
    assert_int_equal(ask(&rig, "POST", "/enrollmentGroups/query", "{\"query\":\"SELECT * FROM enrollmentGroups\"}"), 200);
    assert_string_equal(rig.item_type, "enrollmentGroup");
    assert_int_equal(ask(&rig, "DELETE", "/enrollmentGroups/g1", NULL), 204);
}

static void keys_are_made_and_shown_by_attestationmechanism_alone(void **state)
{
    (void)state;
    CLEANUP(teardown) struct rig rig;
    setup(&rig);
    assert_int_equal(ask(&rig, "PUT", "/enrollments/sas", "{\"attestation\":{\"type\":\"symmetricKey\"}}"), 200);
    assert_answer(&rig, "\"symmetricKey\":{\"primaryKey\":null,\"secondaryKey\":null}");
    assert_answer(&rig, "\"registrationId\":\"sas\"");
    CLEANUP_FREE char *shown = strdup(rig.body);
    assert_int_equal(ask(&rig, "POST", "/enrollments/sas/attestationmechanism", ""), 200);
    CLEANUP_JSON cJSON *first = answer_json(&rig);
    assert_string_equal(json_string(first, "type", ""), "symmetricKey");
    assert_int_equal(strlen(json_string(json_member(first, "symmetricKey"), "primaryKey", "")), 88);
    assert_int_equal(ask(&rig, "PUT", "/enrollments/sas", shown), 200);
    assert_int_equal(ask(&rig, "POST", "/enrollments/sas/AttestationMechanism", NULL), 200);
    CLEANUP_JSON cJSON *second = answer_json(&rig);
    assert_true(cJSON_Compare(first, second, true));
    assert_int_equal(ask(&rig, "GET", "/enrollments/sas/attestationmechanism", NULL), 405);
}

static void bad_requests_are_answered_with_azures_codes(void **state)
{
    (void)state;
    CLEANUP(teardown) struct rig rig;
    setup(&rig);
    CLEANUP_FREE char *good = enrollment_json(&rig, "dev-01", "leaf"), *deep = malloc(3001);
    memset(deep, '[', 3000);
    deep[3000] = 0;
    const struct {
        const char *method, *path, *version, *type, *body;
        int code;
    } rows[] = {
        {"GET", "/nothing/here", VERSION, NULL, NULL, 404000},
        {"GET", "/", VERSION, NULL, NULL, 404000},
        {"GET", "", VERSION, NULL, NULL, 404000},
        {"GET", "/enrollments/a/b/c", VERSION, NULL, NULL, 404000},
        {"GET", "/enrollments/dev-01", NULL, NULL, NULL, 400000},
        {"GET", "/enrollments/dev-01", "latest", NULL, NULL, 400000},
        {"GET", "/enrollments/dev-01", "2021-10-01-x", NULL, NULL, 400000},
        {"GET", "/enrollments/%", VERSION, NULL, NULL, 400000},
        {"GET", "/enrollments/%00", VERSION, NULL, NULL, 400000},
        {"GET", "/enrollments//x", VERSION, NULL, NULL, 404000},
        {"PATCH", "/enrollments/dev-01", VERSION, NULL, NULL, 405000},
        {"PUT", "/enrollments", VERSION, NULL, NULL, 405000},
        {"PUT", "/enrollments/dev-01", VERSION, "text/plain", good, 415000},
        {"PUT", "/enrollments/dev-01", VERSION, "application/jsonx", good, 415000},
        {"PUT", "/enrollments/dev-01", VERSION, "application/json; charset=utf-8", "{", 400012},
        {"PUT", "/enrollments/dev-01", VERSION, NULL, "[]", 400012},
        {"PUT", "/enrollments/dev-01", VERSION, NULL, "", 400012},
        {"PUT", "/enrollments/dev-01", VERSION, NULL, deep, 400012},
        {"PUT", "/enrollments/dev-02", VERSION, NULL, good, 400000},
        {"PUT", "/enrollments/dev-01", VERSION, NULL, "{}", 400000},
        {"PUT", "/enrollments/dev%2F01", VERSION, NULL, "{}", 400004},
        {"PUT", "/enrollments/..%2f..%2fetc", VERSION, NULL, "{}", 400004},
        {"PUT", "/enrollments/..", VERSION, NULL, "{}", 400004},
        {"PUT", "/enrollments/dev.", VERSION, NULL, "{}", 400004},
        {"POST", "/enrollments/query", VERSION, NULL, "{\"query\":\"SELECT * FROM enrollments WHERE a=b\"}", 400000},
        {"POST", "/enrollments/query", VERSION, NULL, "{\"query\":\"drop table\"}", 400000},
        {"POST", "/enrollments", VERSION, NULL, "{\"mode\":\"create\",\"enrollments\":[]}", 400000},
        {"POST", "/enrollments", VERSION, NULL, "{\"mode\":\"merge\",\"enrollments\":[{}]}", 400000},
        {"POST", "/enrollments", VERSION, NULL, "{\"mode\":\"create\",\"enrollments\":[1,2,3,4,5,6,7,8,9,10,11]}", 400000},
        {"GET", "/registrations/nobody", VERSION, NULL, NULL, 404202},
        {"POST", "/registrations/nogroup/query", VERSION, NULL, "{\"query\":\"*\"}", 404202},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        int status = send_request(&rig, (struct http_request){.method = rows[i].method,
                                                              .path = rows[i].path,
                                                              .api_version = rows[i].version,
                                                              .content_type = rows[i].type,
                                                              .body = rows[i].body});
        CLEANUP_JSON cJSON *json = answer_json(&rig);
        if (status != rows[i].code / 1000 || json_integer(json, "errorCode", 0) != rows[i].code)
            fail_msg("row %zu: %s %s: %s", i, rows[i].method, rows[i].path, rig.body);
        assert_non_null(json_string(json, "trackingId", NULL));
        assert_null(strstr(rig.body, rig.dir));
    }
    assert_string_equal(rig.changes, "");
}

static void queries_come_in_pages_that_survive_changes_between_them(void **state)
{
    (void)state;
    CLEANUP(teardown) struct rig rig;
    setup(&rig);
    static const char *const ids[] = {"a", "B", "c", "d", "e"};
    for (size_t i = 0; i < ARRAY_COUNT(ids); i++)
        enroll_keyed(&rig, ids[i]);
    struct http_request request = {
        .method = "POST", .path = "/enrollments/query", .api_version = VERSION, .max_item_count = "2", .body = "{\"query\":\"*\"}"};
    assert_int_equal(send_request(&rig, request), 200);
    CLEANUP_JSON cJSON *first = answer_json(&rig);
    assert_int_equal(cJSON_GetArraySize(first), 2);
    assert_string_equal(rig.item_type, "enrollment");
    assert_string_not_equal(rig.continuation, "");
    CLEANUP_FREE char *token = strdup(rig.continuation);
    assert_int_equal(ask(&rig, "DELETE", "/enrollments/B", NULL), 204);
    enroll_keyed(&rig, "A0");
    request.continuation = token;
    request.max_item_count = "3";
    assert_int_equal(send_request(&rig, request), 200);
    CLEANUP_JSON cJSON *second = answer_json(&rig);
    assert_int_equal(cJSON_GetArraySize(second), 3);
    assert_string_equal(json_string(cJSON_GetArrayItem(second, 0), "registrationId", ""), "c");
    assert_string_equal(rig.continuation, "");
    static const char *const broken[] = {"x", "1.", "1.%", "2.a"};
    for (size_t i = 0; i < ARRAY_COUNT(broken); i++) {
        request.continuation = broken[i];
        assert_int_equal(send_request(&rig, request), 400);
    }
    request.continuation = NULL;
    static const char *const counts[] = {"0", "-1", "x", "", "1x"};
    for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
        request.max_item_count = counts[i];
        assert_int_equal(send_request(&rig, request), 400);
    }
}

static void bulk_tells_each_failure_and_does_the_rest(void **state)
{
    (void)state;
    CLEANUP(teardown) struct rig rig;
    setup(&rig);
    CLEANUP_FREE char *a = enrollment_json(&rig, "a", "leaf"), *b = keyed_json("b"), *text = NULL, *again = NULL;
    assert_true(asprintf(&text, "{\"mode\":\"create\",\"enrollments\":[%s,%s]}", a, b) > 0);
    assert_int_equal(ask(&rig, "POST", "/enrollments/", text), 200);
    assert_string_equal(rig.body, "{\"isSuccessful\":true,\"errors\":[]}");
    assert_int_equal(ask(&rig, "POST", "/enrollments", text), 200);
    CLEANUP_JSON cJSON *result = answer_json(&rig);
    assert_false(json_bool(result, "isSuccessful", true));
    const cJSON *errors = json_member(result, "errors");
    assert_int_equal(cJSON_GetArraySize(errors), 2);
    assert_string_equal(json_string(cJSON_GetArrayItem(errors, 0), "registrationId", ""), "a");
    assert_int_equal(json_integer(cJSON_GetArrayItem(errors, 0), "errorCode", 0) / 1000, 409);
    assert_int_equal(
        ask(&rig, "POST", "/enrollments", "{\"mode\":\"delete\",\"enrollments\":[{\"registrationId\":\"a\"},{\"registrationId\":\"x\"}]}"),
        200);
    assert_string_equal(
        rig.body, "{\"isSuccessful\":false,\"errors\":[{\"registrationId\":\"x\",\"errorCode\":404201,\"errorStatus\":\"Enrollment not "
                  "found: 'x'\"}]}");
    assert_null(dps_state_find(rig.state, DPS_ENROLLMENT, "a"));
    enroll(&rig, "first");
    CLEANUP_FREE char *second = enrollment_json(&rig, "second", "leaf");
    assert_int_equal(ask(&rig, "PUT", "/enrollments/second", second), 409);
    assert_answer(&rig, "stands in individual enrollment 'first' already");
    assert_int_equal(ask(&rig, "POST", "/enrollments", "{\"mode\":\"delete\",\"enrollments\":[{}]}"), 200);
    assert_answer(&rig, "has no registrationId");
    assert_int_equal(ask(&rig, "POST", "/enrollments", "{\"mode\":\"update\",\"enrollments\":[{\"registrationId\":\"a\"}]}"), 200);
    assert_answer(&rig, "\"errorCode\":404201");
    assert_true(asprintf(&again, "{\"mode\":\"updateIfMatchETag\",\"enrollments\":[%s]}", b) > 0);
    assert_int_equal(ask(&rig, "POST", "/enrollments", again), 200);
    assert_answer(&rig, "\"errorCode\":412000");
}

static void registrations_are_shown_listed_by_group_and_deleted(void **state)
{
    (void)state;
    CLEANUP(teardown) struct rig rig;
    setup(&rig);
    assert_int_equal(ask(&rig, "PUT", "/enrollmentGroups/g1", "{\"attestation\":{\"type\":\"symmetricKey\"}}"), 200);
    registers(&rig, "dev-1", "g1");
    registers(&rig, "dev-2", "G1");
    registers(&rig, "dev-3", "g1");
    registers(&rig, "other", "g2");
    struct http_request request = {
        .method = "POST", .path = "/registrations/g1/query", .api_version = VERSION, .max_item_count = "2", .body = "{\"query\":\"*\"}"};
    assert_int_equal(send_request(&rig, request), 200);
    CLEANUP_JSON cJSON *first = answer_json(&rig);
    assert_int_equal(cJSON_GetArraySize(first), 2);
    CLEANUP_FREE char *token = strdup(rig.continuation);
    request.continuation = token;
    assert_int_equal(send_request(&rig, request), 200);
    CLEANUP_JSON cJSON *second = answer_json(&rig);
    assert_int_equal(cJSON_GetArraySize(second), 1);
    assert_string_equal(json_string(cJSON_GetArrayItem(second, 0), "registrationId", ""), "dev-3");
    assert_string_equal(rig.continuation, "");
    assert_int_equal(ask(&rig, "GET", "/registrations/DEV-1", NULL), 200);
    assert_answer(&rig, "\"status\":\"assigned\"");
    CLEANUP_FREE char *etag = etag_of_answer(&rig);
    assert_int_equal(ask_if(&rig, "DELETE", "/registrations/dev-1", "stale", NULL), 412);
    rig.is_disk_full = true;
    assert_int_equal(ask(&rig, "DELETE", "/registrations/dev-2", NULL), 500);
    rig.is_disk_full = false;
    assert_int_equal(ask_if(&rig, "DELETE", "/registrations/dev-1", etag, NULL), 204);
    assert_null(registration_find(rig.registrations, "dev-1"));
    assert_int_equal(ask(&rig, "PUT", "/registrations/dev-3", "{}"), 405);
}

static void certificates_go_the_management_planes_way(void **state)
{
    (void)state;
    CLEANUP(teardown) struct rig rig;
    setup(&rig);
    CLEANUP_FREE char *pem = pem_json(&rig, "root"), *json = NULL, *wrapped = NULL;
    assert_true(asprintf(&json, "{\"certificate\":%s}", pem) > 0);
    assert_true(asprintf(&wrapped, "{\"properties\":{\"certificate\":%s,\"isVerified\":true}}", pem) > 0);
    assert_int_equal(ask(&rig, "PUT", ARM "/root-ca", json), 200);
    CLEANUP_FREE char *first = etag_of_answer(&rig);
    assert_answer(&rig, "\"isVerified\":false");
    assert_answer(&rig, "\"certificate\":null");
    assert_answer(&rig, "\"type\":\"Microsoft.Devices/provisioningServices/Certificates\"");
    assert_int_equal(ask(&rig, "PUT", ARM "/root-ca", json), 412);
    assert_answer(&rig, "{\"code\":412000,\"httpStatusCode\":\"PreconditionFailed\",\"message\":");
    assert_int_equal(ask_if(&rig, "POST", ARM "/root-ca/generateVerificationCode", first, NULL), 200);
    CLEANUP_JSON cJSON *coded = answer_json(&rig);
    assert_int_equal(strlen(json_string(json_member(coded, "properties"), "verificationCode", "")), 48);
    assert_int_equal(ask_if(&rig, "POST", ARM "/root-ca/verify", first, json), 412);
    assert_int_equal(ask_if(&rig, "POST", ARM "/root-ca/verify", "*", json), 400);
    assert_answer(&rig, "verification code");
    assert_int_equal(ask_if(&rig, "PUT", ARM "/root-ca", "*", wrapped), 200);
    assert_answer(&rig, "\"isVerified\":true");
    assert_int_equal(ask(&rig, "GET", ARM "/ROOT-CA", NULL), 200);
    assert_int_equal(ask(&rig, "GET", ARM, NULL), 200);
    assert_answer(&rig, "{\"value\":[{");
    assert_int_equal(ask(&rig, "DELETE", ARM "/root-ca", NULL), 412);
    assert_int_equal(ask_if(&rig, "DELETE", ARM "/root-ca", "*", NULL), 204);
    assert_int_equal(ask(&rig, "GET", ARM "/root-ca", NULL), 404);
    assert_answer(&rig, "\"httpStatusCode\":\"NotFound\"");
    assert_int_equal(ask(&rig, "PUT", ARM "/..%2fx", json), 400);
}

static void a_folder_that_takes_nothing_is_answered_with_500(void **state)
{
    (void)state;
    CLEANUP(teardown) struct rig rig;
    setup(&rig);
    CLEANUP_FREE char *folder = path_join(rig.dir, "enrollments"), *json = enrollment_json(&rig, "dev-01", "leaf");
    assert_int_equal(dir_remove(folder, NULL), 0);
    assert_int_equal(ask(&rig, "PUT", "/enrollments/dev-01", json), 500);
    assert_answer(&rig, "{\"errorCode\":500000,");
    assert_null(dps_state_find(rig.state, DPS_ENROLLMENT, "dev-01"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policies_are_made_once_for_their_owner_alone),
        cmocka_unit_test(broken_policies_name_file_and_member),
        cmocka_unit_test(tokens_with_wrong_fields_are_refused_and_the_event_says_why),
        cmocka_unit_test(good_tokens_of_both_keys_are_taken),
        cmocka_unit_test(a_policy_may_do_what_its_rights_say_and_no_more),
        cmocka_unit_test(enrollments_are_put_shown_and_deleted),
        cmocka_unit_test(what_was_shown_can_be_put_back_without_losing_the_certificate),
        cmocka_unit_test(groups_have_paths_ids_and_codes_of_their_own),
        cmocka_unit_test(keys_are_made_and_shown_by_attestationmechanism_alone),
        cmocka_unit_test(bad_requests_are_answered_with_azures_codes),
        cmocka_unit_test(queries_come_in_pages_that_survive_changes_between_them),
        cmocka_unit_test(bulk_tells_each_failure_and_does_the_rest),
        cmocka_unit_test(registrations_are_shown_listed_by_group_and_deleted),
        cmocka_unit_test(certificates_go_the_management_planes_way),
        cmocka_unit_test(a_folder_that_takes_nothing_is_answered_with_500),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
