/* A rig file, read strictly, and a hardware map, read as it is: what is refused has a place. Whatever a map gives can be written as a rig file. */
#include "harness/rig/rig.h"
#include "harness/discover/rig_draft.h"

#include "tests/fuzz/fuzz.h"

static void check_map_device(const struct rig_device *device)
{
    FUZZ_MUST(device->id && device->platform && device->dps_host && device->dialect && device->place);
    FUZZ_MUST(device->serial || !device->is_connected);
}

/* What is missing in the map is made up: then the draft must be a rig file. */
static void check_draft(const struct rig *map)
{
    const struct rig_draft_options options = {.registration_id = "r-{imei}", .id_scope = "0ne1", .sec_tag = "5"};
    struct rig_draft draft = {.device_count = 0};
    struct rig *rig = calloc(1, sizeof *rig);
    struct error error = ERROR_INIT;
    FUZZ_MUST(rig);
    if (rig_draft_from_map(map, &options, &draft, &error) == 0 && draft.gap_count == 0 &&
        rig_read_text(bytes_text(&draft.text), draft.text.length_bytes, "draft.yaml", rig, &error) &&
        !strstr(error.text, "devices of one rig share one id scope") && !strstr(error.text, "a registration id of its own") &&
        !strstr(error.text, "a port of its own")) {
        fprintf(stderr, "%s\n%s\n", error.text, bytes_text(&draft.text));
        FUZZ_MUST(false);
    }
    rig_draft_done(&draft);
    rig_done(rig);
    free(rig);
}

static void try_map(const char *text, size_t size)
{
    struct rig *map = calloc(1, sizeof *map);
    struct error error = ERROR_INIT;
    FUZZ_MUST(map);
    if (rig_read_map_text(text, size, "map.yml", map, &error)) {
        fuzz_check_error(&error);
        FUZZ_MUST(error.owner == ERROR_OWNER_FILE && strncmp(error.text, "map.yml", 7) == 0 && map->device_count == 0);
    } else {
        for (size_t i = 0; i < map->device_count; i++)
            check_map_device(&map->devices[i]);
        check_draft(map);
    }
    rig_done(map);
    free(map);
}

static void check_device(const struct rig_device *device)
{
    FUZZ_MUST(device->id && device->registration_id && device->id_scope && device->dps_host && device->place);
    FUZZ_MUST(device->dialect || device->is_exec);
    FUZZ_MUST(device->is_virtual || device->is_exec || device->serial || !device->is_connected);
    FUZZ_MUST(!device->is_exec || (device->command[0] && !device->is_virtual && !device->serial));
    FUZZ_MUST(!device->fixtures.items[device->fixtures.count] && !device->weaknesses.items[device->weaknesses.count]);
    FUZZ_MUST(!rig_device_offers(device, "no-such-thing") || device->fixtures.count > 0);
    for (int hook = 0; hook < RIG_HOOK_COUNT; hook++)
        FUZZ_MUST(!device->hooks[hook].argv[RIG_ARGUMENTS_MAX] && device->hooks[hook].timeout_ms > 0);
}

const char fuzz_words[] =
    "format devices simulator id platform product runner connected serial baud notes fixtures hooks registration_id id_scope "
    "dps_host sec_tag dialect virtual flow_control reset chip_erase power_off power_on personality mfw weaknesses start "
    "listen ready lane local host nordic-sample reference nordic /dev/ttyACM0 rfc2217://127.0.0.1:1 115200 127.0.0.1:0 "
    "[::1]:8883 serial_pty probe_id pre_script post_script script_param pre_script_timeout pre_script_arg dpsbench_registration_id:r "
    "dpsbench_id_scope:0 dpsbench_sec_tag:1 dpsbench_imei:352656100000001 nrfjprog nrfutil jlink uhubctl preset command timeout_s file "
    "flash before_run after_case imei null True nrf91 waits-for-ever rts-cts forget_assignment flash kind exec command client {host} "
    "{time_scale} {nothing} {{";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rig *rig = calloc(1, sizeof *rig);
    struct error error = ERROR_INIT;
    CLEANUP_FREE char *text = fuzz_text(data, size);
    FUZZ_MUST(rig);
    if (rig_read_text(text, size, "rig.yaml", rig, &error)) {
        fuzz_check_error(&error);
        FUZZ_MUST(error.owner == ERROR_OWNER_FILE && strncmp(error.text, "rig.yaml", 8) == 0 && rig->device_count == 0);
    } else {
        FUZZ_MUST(rig->device_count > 0 && rig->device_count <= RIG_DEVICES_MAX && rig->simulator_listen && rig_lane_name(rig));
        for (size_t i = 0; i < rig->device_count; i++)
            check_device(&rig->devices[i]);
    }
    rig_done(rig);
    free(rig);
    try_map(text, size);
    return 0;
}
