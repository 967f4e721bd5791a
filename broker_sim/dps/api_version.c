#include "broker_sim/dps/api_version.h"

#include <stddef.h>
#include <string.h>

enum { DATE_LENGTH = 10 };

/* Where each was seen: docs/fidelity.md, connect.unknown-api-version; 2017-11-15 is PROV_API_VERSION of azure-iot-sdk-c 1.2.1. */
static const char *const known[] = {
    "2017-08-31-preview", "2017-11-15",         "2018-04-01",         "2018-09-01-preview", "2018-11-01",
    "2019-03-31",         "2021-06-01",         "2021-10-01",         "2025-07-01-preview", "2026-07-01-preview",
    "2026-11-01",         "2026-11-02-preview", "2026-11-15-preview",
};

struct api_version api_version_read(const char *text)
{
    struct api_version version = {
        .is_sticky = strncmp(text, "2018-04-01", DATE_LENGTH) <= 0,
        .has_csr = strncmp(text, "2025-07-01", DATE_LENGTH) >= 0,
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        version.is_known |= strcmp(text, known[i]) == 0;
    return version;
}
