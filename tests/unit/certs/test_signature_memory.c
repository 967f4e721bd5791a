#include "certs/signature_memory.h"

#include "tests/cmocka.h"
#include "tests/unit/certs/support.h"

DEFINE_CLEANUP(struct signature_memory *, signature_memory_free)
#define CLEANUP_MEMORY CLEANUP(signature_memory_free_cleanup)

#define CA "extensions: {basicConstraints: {ca: true}}"

static const char text[] = "format: 1\n"
                           "members:\n"
                           "  root: {subject: {CN: Root}, issuer: self, key: p-256, " CA "}\n"
                           "  fake: {subject: {CN: Root}, issuer: self, key: p-256, " CA "}\n"
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

static bool ask(struct signature_memory *memory, const char *certificate, const char *issuer)
{
    return signature_memory_is_signed_by(memory, pki_certificate(pki, certificate), pki_certificate(pki, issuer));
}

static void answers_as_the_signatures_do_every_time(void **state)
{
    (void)state;
    static const char *const members[] = {"root", "fake", "sub", "leaf"};
    CLEANUP_MEMORY struct signature_memory *memory = signature_memory_new();
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < ARRAY_COUNT(members); i++)
            for (size_t j = 0; j < ARRAY_COUNT(members); j++)
                assert_int_equal(ask(memory, members[i], members[j]),
                                 certificate_is_signed_by(pki_certificate(pki, members[i]), pki_certificate(pki, members[j])));
}

static void checks_a_pair_of_cas_once_good_or_bad(void **state)
{
    (void)state;
    CLEANUP_MEMORY struct signature_memory *memory = signature_memory_new();
    for (int round = 0; round < 3; round++) {
        assert_true(ask(memory, "sub", "root"));
        assert_false(ask(memory, "sub", "fake"));
    }
    assert_int_equal(signature_memory_check_count(memory), 2);
}

static void keeps_no_leaf(void **state)
{
    (void)state;
    CLEANUP_MEMORY struct signature_memory *memory = signature_memory_new();
    assert_true(ask(memory, "leaf", "sub"));
    assert_true(ask(memory, "leaf", "sub"));
    assert_int_equal(signature_memory_check_count(memory), 2);
}

/* Same names, same key, another byte: nothing less than the whole certificate is what an answer is found by. */
static void a_certificate_with_one_other_byte_is_another_one(void **state)
{
    (void)state;
    CLEANUP_MEMORY struct signature_memory *memory = signature_memory_new();
    unsigned char *der = NULL;
    int length = i2d_X509(pki_certificate(pki, "sub"), &der);
    der[length - 1] ^= 1;
    const unsigned char *at = der;
    CLEANUP_X509 X509 *spoilt = d2i_X509(NULL, &at, length);
    OPENSSL_free(der);
    assert_non_null(spoilt);
    assert_true(ask(memory, "sub", "root"));
    assert_false(signature_memory_is_signed_by(memory, spoilt, pki_certificate(pki, "root")));
    assert_true(ask(memory, "sub", "root"));
}

static void forgets_what_was_not_asked_for_the_longest_time(void **state)
{
    (void)state;
    CLEANUP_MEMORY struct signature_memory *memory = signature_memory_new();
    struct pki *others[SIGNATURE_MEMORY_PAIRS];
    ask(memory, "sub", "root");
    for (int i = 0; i < SIGNATURE_MEMORY_PAIRS; i++) {
        others[i] = forge_text(text);
        assert_true(signature_memory_is_signed_by(memory, pki_certificate(others[i], "sub"), pki_certificate(others[i], "root")));
    }
    size_t before = signature_memory_check_count(memory);
    assert_true(signature_memory_is_signed_by(memory, pki_certificate(others[1], "sub"), pki_certificate(others[1], "root")));
    assert_int_equal(signature_memory_check_count(memory), before);
    assert_true(ask(memory, "sub", "root"));
    assert_int_equal(signature_memory_check_count(memory), before + 1);
    for (int i = 0; i < SIGNATURE_MEMORY_PAIRS; i++)
        pki_free(others[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_as_the_signatures_do_every_time),
        cmocka_unit_test(checks_a_pair_of_cas_once_good_or_bad),
        cmocka_unit_test(keeps_no_leaf),
        cmocka_unit_test(a_certificate_with_one_other_byte_is_another_one),
        cmocka_unit_test(forgets_what_was_not_asked_for_the_longest_time),
    };
    return cmocka_run_group_tests(tests, forge, free_it);
}
