/*
 * broker_sim/dps/sas_attestation.h - which enrollment a SAS token belongs to; internal to broker_sim/dps
 *
 * What:     the individual enrollment of the registration id decides, whatever its attestation is; without one, the first group by name whose
 *           derived key signed the token. Each of them primary key first.
 * Case:     a group's key may be derived for the id as it was sent or in lower case: clients differ.
 * Limits:   a token costs two signatures an enrollment group with symmetric keys.
 * Source:   "Symmetric key attestation", Azure documentation. That tokens are refused by CONNACK 5: azure-sdk-for-c issue 2235.
 */
#ifndef BROKER_SIM_DPS_SAS_ATTESTATION_H
#define BROKER_SIM_DPS_SAS_ATTESTATION_H

#include "broker_sim/dps/service.h"
#include "certs/sas_token.h"

struct sas_question {
    const struct dps_state *state;
    const char *id_scope;
    const char *registration_id;
    const char *token; /* the password */
    int64_t now_unix_s;
};

struct sas_match {
    const struct dps_object *object; /* lent by the state */
    bool is_secondary;               /* of its keys */
    bool is_lower_id;                /* a group's key was derived for the registration id in lower case */
};

/* -1: refused, and why. A disabled object is a match. */
int sas_attestation_judge(const struct sas_question *question, struct sas_match *ret_match, struct dps_refusal *refusal);

/* The keys that the device of a match has: the enrollment's, or derived from the group's. "" where there is none. -1: OpenSSL fails. */
int sas_attestation_device_keys(const struct dps_object *object, const char *registration_id, bool is_lower_id,
                                char ret_keys[DPS_PAIR][SAS_KEY_TEXT_BYTES]);

#endif
