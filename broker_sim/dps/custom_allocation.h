/*
 * broker_sim/dps/custom_allocation.h - what a webhook of the allocation policy "custom" is asked, and what it answers
 *
 * What:     AllocationRequest {individualEnrollment or enrollmentGroup, deviceRuntimeContext {registrationId, currentIotHubHostName,
 *           currentDeviceId, x509 or symmetricKey, payload}, linkedHubs}, AllocationResponse {iotHubHostName, initialTwin, payload}.
 * Secrets:  as in Azure, keys and certificates of the enrollment are left out, and what stands behind '?' in the webhook's URL is "****".
 * Source:   "Understand custom allocation policies with Azure IoT Hub Device Provisioning Service", Azure documentation.
 */
#ifndef BROKER_SIM_DPS_CUSTOM_ALLOCATION_H
#define BROKER_SIM_DPS_CUSTOM_ALLOCATION_H

#include "base/json.h"
#include "broker_sim/dps/allocation.h"
#include "certs/chain.h"

enum { CUSTOM_PAYLOAD_MAX_BYTES = 64 * 1024 };

struct custom_question {
    const cJSON *enrollment;
    bool is_group;
    bool has_symmetric_key;
    const char *registration_id;
    const char *current_hub; /* "": this is the first assignment */
    const char *current_device_id;
    X509 *leaf;           /* NULL: none */
    const cJSON *payload; /* NULL: none */
    const struct allocation *allocation;
};

/* Given; NULL when out of memory. */
cJSON *custom_allocation_request(const struct custom_question *question);
/* "https://host/api/HttpTrigger1?****". malloc'ed; NULL when out of memory. */
char *custom_allocation_masked_url(const char *url);

/* malloc'ed texts: custom_reply_done() it. */
struct custom_reply {
    char hub[HUB_NAME_MAX_BYTES + 1];
    char *initial_twin; /* JSON in ASCII; NULL: none */
    char *payload;      /* likewise */
};
void custom_reply_done(struct custom_reply *reply);

/*
 * linked_hubs  of the request: the answer must name one of them.
 * error        SYNTAX (file): not an AllocationResponse. NOT_FOUND (file): another hub. LIMIT (file). MEMORY.
 */
int custom_allocation_read(const char *body, size_t length_bytes, const cJSON *linked_hubs, struct custom_reply *ret_reply,
                           struct error *error);

#endif
