#include "base/child.h"

#include "base/cleanup.h"
#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

struct child {
    pid_t pid;
    int pid_fd;
    bool is_running;
    bool has_own_group;
    int status;
    uv_poll_t *poll; /* freed by its close callback, which may run after the child is gone */
    child_exit_fn *on_exit;
    void *user;
};

static void point_fd(int fd, int target, int flags)
{
    int source = fd >= 0 ? fd : open("/dev/null", flags | O_CLOEXEC);
    if (source >= 0 && source != target)
        dup2(source, target);
    else if (source == target)
        fcntl(target, F_SETFD, 0);
}

/* libuv blocks nothing, but a caller may: the child starts with a clean slate. */
static void reset_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
}

static void extend_environment(const char *const *environment)
{
    for (; environment && *environment; environment++)
        putenv((char *)(uintptr_t)*environment);
}

static void run(const struct child_options *options, pid_t parent, int report_fd)
{
    reset_signals();
    if (options->has_own_group)
        setpgid(0, 0);
    if (options->death_signal)
        prctl(PR_SET_PDEATHSIG, options->death_signal);
    if (options->death_signal && getppid() != parent)
        _exit(127);
    /* Move the caller's descriptors out of the way of 0 to 2 first, so that one target cannot overwrite another source. */
    int sources[3] = {options->stdin_fd, options->stdout_fd, options->stderr_fd};
    for (int i = 0; i < 3; i++)
        if (sources[i] >= 0)
            sources[i] = fcntl(sources[i], F_DUPFD_CLOEXEC, 10);
    point_fd(sources[0], STDIN_FILENO, O_RDONLY);
    point_fd(sources[1], STDOUT_FILENO, O_WRONLY);
    point_fd(sources[2], STDERR_FILENO, O_WRONLY);
    extend_environment(options->environment);
    execvp(options->argv[0], (char *const *)options->argv);
    int number = errno;
    ssize_t ignored = write(report_fd, &number, sizeof number);
    (void)ignored;
    _exit(127);
}

static void close_poll(struct child *child)
{
    if (child->poll)
        uv_close((uv_handle_t *)child->poll, (uv_close_cb)free);
    child->poll = NULL;
}

static bool reap(struct child *child)
{
    int status;
    if (child->is_running && waitpid(child->pid, &status, WNOHANG) == child->pid) {
        child->is_running = false;
        child->status = status;
    }
    return !child->is_running;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status, (void)events;
    struct child *child = poll->data;
    if (!reap(child))
        return;
    close_poll(child);
    if (child->on_exit)
        child->on_exit(child->user, child, child->status);
}

static int watch(struct child *child, const struct child_options *options, struct error *error)
{
    child->pid_fd = (int)syscall(SYS_pidfd_open, child->pid, 0);
    if (child->pid_fd < 0)
        return error_set_errno(error, ERROR_OWNER_OURS, errno, "watch child '%s'", options->argv[0]);
    if (!options->loop)
        return 0;
    child->poll = calloc(1, sizeof *child->poll);
    if (!child->poll)
        return error_set_memory(error);
    child->poll->data = child;
    uv_poll_init(options->loop, child->poll, child->pid_fd);
    uv_poll_start(child->poll, UV_READABLE, on_readable);
    return 0;
}

static int read_exec_error(int fd)
{
    int number = 0;
    ssize_t got;
    do
        got = read(fd, &number, sizeof number);
    while (got < 0 && errno == EINTR);
    return got == (ssize_t)sizeof number ? number : 0;
}

DEFINE_CLEANUP(struct child *, child_free)

int child_start(const struct child_options *options, struct child **ret_child, struct error *error)
{
    int report[2];
    if (pipe2(report, O_CLOEXEC))
        return error_set_errno(error, ERROR_OWNER_OURS, errno, "start '%s'", options->argv[0]);
    CLEANUP_FD int report_in = report[0];
    CLEANUP_FD int report_out = report[1];
    CLEANUP(child_free_cleanup) struct child *child = calloc(1, sizeof *child);
    if (!child)
        return error_set_memory(error);
    *child = (struct child){.pid_fd = -1, .has_own_group = options->has_own_group, .on_exit = options->on_exit, .user = options->user};
    pid_t parent = getpid();
    child->pid = fork();
    if (child->pid < 0)
        return error_set_errno(error, ERROR_OWNER_OURS, errno, "start '%s'", options->argv[0]);
    if (child->pid == 0)
        run(options, parent, report_out);
    child->is_running = true;
    close(TAKE_FD(report_out));
    int number = read_exec_error(report_in);
    if (number) {
        error_set_errno(error, ERROR_OWNER_RIG, number, "start '%s'", options->argv[0]);
        if (error && number == ENOENT)
            error->code = ERROR_NOT_FOUND;
        return -1;
    }
    if (watch(child, options, error))
        return -1;
    *ret_child = TAKE(child);
    return 0;
}

pid_t child_pid(const struct child *child)
{
    return child->pid;
}

bool child_is_running(const struct child *child)
{
    return child->is_running;
}

void child_signal(struct child *child, int signal_number)
{
    if (child->is_running)
        kill(child->pid, signal_number);
}

int child_wait(struct child *child, deadline_t deadline, int *ret_status, struct error *error)
{
    while (!reap(child)) {
        int64_t left = deadline_left_ms(&clock_system, deadline);
        if (left == 0)
            return error_set(error, ERROR_OWNER_RIG, ERROR_TIMEOUT, "process %d has not ended in time", (int)child->pid);
        struct pollfd poll_fd = {.fd = child->pid_fd, .events = POLLIN};
        poll(&poll_fd, 1, left > 1000 ? 1000 : (int)left);
    }
    close_poll(child);
    if (ret_status)
        *ret_status = child->status;
    return 0;
}

/* Its own group: what it started itself may hold on to a port, or to the pipe of our sweeper. */
static void kill_all(const struct child *child)
{
    kill(child->has_own_group ? -child->pid : child->pid, SIGKILL);
}

void child_stop(struct child *child, int signal_number, int64_t grace_ms)
{
    if (!child || !child->is_running)
        return;
    child_signal(child, signal_number);
    if (child_wait(child, deadline_in_ms(&clock_system, grace_ms), NULL, NULL) == 0)
        return;
    kill_all(child);
    child_wait(child, deadline_in_ms(&clock_system, 5000), NULL, NULL);
}

void child_free(struct child *child)
{
    if (!child)
        return;
    if (child->is_running) {
        kill_all(child);
        waitpid(child->pid, NULL, 0);
    }
    close_poll(child);
    if (child->pid_fd >= 0)
        close(child->pid_fd);
    free(child);
}

void child_status_text(int status, char *text)
{
    if (WIFSIGNALED(status))
        snprintf(text, CHILD_STATUS_TEXT_BYTES, "signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(text, CHILD_STATUS_TEXT_BYTES, "exit status %d", WEXITSTATUS(status));
}

bool child_is_marked(const char *pid, const char *mark, size_t length_bytes)
{
    enum { PATH_BYTES = 64, ENVIRONMENT_MAX_BYTES = 1024 * 1024 };
    char path[PATH_BYTES];
    CLEANUP(bytes_done) struct bytes all = {0};
    snprintf(path, sizeof path, "/proc/%.16s/environ", pid);
    return file_read(path, ENVIRONMENT_MAX_BYTES, &all, NULL) == 0 && all.length_bytes &&
           memmem(all.data, all.length_bytes, mark, length_bytes) != NULL;
}
