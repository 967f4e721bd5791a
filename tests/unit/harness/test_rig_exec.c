/* Rig files with a program as a device, and the words of its command that are filled in. */
#include "harness/rig/placeholder.h"

#include "base/cleanup.h"
#include "harness/rig/rig.h"

#include <string.h>

#include "tests/cmocka.h"

static const char program[] = "format: 1\n"
                              "devices:\n"
                              "  - id: sdk\n"
                              "    kind: exec\n"
                              "    client: azure-sdk-node\n"
                              "    command: [node, '{rig}/client.js', --host, '{host}:{port}', '{\"a\": 1}']\n"
                              "    registration_id: r1\n"
                              "    id_scope: s\n";

static int read_rig(const char *text, struct rig *rig, struct error *error)
{
    return rig_read_text(text, strlen(text), "rig.yaml", rig, error);
}

static void a_program_is_a_device_without_port_and_sec_tag(void **state)
{
    (void)state;
    CLEANUP(rig_done) struct rig rig = {0};
    struct error error = ERROR_INIT;
    if (read_rig(program, &rig, &error))
        fail_msg("%s", error.text);
    const struct rig_device *device = &rig.devices[0];
    assert_true(device->is_exec);
    assert_null(device->serial);
    assert_null(device->dialect);
    assert_string_equal(device->client, "azure-sdk-node");
    assert_string_equal(device->command[3], "{host}:{port}");
    assert_true(rig_device_offers(device, "reset") && rig_device_offers(device, "chip-erase") && rig_device_offers(device, "power"));
    assert_string_equal(rig_lane_name(&rig), "listener");
    assert_false(rig_takes_time_scale(&rig));
}

static char *replaced(const char *whole, const char *from, const char *to)
{
    const char *at = strstr(whole, from);
    char *text = NULL;
    assert_non_null(at);
    assert_true(asprintf(&text, "%.*s%s%s", (int)(at - whole), whole, to, at + strlen(from)) > 0);
    return text;
}

static void a_program_that_takes_the_time_scale_is_run_at_it(void **state)
{
    (void)state;
    CLEANUP_FREE char *text = replaced(program, "{host}:{port}", "--scale={time_scale}");
    CLEANUP(rig_done) struct rig rig = {0};
    assert_int_equal(read_rig(text, &rig, NULL), 0);
    assert_true(rig_takes_time_scale(&rig));
}

static void check_complaint(const char *text, const char *complaint)
{
    struct rig rig = {0};
    struct error error = ERROR_INIT;
    assert_int_equal(read_rig(text, &rig, &error), -1);
    assert_int_equal(rig.device_count, 0);
    assert_int_equal(error.owner, ERROR_OWNER_FILE);
    if (!strstr(error.text, complaint))
        fail_msg("'%s' does not say '%s'", error.text, complaint);
}

static void a_program_has_nothing_of_a_board(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *complaint;
    } rows[] = {
        {"    kind: exec\n", "    kind: exe\n", "rig.yaml:4:11: 'exe' is not a kind of device; one of: dk, exec"},
        {"    kind: exec\n", "", "`command` is for a device of kind exec"},
        {"    id_scope: s\n", "    id_scope: s\n    serial: /dev/x\n",
         "rig.yaml:9:13: a device of kind exec is a program: leave `serial` out"},
        {"    id_scope: s\n", "    id_scope: s\n    virtual: {}\n", "leave `virtual` out"},
        {"    id_scope: s\n", "    id_scope: s\n    hooks: {reset: [x]}\n", "started and ended by dpsbench: leave this hook out"},
        {"{port}", "{prot}", "rig.yaml:6:48: '{prot}' is no placeholder; did you mean '{port}'?"},
        {"[node, '{rig}/client.js', --host, '{host}:{port}', '{\"a\": 1}']", "[]", "a command is a list: program and arguments"},
        {"    command: [node, '{rig}/client.js', --host, '{host}:{port}', '{\"a\": 1}']\n", "", "key 'command' is missing"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CLEANUP_FREE char *text = replaced(program, rows[i].from, rows[i].to);
        check_complaint(text, rows[i].complaint);
    }
}

static void fills_placeholders_and_leaves_other_braces_alone(void **state)
{
    (void)state;
    const char *const values[PLACEHOLDER_COUNT] = {[PLACEHOLDER_HOST] = "h{port}", [PLACEHOLDER_PORT] = "1"};
    static const struct {
        const char *word, *filled;
    } rows[] = {
        {"", ""},
        {"--host", "--host"},
        {"{host}:{port}", "h{port}:1"},
        {"{{host}", "{host}"},
        {"{\"a\": {port}}", "{\"a\": 1}"},
        {"a{key}b", "ab"},
        {"{", "{"},
        {"}{", "}{"},
        {"{}", "{}"},
        {"{host", "{host"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CLEANUP_FREE char *filled = placeholder_fill(rows[i].word, values);
        assert_string_equal(filled, rows[i].filled);
        assert_int_equal(placeholder_check(rows[i].word, NULL), 0);
    }
    assert_false(placeholder_stands_in("{{host}", PLACEHOLDER_HOST));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_is_a_device_without_port_and_sec_tag),
        cmocka_unit_test(a_program_that_takes_the_time_scale_is_run_at_it),
        cmocka_unit_test(a_program_has_nothing_of_a_board),
        cmocka_unit_test(fills_placeholders_and_leaves_other_braces_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
