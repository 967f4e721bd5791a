#include "base/ready.h"

#include "tests/unit/base/scratch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/cmocka.h"

/* Publish with stdout turned into a file, and give back what was printed. */
static void publish(void **state, const cJSON *ready, char *text, size_t size)
{
    fflush(stdout);
    int saved = dup(STDOUT_FILENO);
    int file = open(scratch_path(state, "stdout"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    dup2(file, STDOUT_FILENO);
    int failed = ready_publish(*state, ready, NULL);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    ssize_t got = pread(file, text, size - 1, 0);
    text[got > 0 ? got : 0] = 0;
    close(file);
    assert_int_equal(failed, 0);
}

static void the_file_and_the_line_on_stdout_are_the_same_record(void **state)
{
    CLEANUP_JSON cJSON *ready = ready_new("dpsbench-sim");
    json_set_string(ready, "dps", "127.0.0.1:8883");
    char text[512];
    publish(state, ready, text, sizeof text);
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    CLEANUP_JSON cJSON *printed = json_parse(text, strlen(text), "stdout", NULL);
    CLEANUP_JSON cJSON *read = NULL;
    assert_int_equal(ready_read(*state, "dpsbench-sim", &read, NULL), 0);
    assert_true(cJSON_Compare(printed, read, true));
    assert_true(cJSON_Compare(ready, read, true));
    assert_int_equal(json_integer(read, "pid", 0), getpid());
    assert_int_equal(json_integer(read, "v", 0), 1);
}

static void the_file_holds_the_very_line_that_was_printed(void **state)
{
    CLEANUP_JSON cJSON *ready = ready_new("dpsbench-sim");
    char text[512], held[512] = {0};
    publish(state, ready, text, sizeof text);
    int file = open(scratch_path(state, "ready.json"), O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0 && read(file, held, sizeof held - 1) > 0);
    close(file);
    assert_string_equal(held, text);
}

static void the_file_may_be_read_by_everybody(void **state)
{
    CLEANUP_JSON cJSON *ready = ready_new("dpsbench-vdk");
    char text[512];
    publish(state, ready, text, sizeof text);
    struct stat status;
    assert_int_equal(stat(scratch_path(state, "ready.json"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0644);
}

static int read_error(void **state, const char *program, struct error *error)
{
    cJSON *ready = NULL;
    int result = ready_read(*state, program, &ready, error);
    assert_null(ready);
    assert_int_equal(error->owner, ERROR_OWNER_RIG);
    return result;
}

static void a_program_that_is_not_there_yet_is_not_found(void **state)
{
    struct error error = ERROR_INIT;
    assert_int_equal(read_error(state, "dpsbench-sim", &error), -1);
    assert_int_equal(error.code, ERROR_NOT_FOUND);
}

static void what_a_dead_program_left_behind_is_not_trusted(void **state)
{
    pid_t dead = fork();
    if (dead == 0)
        _exit(0);
    waitpid(dead, NULL, 0);
    CLEANUP_JSON cJSON *ready = ready_new("dpsbench-sim");
    json_set_integer(ready, "pid", dead);
    char text[512];
    publish(state, ready, text, sizeof text);
    struct error error = ERROR_INIT;
    assert_int_equal(read_error(state, "dpsbench-sim", &error), -1);
    assert_int_equal(error.code, ERROR_NOT_FOUND);
    assert_non_null(strstr(error.text, "gone"));
}

static void another_program_or_version_is_refused(void **state)
{
    const char *const bad[] = {
        "{\"v\":1,\"program\":\"dpsbench-vdk\",\"pid\":1}",
        "{\"v\":2,\"program\":\"dpsbench-sim\",\"pid\":1}",
        "[]",
        "{}",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        scratch_write(scratch_path(state, "ready.json"), bad[i]);
        struct error error = ERROR_INIT;
        assert_int_equal(read_error(state, "dpsbench-sim", &error), -1);
        assert_int_equal(error.code, ERROR_PROTOCOL);
    }
}

static void a_record_without_a_process_is_not_trusted(void **state)
{
    scratch_write(scratch_path(state, "ready.json"), "{\"v\":1,\"program\":\"dpsbench-sim\",\"pid\":0}");
    struct error error = ERROR_INIT;
    assert_int_equal(read_error(state, "dpsbench-sim", &error), -1);
    assert_int_equal(error.code, ERROR_NOT_FOUND);
}

static void withdraws_its_file_and_does_not_mind_when_there_is_none(void **state)
{
    scratch_write(scratch_path(state, "ready.json"), "{}");
    ready_withdraw(*state);
    assert_false(path_exists(scratch_path(state, "ready.json")));
    ready_withdraw(*state);
}

static void a_folder_that_is_missing_is_an_error_of_publish(void **state)
{
    CLEANUP_JSON cJSON *ready = ready_new("dpsbench-sim");
    struct error error = ERROR_INIT;
    assert_int_equal(ready_publish(scratch_path(state, "no"), ready, &error), -1);
    assert_int_equal(error.owner, ERROR_OWNER_RIG);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_file_and_the_line_on_stdout_are_the_same_record),
        TEST(the_file_holds_the_very_line_that_was_printed),
        TEST(the_file_may_be_read_by_everybody),
        TEST(a_program_that_is_not_there_yet_is_not_found),
        TEST(what_a_dead_program_left_behind_is_not_trusted),
        TEST(another_program_or_version_is_refused),
        TEST(a_record_without_a_process_is_not_trusted),
        TEST(withdraws_its_file_and_does_not_mind_when_there_is_none),
        TEST(a_folder_that_is_missing_is_an_error_of_publish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
