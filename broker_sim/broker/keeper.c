#include "broker_sim/broker/keeper.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/detach.h"
#include "base/files.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { KILL_GRACE_MS = 2000, STOP_GRACE_MS = 2000 };

/* What goes through the pipe: the pid to watch, or QUIT. */
enum { QUIT = -1 };

struct keeper {
    pid_t pid;
    int pipe_fd;
};

static int pid_fd_open(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* Mosquitto keeps nothing on disk: SIGKILL loses nothing and is quick. The pidfd makes sure that it hits no later process of that number.
 */
static void kill_and_wait(int pid_fd)
{
    if (pid_fd < 0)
        return;
    syscall(SYS_pidfd_send_signal, pid_fd, SIGKILL, NULL, 0);
    struct pollfd poll_fd = {.fd = pid_fd, .events = POLLIN};
    poll(&poll_fd, 1, KILL_GRACE_MS);
}

/* A simulator that was started again on the same folder may have written its own by now. */
static void remove_ready(const char *path, pid_t owner)
{
    CLEANUP_JSON cJSON *ready = path ? json_read_file(path, NULL) : NULL;
    if (ready && json_integer(ready, "pid", 0) == owner)
        unlink(path);
}

/* Blocks until our parent ends or says QUIT; leaves *pid_fd at the child to kill. Returns false for QUIT. */
static bool wait_for_end(int *pid_fd)
{
    for (;;) {
        int pid;
        ssize_t got = read(DETACHED_PIPE_FD, &pid, sizeof pid);
        if (got < 0 && errno == EINTR)
            continue;
        if (got != (ssize_t)sizeof pid)
            return true;
        if (pid == QUIT)
            return false;
        if (*pid_fd >= 0)
            close(*pid_fd);
        *pid_fd = pid > 0 ? pid_fd_open(pid) : -1;
    }
}

static void run(int pipe_fd, pid_t owner, const char *runtime_dir, const char *ready_path)
{
    int pid_fd = -1;
    detach(pipe_fd, "dpsbench-keeper");
    if (wait_for_end(&pid_fd)) {
        kill_and_wait(pid_fd);
        dir_remove(runtime_dir, NULL);
        remove_ready(ready_path, owner);
    }
    _exit(0);
}

int keeper_start(const char *runtime_dir, const char *ready_path, struct keeper **ret_keeper, struct error *error)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "start the keeper");
    CLEANUP_FD int read_fd = ends[0];
    CLEANUP_FD int write_fd = ends[1];
    CLEANUP_FREE struct keeper *keeper = calloc(1, sizeof *keeper);
    if (!keeper)
        return error_set_memory(error);
    pid_t owner = getpid();
    keeper->pid = fork();
    if (keeper->pid < 0)
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "start the keeper");
    if (keeper->pid == 0)
        run(read_fd, owner, runtime_dir, ready_path);
    keeper->pipe_fd = TAKE_FD(write_fd);
    *ret_keeper = TAKE(keeper);
    return 0;
}

/* Somebody may have killed the keeper: then this must not end us by SIGPIPE. */
static void tell(struct keeper *keeper, int word)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    sigaction(SIGPIPE, &ignore, &before);
    ssize_t written;
    do
        written = write(keeper->pipe_fd, &word, sizeof word);
    while (written < 0 && errno == EINTR);
    sigaction(SIGPIPE, &before, NULL);
}

void keeper_watch(struct keeper *keeper, pid_t pid)
{
    tell(keeper, (int)pid);
}

static void reap(pid_t pid)
{
    CLEANUP_FD int pid_fd = pid_fd_open(pid);
    struct pollfd poll_fd = {.fd = pid_fd, .events = POLLIN};
    if (pid_fd >= 0 && poll(&poll_fd, 1, STOP_GRACE_MS) <= 0)
        kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

void keeper_stop(struct keeper *keeper)
{
    if (!keeper)
        return;
    tell(keeper, QUIT);
    close(keeper->pipe_fd);
    reap(keeper->pid);
    free(keeper);
}
