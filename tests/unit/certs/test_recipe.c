#include "certs/recipe.h"

#include "base/cleanup.h"
#include "tests/cmocka.h"

#include <stdio.h>
#include <string.h>

DEFINE_CLEANUP(struct recipe *, recipe_free)
#define CLEANUP_RECIPE CLEANUP(recipe_free_cleanup)

static void expect_complaint(const char *text, const char *expected)
{
    struct error error = ERROR_INIT;
    struct recipe *untouched = (struct recipe *)&error, *recipe = untouched;
    if (recipe_read_text(text, strlen(text), "r.yaml", &recipe, &error) == 0)
        fail_msg("was taken: %s", text);
    assert_ptr_equal(recipe, untouched);
    assert_int_equal(error.owner, ERROR_OWNER_FILE);
    if (strncmp(error.text, expected, strlen(expected)) != 0)
        fail_msg("expected '%s', got '%s'", expected, error.text);
}

#define MEMBER(lines) "format: 1\nmembers:\n  a:\n    subject: {CN: x}\n    issuer: self\n    key: p-256\n" lines

static void every_complaint_has_a_place_and_the_allowed_words(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *expected;
    } rows[] = {
        {"format: 2\nmembers: {a: {}}\n", "r.yaml:1:9: format '2': this version of dpsbench reads recipes of format 1"},
        {"members: {}\n", "r.yaml:1:1: key 'format' is missing"},
        {"format: 1\nmembers: {}\n", "r.yaml:2:1: members must be a mapping"},
        {"format: 1\nmember: {}\n", "r.yaml:2:1: unknown key 'member' in a recipe; did you mean 'members'?"},
        {"format: 1\nmembers: {A: {subject: {}, issuer: self, key: p-256}}\n", "r.yaml:2:11: member name 'A': use"},
        {"format: 1\nmembers: {../x: {subject: {}, issuer: self, key: p-256}}\n", "r.yaml:2:11: member name '../x': use"},
        {"format: 1\nmembers: {a: {issuer: self, key: p-256}}\n", "r.yaml:2:15: key 'subject' is missing"},
        {"format: 1\nmembers: {a: {subject: {CN: x}, key: p-256}}\n", "r.yaml:2:15: key 'issuer' is missing"},
        {"format: 1\nmembers: {a: {subject: {CN: x}, issuer: b, key: p-256}}\n", "r.yaml:2:41: 'b' is not a member; one of: a"},
        {"format: 1\nmembers: {a: {subject: {CN: x}, issuer: a, key: p-256}}\n",
         "r.yaml:2:41: a member that signs itself says 'issuer: self'"},
        {"format: 1\nmembers: {a: {subject: {CN: x}, issuer: self, key: rsa-512}}\n",
         "r.yaml:2:52: 'rsa-512' is not a key type; one of: rsa-2048"},
        {"format: 1\nmembers: {a: {subject: {XX: x}, issuer: self, key: p-256}}\n", "r.yaml:2:25: unknown key 'XX' in subject"},
        {"format: 1\nmembers: {a: {subject: {CN: \"${name}\"}, issuer: self, key: p-256}}\n", "r.yaml:2:29: unknown variable '${name}'"},
        {"format: 1\nmembers: {a: {subject: {CN: \"${hosts}\"}, issuer: self, key: p-256}}\n", "r.yaml:2:29: ${hosts} is a list"},
        {"format: 1\nmembers: {a: {subject: {CN: \"${registration_id\"}, issuer: self, key: p-256}}\n", "r.yaml:2:29: '${' without '}'"},
        {MEMBER("    version: 2\n"), "r.yaml:7:14: version is 1 or 3"},
        {MEMBER("    digest: sha3\n"), "r.yaml:7:13: 'sha3' is not a digest"},
        {MEMBER("    not_after: tomorrow\n"), "r.yaml:7:16: 'tomorrow' is no time from now"},
        {MEMBER("    not_after: 99999999d\n"), "r.yaml:7:16: '99999999d' is further away than 100 years"},
        {MEMBER("    not_after: -2d\n"), "r.yaml:7:16: not_after must be later than not_before"},
        {MEMBER("    version: 1\n    extensions: {keyUsage: [keyCertSign]}\n"), "r.yaml:8:18: a version 1 certificate has no extensions"},
        {MEMBER("    extensions: {basicConstraint: {ca: true}}\n"),
         "r.yaml:7:18: unknown key 'basicConstraint' in extensions; did you mean"},
        {MEMBER("    extensions: {basicConstraints: {pathlen: 0}}\n"), "r.yaml:7:37: key 'ca' is missing"},
        {MEMBER("    extensions: {basicConstraints: {ca: yes}}\n"), "r.yaml:7:41: 'yes' is neither true nor false"},
        {MEMBER("    extensions: {keyUsage: [keyCertsign]}\n"), "r.yaml:7:29: 'keyCertsign' is not a key usage; one of: digitalSignature"},
        {MEMBER("    extensions: {extendedKeyUsage: [client]}\n"),
         "r.yaml:7:37: 'client' is not an extended key usage; one of: serverAuth"},
        {MEMBER("    extensions: {subjectAltName: localhost}\n"), "r.yaml:7:34: subjectAltName must be a list"},
        {MEMBER("    extensions: {subjectAltName: [\"x-${hosts}\"]}\n"), "r.yaml:7:35: ${hosts} is a list"},
        {MEMBER("server: {leaf: b, root: a}\n"), "r.yaml:7:16: 'b' is not a member; one of: a"},
        {MEMBER("server: {leaf: a}\n"), "r.yaml:7:10: key 'root' is missing"},
        {MEMBER("server: {leaf: a, root: a, intermediates: a}\n"), "r.yaml:7:43: intermediates must be a list"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect_complaint(rows[i].text, rows[i].expected);
}

static void refuses_issuers_that_run_in_a_circle(void **state)
{
    (void)state;
    expect_complaint("format: 1\nmembers:\n"
                     "  a: {subject: {CN: a}, issuer: b, key: p-256}\n"
                     "  b: {subject: {CN: b}, issuer: a, key: p-256}\n",
                     "r.yaml:3:33: the issuers run in a circle: no member on the way up from 'a'");
}

static void refuses_a_digest_where_the_issuer_needs_none(void **state)
{
    (void)state;
    expect_complaint("format: 1\nmembers:\n"
                     "  a: {subject: {CN: a}, issuer: self, key: ed25519}\n"
                     "  b: {subject: {CN: b}, issuer: a, key: p-256, digest: sha256}\n",
                     "r.yaml:4:56: the issuer's key is ed25519");
}

static void refuses_more_members_than_the_limit(void **state)
{
    (void)state;
    char text[4096];
    int used = snprintf(text, sizeof text, "format: 1\nmembers:\n");
    for (int i = 0; i <= RECIPE_MEMBERS_MAX; i++)
        used += snprintf(text + used, sizeof text - (size_t)used, "  m%d: {subject: {CN: a}, issuer: self, key: p-256}\n", i);
    expect_complaint(text, "r.yaml:3:3: a recipe has at most 16 members");
}

static void every_built_in_recipe_is_a_good_recipe(void **state)
{
    (void)state;
    static const char *const expected[] = {
        "control",
        "device/cn-mismatch",
        "device/root-leaf",
        "device/self-signed",
        "device/sub-ca",
        "device/wrong-chain",
        "server/another-root",
        "server/default",
        "server/host-name-mismatch",
        "server/p256",
    };
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        struct error error = ERROR_INIT;
        CLEANUP_RECIPE struct recipe *recipe = NULL;
        if (recipe_read_builtin(expected[i], &recipe, &error))
            fail_msg("%s", error.text);
        assert_string_equal(recipe_name(recipe), expected[i]);
        assert_true(recipe_member_count(recipe) > 0);
        assert_null(recipe_member_name(recipe, recipe_member_count(recipe)));
        assert_int_equal(recipe_is_for_server(recipe), strncmp(expected[i], "device/", 7) != 0);
    }
    size_t count = 0;
    while (recipe_builtin_names()[count])
        count++;
    assert_true(count >= sizeof expected / sizeof expected[0]);
}

static void the_built_in_text_is_the_file(void **state)
{
    (void)state;
    const char *text = recipe_builtin_text("device/root-leaf");
    CLEANUP_FILE FILE *file = fopen(DPSBENCH_SOURCE_DIR "/certs/recipes/device/root-leaf.yaml", "r");
    char bytes[8192] = "";
    assert_non_null(file);
    assert_true(fread(bytes, 1, sizeof bytes - 1, file) > 0);
    assert_string_equal(text, bytes);
}

static void an_unknown_built_in_lists_those_that_there_are(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    struct recipe *recipe = NULL;
    assert_int_equal(recipe_read_builtin("device/x", &recipe, &error), -1);
    assert_int_equal(error.code, ERROR_NOT_FOUND);
    assert_non_null(strstr(error.text, "recipe 'device/x' is not built in; there are: control, device/cn-mismatch"));
    assert_null(recipe_builtin_text("device/x"));
    assert_null(recipe_builtin_text("device/sub"));
    assert_null(recipe_builtin_text("device/sub-ca.yml"));
    assert_ptr_equal(recipe_builtin_text("device/sub-ca.yaml"), recipe_builtin_text("device/sub-ca"));
}

static void a_recipe_tells_what_it_uses_and_who_signs_whom(void **state)
{
    (void)state;
    CLEANUP_RECIPE struct recipe *sub_ca = NULL;
    CLEANUP_RECIPE struct recipe *server = NULL;
    assert_int_equal(recipe_read_builtin("device/sub-ca", &sub_ca, NULL), 0);
    assert_int_equal(recipe_read_builtin("server/p256", &server, NULL), 0);
    assert_true(recipe_uses(sub_ca, "registration_id"));
    assert_false(recipe_uses(sub_ca, "registration"));
    assert_false(recipe_uses(sub_ca, "hosts"));
    assert_true(recipe_uses(server, "hosts"));
    assert_false(recipe_uses(server, "registration_id"));
    assert_int_equal(recipe_member_issuer(sub_ca, 0), 0);
    assert_int_equal(recipe_member_issuer(sub_ca, 2), 1);
    assert_string_equal(recipe_member_key(sub_ca, 2), "p-256");
}

static void a_recipe_tells_its_defect(void **state)
{
    (void)state;
    CLEANUP_RECIPE struct recipe *with = NULL, *without = NULL;
    assert_int_equal(recipe_read_builtin("device/cn-mismatch", &with, NULL), 0);
    assert_int_equal(recipe_read_builtin("device/sub-ca", &without, NULL), 0);
    assert_string_equal(recipe_defect(with), "the leaf's CN is another device's id");
    assert_null(recipe_defect(without));
}

static void survives_any_cut_of_a_recipe(void **state)
{
    (void)state;
    const char *text = recipe_builtin_text("server/default");
    for (size_t i = 0; i < strlen(text); i++) {
        CLEANUP_RECIPE struct recipe *recipe = NULL;
        recipe_read_text(text, i, "cut", &recipe, NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_complaint_has_a_place_and_the_allowed_words),
        cmocka_unit_test(refuses_issuers_that_run_in_a_circle),
        cmocka_unit_test(refuses_a_digest_where_the_issuer_needs_none),
        cmocka_unit_test(refuses_more_members_than_the_limit),
        cmocka_unit_test(every_built_in_recipe_is_a_good_recipe),
        cmocka_unit_test(the_built_in_text_is_the_file),
        cmocka_unit_test(an_unknown_built_in_lists_those_that_there_are),
        cmocka_unit_test(a_recipe_tells_its_defect),
        cmocka_unit_test(a_recipe_tells_what_it_uses_and_who_signs_whom),
        cmocka_unit_test(survives_any_cut_of_a_recipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
