/*
 * harness/rig/sweeper.h - the process that removes a folder when we are gone, however we went
 *
 * What:     a fork of ours, in a session of its own and without our descriptors, that waits on a pipe. It removes the folder when we are gone, even by
 *           SIGKILL, and every program that we started meanwhile is gone too: they hold the other end of its pipe, so that nobody writes into a
 *           folder that is being removed. What a program under test left behind (CHILD_MARK) is ended when it still holds it SWEEPER_STRAY_MS later.
 * Threads:  call sweeper_start early, from the main thread, before loops run and other threads exist.
 */
#ifndef HARNESS_RIG_SWEEPER_H
#define HARNESS_RIG_SWEEPER_H

#include "base/error.h"

struct sweeper;

/* `path`: a folder, that there is or will be; copied. IO (rig). */
int sweeper_start(const char *path, struct sweeper **ret_sweeper, struct error *error);
/* Stop what was started first. Returns when the folder is gone, or SWEEPER_GRACE_MS later: then it goes when its last user does. NULL allowed. */
void sweeper_sweep(struct sweeper *sweeper);
/* It ends and removes nothing. NULL allowed. */
void sweeper_dismiss(struct sweeper *sweeper);

enum { SWEEPER_GRACE_MS = 5000, SWEEPER_STRAY_MS = 1000 };

#endif
