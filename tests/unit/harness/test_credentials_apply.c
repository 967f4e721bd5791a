/* Credentials on a fake modem behind a real pty. */
#include "harness/credentials/credential_set.h"

#include "base/files.h"
#include "harness/device/dk.h"
#include "test_device_host.h"
#include "tests/cmocka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TAG = 56 };

#define ROOT "-----BEGIN CERTIFICATE-----\nMIIBroot\n-----END CERTIFICATE-----"
#define LEAF "-----BEGIN CERTIFICATE-----\nMIIBleaf\n-----END CERTIFICATE-----"
#define KEY "-----BEGIN PRIVATE KEY-----\nMIGHsecretsecret\n-----END PRIVATE KEY-----"

struct bench {
    uv_loop_t loop;
    struct host host;
    struct events events;
    struct dk *dk;
    char raw_path[128];
    struct credential_set set;
    struct credential_result result;
    struct error error;
    int done_count;
};

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    uv_loop_init(&bench->loop);
    host_init(&bench->host, &bench->loop);
    events_init(&bench->events);
    snprintf(bench->raw_path, sizeof(bench->raw_path), "%s/console.raw", bench->host.fake.dir);
    struct dk_options options = {.loop = &bench->loop,
                                 .clock = &clock_system,
                                 .name = "dk-1",
                                 .path = bench->host.fake.path,
                                 .raw_path = bench->raw_path,
                                 .sink = events_sink(&bench->events)};
    assert_int_equal(dk_open(&options, &bench->dk, NULL), 0);
    credential_set_init(&bench->set, TAG);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    dk_close(bench->dk);
    credential_set_done(&bench->set);
    unlink(bench->raw_path);
    host_done(&bench->host);
    finish_loop(&bench->loop);
    events_done(&bench->events);
    free(bench);
    return 0;
}

static void on_done(void *user, const struct credential_result *result, const struct error *error)
{
    struct bench *bench = user;
    assert_non_null(result);
    assert_false(error && result->is_verified);
    bench->done_count++;
    bench->result = *result;
    if (error)
        bench->error = *error;
}

static bool is_done(void *user)
{
    return ((struct bench *)user)->done_count > 0;
}

static void want(struct bench *bench, enum credential_type type, const char *text)
{
    struct error error = ERROR_INIT;
    if (credential_set_put(&bench->set, type, text, strlen(text), &error))
        fail_msg("%s", error.text);
}

static void want_all(struct bench *bench)
{
    want(bench, CREDENTIAL_ROOT_CA, ROOT "\n");
    want(bench, CREDENTIAL_CLIENT_CERT, LEAF "\n");
    want(bench, CREDENTIAL_CLIENT_KEY, KEY "\r\n\n");
}

static void run(struct bench *bench)
{
    struct error error = ERROR_INIT;
    bench->done_count = 0;
    bench->error = (struct error)ERROR_INIT;
    if (credential_apply(dk_at(bench->dk), &bench->set, on_done, bench, &error))
        fail_msg("%s", error.text);
    assert_true(run_until(&bench->loop, is_done, bench));
    assert_int_equal(bench->done_count, 1);
}

static void apply(struct bench *bench)
{
    run(bench);
    if (bench->error.code != ERROR_NONE)
        fail_msg("%s", bench->error.text);
}

static void assert_actions(struct bench *bench, enum credential_action root, enum credential_action cert, enum credential_action key)
{
    assert_string_equal(credential_action_name(bench->result.actions[CREDENTIAL_ROOT_CA]), credential_action_name(root));
    assert_string_equal(credential_action_name(bench->result.actions[CREDENTIAL_CLIENT_CERT]), credential_action_name(cert));
    assert_string_equal(credential_action_name(bench->result.actions[CREDENTIAL_CLIENT_KEY]), credential_action_name(key));
}

static void writes_the_exact_text_without_space_at_its_end(void **state)
{
    struct bench *bench = *state;
    want_all(bench);
    apply(bench);
    assert_actions(bench, CREDENTIAL_WRITTEN, CREDENTIAL_WRITTEN, CREDENTIAL_WRITTEN);
    assert_true(bench->result.is_verified);
    assert_string_equal(host_stored(&bench->host, TAG, 0), ROOT);
    assert_string_equal(host_stored(&bench->host, TAG, 1), LEAF);
    assert_string_equal(host_stored(&bench->host, TAG, 2), KEY);
    assert_string_equal(bench->host.commands[1], "AT+CMEE=1");
    assert_string_equal(bench->host.commands[2], "AT+CFUN=4");
    assert_string_equal(bench->host.commands[3], "AT%CMNG=1");
    assert_int_equal(host_count(&bench->host, "AT%CMNG=1"), 2);
}

static void writes_only_what_differs(void **state)
{
    struct bench *bench = *state;
    host_store(&bench->host, TAG, 0, ROOT);
    host_store(&bench->host, TAG, 1, "old");
    host_store(&bench->host, 57, 2, KEY); /* another tag's */
    want_all(bench);
    apply(bench);
    assert_actions(bench, CREDENTIAL_KEPT, CREDENTIAL_WRITTEN, CREDENTIAL_WRITTEN);
    assert_int_equal(host_count(&bench->host, "AT%CMNG=0"), 2);
    assert_int_equal(host_count(&bench->host, "AT%CMNG=0,56,0"), 0);
    apply(bench);
    assert_actions(bench, CREDENTIAL_KEPT, CREDENTIAL_KEPT, CREDENTIAL_KEPT);
    assert_int_equal(host_count(&bench->host, "AT%CMNG=0"), 2);
    assert_true(bench->result.is_verified);
}

static void deletes_what_must_be_absent_and_nothing_else(void **state)
{
    struct bench *bench = *state;
    host_store(&bench->host, TAG, 0, ROOT);
    host_store(&bench->host, TAG, 2, KEY);
    host_store(&bench->host, TAG, 3, "psk");
    host_store(&bench->host, 57, 0, ROOT);
    want(bench, CREDENTIAL_CLIENT_CERT, LEAF);
    apply(bench);
    assert_actions(bench, CREDENTIAL_DELETED, CREDENTIAL_WRITTEN, CREDENTIAL_DELETED);
    assert_null(host_stored(&bench->host, TAG, 0));
    assert_null(host_stored(&bench->host, TAG, 2));
    assert_string_equal(host_stored(&bench->host, TAG, 3), "psk");
    assert_string_equal(host_stored(&bench->host, 57, 0), ROOT);
    assert_int_equal(host_count(&bench->host, "AT%CMNG=3"), 2);
}

static void leaves_an_empty_tag_alone(void **state)
{
    struct bench *bench = *state;
    apply(bench);
    assert_actions(bench, CREDENTIAL_ABSENT, CREDENTIAL_ABSENT, CREDENTIAL_ABSENT);
    assert_int_equal(host_count(&bench->host, "AT%CMNG=1"), 1);
    assert_int_equal(host_count(&bench->host, "AT%CMNG"), 1);
}

static void writes_always_and_says_so_where_the_modem_lists_placeholders(void **state)
{
    struct bench *bench = *state;
    bench->host.has_placeholders = true;
    want_all(bench);
    apply(bench);
    apply(bench);
    assert_actions(bench, CREDENTIAL_WRITTEN, CREDENTIAL_WRITTEN, CREDENTIAL_WRITTEN);
    assert_int_equal(host_count(&bench->host, "AT%CMNG=0"), 6);
    assert_false(bench->result.is_verified);
}

static void deletes_first_where_the_modem_refuses_to_overwrite(void **state)
{
    struct bench *bench = *state;
    bench->host.refuses_overwriting = true;
    host_store(&bench->host, TAG, 1, "old");
    want(bench, CREDENTIAL_CLIENT_CERT, LEAF);
    apply(bench);
    assert_actions(bench, CREDENTIAL_ABSENT, CREDENTIAL_WRITTEN, CREDENTIAL_ABSENT);
    assert_string_equal(host_stored(&bench->host, TAG, 1), LEAF);
    assert_int_equal(host_count(&bench->host, "AT%CMNG=3"), 1);
}

static void names_command_code_meaning_and_mend(void **state)
{
    struct bench *bench = *state;
    bench->host.write_error = 527;
    want_all(bench);
    run(bench);
    assert_int_equal(bench->error.owner, ERROR_OWNER_DEVICE);
    assert_int_equal(bench->error.code, ERROR_REFUSED);
    assert_non_null(strstr(bench->error.text, "sec tag 56, root CA: AT%CMNG=0,56,0"));
    assert_non_null(strstr(bench->error.text, "+CME ERROR: 527 (invalid content)"));
    assert_non_null(strstr(bench->error.text, "line feeds"));
    assert_null(strstr(bench->error.text, "\n"));
}

static void a_refused_key_is_not_in_the_error(void **state)
{
    struct bench *bench = *state;
    bench->host.write_error = 515;
    want(bench, CREDENTIAL_CLIENT_KEY, KEY);
    run(bench);
    assert_non_null(strstr(bench->error.text, "client key"));
    assert_non_null(strstr(bench->error.text, "<SHA-256 "));
    assert_null(strstr(bench->error.text, "MIGH"));
}

static void sees_that_line_ends_were_changed_on_the_way(void **state)
{
    struct bench *bench = *state;
    bench->host.changes_line_ends = true;
    want(bench, CREDENTIAL_CLIENT_CERT, LEAF);
    run(bench);
    assert_int_equal(bench->error.code, ERROR_CONFLICT);
    assert_int_equal(bench->error.owner, ERROR_OWNER_DEVICE);
    assert_non_null(strstr(bench->error.text, "client certificate"));
}

static bool answer_nonsense(struct host *host, const char *command)
{
    if (strcmp(command, "AT%CMNG=1") != 0)
        return false;
    host_say(host, "%CMNG: 56,0,nonsense\r\nOK\r\n");
    return true;
}

static void refuses_a_list_that_it_cannot_read(void **state)
{
    struct bench *bench = *state;
    bench->host.answer = answer_nonsense;
    run(bench);
    assert_int_equal(bench->error.code, ERROR_PROTOCOL);
    assert_int_equal(host_count(&bench->host, "AT%CMNG"), 1);
}

static void ends_when_the_port_goes_away_in_the_middle(void **state)
{
    struct bench *bench = *state;
    want_all(bench);
    assert_int_equal(credential_apply(dk_at(bench->dk), &bench->set, on_done, bench, NULL), 0);
    while (host_count(&bench->host, "AT+CFUN=4") == 0)
        uv_run(&bench->loop, UV_RUN_ONCE);
    bench->host.is_mute = true;
    fake_unplug(&bench->host.fake);
    assert_true(run_until(&bench->loop, is_done, bench));
    assert_int_equal(bench->error.code, ERROR_IO);
    assert_int_equal(bench->error.owner, ERROR_OWNER_RIG);
}

static void shows_the_key_nowhere(void **state)
{
    struct bench *bench = *state;
    bench->host.echoes_commands = true;
    want_all(bench);
    apply(bench);
    assert_false(events_contain(&bench->events, "MIGHsecret"));
    assert_true(events_contain(&bench->events, "MIIBleaf"));
    struct bytes raw;
    assert_int_equal(file_read(bench->raw_path, 1 << 20, &raw, NULL), 0);
    assert_null(memmem(raw.data, raw.length_bytes, "MIGHsecret", 10));
    assert_non_null(memmem(raw.data, raw.length_bytes, "MIIBleaf", 8));
    bytes_done(&raw);
}

/* ---- the set */

static void refuses_texts_that_cannot_pass_the_at_host(void **state)
{
    (void)state;
    static char much[AT_COMMAND_MAX_BYTES];
    memset(much, 'x', sizeof(much) - 1);
    static const struct {
        const char *text;
        size_t length;
        enum error_code code;
    } rows[] = {{"", 0, ERROR_SYNTAX},     {" \n\r\n", 4, ERROR_SYNTAX}, {"a\"b", 3, ERROR_SYNTAX},
                {"a\0b", 3, ERROR_SYNTAX}, {"a\bb", 3, ERROR_SYNTAX},    {much, sizeof(much) - 1, ERROR_LIMIT}};
    struct credential_set set;
    credential_set_init(&set, TAG);
    credential_set_put(&set, CREDENTIAL_ROOT_CA, "before", 6, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct error error = ERROR_INIT;
        assert_int_equal(credential_set_put(&set, CREDENTIAL_ROOT_CA, rows[i].text, rows[i].length, &error), -1);
        assert_int_equal(error.code, rows[i].code);
        assert_int_equal(error.owner, ERROR_OWNER_FILE);
    }
    assert_string_equal(bytes_text(&set.text[CREDENTIAL_ROOT_CA]), "before");
    credential_set_done(&set);
}

static void refuses_the_modems_own_sec_tags(void **state)
{
    struct bench *bench = *state;
    struct error error = ERROR_INIT;
    bench->set.sec_tag = 4294967292U;
    assert_int_equal(credential_apply(dk_at(bench->dk), &bench->set, on_done, bench, &error), -1);
    assert_int_equal(error.code, ERROR_USAGE);
}

static void hashes_as_the_modem_does(void **state)
{
    (void)state;
    struct credential_set set;
    char hex[CREDENTIAL_SHA256_BYTES];
    credential_set_init(&set, TAG);
    credential_set_sha256(&set, CREDENTIAL_ROOT_CA, hex);
    assert_string_equal(hex, "");
    credential_set_put(&set, CREDENTIAL_ROOT_CA, "abc\n", 4, NULL);
    credential_set_sha256(&set, CREDENTIAL_ROOT_CA, hex);
    assert_string_equal(hex, "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"); /* FIPS 180-2, "abc" */
    credential_set_done(&set);
}

#define HASH "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"

static void reads_the_lines_of_a_list(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int rc;
        unsigned int sec_tag;
        int type;
    } rows[] = {
        {"%CMNG: 42,0,\"" HASH "\"", 0, 42, 0},
        {"%CMNG: 4294967292, 11, \"" HASH "\"", 0, 4294967292U, 11},
        {"%CMNG: 42,0,\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"", 0, 42, 0},
        {"%CMNG: 42,0", -1, 0, 0},
        {"%CMNG: 42,0,\"BA78\"", -1, 0, 0},
        {"%CMNG: 42,0,\"" HASH "\",x", -1, 0, 0},
        {"%CMNG: 42,0,\"" HASH "0\"", -1, 0, 0},
        {"%CMNG: 42,0,\"" HASH, -1, 0, 0},
        {"%CMNG: 99999999999,0,\"" HASH "\"", -1, 0, 0},
        {"%CMNG: -1,0,\"" HASH "\"", -1, 0, 0},
        {"", -1, 0, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct credential_entry entry = {.sec_tag = 7, .type = 7, .sha256 = "untouched"};
        assert_int_equal(credential_entry_read(rows[i].line, &entry, NULL), rows[i].rc);
        assert_int_equal(entry.sec_tag, rows[i].rc ? 7 : rows[i].sec_tag);
        assert_int_equal(entry.type, rows[i].rc ? 7 : rows[i].type);
        assert_string_equal(entry.sha256, rows[i].rc ? "untouched" : HASH);
    }
}

static void knows_placeholders(void **state)
{
    (void)state;
    assert_true(credential_is_placeholder("0000000000000000000000000000000000000000000000000000000000000000"));
    assert_true(credential_is_placeholder("0202020202020202020202020202020202020202020202020202020202020202"));
    assert_false(credential_is_placeholder(HASH));
}

static void switches_the_modem_off_again_when_the_application_has_switched_it_on(void **state)
{
    struct bench *bench = *state;
    want_all(bench);
    bench->host.switch_ons = 2;
    apply(bench);
    assert_true(bench->result.is_verified);
    for (int type = 0; type < CREDENTIAL_TYPE_COUNT; type++)
        assert_int_equal(bench->result.actions[type], CREDENTIAL_WRITTEN);
    assert_int_equal(bench->host.switch_ons, 0);
}

static void gives_up_on_a_modem_that_is_always_switched_on(void **state)
{
    struct bench *bench = *state;
    want_all(bench);
    bench->host.switch_ons = 100;
    run(bench);
    assert_int_equal(bench->error.code, ERROR_REFUSED);
    assert_non_null(strstr(bench->error.text, "518"));
    assert_int_equal(bench->host.switch_ons, 97);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(writes_the_exact_text_without_space_at_its_end),
        TEST(writes_only_what_differs),
        TEST(deletes_what_must_be_absent_and_nothing_else),
        TEST(leaves_an_empty_tag_alone),
        TEST(writes_always_and_says_so_where_the_modem_lists_placeholders),
        TEST(deletes_first_where_the_modem_refuses_to_overwrite),
        TEST(names_command_code_meaning_and_mend),
        TEST(a_refused_key_is_not_in_the_error),
        TEST(sees_that_line_ends_were_changed_on_the_way),
        TEST(refuses_a_list_that_it_cannot_read),
        TEST(ends_when_the_port_goes_away_in_the_middle),
        TEST(shows_the_key_nowhere),
        TEST(switches_the_modem_off_again_when_the_application_has_switched_it_on),
        TEST(gives_up_on_a_modem_that_is_always_switched_on),
        cmocka_unit_test(refuses_texts_that_cannot_pass_the_at_host),
        TEST(refuses_the_modems_own_sec_tags),
        cmocka_unit_test(hashes_as_the_modem_does),
        cmocka_unit_test(reads_the_lines_of_a_list),
        cmocka_unit_test(knows_placeholders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
