#include "harness/rig/served.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/files.h"
#include "base/ready.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

enum { READY_LINE_MAX_BYTES = 64 * 1024, LOG_TAIL_MAX_BYTES = 64 * 1024 * 1024, STOP_GRACE_MS = 5000 };

struct served {
    struct child *child;
    char *program;
    char *log_path;
    cJSON *ready;
    int stdout_fd; /* kept open: a program that prints into a closed pipe dies */
    int status;
    bool has_ended;
};

DEFINE_CLEANUP(struct served *, served_stop)

static void on_child_exit(void *user, struct child *child, int status)
{
    (void)child;
    struct served *served = user;
    served->has_ended = true;
    served->status = status;
}

/* The last line of its log: usually the reason why it ended. */
static char *last_words(const struct served *served)
{
    CLEANUP(bytes_done) struct bytes log = {0};
    if (file_read(served->log_path, LOG_TAIL_MAX_BYTES, &log, NULL))
        return NULL;
    while (log.length_bytes && strchr("\r\n", log.data[log.length_bytes - 1]))
        log.data[--log.length_bytes] = 0;
    const char *newline = log.length_bytes ? strrchr(bytes_text(&log), '\n') : NULL;
    return strdup(newline ? newline + 1 : bytes_text(&log));
}

static int fail_ended(const struct served *served, int status, struct error *error)
{
    char how[CHILD_STATUS_TEXT_BYTES];
    child_status_text(status, how);
    CLEANUP_FREE char *words = last_words(served);
    return error_set(error, ERROR_OWNER_RIG, ERROR_IO, "%s ended (%s)%s%s", served->program, how, words && *words ? ": " : "",
                     words ? words : "");
}

/* One line from the pipe. 0: whole; 1: end of file; -1: error. */
static int read_line(int fd, deadline_t deadline, struct bytes *line, const char *program, struct error *error)
{
    for (;;) {
        int64_t left = deadline_left_ms(&clock_system, deadline);
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        if (left == 0)
            return error_set(error, ERROR_OWNER_RIG, ERROR_TIMEOUT, "%s did not say in time that it is ready", program);
        if (poll(&poll_fd, 1, left > 1000 ? 1000 : (int)left) <= 0)
            continue;
        char byte;
        ssize_t got = read(fd, &byte, 1);
        if (got == 0)
            return 1;
        if (got < 0 && errno != EINTR)
            return error_set_errno(error, ERROR_OWNER_RIG, errno, "read from %s", program);
        if (got == 1 && byte == '\n')
            return 0;
        if (got == 1 && bytes_append_byte(line, (uint8_t)byte))
            return error_set(error, ERROR_OWNER_RIG, ERROR_PROTOCOL, "%s: its ready record is too long", program);
    }
}

static int read_ready(struct served *served, deadline_t deadline, struct error *error)
{
    CLEANUP(bytes_done) struct bytes line = {.max_bytes = READY_LINE_MAX_BYTES};
    int end = read_line(served->stdout_fd, deadline, &line, served->program, error);
    if (end < 0)
        return -1;
    int status = 0;
    if (end > 0)
        return child_wait(served->child, deadline, &status, error) ? -1 : fail_ended(served, status, error);
    CLEANUP_JSON cJSON *ready = json_parse(bytes_text(&line), line.length_bytes, served->program, error);
    if (!ready || json_integer(ready, "v", 0) != READY_VERSION || strcmp(json_string(ready, "program", ""), served->program) != 0)
        return error_set(error, ERROR_OWNER_RIG, ERROR_PROTOCOL, "%s: its first line is not a ready record of version %d", served->program,
                         READY_VERSION);
    served->ready = TAKE(ready);
    return 0;
}

static int start_child(struct served *served, const struct served_options *options, struct error *error)
{
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC))
        return error_set_errno(error, ERROR_OWNER_OURS, errno, "make a pipe");
    served->stdout_fd = pipe_fds[0];
    CLEANUP_FD int stdout_fd = pipe_fds[1];
    CLEANUP_FD int log_fd = open(options->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log_fd < 0)
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "write '%s'", options->log_path);
    struct child_options child = {
        .argv = options->argv,
        .stdin_fd = -1,
        .stdout_fd = stdout_fd,
        .stderr_fd = log_fd,
        .death_signal = SIGTERM,
        /* Ctrl-C is for us: the programs must live until the report is written. */
        .has_own_group = true,
        .loop = options->loop,
        .on_exit = on_child_exit,
        .user = served,
    };
    return child_start(&child, &served->child, error);
}

int served_start(const struct served_options *options, struct served **ret_served, struct error *error)
{
    CLEANUP(served_stop_cleanup) struct served *served = calloc(1, sizeof *served);
    if (!served)
        return error_set_memory(error);
    served->stdout_fd = -1;
    served->program = strdup(options->program);
    served->log_path = strdup(options->log_path);
    if (!served->program || !served->log_path)
        return error_set_memory(error);
    if (start_child(served, options, error) || read_ready(served, options->deadline, error))
        return -1;
    *ret_served = TAKE(served);
    return 0;
}

const cJSON *served_ready(const struct served *served)
{
    return served->ready;
}

pid_t served_pid(const struct served *served)
{
    return child_pid(served->child);
}

void served_signal(struct served *served, int signal_number)
{
    child_signal(served->child, signal_number);
}

bool served_is_running(const struct served *served, struct error *error)
{
    if (!served->has_ended)
        return true;
    fail_ended(served, served->status, error);
    return false;
}

void served_stop(struct served *served)
{
    if (!served)
        return;
    child_stop(served->child, SIGTERM, STOP_GRACE_MS);
    child_free(served->child);
    if (served->stdout_fd >= 0)
        close(served->stdout_fd);
    cJSON_Delete(served->ready);
    free(served->program);
    free(served->log_path);
    free(served);
}
