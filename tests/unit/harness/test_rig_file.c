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
    assert_string_equal(device->hooks[RIG_HOOK_RESET].argv[2], "reset");
    assert_null(device->hooks[RIG_HOOK_RESET].argv[3]);
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

static char *with(const char *from, const char *to)
{
    const char *at = strstr(good, from);
    char *text = NULL;
    assert_non_null(at);
    assert_true(asprintf(&text, "%.*s%s%s", (int)(at - good), good, to, at + strlen(from)) > 0);
    return text;
}

/* "a b c | input" */
static void show_command(const struct rig_command *command, char *text, size_t size)
{
    text[0] = 0;
    for (char *const *word = command->argv; *word; word++)
        snprintf(text + strlen(text), size - strlen(text), "%s%s", *text ? " " : "", *word);
    if (command->input)
        snprintf(text + strlen(text), size - strlen(text), " | %s", command->input);
}

static void a_preset_is_the_command_of_the_tool(void **state)
{
    (void)state;
    static const struct {
        const char *hook, *is;
        enum rig_hook id;
    } rows[] = {
        {"reset: {preset: nrfutil}", "nrfutil device reset --serial-number 960012345", RIG_HOOK_RESET},
        {"flash: {preset: nrfutil, file: a b.hex}",
         "nrfutil device program --serial-number 960012345 --firmware a b.hex --options "
         "chip_erase_mode=ERASE_RANGES_TOUCHED_BY_FIRMWARE,verify=VERIFY_READ,reset=RESET_SYSTEM",
         RIG_HOOK_FLASH},
        {"chip_erase: {preset: nrfutil, file: a.hex, serial_number: 1051}",
         "nrfutil device program --serial-number 1051 --firmware a.hex --options "
         "chip_erase_mode=ERASE_ALL,verify=VERIFY_READ,reset=RESET_SYSTEM",
         RIG_HOOK_CHIP_ERASE},
        {"reset: {preset: nrfjprog}", "nrfjprog -f NRF91 --snr 960012345 --reset", RIG_HOOK_RESET},
        {"flash: {preset: nrfjprog, file: a.hex}", "nrfjprog -f NRF91 --snr 960012345 --program a.hex --sectorerase --verify --reset",
         RIG_HOOK_FLASH},
        {"chip_erase: {preset: nrfjprog, file: a.hex}", "nrfjprog -f NRF91 --snr 960012345 --program a.hex --chiperase --verify --reset",
         RIG_HOOK_CHIP_ERASE},
        {"reset: {preset: jlink}",
         "JLinkExe -NoGui 1 -ExitOnError 1 -SelectEmuBySN 960012345 -Device nRF9160_xxAA -If SWD -Speed 4000 -AutoConnect 1 | "
         "ExitOnError 1\nr\ng\nqc\n",
         RIG_HOOK_RESET},
        {"chip_erase: {preset: jlink, file: a b.hex, part: nRF9151_xxCA}",
         "JLinkExe -NoGui 1 -ExitOnError 1 -SelectEmuBySN 960012345 -Device nRF9151_xxCA -If SWD -Speed 4000 -AutoConnect 1 | "
         "ExitOnError 1\nr\nh\nerase\nloadfile \"a b.hex\"\nr\ng\nqc\n",
         RIG_HOOK_CHIP_ERASE},
        {"power_off: {preset: uhubctl, location: 1-1.4, port: 2}", "uhubctl -l 1-1.4 -p 2 -a off", RIG_HOOK_POWER_OFF},
        {"power_on: {preset: uhubctl, location: 1-1.4, port: 2}", "uhubctl -l 1-1.4 -p 2 -a on", RIG_HOOK_POWER_ON},
        {"reset: {preset: uhubctl, location: 1-1.4, port: 2}", "uhubctl -l 1-1.4 -p 2 -a cycle", RIG_HOOK_RESET},
        {"before_case: {command: [./light, green], timeout_s: 5}", "./light green", RIG_HOOK_BEFORE_CASE},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CLEANUP_FREE char *text = with("reset: [nrfutil, device, reset], power_off: [uhubctl, -a, off]", rows[i].hook);
        CLEANUP(rig_done) struct rig rig = {0};
        struct error error = ERROR_INIT;
        char shown[512];
        if (read_rig(text, &rig, &error))
            fail_msg("%s: %s", rows[i].hook, error.text);
        show_command(&rig.devices[0].hooks[rows[i].id], shown, sizeof shown);
        assert_string_equal(shown, rows[i].is);
        assert_int_equal(rig_hooks_longest_ms(&rig.devices[0]), rows[i].id == RIG_HOOK_BEFORE_CASE ? 5000 : 180000);
    }
}

static void the_built_in_rig_is_one_virtual_dk(void **state)
{
    (void)state;
    CLEANUP(rig_done) struct rig rig = {0};
    struct error error = ERROR_INIT;
    if (rig_builtin(&rig, &error))
        fail_msg("%s", error.text);
    assert_null(rig.file);
    assert_true(rig_takes_time_scale(&rig));
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
        {"reset: [nrfutil, device, reset]", "reset: {}", "key 'command' is missing"},
        {"reset: [nrfutil, device, reset]", "reset: {preset: openocd}",
         "'openocd' is not a preset; one of: nrfutil, nrfjprog, jlink, uhubctl"},
        {"reset: [nrfutil, device, reset]", "flash: {preset: nrfjprog}", "rig.yaml:14:21: preset 'nrfjprog' needs `file` here"},
        {"reset: [nrfutil, device, reset]", "flash: {preset: uhubctl}",
         "preset 'uhubctl' cannot do flash; it can: power_off, power_on, reset"},
        {"reset: [nrfutil, device, reset]", "reset: {preset: nrfutil, serial: 1}", "unknown key 'serial' in a preset"},
        {"reset: [nrfutil, device, reset]", "flash: {preset: jlink, file: 'a\"b'}", "file of preset 'jlink' is one line without quotes"},
        {"reset: [nrfutil, device, reset]", "reset: {command: [a], timeout_s: 0}", "'0' is not a whole number from 1 to 3600"},
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
        cmocka_unit_test(says_where_and_what_is_wrong),       cmocka_unit_test(a_preset_is_the_command_of_the_tool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
