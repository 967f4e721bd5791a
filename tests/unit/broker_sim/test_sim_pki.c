#include "base/cleanup.h"
#include "base/files.h"
#include "broker_sim/pki/leaf_renewal.h"
#include "broker_sim/pki/server_pki.h"

#include <openssl/x509v3.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/cmocka.h"

struct rig {
    char dir[64];
    char *pki_dir;
    struct clock_fake clock;
};

static void setup(struct rig *rig)
{
    *rig = (struct rig){.dir = "/tmp/dpsbench-pki-XXXXXX"};
    assert_non_null(mkdtemp(rig->dir));
    rig->pki_dir = path_join(rig->dir, "pki");
    clock_fake_init(&rig->clock, 1000000, 1795000000000000);
}

static void teardown(struct rig *rig)
{
    dir_remove(rig->dir, NULL);
    free(rig->pki_dir);
}

static struct kept_pki open_with(struct rig *rig, enum server_key key, const char *host)
{
    struct kept_pki kept = {.dir = NULL};
    struct error error = ERROR_INIT;
    if (server_pki_open(rig->pki_dir, key, &host, host ? 1 : 0, &rig->clock.clock, &kept, &error))
        fail_msg("%s", error.text);
    return kept;
}

static bool is_for(const struct kept_pki *kept, const char *host)
{
    X509 *leaf = pki_server_leaf(kept->pki);
    return X509_check_host(leaf, host, 0, 0, NULL) == 1 || X509_check_ip_asc(leaf, host, 0) == 1;
}

static void sha256_of(const struct kept_pki *kept, const char *member, char *hex)
{
    certificate_sha256(pki_certificate(kept->pki, member), hex);
}

static void second_start_finds_the_pki_of_the_first(void **state)
{
    (void)state;
    CLEANUP(teardown) struct rig rig;
    setup(&rig);
    char before[SHA256_HEX_BYTES], after[SHA256_HEX_BYTES];
    CLEANUP(kept_pki_done) struct kept_pki first = open_with(&rig, SERVER_KEY_P_256, "dps.example.org");
    CLEANUP(kept_pki_done) struct kept_pki second = open_with(&rig, SERVER_KEY_ANY, "dps.example.org");
    assert_true(first.is_new);
    assert_false(second.is_new || second.is_renewed);
    sha256_of(&first, "leaf", before);
    sha256_of(&second, "leaf", after);
    assert_string_equal(before, after);
    assert_true(is_for(&second, "global.azure-devices-provisioning.net") && is_for(&second, "any.azure-devices.net"));
    assert_true(is_for(&second, "localhost") && is_for(&second, "127.0.0.1") && is_for(&second, "::1") &&
                is_for(&second, "dps.example.org"));
}

static void added_host_renews_the_leaf_alone(void **state)
{
    (void)state;
    static const char *const hosts[] = {"new.example.org", "192.0.2.7", "2001:db8::7"};
    CLEANUP(teardown) struct rig rig;
    setup(&rig);
    char before[SHA256_HEX_BYTES], after[SHA256_HEX_BYTES];
    CLEANUP(kept_pki_done) struct kept_pki first = open_with(&rig, SERVER_KEY_P_256, "dps.example.org");
    CLEANUP(kept_pki_done) struct kept_pki second = {.dir = NULL};
    assert_int_equal(server_pki_open(rig.pki_dir, SERVER_KEY_ANY, hosts, 3, &rig.clock.clock, &second, NULL), 0);
    assert_true(second.is_renewed && !second.is_new);
    for (size_t i = 0; i < ARRAY_COUNT(hosts); i++)
        assert_true(is_for(&second, hosts[i]));
    assert_true(is_for(&second, "dps.example.org") && is_for(&second, "localhost"));
    sha256_of(&first, "root", before);
    sha256_of(&second, "root", after);
    assert_string_equal(before, after);
    assert_true(certificate_is_signed_by(pki_server_leaf(second.pki), pki_certificate(second.pki, "intermediate")));
    assert_true(private_key_fits(pki_server_key(second.pki), pki_server_leaf(second.pki)));
    CLEANUP(kept_pki_done) struct kept_pki third = {.dir = NULL};
    assert_int_equal(server_pki_open(rig.pki_dir, SERVER_KEY_ANY, hosts, 3, &rig.clock.clock, &third, NULL), 0);
    assert_false(third.is_renewed);
}

static void leaf_is_renewed_before_it_expires(void **state)
{
    (void)state;
    CLEANUP(teardown) struct rig rig;
    setup(&rig);
    CLEANUP(kept_pki_done) struct kept_pki first = open_with(&rig, SERVER_KEY_P_256, NULL);
    int64_t from_s, to_s;
    assert_int_equal(certificate_validity(pki_server_leaf(first.pki), &from_s, &to_s), 0);
    rig.clock.unix_now_us = (to_s - LEAF_RENEWAL_MARGIN_S) * 1000000;
    CLEANUP(kept_pki_done) struct kept_pki second = open_with(&rig, SERVER_KEY_ANY, NULL);
    assert_false(second.is_renewed);
    rig.clock.unix_now_us += 1000000;
    CLEANUP(kept_pki_done) struct kept_pki third = open_with(&rig, SERVER_KEY_ANY, NULL);
    assert_true(third.is_renewed);
    assert_int_equal(certificate_validity(pki_server_leaf(third.pki), &from_s, &to_s), 0);
    assert_true(to_s > rig.clock.unix_now_us / 1000000 + 2 * LEAF_RENEWAL_MARGIN_S);
}

static void another_kind_of_key_is_refused_with_the_mend(void **state)
{
    (void)state;
    CLEANUP(teardown) struct rig rig;
    setup(&rig);
    CLEANUP(kept_pki_done) struct kept_pki first = open_with(&rig, SERVER_KEY_P_256, NULL);
    assert_true(first.is_new);
    struct kept_pki second = {.dir = NULL};
    struct error error = ERROR_INIT;
    assert_int_equal(server_pki_open(rig.pki_dir, SERVER_KEY_RSA_2048, NULL, 0, &rig.clock.clock, &second, &error), -1);
    assert_int_equal(error.owner, ERROR_OWNER_FILE);
    assert_non_null(strstr(error.text, rig.pki_dir));
    assert_null(second.pki);
}

static void spoiled_key_is_told_with_the_mend_and_a_missing_file_means_a_new_pki(void **state)
{
    (void)state;
    CLEANUP(teardown) struct rig rig;
    setup(&rig);
    CLEANUP(kept_pki_done) struct kept_pki first = open_with(&rig, SERVER_KEY_P_256, NULL);
    CLEANUP_FREE char *key = kept_pki_key_path(&first, "intermediate");
    assert_int_equal(file_write_atomic(key, "spoiled", 7, 0600, NULL), 0);
    struct kept_pki second = {.dir = NULL};
    struct error error = ERROR_INIT;
    assert_int_equal(server_pki_open(rig.pki_dir, SERVER_KEY_ANY, NULL, 0, &rig.clock.clock, &second, &error), -1);
    assert_non_null(strstr(error.text, "remove '"));
    assert_int_equal(unlink(key), 0);
    CLEANUP(kept_pki_done) struct kept_pki third = open_with(&rig, SERVER_KEY_ANY, NULL);
    assert_true(third.is_new);
}

static void keys_are_for_their_owner_alone(void **state)
{
    (void)state;
    CLEANUP(teardown) struct rig rig;
    setup(&rig);
    CLEANUP(kept_pki_done) struct kept_pki kept = {.dir = NULL};
    assert_int_equal(control_pki_open(rig.pki_dir, NULL, 0, &rig.clock.clock, &kept, NULL), 0);
    static const char *const members[] = {"ca", "server", "control", "observer"};
    for (size_t i = 0; i < ARRAY_COUNT(members); i++) {
        struct stat status;
        CLEANUP_FREE char *path = kept_pki_key_path(&kept, members[i]);
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 0777, 0600);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(second_start_finds_the_pki_of_the_first),
        cmocka_unit_test(added_host_renews_the_leaf_alone),
        cmocka_unit_test(leaf_is_renewed_before_it_expires),
        cmocka_unit_test(another_kind_of_key_is_refused_with_the_mend),
        cmocka_unit_test(spoiled_key_is_told_with_the_mend_and_a_missing_file_means_a_new_pki),
        cmocka_unit_test(keys_are_for_their_owner_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
