/* A rig file, read strictly: what is refused has a place. */
#include "harness/rig/rig.h"

#include "tests/fuzz/fuzz.h"

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
    "[::1]:8883 waits-for-ever rts-cts forget_assignment flash kind exec command client {host} {time_scale} {nothing} {{";

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
    return 0;
}
