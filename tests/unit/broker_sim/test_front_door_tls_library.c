#include "broker_sim/front_door/tls_library.h"

#include "base/cleanup.h"

#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <string.h>

#include "tests/cmocka.h"

static struct tls_library *library;

static int make(void **state)
{
    (void)state;
    library = tls_library_new();
    return library ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    tls_library_free(library);
    return 0;
}

/* "EC:P-384", "RSA:2048", "ED25519". */
static EVP_PKEY *make_key(const char *kind)
{
    char type[16];
    const char *parameter = strchr(kind, ':');
    snprintf(type, sizeof type, "%.*s", (int)strcspn(kind, ":"), kind);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *key = NULL;
    assert_int_equal(EVP_PKEY_keygen_init(context), 1);
    if (strcmp(type, "EC") == 0)
        assert_int_equal(EVP_PKEY_CTX_set_group_name(context, parameter + 1), 1);
    else if (strcmp(type, "DH") == 0)
        assert_int_equal(EVP_PKEY_CTX_set_group_name(context, parameter + 1), 1);
    else if (parameter)
        assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(context, (int)strtol(parameter + 1, NULL, 10)), 1);
    assert_int_equal(EVP_PKEY_generate(context, &key), 1);
    EVP_PKEY_CTX_free(context);
    return key;
}

static void decodes_the_public_key_of_every_kind(void **state)
{
    (void)state;
    static const char *const kinds[] = {"RSA:1024",     "RSA:2048", "RSA-PSS:2048", "EC:P-224", "EC:P-256", "EC:P-384",    "EC:P-521",
                                        "EC:secp256k1", "ED25519",  "ED448",        "X25519",   "X448",     "DH:ffdhe2048"};
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        EVP_PKEY *key = make_key(kinds[i]);
        unsigned char *der = NULL;
        int length = i2d_PUBKEY(key, &der);
        const unsigned char *at = der;
        EVP_PKEY *again = d2i_PUBKEY_ex(NULL, &at, length, tls_library_context(library), NULL);
        if (!again || EVP_PKEY_eq(key, again) != 1)
            fail_msg("%s: another key, or none", kinds[i]);
        EVP_PKEY_free(again);
        EVP_PKEY_free(key);
        OPENSSL_free(der);
    }
    assert_int_equal(ERR_peek_error(), 0);
}

static void count_one(OSSL_DECODER *decoder, void *user)
{
    (void)decoder;
    ++*(int *)user;
}

static int count_decoders(OSSL_LIB_CTX *context)
{
    int count = 0;
    OSSL_DECODER_do_all_provided(context, count_one, &count);
    return count;
}

static void has_few_decoders(void **state)
{
    (void)state;
    int all = count_decoders(NULL), few = count_decoders(tls_library_context(library));
    assert_true(few > 0);
    if (few * 3 > all)
        fail_msg("%d decoders of %d", few, all);
}

static void offers_every_suite_that_openssl_offers(void **state)
{
    (void)state;
    SSL_CTX *plain = SSL_CTX_new(TLS_server_method()), *ours = SSL_CTX_new_ex(tls_library_context(library), NULL, TLS_server_method());
    assert_int_equal(SSL_CTX_get_security_level(ours), SSL_CTX_get_security_level(plain));
    assert_int_equal(SSL_CTX_set_cipher_list(plain, "ALL:COMPLEMENTOFALL@SECLEVEL=0"), 1);
    assert_int_equal(SSL_CTX_set_cipher_list(ours, "ALL:COMPLEMENTOFALL@SECLEVEL=0"), 1);
    const STACK_OF(SSL_CIPHER) *expected = SSL_CTX_get_ciphers(plain), *got = SSL_CTX_get_ciphers(ours);
    assert_int_equal(sk_SSL_CIPHER_num(got), sk_SSL_CIPHER_num(expected));
    for (int i = 0; i < sk_SSL_CIPHER_num(expected); i++)
        assert_string_equal(SSL_CIPHER_get_name(sk_SSL_CIPHER_value(got, i)), SSL_CIPHER_get_name(sk_SSL_CIPHER_value(expected, i)));
    SSL_CTX_free(plain);
    SSL_CTX_free(ours);
}

static void two_at_a_time_and_one_after_the_other(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct tls_library *other = tls_library_new();
        assert_non_null(other);
        assert_true(count_decoders(tls_library_context(other)) > 0);
        tls_library_free(other);
    }
    tls_library_free(NULL);
    assert_null(tls_library_context(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_the_public_key_of_every_kind),
        cmocka_unit_test(has_few_decoders),
        cmocka_unit_test(offers_every_suite_that_openssl_offers),
        cmocka_unit_test(two_at_a_time_and_one_after_the_other),
    };
    return cmocka_run_group_tests(tests, make, end);
}
