#include "harness/rig/hook.h"

#include "base/child.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

DEFINE_CLEANUP(struct child *, child_free)

struct hook_end {
    bool has_ended;
    int status;
};

static void on_child_exit(void *user, struct child *child, int status)
{
    (void)child;
    *(struct hook_end *)user = (struct hook_end){.has_ended = true, .status = status};
}

static bool has_ended(void *user)
{
    return ((struct hook_end *)user)->has_ended;
}

int hook_run(const char *const *argv, const char *log_path, struct waiting *waiting, deadline_t deadline, struct error *error)
{
    CLEANUP_FD int log_fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log_fd < 0)
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "write '%s'", log_path);
    struct hook_end end = {0};
    CLEANUP(child_free_cleanup) struct child *child = NULL;
    struct child_options options = {
        .argv = argv,
        .stdin_fd = -1,
        .stdout_fd = log_fd,
        .stderr_fd = log_fd,
        .death_signal = SIGKILL,
        .has_own_group = true,
        .loop = waiting_loop(waiting),
        .on_exit = on_child_exit,
        .user = &end,
    };
    if (child_start(&options, &child, error))
        return error_prefix(error, "hook");
    if (waiting_until(waiting, has_ended, &end, deadline, argv[0], error))
        return error_prefix(error, "hook '%s'", argv[0]);
    if (WIFEXITED(end.status) && WEXITSTATUS(end.status) == 0)
        return 0;
    char how[CHILD_STATUS_TEXT_BYTES];
    child_status_text(end.status, how);
    return error_set(error, ERROR_OWNER_RIG, ERROR_IO, "hook '%s': %s; its output is in '%s'", argv[0], how, log_path);
}
