#include "certs/dps_state.h"

#include "base/files.h"
#include "tests/cmocka.h"
#include "tests/unit/certs/support.h"

#include <openssl/err.h>
#include <string.h>
#include <sys/stat.h>

DEFINE_CLEANUP(struct dps_state *, dps_state_free)
#define CLEANUP_STATE CLEANUP(dps_state_free_cleanup)

static struct pki *pki;

static int set_up(void **state)
{
    (void)state;
    pki = forge_builtin("device/sub-ca");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pki_free(pki);
    return 0;
}

/* ---- making objects ---- */

static cJSON *parse(const char *text)
{
    struct error error = ERROR_INIT;
    cJSON *json = json_parse(text, strlen(text), "test", &error);
    if (!json)
        fail_msg("%s: %s", error.text, text);
    return json;
}

/* The text with every ' as " and every @ as the leaf's PEM in JSON. free() it. */
static char *with_pem(const char *text)
{
    CLEANUP_FREE char *pem = PEM(pki, "leaf");
    CLEANUP(bytes_done) struct bytes out;
    bytes_init(&out, OUTPUT_MAX_BYTES);
    for (; *text; text++) {
        if (*text == '@')
            for (const char *c = pem; *c; c++)
                assert_int_equal(*c == '\n' ? bytes_append_text(&out, "\\n") : bytes_append_byte(&out, (uint8_t)*c), 0);
        else
            assert_int_equal(bytes_append_byte(&out, (uint8_t)(*text == '\'' ? '"' : *text)), 0);
    }
    return strdup(bytes_text(&out));
}

#define ENROLLMENT(id, more)                                                                                                               \
    "{'registrationId':'" id "','attestation':{'type':'x509','x509':{'clientCertificates':{'primary':{'certificate':'@'}}}}" more "}"
#define GROUP(id, x509) "{'enrollmentGroupId':'" id "','attestation':{'type':'x509','x509':{" x509 "}}}"
#define CERTIFICATE(name, more) "{'name':'" name "','properties':{'certificate':'@'" more "}}"

static void write_object(const struct scratch *scratch, const char *name, const char *text)
{
    CLEANUP_FREE char *full = with_pem(text);
    const char *path = scratch_path(scratch, name);
    CLEANUP_FREE char *dir = strndup(path, (size_t)(strrchr(path, '/') - path));
    assert_int_equal(dir_make(dir, 0755, NULL), 0);
    write_text(path, full);
}

static struct dps_state *open_state(const struct scratch *scratch)
{
    struct error error = ERROR_INIT;
    struct dps_state *state = NULL;
    if (dps_state_open(scratch->dir, &clock_system, &state, &error))
        fail_msg("%s", error.text);
    return state;
}

static const struct dps_object *must_find(const struct dps_state *state, enum dps_kind kind, const char *id)
{
    const struct dps_object *object = dps_state_find(state, kind, id);
    if (!object)
        fail_msg("%s '%s' is not there; first notice: %s", dps_kind_text(kind), id,
                 dps_state_notice_count(state) ? dps_state_notice(state, 0).text : "none");
    return object;
}

static const struct dps_object *must_put(struct dps_state *state, enum dps_kind kind, const char *text, const char *etag, const char *lease)
{
    struct error error = ERROR_INIT;
    const struct dps_object *object = NULL;
    CLEANUP_FREE char *full = with_pem(text);
    CLEANUP_JSON cJSON *json = parse(full);
    if (dps_state_put(state, kind, json, etag, lease, &object, &error))
        fail_msg("%s", error.text);
    return object;
}

static void refuse_put(struct dps_state *state, enum dps_kind kind, const char *text, const char *etag, const char *lease,
                       enum error_code code, const char *part)
{
    struct error error = ERROR_INIT;
    const struct dps_object *untouched = (const struct dps_object *)&error, *object = untouched;
    CLEANUP_FREE char *full = with_pem(text);
    CLEANUP_JSON cJSON *json = parse(full);
    assert_int_equal(dps_state_put(state, kind, json, etag, lease, &object, &error), -1);
    assert_ptr_equal(object, untouched);
    assert_int_equal(error.code, code);
    if (!strstr(error.text, part))
        fail_msg("'%s' not in '%s'", part, error.text);
}

static void expect_no_notice(const struct dps_state *state)
{
    if (dps_state_notice_count(state))
        fail_msg("unexpected: %s", dps_state_notice(state, 0).text);
}

static void expect_notice(const struct dps_state *state, bool is_error, const char *text)
{
    for (size_t i = 0; i < dps_state_notice_count(state); i++)
        if (strstr(dps_state_notice(state, i).text, text) && dps_state_notice(state, i).is_error == is_error)
            return;
    fail_msg("no notice '%s' among %zu; the first is '%s'", text, dps_state_notice_count(state),
             dps_state_notice_count(state) ? dps_state_notice(state, 0).text : "");
}

/* ---- loading ---- */

static void makes_the_folders_when_they_are_missing(void **unused)
{
    (void)unused;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    struct scratch deeper = {.dir = ""};
    snprintf(deeper.dir, sizeof deeper.dir, "%.40s/a/b", scratch.dir);
    CLEANUP_STATE struct dps_state *state = open_state(&deeper);
    assert_true(path_exists(scratch_path(&deeper, "enrollments")));
    assert_true(path_exists(scratch_path(&deeper, "enrollmentGroups")));
    assert_true(path_exists(scratch_path(&deeper, "certificates")));
    assert_string_equal(dps_state_dir(state), deeper.dir);
}

static void reads_every_kind_of_object(void **unused)
{
    (void)unused;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    write_object(&scratch, "enrollments/dev-01.json",
                 ENROLLMENT("dev-01", ",'provisioningStatus':'disabled','iotHubs':['h.azure-devices.net']"));
    write_object(&scratch, "enrollmentGroups/g1.json", GROUP("g1", "'caReferences':{'primary':'root-ca','secondary':null}"));
    write_object(&scratch, "enrollmentGroups/g2.json", GROUP("g2", "'signingCertificates':{'primary':{'certificate':'@'}}"));
    write_object(&scratch, "certificates/root-ca.json", CERTIFICATE("root-ca", ",'isVerified':true"));
    CLEANUP_STATE struct dps_state *state = open_state(&scratch);
    expect_no_notice(state);
    const struct dps_object *enrollment = must_find(state, DPS_ENROLLMENT, "dev-01"), *first = must_find(state, DPS_GROUP, "g1");
    const struct dps_object *second = must_find(state, DPS_GROUP, "g2"), *ca = must_find(state, DPS_CERTIFICATE, "root-ca");
    assert_false(enrollment->is_enabled);
    assert_true(enrollment->is_x509);
    assert_true(certificate_ref_matches(&enrollment->certificates[DPS_PRIMARY], pki_certificate(pki, "leaf")));
    assert_false(certificate_ref_matches(&enrollment->certificates[DPS_PRIMARY], pki_certificate(pki, "root")));
    assert_false(certificate_ref_is_set(&enrollment->certificates[DPS_SECONDARY]));
    assert_string_equal(enrollment->place, "enrollments/dev-01.json");
    assert_true(first->is_enabled);
    assert_string_equal(first->ca_references[DPS_PRIMARY], "root-ca");
    assert_null(first->ca_references[DPS_SECONDARY]);
    assert_non_null(second->certificates[DPS_PRIMARY].certificate);
    assert_true(ca->is_verified);
    assert_null(ca->verification_code);
    assert_null(ca->lease);
    assert_int_equal(dps_state_count(state, DPS_GROUP), 2);
    assert_null(dps_state_at(state, DPS_GROUP, 2));
}

static char *leaf_in(const char *form)
{
    unsigned char *der = NULL;
    CLEANUP_FREE char *pem = PEM(pki, "leaf");
    int length = i2d_X509(pki_certificate(pki, "leaf"), &der);
    char *text = calloc(1, OUTPUT_MAX_BYTES);
    if (strcmp(form, "base64 of DER") == 0)
        EVP_EncodeBlock((unsigned char *)text, der, length);
    else if (strcmp(form, "base64 of PEM") == 0)
        EVP_EncodeBlock((unsigned char *)text, (unsigned char *)pem, (int)strlen(pem));
    else
        strcpy(text, pem);
    OPENSSL_free(der);
    return text;
}

static void takes_a_certificate_in_any_form_at_the_top_or_under_properties(void **unused)
{
    (void)unused;
    static const char *const forms[] = {"PEM", "base64 of DER", "base64 of PEM"};
    for (size_t i = 0; i < 6; i++) {
        CLEANUP_SCRATCH struct scratch scratch = scratch_make();
        CLEANUP_STATE struct dps_state *state = open_state(&scratch);
        CLEANUP_FREE char *text = leaf_in(forms[i % 3]);
        CLEANUP_JSON cJSON *json = cJSON_CreateObject();
        cJSON *holder = json;
        json_set_string(json, "name", "ca");
        if (i >= 3) {
            json_set(json, "properties", cJSON_CreateObject());
            holder = (cJSON *)json_member(json, "properties");
        }
        json_set_string(holder, "certificate", text);
        json_set_bool(holder, "isVerified", true);
        struct error error = ERROR_INIT;
        if (dps_state_put(state, DPS_CERTIFICATE, json, NULL, NULL, NULL, &error))
            fail_msg("%s: %s", forms[i % 3], error.text);
        const struct dps_object *ca = must_find(state, DPS_CERTIFICATE, "ca");
        assert_true(ca->is_verified);
        assert_int_equal(X509_cmp(ca->certificates[0].certificate, pki_certificate(pki, "leaf")), 0);
    }
}

/* Shaped as what `az iot dps certificate show` and `az iot dps enrollment(-group) show` print, recorded values replaced. */
static void what_az_shows_drops_in(void **unused)
{
    (void)unused;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    char text[4096], sha1[SHA1_HEX_BYTES], sha256[SHA256_HEX_BYTES];
    certificate_sha1(pki_certificate(pki, "leaf"), sha1);
    certificate_sha256(pki_certificate(pki, "leaf"), sha256);
    write_object(
        &scratch, "certificates/a.json",
        "{'etag':'IjA1MDA2YmVhIg==','id':'/subscriptions/0/resourceGroups/rg/providers/Microsoft.Devices/provisioningServices/d/"
        "certificates/"
        "root-ca','name':'root-ca','properties':{'certificate':'@','created':'Fri, 06 May 2022 17:50:01 GMT','expiry':'Fri, 06 May 2022 "
        "17:50:01 GMT','isVerified':false,'subject':'x','thumbprint':'x','updated':'Fri, 06 May 2022 17:50:01 GMT'},"
        "'resourceGroup':'rg','type':'Microsoft.Devices/provisioningServices/Certificates'}");
    snprintf(
        text, sizeof text,
        "{'allocationPolicy':'static','attestation':{'symmetricKey':null,'tpm':null,'type':'x509','x509':{'caReferences':null,"
        "'clientCertificates':{'primary':{'certificate':null,'info':{'issuerName':'CN=Example Sub CA','notAfterUtc':'2027-01-01T00:00:00Z',"
        "'notBeforeUtc':'2026-01-01T00:00:00Z','serialNumber':'01','sha1Thumbprint':'%s','sha256Thumbprint':'%s','subjectName':'CN=dev-01',"
        "'version':3}},'secondary':null},'signingCertificates':null}},'capabilities':{'iotEdge':false},'createdDateTimeUtc':"
        "'2022-08-27T17:53:19.5143497+00:00','customAllocationDefinition':null,'deviceId':null,'etag':'\\\"1a00d64b\\\"','initialTwin':"
        "null,"
        "'iotHubHostName':null,'iotHubs':['h.azure-devices.net'],'lastUpdatedDateTimeUtc':'2022-08-27T17:53:19.5143497+00:00',"
        "'optionalDeviceInformation':null,'provisioningStatus':'enabled','registrationId':'dev-01','registrationState':{'etag':null,"
        "'status':'unassigned'},'reprovisionPolicy':{'migrateDeviceData':true,'updateHubAssignment':true}}",
        sha1, sha256);
    write_object(&scratch, "enrollments/dev-01.json", text);
    write_object(
        &scratch, "enrollmentGroups/g.json",
        "{'allocationPolicy':'hashed','attestation':{'symmetricKey':null,'tpm':null,'type':'x509','x509':{'caReferences':{'primary':"
        "'root-ca','secondary':null},'clientCertificates':null,'signingCertificates':null}},'capabilities':{'iotEdge':false},"
        "'enrollmentGroupId':'g','etag':'IjEyMDA4NmYyIg==','iotHubs':null,'provisioningStatus':'enabled'}");
    CLEANUP_STATE struct dps_state *state = open_state(&scratch);
    expect_no_notice(state);
    assert_string_equal(must_find(state, DPS_CERTIFICATE, "root-ca")->etag, "IjA1MDA2YmVhIg==");
    assert_true(
        certificate_ref_matches(&must_find(state, DPS_ENROLLMENT, "dev-01")->certificates[DPS_PRIMARY], pki_certificate(pki, "leaf")));
    assert_string_equal(must_find(state, DPS_GROUP, "g")->ca_references[DPS_PRIMARY], "root-ca");
}

/* Both hold the same certificates, so what one gives as a certificate the other may give as a thumbprint. */
static void the_samples_load_without_a_word(void **unused)
{
    (void)unused;
    struct dps_state *folders[2] = {NULL};
    static const char *const dirs[] = {DPSBENCH_SOURCE_DIR "/fixtures/enrollments/by-hand",
                                       DPSBENCH_SOURCE_DIR "/fixtures/enrollments/az-show"};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(dps_state_open(dirs[i], &clock_system, &folders[i], NULL), 0);
        expect_no_notice(folders[i]);
        assert_true(must_find(folders[i], DPS_CERTIFICATE, "root-ca")->is_verified);
        must_find(folders[i], DPS_GROUP, "group-1");
    }
    const struct certificate_ref *one = &must_find(folders[0], DPS_ENROLLMENT, "gateway1")->certificates[DPS_PRIMARY];
    const struct certificate_ref *other = &must_find(folders[1], DPS_ENROLLMENT, "gateway1")->certificates[DPS_PRIMARY];
    assert_string_equal(*one->sha256 && *other->sha256 ? one->sha256 : one->sha1,
                        *one->sha256 && *other->sha256 ? other->sha256 : other->sha1);
    dps_state_free(folders[0]);
    dps_state_free(folders[1]);
}

static void an_enrollment_is_known_by_thumbprint_and_found_by_it(void **unused)
{
    (void)unused;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    write_object(&scratch, "enrollments/dev-01.json", ENROLLMENT("dev-01", ""));
    write_object(&scratch, "enrollments/dev-02.json", ENROLLMENT("dev-02", ""));
    CLEANUP_STATE struct dps_state *state = open_state(&scratch);
    const struct dps_object *one = must_find(state, DPS_ENROLLMENT, "dev-01"), *two = must_find(state, DPS_ENROLLMENT, "dev-02");
    struct certificate_ref leaf = {.certificate = NULL}, root = {.certificate = NULL};
    certificate_sha1(pki_certificate(pki, "leaf"), leaf.sha1);
    certificate_sha256(pki_certificate(pki, "leaf"), leaf.sha256);
    certificate_sha256(pki_certificate(pki, "root"), root.sha256);
    assert_null(one->certificates[DPS_PRIMARY].certificate);
    assert_true(certificate_ref_matches(&one->certificates[DPS_PRIMARY], pki_certificate(pki, "leaf")));
    assert_false(certificate_ref_matches(&one->certificates[DPS_PRIMARY], pki_certificate(pki, "root")));
    assert_ptr_equal(dps_state_find_holder(state, DPS_ENROLLMENT, &leaf, two), one);
    assert_ptr_equal(dps_state_find_holder(state, DPS_ENROLLMENT, &leaf, one), two);
    assert_null(dps_state_find_holder(state, DPS_ENROLLMENT, &root, NULL));
    assert_int_equal(dps_state_delete(state, DPS_ENROLLMENT, "dev-01", NULL, NULL, NULL), 0);
    assert_ptr_equal(dps_state_find_holder(state, DPS_ENROLLMENT, &leaf, NULL), two);
    assert_null(dps_state_find_holder(state, DPS_ENROLLMENT, &leaf, two));
}

static void makes_the_read_only_members_that_are_absent_and_leaves_the_file_alone(void **unused)
{
    (void)unused;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    write_object(&scratch, "enrollments/dev-01.json", ENROLLMENT("dev-01", ""));
    write_object(&scratch, "certificates/ca.json", CERTIFICATE("ca", ""));
    CLEANUP_FREE char *before = read_text(scratch_path(&scratch, "enrollments/dev-01.json"));
    CLEANUP_STATE struct dps_state *state = open_state(&scratch);
    const cJSON *json = must_find(state, DPS_ENROLLMENT, "dev-01")->json;
    /* "2022-08-27T17:53:19.5143497Z" */
    assert_int_equal(strlen(json_string(json, "createdDateTimeUtc", "")), 28);
    assert_int_equal(strlen(json_string(json, "lastUpdatedDateTimeUtc", "")), 28);
    assert_string_equal(must_find(state, DPS_ENROLLMENT, "dev-01")->etag, json_string(json, "etag", ""));
    const cJSON *info = json_path(json, "attestation.x509.clientCertificates.primary.info");
    assert_string_equal(json_string(info, "subjectName", ""), "CN=dev-01, O=Example");
    const cJSON *properties = json_member(must_find(state, DPS_CERTIFICATE, "ca")->json, "properties");
    assert_string_equal(json_string(properties, "subject", ""), "CN=dev-01,O=Example");
    assert_int_equal(strlen(json_string(properties, "thumbprint", "")), 40);
    /* "Fri, 06 May 2022 17:50:01 GMT" */
    assert_int_equal(strlen(json_string(properties, "expiry", "")), 29);
    assert_int_equal(strlen(json_string(properties, "created", "")), 29);
    assert_true(cJSON_IsFalse(json_member(properties, "isVerified")));
    CLEANUP_FREE char *after = read_text(scratch_path(&scratch, "enrollments/dev-01.json"));
    assert_string_equal(before, after);
}

static void an_etag_looks_like_azures_and_is_never_the_same(void **unused)
{
    (void)unused;
    CLEANUP_FREE char *one = dps_etag_new(&clock_system), *other = dps_etag_new(&clock_system);
    unsigned char plain[128] = "";
    assert_string_not_equal(one, other);
    assert_true(EVP_DecodeBlock(plain, (unsigned char *)one, (int)strlen(one)) > 0);
    /* "120086f2-0000-0300-0000-630a5a0f0000" with its quotes */
    assert_int_equal(strlen((char *)plain), 38);
    assert_memory_equal(plain + 9, "-0000-0300-0000-", 16);
    assert_int_equal(plain[0], '"');
    assert_int_equal(plain[37], '"');
}

static void writes_dates_as_azure_does(void **unused)
{
    (void)unused;
    char text[DPS_TIME_BYTES];
    dps_time_format(1661622799514349, text);
    assert_string_equal(text, "2022-08-27T17:53:19.5143490Z");
}

static void names_are_compared_without_regard_to_case(void **unused)
{
    (void)unused;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    write_object(&scratch, "enrollments/x.json", ENROLLMENT("Dev-01", ""));
    CLEANUP_STATE struct dps_state *state = open_state(&scratch);
    assert_string_equal(must_find(state, DPS_ENROLLMENT, "dEV-01")->id, "Dev-01");
    must_put(state, DPS_ENROLLMENT, ENROLLMENT("DEV-01", ""), NULL, NULL);
    assert_int_equal(dps_state_count(state, DPS_ENROLLMENT), 1);
    assert_true(path_exists(scratch_path(&scratch, "enrollments/x.json")));
    assert_false(path_exists(scratch_path(&scratch, "enrollments/DEV-01.json")));
}

static void objects_are_sorted_by_id(void **unused)
{
    (void)unused;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    write_object(&scratch, "enrollments/1.json", ENROLLMENT("c", ""));
    write_object(&scratch, "enrollments/2.json", ENROLLMENT("A", ""));
    CLEANUP_STATE struct dps_state *state = open_state(&scratch);
    must_put(state, DPS_ENROLLMENT, ENROLLMENT("b", ""), NULL, "lease");
    assert_string_equal(dps_state_at(state, DPS_ENROLLMENT, 0)->id, "A");
    assert_string_equal(dps_state_at(state, DPS_ENROLLMENT, 1)->id, "b");
    assert_string_equal(dps_state_at(state, DPS_ENROLLMENT, 2)->id, "c");
    CLEANUP_JSON cJSON *list = dps_state_list(state, DPS_ENROLLMENT);
    assert_int_equal(cJSON_GetArraySize(list), 3);
    assert_string_equal(json_string(cJSON_GetArrayItem(list, 2), "registrationId", ""), "c");
}

static void a_certificate_stands_in_one_enrollment_alone(void **unused)
{
    (void)unused;
    static const char held[] = "stands in individual enrollment 'dev-01' already"; /* the id as it was put last */
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    CLEANUP_STATE struct dps_state *state = open_state(&scratch);
    must_put(state, DPS_ENROLLMENT, ENROLLMENT("DEV-01", ""), NULL, NULL);
    must_put(state, DPS_ENROLLMENT, ENROLLMENT("dev-01", ""), NULL, NULL);
    must_put(state, DPS_CERTIFICATE, CERTIFICATE("ca", ""), NULL, NULL);
    refuse_put(state, DPS_ENROLLMENT, ENROLLMENT("dev-02", ""), NULL, NULL, ERROR_EXISTS, held);
    refuse_put(state, DPS_GROUP, GROUP("grp", "'signingCertificates':{'secondary':{'certificate':'@'}}"), NULL, NULL, ERROR_EXISTS, held);
    refuse_put(state, DPS_GROUP, GROUP("grp", "'caReferences':{'primary':'ca'}"), NULL, NULL, ERROR_EXISTS, held);
    must_put(state, DPS_ENROLLMENT, ENROLLMENT("dev-02", ""), NULL, "lease");
    must_put(state, DPS_ENROLLMENT, "{'registrationId':'dev-01','attestation':{'type':'symmetricKey'}}", NULL, NULL);
    must_put(state, DPS_GROUP, GROUP("grp", "'caReferences':{'primary':'ca'}"), NULL, NULL);
    refuse_put(state, DPS_GROUP, GROUP("other", "'caReferences':{'secondary':'CA'}"), NULL, NULL, ERROR_EXISTS,
               "stands in enrollment group 'grp' already");
}

/* ---- complaints ---- */

static void says_which_member_of_which_file_is_wrong(void **unused)
{
    (void)unused;
    static const struct {
        const char *file;
        const char *text;
        const char *complaint;
    } rows[] = {
        {"enrollments/x.json", "", "enrollments/x.json:1:1: not valid JSON here"},
        {"enrollments/x.json", "{'registrationId':\n  oops}", "enrollments/x.json:2:3: not valid JSON here"},
        {"enrollments/x.json", "[]", "enrollments/x.json: must be one JSON object"},
        {"enrollments/x.json", "{'attestation':{}}",
         "enrollments/x.json: registrationId: is missing: it is the individual enrollment's name"},
        {"enrollments/x.json", "{'registrationId':'\xE4'}", "enrollments/x.json: a text is not UTF-8; save the file as UTF-8"},
        {"enrollments/x.json", ENROLLMENT("x", ",'note':['\xE4']"), "enrollments/x.json: a text is not UTF-8; save the file as UTF-8"},
        {"enrollments/x.json", "{'registrationId':7}", "enrollments/x.json: registrationId: must be a text"},
        {"enrollments/x.json", "{'registrationId':'a\\tb'}", "enrollments/x.json: registrationId: holds a control character"},
        {"enrollments/x.json", "{'registrationId':'x'}", "enrollments/x.json: attestation: is missing; expected {\"type\": \"x509\""},
        {"enrollments/x.json", "{'registrationId':'x','attestation':{'type':'X509'}}",
         "attestation.type: 'X509' is not one of x509, symmetricKey"},
        {"enrollments/x.json", ENROLLMENT("x", ",'provisioningStatus':'on'"),
         "provisioningStatus: 'on' is neither \"enabled\" nor \"disabled\""},
        {"enrollments/x.json", ENROLLMENT("x", ",'allocationPolicy':'nearest'"),
         "allocationPolicy: 'nearest' is not one of hashed, geoLatency"},
        {"enrollments/x.json", ENROLLMENT("x", ",'allocationPolicy':'custom'"), "customAllocationDefinition.webhookUrl: is missing"},
        {"enrollments/x.json", ENROLLMENT("x", ",'iotHubs':['a.net','https://b.net']"), "iotHubs: 'https://b.net' is no host name"},
        {"enrollments/x.json", ENROLLMENT("x", ",'iotHubs':['']"), "iotHubs: '' is no host name"},
        {"enrollments/x.json", ENROLLMENT("x", ",'iotHubs':['localhost:8883','a.net:']"), "iotHubs: 'a.net:' is no host name"},
        {"enrollments/x.json", ENROLLMENT("x", ",'iotHubs':['a.net:1/x']"), "iotHubs: 'a.net:1/x' is no host name"},
        {"enrollments/x.json", ENROLLMENT("x", ",'deviceId':'a/b'"), "deviceId: 'a/b' is none that a hub takes"},
        {"enrollments/x.json", ENROLLMENT("x", ",'customAllocationDefinition':{'webhookUrl':7}"), "webhookUrl: must be a text"},
        {"enrollments/x.json", ENROLLMENT("x", ",'initialTwin':[]"), "initialTwin: must be an object"},
        {"enrollments/x.json", ENROLLMENT("x", ",'iotHubs':'h'"), "enrollments/x.json: iotHubs: must be a list of texts"},
        {"enrollments/x.json", ENROLLMENT("x", ",'capabilities':{'iotEdge':'no'}"), "capabilities.iotEdge: must be true or false"},
        {"enrollments/x.json", ENROLLMENT("x", ",'reprovisionPolicy':[]"), "reprovisionPolicy: must be an object"},
        {"enrollments/x.json", "{'registrationId':'x','attestation':{'x509':{'clientCertificates':{'primary':null}}}}",
         "attestation.x509.clientCertificates: neither primary nor secondary holds a certificate or a thumbprint; put"},
        {"enrollments/x.json",
         "{'registrationId':'x','attestation':{'x509':{'clientCertificates':{'primary':{'certificate':'nonsense'}}}}}",
         "enrollments/x.json: attestation.x509.clientCertificates.primary.certificate: no certificate in it; expected PEM"},
        {"enrollments/x.json", "{'registrationId':'x','attestation':{'x509':{'clientCertificates':{'primary':{'certificate':'@@'}}}}}",
         "clientCertificates.primary.certificate: holds 2 certificates; exactly one"},
        {"enrollments/x.json",
         "{'registrationId':'x','attestation':{'x509':{'clientCertificates':{'primary':{'info':{'sha1Thumbprint':'12'}}}}}}",
         "clientCertificates.primary.info.sha1Thumbprint: is no thumbprint: 40 hex digits"},
        {"enrollmentGroups/x.json", GROUP("x", ""), "enrollmentGroups/x.json: attestation.x509: holds neither caReferences"},
        {"enrollmentGroups/x.json", GROUP("x", "'caReferences':{'primary':'a'},'signingCertificates':{'primary':{'certificate':'@'}}"),
         "attestation.x509: holds both caReferences and signingCertificates"},
        {"certificates/x.json", "{'name':'x'}", "certificates/x.json: certificate: is missing; put the CA certificate there"},
        {"certificates/x.json", "{'name':'x','properties':{}}", "certificates/x.json: properties.certificate: is missing"},
        {"certificates/x.json", "{'properties':{'certificate':'@'}}", "certificates/x.json: name: is missing"},
        {"certificates/x.json", "{'name':'x','certificate':null,'thumbprint':'zz'}", "certificates/x.json: thumbprint: is no thumbprint"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        CLEANUP_SCRATCH struct scratch scratch = scratch_make();
        write_object(&scratch, rows[i].file, rows[i].text);
        write_object(&scratch, "enrollments/good.json", ENROLLMENT("good", ""));
        CLEANUP_STATE struct dps_state *state = open_state(&scratch);
        assert_int_equal(dps_state_notice_count(state), 1);
        expect_notice(state, true, rows[i].complaint);
        must_find(state, DPS_ENROLLMENT, "good");
        assert_int_equal(ERR_peek_error(), 0);
    }
}

static void an_id_longer_than_the_limit_is_refused(void **unused)
{
    (void)unused;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    CLEANUP_STATE struct dps_state *state = open_state(&scratch);
    char id[DPS_ID_MAX_BYTES + 2] = "", text[512];
    memset(id, 'a', DPS_ID_MAX_BYTES + 1);
    snprintf(text, sizeof text, "{'registrationId':'%s','attestation':{'type':'tpm'}}", id);
    refuse_put(state, DPS_ENROLLMENT, text, NULL, NULL, ERROR_SYNTAX, "registrationId: is longer than 128 characters");
    memset(id, '/', DPS_ID_MAX_BYTES);
    id[DPS_ID_MAX_BYTES] = 0;
    snprintf(text, sizeof text, "{'registrationId':'%s','attestation':{'type':'tpm'}}", id);
    refuse_put(state, DPS_ENROLLMENT, text, NULL, NULL, ERROR_LIMIT, "the name is too long for a file name");
}

static void unknown_members_are_told_once_and_kept(void **unused)
{
    (void)unused;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    write_object(&scratch, "enrollments/dev-01.json", ENROLLMENT("dev-01", ",'provisioningStatu':'x','zebra':{'deep':[1,{'a':null}]}"));
    CLEANUP_STATE struct dps_state *state = open_state(&scratch);
    assert_int_equal(dps_state_notice_count(state), 2);
    expect_notice(state, false,
                  "enrollments/dev-01.json: unknown member 'provisioningStatu' is kept and ignored; did you mean 'provisioningStatus'?");
    expect_notice(state, false, "enrollments/dev-01.json: unknown member 'zebra' is kept and ignored");
    write_object(&scratch, "enrollments/dev-01.json", ENROLLMENT("dev-01", ",'provisioningStatu':'x','zebra':{'deep':[1,{'a':null}]} "));
    assert_int_equal(dps_state_reload(state, NULL, NULL), 0);
    expect_no_notice(state);
    CLEANUP_JSON cJSON *copy = cJSON_Duplicate(must_find(state, DPS_ENROLLMENT, "dev-01")->json, true);
    assert_int_equal(dps_state_put(state, DPS_ENROLLMENT, copy, NULL, NULL, NULL, NULL), 0);
    CLEANUP_JSON cJSON *written = json_read_file(scratch_path(&scratch, "enrollments/dev-01.json"), NULL);
    CLEANUP_FREE char *zebra = json_print_line(json_member(written, "zebra"));
    assert_string_equal(zebra, "{\"deep\":[1,{\"a\":null}]}");
}

static void other_attestations_are_kept_and_match_nobody(void **unused)
{
    (void)unused;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    write_object(&scratch, "enrollments/t.json", "{'registrationId':'t','attestation':{'type':'tpm','tpm':{'endorsementKey':'k'}}}");
    CLEANUP_STATE struct dps_state *state = open_state(&scratch);
    expect_notice(state, false, "enrollments/t.json: attestation.type: only x509 and symmetricKey are simulated here");
    assert_false(must_find(state, DPS_ENROLLMENT, "t")->is_x509);
    assert_int_equal(must_find(state, DPS_ENROLLMENT, "t")->attestation, DPS_ATTESTATION_TPM);
}

#define KEY_ONE "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

static void symmetric_keys_are_read_and_a_bad_one_is_named_but_not_told(void **unused)
{
    (void)unused;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    write_object(&scratch, "enrollments/s.json",
                 "{'registrationId':'s','attestation':{'type':'symmetricKey','symmetricKey':{'primaryKey':'" KEY_ONE "'}}}");
    write_object(&scratch, "enrollmentGroups/bad.json",
                 "{'enrollmentGroupId':'bad','attestation':{'type':'symmetricKey','symmetricKey':{'secondaryKey':'hunter2'}}}");
    write_object(&scratch, "enrollments/none.json", "{'registrationId':'none','attestation':{'type':'symmetricKey'}}");
    CLEANUP_STATE struct dps_state *state = open_state(&scratch);
    const struct dps_object *object = must_find(state, DPS_ENROLLMENT, "s");
    assert_int_equal(object->attestation, DPS_ATTESTATION_SYMMETRIC_KEY);
    assert_string_equal(object->symmetric_keys[DPS_PRIMARY], KEY_ONE);
    assert_null(object->symmetric_keys[DPS_SECONDARY]);
    expect_notice(state, true, "enrollmentGroups/bad.json: attestation.symmetricKey.secondaryKey: is not the base64 of 16 to 64 bytes");
    expect_notice(state, false, "enrollments/none.json: attestation.symmetricKey: holds no key");
    for (size_t i = 0; i < dps_state_notice_count(state); i++)
        assert_null(strstr(dps_state_notice(state, i).text, "hunter2"));
}

static void symmetric_keys_that_are_left_out_are_made_and_then_kept(void **unused)
{
    (void)unused;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    CLEANUP_STATE struct dps_state *state = open_state(&scratch);
    static const char text[] = "{\"enrollmentGroupId\":\"g\",\"attestation\":{\"type\":\"symmetricKey\"}}";
    CLEANUP_JSON cJSON *json = json_parse(text, strlen(text), "t", NULL);
    const struct dps_object *object = NULL;
    assert_int_equal(dps_state_put(state, DPS_GROUP, json, NULL, NULL, &object, NULL), 0);
    CLEANUP_FREE char *primary = strdup(object->symmetric_keys[DPS_PRIMARY]), *secondary = strdup(object->symmetric_keys[DPS_SECONDARY]);
    assert_int_equal(strlen(primary), 88);
    assert_string_not_equal(primary, secondary);
    assert_int_equal(dps_state_put(state, DPS_GROUP, json, NULL, NULL, &object, NULL), 0);
    assert_string_equal(object->symmetric_keys[DPS_PRIMARY], primary);
    assert_string_equal(object->symmetric_keys[DPS_SECONDARY], secondary);
}

static void two_files_of_one_name_are_told_and_the_first_counts(void **unused)
{
    (void)unused;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    write_object(&scratch, "enrollments/a.json", ENROLLMENT("dev-01", ",'deviceId':'first'"));
    write_object(&scratch, "enrollments/b.json", ENROLLMENT("DEV-01", ",'deviceId':'second'"));
    CLEANUP_STATE struct dps_state *state = open_state(&scratch);
    expect_notice(state, true, "enrollments/b.json: individual enrollment 'DEV-01' stands already in enrollments/a.json; keep one");
    assert_string_equal(json_string(must_find(state, DPS_ENROLLMENT, "dev-01")->json, "deviceId", ""), "first");
}

/* ---- reread ---- */

static void a_reread_sees_new_changed_and_removed_files(void **unused)
{
    (void)unused;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    write_object(&scratch, "enrollments/same.json", ENROLLMENT("same", ""));
    write_object(&scratch, "enrollments/gone.json", ENROLLMENT("gone", ""));
    write_object(&scratch, "enrollments/turned.json", ENROLLMENT("turned", ""));
    CLEANUP_STATE struct dps_state *state = open_state(&scratch);
    CLEANUP_FREE char *etag = strdup(must_find(state, DPS_ENROLLMENT, "same")->etag);
    CLEANUP_FREE char *turned = strdup(must_find(state, DPS_ENROLLMENT, "turned")->etag);
    size_t changed = 99;
    assert_int_equal(dps_state_reload(state, &changed, NULL), 0);
    assert_int_equal(changed, 0);
    unlink(scratch_path(&scratch, "enrollments/gone.json"));
    write_object(&scratch, "enrollments/turned.json", ENROLLMENT("turned", ",'provisioningStatus':'disabled'"));
    write_object(&scratch, "enrollmentGroups/new.json", GROUP("new", "'caReferences':{'primary':'a'}"));
    assert_int_equal(dps_state_reload(state, &changed, NULL), 0);
    assert_int_equal(changed, 3);
    assert_null(dps_state_find(state, DPS_ENROLLMENT, "gone"));
    assert_string_equal(must_find(state, DPS_ENROLLMENT, "same")->etag, etag);
    assert_string_not_equal(must_find(state, DPS_ENROLLMENT, "turned")->etag, turned);
    assert_false(must_find(state, DPS_ENROLLMENT, "turned")->is_enabled);
    must_find(state, DPS_GROUP, "new");
}

static void a_file_that_breaks_keeps_its_last_good_version(void **unused)
{
    (void)unused;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    write_object(&scratch, "enrollments/a.json", ENROLLMENT("a", ""));
    write_object(&scratch, "enrollments/b.json", ENROLLMENT("b", ""));
    CLEANUP_STATE struct dps_state *state = open_state(&scratch);
    write_object(&scratch, "enrollments/a.json", "{'registrationId':");
    write_object(&scratch, "enrollments/b.json", ENROLLMENT("b", ",'deviceId':'new'"));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(dps_state_reload(state, NULL, NULL), 0);
        assert_int_equal(dps_state_notice_count(state), 1);
        expect_notice(state, true, "not valid JSON here; the last good version stays in force");
        must_find(state, DPS_ENROLLMENT, "a");
        assert_string_equal(json_string(must_find(state, DPS_ENROLLMENT, "b")->json, "deviceId", ""), "new");
    }
    write_object(&scratch, "enrollments/a.json", ENROLLMENT("a", ",'deviceId':'mended'"));
    assert_int_equal(dps_state_reload(state, NULL, NULL), 0);
    expect_no_notice(state);
    assert_string_equal(json_string(must_find(state, DPS_ENROLLMENT, "a")->json, "deviceId", ""), "mended");
}

static void what_was_put_is_no_change_to_a_reread(void **unused)
{
    (void)unused;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    CLEANUP_STATE struct dps_state *state = open_state(&scratch);
    CLEANUP_FREE char *etag = strdup(must_put(state, DPS_ENROLLMENT, ENROLLMENT("dev-01", ""), NULL, NULL)->etag);
    size_t changed = 99;
    assert_int_equal(dps_state_reload(state, &changed, NULL), 0);
    assert_int_equal(changed, 0);
    CLEANUP_STATE struct dps_state *second = open_state(&scratch);
    assert_string_equal(must_find(second, DPS_ENROLLMENT, "dev-01")->etag, etag);
}

/* ---- put and delete ---- */

static void put_creates_replaces_and_counts_etags(void **unused)
{
    (void)unused;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    CLEANUP_STATE struct dps_state *state = open_state(&scratch);
    refuse_put(state, DPS_ENROLLMENT, ENROLLMENT("dev-01", ""), "*", NULL, ERROR_CONFLICT, "it does not exist (Azure: 412");
    const struct dps_object *object =
        must_put(state, DPS_ENROLLMENT, ENROLLMENT("dev-01", ",'etag':'mine','createdDateTimeUtc':'x'"), NULL, NULL);
    CLEANUP_FREE char *first = strdup(object->etag), *created = strdup(json_string(object->json, "createdDateTimeUtc", ""));
    assert_string_not_equal(first, "mine");
    assert_string_not_equal(created, "x");
    refuse_put(state, DPS_ENROLLMENT, ENROLLMENT("dev-01", ""), "stale", NULL, ERROR_CONFLICT,
               "individual enrollment 'dev-01': etag 'stale' is stale (Azure: 412 Precondition Failed)");
    object = must_put(state, DPS_ENROLLMENT, ENROLLMENT("dev-01", ",'deviceId':'d'"), first, NULL);
    CLEANUP_FREE char *second = strdup(object->etag);
    assert_string_not_equal(first, second);
    assert_string_equal(json_string(object->json, "createdDateTimeUtc", ""), created);
    refuse_put(state, DPS_ENROLLMENT, ENROLLMENT("dev-01", ""), first, NULL, ERROR_CONFLICT, second);
    char quoted[256];
    snprintf(quoted, sizeof quoted, "\"%s\"", second);
    must_put(state, DPS_ENROLLMENT, ENROLLMENT("dev-01", ""), quoted, NULL);
    must_put(state, DPS_ENROLLMENT, ENROLLMENT("dev-01", ""), "*", NULL);
    assert_int_equal(dps_state_count(state, DPS_ENROLLMENT), 1);
}

static void a_refused_put_changes_neither_memory_nor_disk(void **unused)
{
    (void)unused;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    CLEANUP_STATE struct dps_state *state = open_state(&scratch);
    CLEANUP_FREE char *etag = strdup(must_put(state, DPS_ENROLLMENT, ENROLLMENT("dev-01", ""), NULL, NULL)->etag);
    CLEANUP_FREE char *before = read_text(scratch_path(&scratch, "enrollments/dev-01.json"));
    refuse_put(state, DPS_ENROLLMENT, "{'registrationId':'dev-01'}", NULL, NULL, ERROR_SYNTAX,
               "individual enrollment 'dev-01': attestation: is missing");
    refuse_put(state, DPS_ENROLLMENT, "[]", NULL, NULL, ERROR_SYNTAX, "must be one JSON object");
    refuse_put(state, DPS_ENROLLMENT, "7", NULL, NULL, ERROR_SYNTAX, "must be one JSON object");
    refuse_put(state, DPS_CERTIFICATE, "{'name':'x','properties':'y'}", NULL, NULL, ERROR_SYNTAX, "properties: must be an object");
    assert_string_equal(must_find(state, DPS_ENROLLMENT, "dev-01")->etag, etag);
    CLEANUP_FREE char *after = read_text(scratch_path(&scratch, "enrollments/dev-01.json"));
    assert_string_equal(before, after);
}

static void put_does_not_write_over_a_file_that_it_has_not_read(void **unused)
{
    (void)unused;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    write_object(&scratch, "enrollments/dev-01.json", "{'registrationId':");
    CLEANUP_STATE struct dps_state *state = open_state(&scratch);
    refuse_put(state, DPS_ENROLLMENT, ENROLLMENT("dev-01", ""), NULL, NULL, ERROR_EXISTS, "stands there and has not been read");
    CLEANUP_FREE char *text = read_text(scratch_path(&scratch, "enrollments/dev-01.json"));
    assert_string_equal(text, "{\"registrationId\":");
}

static void file_names_stay_in_the_folder(void **unused)
{
    (void)unused;
    static const struct {
        const char *id;
        const char *file;
    } rows[] = {
        {"dev-01", "dev-01.json"},
        {"a.b_c:D", "a.b_c:D.json"},
        {"../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd.json"},
        {".hidden", "%2Ehidden.json"},
        {"d\xC3\xBC sse", "d%C3%BC%20sse.json"},
        {"100%", "100%25.json"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        CLEANUP_FREE char *name = dps_state_file_name(rows[i].id);
        assert_string_equal(name, rows[i].file);
    }
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    CLEANUP_STATE struct dps_state *state = open_state(&scratch);
    must_put(state, DPS_GROUP, GROUP("../x", "'caReferences':{'primary':'a'}"), NULL, NULL);
    assert_true(path_exists(scratch_path(&scratch, "enrollmentGroups/%2E.%2Fx.json")));
    assert_false(path_exists(scratch_path(&scratch, "x.json")));
    CLEANUP_STATE struct dps_state *second = open_state(&scratch);
    must_find(second, DPS_GROUP, "../x");
}

static void delete_checks_the_etag_and_removes_the_file(void **unused)
{
    (void)unused;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    write_object(&scratch, "enrollments/odd name.json", ENROLLMENT("dev-01", ""));
    CLEANUP_STATE struct dps_state *state = open_state(&scratch);
    struct error error = ERROR_INIT;
    assert_int_equal(dps_state_delete(state, DPS_ENROLLMENT, "dev-02", NULL, NULL, &error), -1);
    assert_int_equal(error.code, ERROR_NOT_FOUND);
    assert_non_null(strstr(error.text, "individual enrollment 'dev-02' does not exist in "));
    assert_non_null(strstr(error.text, "; there are: dev-01"));
    assert_int_equal(dps_state_delete(state, DPS_ENROLLMENT, "dev-01", "stale", NULL, &error), -1);
    assert_int_equal(error.code, ERROR_CONFLICT);
    CLEANUP_JSON cJSON *json = NULL;
    assert_int_equal(dps_state_delete(state, DPS_ENROLLMENT, "dev-01", NULL, &json, &error), 0);
    assert_string_equal(json_string(json, "registrationId", ""), "dev-01");
    assert_false(path_exists(scratch_path(&scratch, "enrollments/odd name.json")));
    assert_null(dps_state_find(state, DPS_ENROLLMENT, "dev-01"));
    const struct dps_object *object = NULL;
    assert_int_equal(dps_state_get(state, DPS_ENROLLMENT, "dev-01", &object, &error), -1);
    assert_non_null(strstr(error.text, "; there is none at all"));
}

/* ---- leases ---- */

static void a_leased_object_hides_the_folders_and_leaves_no_trace(void **unused)
{
    (void)unused;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    write_object(&scratch, "enrollments/dev-01.json", ENROLLMENT("dev-01", ",'deviceId':'file'"));
    CLEANUP_STATE struct dps_state *state = open_state(&scratch);
    CLEANUP_FREE char *before = read_text(scratch_path(&scratch, "enrollments/dev-01.json"));
    const struct dps_object *leased = must_put(state, DPS_ENROLLMENT, ENROLLMENT("DEV-01", ",'deviceId':'lease'"), NULL, "run-7");
    assert_string_equal(leased->lease, "run-7");
    assert_string_equal(leased->place, "lease 'run-7'");
    must_put(state, DPS_CERTIFICATE, CERTIFICATE("ca", ""), NULL, "run-7");
    must_put(state, DPS_CERTIFICATE, CERTIFICATE("ca2", ""), NULL, "run-8");
    assert_int_equal(dps_state_count(state, DPS_ENROLLMENT), 1);
    assert_string_equal(json_string(must_find(state, DPS_ENROLLMENT, "dev-01")->json, "deviceId", ""), "lease");
    assert_int_equal(dps_state_reload(state, NULL, NULL), 0);
    assert_string_equal(json_string(must_find(state, DPS_ENROLLMENT, "dev-01")->json, "deviceId", ""), "lease");
    assert_int_equal(dps_state_drop_lease(state, "run-7"), 2);
    assert_int_equal(dps_state_drop_lease(state, "run-7"), 0);
    assert_string_equal(json_string(must_find(state, DPS_ENROLLMENT, "dev-01")->json, "deviceId", ""), "file");
    assert_null(dps_state_find(state, DPS_CERTIFICATE, "ca"));
    must_find(state, DPS_CERTIFICATE, "ca2");
    CLEANUP_FREE char *after = read_text(scratch_path(&scratch, "enrollments/dev-01.json"));
    assert_string_equal(before, after);
    assert_false(path_exists(scratch_path(&scratch, "certificates/ca.json")));
}

static void one_lease_does_not_touch_anothers_objects(void **unused)
{
    (void)unused;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    CLEANUP_STATE struct dps_state *state = open_state(&scratch);
    must_put(state, DPS_ENROLLMENT, ENROLLMENT("dev-01", ""), NULL, "run-7");
    refuse_put(state, DPS_ENROLLMENT, ENROLLMENT("dev-01", ""), NULL, "run-8", ERROR_BUSY, "'dev-01' is held by lease 'run-7'");
    must_put(state, DPS_ENROLLMENT, ENROLLMENT("dev-01", ",'deviceId':'2'"), "*", "run-7");
    must_put(state, DPS_ENROLLMENT, ENROLLMENT("dev-01", ",'deviceId':'file'"), NULL, NULL);
    assert_string_equal(json_string(must_find(state, DPS_ENROLLMENT, "dev-01")->json, "deviceId", ""), "2");
    assert_int_equal(dps_state_delete(state, DPS_ENROLLMENT, "dev-01", NULL, NULL, NULL), 0);
    assert_string_equal(json_string(must_find(state, DPS_ENROLLMENT, "dev-01")->json, "deviceId", ""), "file");
}

static void a_lane_sees_the_folder_and_its_own_lease_alone(void **unused)
{
    (void)unused;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    CLEANUP_STATE struct dps_state *state = open_state(&scratch);
    must_put(state, DPS_ENROLLMENT, ENROLLMENT("dev-folder", ""), NULL, NULL);
    assert_int_equal(dps_state_bind_lane(state, "run-7", "lane-1", NULL), 0);
    assert_int_equal(dps_state_bind_lane(state, "run-8", "lane-2", NULL), 0);
    must_put(state, DPS_ENROLLMENT, ENROLLMENT("dev-7", ""), NULL, "run-7");
    /* Nobody else has anything: no other view is needed. */
    assert_ptr_equal(dps_state_seen_from(state, "lane-1"), state);
    const struct dps_state *other = dps_state_seen_from(state, "lane-2");
    assert_ptr_not_equal(other, state);
    assert_ptr_equal(dps_state_seen_from(state, "lane-2"), other);
    assert_int_equal(dps_state_count(other, DPS_ENROLLMENT), 1);
    assert_null(dps_state_find(other, DPS_ENROLLMENT, "dev-7"));
    must_put(state, DPS_ENROLLMENT, ENROLLMENT("dev-folder", ",'deviceId':'hidden'"), NULL, "run-7");
    must_put(state, DPS_ENROLLMENT, ENROLLMENT("dev-8", ""), NULL, "run-8");
    other = dps_state_seen_from(state, "lane-2");
    assert_int_equal(dps_state_count(other, DPS_ENROLLMENT), 2);
    assert_non_null(dps_state_find(other, DPS_ENROLLMENT, "dev-8"));
    /* What another lease hides is uncovered. */
    assert_null(json_member(dps_state_find(other, DPS_ENROLLMENT, "dev-folder")->json, "deviceId"));
    assert_int_equal(dps_state_count(dps_state_seen_from(state, "main"), DPS_ENROLLMENT), 3);
    assert_ptr_equal(dps_state_seen_from(state, NULL), state);
    dps_state_drop_lease(state, "run-8");
    assert_ptr_equal(dps_state_seen_from(state, "lane-2"), state);
}

/* ---- any bytes ---- */

static void survives_cut_and_spoiled_files(void **unused)
{
    (void)unused;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    CLEANUP_STATE struct dps_state *state = open_state(&scratch);
    CLEANUP_FREE char *text = with_pem(ENROLLMENT("dev-01", ",'provisioningStatus':'disabled','iotHubs':['h']"));
    const char *path = scratch_path(&scratch, "enrollments/x.json");
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i += 7) {
        char was = text[i];
        text[i] = (char)(was ^ (int)(1U << i % 8));
        assert_int_equal(file_write_atomic(path, text, i % 2 ? length : i, 0644, NULL), 0);
        text[i] = was;
        assert_int_equal(dps_state_reload(state, NULL, NULL), 0);
    }
    assert_int_equal(ERR_peek_error(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes_the_folders_when_they_are_missing),
        cmocka_unit_test(reads_every_kind_of_object),
        cmocka_unit_test(takes_a_certificate_in_any_form_at_the_top_or_under_properties),
        cmocka_unit_test(what_az_shows_drops_in),
        cmocka_unit_test(the_samples_load_without_a_word),
        cmocka_unit_test(an_enrollment_is_known_by_thumbprint_and_found_by_it),
        cmocka_unit_test(makes_the_read_only_members_that_are_absent_and_leaves_the_file_alone),
        cmocka_unit_test(an_etag_looks_like_azures_and_is_never_the_same),
        cmocka_unit_test(writes_dates_as_azure_does),
        cmocka_unit_test(names_are_compared_without_regard_to_case),
        cmocka_unit_test(objects_are_sorted_by_id),
        cmocka_unit_test(a_certificate_stands_in_one_enrollment_alone),
        cmocka_unit_test(says_which_member_of_which_file_is_wrong),
        cmocka_unit_test(an_id_longer_than_the_limit_is_refused),
        cmocka_unit_test(unknown_members_are_told_once_and_kept),
        cmocka_unit_test(other_attestations_are_kept_and_match_nobody),
        cmocka_unit_test(symmetric_keys_are_read_and_a_bad_one_is_named_but_not_told),
        cmocka_unit_test(symmetric_keys_that_are_left_out_are_made_and_then_kept),
        cmocka_unit_test(two_files_of_one_name_are_told_and_the_first_counts),
        cmocka_unit_test(a_reread_sees_new_changed_and_removed_files),
        cmocka_unit_test(a_file_that_breaks_keeps_its_last_good_version),
        cmocka_unit_test(what_was_put_is_no_change_to_a_reread),
        cmocka_unit_test(put_creates_replaces_and_counts_etags),
        cmocka_unit_test(a_refused_put_changes_neither_memory_nor_disk),
        cmocka_unit_test(put_does_not_write_over_a_file_that_it_has_not_read),
        cmocka_unit_test(file_names_stay_in_the_folder),
        cmocka_unit_test(delete_checks_the_etag_and_removes_the_file),
        cmocka_unit_test(a_leased_object_hides_the_folders_and_leaves_no_trace),
        cmocka_unit_test(one_lease_does_not_touch_anothers_objects),
        cmocka_unit_test(a_lane_sees_the_folder_and_its_own_lease_alone),
        cmocka_unit_test(survives_cut_and_spoiled_files),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
