#include "harness/run/watch.h"

#include "base/cleanup.h"
#include "harness/case/known_findings.h"
#include "tests/unit/harness/test_case_support.h"

#include <string.h>

#include "tests/cmocka.h"

struct fixture {
    struct case_list list;
    struct watch watch;
    struct result_row result;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){0};
    if (case_support_read(case_support_good, &fixture.list, NULL))
        return -1;
    watch_init(&fixture.watch, fixture.list.rows[0], 10);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    watch_done(&fixture->watch);
    result_row_done(&fixture->result);
    case_list_done(&fixture->list);
    return 0;
}

static void show(struct fixture *fixture, const char *kind, const char *data)
{
    CLEANUP_FREE char *text = NULL;
    assert_true(asprintf(&text, "{\"kind\":\"%s\",\"data\":%s}", kind, data) > 0);
    CLEANUP_JSON cJSON *event = json_parse(text, strlen(text), "event", NULL);
    assert_non_null(event);
    watch_event(&fixture->watch, event);
}

#define REFUSED                                                                                                                            \
    "{\"verdict\":\"refused\",\"rule\":\"chain.unknown-ca\",\"surface\":\"connack\",\"text\":\"unknown CA\",\"mend\":\"enroll it\"}"

static void show_all(struct fixture *fixture)
{
    show(fixture, "tls.handshake", "{\"chain\":[1,2]}");
    show(fixture, "attestation.verdict", REFUSED);
    show(fixture, "console.connection-rejected", "{\"return_code\":5}");
}

static void judge(struct fixture *fixture)
{
    watch_tell(&fixture->watch, &fixture->result);
    watch_judge(&fixture->watch, &fixture->result);
}

static void passes_when_all_three_views_are_met(void **state)
{
    struct fixture *fixture = *state;
    show_all(fixture);
    assert_true(watch_is_met(&fixture->watch));
    judge(fixture);
    assert_int_equal(fixture->result.verdict, VERDICT_PASS);
    assert_null(fixture->result.reason.text);
    assert_string_equal(fixture->result.rule, "chain.unknown-ca");
    assert_string_equal(fixture->result.outcome, "unknown CA");
    assert_string_equal(fixture->result.mend, "enroll it");
}

static void fails_with_the_place_what_was_expected_and_the_nearest_miss(void **state)
{
    struct fixture *fixture = *state;
    show(fixture, "tls.handshake", "{\"chain\":[1,2]}");
    show(fixture, "attestation.verdict", "{\"verdict\":\"refused\",\"rule\":\"ca.not-verified\",\"text\":\"t\"}");
    show(fixture, "console.connection-rejected", "{\"return_code\":5}");
    assert_false(watch_is_met(&fixture->watch));
    judge(fixture);
    const struct result_reason *reason = &fixture->result.reason;
    assert_int_equal(fixture->result.verdict, VERDICT_FAIL);
    assert_string_equal(reason->view, "service");
    assert_string_equal(reason->place, "cases/refused/wrong-chain.yaml:22:32");
    assert_string_equal(reason->expected, "attestation.verdict where verdict = 'refused', rule = 'chain.unknown-ca'");
    assert_string_equal(reason->got, "attestation.verdict with verdict = 'refused', rule = 'ca.not-verified'");
}

static void fails_at_once_on_what_must_never_happen(void **state)
{
    struct fixture *fixture = *state;
    show_all(fixture);
    show(fixture, "console.assigned", "{}");
    assert_true(watch_is_violated(&fixture->watch));
    judge(fixture);
    assert_int_equal(fixture->result.verdict, VERDICT_FAIL);
    assert_string_equal(fixture->result.reason.expected, "no console.assigned");
    assert_string_equal(fixture->result.reason.view, "console");
}

static void other_permutations_expectations_do_not_count(void **state)
{
    struct fixture *fixture = *state;
    show(fixture, "console.non-retriable", "{\"status\":401}");
    assert_int_equal(fixture->watch.views[CASE_VIEW_CONSOLE].met, 0);
}

static void events_of_the_bench_mean_nothing(void **state)
{
    struct fixture *fixture = *state;
    show(fixture, "state.changed", "{}");
    show(fixture, "some.thing-new", "{}");
    judge(fixture);
    assert_string_equal(fixture->result.reason.got, "nothing");
}

static void a_hole_in_the_console_is_no_failure_of_the_device(void **state)
{
    struct fixture *fixture = *state;
    show(fixture, "tls.handshake", "{\"chain\":[1,2]}");
    show(fixture, "attestation.verdict", REFUSED);
    show(fixture, "console.dropped", "{\"count\":7}");
    judge(fixture);
    assert_int_equal(fixture->result.verdict, VERDICT_INCONCLUSIVE);
}

static void remembers_known_findings_without_judging_them(void **state)
{
    struct fixture *fixture = *state;
    show_all(fixture);
    show(fixture, "console.line", "{\"message\":\"Socket error: POLLHUP\"}");
    judge(fixture);
    assert_int_equal(fixture->result.verdict, VERDICT_PASS);
    assert_int_equal(fixture->result.finding_count, 1);
    assert_string_equal(fixture->result.findings[0].text, "noise");
}

static void read_row(struct fixture *fixture, const char *from, const char *to)
{
    CLEANUP_FREE char *text = case_support_with(from, to);
    struct error error = ERROR_INIT;
    watch_done(&fixture->watch);
    case_list_done(&fixture->list);
    if (case_support_read(text, &fixture->list, &error))
        fail_msg("%s", error.text);
    watch_init(&fixture->watch, fixture->list.rows[0], 10);
}

static void show_at(struct fixture *fixture, const char *kind, int64_t mono_us)
{
    CLEANUP_JSON cJSON *event = cJSON_CreateObject();
    json_set_string(event, "kind", kind);
    json_set_integer(event, "mono_us", mono_us);
    json_set(event, "data", cJSON_CreateObject());
    watch_event(&fixture->watch, event);
}

static void bears_as_many_as_the_case_allows(void **state)
{
    struct fixture *fixture = *state;
    read_row(fixture, "never: [{event: console.assigned}]", "never: [{event: console.assigned, more_than: 2}]");
    show(fixture, "console.assigned", "{}");
    show(fixture, "console.assigned", "{}");
    assert_false(watch_is_violated(&fixture->watch));
    show(fixture, "console.assigned", "{}");
    assert_true(watch_is_violated(&fixture->watch));
    judge(fixture);
    assert_string_equal(fixture->result.reason.expected, "no console.assigned more than 2 times");
}

#define TWO_STEPS "in_order: [{event: mqtt.puback}, {event: mqtt.publish, after_s: {min: 3}}]"

#define ONE_STEP "in_order: [{event: tls.handshake, where: {chain: {count: 2}}}]"
#define ANY_ORDER                                                                                                                          \
    "in_order: [{event: mqtt.connect}], in_any_order: [{event: mqtt.suback, catches: [accepts-any-server]}, {event: mqtt.publish}, "       \
    "{event: mqtt.publish}]"

static void takes_events_in_any_order_and_each_for_one_expectation(void **state)
{
    struct fixture *fixture = *state;
    read_row(fixture, ONE_STEP ",\n         never: [{event: mqtt.connect, catches: [accepts-any-server]}]", ANY_ORDER);
    show(fixture, "mqtt.publish", "{}");
    show(fixture, "mqtt.connect", "{}");
    show(fixture, "mqtt.suback", "{}");
    show(fixture, "attestation.verdict", REFUSED);
    show(fixture, "console.connection-rejected", "{\"return_code\":5}");
    assert_false(watch_is_met(&fixture->watch)); /* one publication is not two */
    char text[WATCH_TEXT_BYTES];
    watch_progress(&fixture->watch, text);
    assert_non_null(strstr(text, "wire 3/4"));
    struct result_row early = {0};
    watch_judge(&fixture->watch, &early);
    assert_int_equal(early.verdict, VERDICT_FAIL);
    assert_string_equal(early.reason.expected, "mqtt.publish");
    result_row_done(&early);
    show(fixture, "mqtt.publish", "{}");
    assert_true(watch_is_met(&fixture->watch));
    judge(fixture);
    assert_int_equal(fixture->result.verdict, VERDICT_PASS);
}

static void what_comes_too_early_in_device_seconds_fails(void **state)
{
    struct fixture *fixture = *state;
    read_row(fixture, ONE_STEP, TWO_STEPS);
    show_at(fixture, "mqtt.puback", 1000000);
    show_at(fixture, "mqtt.publish", 1000000 + 290000);
    assert_true(watch_is_violated(&fixture->watch));
    judge(fixture);
    assert_string_equal(fixture->result.reason.text, "wire: it came at the wrong time");
    assert_string_equal(fixture->result.reason.expected, "mqtt.publish, 3 s or more after the event before it");
    assert_string_equal(fixture->result.reason.got, "mqtt.publish, 2.9 device seconds after it");
}

static void what_waits_long_enough_does_not(void **state)
{
    struct fixture *fixture = *state;
    read_row(fixture, ONE_STEP, TWO_STEPS);
    show_at(fixture, "mqtt.puback", 1000000);
    show_at(fixture, "mqtt.publish", 1000000 + 300000);
    assert_false(watch_is_violated(&fixture->watch));
    assert_int_equal(fixture->watch.views[CASE_VIEW_WIRE].met, 2);
}

/* At scale 10 its 30 device seconds are 3 s. */
#define LIMITED "in_order: [{event: mqtt.puback}, {event: mqtt.publish, after_s: {max: 30}}]"

static void the_work_of_the_machine_makes_nothing_late(void **state)
{
    struct fixture *fixture = *state;
    read_row(fixture, ONE_STEP, LIMITED);
    show_at(fixture, "mqtt.puback", 1000000);
    show_at(fixture, "mqtt.publish", 1000000 + 3240000);
    assert_false(watch_is_violated(&fixture->watch));
}

static void what_comes_later_than_that_fails(void **state)
{
    struct fixture *fixture = *state;
    read_row(fixture, ONE_STEP, LIMITED);
    show_at(fixture, "mqtt.puback", 1000000);
    show_at(fixture, "mqtt.publish", 1000000 + 3260000);
    assert_true(watch_is_violated(&fixture->watch));
    judge(fixture);
    assert_string_equal(fixture->result.reason.got, "mqtt.publish, 32.6 device seconds after it");
}

static bool is_overdue_after_ms(struct fixture *fixture, int64_t ms)
{
    enum { STARTED_US = 5000000 };
    return watch_is_overdue(&fixture->watch, STARTED_US + ms * 1000);
}

static void what_is_overdue_is_not_waited_for(void **state)
{
    struct fixture *fixture = *state;
    read_row(fixture, ONE_STEP, LIMITED);
    assert_false(is_overdue_after_ms(fixture, 60000)); /* nothing has come that the time could count from */
    show_at(fixture, "mqtt.puback", 1000000);
    assert_false(is_overdue_after_ms(fixture, 60001));
    assert_false(is_overdue_after_ms(fixture, 60001 + 4900));
    assert_true(is_overdue_after_ms(fixture, 60001 + 5100));
    judge(fixture);
    assert_int_equal(fixture->result.verdict, VERDICT_FAIL);
    show_at(fixture, "mqtt.publish", 1000000 + 2000000);
    assert_false(is_overdue_after_ms(fixture, 70000));
}

static void the_outcome_names_the_fault_that_the_case_asked_for_and_no_close_notify(void **state)
{
    struct fixture *fixture = *state;
    show(fixture, "tls.alert", "{\"direction\":\"sent\",\"name\":\"close_notify\"}");
    judge(fixture);
    assert_null(fixture->result.outcome);
    show(fixture, "scenario.fault", "{\"knob\":\"connack\",\"value\":\"3\"}");
    judge(fixture);
    assert_string_equal(fixture->result.outcome, "not assigned; the service did as the case asks: connack 3");
}

/* ---- what the device is known to fail ---- */

static char says_nothing[] = "it says nothing", says_too_much[] = "it says too much", source[] = "its source";
static const struct known_finding known_one = {.reason = says_nothing, .source = source};
static const struct known_finding known_two = {.reason = says_too_much, .source = source};

static struct case_view_expectations *view_of_row(struct fixture *fixture, enum case_view view)
{
    return &fixture->list.rows[0]->views[view];
}

static void what_fails_at_nothing_but_what_is_known_is_known(void **state)
{
    struct fixture *fixture = *state;
    view_of_row(fixture, CASE_VIEW_CONSOLE)->in_order.items[0].known = &known_one;
    show(fixture, "tls.handshake", "{\"chain\":[1,2]}");
    show(fixture, "attestation.verdict", REFUSED);
    assert_true(watch_is_met(&fixture->watch));
    judge(fixture);
    assert_int_equal(fixture->result.verdict, VERDICT_KNOWN);
    assert_string_equal(fixture->result.reason.view, "console");
    assert_int_equal(fixture->result.finding_count, 1);
    assert_int_equal(fixture->result.findings[0].kind, RESULT_FINDING_FAILS);
    assert_string_equal(fixture->result.findings[0].text, "it says nothing");
}

static void what_fails_otherwise_too_fails(void **state)
{
    struct fixture *fixture = *state;
    view_of_row(fixture, CASE_VIEW_CONSOLE)->in_order.items[0].known = &known_one;
    show(fixture, "tls.handshake", "{\"chain\":[1,2]}");
    assert_false(watch_is_met(&fixture->watch));
    judge(fixture);
    assert_int_equal(fixture->result.verdict, VERDICT_FAIL);
    assert_string_equal(fixture->result.reason.view, "service");
    assert_int_equal(fixture->result.also_count, 1);
    assert_string_equal(fixture->result.also[0].view, "console");
}

static void what_is_known_to_happen_does_not_end_the_row(void **state)
{
    struct fixture *fixture = *state;
    view_of_row(fixture, CASE_VIEW_CONSOLE)->never.items[0].known = &known_one;
    show(fixture, "console.assigned", "{}");
    assert_false(watch_is_violated(&fixture->watch));
    show_all(fixture);
    judge(fixture);
    assert_int_equal(fixture->result.verdict, VERDICT_KNOWN);
    assert_string_equal(fixture->result.reason.expected, "no console.assigned");
}

static void what_is_known_and_does_not_fail_is_fixed(void **state)
{
    struct fixture *fixture = *state;
    view_of_row(fixture, CASE_VIEW_CONSOLE)->in_order.items[0].known = &known_one;
    view_of_row(fixture, CASE_VIEW_CONSOLE)->never.items[0].known = &known_two;
    show_all(fixture);
    judge(fixture);
    assert_int_equal(fixture->result.verdict, VERDICT_PASS);
    assert_int_equal(fixture->result.finding_count, 2);
    assert_int_equal(fixture->result.findings[0].kind, RESULT_FINDING_FIXED);
    assert_int_equal(fixture->result.findings[1].kind, RESULT_FINDING_FIXED);
}

static void nothing_is_fixed_in_a_row_that_fails(void **state)
{
    struct fixture *fixture = *state;
    view_of_row(fixture, CASE_VIEW_CONSOLE)->never.items[0].known = &known_two;
    show(fixture, "tls.handshake", "{\"chain\":[1,2]}");
    judge(fixture);
    assert_int_equal(fixture->result.verdict, VERDICT_FAIL);
    assert_int_equal(fixture->result.finding_count, 0);
}

static void what_is_known_to_be_left_out_may_be_left_out_on_the_way(void **state)
{
    struct fixture *fixture = *state;
    read_row(fixture, ONE_STEP, "in_order: [{event: mqtt.puback}, {event: mqtt.subscribe}, {event: mqtt.publish}]");
    view_of_row(fixture, CASE_VIEW_WIRE)->in_order.items[1].known = &known_one;
    show_at(fixture, "mqtt.puback", 1);
    show_at(fixture, "mqtt.publish", 2);
    assert_int_equal(fixture->watch.views[CASE_VIEW_WIRE].met, 3);
    show(fixture, "attestation.verdict", REFUSED);
    show(fixture, "console.connection-rejected", "{\"return_code\":5}");
    judge(fixture);
    assert_int_equal(fixture->result.verdict, VERDICT_KNOWN);
    assert_string_equal(fixture->result.reason.expected, "mqtt.subscribe");
}

static void counts_its_progress_by_view(void **state)
{
    struct fixture *fixture = *state;
    char text[WATCH_TEXT_BYTES];
    show(fixture, "tls.handshake", "{\"chain\":[1,2]}");
    watch_progress(&fixture->watch, text);
    assert_string_equal(text, "console 0/1, wire 1/1, service 0/1");
}

static void what_is_known_and_overdue_is_waited_for_only_with_the_rest(void **state)
{
    struct fixture *fixture = *state;
    read_row(fixture, ONE_STEP, LIMITED);
    view_of_row(fixture, CASE_VIEW_WIRE)->in_order.items[1].known = &known_one;
    show_at(fixture, "mqtt.puback", 1000000);
    assert_false(is_overdue_after_ms(fixture, 0));
    assert_false(is_overdue_after_ms(fixture, 60000)); /* two views are open */
    show(fixture, "attestation.verdict", REFUSED);
    show(fixture, "console.connection-rejected", "{\"return_code\":5}");
    assert_false(is_overdue_after_ms(fixture, 2900));
    assert_true(is_overdue_after_ms(fixture, 3200));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(passes_when_all_three_views_are_met, set_up, tear_down),
        cmocka_unit_test_setup_teardown(fails_with_the_place_what_was_expected_and_the_nearest_miss, set_up, tear_down),
        cmocka_unit_test_setup_teardown(fails_at_once_on_what_must_never_happen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_permutations_expectations_do_not_count, set_up, tear_down),
        cmocka_unit_test_setup_teardown(events_of_the_bench_mean_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_hole_in_the_console_is_no_failure_of_the_device, set_up, tear_down),
        cmocka_unit_test_setup_teardown(remembers_known_findings_without_judging_them, set_up, tear_down),
        cmocka_unit_test_setup_teardown(counts_its_progress_by_view, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bears_as_many_as_the_case_allows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(takes_events_in_any_order_and_each_for_one_expectation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_comes_too_early_in_device_seconds_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_waits_long_enough_does_not, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_work_of_the_machine_makes_nothing_late, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_comes_later_than_that_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_overdue_is_not_waited_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_outcome_names_the_fault_that_the_case_asked_for_and_no_close_notify, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_known_and_overdue_is_waited_for_only_with_the_rest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_fails_at_nothing_but_what_is_known_is_known, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_fails_otherwise_too_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_known_to_happen_does_not_end_the_row, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_known_and_does_not_fail_is_fixed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_fixed_in_a_row_that_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_known_to_be_left_out_may_be_left_out_on_the_way, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
