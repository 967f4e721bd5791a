/*
 * certs/dps_view.h - objects of the service as Azure shows them: its command line and its APIs alike
 *
 * What:     certificates as `az iot dps certificate show` (management plane), enrollments and groups as `az iot dps enrollment show` (service
 *           API): every member of the model, null where there is none; certificates of enrollments as `info` alone; symmetric keys on demand.
 * Drops in: what is printed here is what a state folder takes (docs/state-folder.md).
 * Source:   models.tsp and Certificates of Azure/azure-rest-api-specs; recordings and tests of azure-cli and azure-iot-cli-extension.
 */
#ifndef CERTS_DPS_VIEW_H
#define CERTS_DPS_VIEW_H

#include "base/json.h"
#include "certs/dps_state.h"

/* Results are given; NULL when out of memory. */

/* with_certificate: show the certificate itself, as base64 of its PEM; after an upload Azure answers null. */
cJSON *dps_certificate_view(const cJSON *object, bool with_certificate);
/* kind: DPS_ENROLLMENT or DPS_GROUP. */
cJSON *dps_enrollment_view(enum dps_kind kind, const cJSON *object, bool with_keys);

#endif
