#include "harness/doctor/doctor.h"

#include <string.h>

static bool is_wanted(const struct doctor_options *options, const struct rig_device *device)
{
    return device->is_connected && (!options->device_id || strcmp(options->device_id, device->id) == 0);
}

int doctor_examine(const struct doctor_options *options, struct checkup *checkup, struct error *error)
{
    doctor_check_host(options, checkup);
    for (size_t i = 0; options->rig && i < options->rig->device_count; i++)
        if (is_wanted(options, &options->rig->devices[i]) && doctor_check_device(options, &options->rig->devices[i], checkup, error))
            return -1;
    return doctor_check_simulator(options, checkup, error);
}
