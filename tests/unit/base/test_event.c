#include "base/event.h"

#include "base/bytes.h"
#include "base/files.h"

#include <ctype.h>
#include <string.h>

#include "tests/cmocka.h"

static struct clock_fake fake;

static cJSON *make(enum event_kind kind)
{
    clock_fake_init(&fake, 81234567, 1790000000000000);
    cJSON *event = event_new(kind, &fake.clock, "dpsbench-sim");
    assert_non_null(event);
    return event;
}

static void is_the_record_of_the_contract(void **state)
{
    (void)state;
    CLEANUP_JSON cJSON *event = make(EVENT_TLS_HANDSHAKE);
    event_set_origin(event, "main", 3, "dev-01");
    json_set_string(event_data(event), "version", "TLSv1.2");
    CLEANUP_FREE char *line = json_print_line(event);
    assert_string_equal(line,
                        "{\"v\":1,\"kind\":\"tls.handshake\",\"mono_us\":81234567,\"unix_us\":1790000000000000,\"source\":\"dpsbench-sim\","
                        "\"data\":{\"version\":\"TLSv1.2\"},\"lane\":\"main\",\"session\":3,\"registration_id\":\"dev-01\"}");
}

static void leaves_out_what_is_not_known(void **state)
{
    (void)state;
    CLEANUP_JSON cJSON *event = make(EVENT_BROKER_UP);
    event_set_origin(event, NULL, 0, NULL);
    assert_null(json_member(event, "lane"));
    assert_null(json_member(event, "session"));
    assert_null(json_member(event, "registration_id"));
}

static void each_kind_is_found_by_its_name_and_belongs_to_a_view(void **state)
{
    (void)state;
    for (int kind = 0; kind < EVENT_KIND_COUNT; kind++) {
        assert_int_equal(event_kind_from_name(event_kind_name((enum event_kind)kind)), kind);
        assert_true(strlen(event_kind_text((enum event_kind)kind)) > 0);
        assert_non_null(event_view_name(event_kind_view((enum event_kind)kind)));
    }
    assert_int_equal(event_kind_from_name("no.such"), EVENT_KIND_COUNT);
    assert_int_equal(event_kind_from_name(NULL), EVENT_KIND_COUNT);
    assert_string_equal(event_kind_name(EVENT_KIND_COUNT), "unknown");
    assert_string_equal(event_kind_text(EVENT_KIND_COUNT), "");
}

static void names_the_three_views_and_the_bench(void **state)
{
    (void)state;
    assert_string_equal(event_view_name(event_kind_view(EVENT_CONSOLE_LINE)), "console");
    assert_string_equal(event_view_name(event_kind_view(EVENT_MQTT_CONNACK)), "wire");
    assert_string_equal(event_view_name(event_kind_view(EVENT_ATTESTATION_VERDICT)), "service");
    assert_string_equal(event_view_name(event_kind_view(EVENT_DEVICE_RESET)), "bench");
}

static int check(const char *text, enum event_kind *ret_kind)
{
    CLEANUP_JSON cJSON *event = cJSON_Parse(text);
    assert_non_null(event);
    struct error error = ERROR_INIT;
    int result = event_check(event, ret_kind, &error);
    if (result)
        assert_int_equal(error.code, ERROR_PROTOCOL);
    return result;
}

static void reads_its_own_records_and_unknown_kinds(void **state)
{
    (void)state;
    CLEANUP_JSON cJSON *event = make(EVENT_DPS_REPLY);
    enum event_kind kind = EVENT_KIND_COUNT;
    assert_int_equal(event_check(event, &kind, NULL), 0);
    assert_int_equal(kind, EVENT_DPS_REPLY);
    assert_int_equal(check("{\"v\":1,\"kind\":\"from.the.future\",\"mono_us\":1,\"unix_us\":1,\"data\":{}}", &kind), 0);
    assert_int_equal(kind, EVENT_KIND_COUNT);
}

static void refuses_what_is_no_record_of_this_version(void **state)
{
    (void)state;
    enum event_kind kind = EVENT_BROKER_UP;
    const char *const bad[] = {
        "[]",
        "{\"v\":1,\"kind\":\"broker.down\",\"mono_us\":1,\"unix_us\":1}",
        "{\"v\":1,\"kind\":\"broker.down\",\"mono_us\":1,\"unix_us\":1,\"data\":[]}",
        "{\"v\":2,\"kind\":\"broker.up\",\"mono_us\":1,\"unix_us\":1,\"data\":{}}",
        "{\"kind\":\"broker.up\",\"mono_us\":1,\"unix_us\":1,\"data\":{}}",
        "{\"v\":1,\"mono_us\":1,\"unix_us\":1,\"data\":{}}",
        "{\"v\":1,\"kind\":\"broker.down\",\"unix_us\":1,\"data\":{}}",
        "{\"v\":1,\"kind\":\"broker.down\",\"mono_us\":1,\"data\":{}}",
        "{\"v\":1,\"kind\":\"broker.down\",\"mono_us\":\"1\",\"unix_us\":1,\"data\":{}}",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_int_equal(check(bad[i], &kind), -1);
    assert_int_equal(kind, EVENT_BROKER_UP);
}

/* "word.word" or "word.word_word" between backticks is a kind; other code in the page has capitals, spaces, slashes or no dot. */
static bool is_kind_shaped(const char *word, size_t length)
{
    size_t dots = 0;
    for (size_t i = 0; i < length; i++) {
        dots += word[i] == '.';
        if (!islower((unsigned char)word[i]) && word[i] != '.' && word[i] != '_')
            return false;
    }
    return dots == 1 && word[0] != '.' && word[length - 1] != '.';
}

/* Names of files, and the events of a firmware's dialect: those are data of the harness, console.<name>. */
static bool is_something_else(const char *word)
{
    static const char *const file_names[] = {"timeline.jsonl", "events.jsonl", "ready.json"};
    for (size_t i = 0; i < ARRAY_COUNT(file_names); i++)
        if (strcmp(word, file_names[i]) == 0)
            return true;
    return strncmp(word, "console.", 8) == 0;
}

static void docs_events_md_lists_every_kind_and_no_other(void **state)
{
    (void)state;
    CLEANUP(bytes_done) struct bytes page = {0};
    assert_int_equal(file_read(DPSBENCH_SOURCE_DIR "/docs/events.md", 1 << 20, &page, NULL), 0);
    bool is_listed[EVENT_KIND_COUNT] = {false};
    char word[64];
    for (const char *open = strchr(bytes_text(&page), '`'); open; open = strchr(open, '`')) {
        const char *start = open + strspn(open, "`"), *end = strchr(start, '`');
        if (!end)
            break;
        open = end + strspn(end, "`");
        size_t length = (size_t)(end - start);
        if (!length || length >= sizeof word || !is_kind_shaped(start, length))
            continue;
        memcpy(word, start, length);
        word[length] = 0;
        enum event_kind kind = event_kind_from_name(word);
        if (kind == EVENT_KIND_COUNT && !is_something_else(word))
            fail_msg("docs/events.md lists '%s', which is no kind", word);
        if (kind != EVENT_KIND_COUNT)
            is_listed[kind] = true;
    }
    for (int kind = 0; kind < EVENT_KIND_COUNT; kind++)
        if (!is_listed[kind])
            fail_msg("docs/events.md does not list '%s'", event_kind_name((enum event_kind)kind));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_the_record_of_the_contract),
        cmocka_unit_test(leaves_out_what_is_not_known),
        cmocka_unit_test(each_kind_is_found_by_its_name_and_belongs_to_a_view),
        cmocka_unit_test(names_the_three_views_and_the_bench),
        cmocka_unit_test(reads_its_own_records_and_unknown_kinds),
        cmocka_unit_test(refuses_what_is_no_record_of_this_version),
        cmocka_unit_test(docs_events_md_lists_every_kind_and_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
