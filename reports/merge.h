/*
 * reports/merge.h - the shards of one whole, which several machines ran, as one run
 *
 * What:     takes the results of `dpsbench run --shard I/N` and makes one result of them: every row of every shard, each with the shard it ran in.
 * Checks:   the shards are of one whole (same cases, same selection, same time scale, same dpsbench), each is there once and came to its end, and no row
 *           is there twice or missing. What is wrong is said with the folders that it is about.
 * Not here: files: whoever merges reads the results and copies what they point to, each into the folder that merge_folder() names.
 */
#ifndef REPORTS_MERGE_H
#define REPORTS_MERGE_H

#include "reports/result.h"

enum { MERGE_PARTS_MAX = 256, MERGE_FOLDER_BYTES = 24 };

/* One shard. */
struct merge_part {
    const char *folder;    /* as the user named it; lent */
    struct result_run run; /* as results_read() gives it; owned by whoever made it */
    unsigned index;        /* from 1; merge_check() fills it in */
    unsigned count;
};

/*
 * Sorts the parts by their index.
 *
 * allows_missing  a shard that is not there, or did not come to its end, is no error.
 * error           file: USAGE (no shard; another version), CONFLICT (of another whole; twice), NOT_FOUND (missing, or not at its end).
 */
int merge_check(struct merge_part *parts, size_t count, bool allows_missing, struct error *error);
/* Of checked parts; their rows are moved into the result. ret_run: result_run_done() it; without `directory`. */
int merge_parts(struct merge_part *parts, size_t count, struct result_run *ret_run, struct error *error);
/* "shard-2": where the files of a part are in the merged folder, and what its rows point into. */
const char *merge_folder(const struct merge_part *part, char text[MERGE_FOLDER_BYTES]);

#endif
