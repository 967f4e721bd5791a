/* A folder that goes with its command: asked to, killed, or with a program that still uses it. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/files.h"
#include "harness/rig/tempdir.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/cmocka.h"

static void write_into(const char *directory)
{
    char path[512];
    snprintf(path, sizeof path, "%s/deep/er", directory);
    assert_int_equal(dir_make(path, 0700, NULL), 0);
    snprintf(path, sizeof path, "%s/deep/er/file", directory);
    assert_int_equal(file_write_atomic(path, "x", 1, 0600, NULL), 0);
}

/* Nothing tells us: looked at again and again, with a deadline. */
static bool goes_away(const char *path)
{
    deadline_t deadline = deadline_in_ms(&clock_system, 10000);
    while (path_exists(path) && !deadline_has_passed(&clock_system, deadline))
        poll(NULL, 0, 1);
    return !path_exists(path);
}

static void makes_a_private_folder_and_removes_it_with_all_that_is_in_it(void **state)
{
    (void)state;
    struct tempdir *tempdir = NULL;
    struct stat status;
    char path[512];
    assert_int_equal(tempdir_make("dpsbench-unit", &tempdir, NULL), 0);
    snprintf(path, sizeof path, "%s", tempdir_path(tempdir));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    assert_int_equal(path[0], '/');
    write_into(path);
    tempdir_remove(tempdir);
    assert_false(path_exists(path));
}

/* A program, not a mere fork: what is closed on exec does not count. It outlives its parent, but not the test. */
static void use_for_ever(pid_t test)
{
    char option[32];
    snprintf(option, sizeof option, "--pid=%d", (int)test);
    int null_fd = open("/dev/null", O_RDWR);
    dup2(null_fd, STDOUT_FILENO);
    dup2(null_fd, STDERR_FILENO);
    execlp("tail", "tail", option, "-f", "/dev/null", (char *)NULL);
    _exit(1);
}

/* A child that makes one, tells us where, and waits to be killed. Returns its pid; `path` is filled. */
static pid_t start_owner(char path[512], bool has_user, pid_t *ret_user)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t test = getpid(), pid = fork();
    if (pid == 0) {
        struct tempdir *tempdir = NULL;
        if (tempdir_make("dpsbench-unit", &tempdir, NULL))
            _exit(1);
        pid_t user = has_user ? fork() : 0;
        if (has_user && user == 0)
            use_for_ever(test);
        dprintf(ends[1], "%d %s\n", (int)user, tempdir_path(tempdir));
        for (;;)
            pause();
    }
    char line[600] = "";
    assert_true(read(ends[0], line, sizeof line - 1) > 0);
    int user = 0;
    assert_int_equal(sscanf(line, "%d %511s", &user, path), 2);
    if (ret_user)
        *ret_user = user;
    close(ends[0]);
    close(ends[1]);
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void goes_when_its_owner_is_killed(void **state)
{
    (void)state;
    char path[512];
    pid_t owner = start_owner(path, false, NULL);
    write_into(path);
    end(owner);
    assert_true(goes_away(path));
}

static void stays_until_the_last_program_that_uses_it_is_gone(void **state)
{
    (void)state;
    char path[512];
    pid_t user = 0, owner = start_owner(path, true, &user);
    end(owner);
    poll(NULL, 0, 100);
    assert_true(path_exists(path));
    kill(user, SIGKILL);
    assert_true(goes_away(path));
}

static void names_the_folder_in_which_it_cannot_be_made(void **state)
{
    (void)state;
    struct tempdir *tempdir = NULL;
    struct error error = ERROR_INIT;
    const char *now = getenv("TMPDIR");
    CLEANUP_FREE char *before = now ? strdup(now) : NULL;
    setenv("TMPDIR", "/no/such/folder", 1);
    int failed = tempdir_make("dpsbench-unit", &tempdir, &error);
    if (before)
        setenv("TMPDIR", before, 1);
    else
        unsetenv("TMPDIR");
    assert_int_equal(failed, -1);
    assert_int_equal(error.owner, ERROR_OWNER_RIG);
    assert_non_null(strstr(error.text, "/no/such/folder"));
    assert_null(tempdir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes_a_private_folder_and_removes_it_with_all_that_is_in_it),
        cmocka_unit_test(goes_when_its_owner_is_killed),
        cmocka_unit_test(stays_until_the_last_program_that_uses_it_is_gone),
        cmocka_unit_test(names_the_folder_in_which_it_cannot_be_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
