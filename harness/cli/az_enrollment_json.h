/*
 * harness/cli/az_enrollment_json.h - an enrollment or a group from the words of a command
 *
 * What:     what `az iot dps enrollment create|update` and `enrollment-group create|update` do to the service's object, in its order and with its
 *           refusals.
 * Source:   azext_iot/operations/dps.py of Azure/azure-iot-cli-extension.
 */
#ifndef HARNESS_CLI_AZ_ENROLLMENT_JSON_H
#define HARNESS_CLI_AZ_ENROLLMENT_JSON_H

#include "harness/cli/az_command.h"

/* A new object. Given; NULL on failure. USAGE (file): the words do not fit together. */
cJSON *az_enrollment_new(const struct az_call *call, enum dps_kind kind, struct error *error);
/* Change `object` as the words say. */
int az_enrollment_change(const struct az_call *call, enum dps_kind kind, cJSON *object, struct error *error);

#endif
