#include "harness/rig/tempdir.h"

#include "base/cleanup.h"
#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { PIPE_FD = 3 };

struct tempdir {
    char *path;
    pid_t sweeper;
    int pipe_fd;
};

static void tempdir_free(struct tempdir *tempdir)
{
    if (tempdir->pipe_fd >= 0)
        close(tempdir->pipe_fd);
    free(tempdir->path);
    free(tempdir);
}
DEFINE_CLEANUP(struct tempdir *, tempdir_free)

/* ---- the sweeper ---- */

/* Ctrl-C and a closing terminal reach the whole foreground group; the sweeper must outlive them. */
static void leave_terminal(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    setsid();
    prctl(PR_SET_NAME, "dpsbench-sweep");
    if (chdir("/"))
        return; /* then it keeps a folder busy, no more */
}

/* Whoever reads our output through a pipe must not wait for the sweeper. */
static void keep_only(int pipe_fd)
{
    dup2(pipe_fd, PIPE_FD);
    int null_fd = open("/dev/null", O_RDWR);
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        dup2(null_fd, fd);
    close_range(PIPE_FD + 1, ~0U, 0);
}

static void sweep(const char *path, int pipe_fd)
{
    char byte;
    ssize_t got;
    leave_terminal();
    keep_only(pipe_fd);
    do
        got = read(PIPE_FD, &byte, 1);
    while (got > 0 || (got < 0 && errno == EINTR));
    dir_remove(path, NULL);
    _exit(0);
}

/* ---- ours ---- */

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

/* The writing end is meant to be inherited by the programs that we start: see the header. */
static int start_sweeper(struct tempdir *tempdir, struct error *error)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "make a pipe");
    CLEANUP_FD int read_fd = ends[0];
    tempdir->pipe_fd = ends[1];
    tempdir->sweeper = fork();
    if (tempdir->sweeper < 0)
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "start the process that removes '%s'", tempdir->path);
    if (tempdir->sweeper == 0)
        sweep(tempdir->path, read_fd);
    fcntl(tempdir->pipe_fd, F_SETFD, 0);
    return 0;
}

int tempdir_make(const char *name, struct tempdir **ret_tempdir, struct error *error)
{
    CLEANUP(tempdir_free_cleanup) struct tempdir *tempdir = calloc(1, sizeof *tempdir);
    if (!tempdir)
        return error_set_memory(error);
    tempdir->pipe_fd = -1;
    if (make_folder(name, &tempdir->path, error))
        return -1;
    if (start_sweeper(tempdir, error)) {
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
    CLEANUP_FD int pid_fd = (int)syscall(SYS_pidfd_open, tempdir->sweeper, 0);
    struct pollfd poll_fd = {.fd = pid_fd, .events = POLLIN};
    close(TAKE_FD(tempdir->pipe_fd));
    if (pid_fd >= 0 && poll(&poll_fd, 1, TEMPDIR_GRACE_MS) > 0)
        waitpid(tempdir->sweeper, NULL, 0);
    tempdir_free(tempdir);
}
