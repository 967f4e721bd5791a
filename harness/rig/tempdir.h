/*
 * harness/rig/tempdir.h - a folder for one command, gone when the command is, however that ends
 *
 * What:     makes a folder (mode 0700) and a sweeper for it (sweeper.h), which removes it when tempdir_remove is called, or when we are gone.
 * Threads:  call tempdir_make early, from the main thread, before loops and other threads exist.
 */
#ifndef HARNESS_RIG_TEMPDIR_H
#define HARNESS_RIG_TEMPDIR_H

#include "base/error.h"

struct tempdir;

/* "TMPDIR/NAME.XXXXXX" (TMPDIR: /tmp when the environment has none). IO (rig): it cannot be made; the text names the folder. */
int tempdir_make(const char *name, struct tempdir **ret_tempdir, struct error *error);
const char *tempdir_path(const struct tempdir *tempdir); /* absolute; lent */
/* Stop what was started first. Returns when the folder is gone, or SWEEPER_GRACE_MS later: then it goes when its last user does. NULL allowed. */
void tempdir_remove(struct tempdir *tempdir);

#endif
