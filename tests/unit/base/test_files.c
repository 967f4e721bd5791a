#include "base/files.h"

#include "base/cleanup.h"
#include "tests/unit/base/scratch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/cmocka.h"

static mode_t mode_of(const char *path)
{
    struct stat status;
    assert_int_equal(lstat(path, &status), 0);
    return status.st_mode & 07777;
}

static void assert_file_holds(const char *path, const char *text)
{
    CLEANUP(bytes_done) struct bytes bytes = {0};
    assert_int_equal(file_read(path, 1024, &bytes, NULL), 0);
    assert_string_equal(bytes_text(&bytes), text);
}

static size_t count_entries(const char *path)
{
    char **names;
    assert_int_equal(dir_list(path, "", &names, NULL), 0);
    size_t count = 0;
    while (names[count])
        count++;
    names_free(names);
    return count;
}

static void reads_a_file_up_to_the_limit(void **state)
{
    const char *path = scratch_path(state, "a");
    scratch_write(path, "12345678");
    CLEANUP(bytes_done) struct bytes bytes = {0};
    assert_int_equal(file_read(path, 8, &bytes, NULL), 0);
    assert_string_equal(bytes_text(&bytes), "12345678");
    assert_int_equal(bytes.max_bytes, 8);
}

static void refuses_a_file_above_the_limit_and_leaves_the_output_alone(void **state)
{
    const char *path = scratch_path(state, "a");
    scratch_write(path, "123456789");
    struct bytes bytes = {.length_bytes = 77};
    struct error error = ERROR_INIT;
    assert_int_equal(file_read(path, 8, &bytes, &error), -1);
    assert_int_equal(error.code, ERROR_LIMIT);
    assert_int_equal(error.owner, ERROR_OWNER_FILE);
    assert_int_equal(bytes.length_bytes, 77);
}

static void reads_an_empty_file(void **state)
{
    const char *path = scratch_path(state, "a");
    scratch_write(path, "");
    assert_file_holds(path, "");
}

static void a_missing_file_is_the_user_s_and_is_named(void **state)
{
    struct bytes bytes = {.length_bytes = 77};
    struct error error = ERROR_INIT;
    assert_int_equal(file_read(scratch_path(state, "nowhere"), 8, &bytes, &error), -1);
    assert_int_equal(error.code, ERROR_NOT_FOUND);
    assert_int_equal(error.owner, ERROR_OWNER_FILE);
    assert_non_null(strstr(error.text, "/nowhere'"));
    assert_int_equal(bytes.length_bytes, 77);
}

static void a_folder_is_not_a_file(void **state)
{
    struct bytes bytes = {0};
    struct error error = ERROR_INIT;
    assert_int_equal(file_read(*state, 8, &bytes, &error), -1);
    assert_int_equal(error.owner, ERROR_OWNER_FILE);
}

static void replaces_a_file_in_one_step_with_the_mode_asked_for(void **state)
{
    const char *path = scratch_path(state, "key.pem");
    mode_t before = umask(077);
    assert_int_equal(file_write_atomic(path, "old", 3, 0644, NULL), 0);
    assert_int_equal(mode_of(path), 0644);
    umask(0);
    assert_int_equal(file_write_atomic(path, "new", 3, 0600, NULL), 0);
    umask(before);
    assert_int_equal(mode_of(path), 0600);
    assert_file_holds(path, "new");
    assert_int_equal(count_entries(*state), 1);
    assert_int_equal(file_write_unsynced(path, "newest", 6, 0644, NULL), 0);
    assert_int_equal(mode_of(path), 0644);
    assert_file_holds(path, "newest");
    assert_int_equal(count_entries(*state), 1);
}

static void a_reader_of_the_old_file_keeps_the_old_file(void **state)
{
    const char *path = scratch_path(state, "a");
    scratch_write(path, "old");
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(file_write_atomic(path, "newer", 5, 0644, NULL), 0);
    char text[8] = "";
    assert_int_equal(read(fd, text, sizeof text - 1), 3);
    assert_string_equal(text, "old");
}

static void a_full_disk_leaves_the_old_file_and_no_temporary_one(void **state)
{
    const char *folder = scratch_path(state, "full");
    assert_int_equal(dir_make(folder, 0755, NULL), 0);
    if (scratch_mount(folder, "size=32k", 0)) {
        print_message("skipped: this user may not mount a small file system\n");
        skip();
    }
    const char *path = scratch_path(state, "full/a.json");
    assert_int_equal(file_write_atomic(path, "old", 3, 0644, NULL), 0);
    CLEANUP_FREE char *big = calloc(1, 100000);
    struct error error = ERROR_INIT;
    int failed = file_write_atomic(path, big, 100000, 0644, &error);
    assert_file_holds(path, "old");
    size_t count = count_entries(folder);
    umount(folder);
    assert_int_equal(failed, -1);
    assert_int_equal(error.owner, ERROR_OWNER_RIG);
    assert_non_null(strstr(error.text, "No space left on device"));
    assert_int_equal(count, 1);
}

static void a_read_only_folder_is_the_rig_s_fault(void **state)
{
    const char *folder = scratch_path(state, "ro");
    assert_int_equal(dir_make(folder, 0755, NULL), 0);
    if (scratch_mount(folder, "size=32k", MS_RDONLY)) {
        print_message("skipped: this user may not mount a small file system\n");
        skip();
    }
    struct error error = ERROR_INIT, folder_error = ERROR_INIT;
    int failed = file_write_atomic(scratch_path(state, "ro/a"), "x", 1, 0644, &error);
    int folder_failed = dir_make(scratch_path(state, "ro/b/c"), 0755, &folder_error);
    umount(folder);
    assert_int_equal(failed, -1);
    assert_int_equal(error.owner, ERROR_OWNER_RIG);
    assert_non_null(strstr(error.text, "Read-only file system"));
    assert_int_equal(folder_failed, -1);
    assert_non_null(strstr(folder_error.text, "Read-only file system"));
}

static void a_pipe_and_a_descriptor_are_written_to_and_stay_what_they_are(void **state)
{
    char path[64];
    char text[8] = "";
    int ends[2];
    struct stat status;
    assert_int_equal(pipe(ends), 0);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[1]);
    assert_int_equal(file_write_atomic(path, "abc", 3, 0644, NULL), 0);
    assert_int_equal(read(ends[0], text, sizeof text), 3);
    assert_string_equal(text, "abc");
    assert_int_equal(fstat(ends[1], &status), 0);
    assert_true(S_ISFIFO(status.st_mode));
    close(ends[0]);
    close(ends[1]);
    const char *fifo = scratch_path(state, "fifo");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(file_write_atomic(fifo, "de", 2, 0644, NULL), -1); /* nobody reads */
    CLEANUP_FD int reader = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_int_equal(file_write_atomic(fifo, "de", 2, 0644, NULL), 0);
    assert_int_equal(read(reader, text, sizeof text), 2);
    assert_int_equal(lstat(fifo, &status), 0);
    assert_true(S_ISFIFO(status.st_mode));
}

static void a_missing_folder_refuses_a_write(void **state)
{
    struct error error = ERROR_INIT;
    assert_int_equal(file_write_atomic(scratch_path(state, "no/a"), "x", 1, 0644, &error), -1);
    assert_int_equal(error.code, ERROR_IO);
}

static void makes_a_folder_with_its_parents(void **state)
{
    assert_int_equal(dir_make(scratch_path(state, "a/b/c"), 0700, NULL), 0);
    assert_int_equal(mode_of(scratch_path(state, "a/b/c")), 0700);
    assert_int_equal(dir_make(scratch_path(state, "a/b/c"), 0700, NULL), 0);
}

/* A private folder must not become public because somebody's shell completed its name with a slash. */
static void a_trailing_slash_does_not_widen_the_mode(void **state)
{
    assert_int_equal(dir_make(scratch_path(state, "private/"), 0700, NULL), 0);
    assert_int_equal(mode_of(scratch_path(state, "private")), 0700);
    assert_int_equal(dir_make(scratch_path(state, "more//slashes//"), 0700, NULL), 0);
    assert_int_equal(mode_of(scratch_path(state, "more/slashes")), 0700);
}

static void refuses_a_folder_without_a_name(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    assert_int_equal(dir_make("", 0700, &error), -1);
    assert_int_equal(error.owner, ERROR_OWNER_FILE);
    assert_int_equal(dir_make("/", 0700, NULL), 0);
}

static void a_file_in_the_way_is_said(void **state)
{
    const char *path = scratch_path(state, "a");
    scratch_write(path, "");
    struct error error = ERROR_INIT;
    assert_int_equal(dir_make(path, 0700, &error), -1);
    assert_int_equal(error.code, ERROR_EXISTS);
    assert_int_equal(error.owner, ERROR_OWNER_FILE);
    assert_int_equal(dir_make(scratch_path(state, "a/b"), 0700, NULL), -1);
}

static void refuses_a_path_that_is_too_long(void **state)
{
    (void)state;
    char longer[5000];
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = 0;
    struct error error = ERROR_INIT;
    assert_int_equal(dir_make(longer, 0700, &error), -1);
    assert_int_equal(error.code, ERROR_LIMIT);
    assert_int_equal(file_write_atomic(longer, "", 0, 0644, &error), -1);
    assert_int_equal(error.code, ERROR_LIMIT);
}

static void removes_a_tree_without_following_links(void **state)
{
    assert_int_equal(dir_make(scratch_path(state, "keep"), 0755, NULL), 0);
    scratch_write(scratch_path(state, "keep/file"), "x");
    assert_int_equal(dir_make(scratch_path(state, "gone/deep"), 0755, NULL), 0);
    scratch_write(scratch_path(state, "gone/deep/file"), "x");
    assert_int_equal(symlink(scratch_path(state, "keep"), scratch_path(state, "gone/link")), 0);
    assert_int_equal(dir_remove(scratch_path(state, "gone"), NULL), 0);
    assert_false(path_exists(scratch_path(state, "gone")));
    assert_true(path_exists(scratch_path(state, "keep/file")));
    assert_int_equal(dir_remove(scratch_path(state, "gone"), NULL), 0);
}

/* A container's file system: files have another device number than the folder that they stand in. */
static void removes_a_tree_on_an_overlay(void **state)
{
    const char *root = *state;
    char options[1024];
    assert_int_equal(dir_make(scratch_path(state, "mount"), 0755, NULL), 0);
    assert_int_equal(dir_make(scratch_path(state, "lower"), 0755, NULL), 0); /* on another device than what lies above it */
    if (scratch_mount(scratch_path(state, "mount"), "size=1m", 0)) {
        print_message("skipped: this user may not mount a small file system\n");
        skip();
    }
    const char *const parts[] = {"mount/upper", "mount/work", "mount/merged"};
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++)
        assert_int_equal(dir_make(scratch_path(state, parts[i]), 0755, NULL), 0);
    snprintf(options, sizeof options, "lowerdir=%s/lower,upperdir=%s/mount/upper,workdir=%s/mount/work", root, root, root);
    if (mount("none", scratch_path(state, "mount/merged"), "overlay", 0, options)) {
        umount(scratch_path(state, "mount"));
        print_message("skipped: no overlay file system here\n");
        skip();
    }
    assert_int_equal(dir_make(scratch_path(state, "mount/merged/gone/deep"), 0755, NULL), 0);
    scratch_write(scratch_path(state, "mount/merged/gone/deep/file"), "x");
    struct error error = ERROR_INIT;
    int failed = dir_remove(scratch_path(state, "mount/merged/gone"), &error);
    umount(scratch_path(state, "mount/merged"));
    umount(scratch_path(state, "mount"));
    assert_string_equal(error.text, "");
    assert_int_equal(failed, 0);
}

static void does_not_enter_another_file_system(void **state)
{
    const char *folder = scratch_path(state, "tree/mount");
    assert_int_equal(dir_make(folder, 0755, NULL), 0);
    if (scratch_mount(folder, "size=32k", 0)) {
        print_message("skipped: this user may not mount a small file system\n");
        skip();
    }
    scratch_write(scratch_path(state, "tree/mount/kept"), "x");
    struct error error = ERROR_INIT;
    int failed = dir_remove(scratch_path(state, "tree"), &error);
    bool is_kept = path_exists(scratch_path(state, "tree/mount/kept"));
    umount(scratch_path(state, "tree/mount"));
    assert_int_equal(failed, -1);
    assert_true(is_kept);
    assert_int_equal(error.owner, ERROR_OWNER_RIG);
}

static void lists_names_by_their_end_sorted(void **state)
{
    for (const char *c = "fgbeacd"; *c; c++) {
        char name[] = "?.json";
        name[0] = *c;
        scratch_write(scratch_path(state, name), "");
    }
    scratch_write(scratch_path(state, "c.json.tmp"), "");
    scratch_write(scratch_path(state, ".hidden.json"), "");
    char **names;
    assert_int_equal(dir_list(*state, ".json", &names, NULL), 0);
    for (int i = 0; i < 7; i++)
        assert_int_equal(names[i][0], 'a' + i);
    assert_null(names[7]);
    names_free(names);
}

static void a_missing_folder_lists_as_empty_and_a_file_does_not(void **state)
{
    char **names;
    assert_int_equal(dir_list(scratch_path(state, "no"), "", &names, NULL), 0);
    assert_null(names[0]);
    names_free(names);
    names_free(NULL);
    scratch_write(scratch_path(state, "a"), "");
    struct error error = ERROR_INIT;
    assert_int_equal(dir_list(scratch_path(state, "a"), "", &names, &error), -1);
    assert_non_null(strstr(error.text, "Not a directory"));
}

static void a_second_holder_of_the_lock_is_told_that_it_is_busy(void **state)
{
    CLEANUP_FD int first = -1;
    CLEANUP_FD int second = -1;
    struct error error = ERROR_INIT;
    assert_int_equal(dir_lock(*state, &first, NULL), 0);
    assert_int_equal(dir_lock(*state, &second, &error), -1);
    assert_int_equal(error.code, ERROR_BUSY);
    assert_int_equal(error.owner, ERROR_OWNER_RIG);
    assert_int_equal(second, -1);
    close(TAKE_FD(first));
    assert_int_equal(dir_lock(*state, &second, NULL), 0);
    assert_int_equal(count_entries(*state), 0);
}

static void the_lock_goes_with_its_holder_however_that_ends(void **state)
{
    int report[2];
    assert_int_equal(pipe2(report, O_CLOEXEC), 0);
    pid_t holder = fork();
    if (holder == 0) {
        int held;
        char result = dir_lock(*state, &held, NULL) ? 'n' : 'y';
        ssize_t ignored = write(report[1], &result, 1);
        (void)ignored;
        for (;;)
            pause();
    }
    char result = 0;
    assert_int_equal(read(report[0], &result, 1), 1);
    CLEANUP_FD int fd = -1;
    struct error error = ERROR_INIT;
    int failed = dir_lock(*state, &fd, &error);
    kill(holder, SIGKILL);
    waitpid(holder, NULL, 0);
    close(report[0]), close(report[1]);
    assert_int_equal(result, 'y');
    assert_int_equal(failed, -1);
    assert_int_equal(error.code, ERROR_BUSY);
    assert_int_equal(dir_lock(*state, &fd, NULL), 0);
}

static void a_program_that_we_start_does_not_inherit_the_lock(void **state)
{
    CLEANUP_FD int fd = -1;
    assert_int_equal(dir_lock(*state, &fd, NULL), 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static void a_missing_folder_cannot_be_locked(void **state)
{
    int fd = 77;
    struct error error = ERROR_INIT;
    assert_int_equal(dir_lock(scratch_path(state, "no"), &fd, &error), -1);
    assert_int_equal(error.code, ERROR_NOT_FOUND);
    assert_int_equal(fd, 77);
}

static void makes_paths_absolute_even_of_what_is_not_there_yet(void **state)
{
    assert_int_equal(chdir(*state), 0);
    CLEANUP_FREE char *here = path_absolute(".");
    CLEANUP_FREE char *there = path_absolute("not/yet");
    CLEANUP_FREE char *expected = path_join(here, "not/yet");
    CLEANUP_FREE char *rooted = path_absolute("/not/yet");
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(here[0], '/');
    assert_string_equal(there, expected);
    assert_string_equal(rooted, "/not/yet");
}

static void copies_a_folder_with_what_is_in_it_and_no_links(void **state)
{
    struct error error = ERROR_INIT;
    CLEANUP(bytes_done) struct bytes text = {0};
    assert_int_equal(dir_make(scratch_path(state, "whole/inner"), 0755, NULL), 0);
    assert_int_equal(file_write_atomic(scratch_path(state, "whole/inner/file"), "text", 4, 0600, NULL), 0);
    assert_int_equal(file_write_atomic(scratch_path(state, "whole/.hidden"), "x", 1, 0600, NULL), 0);
    assert_int_equal(symlink("/etc/passwd", scratch_path(state, "whole/link")), 0);
    CLEANUP_FREE char *from = strdup(scratch_path(state, "whole"));
    assert_int_equal(tree_copy(from, scratch_path(state, "copy"), &error), 0);
    assert_int_equal(file_read(scratch_path(state, "copy/inner/file"), 100, &text, NULL), 0);
    assert_string_equal(bytes_text(&text), "text");
    assert_false(path_exists(scratch_path(state, "copy/.hidden")));
    assert_false(path_exists(scratch_path(state, "copy/link")));
    /* What is there already is not written over. */
    assert_int_equal(tree_copy(from, scratch_path(state, "copy"), &error), -1);
    assert_non_null(strstr(error.text, "copy '"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(copies_a_folder_with_what_is_in_it_and_no_links),
        TEST(reads_a_file_up_to_the_limit),
        TEST(refuses_a_file_above_the_limit_and_leaves_the_output_alone),
        TEST(reads_an_empty_file),
        TEST(a_missing_file_is_the_user_s_and_is_named),
        TEST(a_folder_is_not_a_file),
        TEST(replaces_a_file_in_one_step_with_the_mode_asked_for),
        TEST(a_reader_of_the_old_file_keeps_the_old_file),
        TEST(a_full_disk_leaves_the_old_file_and_no_temporary_one),
        TEST(a_read_only_folder_is_the_rig_s_fault),
        TEST(a_pipe_and_a_descriptor_are_written_to_and_stay_what_they_are),
        TEST(a_missing_folder_refuses_a_write),
        TEST(makes_a_folder_with_its_parents),
        TEST(a_trailing_slash_does_not_widen_the_mode),
        TEST(refuses_a_folder_without_a_name),
        TEST(a_file_in_the_way_is_said),
        TEST(refuses_a_path_that_is_too_long),
        TEST(removes_a_tree_without_following_links),
        TEST(removes_a_tree_on_an_overlay),
        TEST(does_not_enter_another_file_system),
        TEST(lists_names_by_their_end_sorted),
        TEST(a_missing_folder_lists_as_empty_and_a_file_does_not),
        TEST(a_second_holder_of_the_lock_is_told_that_it_is_busy),
        TEST(the_lock_goes_with_its_holder_however_that_ends),
        TEST(a_program_that_we_start_does_not_inherit_the_lock),
        TEST(a_missing_folder_cannot_be_locked),
        TEST(makes_paths_absolute_even_of_what_is_not_there_yet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
