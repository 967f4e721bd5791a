/*
 * harness/rig/place.h - where our own programs and files are
 *
 * What:     the folder of this executable (dpsbench-sim and dpsbench-vdk stand beside it), and the home of cases and dialects: the nearest
 *           folder above the executable that holds `cases` and `fixtures` (a checkout with its build folder), or PREFIX/share/dpsbench;
 *           the environment variable DPSBENCH_HOME decides first.
 */
#ifndef HARNESS_RIG_PLACE_H
#define HARNESS_RIG_PLACE_H

#include "base/error.h"

/* "FOLDER/dpsbench-sim". malloc'ed. NOT_FOUND (rig): it is not there. */
int place_program(const char *name, char **ret_path, struct error *error);
/* "HOME/cases", "HOME/fixtures/dialects/nordic-sample.yaml". malloc'ed. NOT_FOUND (rig): no home; the text says what was looked for. */
int place_data(const char *relative, char **ret_path, struct error *error);

/*
 * The file of a dialect: `name` with a '/' or ending in ".yaml" is a path, from `folder` when it is relative (NULL: the current one); else it is
 * HOME/fixtures/dialects/NAME.yaml. malloc'ed. NOT_FOUND (file): no such dialect; the nearest is named.
 */
int place_dialect(const char *name, const char *folder, char **ret_path, struct error *error);

/*
 * This program as a person in the current folder calls it: "dpsbench" when the PATH finds it under that name, "build/bin/dpsbench" when it is
 * below the current folder, else its absolute path. malloc'ed; NULL when out of memory.
 */
char *place_self(void);

#endif
