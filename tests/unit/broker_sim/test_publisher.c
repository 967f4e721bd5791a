#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/files.h"
#include "broker_sim/control/publisher.h"

#include <string.h>
#include <sys/stat.h>

#include "tests/cmocka.h"

struct rig {
    char dir[64];
    char *path;
    uv_loop_t loop;
    struct clock_fake clock;
    struct bus *bus; /* never started: what is published stays queued */
    struct publisher *publisher;
};

static void setup(struct rig *rig)
{
    static const char *const filters[] = {"x"};
    *rig = (struct rig){.dir = "/tmp/dpsbench-publisher-XXXXXX"};
    assert_non_null(mkdtemp(rig->dir));
    rig->path = path_join(rig->dir, "events.jsonl");
    uv_loop_init(&rig->loop);
    clock_fake_init(&rig->clock, 1000000, 0);
    struct bus_options bus = {.loop = &rig->loop, .client_id = "test", .filters = filters, .filter_count = 1};
    rig->bus = bus_new(&bus);
    assert_int_equal(publisher_new(rig->bus, rig->path, &rig->clock.clock, &rig->publisher, NULL), 0);
}

static void teardown(struct rig *rig)
{
    bus_free(rig->bus);
    uv_run(&rig->loop, UV_RUN_DEFAULT);
    uv_loop_close(&rig->loop);
    publisher_free(rig->publisher);
    dir_remove(rig->dir, NULL);
    free(rig->path);
}

static void emit(struct rig *rig, size_t padding_bytes)
{
    struct event_sink sink = publisher_sink(rig->publisher);
    cJSON *event = event_new(EVENT_BROKER_UP, &rig->clock.clock, EVENT_SOURCE);
    CLEANUP_FREE char *padding = calloc(1, padding_bytes + 1);
    memset(padding, 'x', padding_bytes);
    json_set_string(event_data(event), "padding", padding);
    sink.emit(sink.user, event);
}

static void emit_and_flush(struct rig *rig, size_t padding_bytes)
{
    emit(rig, padding_bytes);
    publisher_flush(rig->publisher);
}

static int64_t size_of(const char *path)
{
    struct stat status;
    return stat(path, &status) ? -1 : status.st_size;
}

static void numbers_events_from_one(void **state)
{
    (void)state;
    CLEANUP(teardown) struct rig rig;
    setup(&rig);
    emit_and_flush(&rig, 1);
    emit_and_flush(&rig, 1);
    assert_int_equal(publisher_seq(rig.publisher), 2);
    CLEANUP(bytes_done) struct bytes all = {0};
    assert_int_equal(file_read(rig.path, 4096, &all, NULL), 0);
    assert_non_null(strstr(bytes_text(&all), "\"seq\":1}\n{"));
    assert_non_null(strstr(bytes_text(&all), "\"seq\":2}\n"));
    assert_int_equal(bus_queued_count(rig.bus), 2);
}

static void lines_are_written_at_the_flush_and_before_a_reply(void **state)
{
    (void)state;
    CLEANUP(teardown) struct rig rig;
    setup(&rig);
    emit(&rig, 1);
    emit(&rig, 1);
    assert_int_equal(size_of(rig.path), 0);
    publisher_flush(rig.publisher);
    int64_t two = size_of(rig.path);
    assert_true(two > 0);
    emit(&rig, 1);
    assert_int_equal(size_of(rig.path), two);
    CLEANUP_JSON cJSON *reply = cJSON_CreateObject();
    publisher_reply(rig.publisher, "to/somebody", reply);
    assert_int_equal(size_of(rig.path), two / 2 * 3);
    publisher_flush(rig.publisher);
    assert_int_equal(size_of(rig.path), two / 2 * 3);
}

static void a_long_turn_does_not_pile_its_lines_up(void **state)
{
    (void)state;
    CLEANUP(teardown) struct rig rig;
    setup(&rig);
    for (int i = 0; i < 100; i++)
        emit(&rig, 4096);
    assert_true(size_of(rig.path) > 200000);
}

static void event_that_memory_was_short_for_leaves_a_hole(void **state)
{
    (void)state;
    CLEANUP(teardown) struct rig rig;
    setup(&rig);
    struct event_sink sink = publisher_sink(rig.publisher);
    emit_and_flush(&rig, 1);
    sink.emit(sink.user, NULL);
    emit_and_flush(&rig, 1);
    assert_int_equal(publisher_lost_count(rig.publisher), 1);
    CLEANUP(bytes_done) struct bytes all = {0};
    assert_int_equal(file_read(rig.path, 4096, &all, NULL), 0);
    assert_null(strstr(bytes_text(&all), "\"seq\":2}"));
    assert_non_null(strstr(bytes_text(&all), "\"seq\":3}"));
}

static void full_queue_counts_what_it_loses_and_the_file_keeps_it(void **state)
{
    (void)state;
    CLEANUP(teardown) struct rig rig;
    setup(&rig);
    for (int i = 0; i < BUS_QUEUE_MESSAGES_MAX + 3; i++)
        emit(&rig, 1);
    assert_int_equal(publisher_lost_count(rig.publisher), 3);
    assert_int_equal(bus_queued_count(rig.bus), BUS_QUEUE_MESSAGES_MAX);
    assert_int_equal(publisher_seq(rig.publisher), BUS_QUEUE_MESSAGES_MAX + 3);
}

static void file_is_rotated_at_its_limit(void **state)
{
    (void)state;
    CLEANUP(teardown) struct rig rig;
    setup(&rig);
    CLEANUP_FREE char *older = path_join(rig.dir, "events.jsonl.1");
    for (int i = 0; i < 16; i++)
        emit_and_flush(&rig, 1024 * 1024);
    assert_true(size_of(older) >= EVENTS_FILE_MAX_BYTES);
    emit_and_flush(&rig, 1);
    assert_in_range(size_of(rig.path), 1, 4096);
}

static void appends_to_the_file_of_the_start_before(void **state)
{
    (void)state;
    CLEANUP(teardown) struct rig rig;
    setup(&rig);
    emit_and_flush(&rig, 1);
    int64_t before = size_of(rig.path);
    publisher_free(rig.publisher);
    assert_int_equal(publisher_new(rig.bus, rig.path, &rig.clock.clock, &rig.publisher, NULL), 0);
    emit_and_flush(&rig, 1);
    assert_int_equal(size_of(rig.path), 2 * before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_events_from_one),
        cmocka_unit_test(lines_are_written_at_the_flush_and_before_a_reply),
        cmocka_unit_test(a_long_turn_does_not_pile_its_lines_up),
        cmocka_unit_test(event_that_memory_was_short_for_leaves_a_hole),
        cmocka_unit_test(full_queue_counts_what_it_loses_and_the_file_keeps_it),
        cmocka_unit_test(file_is_rotated_at_its_limit),
        cmocka_unit_test(appends_to_the_file_of_the_start_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
