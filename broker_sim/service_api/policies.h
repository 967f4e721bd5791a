/*
 * broker_sim/service_api/policies.h - shared access policies: who may do what with the service API
 *
 * What:     DIR/accessPolicies.json, made at the first start with one policy "provisioningserviceowner" and two keys, mode 0600, in the shape that
 *           `az iot dps policy list` prints; people may add others. Checks the Authorization header of a request against them.
 * Secrets:  keys and signatures never stand in errors, events and logs.
 * Source:   "Control access to Azure IoT DPS with shared access signatures and security tokens", Azure documentation.
 */
#ifndef BROKER_SIM_SERVICE_API_POLICIES_H
#define BROKER_SIM_SERVICE_API_POLICIES_H

#include "base/clock.h"
#include "base/error.h"
#include "certs/sas_token.h"

#define POLICIES_FILE "accessPolicies.json"
#define POLICY_OWNER "provisioningserviceowner"

/* X(id, Azure's word). A right to write includes the one to read. */
#define POLICY_RIGHTS(X)                                                                                                                   \
    X(SERVICE_CONFIG, "ServiceConfig")                                                                                                     \
    X(ENROLLMENT_READ, "EnrollmentRead")                                                                                                   \
    X(ENROLLMENT_WRITE, "EnrollmentWrite")                                                                                                 \
    X(REGISTRATION_READ, "RegistrationStatusRead")                                                                                         \
    X(REGISTRATION_WRITE, "RegistrationStatusWrite")                                                                                       \
    X(DEVICE_CONNECT, "DeviceConnect")

enum policy_right {
#define X(id, name) POLICY_##id,
    POLICY_RIGHTS(X)
#undef X
        POLICY_RIGHT_COUNT
};

enum { POLICIES_MAX = 32 };

struct policies;

/* Make the file when there is none. IO (rig); SYNTAX (file): names file and member. */
int policies_open(const char *dir, struct policies **ret_policies, struct error *error);
void policies_free(struct policies *policies); /* wipes the keys; NULL allowed */

struct policy_request {
    const char *authorization; /* NULL: the header is missing */
    const char *const *hosts;  /* whose tokens count: the token's resource is one of them, or a path below one */
    size_t host_count;
    int64_t now_unix_s;
    enum policy_right right;
};

/* ret_name: lent. REFUSED (file): the text says which field is wrong, for a person; Azure says "Unauthorized" and no more. */
int policies_authorize(const struct policies *policies, const struct policy_request *request, const char **ret_name, struct error *error);

#endif
