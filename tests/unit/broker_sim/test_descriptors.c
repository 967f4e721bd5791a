/* How many devices fit into the limit on open files. Each test lowers limits for good, so it is a process of its own. */
#include "broker_sim/simulator/descriptors.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/cmocka.h"

/* What descriptors_for_sessions gives in a process with these limits, and the soft limit behind it. */
static int sessions_with(rlim_t soft, rlim_t hard, size_t wanted, rlim_t soft_afterwards)
{
    enum { NOT_ALLOWED = 255, OTHER_LIMIT = 254 };
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit limit = {soft, hard};
        if (setrlimit(RLIMIT_NOFILE, &limit))
            _exit(NOT_ALLOWED);
        size_t count = descriptors_for_sessions(wanted);
        getrlimit(RLIMIT_NOFILE, &limit);
        _exit(limit.rlim_cur == soft_afterwards ? (int)count : OTHER_LIMIT);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == NOT_ALLOWED)
        skip(); /* less is allowed here, or valgrind keeps the limits */
    return WEXITSTATUS(status);
}

static void raises_the_soft_limit_to_the_hard_one(void **state)
{
    (void)state;
    assert_int_equal(sessions_with(64, 512, 100, 512), 100);
}

static void takes_as_many_devices_as_fit(void **state)
{
    (void)state;
    assert_int_equal(sessions_with(128, 260, 100, 260), 50);
    assert_int_equal(sessions_with(360, 360, 100, 360), 100);
    assert_int_equal(sessions_with(359, 359, 100, 359), 99);
}

static void takes_one_device_however_little_there_is(void **state)
{
    (void)state;
    assert_int_equal(sessions_with(32, 32, 100, 32), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(raises_the_soft_limit_to_the_hard_one),
        cmocka_unit_test(takes_as_many_devices_as_fit),
        cmocka_unit_test(takes_one_device_however_little_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
