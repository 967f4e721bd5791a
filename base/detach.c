#include "base/detach.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

static void leave_terminal(const char *name)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    setsid();
    prctl(PR_SET_NAME, name);
    if (chdir("/"))
        return; /* then it keeps a folder busy, no more */
}

static void keep_only(int pipe_fd)
{
    dup2(pipe_fd, DETACHED_PIPE_FD);
    int null_fd = open("/dev/null", O_RDWR);
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        dup2(null_fd, fd);
    close_range(DETACHED_PIPE_FD + 1, ~0U, 0);
}

void detach(int pipe_fd, const char *name)
{
    leave_terminal(name);
    keep_only(pipe_fd);
}
