#include "reports/event_text.h"

#include "tests/unit/reports/events.h"

#include <string.h>

#include "tests/cmocka.h"

static char *text_of(const char *kind, const char *data)
{
    CLEANUP(bytes_done) struct bytes out = {.max_bytes = 64 * 1024};
    CLEANUP_JSON cJSON *event = event_at(1, 0, "x", kind, "", data);
    assert_non_null(event);
    event_text(event, &out);
    return strdup(bytes_text(&out));
}

static void says_each_kind_in_one_line(void **state)
{
    (void)state;
    static const struct {
        const char *kind, *data, *text;
    } rows[] = {
        {"console.line", "\"text\":\"[00:00:01.000,000] <err> m: bad\",\"level\":\"err\",\"module\":\"m\",\"message\":\"bad\"",
         "err: bad [m]"},
        {"console.line", "\"text\":\"+CEREG: 1\"", "+CEREG: 1"},
        {"console.gap", "\"gap_ms\":12", "(the port was away for 12 ms)"},
        {"console.gap", "\"lost_bytes\":12", "(12 bytes are lost: they came faster than they were taken)"},
        {"at.command", "\"command\":\"AT%CMNG=0,1,0,\\\"a\\nb\\\"\"", "> AT%CMNG=0,1,0,\"a b\""},
        {"at.reply", "\"result\":\"OK\",\"lines\":[\"a\",\"b\"]", "< OK: a / b"},
        {"at.reply", "\"result\":\"+CME ERROR: 513\",\"lines\":[]", "< +CME ERROR: 513"},
        {"tcp.accepted", "\"peer\":\"127.0.0.1:1\"", "-> TCP from 127.0.0.1:1"},
        {"tls.client_hello", "\"sni\":\"h\",\"versions\":[\"TLSv1.2\",\"TLSv1.3\"]", "-> ClientHello for h, TLSv1.2 TLSv1.3"},
        {"tls.handshake",
         "\"version\":\"TLSv1.2\",\"chain\":[{\"subject\":\"CN=a\"},{\"subject\":\"CN=b\"}],\"verify_errors\":[{\"name\":\"X\"},{\"name\":"
         "\"Y\"}]",
         "-- TLSv1.2 is up, 2 certificates from CN=a; X, Y"},
        {"tls.handshake", "\"version\":\"TLSv1.2\",\"chain\":[],\"verify_errors\":[]", "-- TLSv1.2 is up, 0 certificates"},
        {"tls.alert", "\"direction\":\"received\",\"level\":\"fatal\",\"name\":\"unknown_ca\"", "-> alert unknown_ca (fatal)"},
        {"tls.alert", "\"direction\":\"sent\",\"level\":\"warning\",\"name\":\"close_notify\"", "<- alert close_notify (warning)"},
        {"tls.failed", "\"stage\":\"handshake\",\"reason\":\"r\"", "-- no TLS, handshake: r"},
        {"mqtt.connect", "\"client_id\":\"d\",\"endpoint\":\"dps\",\"user_name\":\"u\"", "-> CONNECT d (dps), user name u"},
        {"mqtt.connack", "\"return_code\":5", "<- CONNACK 5"},
        {"mqtt.subscribe", "\"filters\":[{\"filter\":\"$dps/registrations/res/#\"},{\"filter\":\"b\"}]", "-> SUBSCRIBE res/#, b"},
        {"mqtt.suback", "\"return_codes\":[0,128]", "<- SUBACK 0, 128"},
        {"mqtt.publish", "\"direction\":\"up\",\"topic\":\"$dps/registrations/PUT/x\",\"payload_bytes\":3", "-> PUBLISH PUT/x (3 bytes)"},
        {"mqtt.publish", "\"direction\":\"down\",\"topic\":\"t\",\"payload_bytes\":3", "<- PUBLISH t (3 bytes)"},
        {"mqtt.puback", "\"direction\":\"down\",\"packet_id\":7", "<- PUBACK 7"},
        {"mqtt.violation", "\"reason\":\"r\"", "-- breaks MQTT: r"},
        {"connection.closed", "\"by\":\"device\",\"how\":\"fin\",\"stage\":\"session\"", "-- closed by device, fin (session)"},
        {"attestation.verdict", "\"verdict\":\"refused\",\"rule\":\"a.b\",\"surface\":\"connack\",\"text\":\"t\"",
         "refused, a.b (connack): t"},
        {"attestation.verdict", "\"verdict\":\"accepted\"", "accepted"},
        {"hub.verdict", "\"verdict\":\"refused\",\"rule\":\"hub.device\"", "hub: refused, hub.device"},
        {"dps.request", "\"operation\":\"register\"", "register asked"},
        {"dps.reply", "\"status\":202,\"retry_after_s\":3,\"body\":{\"status\":\"assigning\"}", "answers 202 assigning, retry-after 3 s"},
        {"dps.reply", "\"status\":401,\"body\":{\"errorCode\":401002,\"message\":\"m\"}", "answers 401, errorCode 401002: m"},
        {"dps.assigned", "\"assigned_hub\":\"h\",\"device_id\":\"d\"", "assigned to h as d"},
        {"dps.warning", "\"rule\":\"r\",\"text\":\"t\"", "warning, r: t"},
        {"hub.warning", "\"rule\":\"r\",\"text\":\"t\"", "warning, r: t"},
        {"hub.telemetry", "\"payload_bytes\":5", "telemetry, 5 bytes"},
        {"hub.twin", "\"operation\":\"get\",\"status\":200", "twin get, 200"},
        {"hub.connection", "\"device_id\":\"d\",\"hub\":\"h\",\"state\":\"connected\"", "d is connected at h"},
        {"hub.message", "\"message_id\":\"m\",\"state\":\"sent\",\"payload_bytes\":4", "message m to the device: sent (4 bytes)"},
        {"hub.method", "\"method\":\"reboot\",\"outcome\":\"answered\",\"status\":200", "method reboot: answered, 200"},
        {"hub.method", "\"method\":\"reboot\",\"outcome\":\"timeout\",\"error_code\":504101", "method reboot: timeout, errorCode 504101"},
        {"http.request", "\"method\":\"GET\",\"path\":\"/x\",\"status\":404,\"reason\":\"r\"", "http.request: GET /x, 404: r"},
        {"http.refused", "\"peer\":\"p\",\"status\":400,\"reason\":\"r\"", "http.refused: from p: r"},
        {"state.changed", "\"what\":\"certificate\",\"id\":\"root\",\"action\":\"put\"", "certificate root: put"},
        {"scenario.set", "\"knobs\":{\"profile\":\"azure\",\"retry_after_s\":3}", "knobs profile=azure retry_after_s=3"},
        {"scenario.fault", "\"knob\":\"status\",\"value\":\"429\"", "misbehaves as asked: status=429"},
        {"device.reset", "\"device\":\"dk\",\"action\":\"reset\"", "reset of dk"},
        {"device.ended", "\"device\":\"sdk\",\"how\":\"exit status 1\"", "sdk ended: exit status 1"},
        {"hook.failed", "\"device\":\"dk\",\"hook\":\"after_run\",\"text\":\"hook after_run ('x'): exit status 1\"",
         "hook after_run ('x'): exit status 1"},
        {"broker.down", "\"reason\":\"r\"", "broker.down: r"},
        {"console.assigned", "\"hub\":\"h\"", ""},
        {"tls.new_thing", "\"a\":1", "tls.new_thing {\"a\":1}"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CLEANUP_FREE char *text = text_of(rows[i].kind, rows[i].data);
        assert_string_equal(text, rows[i].text);
    }
}

/* A program that is newer, or a file that somebody edited, may leave out anything. */
static void no_field_is_needed_for_a_line(void **state)
{
    (void)state;
    for (int i = 0; i < EVENT_KIND_COUNT; i++) {
        CLEANUP_FREE char *text = text_of(event_kind_name((enum event_kind)i), "");
        if (i != EVENT_CONSOLE_LINE && !*text)
            fail_msg("%s says nothing", event_kind_name((enum event_kind)i));
    }
}

static void takes_fields_of_the_wrong_type_for_missing_ones(void **state)
{
    (void)state;
    static const char wrong[] =
        "\"direction\":1,\"lines\":{\"a\":[]},\"chain\":7,\"verify_errors\":\"x\",\"filters\":[1,null],\"knobs\":[1],\"body\":3,"
        "\"text\":[],\"rule\":{},\"return_codes\":[{}],\"message\":1,\"level\":[]";
    for (int i = 0; i < EVENT_KIND_COUNT; i++)
        free(text_of(event_kind_name((enum event_kind)i), wrong));
}

static void lets_no_control_character_through(void **state)
{
    (void)state;
    CLEANUP_FREE char *text = text_of("console.line", "\"text\":\"\\u001b[31mred\\u0007\\u0085\"");
    assert_string_equal(text, "red");
}

static void knows_the_view_of_a_kind_that_it_does_not_know(void **state)
{
    (void)state;
    static const struct {
        const char *kind;
        enum event_view view;
    } rows[] = {{"console.news", EVENT_VIEW_CONSOLE}, {"tls.news", EVENT_VIEW_WIRE},   {"dps.news", EVENT_VIEW_SERVICE},
                {"mqtt.connack", EVENT_VIEW_WIRE},    {"lane.news", EVENT_VIEW_BENCH}, {"", EVENT_VIEW_BENCH}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CLEANUP_JSON cJSON *event = event_at(1, 0, "x", rows[i].kind, "", "");
        assert_int_equal(event_text_view(event), rows[i].view);
    }
}

static void weighs_refusals_and_errors(void **state)
{
    (void)state;
    static const struct {
        const char *kind, *data;
        enum event_weight weight;
    } rows[] = {
        {"console.line", "\"level\":\"err\"", EVENT_WEIGHT_BAD},
        {"console.line", "\"level\":\"wrn\"", EVENT_WEIGHT_WARNING},
        {"console.line", "\"text\":\"x\"", EVENT_WEIGHT_PLAIN},
        {"mqtt.connack", "\"return_code\":5", EVENT_WEIGHT_BAD},
        {"mqtt.connack", "\"return_code\":0", EVENT_WEIGHT_PLAIN},
        {"attestation.verdict", "\"verdict\":\"accepted\"", EVENT_WEIGHT_PLAIN},
        {"attestation.verdict", "\"verdict\":\"refused\"", EVENT_WEIGHT_BAD},
        {"tls.alert", "\"level\":\"warning\"", EVENT_WEIGHT_PLAIN},
        {"dps.reply", "\"status\":401", EVENT_WEIGHT_BAD},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CLEANUP_JSON cJSON *event = event_at(1, 0, "x", rows[i].kind, "", rows[i].data);
        assert_int_equal(event_weight(event), rows[i].weight);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_each_kind_in_one_line),
        cmocka_unit_test(no_field_is_needed_for_a_line),
        cmocka_unit_test(takes_fields_of_the_wrong_type_for_missing_ones),
        cmocka_unit_test(lets_no_control_character_through),
        cmocka_unit_test(knows_the_view_of_a_kind_that_it_does_not_know),
        cmocka_unit_test(weighs_refusals_and_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
