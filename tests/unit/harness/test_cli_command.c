#include "harness/cli/command.h"

#include "base/cleanup.h"
#include "reports/result.h"

#include <string.h>

#include "tests/cmocka.h"

static char called[128];

static int remember(int argc, char **argv)
{
    snprintf(called, sizeof called, "%s|%s", argv[0], argc > 1 ? argv[1] : "");
    return 42;
}

static const struct command children[] = {{"verify", "verify it", remember, NULL}, {NULL, NULL, NULL, NULL}};
static const struct command commands[] = {
    {"run", "run it", remember, NULL}, {"certificate", "certificates", NULL, children}, {NULL, NULL, NULL, NULL}};

static int dispatch(const char *first, const char *second, const char *third)
{
    char words[4][32] = {"dpsbench", "", "", ""};
    const char *given[] = {first, second, third};
    char *argv[5] = {words[0]};
    int argc = 1;
    for (; argc < 4 && given[argc - 1]; argc++) {
        snprintf(words[argc], sizeof words[argc], "%s", given[argc - 1]);
        argv[argc] = words[argc];
    }
    called[0] = 0;
    return command_dispatch(commands, "dpsbench", "intro", argc, argv);
}

static void runs_a_command_under_its_full_name(void **state)
{
    (void)state;
    assert_int_equal(dispatch("run", "x", NULL), 42);
    assert_string_equal(called, "dpsbench run|x");
}

static void runs_a_command_of_a_group(void **state)
{
    (void)state;
    assert_int_equal(dispatch("certificate", "verify", "y"), 42);
    assert_string_equal(called, "dpsbench certificate verify|y");
}

static void asks_a_command_for_its_help(void **state)
{
    (void)state;
    assert_int_equal(dispatch("help", "run", NULL), 42);
    assert_string_equal(called, "dpsbench run|--help");
}

static void refuses_what_is_no_command_as_wrong_usage(void **state)
{
    (void)state;
    assert_int_equal(dispatch("rnu", NULL, NULL), EXIT_USAGE);
    assert_int_equal(dispatch("certificate", "verfy", NULL), EXIT_USAGE);
    assert_int_equal(dispatch("help", "rnu", NULL), EXIT_USAGE);
    assert_int_equal(dispatch(NULL, NULL, NULL), EXIT_USAGE);
    assert_string_equal(called, "");
}

static void help_and_version_are_no_errors(void **state)
{
    (void)state;
    assert_int_equal(dispatch("--help", NULL, NULL), 0);
    assert_int_equal(dispatch("--version", NULL, NULL), 0);
    assert_int_equal(dispatch("certificate", "--help", NULL), 0);
}

static void an_errors_owner_gives_the_exit_code(void **state)
{
    (void)state;
    static const struct {
        enum error_owner owner;
        int code;
    } rows[] = {
        {ERROR_OWNER_FILE, 2}, {ERROR_OWNER_RIG, 3}, {ERROR_OWNER_DEVICE, 1}, {ERROR_OWNER_OURS, 4}, {ERROR_OWNER_PERSON, 130},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct error error = {.owner = rows[i].owner, .code = ERROR_OTHER, .text = "test"};
        assert_int_equal(command_fail(&error), rows[i].code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_a_command_under_its_full_name), cmocka_unit_test(runs_a_command_of_a_group),
        cmocka_unit_test(asks_a_command_for_its_help),        cmocka_unit_test(refuses_what_is_no_command_as_wrong_usage),
        cmocka_unit_test(help_and_version_are_no_errors),     cmocka_unit_test(an_errors_owner_gives_the_exit_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
