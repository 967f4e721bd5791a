/*
 * broker_sim/front_door/user_name.h - which service a CONNECT is for, and who asks
 *
 * What:     DPS and hub share address, port and SNI here, as they may behind a gateway; the user name alone tells them apart.
 * Source:   Azure documentation, "Communicate with DPS using the MQTT protocol" ({idScope}/registrations/{registration_id}/api-version=...)
 * and "Communicate with an IoT hub using the MQTT protocol" ({iotHub-hostname}/{device-id}/?api-version=...; modules add
 *           /{module-id}; old clients write no '?').
 */
#ifndef BROKER_SIM_FRONT_DOOR_USER_NAME_H
#define BROKER_SIM_FRONT_DOOR_USER_NAME_H

#include "broker_sim/front_door/session.h"

#include <stddef.h>

struct user_name {
    enum session_endpoint endpoint;
    const char *id; /* registration id or device id, lent from the text; NULL when the endpoint is unknown */
    size_t id_bytes;
};

struct user_name user_name_parse(const char *text);
/* "dps", "hub", "unknown". */
const char *endpoint_name(enum session_endpoint endpoint);

#endif
