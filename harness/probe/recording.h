/*
 * harness/probe/recording.h - write down a conversation, so that a simulator can have it again
 *
 * What:     the format is docs/recording.md: one JSON document a line, the first one the header. Names and secrets are replaced (redactor.h); addresses
 *           are left out. Kept in memory, and written in one step at the end.
 * Limits:   RECORDING_MAX_BYTES; what comes behind it is left out, and recording_write says so.
 */
#ifndef HARNESS_PROBE_RECORDING_H
#define HARNESS_PROBE_RECORDING_H

#include "base/error.h"
#include "harness/probe/observer.h"

enum { RECORDING_VERSION = 1, RECORDING_MAX_BYTES = 4 * 1024 * 1024 };

struct recording;

/* NULL when out of memory. */
struct recording *recording_new(const char *id_scope, const char *registration_id, const char *source);
void recording_free(struct recording *recording); /* NULL allowed */
void recording_add(struct recording *recording, const struct probe_event *event);
/* IO (rig); LIMIT (rig): it is written, but not whole. MEMORY. */
int recording_write(const struct recording *recording, const char *path, struct error *error);

#endif
