#include "broker_sim/broker/runtime_dir.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

static bool is_short(const char *path)
{
    return strlen(path) + 1 + RUNTIME_DIR_NAME_MAX_BYTES < sizeof((struct sockaddr_un *)0)->sun_path;
}

static int make_in(const char *parent, char **ret_path, struct error *error)
{
    CLEANUP_FREE char *path = NULL;
    if (parent[0] != '/')
        return error_set(error, ERROR_OWNER_RIG, ERROR_USAGE, "make a runtime folder in '%s': not an absolute path", parent);
    /* Mosquitto's configuration ends a path at white space, and then waits on a socket that nobody knows. */
    if (strpbrk(parent, " \t\r\n"))
        return error_set(error, ERROR_OWNER_RIG, ERROR_USAGE, "make a runtime folder in '%s': Mosquitto takes no path with white space",
                         parent);
    if (asprintf(&path, "%s/dpsbench-XXXXXX", parent) < 0) {
        path = NULL;
        return error_set_memory(error);
    }
    if (!is_short(path))
        return error_set(error, ERROR_OWNER_RIG, ERROR_LIMIT, "make a runtime folder in '%s': too long for the path of a Unix socket",
                         parent);
    if (!mkdtemp(path))
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "make a runtime folder in '%s'", parent);
    *ret_path = TAKE(path);
    return 0;
}

int runtime_dir_make(char **ret_path, struct error *error)
{
    const char *const candidates[] = {getenv("XDG_RUNTIME_DIR"), getenv("TMPDIR"), "/tmp"};
    for (size_t i = 0; i < ARRAY_COUNT(candidates); i++)
        if (candidates[i] && make_in(candidates[i], ret_path, error) == 0)
            return 0;
    return -1;
}
