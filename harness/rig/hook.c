#include "harness/rig/hook.h"

#include "base/bytes.h"
#include "base/child.h"
#include "base/cleanup.h"
#include "base/shell_word.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

DEFINE_CLEANUP(struct child *, child_free)

enum { LAST_WORDS_MAX_BYTES = 256 };

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

/* ---- the log ---- */

static void log_start(int log_fd, const struct hook_options *options)
{
    char now[CLOCK_ISO8601_BYTES];
    clock_format_iso8601(clock_unix_us(waiting_clock(options->waiting)), now);
    dprintf(log_fd, "--- %s %s:", now, options->name);
    for (char *const *word = options->command->argv; *word; word++) {
        CLEANUP_FREE char *quoted = shell_word(*word);
        dprintf(log_fd, " %s", quoted ? quoted : "?");
    }
    dprintf(log_fd, "\n");
}

/* What it wrote last, of what it wrote since `start`: most programs say there what went wrong. */
static void last_words(int log_fd, off_t start, char *words)
{
    char tail[LAST_WORDS_MAX_BYTES];
    off_t end = lseek(log_fd, 0, SEEK_END);
    off_t from = end - start < (off_t)sizeof tail ? start : end - (off_t)sizeof tail + 1;
    ssize_t length = end > from ? pread(log_fd, tail, (size_t)(end - from), from) : 0;
    while (length > 0 && strchr("\r\n ", tail[length - 1]))
        length--;
    tail[length > 0 ? length : 0] = 0;
    const char *newline = strrchr(tail, '\n');
    snprintf(words, LAST_WORDS_MAX_BYTES, "%s", newline ? newline + 1 : tail);
}

/* ---- running ---- */

/* A hook that reads nothing must not wait for a person. */
static int open_input(const char *input, struct error *error)
{
    if (!input)
        return -1;
    int fd = memfd_create("hook-input", MFD_CLOEXEC);
    size_t length = strlen(input);
    if (fd < 0 || write(fd, input, length) != (ssize_t)length || lseek(fd, 0, SEEK_SET)) {
        error_set_errno(error, ERROR_OWNER_OURS, errno, "keep the input of a hook");
        if (fd >= 0)
            close(fd);
        return -2;
    }
    return fd;
}

static int start(const struct hook_options *options, int log_fd, struct hook_end *end, struct child **ret_child, struct error *error)
{
    CLEANUP_FD int input_fd = open_input(options->command->input, error);
    if (input_fd == -2)
        return -1;
    struct child_options child = {
        .argv = (const char *const *)options->command->argv,
        .stdin_fd = input_fd,
        .stdout_fd = log_fd,
        .stderr_fd = log_fd,
        .death_signal = SIGKILL,
        .has_own_group = true,
        .environment = options->environment,
        .loop = waiting_loop(options->waiting),
        .on_exit = on_child_exit,
        .user = end,
    };
    return child_start(&child, ret_child, error);
}

static int wait_for(const struct hook_options *options, const struct hook_end *end, struct error *error)
{
    const struct rig_command *command = options->command;
    deadline_t deadline = deadline_in_ms(waiting_clock(options->waiting), command->timeout_ms);
    struct error late = ERROR_INIT;
    if (!waiting_until(options->waiting, has_ended, (void *)(uintptr_t)end, deadline, command->argv[0], &late))
        return 0;
    if (late.code != ERROR_TIMEOUT)
        return error_set(error, late.owner, late.code, "%s", late.text);
    return error_set(error, ERROR_OWNER_RIG, ERROR_TIMEOUT,
                     "it had not ended after %lld s and was killed; its output is in '%s'; `timeout_s` of the hook gives it more time",
                     (long long)command->timeout_ms / 1000, options->log_path);
}

static int check_end(const struct hook_options *options, const struct hook_end *end, int log_fd, off_t start_at, struct error *error)
{
    char how[CHILD_STATUS_TEXT_BYTES], words[LAST_WORDS_MAX_BYTES];
    child_status_text(end->status, how);
    last_words(log_fd, start_at, words);
    dprintf(log_fd, "--- %s\n", how);
    if (WIFEXITED(end->status) && WEXITSTATUS(end->status) == 0)
        return 0;
    return error_set(error, ERROR_OWNER_RIG, ERROR_IO, "%s%s%s; its output is in '%s'", how, *words ? ": " : "", words, options->log_path);
}

int hook_run(const struct hook_options *options, struct error *error)
{
    CLEANUP_FD int log_fd = open(options->log_path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log_fd < 0)
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "write '%s'", options->log_path);
    struct hook_end end = {0};
    CLEANUP(child_free_cleanup) struct child *child = NULL;
    log_start(log_fd, options);
    off_t start_at = lseek(log_fd, 0, SEEK_END);
    if (start(options, log_fd, &end, &child, error))
        return error_prefix(error, "hook %s", options->name);
    if (wait_for(options, &end, error)) {
        dprintf(log_fd, "--- killed\n");
        return error_prefix(error, "hook %s ('%s')", options->name, options->command->argv[0]);
    }
    if (check_end(options, &end, log_fd, start_at, error))
        return error_prefix(error, "hook %s ('%s')", options->name, options->command->argv[0]);
    return 0;
}

/* ---- before a run ---- */

static bool is_program(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

static bool is_in_folder(const char *folder, size_t length, const char *name)
{
    char path[PATH_MAX];
    int count = snprintf(path, sizeof path, "%.*s/%s", (int)length, length ? folder : ".", name);
    return count > 0 && (size_t)count < sizeof path && is_program(path);
}

/* As execvp() looks: a name with a slash is a path; without PATH the folders of the system. */
bool hook_program_is_there(const struct rig_command *command)
{
    const char *name = command->argv[0], *folders = getenv("PATH");
    if (strchr(name, '/'))
        return is_program(name);
    for (const char *at = folders ? folders : "/bin:/usr/bin"; at; at = strchr(at, ':') ? strchr(at, ':') + 1 : NULL)
        if (is_in_folder(at, strcspn(at, ":"), name))
            return true;
    return false;
}
