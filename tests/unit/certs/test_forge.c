#include "certs/forge.h"

#include "base/files.h"

#include "tests/cmocka.h"
#include "tests/unit/certs/support.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/stat.h>

/* The forged certificates and those of the command lines of the thread agree in version, algorithms and extensions. */
static void root_leaf_has_the_form_of_the_command_lines(void **state)
{
    (void)state;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    char output[OUTPUT_MAX_BYTES];
    assert_int_equal(RUN(scratch.dir, output, "openssl", "genrsa", "-out", "root.key", "2048"), 0);
    assert_int_equal(RUN(scratch.dir, output, "openssl", "req", "-x509", "-new", "-nodes", "-key", "root.key", "-sha256", "-days", "1024",
                         "-out", "root.pem", "-subj", "/CN=x"),
                     0);
    assert_int_equal(RUN(scratch.dir, output, "openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "d.key", "-out",
                         "d.csr", "-subj", "/CN=dev-01"),
                     0);
    assert_int_equal(RUN(scratch.dir, output, "openssl", "x509", "-req", "-in", "d.csr", "-CA", "root.pem", "-CAkey", "root.key",
                         "-CAcreateserial", "-out", "d.pem", "-days", "500", "-sha256"),
                     0);
    CLEANUP_PKI struct pki *pki = forge_builtin("device/root-leaf");
    static const char *const files[] = {"root.pem", "d.pem"}, *const members[] = {"root", "leaf"};
    for (size_t i = 0; i < 2; i++) {
        CLEANUP_X509 X509 *theirs = NULL;
        X509 *ours = pki_certificate(pki, members[i]);
        assert_int_equal(certificate_read_file(scratch_path(&scratch, files[i]), &theirs, NULL), 0);
        assert_int_equal(X509_get_version(ours), X509_get_version(theirs));
        assert_int_equal(X509_get_signature_nid(ours), X509_get_signature_nid(theirs));
        assert_int_equal(X509_get_ext_count(ours), X509_get_ext_count(theirs));
        assert_int_equal(X509_get_extension_flags(ours) & EXFLAG_CA, X509_get_extension_flags(theirs) & EXFLAG_CA);
        for (int j = 0; j < X509_get_ext_count(theirs); j++) {
            int nid = OBJ_obj2nid(X509_EXTENSION_get_object(X509_get_ext(theirs, j)));
            int at = X509_get_ext_by_NID(ours, nid, -1);
            assert_true(at >= 0);
            assert_int_equal(X509_EXTENSION_get_critical(X509_get_ext(ours, at)), X509_EXTENSION_get_critical(X509_get_ext(theirs, j)));
        }
    }
}

#define ONE(lines) "format: 1\nmembers:\n  a:\n    subject: {CN: x}\n    issuer: self\n" lines

static void makes_every_kind_of_key(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        int id;
        int bits;
    } rows[] = {
        {"rsa-2048", EVP_PKEY_RSA, 2048}, {"rsa-3072", EVP_PKEY_RSA, 3072}, {"rsa-4096", EVP_PKEY_RSA, 4096},   {"p-256", EVP_PKEY_EC, 256},
        {"p-384", EVP_PKEY_EC, 384},      {"p-521", EVP_PKEY_EC, 521},      {"ed25519", EVP_PKEY_ED25519, 256},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, ONE("    key: %s\n"), rows[i].word);
        CLEANUP_PKI struct pki *pki = forge_text(text);
        assert_int_equal(EVP_PKEY_get_base_id(pki_key(pki, "a")), rows[i].id);
        assert_int_equal(EVP_PKEY_get_bits(pki_key(pki, "a")), rows[i].bits);
        assert_true(certificate_is_signed_by(pki_certificate(pki, "a"), pki_certificate(pki, "a")));
    }
}

static void signs_with_the_digest_that_is_asked_for(void **state)
{
    (void)state;
    CLEANUP_PKI struct pki *sha1 = forge_text(ONE("    key: rsa-2048\n    digest: sha1\n"));
    CLEANUP_PKI struct pki *sha384 = forge_text(ONE("    key: p-384\n    digest: sha384\n"));
    assert_int_equal(X509_get_signature_nid(pki_certificate(sha1, "a")), NID_sha1WithRSAEncryption);
    assert_int_equal(X509_get_signature_nid(pki_certificate(sha384, "a")), NID_ecdsa_with_SHA384);
}

static void times_are_relative_to_the_clock_given(void **state)
{
    (void)state;
    static const char text[] = ONE("    key: p-256\n    not_before: -2h\n    not_after: +10s\n");
    struct clock_fake fake;
    clock_fake_init(&fake, 0, 1790000000000000);
    struct recipe *recipe = NULL;
    CLEANUP_PKI struct pki *pki = NULL;
    assert_int_equal(recipe_read_text(text, strlen(text), "t", &recipe, NULL), 0);
    assert_int_equal(forge_pki(recipe, NULL, &fake.clock, NULL, &pki, NULL), 0);
    recipe_free(recipe);
    int64_t before, after;
    assert_int_equal(certificate_validity(pki_certificate(pki, "a"), &before, &after), 0);
    assert_int_equal(before, 1790000000 - 7200);
    assert_int_equal(after, 1790000000 + 10);
}

static void serials_are_random_positive_and_of_16_octets(void **state)
{
    (void)state;
    CLEANUP_PKI struct pki *last = forge_builtin("device/wrong-chain");
    for (int i = 0; i < 32; i++) {
        CLEANUP_PKI struct pki *pki = forge_builtin("device/wrong-chain");
        const ASN1_INTEGER *serial = X509_get0_serialNumber(pki_certificate(pki, "leaf"));
        assert_int_equal(ASN1_STRING_type(serial), V_ASN1_INTEGER);
        assert_int_equal(ASN1_STRING_length(serial), 16);
        /* DER would need a 17th octet for a first one of 0x80 and more */
        assert_in_range(ASN1_STRING_get0_data(serial)[0], 0x40, 0x7F);
        assert_int_not_equal(ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(pki_certificate(last, "leaf"))), 0);
    }
}

static void alternative_names_take_the_hosts_given_once_each(void **state)
{
    (void)state;
    CLEANUP_PKI struct pki *pki = forge_builtin("server/p256");
    X509 *leaf = pki_server_leaf(pki);
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    assert_int_equal(sk_GENERAL_NAME_num(names), 8); /* six of the recipe, sim.example.org, 192.0.2.7; localhost stands there already */
    GENERAL_NAMES_free(names);
    assert_int_equal(X509_check_ip_asc(leaf, "192.0.2.7", 0), 1);
    assert_int_equal(X509_check_ip_asc(leaf, "::1", 0), 1);
    assert_int_equal(X509_check_host(leaf, "sim.example.org", 0, 0, NULL), 1);
}

static void says_which_part_of_a_server_is_which(void **state)
{
    (void)state;
    CLEANUP_PKI struct pki *server = forge_builtin("server/p256"), *device = forge_builtin("device/sub-ca");
    assert_ptr_equal(pki_server_leaf(server), pki_certificate(server, "leaf"));
    assert_ptr_equal(pki_server_key(server), pki_key(server, "leaf"));
    assert_ptr_equal(pki_server_root(server), pki_certificate(server, "root"));
    assert_int_equal(sk_X509_num(pki_server_intermediates(server)), 1);
    assert_ptr_equal(sk_X509_value(pki_server_intermediates(server), 0), pki_certificate(server, "intermediate"));
    assert_null(pki_server_leaf(device));
    assert_null(pki_server_key(device));
    assert_null(pki_server_root(device));
    assert_null(pki_server_intermediates(device));
}

static void an_unknown_member_is_an_error_that_lists_all(void **state)
{
    (void)state;
    CLEANUP_PKI struct pki *pki = forge_builtin("device/sub-ca");
    CLEANUP(bytes_done) struct bytes pem;
    struct error error = ERROR_INIT;
    bytes_init(&pem, CERTIFICATE_TEXT_MAX_BYTES);
    assert_int_equal(pki_append_pem(pki, (const char *const[]){"leaf", "subca", NULL}, &pem, &error), -1);
    assert_int_equal(error.code, ERROR_NOT_FOUND);
    assert_string_equal(error.text, "the recipe has no member 'subca'; there are: root, sub-ca, leaf");
    assert_null(pki_certificate(pki, "subca"));
    assert_null(pki_key(pki, "subca"));
}

static void a_key_cache_gives_the_same_recipe_the_same_keys_and_nobody_else(void **state)
{
    (void)state;
    CLEANUP_PKI struct pki *first = forge_builtin("device/sub-ca"), *second = forge_builtin("device/sub-ca");
    CLEANUP_PKI struct pki *other = forge_builtin("device/wrong-chain");
    assert_int_equal(EVP_PKEY_eq(pki_key(first, "leaf"), pki_key(second, "leaf")), 1);
    assert_int_not_equal(X509_cmp(pki_certificate(first, "leaf"), pki_certificate(second, "leaf")), 0);
    assert_int_equal(EVP_PKEY_eq(pki_key(first, "leaf"), pki_key(first, "root")), 0);
    assert_int_equal(EVP_PKEY_eq(pki_key(first, "root"), pki_key(other, "root")), 0);
    assert_int_equal(EVP_PKEY_eq(pki_key(first, "leaf"), pki_key(other, "leaf")), 0);
}

static void expect_forge_complaint(const char *text, const struct forge_variables *variables, const char *expected)
{
    struct error error = ERROR_INIT;
    struct recipe *recipe = NULL;
    struct pki *pki = NULL;
    if (recipe_read_text(text, strlen(text), "r.yaml", &recipe, &error))
        fail_msg("%s", error.text);
    assert_int_equal(forge_pki(recipe, variables, &clock_system, NULL, &pki, &error), -1);
    recipe_free(recipe);
    assert_null(pki);
    assert_int_equal(error.owner, ERROR_OWNER_FILE);
    if (strncmp(error.text, expected, strlen(expected)) != 0)
        fail_msg("expected '%s', got '%s'", expected, error.text);
    assert_int_equal(ERR_peek_error(), 0);
}

static void says_where_the_recipe_asks_for_what_cannot_be(void **state)
{
    (void)state;
    struct forge_variables long_id = {.registration_id = "0123456789012345678901234567890123456789012345678901234567890123456789"};
    static const char *const hosts[] = {"good.example.org", "IP:no"};
    struct forge_variables bad_host = {.hosts = hosts, .host_count = 2};
    static const char with_id[] = "format: 1\nmembers:\n  a: {subject: {CN: \"${registration_id}\"}, issuer: self, key: p-256}\n";
    static const char with_hosts[] = ONE("    key: p-256\n    extensions:\n      subjectAltName: [\"${hosts}\"]\n");
    expect_forge_complaint(with_id, NULL, "r.yaml:3:21: the recipe needs a value for ${registration_id}");
    expect_forge_complaint(with_id, &long_id,
                           "r.yaml:3:21: CN='0123456789012345678901234567890123456789012345678901234567890123456789' cannot "
                           "stand in an X.509 name: string too long");
    expect_forge_complaint(with_hosts, &bad_host, "r.yaml:8:24: 'IP:no' is no subject alternative name");
    expect_forge_complaint("format: 1\nmembers: {a: {subject: {C: Norway}, issuer: self, key: p-256}}\n", NULL,
                           "r.yaml:2:28: C='Norway' cannot stand in an X.509 name");
}

static void a_written_pki_reads_back_and_keeps_its_keys_to_itself(void **state)
{
    (void)state;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    CLEANUP_PKI struct pki *written = forge_builtin("server/p256"), *read = NULL;
    struct recipe *recipe = NULL;
    struct error error = ERROR_INIT;
    struct stat status;
    const char *dir = scratch_path(&scratch, "pki");
    assert_int_equal(recipe_read_builtin("server/p256", &recipe, NULL), 0);
    assert_int_equal(pki_read(recipe, dir, &read, &error), -1);
    assert_int_equal(error.code, ERROR_NOT_FOUND);
    assert_int_equal(pki_write(written, dir, &error), 0);
    if (pki_read(recipe, dir, &read, &error))
        fail_msg("%s", error.text);
    recipe_free(recipe);
    assert_int_equal(X509_cmp(pki_server_leaf(read), pki_server_leaf(written)), 0);
    assert_int_equal(EVP_PKEY_eq(pki_server_key(read), pki_server_key(written)), 1);
    assert_int_equal(sk_X509_num(pki_server_intermediates(read)), 1);
    assert_int_equal(stat(scratch_path(&scratch, "pki/leaf.key.pem"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(stat(scratch_path(&scratch, "pki/leaf.crt.pem"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0644);
}

static void a_copy_for_a_report_holds_certificates_and_no_key(void **state)
{
    (void)state;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    CLEANUP_PKI struct pki *pki = forge_builtin("server/p256");
    const char *dir = scratch_path(&scratch, "copy");
    char **names = NULL;
    assert_int_equal(pki_write_certificates(pki, dir, NULL), 0);
    assert_int_equal(dir_list(dir, "", &names, NULL), 0);
    size_t count = 0;
    for (; names[count]; count++)
        assert_non_null(strstr(names[count], ".crt.pem"));
    names_free(names);
    assert_int_equal(count, 3);
}

static void a_key_that_is_not_the_certificates_is_noticed(void **state)
{
    (void)state;
    CLEANUP_SCRATCH struct scratch scratch = scratch_make();
    CLEANUP_PKI struct pki *pki = forge_builtin("server/p256"), *read = NULL;
    struct recipe *recipe = NULL;
    struct error error = ERROR_INIT;
    assert_int_equal(recipe_read_builtin("server/p256", &recipe, NULL), 0);
    assert_int_equal(pki_write(pki, scratch.dir, NULL), 0);
    CLEANUP_FREE char *root_key = read_text(scratch_path(&scratch, "root.key.pem"));
    write_text(scratch_path(&scratch, "leaf.key.pem"), root_key);
    assert_int_equal(pki_read(recipe, scratch.dir, &read, &error), -1);
    recipe_free(recipe);
    assert_non_null(strstr(error.text, "leaf.key.pem: is not the key of "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(root_leaf_has_the_form_of_the_command_lines),
        cmocka_unit_test(makes_every_kind_of_key),
        cmocka_unit_test(signs_with_the_digest_that_is_asked_for),
        cmocka_unit_test(times_are_relative_to_the_clock_given),
        cmocka_unit_test(serials_are_random_positive_and_of_16_octets),
        cmocka_unit_test(alternative_names_take_the_hosts_given_once_each),
        cmocka_unit_test(says_which_part_of_a_server_is_which),
        cmocka_unit_test(an_unknown_member_is_an_error_that_lists_all),
        cmocka_unit_test(a_key_cache_gives_the_same_recipe_the_same_keys_and_nobody_else),
        cmocka_unit_test(says_where_the_recipe_asks_for_what_cannot_be),
        cmocka_unit_test(a_written_pki_reads_back_and_keeps_its_keys_to_itself),
        cmocka_unit_test(a_copy_for_a_report_holds_certificates_and_no_key),
        cmocka_unit_test(a_key_that_is_not_the_certificates_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
