#include "harness/rig/sweeper.h"

#include "base/cleanup.h"
#include "base/detach.h"
#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>

struct sweeper {
    pid_t pid;
    int pipe_fd;
};

/* ---- the fork ---- */

static void sweep(const char *path, int pipe_fd)
{
    char byte;
    ssize_t got;
    detach(pipe_fd, "dpsbench-sweep");
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
        sweep(absolute, read_fd);
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
