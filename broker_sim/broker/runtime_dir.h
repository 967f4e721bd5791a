/*
 * broker_sim/broker/runtime_dir.h - a private folder whose path is short enough for Unix sockets
 *
 * What:     makes DIR/dpsbench-XXXXXX (0700) under the first of XDG_RUNTIME_DIR, TMPDIR and /tmp that is short and writable. A Unix
 * socket's path may have 107 characters, so a state folder deep in somebody's home does not do.
 */
#ifndef BROKER_SIM_BROKER_RUNTIME_DIR_H
#define BROKER_SIM_BROKER_RUNTIME_DIR_H

#include "base/error.h"

enum { RUNTIME_DIR_NAME_MAX_BYTES = 24 }; /* the longest file name that still makes a socket's path */

/* ret_path: malloc'ed. LIMIT or IO (rig): no candidate does; the text names the last one. */
int runtime_dir_make(char **ret_path, struct error *error);

#endif
