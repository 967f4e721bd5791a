#include "reports/views.h"

#include "reports/timeline.h"
#include "tests/unit/base/scratch.h"
#include "tests/unit/reports/events.h"

#include "tests/cmocka.h"

enum { BOOT_US = 1000000000, OTHER_BOOT_US = 7000000 };

static void add(struct timeline *timeline, cJSON *event)
{
    assert_non_null(event);
    assert_int_equal(timeline_add(timeline, event, NULL), 0);
    cJSON_Delete(event);
}

static struct timeline *open_timeline(void **state)
{
    struct timeline *timeline = NULL;
    assert_int_equal(timeline_open(*state, &timeline, NULL), 0);
    return timeline;
}

/* A device is refused, as console, wire and service see it; written in another order than it happened. */
static void write_refusal(void **state)
{
    struct timeline *timeline = open_timeline(state);
    add(timeline, event_at(500, BOOT_US, "dpsbench-sim", "state.changed", "", "\"what\":\"enrollment\",\"id\":\"d\",\"action\":\"put\""));
    add(timeline, event_at(1000, BOOT_US, "dpsbench", "device.reset", "", "\"device\":\"dk\",\"action\":\"reset\""));
    add(timeline, event_at(9000, BOOT_US, "dpsbench", "console.line", "",
                           "\"level\":\"err\",\"module\":\"dps\",\"message\":\"Connection was rejected with return code 5\""));
    add(timeline, event_at(9000, BOOT_US, "dpsbench", "console.connection-rejected", "", "\"return_code\":5"));
    add(timeline, event_at(3000, BOOT_US, "dpsbench-sim", "mqtt.connect", "\"lane\":\"lane-1\",\"session\":77",
                           "\"client_id\":\"d\",\"endpoint\":\"dps\",\"user_name\":\"u\""));
    add(timeline, event_at(4000, BOOT_US, "dpsbench-sim", "attestation.verdict", "\"lane\":\"lane-1\",\"session\":77",
                           "\"verdict\":\"refused\",\"rule\":\"chain.unknown-ca\",\"surface\":\"connack\""));
    add(timeline, event_at(5000, BOOT_US, "dpsbench-sim", "mqtt.connack", "\"lane\":\"lane-1\",\"session\":77", "\"return_code\":5"));
    add(timeline, event_at(6000, BOOT_US, "dpsbench-sim", "mqtt.connack", "\"lane\":\"lane-2\",\"session\":78", "\"return_code\":0"));
    timeline_close(timeline);
}

static struct timeline_events read_all(void **state)
{
    struct timeline_events events = {0};
    assert_int_equal(timeline_read(*state, 1, 1000, &events, NULL), 0);
    return events;
}

static char *print(const struct timeline_events *events, const struct views_options *options)
{
    char *text = NULL;
    size_t length;
    FILE *file = open_memstream(&text, &length);
    views_print(file, events, options);
    fclose(file);
    return text;
}

static void shows_three_views_side_by_side_in_time(void **state)
{
    write_refusal(state);
    struct timeline_events events = read_all(state);
    const struct views_options options = {.time_scale = 20, .lane = "lane-1", .width = 150};
    CLEANUP_FREE char *text = print(&events, &options);
    timeline_events_done(&events);
    assert_string_equal(
        text,
        "  DEV s REAL ms  CONSOLE                                               | WIRE                            | SERVICE\n"
        "  -0.01      -1                                                        |                                 | enrollment d: put\n"
        "   0.00       0  == reset of dk ==\n"
        "   0.04       2                                                        | -> CONNECT d (dps), user name u |\n"
        "   0.06       3                                                        |                                 | refused, "
        "chain.unknown-ca (connack)\n"
        "   0.08       4                                                        | <- CONNACK 5                    |\n"
        "   0.16       8  err: Connection was rejected with return code 5 [dps] |                                 |\n");
}

static size_t longest_line(const char *text)
{
    size_t longest = 0;
    while (*text) {
        size_t length = strcspn(text, "\n");
        longest = length > longest ? length : longest;
        text += length + (text[length] == '\n');
    }
    return longest;
}

static void cuts_what_does_not_fit_the_page(void **state)
{
    write_refusal(state);
    struct timeline_events events = read_all(state);
    for (int width = VIEWS_WIDTH_MIN; width <= 160; width++) {
        const struct views_options options = {.time_scale = 20, .width = width};
        CLEANUP_FREE char *text = print(&events, &options);
        if (longest_line(text) > (size_t)width)
            fail_msg("%zu columns on a page of %d:\n%s", longest_line(text), width, text);
    }
    const struct views_options narrow = {.time_scale = 20, .width = 80}, utf8 = {.time_scale = 20, .width = 80, .has_utf8 = true};
    CLEANUP_FREE char *text = print(&events, &narrow), *pretty = print(&events, &utf8);
    assert_non_null(strstr(text, "err: Connection was..."));
    assert_non_null(strstr(pretty, "err: Connection was r\xe2\x80\xa6"));
    timeline_events_done(&events);
}

static void cuts_nothing_when_it_may_be_wide(void **state)
{
    write_refusal(state);
    struct timeline_events events = read_all(state);
    const struct views_options options = {.time_scale = 20, .width = 60, .is_wide = true};
    CLEANUP_FREE char *text = print(&events, &options);
    timeline_events_done(&events);
    assert_non_null(strstr(text, "Connection was rejected with return code 5 [dps]"));
    assert_null(strstr(text, "..."));
}

static void leaves_other_lanes_out_and_counts_connections_when_there_are_several(void **state)
{
    write_refusal(state);
    struct timeline_events events = read_all(state);
    const struct views_options ours = {.time_scale = 1, .lane = "lane-1", .width = 200}, all = {.time_scale = 1, .width = 200};
    CLEANUP_FREE char *one = print(&events, &ours), *both = print(&events, &all);
    timeline_events_done(&events);
    assert_null(strstr(one, "CONNACK 0"));
    assert_non_null(strstr(both, "1<- CONNACK 5"));
    assert_non_null(strstr(both, "2<- CONNACK 0"));
}

static void a_moment_before_the_reset_is_zero_and_not_minus_zero(void **state)
{
    struct timeline *timeline = open_timeline(state);
    add(timeline, event_at(900, BOOT_US, "dpsbench", "console.line", "", "\"text\":\"x\""));
    add(timeline, event_at(1000, BOOT_US, "dpsbench", "device.reset", "", ""));
    timeline_close(timeline);
    struct timeline_events events = read_all(state);
    const struct views_options options = {.time_scale = 20, .width = 100};
    CLEANUP_FREE char *text = print(&events, &options);
    timeline_events_done(&events);
    assert_non_null(strstr(text, "   0.00       0  x"));
}

/* What is left of the connection of the row before is not the row's first. */
static void counts_connections_from_the_reset_on(void **state)
{
    struct timeline *timeline = open_timeline(state);
    add(timeline, event_at(500, BOOT_US, "dpsbench-sim", "connection.closed", "\"session\":6", ""));
    add(timeline, event_at(1000, BOOT_US, "dpsbench", "device.reset", "", ""));
    add(timeline, event_at(2000, BOOT_US, "dpsbench-sim", "mqtt.connack", "\"session\":7", "\"return_code\":1"));
    add(timeline, event_at(3000, BOOT_US, "dpsbench-sim", "mqtt.connack", "\"session\":8", "\"return_code\":2"));
    timeline_close(timeline);
    struct timeline_events events = read_all(state);
    const struct views_options options = {.time_scale = 1, .width = 120};
    CLEANUP_FREE char *text = print(&events, &options);
    timeline_events_done(&events);
    assert_non_null(strstr(text, "| -- closed by"));
    assert_non_null(strstr(text, "| 1<- CONNACK 1"));
    assert_non_null(strstr(text, "| 2<- CONNACK 2"));
}

static void orders_by_wall_clock_when_the_simulator_is_on_another_host(void **state)
{
    struct timeline *timeline = open_timeline(state);
    /* Its monotonic clock is far behind ours; by the wall clock its event lies between ours. */
    add(timeline, event_at(5000000, BOOT_US, "dpsbench", "device.reset", "", "\"device\":\"dk\",\"action\":\"reset\""));
    add(timeline, event_at(5020000, BOOT_US, "dpsbench", "console.line", "", "\"text\":\"late\""));
    add(timeline, event_at(5010000 + BOOT_US - OTHER_BOOT_US, OTHER_BOOT_US, "dpsbench-sim", "mqtt.connack", "", "\"return_code\":5"));
    timeline_close(timeline);
    struct timeline_events events = read_all(state);
    assert_false(events.has_one_clock);
    assert_string_equal(json_string(events.items[1].event, "kind", ""), "mqtt.connack");
    assert_int_equal(events.items[1].at_us - events.items[0].at_us, 10000);
    timeline_events_done(&events);
}

static void an_event_of_one_host_is_ordered_by_its_monotonic_clock(void **state)
{
    struct timeline *timeline = open_timeline(state);
    /* Somebody set the wall clock back by an hour in between. */
    add(timeline, event_at(1000, BOOT_US, "dpsbench", "device.reset", "", ""));
    add(timeline, event_at(1500, BOOT_US, "dpsbench-sim", "tcp.accepted", "", ""));
    add(timeline, event_at(3000, BOOT_US - 3600000000LL / 4, "dpsbench-sim", "mqtt.connack", "", ""));
    add(timeline, event_at(2000, BOOT_US, "dpsbench", "console.line", "", ""));
    timeline_close(timeline);
    struct timeline_events events = read_all(state);
    assert_true(events.has_one_clock);
    assert_string_equal(json_string(events.items[2].event, "kind", ""), "console.line");
    assert_string_equal(json_string(events.items[3].event, "kind", ""), "mqtt.connack");
    timeline_events_done(&events);
}

static void skips_lines_that_are_no_events_and_names_the_first(void **state)
{
    write_refusal(state);
    CLEANUP_FREE char *path = path_join(*state, TIMELINE_FILE);
    FILE *file = fopen(path, "ae");
    fputs("{\"v\":1,\"kind\":\"x\"\n", file);
    fputs("\n", file);
    fputs("{\"v\":9,\"kind\":\"x\",\"mono_us\":1,\"unix_us\":1}\n", file);
    fwrite("nul\0in it\n", 1, 10, file);
    fputs("{\"v\":1,\"kind\":\"tcp.accepted\",\"mono_us\":1,\"unix_us\":1,\"source\":\"s\",\"data\":{}}\n", file);
    fputs("{\"v\":1,\"ki", file);
    fclose(file);
    struct timeline_events events = read_all(state);
    assert_int_equal(events.count, 9);
    assert_int_equal(events.broken_count, 5);
    assert_int_equal(events.first_broken_line, 9);
    assert_string_equal(events.broken_text, "it is not JSON");
    assert_int_equal(events.missing_count, 1000 - 14);
    timeline_events_done(&events);
}

static void reads_only_the_lines_that_it_is_asked_for(void **state)
{
    write_refusal(state);
    struct timeline_events events = {0};
    assert_int_equal(timeline_read(*state, 3, 5, &events, NULL), 0);
    assert_int_equal(events.count, 3);
    assert_int_equal(events.missing_count, 0);
    timeline_events_done(&events);
    assert_int_equal(timeline_read(*state, 100, 103, &events, NULL), 0);
    assert_int_equal(events.count, 0);
    assert_int_equal(events.missing_count, 4);
    timeline_events_done(&events);
    assert_int_equal(timeline_read(*state, -5, INT64_MAX, &events, NULL), 0);
    assert_int_equal(events.count, 8);
    timeline_events_done(&events);
}

static void says_which_timeline_is_not_there(void **state)
{
    struct timeline_events events = {0};
    struct error error = ERROR_INIT;
    assert_int_equal(timeline_read(*state, 1, 2, &events, &error), -1);
    assert_int_equal(error.code, ERROR_NOT_FOUND);
    assert_non_null(strstr(error.text, TIMELINE_FILE));
}

static void gives_programs_the_same_lines_with_their_events(void **state)
{
    write_refusal(state);
    struct timeline_events events = read_all(state);
    const struct views_options options = {.time_scale = 20, .lane = "lane-1"};
    CLEANUP_JSON cJSON *list = views_to_json(&events, &options);
    timeline_events_done(&events);
    assert_int_equal(cJSON_GetArraySize(list), 7);
    const cJSON *connect = cJSON_GetArrayItem(list, 2);
    assert_string_equal(json_string(connect, "text", ""), "-> CONNECT d (dps), user name u");
    assert_string_equal(json_string(connect, "view", ""), "wire");
    assert_int_equal(json_integer(connect, "at_ms", 0), 2);
    assert_int_equal(json_integer(connect, "line", 0), 5);
    assert_string_equal(json_path(connect, "event.data.client_id")->valuestring, "d");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)
    const struct CMUnitTest tests[] = {
        TEST(shows_three_views_side_by_side_in_time),
        TEST(cuts_what_does_not_fit_the_page),
        TEST(cuts_nothing_when_it_may_be_wide),
        TEST(leaves_other_lanes_out_and_counts_connections_when_there_are_several),
        TEST(a_moment_before_the_reset_is_zero_and_not_minus_zero),
        TEST(counts_connections_from_the_reset_on),
        TEST(orders_by_wall_clock_when_the_simulator_is_on_another_host),
        TEST(an_event_of_one_host_is_ordered_by_its_monotonic_clock),
        TEST(skips_lines_that_are_no_events_and_names_the_first),
        TEST(reads_only_the_lines_that_it_is_asked_for),
        TEST(says_which_timeline_is_not_there),
        TEST(gives_programs_the_same_lines_with_their_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
