#include "harness/run/room.h"

#include "base/cleanup.h"
#include "tests/unit/base/scratch.h"

#include "tests/cmocka.h"

static void an_ordinary_folder_has_room(void **state)
{
    assert_int_equal(room_check(*state, NULL), 0);
    assert_false(room_is_out(*state));
}

static void a_small_file_system_has_none(void **state)
{
    struct error error = ERROR_INIT;
    CLEANUP_FREE char *disk = path_join(*state, "disk");
    assert_int_equal(dir_make(disk, 0755, NULL), 0);
    if (scratch_mount(disk, "size=512k", 0))
        skip();
    int failed = room_check(disk, &error);
    bool is_out = room_is_out(disk);
    assert_int_equal(umount(disk), 0);
    assert_int_equal(failed, -1);
    assert_false(is_out);
    assert_int_equal(error.owner, ERROR_OWNER_RIG);
    assert_non_null(strstr(error.text, "is nearly full: 512 KiB are left"));
    assert_non_null(strstr(error.text, "--out DIR"));
}

static void a_full_one_is_out(void **state)
{
    CLEANUP_FREE char *disk = path_join(*state, "disk");
    assert_int_equal(dir_make(disk, 0755, NULL), 0);
    if (scratch_mount(disk, "size=32k", 0))
        skip();
    bool is_out = room_is_out(disk);
    assert_int_equal(umount(disk), 0);
    assert_true(is_out);
}

static void a_read_only_one_says_so(void **state)
{
    struct error error = ERROR_INIT;
    CLEANUP_FREE char *disk = path_join(*state, "disk");
    assert_int_equal(dir_make(disk, 0755, NULL), 0);
    if (scratch_mount(disk, "size=32m", MS_RDONLY))
        skip();
    int failed = room_check(disk, &error);
    assert_int_equal(umount(disk), 0);
    assert_int_equal(failed, -1);
    assert_non_null(strstr(error.text, "read-only"));
}

static void the_mend_goes_with_the_rig_s_errors_alone(void **state)
{
    (void)state;
    struct error rig = ERROR_INIT, file = ERROR_INIT;
    error_set(&rig, ERROR_OWNER_RIG, ERROR_IO, "make folder 'x': no");
    error_set(&file, ERROR_OWNER_FILE, ERROR_EXISTS, "a file is in the way");
    assert_int_equal(room_add_mend(&rig), -1);
    assert_int_equal(room_add_mend(&file), -1);
    assert_string_equal(rig.text, "make folder 'x': no; name another folder with --out DIR");
    assert_int_equal(rig.code, ERROR_IO);
    assert_string_equal(file.text, "a file is in the way");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)
    const struct CMUnitTest tests[] = {
        TEST(an_ordinary_folder_has_room),
        TEST(a_small_file_system_has_none),
        TEST(a_full_one_is_out),
        TEST(a_read_only_one_says_so),
        TEST(the_mend_goes_with_the_rig_s_errors_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
