/*
 * harness/probe/redactor.h - a conversation without the names of the person who had it
 *
 * What:     replaces identifiers and secrets, the same one by the same text each time, and keeps lengths and forms wherever a device could trip over
 *           them: "{registration_id}" and "{id_scope}" stand for what a replay puts in; operation ids, UUIDs, etags, hub names, thumbprints and
 *           keys become made-up ones of the same length; payloads go altogether.
 * Learns:   from the members of the service's bodies (operationId, assignedHub, deviceId, enrollmentGroupId ...), so that what a body
 *           named is found in later topics too.
 * Limits:   REDACTOR_NAMES_MAX names; a body that needs more is left out whole.
 */
#ifndef HARNESS_PROBE_REDACTOR_H
#define HARNESS_PROBE_REDACTOR_H

#include <stddef.h>

enum { REDACTOR_NAMES_MAX = 256 };

struct redactor;

/* Both copied. NULL when out of memory. */
struct redactor *redactor_new(const char *id_scope, const char *registration_id);
void redactor_free(struct redactor *redactor); /* NULL allowed */

/* Results are malloc'ed; NULL when out of memory. */
char *redactor_text(struct redactor *redactor, const char *text);
/* A body of the service: JSON is gone through member by member; of anything else only the length is told. */
char *redactor_body(struct redactor *redactor, const void *body, size_t length_bytes);

#endif
