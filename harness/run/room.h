/*
 * harness/run/room.h - can the run's folder be written, and is there room for another row?
 *
 * What:     looked at before a run and before each row, so that a disk that fills up ends a run between two rows, with a whole report, and
 *           not in the middle of one. A disk that fills up at once is noticed by the write that fails.
 */
#ifndef HARNESS_RUN_ROOM_H
#define HARNESS_RUN_ROOM_H

#include "base/error.h"

#include <stdbool.h>

enum {
    ROOM_ROW_BYTES = 1024 * 1024, /* a row writes some 100 KiB: events twice, console twice, certificates, the state of the simulator */
    ROOM_OUT_BYTES = 64 * 1024,
};

/* IO (rig): read-only, or less than ROOM_ROW_BYTES left; the text holds the mend. A file system that does not tell has room. */
int room_check(const char *directory, struct error *error);
/* Put the mend behind an error of the rig about that folder: "...; name another folder with --out DIR". Returns -1. */
int room_add_mend(struct error *error);
/* Less than ROOM_OUT_BYTES left: whatever went wrong went wrong because of that. */
bool room_is_out(const char *directory);

#endif
