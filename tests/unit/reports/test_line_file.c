#include "reports/line_file.h"

#include "base/cleanup.h"
#include "tests/unit/base/scratch.h"

#include "tests/cmocka.h"

enum { TEXT_BYTES = 3000 };

static void appends_whole_lines(void **state)
{
    struct line_file *file = NULL;
    const char *path = scratch_path(state, "lines");
    assert_int_equal(line_file_open(path, &file, NULL, NULL), 0);
    assert_int_equal(line_file_append(file, "one", NULL), 0);
    assert_int_equal(line_file_append(file, "", NULL), 0);
    assert_int_equal(line_file_append(file, "three", NULL), 0);
    line_file_close(file);
    CLEANUP(bytes_done) struct bytes text = {0};
    assert_int_equal(file_read(path, 4096, &text, NULL), 0);
    assert_string_equal(bytes_text(&text), "one\n\nthree\n");
}

static void says_which_file_cannot_be_made(void **state)
{
    struct line_file *file = NULL;
    struct error error = ERROR_INIT;
    assert_int_equal(line_file_open(scratch_path(state, "no/such/folder"), &file, NULL, &error), -1);
    assert_int_equal(error.owner, ERROR_OWNER_RIG);
    assert_non_null(strstr(error.text, "no/such/folder"));
    assert_null(file);
}

/* Fill the disk, make a little room, and try again: a hole in the middle would be worse than an end. */
static void keeps_whole_lines_without_a_hole_when_the_disk_is_full(void **state)
{
    CLEANUP_FREE char *disk = path_join(*state, "disk");
    assert_int_equal(dir_make(disk, 0755, NULL), 0);
    if (scratch_mount(disk, "size=64k", 0))
        skip();
    struct line_file *file = NULL;
    struct error error = ERROR_INIT, again = ERROR_INIT;
    char line[TEXT_BYTES + 1];
    memset(line, 'x', TEXT_BYTES);
    line[TEXT_BYTES] = 0;
    scratch_write(scratch_path(state, "disk/ballast"), line);
    assert_int_equal(line_file_open(scratch_path(state, "disk/lines"), &file, NULL, NULL), 0);
    int lines = 0;
    while (lines < 100 && line_file_append(file, line, &error) == 0)
        lines++;
    assert_in_range(lines, 1, 99);
    assert_non_null(strstr(error.text, "disk/lines"));
    assert_int_equal(remove(scratch_path(state, "disk/ballast")), 0);
    assert_int_equal(line_file_append(file, "short", &again), -1);
    assert_string_equal(again.text, error.text);
    line_file_close(file);
    CLEANUP(bytes_done) struct bytes text = {0};
    assert_int_equal(file_read(scratch_path(state, "disk/lines"), 1 << 20, &text, NULL), 0);
    assert_int_equal(text.length_bytes, (size_t)lines * (TEXT_BYTES + 1));
    assert_int_equal(umount(disk), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(appends_whole_lines, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(says_which_file_cannot_be_made, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(keeps_whole_lines_without_a_hole_when_the_disk_is_full, scratch_make, scratch_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
