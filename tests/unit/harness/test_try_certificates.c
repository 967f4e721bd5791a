/* Warnings about certificates, the server root, and what to type, with forged certificates. */
#include "base/cleanup.h"
#include "base/files.h"
#include "certs/attestation.h"
#include "certs/forge.h"
#include "harness/try/certificate_notes.h"
#include "harness/try/mend.h"
#include "harness/try/server_root.h"

#include <string.h>

#include "tests/cmocka.h"

DEFINE_CLEANUP(struct recipe *, recipe_free)
DEFINE_CLEANUP(struct pki *, pki_free)

static struct key_cache *keys;

static struct pki *forge(const char *text)
{
    CLEANUP(recipe_free_cleanup) struct recipe *recipe = NULL;
    struct pki *pki = NULL;
    struct error error = ERROR_INIT;
    if (recipe_read_text(text, strlen(text), "test", &recipe, &error) || forge_pki(recipe, NULL, &clock_system, keys, &pki, &error))
        fail_msg("%s", error.text);
    return pki;
}

static x509_stack *chain_of(const struct pki *pki, const char *const *members)
{
    x509_stack *chain = sk_X509_new_null();
    for (; *members; members++) {
        X509_up_ref(pki_certificate(pki, *members));
        sk_X509_push(chain, pki_certificate(pki, *members));
    }
    return chain;
}
#define CHAIN(pki, ...) chain_of(pki, (const char *const[]){__VA_ARGS__, NULL})

#define CA(name, life)                                                                                                                     \
    "  " name ": {subject: {CN: " name "}, issuer: self, key: p-256, not_after: " life ", extensions: {basicConstraints: {ca: true}}}\n"
#define LEAF(cn, issuer, life) "  leaf: {subject: {CN: " cn "}, issuer: " issuer ", key: p-256, not_after: " life "}\n"
#define RECIPE(members) "format: 1\nmembers:\n" members

/* ---- warnings ---- */

static void has_nothing_to_say_about_a_good_leaf(void **state)
{
    (void)state;
    CLEANUP(pki_free_cleanup) struct pki *pki = forge(RECIPE(CA("root", "+900d") LEAF("dev-01", "root", "+365d")));
    CLEANUP_CHAIN x509_stack *chain = CHAIN(pki, "leaf");
    CLEANUP(notes_done) struct notes notes = {0};
    certificate_notes_add(chain, pki_certificate(pki, "root"), "dev-01", clock_unix_s(&clock_system), &notes);
    assert_int_equal(notes.count, 0);
}

static void warns_of_an_end_that_is_near(void **state)
{
    (void)state;
    CLEANUP(pki_free_cleanup) struct pki *pki = forge(RECIPE(CA("root", "+900d") LEAF("dev-01", "root", "+29d")));
    CLEANUP_CHAIN x509_stack *chain = CHAIN(pki, "leaf");
    CLEANUP(notes_done) struct notes notes = {0};
    certificate_notes_add(chain, NULL, "dev-01", clock_unix_s(&clock_system), &notes);
    assert_int_equal(notes.count, 1);
    assert_string_equal(notes.items[0].id, "certificate.expires-soon");
    assert_non_null(strstr(notes.items[0].text, "CN=dev-01"));
}

static void leaves_what_has_expired_to_the_judge(void **state)
{
    (void)state;
    CLEANUP(pki_free_cleanup) struct pki *pki = forge(RECIPE(CA("root", "+900d") LEAF("dev-01", "root", "-1h")));
    CLEANUP_CHAIN x509_stack *chain = CHAIN(pki, "leaf");
    CLEANUP(notes_done) struct notes notes = {0};
    certificate_notes_add(chain, NULL, "dev-01", clock_unix_s(&clock_system), &notes);
    assert_int_equal(notes.count, 0);
}

static void warns_of_a_leaf_that_outlives_its_ca_sent_or_known(void **state)
{
    (void)state;
    CLEANUP(pki_free_cleanup) struct pki *pki = forge(RECIPE(CA("root", "+100d") LEAF("dev-01", "root", "+365d")));
    CLEANUP_CHAIN x509_stack *sent = CHAIN(pki, "leaf", "root"), *alone = CHAIN(pki, "leaf");
    CLEANUP(notes_done) struct notes of_sent = {0}, of_alone = {0};
    certificate_notes_add(sent, NULL, "dev-01", clock_unix_s(&clock_system), &of_sent);
    certificate_notes_add(alone, pki_certificate(pki, "root"), "dev-01", clock_unix_s(&clock_system), &of_alone);
    assert_non_null(notes_find(&of_sent, "certificate.outlives-issuer"));
    assert_non_null(notes_find(&of_alone, "certificate.outlives-issuer"));
    assert_non_null(notes_find(&of_sent, "chain.root-sent"));
    assert_null(notes_find(&of_alone, "chain.root-sent"));
}

static void warns_of_names_that_differ_in_case_alone(void **state)
{
    (void)state;
    CLEANUP(pki_free_cleanup) struct pki *pki = forge(RECIPE(CA("root", "+900d") LEAF("Dev-01", "root", "+365d")));
    CLEANUP_CHAIN x509_stack *chain = CHAIN(pki, "leaf");
    CLEANUP(notes_done) struct notes case_alone = {0}, other = {0};
    certificate_notes_add(chain, NULL, "dev-01", clock_unix_s(&clock_system), &case_alone);
    certificate_notes_add(chain, NULL, "dev-02", clock_unix_s(&clock_system), &other);
    assert_non_null(notes_find(&case_alone, "registration-id.case"));
    assert_int_equal(other.count, 0);
}

static void knows_who_signed_whom(void **state)
{
    (void)state;
    CLEANUP(pki_free_cleanup) struct pki *pki = forge(RECIPE(CA("root", "+900d") CA("stranger", "+900d") LEAF("dev-01", "root", "+365d")));
    CLEANUP_CHAIN x509_stack *chain = CHAIN(pki, "leaf", "stranger", "root"), *alone = CHAIN(pki, "leaf", "stranger");
    assert_int_equal(chain_signer(chain, 0), 2);
    assert_int_equal(chain_signer(chain, 1), 1);
    assert_int_equal(chain_signer(chain, 2), 2);
    assert_int_equal(chain_signer(alone, 0), -1);
}

/* ---- the server root ---- */

struct root_case {
    struct server_root root;
    struct notes notes;
};

static void root_case_done(struct root_case *result)
{
    server_root_done(&result->root);
    notes_done(&result->notes);
}

static char scratch[] = "/tmp/dpsbench-unit.XXXXXX";

static const char *write_file(const char *name, const char *text)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", scratch, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    return path;
}

static const char *write_pem(const struct pki *pki, const char *const *members)
{
    CLEANUP(bytes_done) struct bytes pem;
    bytes_init(&pem, CERTIFICATE_TEXT_MAX_BYTES);
    assert_int_equal(pki_append_pem(pki, members, &pem, NULL), 0);
    return write_file("root.pem", bytes_text(&pem));
}
#define FILE_OF(pki, ...) write_pem(pki, (const char *const[]){__VA_ARGS__, NULL})

static struct root_case look(const char *path, const x509_stack *chain, const X509 *group_ca)
{
    struct root_case result = {0};
    struct error error = ERROR_INIT;
    if (server_root_check(path, chain, group_ca, &result.notes, &result.root, &error))
        fail_msg("%s", error.text);
    return result;
}

static void takes_the_root_of_azures_servers(void **state)
{
    (void)state;
    CLEANUP(root_case_done) struct root_case g2 = look(DPSBENCH_SOURCE_DIR "/fixtures/roots/DigiCertGlobalRootG2.crt.pem", NULL, NULL);
    CLEANUP(root_case_done) struct root_case reserve = look(DPSBENCH_SOURCE_DIR "/fixtures/roots/MicrosoftRSARoot2017.crt.pem", NULL, NULL);
    assert_true(g2.root.is_good);
    assert_string_equal(g2.root.mend, "");
    assert_int_equal(g2.notes.count, 0);
    assert_false(reserve.root.is_good);
    assert_non_null(strstr(reserve.root.said, "not enough"));
    assert_non_null(strstr(reserve.root.mend, "DigiCertGlobalRootG2.crt.pem"));
}

static void is_not_taken_in_by_a_name(void **state)
{
    (void)state;
    CLEANUP(pki_free_cleanup)
    struct pki *pki =
        forge(RECIPE("  fake: {subject: {C: US, O: DigiCert Inc, OU: www.digicert.com, CN: DigiCert Global Root G2}, issuer: self, "
                     "key: p-256, extensions: {basicConstraints: {ca: true}}}\n"));
    CLEANUP(root_case_done) struct root_case result = look(FILE_OF(pki, "fake"), NULL, NULL);
    assert_false(result.root.is_good);
    assert_non_null(strstr(result.root.said, "look-alike"));
}

static void tells_the_devices_own_ca_from_a_stranger_and_from_a_leaf(void **state)
{
    (void)state;
    CLEANUP(pki_free_cleanup) struct pki *pki = forge(RECIPE(CA("root", "+900d") CA("stranger", "+900d") LEAF("dev-01", "root", "+365d")));
    CLEANUP_CHAIN x509_stack *chain = CHAIN(pki, "leaf", "root"), *alone = CHAIN(pki, "leaf");
    CLEANUP(root_case_done) struct root_case own = look(FILE_OF(pki, "root"), chain, NULL);
    CLEANUP(root_case_done) struct root_case group = look(FILE_OF(pki, "root"), alone, pki_certificate(pki, "root"));
    CLEANUP(root_case_done) struct root_case stranger = look(FILE_OF(pki, "stranger"), chain, NULL);
    CLEANUP(root_case_done) struct root_case leaf = look(FILE_OF(pki, "leaf"), NULL, NULL);
    assert_non_null(strstr(own.root.said, "belongs to the device's own chain"));
    assert_non_null(strstr(group.root.said, "belongs to the device's own chain"));
    assert_non_null(strstr(stranger.root.said, "no server of DPS or IoT Hub"));
    assert_non_null(strstr(leaf.root.said, "not a root: a leaf"));
    assert_false(own.root.is_good || group.root.is_good || stranger.root.is_good || leaf.root.is_good);
}

static void finds_the_right_root_among_several(void **state)
{
    (void)state;
    CLEANUP(pki_free_cleanup) struct pki *pki = forge(RECIPE(CA("stranger", "+900d")));
    CLEANUP(bytes_done) struct bytes all;
    CLEANUP_CHAIN x509_stack *real = NULL;
    const char *const members[] = {"stranger", NULL};
    bytes_init(&all, CERTIFICATE_TEXT_MAX_BYTES);
    assert_int_equal(certificates_read_file(DPSBENCH_SOURCE_DIR "/fixtures/roots/DigiCertGlobalRootG2.crt.pem", &real, NULL), 0);
    assert_int_equal(pki_append_pem(pki, members, &all, NULL), 0);
    assert_int_equal(certificates_append_pem(real, &all), 0);
    CLEANUP(root_case_done) struct root_case result = look(write_file("both.pem", bytes_text(&all)), NULL, NULL);
    assert_true(result.root.is_good);
    assert_non_null(notes_find(&result.notes, "root.several"));
}

/* ---- what to type ---- */

struct mend_case {
    struct try_request request;
    struct device_files files;
    struct assumed_service service;
    char text[4096];
};

static const char *mend(struct mend_case *given, const char *rule)
{
    CLEANUP_JSON cJSON *lines = mend_commands(rule, &given->request, &given->files, &given->service);
    const cJSON *line;
    given->text[0] = 0;
    assert_non_null(lines);
    cJSON_ArrayForEach(line, lines)
    {
        strncat(given->text, line->valuestring, sizeof given->text - strlen(given->text) - 2);
        strcat(given->text, "\n");
    }
    return given->text;
}

static void names_the_persons_own_files(void **state)
{
    (void)state;
    CLEANUP(pki_free_cleanup) struct pki *pki = forge(RECIPE(CA("root", "+900d") LEAF("dev-01", "root", "+365d")));
    CLEANUP_CHAIN x509_stack *chain = CHAIN(pki, "leaf");
    char text[] = "CN=root";
    struct mend_case given = {
        .request = {.registration_id = "dev-02", .group_ca_path = "my ca.pem"},
        .files = {.cert_path = "device.crt", .key_path = "device.key", .chain = chain},
        .service = {.kind = DPS_GROUP, .group_ca = pki_certificate(pki, "root"), .group_ca_text = text},
    };
    assert_string_equal(mend(&given, "chain.issuer-not-sent"),
                        "cat device.crt 'my ca.pem' > chain.pem\nnrfcredstore PORT write 56 CLIENT_CERT chain.pem\n");
    const char *mismatch = mend(&given, "registration-id.mismatch");
    assert_non_null(strstr(mismatch, "openssl req -new -key device.key -out device-new.csr -subj \"/CN=dev-02\""));
    assert_non_null(strstr(mismatch, "-CA 'my ca.pem' "));
    assert_non_null(strstr(mismatch, "CONFIG_AZURE_IOT_HUB_DPS_REG_ID=\"dev-01\""));
    assert_string_equal(mend(&given, "no.such-rule"), "");
}

static void never_puts_an_id_into_a_shell_that_dps_would_not_take(void **state)
{
    (void)state;
    CLEANUP(pki_free_cleanup) struct pki *pki = forge(RECIPE("  leaf: {subject: {CN: \"$(reboot)\"}, issuer: self, key: p-256}\n"));
    CLEANUP_CHAIN x509_stack *chain = CHAIN(pki, "leaf");
    struct mend_case given = {
        .request = {.registration_id = "\"; reboot"},
        .files = {.cert_path = "device.crt", .key_path = "device.key", .chain = chain},
        .service = {.kind = DPS_ENROLLMENT},
    };
    static const char *const rules[] = {"registration-id.mismatch", "registration-id.grammar", "leaf.expired", "enrollment.none"};
    for (size_t i = 0; i < ARRAY_COUNT(rules); i++)
        assert_null(strstr(mend(&given, rules[i]), "reboot"));
}

static void has_something_to_type_for_every_refusal_that_files_can_cause(void **state)
{
    (void)state;
    CLEANUP(pki_free_cleanup) struct pki *pki = forge(RECIPE(CA("root", "+900d") LEAF("dev-01", "root", "+365d")));
    CLEANUP_CHAIN x509_stack *chain = CHAIN(pki, "leaf");
    struct mend_case given = {
        .request = {.registration_id = "dev-01"},
        .files = {.cert_path = "device.crt", .key_path = "device.key", .chain = chain},
        .service = {.kind = DPS_GROUP},
    };
    for (size_t i = 0; attestation_rule_at(i); i++) {
        const struct attestation_rule *rule = attestation_rule_at(i);
        bool is_possible = rule->severity == ATTESTATION_REFUSE && strcmp(rule->id, "chain.none") != 0;
        if (is_possible && !*mend(&given, rule->id))
            fail_msg("nothing to type for %s", rule->id);
    }
}

static int set_up(void **state)
{
    (void)state;
    keys = key_cache_new();
    return keys && mkdtemp(scratch) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    key_cache_free(keys);
    return dir_remove(scratch, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_nothing_to_say_about_a_good_leaf),
        cmocka_unit_test(warns_of_an_end_that_is_near),
        cmocka_unit_test(leaves_what_has_expired_to_the_judge),
        cmocka_unit_test(warns_of_a_leaf_that_outlives_its_ca_sent_or_known),
        cmocka_unit_test(warns_of_names_that_differ_in_case_alone),
        cmocka_unit_test(knows_who_signed_whom),
        cmocka_unit_test(takes_the_root_of_azures_servers),
        cmocka_unit_test(is_not_taken_in_by_a_name),
        cmocka_unit_test(tells_the_devices_own_ca_from_a_stranger_and_from_a_leaf),
        cmocka_unit_test(finds_the_right_root_among_several),
        cmocka_unit_test(names_the_persons_own_files),
        cmocka_unit_test(never_puts_an_id_into_a_shell_that_dps_would_not_take),
        cmocka_unit_test(has_something_to_type_for_every_refusal_that_files_can_cause),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
