#include "harness/rig/sibling.h"

#include "base/child.h"
#include "base/cleanup.h"
#include "harness/rig/place.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 14, READ_BYTES = 16 * 1024, LOOK_MS = 1000 };

DEFINE_CLEANUP(struct child *, child_free)

static int start(const char *path, const char *const *arguments, int stdout_fd, struct child **ret_child, struct error *error)
{
    const char *argv[ARGUMENTS_MAX + 2] = {path};
    for (size_t i = 0; i < ARGUMENTS_MAX && arguments[i]; i++)
        argv[i + 1] = arguments[i];
    const struct child_options options = {
        .argv = argv, .stdin_fd = -1, .stdout_fd = stdout_fd, .stderr_fd = STDERR_FILENO, .death_signal = SIGKILL};
    return child_start(&options, ret_child, error);
}

/* Until the program closes its end. */
static int read_all(int fd, const char *name, deadline_t deadline, struct bytes *text, struct error *error)
{
    for (;;) {
        char buffer[READ_BYTES];
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        int64_t left = deadline_left_ms(&clock_system, deadline);
        if (left == 0)
            return error_set(error, ERROR_OWNER_RIG, ERROR_TIMEOUT, "%s did not answer in time", name);
        if (poll(&poll_fd, 1, left > LOOK_MS ? LOOK_MS : (int)left) <= 0)
            continue;
        ssize_t got = read(fd, buffer, sizeof buffer);
        if (got == 0)
            return 0;
        if (got < 0 && errno != EINTR)
            return error_set_errno(error, ERROR_OWNER_RIG, errno, "read from %s", name);
        if (got > 0 && bytes_append(text, buffer, (size_t)got))
            return error_set(error, ERROR_OWNER_RIG, ERROR_LIMIT, "%s says more than %d bytes", name, SIBLING_MAX_BYTES);
    }
}

static int check_status(const char *name, int status, struct error *error)
{
    char how[CHILD_STATUS_TEXT_BYTES];
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    child_status_text(status, how);
    return error_set(error, ERROR_OWNER_RIG, ERROR_IO, "%s ended (%s)", name, how);
}

int sibling_ask(const char *name, const char *const *arguments, deadline_t deadline, cJSON **ret_document, struct error *error)
{
    CLEANUP_FREE char *path = NULL;
    CLEANUP(child_free_cleanup) struct child *child = NULL;
    CLEANUP(bytes_done) struct bytes text = {.max_bytes = SIBLING_MAX_BYTES};
    int fds[2], status = 0;
    if (place_program(name, &path, error))
        return -1;
    if (pipe2(fds, O_CLOEXEC))
        return error_set_errno(error, ERROR_OWNER_OURS, errno, "make a pipe");
    CLEANUP_FD int read_fd = fds[0];
    int failed = start(path, arguments, fds[1], &child, error);
    close(fds[1]);
    if (failed || read_all(read_fd, name, deadline, &text, error) || child_wait(child, deadline, &status, error) ||
        check_status(name, status, error))
        return -1;
    cJSON *document = json_parse(bytes_text(&text), text.length_bytes, name, error);
    if (!document)
        return error_set(error, ERROR_OWNER_RIG, ERROR_PROTOCOL, "what %s printed is not JSON", name);
    *ret_document = document;
    return 0;
}

int sibling_become(const char *name, const char *const *arguments, struct error *error)
{
    CLEANUP_FREE char *path = NULL;
    const char *argv[ARGUMENTS_MAX + 2] = {name};
    if (place_program(name, &path, error))
        return -1;
    for (size_t i = 0; i < ARGUMENTS_MAX && arguments[i]; i++)
        argv[i + 1] = arguments[i];
    execv(path, (char *const *)(uintptr_t)argv);
    return error_set_errno(error, ERROR_OWNER_RIG, errno, "run '%s'", path);
}
