/*
 * broker_sim/dps/api_version.h - the versions of DPS's device API, and what differs between them
 *
 * Source:   Azure documentation, "Reprovisioning"; what SDKs and published logs send; the service's REST specifications.
 */
#ifndef BROKER_SIM_DPS_API_VERSION_H
#define BROKER_SIM_DPS_API_VERSION_H

#include <stdbool.h>

struct api_version {
    bool is_known;
    bool is_sticky; /* 2018-04-01 and before: without a reprovision policy a device stays where it is */
    bool has_csr;   /* 2025-07-01-preview and later: certificates are issued */
};

/* `text`: "YYYY-MM-DD", or that and "-preview". One that is not known behaves as its date says. */
struct api_version api_version_read(const char *text);

#endif
