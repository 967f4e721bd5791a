#include "harness/rig/sweeper.h"

#include "base/child.h"
#include "base/cleanup.h"
#include "base/detach.h"
#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

struct sweeper {
    pid_t pid;
    int pipe_fd;
};

/* ---- the fork ---- */

#define PIPE_PATH "/proc/self/fd/3" /* DETACHED_PIPE_FD */

enum { PATH_BYTES = 64, LINK_BYTES = 64 };

/* The pipe has one name, at either end. */
static bool holds_pipe(const char *pid, const char *pipe_name)
{
    char folder[PATH_BYTES], link[LINK_BYTES];
    char **fds = NULL;
    bool holds = false;
    snprintf(folder, sizeof folder, "/proc/%.16s/fd", pid);
    if (dir_list(folder, "", &fds, NULL))
        return false;
    for (char **fd = fds; *fd && !holds; fd++) {
        CLEANUP_FREE char *path = path_join(folder, *fd);
        ssize_t length = path ? readlink(path, link, sizeof link - 1) : -1;
        link[length > 0 ? length : 0] = 0;
        holds = strcmp(link, pipe_name) == 0;
    }
    names_free(fds);
    return holds;
}

/* Ours hold the pipe; so do daemons that a hook has started, which are none of our business and have no mark. */
static void end_strays(void)
{
    char pipe_name[LINK_BYTES];
    ssize_t length = readlink(PIPE_PATH, pipe_name, sizeof pipe_name - 1);
    char **pids = NULL;
    if (length <= 0 || dir_list("/proc", "", &pids, NULL))
        return;
    pipe_name[length] = 0;
    for (char **pid = pids; *pid; pid++)
        if ((*pid)[0] >= '1' && (*pid)[0] <= '9' && child_is_marked(*pid, CHILD_MARK, strlen(CHILD_MARK)) && holds_pipe(*pid, pipe_name))
            kill((pid_t)strtol(*pid, NULL, 10), SIGKILL);
    names_free(pids);
}

static bool is_closed(int timeout_ms)
{
    struct pollfd pipe = {.fd = DETACHED_PIPE_FD, .events = POLLIN};
    return poll(&pipe, 1, timeout_ms) > 0;
}

/* Its programs end with it. Whoever holds the pipe a little later was started by one of them. */
static void wait_for(pid_t parent)
{
    CLEANUP_FD int pid_fd = (int)syscall(SYS_pidfd_open, parent, 0);
    struct pollfd fds[] = {{.fd = DETACHED_PIPE_FD, .events = POLLIN}, {.fd = pid_fd, .events = POLLIN}};
    if (pid_fd >= 0 && getppid() == parent)
        while (poll(fds, 2, -1) < 0 && errno == EINTR)
            ;
    if (!is_closed(SWEEPER_STRAY_MS))
        end_strays();
}

static void sweep(const char *path, int pipe_fd, pid_t parent)
{
    char byte;
    ssize_t got;
    detach(pipe_fd, "dpsbench-sweep");
    wait_for(parent);
    do
        got = read(DETACHED_PIPE_FD, &byte, 1);
    while (got > 0 || (got < 0 && errno == EINTR));
    dir_remove(path, NULL);
    _exit(0);
}

/* ---- ours ---- */

/* The writing end is meant to be inherited by the programs that we start: see the header. */
int sweeper_start(const char *path, struct sweeper **ret_sweeper, struct error *error)
{
    int ends[2];
    const pid_t parent = getpid();
    CLEANUP_FREE char *absolute = path_absolute(path);
    CLEANUP_FREE struct sweeper *sweeper = calloc(1, sizeof *sweeper);
    if (!absolute || !sweeper)
        return error_set_memory(error);
    if (pipe2(ends, O_CLOEXEC))
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "make a pipe");
    CLEANUP_FD int read_fd = ends[0];
    CLEANUP_FD int write_fd = ends[1];
    sweeper->pid = fork();
    if (sweeper->pid < 0)
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "start the process that removes '%s'", path);
    if (sweeper->pid == 0)
        sweep(absolute, read_fd, parent);
    fcntl(write_fd, F_SETFD, 0);
    sweeper->pipe_fd = TAKE_FD(write_fd);
    *ret_sweeper = TAKE(sweeper);
    return 0;
}

/* A pidfd, because the wait has a deadline. */
void sweeper_sweep(struct sweeper *sweeper)
{
    if (!sweeper)
        return;
    CLEANUP_FD int pid_fd = (int)syscall(SYS_pidfd_open, sweeper->pid, 0);
    struct pollfd poll_fd = {.fd = pid_fd, .events = POLLIN};
    close(sweeper->pipe_fd);
    if (pid_fd >= 0 && poll(&poll_fd, 1, SWEEPER_GRACE_MS) > 0)
        waitpid(sweeper->pid, NULL, 0);
    free(sweeper);
}

void sweeper_dismiss(struct sweeper *sweeper)
{
    if (!sweeper)
        return;
    kill(sweeper->pid, SIGKILL);
    waitpid(sweeper->pid, NULL, 0);
    close(sweeper->pipe_fd);
    free(sweeper);
}
