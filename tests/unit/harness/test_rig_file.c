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

static const char map[] = "- connected: true\n"
                          "  id: 000683759358\n"
                          "  platform: nrf52840dk/nrf52840\n"
                          "  product: J-Link\n"
                          "  runner: nrfjprog\n"
                          "  serial: null\n"
                          "- available: true\n"
                          "  connected: True\n"
                          "  id: 000960012345\n"
                          "  platform: [nrf9160dk/nrf9160, nrf9160dk/nrf9160/ns]\n"
                          "  product: J-Link\n"
                          "  runner: nrfjprog\n"
                          "  runner_params: ['--recover']\n"
                          "  probe_id: '000960099999'\n"
                          "  serial: /dev/ttyACM0\n"
                          "  baud: 1000000\n"
                          "  flash_with_test: true\n"
                          "  of_the_future: {a: 1}\n"
                          "  fixtures: [antenna, 'dpsbench_registration_id:r1', 'dpsbench_id_scope:0ne1', dpsbench_sec_tag:56]\n"
                          "  pre_script: ./power.sh\n"
                          "  script_param: {pre_script_timeout: 20, pre_script_arg: [up, 3]}\n"
                          "- connected: false\n"
                          "  id: spare\n"
                          "  platform: thingy91/nrf9160/ns\n"
                          "  product: Thingy\n"
                          "  runner: unknown\n"
                          "  serial: null\n";

static void reads_a_hardware_map_as_it_is(void **state)
{
    (void)state;
    CLEANUP(rig_done) struct rig rig = {0};
    struct error error = ERROR_INIT;
    if (rig_read_text(map, sizeof map - 1, "map.yml", &rig, &error))
        fail_msg("%s", error.text);
    const struct rig_device *device = &rig.devices[0];
    assert_int_equal(rig.device_count, 2); /* those with an nRF91 */
    assert_int_equal(rig_connected_count(&rig), 1);
    assert_string_equal(device->id, "000960012345");
    assert_string_equal(device->platform, "nrf9160dk/nrf9160");
    assert_string_equal(device->serial, "/dev/ttyACM0");
    assert_int_equal(device->baud, 1000000);
    assert_string_equal(device->registration_id, "r1");
    assert_string_equal(device->id_scope, "0ne1");
    assert_int_equal(device->sec_tag, 56);
    assert_int_equal(device->fixtures.count, 1);
    assert_string_equal(device->hooks[RIG_HOOK_RESET].argv[4], "960099999");
    assert_string_equal(device->hooks[RIG_HOOK_BEFORE_RUN].argv[0], "./power.sh");
    assert_string_equal(device->hooks[RIG_HOOK_BEFORE_RUN].argv[2], "3");
    assert_int_equal(device->hooks[RIG_HOOK_BEFORE_RUN].timeout_ms, 20000);
    assert_string_equal(rig.simulator_listen, "127.0.0.1:0");
}

static char *changed(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    if (!at)
        fail_msg("'%s' is not in the text", from);
    size_t before = (size_t)(at - text), size = strlen(text) + strlen(to) + 1;
    char *copy = calloc(1, size);
    assert_non_null(copy);
    memcpy(copy, text, before);
    snprintf(copy + before, size - before, "%s%s", to, text + before + strlen(from));
    return copy;
}

static void says_what_a_hardware_map_lacks(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *complaint;
    } rows[] = {
        {"'dpsbench_id_scope:0ne1', ", "",
         "map.yml:7:3: a hardware map does not say the id_scope of '000960012345': add `dpsbench_id_scope:...` to its fixtures, or make a "
         "rig file of the map: dpsbench rig init --from map.yml"},
        {"dpsbench_sec_tag:56", "dpsbench_sec_tag:-1", "'dpsbench_sec_tag:-1' is no sec tag"},
        {"  serial: /dev/ttyACM0\n", "  serial_pty: x.py\n", "has `serial_pty`, a program of Twister's"},
        {"  serial: /dev/ttyACM0\n", "", "is connected and has no `serial`"},
        {"connected: True", "connected: maybe", "map.yml:8:14: true or false is expected here"},
        {"  connected: True\n", "", "map.yml:1:3: no nRF91 board of this hardware map is connected"},
        {"id: spare", "id: 000960012345", "stands at map.yml:7:3 with another port: which of the two is its console?"},
        {"thingy91/nrf9160/ns\n", "thingy91\n  baud: fast\n", "'fast' is not a whole number"},
        {"antenna,", "'dpsbench_imei:12',", "an IMEI has 15 digits"},
        {"  pre_script: ./power.sh\n", "  pre_script: ''\n", "a hook is a program"},
        {"- connected: false", "- 7\n- connected: false", "a hardware map is a list of mappings"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CLEANUP_FREE char *text = changed(map, rows[i].from, rows[i].to);
        struct rig rig = {0};
        struct error error = ERROR_INIT;
        assert_int_equal(rig_read_text(text, strlen(text), "map.yml", &rig, &error), -1);
        assert_int_equal(error.owner, ERROR_OWNER_FILE);
        if (!strstr(error.text, rows[i].complaint))
            fail_msg("'%s' does not say '%s'", error.text, rows[i].complaint);
    }
}

static void a_rig_file_can_be_made_of_a_map_that_says_less(void **state)
{
    (void)state;
    CLEANUP_FREE char *text = changed(map, "'dpsbench_id_scope:0ne1', dpsbench_sec_tag:56", "x");
    CLEANUP(rig_done) struct rig rig = {0};
    struct error error = ERROR_INIT;
    if (rig_read_map_text(text, strlen(text), "map.yml", &rig, &error))
        fail_msg("%s", error.text);
    assert_string_equal(rig.devices[0].registration_id, "r1");
    assert_null(rig.devices[0].id_scope);
    assert_false(rig.devices[0].has_sec_tag);
    assert_int_equal(rig_read_map_text(good, strlen(good), "rig.yaml", &rig, &error), -1);
    assert_non_null(strstr(error.text, "a hardware map is a list of boards"));
}

static void never_guesses_between_two_equal_devices(void **state)
{
    (void)state;
    CLEANUP_FREE char *text = changed(good, "  - id: spare\n    connected: false\n",
                                      "  - id: '000960054321'\n    platform: nrf9160dk/nrf9160/ns\n    serial: /dev/x\n");
    CLEANUP_FREE char *both = changed(text, "id_scope: other", "id_scope: 0ne000AAAA1");
    CLEANUP(rig_done) struct rig rig = {0};
    struct error error = ERROR_INIT;
    const struct rig_device *device = NULL;
    if (read_rig(both, &rig, &error))
        fail_msg("%s", error.text);
    assert_int_equal(rig_find_device(&rig, "nrf9160dk", &device, &error), -1);
    assert_null(device);
    assert_int_equal(error.code, ERROR_USAGE);
    assert_string_equal(error.text,
                        "'nrf9160dk' fits 2 devices of the rig: 000960012345 (/dev/serial/by-id/usb-dk), 000960054321 (/dev/x); "
                        "name one by its id");
    assert_int_equal(rig_find_device(&rig, "960054321", &device, &error), 0);
    assert_ptr_equal(device, &rig.devices[1]);
    assert_int_equal(rig_find_device(&rig, "J-Link", &device, &error), 0);
    assert_ptr_equal(device, &rig.devices[0]);
    assert_int_equal(rig_find_device(&rig, "thingy91", &device, &error), -1);
    assert_int_equal(error.code, ERROR_NOT_FOUND);
    assert_non_null(strstr(error.text, "the rig has no connected device 'thingy91'; there are: 000960012345 ("));
}

static char *with(const char *from, const char *to)
{
    return changed(good, from, to);
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
        {"    sec_tag: 56\n", "    sec_tag: 56\n    imei: 12\n", "an IMEI has 15 digits"},
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

static void reads_ports_and_transport_of_a_board(void **state)
{
    (void)state;
    static const char head[] = "format: 1\ndevices:\n  - {id: a, registration_id: r, id_scope: s, sec_tag: 1, ";
    static const struct {
        const char *keys, *error; /* error NULL: fine */
    } table[] = {
        {"serial: /dev/x, console: 'rfc2217://lab:2001', transport: at-shell, command_limit: 255}\n", NULL},
        {"serial: 'tcp://lab:2001'}\n", NULL},
        {"serial: 'tcp://lab'}\n", "no port number"},
        {"serial: /dev/x, console: 'udp://lab:1'}\n", "unknown scheme"},
        {"serial: /dev/x, transport: shell}\n", "auto, at-host or at-shell"},
        {"serial: /dev/x, command_limit: 4096}\n", "from 64 to 4095"},
        {"virtual: {}, console: /dev/x}\n", "leave `console` out"},
        {"serial: /dev/x, pacing: {bytes: 16, gap_ms: 100}}\n", NULL},
        {"serial: /dev/x, pacing: {bytes: 16}}\n", "gap_ms"},
        {"serial: /dev/x, pacing: {bytes: 0, gap_ms: 1}}\n", "from 1 to 4096"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct rig rig;
        struct error error = ERROR_INIT;
        char text[512];
        snprintf(text, sizeof(text), "%s%s", head, table[i].keys);
        int rc = rig_read_text(text, strlen(text), "rig.yaml", &rig, &error);
        if (table[i].error) {
            assert_int_equal(rc, -1);
            if (!strstr(error.text, table[i].error))
                fail_msg("%s", error.text);
            continue;
        }
        if (rc)
            fail_msg("%s", error.text);
        assert_int_equal(rig.devices[0].transport, i == 0 ? RIG_TRANSPORT_AT_SHELL : RIG_TRANSPORT_AUTO);
        assert_int_equal(rig.devices[0].command_limit, i == 0 ? 255 : 0);
        assert_int_equal(rig.devices[0].pacing_bytes, strstr(table[i].keys, "pacing") ? 16 : 0);
        assert_int_equal(rig.devices[0].pacing_gap_ms, strstr(table[i].keys, "pacing") ? 100 : 0);
        rig_done(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_ports_and_transport_of_a_board),
        cmocka_unit_test(reads_twisters_keys_and_ours),
        cmocka_unit_test(offers_what_has_all_its_hooks_or_is_a_fixture),
        cmocka_unit_test(the_built_in_rig_is_one_virtual_dk),
        cmocka_unit_test(a_real_device_takes_the_lane_for_itself),
        cmocka_unit_test(says_where_and_what_is_wrong),
        cmocka_unit_test(a_preset_is_the_command_of_the_tool),
        cmocka_unit_test(reads_a_hardware_map_as_it_is),
        cmocka_unit_test(says_what_a_hardware_map_lacks),
        cmocka_unit_test(a_rig_file_can_be_made_of_a_map_that_says_less),
        cmocka_unit_test(never_guesses_between_two_equal_devices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
