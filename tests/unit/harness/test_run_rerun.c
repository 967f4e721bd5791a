#include "harness/run/rerun.h"

#include "base/cleanup.h"

#include <string.h>

#include "tests/cmocka.h"

static char *command_of(struct rig *rig, const struct run_options *options)
{
    char *command = rerun_command(options, &rig->devices[0], "a/b:c");
    assert_non_null(command);
    return command;
}

static void names_the_row_alone_when_all_else_is_the_default(void **state)
{
    (void)state;
    struct rig rig = {.device_count = 1, .devices = {{.id = (char[]){"dk"}, .is_connected = true}}};
    const struct run_options options = {.rig = &rig, .cases_directory = "home/cases"};
    CLEANUP_FREE char *command = command_of(&rig, &options);
    assert_string_equal(strstr(command, " run "), " run a/b:c");
}

static void names_rig_device_cases_and_time_scale_when_they_were_chosen(void **state)
{
    (void)state;
    struct rig rig = {.file = (char[]){"my rig.yaml"},
                      .device_count = 2,
                      .devices = {{.id = (char[]){"dk 1"}, .is_connected = true}, {.id = (char[]){"dk2"}, .is_connected = true}}};
    const struct run_options options = {.rig = &rig, .cases_directory = "mine", .has_own_cases = true, .time_scale = 5};
    CLEANUP_FREE char *command = command_of(&rig, &options);
    assert_string_equal(strstr(command, " run "), " run a/b:c --rig 'my rig.yaml' --device 'dk 1' --cases mine --time-scale 5");
}

static void the_program_is_one_that_can_be_called(void **state)
{
    (void)state;
    struct rig rig = {0};
    const struct run_options options = {.rig = &rig, .directory = "out/1"};
    CLEANUP_FREE char *command = rerun_show_command(&options, "a/b");
    char *rest = strstr(command, " show ");
    assert_non_null(rest);
    assert_string_equal(rest, " show out/1 a/b");
    *rest = 0;
    /* Quoted for a shell where the repository stands in a folder with a space: let a shell take the quotes off. */
    CLEANUP_FREE char *question = NULL;
    assert_true(asprintf(&question, "test -x %s", command) > 0);
    assert_int_equal(system(question), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_the_row_alone_when_all_else_is_the_default),
        cmocka_unit_test(names_rig_device_cases_and_time_scale_when_they_were_chosen),
        cmocka_unit_test(the_program_is_one_that_can_be_called),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
