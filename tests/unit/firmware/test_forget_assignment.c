/* firmware/forget_assignment.c, run here: what it deletes, and what it does when it cannot; and what bench.conf and its page say. */
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/files.h"

#include <stdarg.h>
#include <string.h>
#include <zephyr/init.h>
#include <zephyr/settings/settings.h>
#include <zephyr/sys/printk.h>

#include "tests/cmocka.h"

enum { DELETED_MAX = 8 };

static const char *deleted[DELETED_MAX];
static size_t deleted_count;
static int init_error, delete_error;
static char said[256];

int settings_subsys_init(void)
{
    return init_error;
}

int settings_delete(const char *name)
{
    if (deleted_count < DELETED_MAX)
        deleted[deleted_count++] = name;
    return delete_error;
}

int printk(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int count = vsnprintf(said, sizeof said, format, arguments);
    va_end(arguments);
    return count;
}

static int start_over(void **state)
{
    (void)state;
    deleted_count = 0;
    init_error = delete_error = 0;
    said[0] = '\0';
    return 0;
}

static void deletes_every_key_of_an_assignment_before_main(void **state)
{
    (void)state;
    static const char *const keys[] = {"azure_iot_hub/hostname_len", "azure_iot_hub/hostname", "azure_iot_hub/device_id_len",
                                       "azure_iot_hub/device_id"};
    assert_int_equal(zephyr_init_APPLICATION(), 0);
    assert_int_equal(deleted_count, ARRAY_COUNT(keys));
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++)
        assert_string_equal(deleted[i], keys[i]);
    assert_string_equal(said, "");
}

static void says_what_went_wrong_and_lets_the_device_boot(void **state)
{
    (void)state;
    init_error = -5;
    assert_int_equal(zephyr_init_APPLICATION(), 0);
    assert_int_equal(deleted_count, 0);
    assert_string_equal(said, "dpsbench: the stored assignment could not be deleted, error: -5\n");
    init_error = 0;
    delete_error = -28;
    assert_int_equal(zephyr_init_APPLICATION(), 0);
    assert_int_equal(deleted_count, 1);
    assert_string_equal(said, "dpsbench: the stored assignment could not be deleted, error: -28\n");
}

static char *read_text(const char *relative)
{
    CLEANUP_FREE char *path = path_join(DPSBENCH_SOURCE_DIR, relative);
    CLEANUP(bytes_done) struct bytes text = {0};
    struct error error = ERROR_INIT;
    if (file_read(path, 1 << 20, &text, &error))
        fail_msg("%s", error.text);
    return strdup(bytes_text(&text));
}

/* A line of the fragment is a comment, empty, or an option that the page explains. */
static void the_page_explains_every_option_of_the_fragment(void **state)
{
    (void)state;
    CLEANUP_FREE char *fragment = read_text("firmware/bench.conf");
    CLEANUP_FREE char *page = read_text("docs/firmware.md");
    size_t count = 0;
    char *rest = fragment;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        if (!*line || *line == '#')
            continue;
        char *name = strsep(&line, "=");
        assert_int_equal(strncmp(name, "CONFIG_", 7), 0);
        assert_non_null(line);
        if (!strstr(page, name))
            fail_msg("docs/firmware.md does not explain %s", name);
        count++;
    }
    assert_in_range(count, 10, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(deletes_every_key_of_an_assignment_before_main, start_over),
        cmocka_unit_test_setup(says_what_went_wrong_and_lets_the_device_boot, start_over),
        cmocka_unit_test(the_page_explains_every_option_of_the_fragment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
