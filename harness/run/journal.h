/*
 * harness/run/journal.h - what of a run has come to its end, so that a kill or a power cut at any moment loses nothing
 *
 * What:     DIRECTORY/journal.jsonl: one JSON object a line. The first is the header (resume.h), then `begin` of each attempt, and the attempt with
 *           its whole row once it has ended, which is on the disk before the run goes on. An attempt that began and has no end was in flight.
 * Torn:     a last line that a power cut tore, or left as no JSON, counts as never written. Anything else that cannot be read is an error.
 * Limits:   JOURNAL_LINE_MAX_BYTES a line.
 */
#ifndef HARNESS_RUN_JOURNAL_H
#define HARNESS_RUN_JOURNAL_H

#include "base/json.h"

#define JOURNAL_FILE "journal.jsonl"

enum { JOURNAL_VERSION = 1, JOURNAL_LINE_MAX_BYTES = 4 * 1024 * 1024 };

struct journal;

/* A new one, with its header (taken over) on the disk. IO (rig). */
int journal_create(const char *directory, cJSON *header, struct journal **ret_journal, struct error *error);
/* The header alone. USAGE, SYNTAX (file): no journal or one of a newer version, none that can be read. NULL on failure. */
cJSON *journal_read_header(const char *directory, struct error *error);
/* To go on with. `take` gets each entry behind the header, lent; what it returns as an error ends the call. */
int journal_reopen(const char *directory, int (*take)(void *user, const cJSON *entry, struct error *error), void *user,
                   struct journal **ret_journal, struct error *error);
/* entry: taken over in every case. is_synced: on the disk when the call returns. IO (rig). */
int journal_append(struct journal *journal, cJSON *entry, bool is_synced, struct error *error);
void journal_close(struct journal *journal); /* NULL allowed */

#endif
