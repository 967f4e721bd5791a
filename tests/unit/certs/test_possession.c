/* Proof of possession with the command lines of the thread: openssl makes root, request and verification certificate. */
#include "certs/dps_state.h"

#include "base/files.h"
#include "tests/cmocka.h"
#include "tests/unit/certs/support.h"

#include <openssl/err.h>
#include <string.h>

DEFINE_CLEANUP(struct dps_state *, dps_state_free)
#define CLEANUP_STATE CLEANUP(dps_state_free_cleanup)

static struct scratch bench; /* root.pem, root.key, other.pem, other.key (another CA), twin.pem, twin.key (root's name, another key) */

static void make_ca(const char *name, const char *subject)
{
    char key[32], pem[32], output[OUTPUT_MAX_BYTES];
    snprintf(key, sizeof key, "%s.key", name);
    snprintf(pem, sizeof pem, "%s.pem", name);
    if (RUN(bench.dir, output, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
            key, "-sha256", "-days", "1024", "-out", pem, "-subj", subject))
        fail_msg("%s", output);
}

static int set_up(void **unused)
{
    (void)unused;
    bench = scratch_make();
    make_ca("root", "/O=Example/CN=Root");
    make_ca("other", "/O=Example/CN=Other");
    make_ca("twin", "/O=Example/CN=Root");
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    scratch_remove(&bench);
    return 0;
}

/* Steps 8 and 9 of the thread. The certificate's text; free() it. */
static char *prove(const char *ca, const char *cn)
{
    char output[OUTPUT_MAX_BYTES], subject[256], pem[32], key[32];
    snprintf(subject, sizeof subject, "/CN=%s", cn);
    snprintf(pem, sizeof pem, "%s.pem", ca);
    snprintf(key, sizeof key, "%s.key", ca);
    if (RUN(bench.dir, output, "openssl", "req", "-new", "-key", key, "-out", "verification.csr", "-subj", subject) ||
        RUN(bench.dir, output, "openssl", "x509", "-req", "-in", "verification.csr", "-CA", pem, "-CAkey", key, "-CAcreateserial", "-out",
            "verificationCert.pem", "-days", "1", "-sha256"))
        fail_msg("%s", output);
    return read_text(scratch_path(&bench, "verificationCert.pem"));
}

static struct dps_state *state_with_root(const struct scratch *scratch, bool at_top)
{
    struct dps_state *state = NULL;
    assert_int_equal(dps_state_open(scratch->dir, &clock_system, &state, NULL), 0);
    CLEANUP_FREE char *pem = read_text(scratch_path(&bench, "root.pem"));
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    json_set_string(json, "name", "root-ca");
    cJSON *holder = json;
    if (!at_top) {
        json_set(json, "properties", cJSON_CreateObject());
        holder = (cJSON *)json_member(json, "properties");
    }
    json_set_string(holder, "certificate", pem);
    assert_int_equal(dps_state_put(state, DPS_CERTIFICATE, json, NULL, NULL, NULL, NULL), 0);
    return state;
}

static const struct dps_object *ask_for_code(struct dps_state *state, const char *etag)
{
    struct error error = ERROR_INIT;
    const struct dps_object *object = NULL;
    if (dps_state_verification_code(state, "root-ca", etag, &object, &error))
        fail_msg("%s", error.text);
    return object;
}

static void refuse_proof(struct dps_state *state, const char *etag, const char *pem, enum error_code code, const char *part)
{
    struct error error = ERROR_INIT;
    assert_int_equal(dps_state_verify(state, "root-ca", etag, pem, strlen(pem), NULL, &error), -1);
    assert_int_equal(error.code, code);
    if (!strstr(error.text, part))
        fail_msg("'%s' not in '%s'", part, error.text);
    assert_false(dps_state_find(state, DPS_CERTIFICATE, "root-ca")->is_verified);
    assert_int_equal(ERR_peek_error(), 0);
}

static void the_threads_steps_prove_possession_over_several_starts(void **unused)
{
    (void)unused;
    for (int at_top = 0; at_top < 2; at_top++) {
        CLEANUP_SCRATCH struct scratch scratch = scratch_make();
        char code[DPS_VERIFICATION_CODE_BYTES], etags[3][128];
        {
            CLEANUP_STATE struct dps_state *state = state_with_root(&scratch, at_top);
            snprintf(etags[0], sizeof etags[0], "%s", dps_state_find(state, DPS_CERTIFICATE, "root-ca")->etag);
        }
        {
            CLEANUP_STATE struct dps_state *state = NULL;
            assert_int_equal(dps_state_open(scratch.dir, &clock_system, &state, NULL), 0);
            const struct dps_object *object = ask_for_code(state, etags[0]);
            snprintf(code, sizeof code, "%s", object->verification_code);
            snprintf(etags[1], sizeof etags[1], "%s", object->etag);
            assert_string_equal(json_string(json_member(object->json, "properties"), "verificationCode", ""), code);
        }
        assert_int_equal(strspn(code, "0123456789ABCDEF"), 48);
        CLEANUP_FREE char *proof = prove("root", code);
        CLEANUP_STATE struct dps_state *state = NULL;
        struct error error = ERROR_INIT;
        const struct dps_object *object = NULL;
        assert_int_equal(dps_state_open(scratch.dir, &clock_system, &state, NULL), 0);
        assert_false(dps_state_find(state, DPS_CERTIFICATE, "root-ca")->is_verified);
        if (dps_state_verify(state, "ROOT-CA", etags[1], proof, strlen(proof), &object, &error))
            fail_msg("%s", error.text);
        assert_true(object->is_verified);
        assert_null(object->verification_code);
        snprintf(etags[2], sizeof etags[2], "%s", object->etag);
        assert_string_not_equal(etags[0], etags[1]);
        assert_string_not_equal(etags[1], etags[2]);
        CLEANUP_STATE struct dps_state *later = NULL;
        assert_int_equal(dps_state_open(scratch.dir, &clock_system, &later, NULL), 0);
        assert_true(dps_state_find(later, DPS_CERTIFICATE, "root-ca")->is_verified);
        assert_int_equal(dps_state_notice_count(later), 0);
    }
}

static void says_why_a_proof_is_none(void **unused)
{
    (void)unused;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    CLEANUP_STATE struct dps_state *state = state_with_root(&scratch, false);
    CLEANUP_FREE char *early = prove("root", "ABC");
    refuse_proof(state, NULL, early, ERROR_REFUSED,
                 "certificate 'root-ca': no verification code has been asked for; ask first: dpsbench az iot dps certificate "
                 "generate-verification-code -n root-ca --etag '*' --state ");
    CLEANUP_FREE char *old_code = strdup(ask_for_code(state, NULL)->verification_code);
    CLEANUP_FREE char *old_etag = strdup(dps_state_find(state, DPS_CERTIFICATE, "root-ca")->etag);
    CLEANUP_FREE char *code = strdup(ask_for_code(state, NULL)->verification_code);
    assert_string_not_equal(old_code, code);
    CLEANUP_FREE char *of_old_code = prove("root", old_code), *by_other = prove("other", code), *by_twin = prove("twin", code);
    CLEANUP_FREE char *good = prove("root", code), *root = read_text(scratch_path(&bench, "root.pem"));
    char part[512];
    refuse_proof(state, old_etag, good, ERROR_CONFLICT, "is stale (Azure: 412 Precondition Failed)");
    snprintf(part, sizeof part, "the verification certificate's CN is '%s', the verification code is '%s'", old_code, code);
    refuse_proof(state, NULL, of_old_code, ERROR_REFUSED, part);
    refuse_proof(state, NULL, by_other, ERROR_REFUSED,
                 "Proof-Of-Possession failed. Issuer certificate 'CN=Root,O=Example' cannot be found in the certificate chain. (Azure: "
                 "IH400053): the "
                 "verification certificate was issued by 'CN=Other,O=Example', and the key of 'CN=Root,O=Example' did not sign it; sign");
    refuse_proof(state, NULL, by_twin, ERROR_REFUSED, "did not sign it: the names agree, the keys do not");
    refuse_proof(state, NULL, root, ERROR_REFUSED, "the verification certificate's CN is 'Root'");
    refuse_proof(state, NULL, "nonsense", ERROR_SYNTAX, "verification certificate: no certificate in it");
    refuse_proof(state, NULL, "", ERROR_SYNTAX, "verification certificate: the file is empty");
    assert_int_equal(dps_state_verify(state, "root-ca", "*", good, strlen(good), NULL, NULL), 0);
    struct error error = ERROR_INIT;
    assert_int_equal(dps_state_verify(state, "root-ca", "*", good, strlen(good), NULL, &error), -1);
    assert_int_equal(error.code, ERROR_REFUSED);
    assert_non_null(strstr(error.text, "certificate 'root-ca': it is verified already"));
}

static void an_unknown_name_and_a_stale_etag_get_no_code(void **unused)
{
    (void)unused;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    CLEANUP_STATE struct dps_state *state = state_with_root(&scratch, false);
    struct error error = ERROR_INIT;
    assert_int_equal(dps_state_verification_code(state, "rootca", NULL, NULL, &error), -1);
    assert_int_equal(error.code, ERROR_NOT_FOUND);
    assert_non_null(strstr(error.text, "certificate 'rootca' does not exist in "));
    assert_int_equal(dps_state_verification_code(state, "root-ca", "old", NULL, &error), -1);
    assert_int_equal(error.code, ERROR_CONFLICT);
    assert_null(dps_state_find(state, DPS_CERTIFICATE, "root-ca")->verification_code);
}

static void a_ca_that_is_only_a_thumbprint_cannot_be_proven(void **unused)
{
    (void)unused;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    CLEANUP_STATE struct dps_state *state = NULL;
    struct error error = ERROR_INIT;
    assert_int_equal(dir_make(scratch_path(&scratch, "certificates"), 0755, NULL), 0);
    write_text(scratch_path(&scratch, "certificates/x.json"),
               "{\"name\":\"x\",\"properties\":{\"certificate\":null,\"thumbprint\":\"0123456789012345678901234567890123456789\"}}");
    assert_int_equal(dps_state_open(scratch.dir, &clock_system, &state, NULL), 0);
    assert_int_equal(dps_state_verification_code(state, "x", NULL, NULL, &error), -1);
    assert_int_equal(error.code, ERROR_REFUSED);
    assert_non_null(strstr(error.text, "only its thumbprint: put it into certificates/x.json first"));
}

static void a_leased_certificate_is_proven_in_memory_alone(void **unused)
{
    (void)unused;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    CLEANUP_STATE struct dps_state *state = state_with_root(&scratch, false);
    CLEANUP_JSON cJSON *json = cJSON_Duplicate(dps_state_find(state, DPS_CERTIFICATE, "root-ca")->json, true);
    CLEANUP_FREE char *before = read_text(scratch_path(&scratch, "certificates/root-ca.json"));
    assert_int_equal(dps_state_put(state, DPS_CERTIFICATE, json, NULL, "run-7", NULL, NULL), 0);
    CLEANUP_FREE char *proof = prove("root", ask_for_code(state, NULL)->verification_code);
    assert_int_equal(dps_state_verify(state, "root-ca", NULL, proof, strlen(proof), NULL, NULL), 0);
    assert_true(dps_state_find(state, DPS_CERTIFICATE, "root-ca")->is_verified);
    CLEANUP_FREE char *after = read_text(scratch_path(&scratch, "certificates/root-ca.json"));
    assert_string_equal(before, after);
    dps_state_drop_lease(state, "run-7");
    assert_false(dps_state_find(state, DPS_CERTIFICATE, "root-ca")->is_verified);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_threads_steps_prove_possession_over_several_starts),
        cmocka_unit_test(says_why_a_proof_is_none),
        cmocka_unit_test(an_unknown_name_and_a_stale_etag_get_no_code),
        cmocka_unit_test(a_ca_that_is_only_a_thumbprint_cannot_be_proven),
        cmocka_unit_test(a_leased_certificate_is_proven_in_memory_alone),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
