#include "base/ready.h"

#include "base/files.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

cJSON *ready_new(const char *program)
{
    CLEANUP_JSON cJSON *ready = cJSON_CreateObject();
    if (!ready || json_set_integer(ready, "v", READY_VERSION) || json_set_string(ready, "program", program) ||
        json_set_string(ready, "version", DPSBENCH_VERSION) || json_set_integer(ready, "pid", getpid()))
        return NULL;
    return TAKE(ready);
}

int ready_publish(const char *dir, const cJSON *ready, struct error *error)
{
    CLEANUP_FREE char *path = path_join(dir, "ready.json");
    CLEANUP_FREE char *text = json_print_line(ready);
    CLEANUP_FREE char *line = NULL;
    if (!path || !text || asprintf(&line, "%s\n", text) < 0)
        return error_set_memory(error);
    if (file_write_atomic(path, line, strlen(line), 0644, error))
        return -1;
    fputs(line, stdout);
    fflush(stdout);
    return 0;
}

void ready_withdraw(const char *dir)
{
    CLEANUP_FREE char *path = path_join(dir, "ready.json");
    if (path)
        unlink(path);
}

static int explain_missing(const char *path, const char *program, struct error *error)
{
    if (!error)
        return -1;
    error->owner = ERROR_OWNER_RIG;
    if (error->code == ERROR_NOT_FOUND)
        error_set(error, ERROR_OWNER_RIG, ERROR_NOT_FOUND, "read '%s': No such file or directory; start %s on that folder", path, program);
    return -1;
}

int ready_read(const char *dir, const char *program, cJSON **ret_ready, struct error *error)
{
    CLEANUP_FREE char *path = path_join(dir, "ready.json");
    if (!path)
        return error_set_memory(error);
    CLEANUP_JSON cJSON *ready = json_read_file(path, error);
    if (!ready) {
        return explain_missing(path, program, error);
    }
    const char *writer = json_string(ready, "program", "?");
    if (json_integer(ready, "v", 0) != READY_VERSION || strcmp(writer, program) != 0)
        return error_set(error, ERROR_OWNER_RIG, ERROR_PROTOCOL, "%s: written by '%s' in version %lld; expected '%s' in version %d", path,
                         writer, (long long)json_integer(ready, "v", 0), program, READY_VERSION);
    pid_t pid = (pid_t)json_integer(ready, "pid", 0);
    if (pid <= 0 || (kill(pid, 0) && errno == ESRCH))
        return error_set(error, ERROR_OWNER_RIG, ERROR_NOT_FOUND, "%s: left behind by process %d, which is gone; start %s again", path,
                         (int)pid, program);
    *ret_ready = TAKE(ready);
    return 0;
}
