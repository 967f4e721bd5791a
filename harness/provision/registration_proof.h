/*
 * harness/provision/registration_proof.h - one registration of the device itself, against a simulator
 *
 * What:     resets the device and waits for the simulator's word that it was assigned (or taken by its hub, for a device that had its assignment
 *           already). A key that was made in the modem cannot be used from anywhere else, so only the device can prove it.
 * Fault:    refused: device, with the simulator's rule and mend. The device gave up and the simulator saw nothing of it: device. No boot, no
 *           simulator: rig.
 */
#ifndef HARNESS_PROVISION_REGISTRATION_PROOF_H
#define HARNESS_PROVISION_REGISTRATION_PROOF_H

#include "base/json.h"
#include "harness/credentials/modem_link.h"
#include "harness/rig/rig.h"

struct proof_options {
    struct waiting *waiting;
    struct modem_link *link;
    const struct rig_device *device;
    enum rig_hook hook; /* RIG_HOOK_RESET, or RIG_HOOK_CHIP_ERASE for a device that must forget an earlier assignment */
    const cJSON *ready; /* of the simulator */
    const char *registration_id;
    const char *log_path; /* of the hook */
    int64_t timeout_ms;
};

/* ret_proof: {"kind": "assigned" or "hub", "hub", "device_id", "unix_s"}; given. */
int registration_prove(const struct proof_options *options, cJSON **ret_proof, struct error *error);

#endif
