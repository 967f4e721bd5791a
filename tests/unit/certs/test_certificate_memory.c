#include "certs/certificate_memory.h"

#include "tests/cmocka.h"
#include "tests/unit/certs/support.h"

DEFINE_CLEANUP(struct certificate_memory *, certificate_memory_free)
#define CLEANUP_MEMORY CLEANUP(certificate_memory_free_cleanup)

#define CA "extensions: {basicConstraints: {ca: true}}"

static const char text[] = "format: 1\n"
                           "members:\n"
                           "  root: {subject: {CN: Root}, issuer: self, key: p-256, " CA "}\n"
                           "  sub: {subject: {CN: Sub}, issuer: root, key: p-256, " CA "}\n"
                           "  leaf: {subject: {CN: dev-01}, issuer: sub, key: p-256, extensions: {basicConstraints: {ca: false}}}\n";

static struct pki *pki;

static int forge(void **state)
{
    (void)state;
    pki = forge_text(text);
    return 0;
}

static int free_it(void **state)
{
    (void)state;
    pki_free(pki);
    return 0;
}

static void check(struct certificate_memory *memory, X509 *certificate)
{
    CLEANUP_JSON cJSON *expected = certificate_json(certificate), *got = certificate_memory_json(memory, certificate);
    assert_non_null(got);
    assert_true(cJSON_Compare(expected, got, true));
}

static void describes_as_without_it_every_time(void **state)
{
    (void)state;
    static const char *const members[] = {"root", "sub", "leaf"};
    CLEANUP_MEMORY struct certificate_memory *memory = certificate_memory_new();
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < ARRAY_COUNT(members); i++)
            check(memory, pki_certificate(pki, members[i]));
    assert_int_equal(certificate_memory_made_count(memory), 2 + 3); /* the leaf each time */
}

static void what_a_reader_does_with_it_changes_nothing(void **state)
{
    (void)state;
    CLEANUP_MEMORY struct certificate_memory *memory = certificate_memory_new();
    for (int round = 0; round < 2; round++) {
        cJSON *json = certificate_memory_json(memory, pki_certificate(pki, "root"));
        json_set_string(json, "subject", "spoilt");
        cJSON_Delete(json);
    }
    check(memory, pki_certificate(pki, "root"));
}

static void a_chain_keeps_its_order(void **state)
{
    (void)state;
    CLEANUP_MEMORY struct certificate_memory *memory = certificate_memory_new();
    x509_stack *chain = sk_X509_new_null();
    sk_X509_push(chain, pki_certificate(pki, "leaf"));
    sk_X509_push(chain, pki_certificate(pki, "sub"));
    for (int round = 0; round < 2; round++) {
        CLEANUP_JSON cJSON *expected = certificates_json(chain), *got = certificate_memory_chain_json(memory, chain);
        assert_true(cJSON_Compare(expected, got, true));
    }
    sk_X509_free(chain);
}

/* Same names, same key, another byte: nothing less than the whole certificate is what it is found by. */
static void a_certificate_with_one_other_byte_is_another_one(void **state)
{
    (void)state;
    CLEANUP_MEMORY struct certificate_memory *memory = certificate_memory_new();
    unsigned char *der = NULL;
    int length = i2d_X509(pki_certificate(pki, "sub"), &der);
    der[length - 1] ^= 1;
    const unsigned char *at = der;
    CLEANUP_X509 X509 *spoilt = d2i_X509(NULL, &at, length);
    OPENSSL_free(der);
    assert_non_null(spoilt);
    check(memory, pki_certificate(pki, "sub"));
    check(memory, spoilt);
    check(memory, pki_certificate(pki, "sub"));
}

static void forgets_what_was_not_asked_for_the_longest_time(void **state)
{
    (void)state;
    CLEANUP_MEMORY struct certificate_memory *memory = certificate_memory_new();
    check(memory, pki_certificate(pki, "sub"));
    for (int i = 0; i < CERTIFICATE_MEMORY_COUNT; i++) {
        struct pki *other = forge_text(text);
        check(memory, pki_certificate(other, "sub"));
        pki_free(other);
    }
    size_t before = certificate_memory_made_count(memory);
    check(memory, pki_certificate(pki, "sub"));
    assert_int_equal(certificate_memory_made_count(memory), before + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(describes_as_without_it_every_time),
        cmocka_unit_test(what_a_reader_does_with_it_changes_nothing),
        cmocka_unit_test(a_chain_keeps_its_order),
        cmocka_unit_test(a_certificate_with_one_other_byte_is_another_one),
        cmocka_unit_test(forgets_what_was_not_asked_for_the_longest_time),
    };
    return cmocka_run_group_tests(tests, forge, free_it);
}
