/* Served programs, hooks and waits, with small shell programs on a real loop. */
#include "base/cleanup.h"
#include "harness/rig/hook.h"
#include "harness/rig/served.h"
#include "tests/unit/base/scratch.h"

#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "tests/cmocka.h"

struct fixture {
    uv_loop_t loop;
    struct waiting *waiting;
    void *scratch;
    char log[512];
    struct error error;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){0};
    if (scratch_make(&fixture.scratch))
        return -1;
    snprintf(fixture.log, sizeof fixture.log, "%s/log", (const char *)fixture.scratch);
    uv_loop_init(&fixture.loop);
    const struct waiting_options options = {.loop = &fixture.loop, .clock = &clock_system};
    *state = &fixture;
    return waiting_new(&options, &fixture.waiting, NULL);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    waiting_free(fixture->waiting);
    while (uv_run(&fixture->loop, UV_RUN_NOWAIT))
        ;
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    return scratch_remove(&fixture->scratch);
}

static deadline_t soon(int64_t ms)
{
    return deadline_in_ms(&clock_system, ms);
}

static int start(struct fixture *fixture, const char *script, int64_t ms, struct served **ret_served)
{
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    const struct served_options options = {
        .loop = &fixture->loop, .program = "dpsbench-sim", .argv = argv, .log_path = fixture->log, .deadline = soon(ms)};
    fixture->error = (struct error)ERROR_INIT;
    return served_start(&options, ret_served, &fixture->error);
}

#define READY "echo '{\"v\":1,\"program\":\"dpsbench-sim\",\"dps\":\"127.0.0.1:1\"}'; "

static void reads_the_ready_record_of_a_program(void **state)
{
    struct served *served = NULL;
    assert_int_equal(start(*state, READY "exec sleep 60", 10000, &served), 0);
    assert_string_equal(json_string(served_ready(served), "dps", ""), "127.0.0.1:1");
    assert_true(served_is_running(served, NULL));
    served_stop(served);
}

static void a_program_that_ends_early_gives_its_last_words(void **state)
{
    struct fixture *fixture = *state;
    struct served *served = NULL;
    assert_int_equal(start(fixture, "echo first >&2; echo 'no mosquitto here' >&2; exit 3", 10000, &served), -1);
    assert_int_equal(fixture->error.owner, ERROR_OWNER_RIG);
    assert_string_equal(fixture->error.text, "dpsbench-sim ended (exit status 3): no mosquitto here");
}

static void a_program_that_says_nothing_runs_into_the_deadline(void **state)
{
    struct fixture *fixture = *state;
    struct served *served = NULL;
    assert_int_equal(start(fixture, "exec sleep 60", 100, &served), -1);
    assert_int_equal(fixture->error.code, ERROR_TIMEOUT);
}

static void a_first_line_that_is_no_ready_record_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct served *served = NULL;
    assert_int_equal(start(fixture, "echo '{\"v\":2,\"program\":\"dpsbench-sim\"}'; exec sleep 60", 10000, &served), -1);
    assert_int_equal(fixture->error.code, ERROR_PROTOCOL);
}

static bool has_ended(void *user)
{
    return !served_is_running(user, NULL);
}

static void the_loop_sees_its_end(void **state)
{
    struct fixture *fixture = *state;
    struct served *served = NULL;
    assert_int_equal(start(fixture, READY "exec sleep 60", 10000, &served), 0);
    served_signal(served, SIGKILL);
    assert_int_equal(waiting_until(fixture->waiting, has_ended, served, soon(10000), "its end", NULL), 0);
    struct error error = ERROR_INIT;
    assert_false(served_is_running(served, &error));
    assert_string_equal(error.text, "dpsbench-sim ended (signal 9 (Killed))");
    served_stop(served);
}

static int run_hook(struct fixture *fixture, const char *script, int64_t ms)
{
    struct rig_command command = {.argv = {(char[]){"/bin/sh"}, (char[]){"-c"}, (char *)(uintptr_t)script}, .timeout_ms = ms};
    command.input = (char[]){"from the preset\n"};
    const char *const environment[] = {"DPSBENCH_CASE=refused/no-chain", NULL};
    const struct hook_options options = {
        .command = &command, .name = "reset", .log_path = fixture->log, .waiting = fixture->waiting, .environment = environment};
    fixture->error = (struct error)ERROR_INIT;
    return hook_run(&options, &fixture->error);
}

static void a_hook_runs_to_its_end(void **state)
{
    assert_int_equal(run_hook(*state, "exit 0", 10000), 0);
}

static char *log_of(struct fixture *fixture)
{
    CLEANUP(bytes_done) struct bytes log = {0};
    assert_int_equal(file_read(fixture->log, 10000, &log, NULL), 0);
    return strdup(bytes_text(&log));
}

static void a_hook_gets_its_input_and_its_environment(void **state)
{
    assert_int_equal(run_hook(*state, "cat; echo \"row $DPSBENCH_CASE\"", 10000), 0);
    CLEANUP_FREE char *log = log_of(*state);
    assert_non_null(
        strstr(log, " reset: /bin/sh -c 'cat; echo \"row $DPSBENCH_CASE\"'\nfrom the preset\nrow refused/no-chain\n--- exit status 0\n"));
}

static void a_hook_that_fails_is_the_rigs_trouble(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run_hook(fixture, "echo no probe; exit 33", 10000), -1);
    assert_int_equal(fixture->error.owner, ERROR_OWNER_RIG);
    assert_non_null(strstr(fixture->error.text, "hook reset ('/bin/sh'): exit status 33: no probe; its output is in '"));
    CLEANUP_FREE char *log = log_of(fixture);
    assert_non_null(strstr(log, "\nno probe\n--- exit status 33\n"));
}

static void a_hook_that_hangs_is_ended_at_the_deadline(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run_hook(fixture, "exec sleep 60", 100), -1);
    assert_int_equal(fixture->error.code, ERROR_TIMEOUT);
    assert_non_null(strstr(fixture->error.text, "was killed; its output is in"));
}

static void what_a_hook_started_is_killed_with_it(void **state)
{
    struct fixture *fixture = *state;
    /* The pipe ends only when the grandchild, which holds its other end, is gone. */
    int fds[2];
    char script[96];
    assert_int_equal(pipe(fds), 0);
    snprintf(script, sizeof script, "sleep 60 >/proc/self/fd/%d & wait", fds[1]);
    assert_int_equal(run_hook(fixture, script, 300), -1);
    close(fds[1]);
    struct pollfd end = {.fd = fds[0], .events = POLLIN};
    assert_int_equal(poll(&end, 1, 10000), 1);
    assert_int_equal(end.revents, POLLHUP);
    close(fds[0]);
}

static void a_hook_that_is_not_there_is_named(void **state)
{
    struct fixture *fixture = *state;
    struct rig_command command = {.argv = {(char[]){"/nonexistent/flash"}}, .timeout_ms = 1000};
    const struct hook_options options = {.command = &command, .name = "flash", .log_path = fixture->log, .waiting = fixture->waiting};
    assert_int_equal(hook_run(&options, &fixture->error), -1);
    assert_int_equal(fixture->error.code, ERROR_NOT_FOUND);
    assert_non_null(strstr(fixture->error.text, "/nonexistent/flash"));
}

static bool never(void *user)
{
    (void)user;
    return false;
}

static void a_wait_says_what_it_waited_for(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(waiting_until(fixture->waiting, never, NULL, soon(50), "the moon", &fixture->error), -1);
    assert_int_equal(fixture->error.code, ERROR_TIMEOUT);
    assert_non_null(strstr(fixture->error.text, "s for the moon"));
}

static void a_signal_ends_a_wait_and_clean_up_may_go_on(void **state)
{
    struct fixture *fixture = *state;
    kill(getpid(), SIGINT);
    assert_int_equal(waiting_until(fixture->waiting, never, NULL, soon(10000), "the moon", &fixture->error), -1);
    assert_int_equal(fixture->error.code, ERROR_INTERRUPTED);
    assert_int_equal(fixture->error.owner, ERROR_OWNER_PERSON);
    assert_int_equal(waiting_signal(fixture->waiting), SIGINT);
    waiting_resume(fixture->waiting);
    assert_int_equal(waiting_settle(fixture->waiting, 10, NULL), 0);
    assert_int_equal(waiting_signal(fixture->waiting), SIGINT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reads_the_ready_record_of_a_program),
        TEST(a_program_that_ends_early_gives_its_last_words),
        TEST(a_program_that_says_nothing_runs_into_the_deadline),
        TEST(a_first_line_that_is_no_ready_record_is_refused),
        TEST(the_loop_sees_its_end),
        TEST(a_hook_runs_to_its_end),
        TEST(a_hook_gets_its_input_and_its_environment),
        TEST(what_a_hook_started_is_killed_with_it),
        TEST(a_hook_that_fails_is_the_rigs_trouble),
        TEST(a_hook_that_hangs_is_ended_at_the_deadline),
        TEST(a_hook_that_is_not_there_is_named),
        TEST(a_wait_says_what_it_waited_for),
        TEST(a_signal_ends_a_wait_and_clean_up_may_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
