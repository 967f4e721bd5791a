/*
 * harness/discover/rig_draft.h - a rig file from what was found
 *
 * What:     writes the text of a rig file (docs/rig.md) for the boards of a survey, or for those of a Twister hardware map, with comments where a
 *           person must fill something in. What is empty there is refused by `dpsbench run`, with its line.
 */
#ifndef HARNESS_DISCOVER_RIG_DRAFT_H
#define HARNESS_DISCOVER_RIG_DRAFT_H

#include "base/bytes.h"
#include "harness/discover/survey.h"
#include "harness/rig/rig.h"

enum { RIG_DRAFT_MAX_BYTES = 256 * 1024 };

/* What the person knows; NULL: not told. */
struct rig_draft_options {
    const char *registration_id; /* "{imei}" in it stands for the device's IMEI */
    const char *id_scope;
    const char *sec_tag;   /* a whole number */
    const char *simulator; /* state folder */
};

struct rig_draft {
    struct bytes text;
    size_t device_count;
    size_t gap_count; /* places to fill in */
};

/*
 * Boards of which no port answers AT commands become comments that say why.
 * error: NOT_FOUND (file): no board answers; the text says what was seen instead.
 */
int rig_draft_from_survey(const struct survey *survey, const struct rig_draft_options *options, struct rig_draft *ret_draft,
                          struct error *error);
int rig_draft_from_map(const struct rig *map, const struct rig_draft_options *options, struct rig_draft *ret_draft, struct error *error);
void rig_draft_done(struct rig_draft *draft); /* NULL allowed */

#endif
