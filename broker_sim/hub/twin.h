/*
 * broker_sim/hub/twin.h - a device twin: tags, desired and reported properties, their versions and limits
 *
 * What:     patches merge as RFC 7396 says, null removes; each counts the version of its part up, and that of the twin. Read-only members of a patch
 *           ($version, $metadata at its top) are ignored, so that a twin which was read can be written back.
 * Limits:   those of the documentation: TWIN_DEPTH_MAX levels; tags TWIN_TAGS_MAX_BYTES, desired and reported TWIN_PROPERTIES_MAX_BYTES each; keys of
 *           TWIN_KEY_MAX_BYTES without control characters, '.', '$' and space; texts of TWIN_TEXT_MAX_BYTES; integers of TWIN_INTEGER_MAX.
 * Size:     of keys and texts the bytes in UTF-8, of a number 8, of a boolean 4; objects and arrays are the sum of what is in them.
 * Source:   "Understand and use device twins in IoT Hub", Azure documentation.
 */
#ifndef BROKER_SIM_HUB_TWIN_H
#define BROKER_SIM_HUB_TWIN_H

#include "base/error.h"
#include "base/json.h"

enum {
    TWIN_DEPTH_MAX = 10,
    TWIN_TAGS_MAX_BYTES = 8 * 1024,
    TWIN_PROPERTIES_MAX_BYTES = 32 * 1024,
    TWIN_KEY_MAX_BYTES = 1024,
    TWIN_TEXT_MAX_BYTES = 4096,
};
#define TWIN_INTEGER_MAX 4503599627370495.0 /* the least one is -4503599627370496 */

enum twin_part { TWIN_TAGS, TWIN_DESIRED, TWIN_REPORTED, TWIN_PART_COUNT };

struct twin {
    cJSON *parts[TWIN_PART_COUNT]; /* objects without $version; owned */
    int64_t versions[TWIN_PART_COUNT];
    int64_t version; /* of the whole: counts every change */
};

/* Empty, version 1; with `initial` (NULL: none) {"tags":{},"properties":{"desired":{}}} merged in, as an enrollment's initialTwin. error: as twin_patch. */
int twin_init(struct twin *twin, const cJSON *initial, struct error *error);
void twin_done(struct twin *twin); /* one of zeroes allowed */

/*
 * Merge `patch` into a part.
 *
 * error   SYNTAX (file): not an object, a bad key, a value that no twin holds. LIMIT (file): too deep, too large. The twin is untouched then.
 */
int twin_patch(struct twin *twin, enum twin_part part, const cJSON *patch, struct error *error);

/* {"desired":{...,"$version":n},"reported":{...,"$version":n}}: what the device gets. NULL when out of memory. */
cJSON *twin_for_device(const struct twin *twin);
/* {"tags":{},"properties":{"desired":{...,"$version":n},"reported":{...}},"version":n}. NULL when out of memory. */
cJSON *twin_json(const struct twin *twin);
/* What twin_json wrote. ret_twin: initialised by the call. SYNTAX (rig), LIMIT, MEMORY. */
int twin_read(const cJSON *json, struct twin *ret_twin, struct error *error);

#endif
