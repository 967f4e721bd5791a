/*
 * tests/unit/base/scratch.h - a folder of its own for a test
 *
 * What:     CMocka set-up and tear-down that make and remove it; the test's state is its path. Mounts are made in a mount namespace of the
 *           test program, so that nothing stays behind however it ends.
 */
#ifndef TESTS_UNIT_BASE_SCRATCH_H
#define TESTS_UNIT_BASE_SCRATCH_H

#include "base/files.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

static inline int scratch_make(void **state)
{
    const char *parent = getenv("TMPDIR");
    char *path = NULL;
    if (asprintf(&path, "%s/dpsbench-test.XXXXXX", parent ? parent : "/tmp") < 0 || !mkdtemp(path))
        return -1;
    *state = path;
    return 0;
}

static inline int scratch_remove(void **state)
{
    int failed = dir_remove(*state, NULL);
    free(*state);
    return failed;
}

/* "folder/name"; lives until the next call but three. */
static inline const char *scratch_path(void **state, const char *name)
{
    static char paths[4][4096];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", (const char *)*state, name);
    return path;
}

static inline void scratch_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    if (!file || fputs(text, file) < 0 || fclose(file))
        abort();
}

/* A small file system of its own; -1 where the test may not mount. */
static inline int scratch_mount(const char *path, const char *options, unsigned long flags)
{
    static int has_namespace;
    if (!has_namespace && (unshare(CLONE_NEWNS) || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL)))
        return -1;
    has_namespace = 1;
    return mount("none", path, "tmpfs", flags, options);
}

#endif
