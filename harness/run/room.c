#include "harness/run/room.h"

#include <errno.h>
#include <stdint.h>
#include <sys/statvfs.h>

static const char mend[] = "make room there, or name another folder with --out DIR";

static bool has_less_than(const struct statvfs *status, uint64_t bytes)
{
    return status->f_blocks && (uint64_t)status->f_bavail * status->f_frsize < bytes;
}

int room_check(const char *directory, struct error *error)
{
    struct statvfs status;
    if (statvfs(directory, &status))
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "look at folder '%s'", directory);
    if (status.f_flag & ST_RDONLY)
        return error_set(error, ERROR_OWNER_RIG, ERROR_IO, "folder '%s' is on a read-only file system; name another folder with --out DIR",
                         directory);
    if (has_less_than(&status, ROOM_ROW_BYTES))
        return error_set(error, ERROR_OWNER_RIG, ERROR_IO, "folder '%s' is nearly full: %llu KiB are left, a row may need %d; %s",
                         directory, (unsigned long long)status.f_bavail * status.f_frsize / 1024, ROOM_ROW_BYTES / 1024, mend);
    return 0;
}

int room_add_mend(struct error *error)
{
    if (!error || error->owner != ERROR_OWNER_RIG)
        return -1;
    struct error before = *error;
    return error_set(error, before.owner, before.code, "%s; name another folder with --out DIR", before.text);
}

bool room_is_out(const char *directory)
{
    struct statvfs status;
    return statvfs(directory, &status) == 0 && has_less_than(&status, ROOM_OUT_BYTES);
}
