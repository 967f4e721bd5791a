#include "certs/chain.h"

#include "tests/cmocka.h"
#include "tests/unit/certs/support.h"

#include <openssl/err.h>
#include <string.h>

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

static void expect_chain(const char *text, size_t length, int count)
{
    struct error error = ERROR_INIT;
    CLEANUP_CHAIN x509_stack *chain = NULL;
    if (certificates_read_text(text, length, "x.pem", &chain, &error))
        fail_msg("%s", error.text);
    assert_int_equal(sk_X509_num(chain), count);
    assert_int_equal(X509_cmp(sk_X509_value(chain, 0), pki_certificate(pki, "leaf")), 0);
    assert_int_equal(ERR_peek_error(), 0);
}

static void expect_complaint(const char *text, size_t length, const char *part)
{
    struct error error = ERROR_INIT;
    x509_stack *untouched = (x509_stack *)&error, *chain = untouched;
    assert_int_equal(certificates_read_text(text, length, "x.pem", &chain, &error), -1);
    assert_ptr_equal(chain, untouched);
    assert_int_equal(error.owner, ERROR_OWNER_FILE);
    if (!strstr(error.text, part) || strncmp(error.text, "x.pem: ", 7) != 0)
        fail_msg("'%s' not in '%s'", part, error.text);
    assert_int_equal(ERR_peek_error(), 0);
}

static void expect_text_complaint(const char *text, const char *part)
{
    expect_complaint(text, strlen(text), part);
}

static char *replace_all(const char *text, const char *what, const char *by)
{
    CLEANUP(bytes_done) struct bytes out;
    bytes_init(&out, OUTPUT_MAX_BYTES);
    for (const char *hit; (hit = strstr(text, what)); text = hit + strlen(what)) {
        assert_int_equal(bytes_append(&out, text, (size_t)(hit - text)), 0);
        assert_int_equal(bytes_append_text(&out, by), 0);
    }
    assert_int_equal(bytes_append_text(&out, text), 0);
    return strdup(bytes_text(&out));
}

static char *base64_of(const void *data, size_t length)
{
    char *text = malloc(length / 3 * 4 + 8);
    EVP_EncodeBlock((unsigned char *)text, data, (int)length);
    return text;
}

static void reads_pem_of_a_chain_in_order(void **state)
{
    (void)state;
    CLEANUP_FREE char *pem = PEM(pki, "leaf", "sub-ca", "root");
    expect_chain(pem, strlen(pem), 3);
}

static void reads_pem_with_any_line_ends_and_text_around(void **state)
{
    (void)state;
    CLEANUP_FREE char *pem = PEM(pki, "leaf", "sub-ca");
    CLEANUP_FREE char *crlf = replace_all(pem, "\n", "\r\n");
    CLEANUP_FREE char *cr = replace_all(pem, "\n", "\r");
    CLEANUP_FREE char *around = NULL;
    assert_true(asprintf(&around, "\xEF\xBB\xBF Bag Attributes\n  friendlyName: x\n%s\nend of file, no line end", pem) > 0);
    expect_chain(crlf, strlen(crlf), 2);
    expect_chain(cr, strlen(cr), 2);
    expect_chain(around, strlen(around), 2);
    expect_chain(pem, strlen(pem) - 1, 2);
}

static void reads_der_and_both_kinds_of_base64(void **state)
{
    (void)state;
    unsigned char *der = NULL;
    int length = i2d_X509(pki_certificate(pki, "leaf"), &der);
    CLEANUP_FREE char *of_der = base64_of(der, (size_t)length);
    CLEANUP_FREE char *pem = PEM(pki, "leaf", "root");
    CLEANUP_FREE char *of_pem = base64_of(pem, strlen(pem));
    expect_chain((char *)der, (size_t)length, 1);
    expect_chain(of_der, strlen(of_der), 1);
    expect_chain(of_pem, strlen(of_pem), 2);
    OPENSSL_free(der);
}

static void skips_a_private_key_that_stands_beside_the_certificate(void **state)
{
    (void)state;
    CLEANUP(bytes_wipe) struct bytes key = {0};
    assert_int_equal(pki_key_pem(pki, "leaf", &key, NULL), 0);
    CLEANUP_FREE char *pem = PEM(pki, "leaf");
    CLEANUP_FREE char *both = NULL;
    assert_true(asprintf(&both, "%s%s", bytes_text(&key), pem) > 0);
    expect_chain(both, strlen(both), 1);
}

static void says_that_a_private_key_is_no_certificate(void **state)
{
    (void)state;
    CLEANUP(bytes_wipe) struct bytes key = {0};
    assert_int_equal(pki_key_pem(pki, "leaf", &key, NULL), 0);
    CLEANUP_FREE char *base64 = base64_of(key.data, key.length_bytes);
    expect_complaint(bytes_text(&key), key.length_bytes, "this is a private key, not a certificate");
    expect_text_complaint(base64, "this is a private key, not a certificate");
}

static void names_what_is_wrong_with_broken_text(void **state)
{
    (void)state;
    CLEANUP_FREE char *pem = PEM(pki, "leaf", "sub-ca");
    CLEANUP_FREE char *literal = replace_all(pem, "\n", "\\n");
    CLEANUP_FREE char *no_end = replace_all(pem, "-----END CERTIFICATE-----\n-----BEGIN", "-----BEGIN");
    expect_text_complaint("", "the file is empty");
    expect_text_complaint("hello", "no certificate in it");
    expect_text_complaint("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", "signing request (CSR)");
    expect_text_complaint(literal, "the two characters '\\n'");
    expect_text_complaint(no_end, "certificate 1 (line 1) has no line '-----END CERTIFICATE-----'");
    expect_complaint(pem, strlen(pem) - 20, "certificate 2 (line ");
    expect_text_complaint("-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----\n", "is not base64");
    expect_text_complaint("\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "(line 2): the base64 is whole");
}

static void names_the_line_of_the_broken_certificate(void **state)
{
    (void)state;
    CLEANUP_FREE char *pem = PEM(pki, "leaf");
    int lines = 1;
    for (const char *c = pem; *c; c++)
        lines += *c == '\n';
    CLEANUP_FREE char *text = NULL;
    char part[64];
    assert_true(asprintf(&text, "%s-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", pem) > 0);
    snprintf(part, sizeof part, "certificate 2 (line %d)", lines);
    expect_text_complaint(text, part);
    CLEANUP_FREE char *crlf = replace_all(text, "\n", "\r\n");
    expect_text_complaint(crlf, part);
    CLEANUP_FREE char *cr = replace_all(text, "\n", "\r");
    expect_text_complaint(cr, part);
}

static void refuses_more_than_the_limits(void **state)
{
    (void)state;
    CLEANUP_FREE char *big = calloc(1, CERTIFICATE_TEXT_MAX_BYTES + 1);
    expect_complaint(big, CERTIFICATE_TEXT_MAX_BYTES + 1, "larger than");
    CLEANUP_FREE char *one = PEM(pki, "leaf");
    CLEANUP(bytes_done) struct bytes many;
    bytes_init(&many, CERTIFICATE_TEXT_MAX_BYTES);
    for (int i = 0; i <= CHAIN_MAX_CERTIFICATES; i++)
        assert_int_equal(bytes_append_text(&many, one), 0);
    expect_complaint(bytes_text(&many), many.length_bytes, "more than 32 certificates");
}

static void reads_exactly_one_or_says_how_many(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    CLEANUP_FREE char *pem = PEM(pki, "leaf", "sub-ca");
    X509 *none = NULL;
    assert_int_equal(certificate_read_text(pem, strlen(pem), "y.pem", &none, &error), -1);
    assert_string_equal(error.text, "y.pem: holds 2 certificates; exactly one is expected here");
    CLEANUP_X509 X509 *one = NULL;
    assert_int_equal(certificate_read_text(pem, strlen(pem) / 2 + 40, "y.pem", &one, NULL), -1);
    CLEANUP_FREE char *single = PEM(pki, "root");
    assert_int_equal(certificate_read_text(single, strlen(single), "y.pem", &one, &error), 0);
}

static void describes_a_certificate_as_the_event_contract_says(void **state)
{
    (void)state;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    CLEANUP_JSON cJSON *json = certificate_json(pki_certificate(pki, "leaf"));
    assert_string_equal(json_string(json, "subject", ""), "CN=dev-01,O=Example");
    assert_string_equal(json_string(json, "issuer", ""), "CN=Example Sub CA,O=Example");
    assert_int_equal(strlen(json_string(json, "sha1", "")), 40);
    assert_int_equal(strlen(json_string(json, "serial", "")), 32);
    /* "2026-11-21T20:52:41Z" */
    assert_int_equal(strlen(json_string(json, "not_before", "")), 20);
    assert_int_equal(cJSON_GetArraySize(json), 8);
    write_text(scratch_path(&scratch, "leaf.pem"), json_string(json, "pem", ""));
    char output[OUTPUT_MAX_BYTES], expected[256];
    assert_int_equal(RUN(scratch.dir, output, "openssl", "x509", "-in", "leaf.pem", "-noout", "-fingerprint", "-sha256"), 0);
    CLEANUP_FREE char *plain = replace_all(output, ":", "");
    snprintf(expected, sizeof expected, "sha256 Fingerprint=%s\n", json_string(json, "sha256", ""));
    assert_string_equal(plain, expected);
    assert_int_equal(RUN(scratch.dir, output, "openssl", "x509", "-in", "leaf.pem", "-noout", "-serial", "-dates", "-dateopt", "iso_8601"),
                     0);
    assert_non_null(strstr(output, json_string(json, "serial", "-")));
}

static void describes_a_certificate_as_azure_does(void **state)
{
    (void)state;
    CLEANUP_JSON cJSON *json = certificate_info_json(pki_certificate(pki, "sub-ca"));
    assert_string_equal(json_string(json, "subjectName", ""), "CN=Example Sub CA, O=Example");
    assert_string_equal(json_string(json, "issuerName", ""), "CN=Example Root CA, O=Example");
    assert_int_equal(json_integer(json, "version", 0), 3);
    assert_int_equal(strlen(json_string(json, "sha1Thumbprint", "")), 40);
    assert_int_equal(strlen(json_string(json, "sha256Thumbprint", "")), 64);
    assert_int_equal(strlen(json_string(json, "serialNumber", "")), 32);
    assert_int_equal(strlen(json_string(json, "notAfterUtc", "")), 20);
}

#define ROOT_WITH_SUBJECT(subject) "format: 1\nmembers:\n  a: {subject: " subject ", issuer: self, key: p-256}\n"

static void counts_common_names(void **state)
{
    (void)state;
    static const struct {
        const char *recipe;
        size_t count;
        const char *first;
    } rows[] = {
        {ROOT_WITH_SUBJECT("{O: x}"), 0, NULL},
        {ROOT_WITH_SUBJECT("{CN: dev-01}"), 1, "dev-01"},
        {ROOT_WITH_SUBJECT("{CN: [dev-01, dev-02]}"), 2, "dev-01"},
        {ROOT_WITH_SUBJECT("{CN: \"d\\u00fcse\"}"), 1, "d\xC3\xBCse"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        CLEANUP_PKI struct pki *one = forge_text(rows[i].recipe);
        CLEANUP_FREE char *first = NULL;
        assert_int_equal(certificate_common_names(pki_certificate(one, "a"), &first), rows[i].count);
        if (rows[i].first)
            assert_string_equal(first, rows[i].first);
        else
            assert_null(first);
    }
}

static void a_nul_in_a_common_name_does_not_end_it(void **state)
{
    (void)state;
    CLEANUP_X509 X509 *certificate = X509_new();
    static const unsigned char name[] = "dev-01\0.evil";
    X509_NAME_add_entry_by_NID(X509_get_subject_name(certificate), NID_commonName, V_ASN1_UTF8STRING, name, sizeof name - 1, -1, 0);
    CLEANUP_FREE char *first = NULL;
    assert_int_equal(certificate_common_names(certificate, &first), 1);
    assert_string_equal(first, "dev-01\\00.evil");
}

static void tells_who_signed_whom(void **state)
{
    (void)state;
    X509 *leaf = pki_certificate(pki, "leaf"), *sub = pki_certificate(pki, "sub-ca"), *root = pki_certificate(pki, "root");
    assert_true(certificate_is_signed_by(leaf, sub));
    assert_true(certificate_is_signed_by(root, root));
    assert_false(certificate_is_signed_by(leaf, root));
    assert_true(certificate_is_self_issued(root));
    assert_false(certificate_is_self_issued(sub));
    assert_int_equal(ERR_peek_error(), 0);
}

static void a_private_key_survives_being_written_and_read(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    CLEANUP(bytes_wipe) struct bytes pem = {0};
    assert_int_equal(private_key_pem(pki_key(pki, "leaf"), &pem, &error), 0);
    assert_int_equal(strncmp(bytes_text(&pem), "-----BEGIN PRIVATE KEY-----\n", 28), 0);
    CLEANUP_PKEY EVP_PKEY *key = NULL;
    assert_int_equal(private_key_read_text(pem.data, pem.length_bytes, "k.pem", &key, &error), 0);
    assert_true(private_key_fits(key, pki_certificate(pki, "leaf")));
    assert_false(private_key_fits(key, pki_certificate(pki, "root")));
    assert_int_equal(ERR_peek_error(), 0);
}

static void reads_the_keys_that_openssl_writes(void **state)
{
    (void)state;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    char output[OUTPUT_MAX_BYTES];
    struct error error = ERROR_INIT;
    assert_int_equal(RUN(scratch.dir, output, "openssl", "ecparam", "-name", "prime256v1", "-genkey", "-out", "sec1.pem"), 0);
    assert_int_equal(RUN(scratch.dir, output, "openssl", "genrsa", "-traditional", "-out", "pkcs1.pem", "2048"), 0);
    static const char *const files[] = {"sec1.pem", "pkcs1.pem"};
    for (size_t i = 0; i < 2; i++) {
        CLEANUP_PKEY EVP_PKEY *key = NULL;
        if (private_key_read_file(scratch_path(&scratch, files[i]), &key, &error))
            fail_msg("%s", error.text);
    }
}

static void expect_key_complaint(const char *text, const char *part)
{
    struct error error = ERROR_INIT;
    EVP_PKEY *key = NULL;
    assert_int_equal(private_key_read_text(text, strlen(text), "k.pem", &key, &error), -1);
    assert_null(key);
    if (!strstr(error.text, part))
        fail_msg("'%s' not in '%s'", part, error.text);
    assert_int_equal(ERR_peek_error(), 0);
}

static void says_what_is_wrong_with_a_private_key(void **state)
{
    (void)state;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    char output[OUTPUT_MAX_BYTES];
    assert_int_equal(RUN(scratch.dir, output, "openssl", "genrsa", "-aes128", "-passout", "pass:secret", "-out", "k.pem", "2048"), 0);
    CLEANUP_FREE char *encrypted = read_text(scratch_path(&scratch, "k.pem"));
    CLEANUP_FREE char *certificate = PEM(pki, "leaf");
    expect_key_complaint(encrypted, "is encrypted; remove the password");
    expect_key_complaint(certificate, "this is a certificate, not a private key");
    expect_key_complaint("nothing", "no private key in it");
    expect_key_complaint("-----BEGIN PRIVATE KEY-----\nMC4C\n", "has no END line");
    expect_key_complaint("-----BEGIN PRIVATE KEY-----\\nMC4C\\n-----END PRIVATE KEY-----\\n", "the two characters '\\n'");
    expect_key_complaint("-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----\n", "is broken");
}

/* Every prefix of a good file, and every byte of it replaced: an answer, never a crash. */
static void survives_cut_and_spoiled_bytes(void **state)
{
    (void)state;
    CLEANUP_FREE char *pem = PEM(pki, "leaf", "sub-ca");
    size_t length = strlen(pem);
    for (size_t i = 0; i < length; i++) {
        CLEANUP_CHAIN x509_stack *cut = NULL, *spoiled = NULL;
        certificates_read_text(pem, i, "x", &cut, NULL);
        char was = pem[i];
        pem[i] = (char)(was ^ (int)(1U << i % 8));
        certificates_read_text(pem, length, "x", &spoiled, NULL);
        cJSON_Delete(spoiled ? certificates_json(spoiled) : NULL);
        pem[i] = was;
    }
    assert_int_equal(ERR_peek_error(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_pem_of_a_chain_in_order),
        cmocka_unit_test(reads_pem_with_any_line_ends_and_text_around),
        cmocka_unit_test(reads_der_and_both_kinds_of_base64),
        cmocka_unit_test(skips_a_private_key_that_stands_beside_the_certificate),
        cmocka_unit_test(says_that_a_private_key_is_no_certificate),
        cmocka_unit_test(names_what_is_wrong_with_broken_text),
        cmocka_unit_test(names_the_line_of_the_broken_certificate),
        cmocka_unit_test(refuses_more_than_the_limits),
        cmocka_unit_test(reads_exactly_one_or_says_how_many),
        cmocka_unit_test(describes_a_certificate_as_the_event_contract_says),
        cmocka_unit_test(describes_a_certificate_as_azure_does),
        cmocka_unit_test(counts_common_names),
        cmocka_unit_test(a_nul_in_a_common_name_does_not_end_it),
        cmocka_unit_test(tells_who_signed_whom),
        cmocka_unit_test(a_private_key_survives_being_written_and_read),
        cmocka_unit_test(reads_the_keys_that_openssl_writes),
        cmocka_unit_test(says_what_is_wrong_with_a_private_key),
        cmocka_unit_test(survives_cut_and_spoiled_bytes),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
