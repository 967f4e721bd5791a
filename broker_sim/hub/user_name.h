/*
 * broker_sim/hub/user_name.h - the MQTT user name that IoT Hub demands
 *
 * What:     {hub host}/{deviceId}/?api-version={version}[&DeviceClientType=...], and the old form without "?".
 * Source:   "Communicate with an IoT hub using the MQTT protocol", Azure documentation; the old form as older SDKs send it.
 */
#ifndef BROKER_SIM_HUB_USER_NAME_H
#define BROKER_SIM_HUB_USER_NAME_H

#include "base/error.h"

enum { HUB_USER_NAME_PART_MAX_BYTES = 255 };

struct hub_user_name {
    char hub[HUB_USER_NAME_PART_MAX_BYTES + 1];
    char device_id[HUB_USER_NAME_PART_MAX_BYTES + 1];
};

/* PROTOCOL (device): not of that form. */
int hub_user_name_read(const char *text, struct hub_user_name *ret_name, struct error *error);

#endif
