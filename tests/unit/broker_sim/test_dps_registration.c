#include "base/cleanup.h"
#include "broker_sim/dps/reply.h"

#include <regex.h>
#include <string.h>

#include "tests/cmocka.h"

#define UUID "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"

struct fixture {
    struct clock_fake clock;
    struct registration_store *store;
};

static void setup(struct fixture *fixture)
{
    clock_fake_init(&fixture->clock, 1000000, 1661622799514349);
    fixture->store = registration_store_new("0ne000AAAA1", &fixture->clock.clock);
    assert_non_null(fixture->store);
}

static void teardown(struct fixture *fixture)
{
    registration_store_free(fixture->store);
}

static struct registration_outcome outcome_of(enum registration_status status)
{
    struct registration_outcome outcome = {
        .status = status, .device_id = "dev-01", .assigned_hub = "h.azure-devices.net", .enrollment_id = "dev-01"};
    outcome.substatus = SUBSTATUS_INITIAL;
    return outcome;
}

static const struct registration *start(struct fixture *fixture, enum registration_status outcome, int64_t polls, int expected_status)
{
    struct registration_outcome value = outcome_of(outcome);
    const struct registration *registration = NULL;
    int status = 0;
    assert_int_equal(registration_register(fixture->store, "dev-01", &(struct registration_start){.outcome = &value, .polls_wanted = polls},
                                           &status, &registration, NULL),
                     0);
    assert_int_equal(status, expected_status);
    return registration;
}

static int poll_status(struct fixture *fixture, const char *operation_id, bool *ret_has_ended)
{
    const struct registration *registration = NULL;
    int status = 0;
    struct slice id = {operation_id, strlen(operation_id)};
    if (registration_poll(fixture->store, "DEV-01", id, &status, ret_has_ended, &registration, NULL))
        return 404;
    return status;
}

static bool matches(const char *text, const char *pattern)
{
    regex_t regex;
    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    bool is_match = regexec(&regex, text, 0, NULL, 0) == 0;
    regfree(&regex);
    return is_match;
}

static void registration_ends_with_the_poll_that_was_asked_for(void **state)
{
    (void)state;
    CLEANUP(teardown) struct fixture fixture;
    setup(&fixture);
    const struct registration *registration = start(&fixture, REGISTRATION_ASSIGNED, 3, 202);
    bool has_ended = true;
    assert_int_equal(registration->status, REGISTRATION_ASSIGNING);
    assert_int_equal(poll_status(&fixture, registration->operation_id, &has_ended), 202);
    assert_false(has_ended);
    assert_int_equal(poll_status(&fixture, registration->operation_id, &has_ended), 202);
    assert_int_equal(poll_status(&fixture, registration->operation_id, &has_ended), 200);
    assert_true(has_ended);
    assert_int_equal(registration->status, REGISTRATION_ASSIGNED);
    assert_int_equal(poll_status(&fixture, registration->operation_id, &has_ended), 200);
    assert_false(has_ended);
}

static void zero_polls_end_it_in_the_reply_to_register(void **state)
{
    (void)state;
    CLEANUP(teardown) struct fixture fixture;
    setup(&fixture);
    assert_int_equal(start(&fixture, REGISTRATION_ASSIGNED, 0, 200)->status, REGISTRATION_ASSIGNED);
}

static void every_outcome_shows_on_the_last_poll(void **state)
{
    (void)state;
    static const enum registration_status outcomes[] = {REGISTRATION_ASSIGNED, REGISTRATION_FAILED, REGISTRATION_DISABLED};
    for (size_t i = 0; i < ARRAY_COUNT(outcomes); i++) {
        CLEANUP(teardown) struct fixture fixture;
        setup(&fixture);
        const struct registration *registration = start(&fixture, outcomes[i], 1, 202);
        bool has_ended = false;
        assert_int_equal(poll_status(&fixture, registration->operation_id, &has_ended), 200);
        assert_int_equal(registration->status, outcomes[i]);
    }
}

static void unknown_operations_are_not_found(void **state)
{
    (void)state;
    CLEANUP(teardown) struct fixture fixture;
    setup(&fixture);
    bool has_ended;
    assert_int_equal(poll_status(&fixture, "5.x.y", &has_ended), 404);
    start(&fixture, REGISTRATION_ASSIGNED, 1, 202);
    assert_int_equal(poll_status(&fixture, "5.x.y", &has_ended), 404);
    assert_int_equal(poll_status(&fixture, "", &has_ended), 404);
}

static void registering_again_replaces_the_operation_and_keeps_the_record(void **state)
{
    (void)state;
    CLEANUP(teardown) struct fixture fixture;
    setup(&fixture);
    char first[OPERATION_ID_BYTES];
    bool has_ended;
    const struct registration *registration = start(&fixture, REGISTRATION_ASSIGNED, 1, 202);
    int64_t created_unix_us = registration->created_unix_us;
    snprintf(first, sizeof first, "%s", registration->operation_id);
    fixture.clock.unix_now_us += 5000000;
    const struct registration *again = start(&fixture, REGISTRATION_ASSIGNED, 1, 202);
    assert_ptr_equal(registration, again);
    assert_string_not_equal(first, again->operation_id);
    assert_int_equal(poll_status(&fixture, first, &has_ended), 404);
    assert_int_equal(again->created_unix_us - created_unix_us, 5000000);
    assert_int_equal(again->updated_unix_us, again->created_unix_us);
}

static void deleting_forgets_the_registration(void **state)
{
    (void)state;
    CLEANUP(teardown) struct fixture fixture;
    setup(&fixture);
    start(&fixture, REGISTRATION_ASSIGNED, 1, 202);
    assert_int_equal(registration_delete(fixture.store, "Dev-01", NULL), 0);
    assert_null(registration_find(fixture.store, "dev-01"));
    struct error error = ERROR_INIT;
    assert_int_equal(registration_delete(fixture.store, "dev-01", &error), -1);
    assert_int_equal(error.code, ERROR_NOT_FOUND);
}

static void load(struct fixture *fixture, struct store *kept)
{
    assert_int_equal(registration_store_load(fixture->store, kept, NULL), 0);
}

static void restart(struct fixture *fixture, struct store *kept)
{
    registration_store_free(fixture->store);
    fixture->store = registration_store_new("0ne000AAAA1", &fixture->clock.clock);
    load(fixture, kept);
}

static cJSON *json_of(const struct fixture *fixture, const char *registration_id)
{
    const struct registration *registration = registration_find(fixture->store, registration_id);
    return registration ? registration_to_json(registration) : NULL;
}

/* Each member of the record differs from its zero here: one that is not kept shows. */
static void records_are_whole_after_a_restart(void **state)
{
    (void)state;
    CLEANUP(teardown) struct fixture fixture;
    setup(&fixture);
    struct store *kept = NULL;
    assert_int_equal(store_open(NULL, &kept, NULL), 0);
    load(&fixture, kept);
    struct registration_outcome outcome = {.status = REGISTRATION_FAILED,
                                           .is_group = true,
                                           .has_symmetric_key = true,
                                           .is_lower_id = true,
                                           .substatus = SUBSTATUS_MIGRATED,
                                           .enrollment_id = "g",
                                           .device_id = "d",
                                           .assigned_hub = "h",
                                           .leaf_sha256 = "AB",
                                           .error_code = 400207,
                                           .error_message = "no",
                                           .payload = (char[]){"{}"},
                                           .initial_twin = (char[]){"{\"tags\":{}}"},
                                           .issued_chain = (char[]){"[]"}};
    const struct registration *registration = NULL;
    bool has_ended = false;
    int status = 0;
    start(&fixture, REGISTRATION_ASSIGNED, 0, 200); /* so that it is somewhere */
    assert_int_equal(registration_register(fixture.store, "Dev-01", &(struct registration_start){.outcome = &outcome, .polls_wanted = 2},
                                           &status, &registration, NULL),
                     0);
    char operation_id[OPERATION_ID_BYTES];
    snprintf(operation_id, sizeof operation_id, "%s", registration->operation_id);
    CLEANUP_JSON cJSON *before = json_of(&fixture, "dev-01");
    restart(&fixture, kept);
    CLEANUP_JSON cJSON *after = json_of(&fixture, "dev-01");
    assert_true(cJSON_Compare(before, after, true));
    assert_int_equal(cJSON_GetArraySize(after), 23); /* all members but polls, which are 0 */
    assert_int_equal(poll_status(&fixture, operation_id, &has_ended), 202);
    assert_int_equal(poll_status(&fixture, operation_id, &has_ended), 200);
    restart(&fixture, kept);
    assert_int_equal(registration_find(fixture.store, "dev-01")->status, REGISTRATION_FAILED);
    assert_string_equal(registration_find(fixture.store, "DEV-01")->registration_id, "dev-01");
    assert_int_equal(registration_delete(fixture.store, "DEV-01", NULL), 0);
    restart(&fixture, kept);
    assert_null(registration_find(fixture.store, "dev-01"));
    store_close(kept);
}

static void a_record_of_no_status_that_we_know_is_refused(void **state)
{
    (void)state;
    CLEANUP_JSON cJSON *json = cJSON_Parse("{\"status\":\"lost\"}");
    struct registration registration;
    struct error error = ERROR_INIT;
    assert_int_equal(registration_from_json(json, &registration, &error), -1);
    assert_non_null(strstr(error.text, "lost"));
}

static void operation_ids_look_as_the_service_writes_them(void **state)
{
    (void)state;
    char a[OPERATION_ID_BYTES], b[OPERATION_ID_BYTES];
    identifier_operation_id("0ne000AAAA1", a);
    identifier_operation_id("0ne000AAAA1", b);
    assert_true(matches(a, "^5\\.[0-9a-f]{16}\\." UUID "$"));
    assert_int_equal(strlen(a), 55);
    assert_memory_equal(a, b, 18);
    assert_string_not_equal(a, b);
}

static void topics_put_rid_first_and_retry_after_zero_is_not_an_absent_one(void **state)
{
    (void)state;
    CLEANUP_FREE char *with = reply_topic(202, (struct slice){"a=b c", 5}, 3);
    CLEANUP_FREE char *without = reply_topic(200, (struct slice){"1", 1}, RETRY_AFTER_ABSENT);
    CLEANUP_FREE char *zero = reply_topic(202, (struct slice){"1", 1}, 0);
    assert_string_equal(with, "$dps/registrations/res/202/?$rid=a=b c&retry-after=3");
    assert_string_equal(without, "$dps/registrations/res/200/?$rid=1");
    assert_string_equal(zero, "$dps/registrations/res/202/?$rid=1&retry-after=0");
}

static void assigning_body_of_a_register_reply_holds_nothing_else(void **state)
{
    (void)state;
    CLEANUP(teardown) struct fixture fixture;
    setup(&fixture);
    CLEANUP_JSON cJSON *body = reply_operation_body(start(&fixture, REGISTRATION_ASSIGNED, 1, 202), false);
    CLEANUP_FREE char *text = json_print_line(body);
    assert_true(matches(text, "^\\{\"operationId\":\"5\\.[0-9a-f]{16}\\." UUID "\",\"status\":\"assigning\"\\}$"));
}

static void assigned_state_has_the_members_of_the_service_in_their_order(void **state)
{
    (void)state;
    CLEANUP(teardown) struct fixture fixture;
    setup(&fixture);
    CLEANUP_JSON cJSON *body = reply_operation_body(start(&fixture, REGISTRATION_ASSIGNED, 0, 200), true);
    CLEANUP_FREE char *text = json_print_line(body);
    assert_true(matches(
        text, "^\\{\"operationId\":\"5\\.[^\"]*\",\"status\":\"assigned\",\"registrationState\":\\{\"x509\":\\{\\},\"registrationId\":"
              "\"dev-01\",\"createdDateTimeUtc\":\"2022-08-27T17:53:19\\.514349[0-9]Z\",\"assignedHub\":\"h.azure-devices.net\","
              "\"deviceId\":\"dev-01\",\"status\":\"assigned\",\"substatus\":\"initialAssignment\",\"lastUpdatedDateTimeUtc\":"
              "\"2022-08-27T17:53:19\\.514349[0-9]Z\",\"etag\":\"[A-Za-z0-9+/=]{40,}\"\\}\\}$"));
}

static void group_shows_by_its_name(void **state)
{
    (void)state;
    CLEANUP(teardown) struct fixture fixture;
    setup(&fixture);
    struct registration_outcome outcome = outcome_of(REGISTRATION_ASSIGNED);
    const struct registration *registration;
    int status;
    outcome.is_group = true;
    snprintf(outcome.enrollment_id, sizeof outcome.enrollment_id, "group-1");
    assert_int_equal(
        registration_register(fixture.store, "dev-01", &(struct registration_start){.outcome = &outcome}, &status, &registration, NULL), 0);
    CLEANUP_JSON cJSON *registration_state = reply_registration_state(registration);
    assert_string_equal(json_string(json_member(registration_state, "x509"), "enrollmentGroupId", ""), "group-1");
}

static void failed_state_carries_code_and_message(void **state)
{
    (void)state;
    CLEANUP(teardown) struct fixture fixture;
    setup(&fixture);
    struct registration_outcome outcome = outcome_of(REGISTRATION_FAILED);
    const struct registration *registration;
    int status;
    outcome.error_code = 401002;
    snprintf(outcome.error_message, sizeof outcome.error_message, "Invalid certificate");
    assert_int_equal(
        registration_register(fixture.store, "dev-01", &(struct registration_start){.outcome = &outcome}, &status, &registration, NULL), 0);
    CLEANUP_JSON cJSON *body = reply_operation_body(registration, true);
    const cJSON *result = json_member(body, "registrationState");
    assert_string_equal(json_string(body, "status", ""), "failed");
    assert_int_equal(json_integer(result, "errorCode", 0), 401002);
    assert_string_equal(json_string(result, "errorMessage", ""), "Invalid certificate");
}

static void disabled_body_is_as_short_as_the_service_sends_it(void **state)
{
    (void)state;
    CLEANUP(teardown) struct fixture fixture;
    setup(&fixture);
    CLEANUP_JSON cJSON *body = reply_operation_body(start(&fixture, REGISTRATION_DISABLED, 0, 200), true);
    CLEANUP_FREE char *text = json_print_line(body);
    assert_non_null(strstr(text, "\"status\":\"disabled\",\"registrationState\":{\"registrationId\":\"dev-01\",\"status\":\"disabled\"}}"));
}

static void error_body_is_ascii_json_in_the_order_of_the_service(void **state)
{
    (void)state;
    CLEANUP_JSON cJSON *body = reply_error_body(401002, "CA certificate not found. \xc3\xa9", 1586496262471852);
    CLEANUP_FREE char *text = json_print_line(body);
    assert_true(matches(text, "^\\{\"errorCode\":401002,\"trackingId\":\"" UUID "\",\"message\":\"CA certificate not found\\. "
                              "\\\\u00e9\",\"timestampUtc\":\"2020-04-10T05:24:22\\.471852[0-9]Z\"\\}$"));
}

static int settle(struct fixture *fixture, const char *operation_id, const struct registration_outcome *outcome)
{
    return registration_settle(fixture->store, "dev-01", operation_id, outcome, NULL);
}

static void an_operation_without_outcome_goes_on_until_it_is_told(void **state)
{
    (void)state;
    CLEANUP(teardown) struct fixture fixture;
    setup(&fixture);
    const struct registration *registration = start(&fixture, REGISTRATION_UNASSIGNED, 0, 202);
    struct registration_outcome outcome = outcome_of(REGISTRATION_ASSIGNED);
    bool has_ended = true;
    char operation_id[OPERATION_ID_BYTES], payload[] = "{\"a\":1}";
    snprintf(operation_id, sizeof operation_id, "%s", registration->operation_id);
    for (int i = 0; i < 3; i++)
        assert_int_equal(poll_status(&fixture, operation_id, &has_ended), 202);
    assert_false(has_ended);
    assert_int_equal(settle(&fixture, "5.other", &outcome), -1);
    outcome.payload = payload;
    outcome.substatus = SUBSTATUS_RESET;
    assert_int_equal(settle(&fixture, operation_id, &outcome), 0);
    assert_int_equal(settle(&fixture, operation_id, &outcome), -1);
    assert_int_equal(poll_status(&fixture, operation_id, &has_ended), 200);
    assert_true(has_ended);
    CLEANUP_JSON cJSON *body = reply_operation_body(registration_find(fixture.store, "dev-01"), true);
    CLEANUP_FREE char *text = json_print_line(body);
    assert_non_null(strstr(text, "\"substatus\":\"deviceDataReset\""));
    assert_non_null(strstr(text, "\"payload\":{\"a\":1}}"));
}

static void an_operation_that_nobody_can_tell_any_more_fails_after_a_restart(void **state)
{
    (void)state;
    CLEANUP(teardown) struct fixture fixture;
    setup(&fixture);
    struct store *kept = NULL;
    bool has_ended;
    assert_int_equal(store_open(NULL, &kept, NULL), 0);
    load(&fixture, kept);
    char operation_id[OPERATION_ID_BYTES];
    snprintf(operation_id, sizeof operation_id, "%s", start(&fixture, REGISTRATION_UNASSIGNED, 1, 202)->operation_id);
    restart(&fixture, kept);
    assert_int_equal(poll_status(&fixture, operation_id, &has_ended), 200);
    assert_int_equal(registration_find(fixture.store, "dev-01")->outcome.error_code, 500000);
    store_close(kept);
}

static int register_again(struct fixture *fixture, uint64_t session, int64_t conflict_us, enum error_code *ret_code)
{
    struct registration_outcome value = outcome_of(REGISTRATION_ASSIGNED);
    const struct registration *registration;
    struct error error = ERROR_INIT;
    int status;
    const struct registration_start start = {.outcome = &value, .polls_wanted = 1, .session = session, .conflict_us = conflict_us};
    int rc = registration_register(fixture->store, "dev-01", &start, &status, &registration, &error);
    *ret_code = error.code;
    return rc;
}

static void another_session_at_the_same_time_is_a_conflict_and_later_it_is_not(void **state)
{
    (void)state;
    CLEANUP(teardown) struct fixture fixture;
    setup(&fixture);
    enum error_code code;
    assert_int_equal(register_again(&fixture, 1, 300000, &code), 0);
    char operation_id[OPERATION_ID_BYTES];
    snprintf(operation_id, sizeof operation_id, "%s", registration_find(fixture.store, "dev-01")->operation_id);
    assert_int_equal(register_again(&fixture, 2, 300000, &code), -1);
    assert_int_equal(code, ERROR_CONFLICT);
    assert_string_equal(registration_find(fixture.store, "dev-01")->operation_id, operation_id);
    registration_release(fixture.store, "dev-01", 2);
    assert_int_equal(register_again(&fixture, 2, 300000, &code), -1);
    registration_release(fixture.store, "dev-01", 1);
    assert_int_equal(register_again(&fixture, 1, 300000, &code), 0);
    assert_int_equal(register_again(&fixture, 2, 0, &code), 0);
    assert_int_equal(register_again(&fixture, 2, 300000, &code), 0);
    fixture.clock.mono_now_us += 300000;
    assert_int_equal(register_again(&fixture, 3, 300000, &code), 0);
    bool has_ended;
    poll_status(&fixture, registration_find(fixture.store, "dev-01")->operation_id, &has_ended);
    assert_true(has_ended);
    assert_int_equal(register_again(&fixture, 4, 300000, &code), 0);
}

static void where_a_device_is_stays_until_another_operation_assigns(void **state)
{
    (void)state;
    CLEANUP(teardown) struct fixture fixture;
    setup(&fixture);
    assert_string_equal(start(&fixture, REGISTRATION_ASSIGNED, 1, 202)->current.hub, "");
    assert_string_equal(start(&fixture, REGISTRATION_ASSIGNED, 0, 200)->current.hub, "h.azure-devices.net");
    assert_string_equal(start(&fixture, REGISTRATION_FAILED, 0, 200)->current.hub, "h.azure-devices.net");
    assert_string_equal(start(&fixture, REGISTRATION_UNASSIGNED, 0, 202)->current.device_id, "dev-01");
}

static void count_visits(void *user, const struct registration *registration)
{
    char *ids = user;
    snprintf(ids + strlen(ids), 64 - strlen(ids), "%s ", registration->registration_id);
}

static void records_are_listed_by_group_in_order(void **state)
{
    (void)state;
    CLEANUP(teardown) struct fixture fixture;
    setup(&fixture);
    static const char *const ids[] = {"dev-03", "Dev-01", "dev-02"}, *const groups[] = {"g", "G", "other"};
    const struct registration *registration;
    int status;
    for (size_t i = 0; i < 3; i++) {
        struct registration_outcome outcome = outcome_of(REGISTRATION_ASSIGNED);
        outcome.is_group = true;
        snprintf(outcome.enrollment_id, sizeof outcome.enrollment_id, "%s", groups[i]);
        const struct registration_start begin = {.outcome = &outcome};
        assert_int_equal(registration_register(fixture.store, ids[i], &begin, &status, &registration, NULL), 0);
    }
    char of_group[64] = "", of_all[64] = "";
    registration_each(fixture.store, "g", count_visits, of_group);
    registration_each(fixture.store, NULL, count_visits, of_all);
    assert_string_equal(of_group, "Dev-01 dev-03 ");
    assert_string_equal(of_all, "Dev-01 dev-02 dev-03 ");
}

static void texts_of_all_records_together_are_bounded(void **state)
{
    (void)state;
    CLEANUP(teardown) struct fixture fixture;
    setup(&fixture);
    enum { BIG_BYTES = REGISTRATION_TEXTS_MAX_BYTES / 2 };
    CLEANUP_FREE char *big = malloc(BIG_BYTES + 1);
    assert_non_null(big);
    memset(big, '7', BIG_BYTES);
    big[BIG_BYTES] = 0;
    struct registration_outcome outcome = outcome_of(REGISTRATION_ASSIGNED);
    const struct registration *registration;
    struct error error = ERROR_INIT;
    int status;
    outcome.payload = big;
    const struct registration_start begin = {.outcome = &outcome};
    assert_int_equal(registration_register(fixture.store, "one", &begin, &status, &registration, NULL), 0);
    assert_int_equal(registration_register(fixture.store, "one", &begin, &status, &registration, NULL), 0);
    assert_int_equal(registration_register(fixture.store, "two", &begin, &status, &registration, &error), -1);
    assert_int_equal(error.code, ERROR_LIMIT);
    assert_null(registration_find(fixture.store, "two"));
    assert_int_equal(registration_delete(fixture.store, "one", NULL), 0);
    assert_int_equal(registration_register(fixture.store, "two", &begin, &status, &registration, NULL), 0);
}

static void a_quota_window_opens_with_the_first_request_and_ends(void **state)
{
    (void)state;
    struct quota_window window = {0};
    assert_int_equal(quota_take(&window, 1000, 100, 0), 0);
    assert_int_equal(window.count, 0);
    assert_int_equal(quota_take(&window, 1000, 100, 2), 0);
    assert_int_equal(quota_take(&window, 1050, 100, 2), 0);
    assert_int_equal(quota_take(&window, 1060, 100, 2), 40);
    assert_int_equal(quota_take(&window, 1099, 100, 2), 1);
    assert_int_equal(quota_take(&window, 1100, 100, 2), 0);
    assert_int_equal(quota_take(&window, 1101, 100, 1), 99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registration_ends_with_the_poll_that_was_asked_for),
        cmocka_unit_test(zero_polls_end_it_in_the_reply_to_register),
        cmocka_unit_test(every_outcome_shows_on_the_last_poll),
        cmocka_unit_test(unknown_operations_are_not_found),
        cmocka_unit_test(registering_again_replaces_the_operation_and_keeps_the_record),
        cmocka_unit_test(deleting_forgets_the_registration),
        cmocka_unit_test(records_are_whole_after_a_restart),
        cmocka_unit_test(a_record_of_no_status_that_we_know_is_refused),
        cmocka_unit_test(operation_ids_look_as_the_service_writes_them),
        cmocka_unit_test(topics_put_rid_first_and_retry_after_zero_is_not_an_absent_one),
        cmocka_unit_test(assigning_body_of_a_register_reply_holds_nothing_else),
        cmocka_unit_test(assigned_state_has_the_members_of_the_service_in_their_order),
        cmocka_unit_test(group_shows_by_its_name),
        cmocka_unit_test(failed_state_carries_code_and_message),
        cmocka_unit_test(disabled_body_is_as_short_as_the_service_sends_it),
        cmocka_unit_test(error_body_is_ascii_json_in_the_order_of_the_service),
        cmocka_unit_test(an_operation_without_outcome_goes_on_until_it_is_told),
        cmocka_unit_test(an_operation_that_nobody_can_tell_any_more_fails_after_a_restart),
        cmocka_unit_test(another_session_at_the_same_time_is_a_conflict_and_later_it_is_not),
        cmocka_unit_test(where_a_device_is_stays_until_another_operation_assigns),
        cmocka_unit_test(records_are_listed_by_group_in_order),
        cmocka_unit_test(texts_of_all_records_together_are_bounded),
        cmocka_unit_test(a_quota_window_opens_with_the_first_request_and_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
