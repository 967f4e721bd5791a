#include "harness/serial/raw_file.h"

#include "base/files.h"
#include "tests/cmocka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/dpsbench-raw-XXXXXX";
static char path[64];

static int set_up(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/dpsbench-raw-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof(path), "%s/console.raw", dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return dir_remove(dir, NULL);
}

static void assert_holds(const char *text)
{
    struct bytes bytes;
    assert_int_equal(file_read(path, 4096, &bytes, NULL), 0);
    assert_string_equal(bytes_text(&bytes), text);
    bytes_done(&bytes);
}

static void appends_to_what_is_there_and_is_private(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct raw_file *file = NULL;
        assert_int_equal(raw_file_open(path, 0, &file, NULL), 0);
        raw_file_write(file, "a\r\nb", 4);
        assert_int_equal(raw_file_check(file, NULL), 0);
        raw_file_close(file);
    }
    assert_holds("a\r\nba\r\nb");
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void keeps_what_fits_and_counts_the_rest(void **state)
{
    (void)state;
    struct raw_file *file = NULL;
    struct error error = ERROR_INIT;
    assert_int_equal(raw_file_open(path, 5, &file, NULL), 0);
    raw_file_write(file, "123", 3);
    assert_int_equal(raw_file_check(file, &error), 0);
    raw_file_write(file, "456789", 6);
    raw_file_write(file, "0", 1);
    assert_int_equal(raw_file_missing_bytes(file), 5);
    assert_int_equal(raw_file_check(file, &error), -1);
    assert_int_equal(error.code, ERROR_LIMIT);
    raw_file_close(file);
    assert_holds("12345");
}

static void survives_a_full_disk(void **state)
{
    (void)state;
    struct raw_file *file = NULL;
    struct error error = ERROR_INIT;
    assert_int_equal(raw_file_open("/dev/full", 0, &file, NULL), 0);
    raw_file_write(file, "123", 3);
    assert_int_equal(raw_file_missing_bytes(file), 3);
    assert_int_equal(raw_file_check(file, &error), -1);
    assert_int_equal(error.code, ERROR_IO);
    assert_int_equal(error.owner, ERROR_OWNER_RIG);
    raw_file_close(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(appends_to_what_is_there_and_is_private, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keeps_what_fits_and_counts_the_rest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(survives_a_full_disk, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
