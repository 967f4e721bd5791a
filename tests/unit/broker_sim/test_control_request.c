#include "broker_sim/control/lease.h"
#include "broker_sim/control/request.h"

#include <stdlib.h>
#include <string.h>

#include "tests/cmocka.h"

static int read_text(const char *text, struct control_request *request, struct error *error)
{
    return control_request_read(text, strlen(text), request, error);
}

static void reads_a_request(void **state)
{
    (void)state;
    CLEANUP(control_request_done) struct control_request request = {.json = NULL};
    assert_int_equal(read_text("{\"v\":1,\"id\":\"7\",\"method\":\"sync\",\"params\":{\"a\":1}}", &request, NULL), 0);
    assert_string_equal(request.id, "7");
    assert_string_equal(request.method, "sync");
    assert_int_equal(json_integer(request.params, "a", 0), 1);
}

static void missing_params_are_empty_ones(void **state)
{
    (void)state;
    CLEANUP(control_request_done) struct control_request request = {.json = NULL};
    assert_int_equal(read_text("{\"v\":1,\"id\":\"\",\"method\":\"sync\"}", &request, NULL), 0);
    assert_true(cJSON_IsObject(request.params));
    assert_int_equal(cJSON_GetArraySize(request.params), 0);
}

static void refuses_what_is_no_request(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "x",
        "[]",
        "{}",
        "{\"v\":2,\"id\":\"7\",\"method\":\"sync\"}",
        "{\"v\":1,\"method\":\"sync\"}",
        "{\"v\":1,\"id\":7,\"method\":\"sync\"}",
        "{\"v\":1,\"id\":\"7\"}",
        "{\"v\":1,\"id\":\"7\",\"method\":\"sync\",\"params\":[]}",
        "{\"v\":1,\"id\":\"01234567890123456789012345678901234567890123456789012345678901234\",\"method\":\"sync\"}",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct control_request request = {.id = "untouched"};
        struct error error = ERROR_INIT;
        assert_int_equal(read_text(rows[i], &request, &error), -1);
        assert_int_equal(error.code, ERROR_PROTOCOL);
        assert_string_equal(request.id, "untouched");
    }
}

static void refuses_a_request_above_the_limit(void **state)
{
    (void)state;
    char *large = calloc(1, REQUEST_MAX_BYTES + 1);
    struct control_request request;
    struct error error = ERROR_INIT;
    assert_int_equal(control_request_read(large, REQUEST_MAX_BYTES + 1, &request, &error), -1);
    assert_int_equal(error.code, ERROR_LIMIT);
    free(large);
}

static void takes_the_client_name_from_the_topic(void **state)
{
    (void)state;
    char name[CLIENT_NAME_MAX_BYTES + 1];
    assert_int_equal(control_topic_read("dpsbench/v1/control/run-7_A/request", name, NULL), 0);
    assert_string_equal(name, "run-7_A");
    static const char *const rows[] = {
        "dpsbench/v1/control//request",    "dpsbench/v1/control/a/b/request",
        "dpsbench/v1/control/a b/request", "dpsbench/v1/control/a/reply",
        "dpsbench/v1/events/a/request",    "dpsbench/v1/control/01234567890123456789012345678901234567890123456789012345678901234/request",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(control_topic_read(rows[i], name, NULL), -1);
}

static int check_params(const char *text, const char *allowed, struct error *error)
{
    CLEANUP_JSON cJSON *json = cJSON_Parse(text);
    return control_params_check(json, allowed, error);
}

static void refuses_unknown_parameters_and_suggests_the_nearest(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    assert_int_equal(check_params("{\"name\":1,\"etag\":2}", "name etag lease", NULL), 0);
    assert_int_equal(check_params("{}", "", NULL), 0);
    assert_int_equal(check_params("{\"nmae\":1}", "name etag lease", &error), -1);
    assert_non_null(strstr(error.text, "'nmae'; did you mean 'name'; allowed: name etag lease"));
    assert_int_equal(check_params("{\"x\":1}", "", &error), -1);
    assert_non_null(strstr(error.text, "allowed: none"));
}

static void text_parameters_are_bounded(void **state)
{
    (void)state;
    CLEANUP_JSON cJSON *json = cJSON_Parse("{\"a\":\"abc\",\"b\":7,\"c\":\"\"}");
    const char *text = NULL;
    assert_int_equal(control_params_text(json, "a", 3, &text, NULL), 0);
    assert_string_equal(text, "abc");
    assert_int_equal(control_params_text(json, "a", 2, &text, NULL), -1);
    assert_int_equal(control_params_text(json, "b", 9, &text, NULL), -1);
    assert_int_equal(control_params_text(json, "c", 9, &text, NULL), -1);
    assert_int_equal(control_params_text(json, "d", 9, &text, NULL), -1);
}

static void replies_have_the_documented_shape(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    error_set(&error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "certificate 'root-ca' does not exist");
    CLEANUP_JSON cJSON *ok = control_reply_ok("7", NULL);
    CLEANUP_JSON cJSON *failed = control_reply_error("7", &error, "certificates/root-ca.json");
    CLEANUP_JSON cJSON *unknown = control_reply_error(NULL, &error, NULL);
    CLEANUP_FREE char *ok_text = json_print_line(ok);
    CLEANUP_FREE char *failed_text = json_print_line(failed);
    CLEANUP_FREE char *unknown_text = json_print_line(unknown);
    assert_string_equal(ok_text, "{\"v\":1,\"id\":\"7\",\"ok\":true,\"result\":{}}");
    assert_string_equal(failed_text,
                        "{\"v\":1,\"id\":\"7\",\"ok\":false,\"error\":{\"code\":\"not-found\",\"text\":\"certificate 'root-ca' does not "
                        "exist\",\"place\":\"certificates/root-ca.json\"}}");
    assert_non_null(strstr(unknown_text, "\"id\":null"));
}

static void done(struct lease_table **table)
{
    lease_table_free(*table);
}

static void lease_ends_at_its_time_and_renewing_moves_it(void **state)
{
    (void)state;
    struct clock_fake clock;
    clock_fake_init(&clock, 1000000, 0);
    CLEANUP(done) struct lease_table *table = lease_table_new(&clock.clock);
    struct lease *lease = NULL, *found = NULL;
    assert_int_equal(lease_next_end_ms(table), -1);
    assert_int_equal(lease_add(table, "lane-1", 10, &lease, NULL), 0);
    assert_int_equal(lease_next_end_ms(table), 10000);
    clock.mono_now_us += 9999999;
    assert_null(lease_expired(table));
    assert_int_equal(lease_renew(table, lease, 5, NULL), 0);
    clock.mono_now_us += 4999999;
    assert_null(lease_expired(table));
    clock.mono_now_us += 1;
    assert_ptr_equal(lease_expired(table), lease);
    assert_int_equal(lease_find(table, lease->id, &found, NULL), 0);
    char id[LEASE_ID_BYTES];
    snprintf(id, sizeof id, "%s", lease->id);
    lease_remove(table, lease);
    struct error error = ERROR_INIT;
    assert_int_equal(lease_find(table, id, &found, &error), -1);
    assert_int_equal(error.code, ERROR_NOT_FOUND);
}

static void next_end_is_the_earliest_one(void **state)
{
    (void)state;
    struct clock_fake clock;
    clock_fake_init(&clock, 1000000, 0);
    CLEANUP(done) struct lease_table *table = lease_table_new(&clock.clock);
    struct lease *lease = NULL;
    assert_int_equal(lease_add(table, "a", 30, &lease, NULL), 0);
    assert_int_equal(lease_add(table, "b", 10, &lease, NULL), 0);
    assert_int_equal(lease_add(table, "c", 20, &lease, NULL), 0);
    assert_int_equal(lease_next_end_ms(table), 10000);
}

static void lease_times_and_numbers_are_bounded(void **state)
{
    (void)state;
    struct clock_fake clock;
    clock_fake_init(&clock, 1000000, 0);
    CLEANUP(done) struct lease_table *table = lease_table_new(&clock.clock);
    struct lease *lease = NULL;
    struct error error = ERROR_INIT;
    assert_int_equal(lease_add(table, "a", 0, &lease, &error), -1);
    assert_int_equal(lease_add(table, "a", LEASE_TTL_MAX_S + 1, &lease, &error), -1);
    assert_int_equal(error.code, ERROR_USAGE);
    assert_null(lease);
    for (int i = 0; i < LEASES_MAX; i++)
        assert_int_equal(lease_add(table, "a", 1, &lease, NULL), 0);
    assert_int_equal(lease_add(table, "a", 1, &lease, &error), -1);
    assert_int_equal(error.code, ERROR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_request),
        cmocka_unit_test(missing_params_are_empty_ones),
        cmocka_unit_test(refuses_what_is_no_request),
        cmocka_unit_test(refuses_a_request_above_the_limit),
        cmocka_unit_test(takes_the_client_name_from_the_topic),
        cmocka_unit_test(refuses_unknown_parameters_and_suggests_the_nearest),
        cmocka_unit_test(text_parameters_are_bounded),
        cmocka_unit_test(replies_have_the_documented_shape),
        cmocka_unit_test(lease_ends_at_its_time_and_renewing_moves_it),
        cmocka_unit_test(next_end_is_the_earliest_one),
        cmocka_unit_test(lease_times_and_numbers_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
