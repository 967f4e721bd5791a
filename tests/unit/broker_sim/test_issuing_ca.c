#include "base/cleanup.h"
#include "base/files.h"
#include "base/json.h"
#include "broker_sim/pki/issuing_ca.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "tests/cmocka.h"

struct fixture {
    char dir[64];
    char issuing[80];
    struct clock_fake clock;
    struct issuing_ca *ca;
};

static void setup(struct fixture *fixture)
{
    *fixture = (struct fixture){.dir = "/tmp/dpsbench-issuing-XXXXXX"};
    assert_non_null(mkdtemp(fixture->dir));
    snprintf(fixture->issuing, sizeof fixture->issuing, "%s/issuing", fixture->dir);
    clock_fake_init(&fixture->clock, 1000000, 1795000000000000);
    fixture->ca = issuing_ca_new(fixture->issuing, &fixture->clock.clock);
    assert_non_null(fixture->ca);
}

static void teardown(struct fixture *fixture)
{
    issuing_ca_free(fixture->ca);
    dir_remove(fixture->dir, NULL);
}

/* base64 of DER; spoiled: a changed signature. cn NULL: none. malloc'ed. */
static char *make_csr(const char *cn, const char *other_cn, bool is_spoiled)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509_REQ *request = X509_REQ_new();
    X509_NAME *subject = X509_REQ_get_subject_name(request);
    X509_REQ_set_version(request, 0);
    if (cn)
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0);
    if (other_cn)
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)other_cn, -1, -1, 0);
    X509_REQ_set_pubkey(request, key);
    assert_true(X509_REQ_sign(request, key, EVP_sha256()) > 0);
    unsigned char *der = NULL;
    int length = i2d_X509_REQ(request, &der);
    der[length - 1] ^= (unsigned char)is_spoiled;
    char *text = malloc((size_t)length * 2);
    EVP_EncodeBlock((unsigned char *)text, der, length);
    OPENSSL_free(der);
    X509_REQ_free(request);
    EVP_PKEY_free(key);
    return text;
}

static X509 *certificate_at(const cJSON *chain, int index)
{
    X509 *certificate = NULL;
    const char *text = cJSON_GetArrayItem(chain, index)->valuestring;
    assert_int_equal(certificate_read_text(text, strlen(text), "chain", &certificate, NULL), 0);
    return certificate;
}

static void issues_a_leaf_below_a_ca_that_is_made_once_and_kept(void **state)
{
    (void)state;
    CLEANUP(teardown) struct fixture fixture;
    setup(&fixture);
    assert_false(path_exists(fixture.issuing));
    struct issued issued;
    struct error error = ERROR_INIT;
    CLEANUP_FREE char *csr = make_csr("Dev-01", NULL, false);
    if (issuing_ca_sign(fixture.ca, csr, "dev-01", &issued, &error))
        fail_msg("%s", error.text);
    CLEANUP_FREE char *text = issued.chain;
    CLEANUP_JSON cJSON *chain = cJSON_Parse(text);
    assert_int_equal(cJSON_GetArraySize(chain), 3);
    CLEANUP_X509 X509 *leaf = certificate_at(chain, 0), *ca = certificate_at(chain, 1), *root = certificate_at(chain, 2);
    assert_true(certificate_is_signed_by(leaf, ca) && certificate_is_signed_by(ca, root) && certificate_is_signed_by(root, root));
    assert_int_equal(X509_check_ca(leaf), 0);
    assert_int_equal(X509_get_extended_key_usage(leaf), XKU_SSL_CLIENT);
    assert_int_equal(X509_get_signature_nid(leaf), NID_ecdsa_with_SHA384);
    char sha256[SHA256_HEX_BYTES];
    certificate_sha256(leaf, sha256);
    assert_string_equal(sha256, issued.leaf_sha256);
    issuing_ca_free(fixture.ca);
    fixture.ca = issuing_ca_new(fixture.issuing, &fixture.clock.clock);
    struct issued again;
    assert_int_equal(issuing_ca_sign(fixture.ca, csr, "dev-01", &again, NULL), 0);
    CLEANUP_FREE char *again_text = again.chain;
    CLEANUP_JSON cJSON *again_chain = cJSON_Parse(again_text);
    assert_string_equal(cJSON_GetArrayItem(again_chain, 2)->valuestring, cJSON_GetArrayItem(chain, 2)->valuestring);
    assert_string_not_equal(again.leaf_sha256, issued.leaf_sha256);
}

static void check_refused(struct fixture *fixture, const char *csr, enum error_code code, const char *expected)
{
    struct issued issued = {.chain = NULL};
    struct error error = ERROR_INIT;
    assert_int_equal(issuing_ca_sign(fixture->ca, csr, "dev-01", &issued, &error), -1);
    assert_null(issued.chain);
    assert_int_equal(error.owner, ERROR_OWNER_DEVICE);
    if (error.code != code || !strstr(error.text, expected))
        fail_msg("%s: %s", error_code_name(error.code), error.text);
}

static void refuses_what_is_no_good_request_and_makes_no_ca_for_it(void **state)
{
    (void)state;
    CLEANUP(teardown) struct fixture fixture;
    setup(&fixture);
    CLEANUP_FREE char *other = make_csr("dev-02", NULL, false), *none = make_csr(NULL, NULL, false),
                      *two = make_csr("dev-01", "dev-01", false);
    CLEANUP_FREE char *spoiled = make_csr("dev-01", NULL, true);
    CLEANUP_FREE char *large = malloc(CSR_MAX_BYTES + 5);
    memset(large, 'A', CSR_MAX_BYTES + 4);
    large[CSR_MAX_BYTES + 4] = 0;
    check_refused(&fixture, "", ERROR_SYNTAX, "is not base64");
    check_refused(&fixture, "====", ERROR_SYNTAX, "csr:");
    check_refused(&fixture, "AAA", ERROR_SYNTAX, "is not base64");
    check_refused(&fixture, "AAAA", ERROR_SYNTAX, "no PKCS#10");
    check_refused(&fixture, "-----BEGIN CERTIFICATE REQUEST-----", ERROR_SYNTAX, "is PEM");
    check_refused(&fixture, large, ERROR_LIMIT, "longer");
    check_refused(&fixture, other, ERROR_REFUSED, "'dev-02'");
    check_refused(&fixture, none, ERROR_REFUSED, "no CN");
    check_refused(&fixture, two, ERROR_REFUSED, "several");
    check_refused(&fixture, spoiled, ERROR_REFUSED, "not signed by the key");
    assert_false(path_exists(fixture.issuing));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(issues_a_leaf_below_a_ca_that_is_made_once_and_kept),
        cmocka_unit_test(refuses_what_is_no_good_request_and_makes_no_ca_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
