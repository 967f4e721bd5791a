#include "harness/rig/rig.h"

#include "base/cleanup.h"

#include <string.h>

#include "tests/cmocka.h"

static const char good[] = "format: 1\n"
                           "devices:\n"
                           "  - id: '000960012345'\n"
                           "    platform: nrf9160dk/nrf9160/ns\n"
                           "    product: J-Link\n"
                           "    runner: nrfjprog\n"
                           "    connected: true\n"
                           "    serial: /dev/serial/by-id/usb-dk\n"
                           "    baud: 115200\n"
                           "    fixtures: [antenna]\n"
                           "    registration_id: nrf-352656100000001\n"
                           "    id_scope: 0ne000AAAA1\n"
                           "    sec_tag: 56\n"
                           "    hooks: {reset: [nrfutil, device, reset], power_off: [uhubctl, -a, off]}\n"
                           "  - id: spare\n"
                           "    connected: false\n"
                           "    registration_id: r2\n"
                           "    id_scope: other\n"
                           "    sec_tag: 1\n"
                           "simulator: {ready: /srv/sim}\n";

static int read_rig(const char *text, struct rig *rig, struct error *error)
{
    return rig_read_text(text, strlen(text), "rig.yaml", rig, error);
}

static void reads_twisters_keys_and_ours(void **state)
{
    (void)state;
    CLEANUP(rig_done) struct rig rig = {0};
    struct error error = ERROR_INIT;
    if (read_rig(good, &rig, &error))
        fail_msg("%s", error.text);
    const struct rig_device *device = &rig.devices[0];
    assert_int_equal(rig.device_count, 2);
    assert_int_equal(rig_connected_count(&rig), 1);
    assert_string_equal(device->platform, "nrf9160dk/nrf9160/ns");
    assert_string_equal(device->dps_host, "global.azure-devices-provisioning.net");
    assert_string_equal(device->dialect, "nordic");
    assert_int_equal(device->sec_tag, 56);
    assert_string_equal(device->hooks[RIG_HOOK_RESET][2], "reset");
    assert_null(device->hooks[RIG_HOOK_RESET][3]);
    assert_string_equal(rig.simulator_ready, "/srv/sim");
}

static void offers_what_has_all_its_hooks_or_is_a_fixture(void **state)
{
    (void)state;
    CLEANUP(rig_done) struct rig rig = {0};
    assert_int_equal(read_rig(good, &rig, NULL), 0);
    assert_true(rig_device_offers(&rig.devices[0], "reset"));
    assert_true(rig_device_offers(&rig.devices[0], "antenna"));
    assert_false(rig_device_offers(&rig.devices[0], "chip-erase"));
    assert_false(rig_device_offers(&rig.devices[0], "power")); /* power_on is missing */
    assert_false(rig_device_offers(&rig.devices[0], "anything"));
}

static void the_built_in_rig_is_one_virtual_dk(void **state)
{
    (void)state;
    CLEANUP(rig_done) struct rig rig = {0};
    struct error error = ERROR_INIT;
    if (rig_builtin(&rig, &error))
        fail_msg("%s", error.text);
    assert_null(rig.file);
    assert_true(rig_is_virtual(&rig));
    assert_string_equal(rig.devices[0].personality, "nordic-sample");
    assert_int_equal(rig.devices[0].sec_tag, 56);
    assert_null(rig.simulator_ready);
    assert_string_equal(rig_lane_name(&rig), "listener");
    assert_true(rig_device_offers(&rig.devices[0], "chip-erase"));
}

static void a_real_device_takes_the_lane_for_itself(void **state)
{
    (void)state;
    CLEANUP(rig_done) struct rig rig = {0};
    assert_int_equal(read_rig(good, &rig, NULL), 0);
    assert_string_equal(rig_lane_name(&rig), "exclusive");
}

static char *with(const char *from, const char *to)
{
    const char *at = strstr(good, from);
    char *text = NULL;
    assert_non_null(at);
    assert_true(asprintf(&text, "%.*s%s%s", (int)(at - good), good, to, at + strlen(from)) > 0);
    return text;
}

static void says_where_and_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *complaint;
    } rows[] = {
        {"platform:", "platfrom:", "rig.yaml:4:5: unknown key 'platfrom' in a device; did you mean 'platform'?"},
        {"    serial: /dev/serial/by-id/usb-dk\n", "", "a connected device needs `serial`"},
        {"    sec_tag: 56\n", "", "key 'sec_tag' is missing"},
        {"sec_tag: 56", "sec_tag: -1", ":13:14: '-1' is not a whole number from 0 to 2147483647"},
        {"reset: [nrfutil, device, reset]", "rest: [x]", "unknown key 'rest' in hooks; did you mean 'reset'?"},
        {"reset: [nrfutil, device, reset]", "reset: []", "a hook is a list: program and arguments"},
        {"reset: [nrfutil, device, reset]", "reset: nrfutil", "a list of at most 32 texts"},
        {"id: spare", "id: '000960012345'", "a device '000960012345' stands already at rig.yaml:3:"},
        {"    connected: true\n", "    connected: false\n", "no device is connected"},
        {"connected: false", "serial: /dev/x", "devices of one rig share one id scope: 'other' here, '0ne000AAAA1' before"},
        {"{ready: /srv/sim}", "{ready: /srv/sim, start: local}", "either `start: local` or `ready: FOLDER`"},
        {"{ready: /srv/sim}", "{ready: /srv/sim, lane: own}", "'own' is not a kind of lane; one of: auto, listener, host, exclusive"},
        {"    serial: /dev/serial/by-id/usb-dk\n", "    serial: /dev/x\n    virtual: {}\n", "a virtual device brings its own port"},
        {"format: 1\n", "", "key 'format' is missing"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CLEANUP_FREE char *text = with(rows[i].from, rows[i].to);
        struct rig rig = {0};
        struct error error = ERROR_INIT;
        assert_int_equal(read_rig(text, &rig, &error), -1);
        assert_int_equal(rig.device_count, 0);
        assert_int_equal(error.owner, ERROR_OWNER_FILE);
        if (!strstr(error.text, rows[i].complaint))
            fail_msg("'%s' does not say '%s'", error.text, rows[i].complaint);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_twisters_keys_and_ours),       cmocka_unit_test(offers_what_has_all_its_hooks_or_is_a_fixture),
        cmocka_unit_test(the_built_in_rig_is_one_virtual_dk), cmocka_unit_test(a_real_device_takes_the_lane_for_itself),
        cmocka_unit_test(says_where_and_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
