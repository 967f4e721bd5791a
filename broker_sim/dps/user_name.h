/*
 * broker_sim/dps/user_name.h - the MQTT user name that DPS demands
 *
 * What:     {idScope}/registrations/{registrationId}/api-version={version}[&ClientVersion=...][&...]
 * Source:   "Communicate with DPS using the MQTT protocol", Azure documentation; registration ids: "letters, digits and - . _ :, at most
 * 128 characters, the last one a letter, a digit or '-'", Azure's X.509 attestation page. Errors:   DEVICE: the text says which part is
 * wrong and what it should look like.
 */
#ifndef BROKER_SIM_DPS_USER_NAME_H
#define BROKER_SIM_DPS_USER_NAME_H

#include "base/error.h"

enum {
    ID_SCOPE_MAX_BYTES = 64,
    REGISTRATION_ID_MAX_BYTES = 128, /* of one that may register */
    CLAIMED_ID_MAX_BYTES = 255,      /* of one that a device may claim */
    API_VERSION_MAX_BYTES = 32,
};

struct dps_user_name {
    char id_scope[ID_SCOPE_MAX_BYTES + 1];
    char registration_id[CLAIMED_ID_MAX_BYTES + 1];
    char api_version[API_VERSION_MAX_BYTES + 1]; /* "" when there is none, or one that is not a date */
};

/* PROTOCOL (device): not of that form. A missing or odd api-version is no error here: api_version is "" then. */
int dps_user_name_read(const char *text, struct dps_user_name *ret_name, struct error *error);

#endif
