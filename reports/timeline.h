/*
 * reports/timeline.h - timeline.jsonl: every event of a run, from all sources, one line each
 *
 * What:     console, AT and simulator events in the order in which the harness saw them (docs/events.md). The harness's own events get
 *           their `seq` here. Each line is written at once: a kill loses nothing that was seen
 *           (line_file.h).
 */
#ifndef REPORTS_TIMELINE_H
#define REPORTS_TIMELINE_H

#include "base/error.h"

#include <cjson/cJSON.h>
#include <stdint.h>

#define TIMELINE_SOURCE "dpsbench"
#define TIMELINE_FILE "timeline.jsonl"

struct timeline;

/* Makes DIRECTORY/timeline.jsonl, or goes on behind its last whole line. IO (rig). */
int timeline_open(const char *directory, struct timeline **ret_timeline, struct error *error);
/* An event of another source, with its own `seq`. Lent. IO (rig): a full disk; the file then stays as it is. */
int timeline_add(struct timeline *timeline, const cJSON *event, struct error *error);
/* An event of the harness: gets the next `seq` of its own. Lent. */
int timeline_add_own(struct timeline *timeline, cJSON *event, struct error *error);
/* What is in it survives a power cut. */
void timeline_sync(struct timeline *timeline);
/* Lines written so far: the number of the last one, from 1. */
int64_t timeline_line(const struct timeline *timeline);
void timeline_close(struct timeline *timeline); /* NULL allowed */

#endif
