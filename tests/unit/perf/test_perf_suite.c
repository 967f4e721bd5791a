#include "perf/run/suite.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/files.h"

#include <string.h>

#include "tests/unit/base/scratch.h"

#include "tests/cmocka.h"

/* Times of the timeline are microseconds behind 2026-11-21T20:00:00Z. */
#define START_US INT64_C(1795291200000000)

static void write_text(const char *dir, const char *name, const char *text)
{
    CLEANUP_FREE char *path = path_join(dir, name);
    assert_int_equal(file_write_atomic(path, text, strlen(text), 0644, NULL), 0);
}

static void put_event(struct bytes *text, const char *kind, int64_t at_us)
{
    assert_int_equal(
        bytes_printf(text, "{\"v\":1,\"kind\":\"%s\",\"mono_us\":1,\"unix_us\":%lld,\"data\":{}}\n", kind, (long long)(START_US + at_us)),
        0);
}

static double overhead_ms(const char *dir)
{
    struct suite_cost cost;
    struct error error = ERROR_INIT;
    if (suite_read_cost(dir, &cost, &error))
        fail_msg("%s", error.text);
    return cost.overhead_ms;
}

static void the_device_has_its_commands_and_its_boots(void **state)
{
    const char *dir = *state;
    CLEANUP(bytes_done) struct bytes timeline;
    bytes_init(&timeline, 64 * 1024);
    put_event(&timeline, "simulator.ready", 0); /* of no row */
    put_event(&timeline, "state.changed", 2000);
    put_event(&timeline, "at.command", 3000);
    put_event(&timeline, "console.line", 4000);
    put_event(&timeline, "at.reply", 9000);
    put_event(&timeline, "device.reset", 10000);
    put_event(&timeline, "tcp.accepted", 50000);
    put_event(&timeline, "console.line", 80000);
    put_event(&timeline, "state.changed", 95000);
    write_text(dir, "timeline.jsonl", bytes_text(&timeline));
    write_text(dir, "results.json",
               "{\"rows\":[{\"started\":\"2026-11-21T20:00:00.000000Z\",\"duration_ms\":100,\"timeline\":{\"first\":2,\"last\":9}}]}");
    /* 0 to 3, 9 to 10, 95 to 100 */
    assert_float_equal(overhead_ms(dir), 9.0, 0.001);
}

static void the_time_between_rows_counts_and_is_shared_by_all(void **state)
{
    const char *dir = *state;
    write_text(dir, "timeline.jsonl", "");
    write_text(dir, "results.json",
               "{\"rows\":[{\"started\":\"2026-11-21T20:00:00.000000Z\",\"duration_ms\":10},"
               "{\"started\":\"2026-11-21T20:00:00.030000Z\",\"duration_ms\":20}]}");
    assert_float_equal(overhead_ms(dir), 25.0, 0.001);
}

static void a_folder_without_rows_is_refused(void **state)
{
    const char *dir = *state;
    struct suite_cost cost;
    struct error error = ERROR_INIT;
    assert_int_equal(suite_read_cost(dir, &cost, &error), -1);
    write_text(dir, "timeline.jsonl", "");
    write_text(dir, "results.json", "{\"rows\":[]}");
    assert_int_equal(suite_read_cost(dir, &cost, &error), -1);
    assert_non_null(strstr(error.text, "holds no row"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_device_has_its_commands_and_its_boots, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(the_time_between_rows_counts_and_is_shared_by_all, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(a_folder_without_rows_is_refused, scratch_make, scratch_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
