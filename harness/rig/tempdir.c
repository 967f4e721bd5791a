#include "harness/rig/tempdir.h"

#include "base/cleanup.h"
#include "base/files.h"
#include "harness/rig/sweeper.h"

#include <errno.h>
#include <stdlib.h>

struct tempdir {
    char *path;
    struct sweeper *sweeper;
};

static void tempdir_free(struct tempdir *tempdir)
{
    free(tempdir->path);
    free(tempdir);
}
DEFINE_CLEANUP(struct tempdir *, tempdir_free)

static int make_folder(const char *name, char **ret_path, struct error *error)
{
    const char *parent = getenv("TMPDIR");
    CLEANUP_FREE char *folder = path_absolute(parent && *parent ? parent : "/tmp"), *path = NULL;
    if (!folder || asprintf(&path, "%s/%s.XXXXXX", folder, name) < 0) {
        path = NULL;
        return error_set_memory(error);
    }
    if (!mkdtemp(path))
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "make a temporary folder in '%s'", folder);
    *ret_path = TAKE(path);
    return 0;
}

int tempdir_make(const char *name, struct tempdir **ret_tempdir, struct error *error)
{
    CLEANUP(tempdir_free_cleanup) struct tempdir *tempdir = calloc(1, sizeof *tempdir);
    if (!tempdir)
        return error_set_memory(error);
    if (make_folder(name, &tempdir->path, error))
        return -1;
    if (sweeper_start(tempdir->path, &tempdir->sweeper, error)) {
        dir_remove(tempdir->path, NULL);
        return -1;
    }
    *ret_tempdir = TAKE(tempdir);
    return 0;
}

const char *tempdir_path(const struct tempdir *tempdir)
{
    return tempdir->path;
}

void tempdir_remove(struct tempdir *tempdir)
{
    if (!tempdir)
        return;
    sweeper_sweep(tempdir->sweeper);
    tempdir_free(tempdir);
}
