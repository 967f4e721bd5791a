/*
 * Every recipe of certs/recipes, held by the real openssl command line: it shows the defect that the recipe names, and that there is no other.
 *
 * One table: a recipe, and the questions that openssl is asked about its files. Questions with a complaint show the defect (or what the recipe must
 * not be good for); questions without one show that the rest is good: chain, purpose, name and time under -x509_strict. Our judge has no say here.
 */
#include "base/clock.h"
#include "certs/forge.h"

#include "tests/cmocka.h"
#include "tests/unit/certs/support.h"

#include <string.h>
#include <time.h>

/* One question to `openssl verify` about the files of a recipe. */
struct question {
    const char *purpose; /* "sslserver", "sslclient", "any" */
    const char *is_strict;
    const char *trusted;
    const char *untrusted; /* NULL: nothing */
    const char *host;      /* NULL: no name check */
    const char *leaf;
    const char *complaint; /* a part of what openssl must say; NULL: success */
    int at_days;           /* 0: now; else so many days from now */
};

enum { QUESTIONS_MAX = 8, ARGUMENTS_MAX = 24, DAY_S = 24 * 3600 };

struct recipe_check {
    const char *name;
    bool has_defect;
    struct question questions[QUESTIONS_MAX];
};

#define STRICT "-x509_strict"
#define DPS_HOST "global.azure-devices-provisioning.net"
#define NO_ISSUER "error 20 at 0 depth lookup: unable to get local issuer certificate"
#define NO_ROOT "error 20 at 1 depth lookup: unable to get local issuer certificate"
#define WRONG_PURPOSE "error 26 at 0 depth lookup"
#define WRONG_NAME "error 62 at 0 depth lookup: hostname mismatch"
#define EXPIRED(depth) "error 10 at " #depth " depth lookup: certificate has expired"
#define NOT_YET "error 9 at 0 depth lookup: certificate is not yet valid"

/* clang-format off */
static const struct recipe_check checks[] = {
    {"control", false, {
        {"sslserver", STRICT, "ca", NULL, "localhost", "server", NULL, 0},
        {"sslserver", STRICT, "ca", NULL, "sim.example.org", "server", NULL, 0},
        {"sslclient", STRICT, "ca", NULL, NULL, "control", NULL, 0},
        {"sslclient", STRICT, "ca", NULL, NULL, "observer", NULL, 0},
        {"sslserver", STRICT, "ca", NULL, NULL, "control", WRONG_PURPOSE, 0}}},
    {"device/cn-mismatch", true, {
        {"sslclient", STRICT, "root", NULL, NULL, "leaf", NULL, 0}}}, /* the name: names_the_device() */
    {"device/expired-intermediate", true, {
        {"sslclient", STRICT, "root", "sub-ca", NULL, "leaf", EXPIRED(1), 0},
        {"sslclient", STRICT, "root", "sub-ca", NULL, "leaf", NULL, -2},
        {"any", STRICT, "root", NULL, NULL, "root", NULL, 0}}},
    {"device/expired-leaf", true, {
        {"sslclient", STRICT, "root", NULL, NULL, "leaf", EXPIRED(0), 0},
        {"sslclient", STRICT, "root", NULL, NULL, "leaf", NULL, -2},
        {"any", STRICT, "root", NULL, NULL, "root", NULL, 0}}},
    {"device/extra-certificate", true, {
        {"sslclient", STRICT, "root", "stranger", NULL, "leaf", NULL, 0},
        {"sslclient", STRICT, "stranger", NULL, NULL, "leaf", NO_ISSUER, 0},
        {"sslclient", STRICT, "stranger", "root", NULL, "leaf", "error 19 at 1 depth lookup: self-signed certificate in certificate chain", 0},
        {"any", STRICT, "stranger", NULL, NULL, "stranger", NULL, 0}}},
    {"device/key-mismatch", true, {
        {"sslclient", STRICT, "root", NULL, NULL, "leaf", NULL, 0},
        {"sslclient", STRICT, "root", NULL, NULL, "other", NULL, 0}}}, /* the keys: each_key_fits_its_own_certificate_alone() */
    {"device/not-yet-valid-leaf", true, {
        {"sslclient", STRICT, "root", NULL, NULL, "leaf", NOT_YET, 0},
        {"sslclient", STRICT, "root", NULL, NULL, "leaf", NULL, 2},
        {"any", STRICT, "root", NULL, NULL, "root", NULL, 0}}},
    {"device/rolled-leaf", false, {
        {"sslclient", STRICT, "root", NULL, NULL, "leaf", NULL, 0},
        {"sslclient", STRICT, "root", NULL, NULL, "old-leaf", NULL, 0},
        {"sslclient", STRICT, "root", NULL, NULL, "old-leaf", EXPIRED(0), 6}}},
    /*
     * `openssl req -x509` gives the root no key usage, which -x509_strict names; `openssl x509 -req` gives a version 1 leaf, on which it has nothing
     * to say. That is the forum thread's PKI, and no defect to Azure: without -x509_strict all is well.
     */
    {"device/root-leaf", false, {
        {"sslclient", NULL, "root", NULL, NULL, "leaf", NULL, 0},
        {"any", STRICT, "root", NULL, NULL, "leaf", "error 92 at 1 depth lookup: CA cert does not include key usage extension", 0}}},
    {"device/same-name-ca", true, {
        {"sslclient", STRICT, "root", NULL, NULL, "leaf", NO_ISSUER, 0},
        {"sslclient", STRICT, "impostor", NULL, NULL, "leaf", NULL, 0},
        {"any", STRICT, "root", NULL, NULL, "root", NULL, 0}}},
    /* A trusted certificate alone: -x509_strict does not miss the key usage there. */
    {"device/self-signed", false, {
        {"sslclient", NULL, "leaf", NULL, NULL, "leaf", NULL, 0},
        {"sslclient", STRICT, "leaf", NULL, NULL, "leaf", NULL, 0},
        {"sslserver", STRICT, "leaf", NULL, NULL, "leaf", NULL, 0}}},
    {"device/self-signed-leaf", true, {
        {"sslclient", STRICT, "root", NULL, NULL, "leaf", "error 18 at 0 depth lookup: self-signed certificate", 0},
        {"sslclient", STRICT, "leaf", NULL, NULL, "leaf", NULL, 0},
        {"sslserver", STRICT, "leaf", NULL, NULL, "leaf", WRONG_PURPOSE, 0},
        {"any", STRICT, "root", NULL, NULL, "root", NULL, 0}}},
    {"device/sub-ca", false, {
        {"sslclient", STRICT, "root", "sub-ca", NULL, "leaf", NULL, 0},
        {"sslclient", STRICT, "root", NULL, NULL, "leaf", NO_ISSUER, 0},
        {"sslserver", STRICT, "root", "sub-ca", NULL, "leaf", WRONG_PURPOSE, 0}}},
    {"device/wrong-chain", true, {
        {"sslclient", STRICT, "root", NULL, NULL, "leaf", NO_ISSUER, 0},
        {"sslclient", STRICT, "other-root", NULL, NULL, "leaf", NULL, 0},
        {"any", STRICT, "root", NULL, NULL, "root", NULL, 0}}},
    {"issuing", false, {
        {"any", STRICT, "root", NULL, NULL, "ca", NULL, 0},
        {"any", STRICT, "root", NULL, NULL, "root", NULL, 0}}},
    {"server/another-root", true, {
        {"sslserver", STRICT, "root", "intermediate", DPS_HOST, "leaf", NO_ROOT, 0},
        {"sslserver", STRICT, "signing-root", "intermediate", DPS_HOST, "leaf", NULL, 0},
        {"any", STRICT, "root", NULL, NULL, "root", NULL, 0}}},
    {"server/default", false, {
        {"sslserver", STRICT, "root", "intermediate", DPS_HOST, "leaf", NULL, 0},
        {"sslserver", STRICT, "root", "intermediate", "hub-7.azure-devices.net", "leaf", NULL, 0},
        {"sslserver", STRICT, "root", "intermediate", "localhost", "leaf", NULL, 0},
        {"sslserver", STRICT, "root", "intermediate", "sim.example.org", "leaf", NULL, 0},
        {"sslserver", STRICT, "root", "intermediate", "other.example.org", "leaf", WRONG_NAME, 0},
        {"sslserver", STRICT, "root", NULL, DPS_HOST, "leaf", NO_ISSUER, 0}}},
    {"server/expired", true, {
        {"sslserver", STRICT, "root", "intermediate", DPS_HOST, "leaf", EXPIRED(0), 0},
        {"sslserver", STRICT, "root", "intermediate", DPS_HOST, "leaf", NULL, -2},
        {"any", STRICT, "root", NULL, NULL, "intermediate", NULL, 0}}},
    {"server/host-name-mismatch", true, {
        {"sslserver", STRICT, "root", "intermediate", DPS_HOST, "leaf", WRONG_NAME, 0},
        {"sslserver", STRICT, "root", "intermediate", "sim.example.org", "leaf", WRONG_NAME, 0},
        {"sslserver", STRICT, "root", "intermediate", NULL, "leaf", NULL, 0},
        {"sslserver", STRICT, "root", "intermediate", "another-host.invalid", "leaf", NULL, 0}}},
    {"server/intermediate-missing", true, {
        {"sslserver", STRICT, "root", NULL, DPS_HOST, "leaf", NO_ISSUER, 0},
        {"sslserver", STRICT, "root", "intermediate", DPS_HOST, "leaf", NULL, 0},
        {"sslserver", STRICT, "root", "intermediate", "sim.example.org", "leaf", NULL, 0}}},
    {"server/long-chain", false, {
        {"sslserver", STRICT, "root", "intermediate", DPS_HOST, "leaf", NULL, 0},
        {"sslserver", STRICT, "root", "intermediate", "other.example.org", "leaf", WRONG_NAME, 0}}},
    {"server/not-yet-valid", true, {
        {"sslserver", STRICT, "root", "intermediate", DPS_HOST, "leaf", NOT_YET, 0},
        {"sslserver", STRICT, "root", "intermediate", DPS_HOST, "leaf", NULL, 2},
        {"any", STRICT, "root", NULL, NULL, "intermediate", NULL, 0}}},
    {"server/old-root", true, {
        {"sslserver", STRICT, "old-root", "issuing-ca", DPS_HOST, "leaf", NO_ROOT, 0},
        {"sslserver", STRICT, "new-root", "issuing-ca", DPS_HOST, "leaf", NULL, 0},
        {"sslserver", STRICT, "new-root", "issuing-ca", "sim.example.org", "leaf", NULL, 0},
        {"any", STRICT, "old-root", NULL, NULL, "old-root", NULL, 0}}},
    {"server/p256", false, {
        {"sslserver", STRICT, "root", "intermediate", DPS_HOST, "leaf", NULL, 0},
        {"sslserver", STRICT, "root", "intermediate", "sim.example.org", "leaf", NULL, 0},
        {"sslserver", STRICT, "root", "intermediate", "other.example.org", "leaf", WRONG_NAME, 0}}},
    {"server/self-signed", true, {
        {"sslserver", STRICT, "root", NULL, DPS_HOST, "leaf", "error 18 at 0 depth lookup: self-signed certificate", 0},
        {"sslserver", STRICT, "leaf", NULL, DPS_HOST, "leaf", NULL, 0},
        {"any", STRICT, "root", NULL, NULL, "root", NULL, 0}}},
};
/* clang-format on */

enum { CHECKS = sizeof checks / sizeof checks[0] };

static char *crt(char name[64], const char *member)
{
    snprintf(name, 64, "%s.crt.pem", member);
    return name;
}

static void ask_openssl(const char *recipe, const char *dir, const struct question *question)
{
    const char *argv[ARGUMENTS_MAX] = {"openssl", "verify", "-no-CAfile", "-no-CApath", "-purpose", question->purpose};
    size_t count = 6;
    char trusted[64], untrusted[64], leaf[64], at[32], output[OUTPUT_MAX_BYTES];
    if (question->is_strict)
        argv[count++] = question->is_strict;
    argv[count++] = "-trusted";
    argv[count++] = crt(trusted, question->trusted);
    if (question->untrusted) {
        argv[count++] = "-untrusted";
        argv[count++] = crt(untrusted, question->untrusted);
    }
    if (question->host) {
        argv[count++] = "-verify_hostname";
        argv[count++] = question->host;
    }
    if (question->at_days) {
        snprintf(at, sizeof at, "%lld", (long long)time(NULL) + (long long)question->at_days * DAY_S);
        argv[count++] = "-attime";
        argv[count++] = at;
    }
    argv[count] = crt(leaf, question->leaf);
    int status = run_in(dir, argv, output);
    if ((status == 0) != (question->complaint == NULL) || (question->complaint && !strstr(output, question->complaint)))
        fail_msg("%s: %s with %s trusted, %d days from now: expected '%s', openssl says: %s", recipe, question->leaf, question->trusted,
                 question->at_days, question->complaint ? question->complaint : "OK", output);
}

/* ---- all of them ---- */

static struct scratch folders[CHECKS];

static int write_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHECKS; i++) {
        struct error error = ERROR_INIT;
        CLEANUP_PKI struct pki *pki = forge_builtin(checks[i].name);
        folders[i] = scratch_make();
        if (pki_write(pki, folders[i].dir, &error))
            fail_msg("%s", error.text);
    }
    return 0;
}

static int remove_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHECKS; i++)
        scratch_remove(&folders[i]);
    return 0;
}

static const char *folder_of(const char *recipe)
{
    for (size_t i = 0; i < CHECKS; i++)
        if (strcmp(checks[i].name, recipe) == 0)
            return folders[i].dir;
    fail_msg("no recipe '%s'", recipe);
    return NULL;
}

static void openssl_sees_the_defect_of_each_recipe_and_no_other(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHECKS; i++)
        for (size_t j = 0; j < QUESTIONS_MAX && checks[i].questions[j].leaf; j++)
            ask_openssl(checks[i].name, folders[i].dir, &checks[i].questions[j]);
}

static void every_recipe_that_is_built_in_stands_in_the_table(void **state)
{
    (void)state;
    const char *const *names = recipe_builtin_names();
    size_t count = 0;
    for (; names[count]; count++)
        folder_of(names[count]);
    assert_int_equal(count, CHECKS);
}

static void a_recipe_names_its_defect_and_a_good_one_names_none(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHECKS; i++) {
        struct recipe *recipe = NULL;
        assert_int_equal(recipe_read_builtin(checks[i].name, &recipe, NULL), 0);
        bool has_defect = recipe_defect(recipe) != NULL;
        recipe_free(recipe);
        if (has_defect != checks[i].has_defect)
            fail_msg("%s: `defect:` %s", checks[i].name, has_defect ? "is there" : "is missing");
    }
}

/* ---- keys, names, times: by `openssl x509` and `openssl pkey` ---- */

static void read_public_key(const char *dir, const char *kind, const char *file, char output[OUTPUT_MAX_BYTES])
{
    bool is_key = strcmp(kind, "pkey") == 0;
    int status = RUN(dir, output, "openssl", kind, "-in", file, is_key ? "-pubout" : "-pubkey", is_key ? NULL : "-noout");
    if (status || !strstr(output, "BEGIN PUBLIC KEY"))
        fail_msg("%s/%s: %s", dir, file, output);
}

static bool key_fits(const char *dir, const char *key, const char *certificate)
{
    char key_file[64], ours[OUTPUT_MAX_BYTES], theirs[OUTPUT_MAX_BYTES], file[64];
    snprintf(key_file, sizeof key_file, "%s.key.pem", key);
    read_public_key(dir, "pkey", key_file, ours);
    read_public_key(dir, "x509", crt(file, certificate), theirs);
    return strcmp(ours, theirs) == 0;
}

static void each_key_fits_its_own_certificate_alone(void **state)
{
    (void)state;
    static const char *const device_recipes[] = {"device/key-mismatch", "device/rolled-leaf", "device/root-leaf", "server/expired"};
    for (size_t i = 0; i < sizeof device_recipes / sizeof device_recipes[0]; i++)
        assert_true(key_fits(folder_of(device_recipes[i]), "leaf", "leaf"));
    assert_true(key_fits(folder_of("device/key-mismatch"), "other", "other"));
    assert_false(key_fits(folder_of("device/key-mismatch"), "other", "leaf"));
    assert_false(key_fits(folder_of("device/same-name-ca"), "impostor", "root"));
}

static void check_x509(const char *recipe, const char *member, const char *option, const char *value, int status, const char *says)
{
    char output[OUTPUT_MAX_BYTES], file[64];
    int got = RUN(folder_of(recipe), output, "openssl", "x509", "-in", crt(file, member), "-noout", option, value);
    if (got != status || !strstr(output, says))
        fail_msg("%s: %s %s %s: expected status %d and '%s', got %d: %s", recipe, member, option, value ? value : "", status, says, got,
                 output);
}

static void openssl_x509_agrees_about_times_and_hosts(void **state)
{
    (void)state;
    check_x509("device/expired-leaf", "leaf", "-checkend", "0", 1, "Certificate will expire");
    check_x509("device/expired-leaf", "root", "-checkend", "0", 0, "Certificate will not expire");
    check_x509("device/expired-intermediate", "sub-ca", "-checkend", "0", 1, "Certificate will expire");
    check_x509("device/expired-intermediate", "leaf", "-checkend", "0", 0, "Certificate will not expire");
    check_x509("device/not-yet-valid-leaf", "leaf", "-checkend", "0", 0, "Certificate will not expire");
    check_x509("server/expired", "leaf", "-checkend", "0", 1, "Certificate will expire");
    check_x509("server/expired", "intermediate", "-checkend", "0", 0, "Certificate will not expire");
    check_x509("server/host-name-mismatch", "leaf", "-checkhost", DPS_HOST, 0, "does NOT match certificate");
    check_x509("server/old-root", "leaf", "-checkhost", DPS_HOST, 0, "does match certificate");
    check_x509("server/self-signed", "leaf", "-checkhost", DPS_HOST, 0, "does match certificate");
}

static void the_same_name_is_two_keys(void **state)
{
    (void)state;
    char root[OUTPUT_MAX_BYTES], impostor[OUTPUT_MAX_BYTES];
    const char *dir = folder_of("device/same-name-ca");
    assert_int_equal(RUN(dir, root, "openssl", "x509", "-in", "root.crt.pem", "-noout", "-subject", "-subject_hash"), 0);
    assert_int_equal(RUN(dir, impostor, "openssl", "x509", "-in", "impostor.crt.pem", "-noout", "-subject", "-subject_hash"), 0);
    assert_string_equal(root, impostor);
}

static void look_alikes_say_that_they_are(void **state)
{
    (void)state;
    static const char *const members[] = {"old-root", "new-root", "issuing-ca"};
    for (size_t i = 0; i < 3; i++)
        check_x509("server/old-root", members[i], "-subject", NULL, 0, "LOOK-ALIKE");
    check_x509("server/old-root", "leaf", "-subject", NULL, 0, "look-alike");
}

/* The CN is the registration id everywhere but where it is the defect. */
static void every_device_leaf_but_the_mismatch_names_the_device(void **state)
{
    (void)state;
    for (size_t i = 0; i < CHECKS; i++)
        if (strncmp(checks[i].name, "device/", 7) == 0)
            check_x509(checks[i].name, "leaf", "-subject", NULL, 0,
                       strcmp(checks[i].name, "device/cn-mismatch") == 0 ? "CN = some-other-device\n" : "CN = dev-01\n");
}

/* ---- what they cost ---- */

/* Of this process: what a busy machine does beside it does not count. */
static double processor_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* An RSA key costs as much as some hundred certificates: they are where a recipe is about the real world's RSA alone. */
static void the_whole_pki_of_the_suite_is_made_from_few_rsa_keys(void **state)
{
    (void)state;
    enum { RSA_KEYS_MAX = 8 };
    static const char *const hosts[] = {"sim.example.org"};
    const struct forge_variables variables = {.registration_id = "dev-01", .dps_host = DPS_HOST, .hosts = hosts, .host_count = 1};
    struct key_cache *keys = key_cache_new();
    int64_t begin_us = clock_mono_us(&clock_system);
    double begin_s = processor_seconds();
    int rsa_count = 0, member_count = 0;
    for (size_t i = 0; i < CHECKS; i++) {
        struct recipe *recipe = NULL;
        CLEANUP_PKI struct pki *pki = NULL;
        assert_int_equal(recipe_read_builtin(checks[i].name, &recipe, NULL), 0);
        assert_int_equal(forge_pki(recipe, &variables, &clock_system, keys, &pki, NULL), 0);
        for (size_t j = 0; j < recipe_member_count(recipe); j++, member_count++)
            rsa_count += EVP_PKEY_get_base_id(pki_key(pki, recipe_member_name(recipe, j))) == EVP_PKEY_RSA;
        recipe_free(recipe);
    }
    print_message("the whole PKI: %d recipes, %d certificates, %d RSA keys in %.2f s, %.2f s of them on a processor\n", CHECKS,
                  member_count, rsa_count, (double)(clock_mono_us(&clock_system) - begin_us) / 1e6, processor_seconds() - begin_s);
    key_cache_free(keys);
    assert_in_range(rsa_count, 1, RSA_KEYS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openssl_sees_the_defect_of_each_recipe_and_no_other),
        cmocka_unit_test(every_recipe_that_is_built_in_stands_in_the_table),
        cmocka_unit_test(a_recipe_names_its_defect_and_a_good_one_names_none),
        cmocka_unit_test(each_key_fits_its_own_certificate_alone),
        cmocka_unit_test(openssl_x509_agrees_about_times_and_hosts),
        cmocka_unit_test(the_same_name_is_two_keys),
        cmocka_unit_test(look_alikes_say_that_they_are),
        cmocka_unit_test(every_device_leaf_but_the_mismatch_names_the_device),
        cmocka_unit_test(the_whole_pki_of_the_suite_is_made_from_few_rsa_keys),
    };
    return cmocka_run_group_tests(tests, write_all, remove_all);
}
