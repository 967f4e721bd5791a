/*
 * broker_sim/service_api/service_path.h - which thing of the service a request's path names
 *
 * What:     "/enrollments/dev%2001/attestationmechanism" to a resource, an id (decoded) and what to do with it. Words are compared without regard to case,
 *           as Azure's own clients demand; ids are kept as they are.
 * Source:   routes.tsp of azure-rest-api-specs (deviceprovisioningservices), Microsoft.Devices/provisioningServices for certificates.
 */
#ifndef BROKER_SIM_SERVICE_API_SERVICE_PATH_H
#define BROKER_SIM_SERVICE_API_SERVICE_PATH_H

#include "base/error.h"
#include "certs/dps_state.h"

enum service_resource { SERVICE_ENROLLMENTS, SERVICE_GROUPS, SERVICE_REGISTRATIONS, SERVICE_CERTIFICATES };
enum service_action {
    SERVICE_COLLECTION, /* no id */
    SERVICE_ITEM,
    SERVICE_QUERY, /* of registrations: `id` is the group */
    SERVICE_ATTESTATION_MECHANISM,
    SERVICE_VERIFICATION_CODE,
    SERVICE_VERIFY,
};

struct service_path {
    enum service_resource resource;
    enum service_action action;
    char id[DPS_ID_MAX_BYTES + 1]; /* "" for a collection */
};

/* NOT_FOUND (file): no such place. SYNTAX (file): percent-encoding that is broken, an id that is too long. */
int service_path_read(const char *path, struct service_path *ret_path, struct error *error);

/*
 * Is it an id that DPS takes: letters, digits and - . _ :, the last one a letter, a digit or '-', 1 to 128 in all? ("DPS concepts", Azure
 * documentation.)
 */
bool service_id_is_legal(const char *id);

#endif
