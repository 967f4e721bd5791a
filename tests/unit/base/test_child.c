#include "base/child.h"

#include "base/cleanup.h"
#include "tests/unit/base/scratch.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "tests/cmocka.h"

enum { PATIENCE_MS = 20000 }; /* for machines under load; no test needs it */

static deadline_t soon(void)
{
    return deadline_in_ms(&clock_system, PATIENCE_MS);
}

static struct child_options options_of(const char *const *argv)
{
    return (struct child_options){.argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1};
}

static struct child *start_shell(const char *script, int stdout_fd)
{
    const char *argv[] = {"sh", "-c", script, NULL};
    struct child_options options = options_of(argv);
    options.stdout_fd = stdout_fd;
    struct child *child = NULL;
    struct error error = ERROR_INIT;
    if (child_start(&options, &child, &error))
        fail_msg("%s", error.text);
    return child;
}

static void gives_back_the_exit_status(void **state)
{
    (void)state;
    struct child *child = start_shell("exit 7", -1);
    int status = 0;
    assert_int_equal(child_wait(child, soon(), &status, NULL), 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_false(child_is_running(child));
    assert_int_equal(child_wait(child, soon(), NULL, NULL), 0);
    child_free(child);
}

static void a_missing_program_is_told_by_the_start(void **state)
{
    (void)state;
    const char *argv[] = {"no-such-program-anywhere", NULL};
    struct child_options options = options_of(argv);
    struct child *child = NULL;
    struct error error = ERROR_INIT;
    assert_int_equal(child_start(&options, &child, &error), -1);
    assert_int_equal(error.code, ERROR_NOT_FOUND);
    assert_int_equal(error.owner, ERROR_OWNER_RIG);
    assert_non_null(strstr(error.text, "no-such-program-anywhere"));
    assert_null(child);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void a_program_that_may_not_run_is_an_io_error(void **state)
{
    const char *path = scratch_path(state, "text");
    scratch_write(path, "no program");
    const char *argv[] = {path, NULL};
    struct child_options options = options_of(argv);
    struct child *child = NULL;
    struct error error = ERROR_INIT;
    assert_int_equal(child_start(&options, &child, &error), -1);
    assert_int_equal(error.code, ERROR_IO);
    assert_int_equal(error.owner, ERROR_OWNER_RIG);
}

static void a_wait_that_is_over_says_timeout_and_the_child_lives_on(void **state)
{
    (void)state;
    struct child *child = NULL;
    const char *argv[] = {"cat", NULL};
    int input[2];
    assert_int_equal(pipe2(input, O_CLOEXEC), 0);
    struct child_options options = options_of(argv);
    options.stdin_fd = input[0];
    assert_int_equal(child_start(&options, &child, NULL), 0);
    struct error error = ERROR_INIT;
    int status = 77;
    assert_int_equal(child_wait(child, deadline_in_ms(&clock_system, 1), &status, &error), -1);
    assert_int_equal(error.code, ERROR_TIMEOUT);
    assert_int_equal(status, 77);
    assert_true(child_is_running(child));
    close(input[1]), close(input[0]);
    assert_int_equal(child_wait(child, soon(), &status, NULL), 0);
    assert_int_equal(status, 0);
    child_free(child);
}

static void kill_9_shows_as_its_signal(void **state)
{
    (void)state;
    struct child *child = start_shell("kill -9 $$", -1);
    int status = 0;
    char text[CHILD_STATUS_TEXT_BYTES];
    assert_int_equal(child_wait(child, soon(), &status, NULL), 0);
    child_status_text(status, text);
    assert_string_equal(text, "signal 9 (Killed)");
    child_status_text(3 << 8, text);
    assert_string_equal(text, "exit status 3");
    child_free(child);
}

static void read_line(int fd, char *text, size_t size)
{
    size_t length = 0;
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    while (length + 1 < size && poll(&poll_fd, 1, PATIENCE_MS) == 1 && read(fd, text + length, 1) == 1 && text[length] != '\n')
        length++;
    text[length] = 0;
}

static void stop_sends_the_signal_and_then_kills(void **state)
{
    (void)state;
    int output[2];
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    struct child *child = start_shell("trap '' TERM; echo ready; while :; do read x; done", output[1]);
    char text[16];
    read_line(output[0], text, sizeof text);
    assert_string_equal(text, "ready");
    child_stop(child, SIGTERM, 50);
    assert_false(child_is_running(child));
    child_stop(child, SIGTERM, 50);
    child_free(child);
    child_stop(NULL, SIGTERM, 50);
    child_free(NULL);
    close(output[0]), close(output[1]);
}

static void free_kills_what_still_runs(void **state)
{
    (void)state;
    struct child *child = start_shell("exec sleep 100", -1);
    pid_t pid = child_pid(child);
    assert_true(child_is_running(child));
    child_free(child);
    assert_int_equal(kill(pid, 0), -1);
}

/* The descriptors of one stream must not be overwritten while another is put in place: here they stand crosswise. */
static void streams_may_be_given_crosswise(void **state)
{
    const char *path = scratch_path(state, "out");
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int saved = dup(STDERR_FILENO);
    dup2(file, STDERR_FILENO);
    const char *argv[] = {"sh", "-c", "echo to-stdout; echo to-stderr >&2", NULL};
    struct child_options options = options_of(argv);
    options.stdout_fd = STDERR_FILENO;
    options.stderr_fd = STDOUT_FILENO;
    struct child *child = NULL;
    int failed = child_start(&options, &child, NULL);
    if (!failed)
        failed = child_wait(child, soon(), NULL, NULL);
    dup2(saved, STDERR_FILENO);
    close(saved);
    child_free(child);
    char text[64] = "";
    assert_int_equal(failed, 0);
    assert_true(pread(file, text, sizeof text - 1, 0) > 0);
    assert_string_equal(text, "to-stdout\n");
    close(file);
}

static void gets_dev_null_for_stdin_and_stderr_and_nothing_else(void **state)
{
    (void)state;
    close_range(3, ~0U, 0); /* what the test's own parent left open */
    int output[2];
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    struct child *child = start_shell("ls -l /proc/self/fd | grep -c /dev/null", output[1]);
    char text[16];
    read_line(output[0], text, sizeof text);
    assert_string_equal(text, "2");
    child_wait(child, soon(), NULL, NULL);
    child_free(child);
    close(output[0]), close(output[1]);
}

static void starts_with_no_signal_blocked_or_ignored(void **state)
{
    (void)state;
    sigset_t all, old;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &old);
    void (*pipe_was)(int) = signal(SIGPIPE, SIG_IGN);
    int output[2];
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    struct child *child = start_shell("grep -E 'Sig(Blk|Ign)' /proc/self/status | tr -d '\\n\\t'", output[1]);
    signal(SIGPIPE, pipe_was);
    sigprocmask(SIG_SETMASK, &old, NULL);
    child_wait(child, soon(), NULL, NULL);
    close(output[1]);
    char text[128];
    read_line(output[0], text, sizeof text);
    assert_string_equal(text, "SigBlk:0000000000000000SigIgn:0000000000000000");
    child_free(child);
    close(output[0]);
}

struct seen {
    int calls;
    int status;
    struct child *child;
};

static void on_exit_free_it(void *user, struct child *child, int status)
{
    struct seen *seen = user;
    seen->calls++;
    seen->status = status;
    seen->child = child;
    child_free(child);
}

static void the_loop_calls_back_once_and_the_child_may_be_freed_there(void **state)
{
    (void)state;
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct seen seen = {0};
    const char *argv[] = {"sh", "-c", "exit 5", NULL};
    struct child_options options = options_of(argv);
    options.loop = &loop;
    options.on_exit = on_exit_free_it;
    options.user = &seen;
    struct child *child = NULL;
    assert_int_equal(child_start(&options, &child, NULL), 0);
    struct child *started = child;
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(seen.calls, 1);
    assert_ptr_equal(seen.child, started);
    assert_int_equal(WEXITSTATUS(seen.status), 5);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void on_exit_keep_it(void *user, struct child *child, int status)
{
    struct seen *seen = user;
    seen->calls++;
    seen->status = status;
    seen->child = child;
}

static void the_loop_ends_when_the_last_child_has(void **state)
{
    (void)state;
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct seen seen = {0};
    const char *argv[] = {"true", NULL};
    struct child_options options = options_of(argv);
    options.loop = &loop;
    options.on_exit = on_exit_keep_it;
    options.user = &seen;
    struct child *child = NULL;
    assert_int_equal(child_start(&options, &child, NULL), 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_int_equal(seen.calls, 1);
    assert_false(child_is_running(child));
    child_free(child);
}

static void a_child_that_is_freed_early_calls_nobody(void **state)
{
    (void)state;
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct seen seen = {0};
    const char *argv[] = {"cat", NULL};
    struct child_options options = options_of(argv);
    options.loop = &loop;
    options.on_exit = on_exit_free_it;
    options.user = &seen;
    struct child *child = NULL;
    assert_int_equal(child_start(&options, &child, NULL), 0);
    child_free(child);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(seen.calls, 0);
    assert_int_equal(uv_loop_close(&loop), 0);
}

/* In a process between: starts a child that holds the pipe's writing end, then is killed. The pipe ends only when the child ends too. */
static pid_t start_parent(int death_signal, int ready_fd)
{
    pid_t parent = fork();
    if (parent != 0)
        return parent;
    const char *argv[] = {"sh", "-c", "trap 'echo told; exit' USR1; echo up; while :; do sleep 0.05; done", NULL};
    struct child_options options = options_of(argv);
    options.stdout_fd = ready_fd;
    options.death_signal = death_signal;
    struct child *child;
    if (child_start(&options, &child, NULL))
        _exit(1);
    close(ready_fd);
    for (;;)
        pause();
}

static void gets_its_death_signal_when_we_are_killed(void **state)
{
    (void)state;
    int output[2];
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    pid_t parent = start_parent(SIGUSR1, output[1]);
    close(output[1]);
    char text[16];
    read_line(output[0], text, sizeof text);
    kill(parent, SIGKILL);
    waitpid(parent, NULL, 0);
    assert_string_equal(text, "up");
    read_line(output[0], text, sizeof text);
    assert_string_equal(text, "told");
    close(output[0]);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_back_the_exit_status),
        cmocka_unit_test(a_missing_program_is_told_by_the_start),
        TEST(a_program_that_may_not_run_is_an_io_error),
        cmocka_unit_test(a_wait_that_is_over_says_timeout_and_the_child_lives_on),
        cmocka_unit_test(kill_9_shows_as_its_signal),
        cmocka_unit_test(stop_sends_the_signal_and_then_kills),
        cmocka_unit_test(free_kills_what_still_runs),
        TEST(streams_may_be_given_crosswise),
        cmocka_unit_test(gets_dev_null_for_stdin_and_stderr_and_nothing_else),
        cmocka_unit_test(starts_with_no_signal_blocked_or_ignored),
        cmocka_unit_test(the_loop_calls_back_once_and_the_child_may_be_freed_there),
        cmocka_unit_test(the_loop_ends_when_the_last_child_has),
        cmocka_unit_test(a_child_that_is_freed_early_calls_nobody),
        cmocka_unit_test(gets_its_death_signal_when_we_are_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
