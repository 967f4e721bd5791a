#include "harness/run/proof.h"

#include <string.h>

#include "tests/cmocka.h"

static X509 *make_ca(EVP_PKEY *key)
{
    X509 *ca = X509_new();
    X509_set_version(ca, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(ca), 1);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(ca), "CN", MBSTRING_ASC, (const unsigned char *)"a root", -1, -1, 0);
    X509_set_issuer_name(ca, X509_get_subject_name(ca));
    X509_gmtime_adj(X509_getm_notBefore(ca), 0);
    X509_gmtime_adj(X509_getm_notAfter(ca), 3600);
    X509_set_pubkey(ca, key);
    assert_true(X509_sign(ca, key, EVP_sha256()) > 0);
    return ca;
}

static void holds_the_code_and_is_signed_by_the_ca(void **state)
{
    (void)state;
    static const char code[] = "0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF";
    CLEANUP_PKEY EVP_PKEY *key = EVP_EC_gen("P-256");
    CLEANUP_X509 X509 *ca = make_ca(key);
    CLEANUP(bytes_done) struct bytes pem = {0};
    assert_int_equal(proof_make(code, ca, key, &clock_system, &pem, NULL), 0);
    CLEANUP_X509 X509 *proof = NULL;
    assert_int_equal(certificate_read_text(pem.data, pem.length_bytes, "proof", &proof, NULL), 0);
    CLEANUP_FREE char *cn = NULL;
    assert_int_equal(certificate_common_names(proof, &cn), 1);
    assert_string_equal(cn, code);
    assert_true(certificate_is_signed_by(proof, ca));
    assert_int_equal(X509_cmp_current_time(X509_get0_notAfter(proof)), 1);
    assert_int_equal(X509_cmp_current_time(X509_get0_notBefore(proof)), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(holds_the_code_and_is_signed_by_the_ca)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
