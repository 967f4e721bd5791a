#include "harness/device/console_record.h"
#include "harness/device/dialect.h"
#include "harness/device/dialect_check.h"
#include "tests/cmocka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct dialect *nordic;

static int load(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    if (dialect_read_file(DPSBENCH_SOURCE_DIR "/fixtures/dialects/nordic.yaml", &nordic, &error)) {
        print_error("%s\n", error.text);
        return -1;
    }
    return 0;
}

static int unload(void **state)
{
    (void)state;
    dialect_free(nordic);
    return 0;
}

static bool find(const char *text, struct dialect_match *match)
{
    static struct zephyr_line line;
    struct dialect_state state = {0};
    zephyr_line_read(text, strlen(text), &line);
    return dialect_find(nordic, &state, &line, match);
}

static void knows_the_lines_of_the_sample(void **state)
{
    (void)state;
#define LOG "[00:00:00.020,000] "
    static const struct {
        const char *text, *event, *fields;
        bool is_terminal;
    } rows[] = {
        {LOG "<inf> azure_iot_hub_sample: Azure IoT Hub sample started", "console.started", "{}", false},
        {LOG "<inf> azure_iot_hub_sample: Device ID: dev-01", "console.device-id", "{\"device_id\":\"dev-01\"}", false},
        {LOG "<inf> azure_iot_hub_sample: Starting DPS", "console.dps-started", "{}", false},
        {LOG "<inf> azure_iot_hub_sample: DPS registration status: AZURE_IOT_HUB_DPS_REG_STATUS_NOT_STARTED", "console.registration-status",
         "{\"status\":\"NOT_STARTED\"}", false},
        {LOG "<inf> azure_iot_hub_sample: Already assigned to an IoT hub, skipping DPS", "console.already-assigned", "{}", false},
        {LOG "<err> mqtt_helper: getaddrinfo() failed, error -2", "console.dns-failed", "{\"error\":-2}", false},
        {LOG "<err> mqtt_helper: mqtt_connect, error: -111", "console.connect-failed", "{\"errno\":-111}", false},
        {LOG "<err> azure_iot_hub_dps: Connection was rejected with return code 5", "console.connection-rejected", "{\"return_code\":5}",
         false},
        {LOG "<wrn> azure_iot_hub_dps: The status code 401 indicates a non-retriable error", "console.non-retriable", "{\"status\":401}",
         false},
        {LOG "<err> azure_iot_hub_dps: The device was not assigned to hub", "console.not-assigned", "{}", false},
        {LOG "<wrn> azure_iot_hub_dps: The incoming message was not a registration response message", "console.not-a-response", "{}",
         false},
        {LOG "<err> azure_iot_hub_dps: DPS retry max count (10) exceeded, disconnecting", "console.retries-exceeded", "{\"count\":10}",
         false},
        {LOG "<err> azure_iot_hub_dps: A timeout occurred, the registration process is terminated", "console.timeout", "{}", false},
        {LOG "<inf> azure_iot_hub_sample: Device ID \"dev-01\" assigned to IoT hub with hostname \"sim-hub.azure-devices.net\"",
         "console.assigned", "{\"device_id\":\"dev-01\",\"hub\":\"sim-hub.azure-devices.net\"}", false},
        {LOG "<err> azure_iot_hub_sample: Failed to run DPS, error: -14, terminating connection attempt", "console.failed",
         "{\"errno\":-14}", true},
        {LOG "<err> azure_iot_hub_sample: Failed to run DPS, error: 2, terminating connection attempt", "console.failed", "{\"errno\":2}",
         true},
        {LOG "<err> azure_iot_hub: Connection was rejected with return code 5", "console.hub-connection-rejected", "{\"return_code\":5}",
         true},
        {LOG "<inf> azure_iot_hub_sample: AZURE_IOT_HUB_EVT_CONNECTED", "console.hub-connected", "{}", false},
        {LOG "<inf> azure_iot_hub_sample: AZURE_IOT_HUB_EVT_READY", "console.hub-ready", "{}", false},
        {LOG "<inf> azure_iot_hub_sample: Connected to network", "console.network-up", "{}", false},
        {LOG "<inf> azure_iot_hub_sample: Network connectivity lost, no IP address assigned", "console.network-lost", "{}", false},
        {LOG "<inf> azure_iot_hub_sample: AZURE_IOT_HUB_EVT_DISCONNECTED", "console.hub-disconnected", "{}", false},
        {LOG
         "<wrn> nrf_modem_lib_netif: The modem has detected a reset loop. LTE network attach is now restricted for the next 30 minutes.",
         "console.modem-event", "{\"event\":\"RESET LOOP\"}", false},
        {LOG "<inf> azure_iot_hub_sample: Event was successfully sent", "console.telemetry-sent", "{}", true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct dialect_match match = {0};
        if (!find(rows[i].text, &match))
            fail_msg("nothing matches '%s'", rows[i].text);
        char *fields = cJSON_PrintUnformatted(match.fields);
        assert_string_equal(match.event, rows[i].event);
        assert_string_equal(fields, rows[i].fields);
        assert_int_equal(match.is_terminal, rows[i].is_terminal);
        free(fields);
        cJSON_Delete(match.fields);
    }
}

/* Zephyr's own: console_record.h. */
static bool is_of_the_form(const char *name)
{
    static const char *const names[] = {"console.boot", "console.fault", "console.dropped",
#define X(name, fields, text) name,
                                        RECORD_EVENTS(X)
#undef X
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static void every_event_of_the_list_has_an_entry(void **state)
{
    (void)state;
    static const char *const lines = DPSBENCH_SOURCE_DIR "/fixtures/dialects/nordic.yaml";
    FILE *file = fopen(lines, "r");
    static char text[64 * 1024];
    size_t length = fread(text, 1, sizeof(text) - 1, file);
    text[length] = 0;
    fclose(file);
    for (const char *const *name = dialect_event_names(); *name; name++) {
        char key[96];
        snprintf(key, sizeof(key), "event: %s\n", *name);
        if (!strstr(text, key) && !is_of_the_form(*name))
            fail_msg("no entry for %s", *name);
        assert_true(dialect_is_event(*name));
    }
    assert_false(dialect_is_event("console.nothing"));
}

static void leaves_other_lines_alone(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "*** Booting MCUboot v2.1.0-dev ***",
        "*** Using Zephyr OS v3.7.99-1f8f3dc29142 ***",
        LOG "<wrn> azure_iot_hub_dps: Connection was rejected with return code 5", /* another level */
        LOG "<err> other: Connection was rejected with return code 5",             /* another module */
        "Connection was rejected with return code 5",
        LOG "<err> azure_iot_hub_dps: Connection was rejected with return code 5 times", /* more than the expression */
        LOG "<err> azure_iot_hub_dps: xConnection was rejected with return code 5",
        LOG "<inf> --- 7 messages dropped ---", /* a log line without a module is no bare line */
        "",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct dialect_match match = {.event = "untouched"};
        assert_false(find(texts[i], &match));
        assert_string_equal(match.event, "untouched");
    }
}

static void does_not_match_beyond_the_limit(void **state)
{
    (void)state;
    static char text[4000];
    struct dialect_match match;
    int length = snprintf(text, sizeof(text), LOG "<inf> azure_iot_hub_sample: Device ID: ");
    memset(text + length, 'x', DIALECT_MESSAGE_MAX_BYTES - 11);
    assert_true(find(text, &match));
    cJSON_Delete(match.fields);
    text[strlen(text)] = 'x';
    assert_false(find(text, &match));
}

/* The events that a console gives, in order, with their fields: "console.assigned{...} ...". */
static void read_console(const struct dialect *dialect, const char *path, char *ret_events, size_t size)
{
    static struct zephyr_line line;
    struct dialect_state state = {0};
    char text[512];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t length = 0;
    ret_events[0] = 0;
    while (fgets(text, sizeof(text), file)) {
        struct dialect_match match = {0};
        zephyr_line_read(text, strcspn(text, "\n"), &line);
        if (!dialect_find(dialect, &state, &line, &match))
            continue;
        char *fields = cJSON_PrintUnformatted(match.fields);
        length += (size_t)snprintf(ret_events + length, size - length, "%s%s%s%s", length ? " " : "", match.event + strlen("console."),
                                   strcmp(fields, "{}") != 0 ? fields : "", match.is_terminal ? "!" : "");
        free(fields);
        cJSON_Delete(match.fields);
    }
    fclose(file);
}

static void reads_all_ages_of_the_sample(void **state)
{
    (void)state;
#define ID "nrf-352656100000001"
    static const struct {
        const char *name, *events;
    } rows[] = {
        {"ncs-1.9-success",
         "started device-id{\"device_id\":\"" ID "\"} network-up dps-started registration-status{\"status\":\"ASSIGNING\"} "
         "assigned{\"device_id\":\"" ID "\",\"hub\":\"my-hub.azure-devices.net\"} registration-status{\"status\":\"ASSIGNED\"} "
         "hub-connecting hub-connected hub-ready telemetry-sent!"},
        {"ncs-1.9-connack-5",
         "started device-id{\"device_id\":\"" ID "\"} network-up dps-started connection-rejected{\"return_code\":5}! hub-disconnected"},
        {"ncs-1.9-hub-connack-5",
         "started network-up dps-started registration-status{\"status\":\"ASSIGNING\"} assigned{\"device_id\":\"" ID
         "\",\"hub\":\"my-hub.azure-devices.net\"} registration-status{\"status\":\"ASSIGNED\"} hub-connecting "
         "hub-connection-rejected{\"return_code\":5}!"},
        {"ncs-1.9-put-401", "started network-up dps-started registration-status{\"status\":\"ASSIGNING\"} non-retriable{\"status\":401}!"},
        {"ncs-2.1-connack-5", "started network-up dps-started registration-status{\"status\":\"NOT_STARTED\"} "
                              "connection-rejected{\"return_code\":5} registration-status{\"status\":\"FAILED\"} failed{\"errno\":-14}!"},
        {"ncs-2.1-wrong-root", "started network-up dps-started registration-status{\"status\":\"NOT_STARTED\"} "
                               "connect-failed{\"errno\":-111} failed{\"errno\":-111}!"},
        {"ncs-3.2-success",
         "started device-id{\"device_id\":\"" ID "\"} network-up dps-started registration-status{\"status\":\"NOT_STARTED\"} "
         "registration-status{\"status\":\"ASSIGNING\"} registration-status{\"status\":\"ASSIGNED\"} "
         "assigned{\"device_id\":\"" ID "\",\"hub\":\"my-hub.azure-devices.net\"} hub-connecting hub-connected "
         "hub-ready telemetry-sent!"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char path[512], events[2048];
        snprintf(path, sizeof(path), "%s/fixtures/consoles/ages/%s.txt", DPSBENCH_SOURCE_DIR, rows[i].name);
        read_console(nordic, path, events, sizeof(events));
        if (strcmp(events, rows[i].events) != 0)
            fail_msg("%s gives %s", rows[i].name, events);
    }
}

static void matches_by_phase_until_the_next_boot(void **state)
{
    (void)state;
    static const char text[] =
        "format: 1\ntitle: t\nevents:\n"
        "- {event: console.dps-started, message: dps, begins: dps, source: s}\n"
        "- {event: console.connection-rejected, message: 'refused', during: dps, fields: {return_code: 5}, source: s}\n"
        "- {event: console.started, message: 'refused', source: s}\n";
    static const struct {
        const char *text, *event;
    } rows[] = {{"refused", "console.started"},
                {"dps", "console.dps-started"},
                {"refused", "console.connection-rejected"},
                {"*** Booting x ***", NULL},
                {"refused", "console.started"}};
    static struct zephyr_line line;
    struct dialect *dialect = NULL;
    struct dialect_state phase = {0};
    assert_int_equal(dialect_read_text(text, strlen(text), "d.yaml", &dialect, NULL), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct dialect_match match = {0};
        zephyr_line_read(rows[i].text, strlen(rows[i].text), &line);
        assert_int_equal(dialect_find(dialect, &phase, &line, &match), rows[i].event != NULL);
        if (!rows[i].event)
            continue;
        assert_string_equal(match.event, rows[i].event);
        if (i == 2)
            assert_int_equal(json_integer(match.fields, "return_code", 0), 5);
        cJSON_Delete(match.fields);
    }
    assert_string_equal(dialect_entry(dialect, 1).place, "d.yaml:5");
    dialect_free(dialect);
}

static void reads_a_number_in_hex_too(void **state)
{
    (void)state;
    static const char text[] = "format: 1\ntitle: t\nevents:\n"
                               "- {event: console.failed, message: 'err (.*)', captures: {errno: integer}, source: s}\n";
    static struct zephyr_line line;
    struct dialect *dialect = NULL;
    struct dialect_state phase = {0};
    struct dialect_match match = {0};
    assert_int_equal(dialect_read_text(text, strlen(text), "d.yaml", &dialect, NULL), 0);
    zephyr_line_read("err 0x10", 8, &line);
    assert_true(dialect_find(dialect, &phase, &line, &match));
    assert_int_equal(json_integer(match.fields, "errno", 0), 16);
    cJSON_Delete(match.fields);
    dialect_free(dialect);
}

/* ---- a capture against a dialect */

static struct dialect_check *check_text(const char *text)
{
    struct dialect_check *check = dialect_check_new(nordic, NULL, NULL);
    dialect_check_feed(check, text, strlen(text));
    dialect_check_end(check);
    return check;
}

static void counts_lines_that_differ_in_numbers_together(void **state)
{
    (void)state;
    size_t count;
    struct dialect_check *check = check_text("a\n" LOG "<inf> m: at 1 of 20\n" LOG "<inf> m: at 333 of 4\n" LOG "<wrn> m: at 1 of 20\n" LOG
                                             "<inf> n: at 1 of 20\na\nb1\n" LOG "<inf> m: at 5 of 6\n");
    const struct dialect_missed *missed = dialect_check_missed(check, &count);
    assert_int_equal(count, 5);
    assert_int_equal(missed[0].count, 3);
    assert_int_equal(missed[0].first_line, 2);
    assert_string_equal(missed[0].message, "at 1 of 20");
    assert_string_equal(missed[1].message, "a");
    assert_int_equal(missed[1].count, 2);
    assert_int_equal(dialect_check_count(check, DIALECT_MISSED), 8);
    dialect_check_free(check);
}

static void tells_what_each_line_is(void **state)
{
    (void)state;
    struct dialect_check *check =
        check_text("*** Booting x ***\n\nAT+CFUN?\n+CME ERROR: 513\nOK\n+CEREG: 5\n<err> os: ***** BUS FAULT *****\n<err> os: r0/a1:  0x1\n"
                   "\xFF\n[00:00:01.000,000] no level\nprintk\n<inf> azure_iot_hub_sample: Starting DPS\n");
    assert_int_equal(dialect_check_count(check, DIALECT_TYPED), 4);
    assert_int_equal(dialect_check_count(check, DIALECT_AT), 3);
    assert_int_equal(dialect_check_count(check, DIALECT_UNREADABLE), 2);
    assert_int_equal(dialect_check_count(check, DIALECT_EMPTY), 1);
    assert_int_equal(dialect_check_count(check, DIALECT_MISSED), 1);
    assert_int_equal(dialect_check_count(check, DIALECT_RECOGNISED), 1);
    dialect_check_free(check);
}

static void only_counts_what_it_has_no_room_for(void **state)
{
    (void)state;
    enum { KINDS = DIALECT_CHECK_GROUPS_MAX + 52 };
    char line[32];
    size_t count;
    struct dialect_check *check = dialect_check_new(nordic, NULL, NULL);
    for (int i = 0; i < KINDS; i++) {
        snprintf(line, sizeof(line), "%c%c%c\n", 'a' + i % 26, 'a' + i / 26 % 26, 'a' + i / 676);
        dialect_check_feed(check, line, strlen(line));
    }
    dialect_check_end(check);
    dialect_check_missed(check, &count);
    assert_int_equal(count, DIALECT_CHECK_GROUPS_MAX);
    assert_int_equal(dialect_check_ungrouped(check), 52);
    assert_int_equal(dialect_check_count(check, DIALECT_MISSED), KINDS);
    dialect_check_free(check);
}

static void refuses_what_is_wrong_with_its_place(void **state)
{
    (void)state;
#define HEAD "format: 1\ntitle: t\nevents:\n"
    static const struct {
        const char *text, *complaint;
    } rows[] = {
        {"format: 2\ntitle: t\nevents: []\n", "d.yaml:1:"},
        {"format: 1\nevents: []\n", "title"},
        {"format: 1\ntitle: t\nevents: []\n", "1 to 256"},
        {"format: 1\ntitle: t\nevnts: []\n", "evnts"},
        {HEAD "- {event: console.bot, message: x, source: s}\n", "console.bot"},
        {HEAD "- {event: console.started, mesage: x, source: s}\n", "mesage"},
        {HEAD "- {event: console.started, message: x}\n", "source"},
        {HEAD "- {event: console.started, source: s}\n", "message"},
        {HEAD "- {event: console.started, message: '(', source: s}\n", "POSIX"},
        {HEAD "- {event: console.started, message: '(a)\\1', source: s}\n", "back-reference"},
        {HEAD "- {event: console.started, message: x, level: warn, source: s}\n", "warn"},
        {HEAD "- {event: console.boot, message: '(x)', captures: {banner: integer}, source: s}\n", "banner:text"},
        {HEAD "- {event: console.boot, message: '(x)', captures: {baner: text}, source: s}\n", "banner:text"},
        {HEAD "- {event: console.boot, message: '(x)', source: s}\n", "banner:text"},
        {HEAD "- {event: console.boot, message: 'x', captures: {banner: text}, source: s}\n", "0 groups"},
        {HEAD "- {event: console.boot, message: '(x)', captures: {banner: float}, source: s}\n", "float"},
        {HEAD "- {event: console.started, message: x, terminal: yes, source: s}\n", "yes"},
        {HEAD "- {event: console.hexdump, message: x, source: s}\n", "console.hexdump"},
        {HEAD "- {event: console.started, message: x, during: dps, source: s}\n", "begins"},
        {HEAD "- {event: console.started, message: x, module: [], source: s}\n", "list of 1 to"},
        {HEAD "- {event: console.failed, message: x, fields: {errno: many}, source: s}\n", "errno:integer"},
        {HEAD "- {event: console.failed, message: x, fields: {errno: '5'}, source: s}\n", "errno:text"},
        {HEAD "- {event: console.failed, message: x, fields: [errno], source: s}\n", "mapping"},
        {HEAD "- {event: console.failed, message: '(x)', captures: {errno: integer}, fields: {errno: 5}, source: s}\n", "errno:integer"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct dialect *dialect = NULL;
        struct error error = ERROR_INIT;
        assert_int_equal(dialect_read_text(rows[i].text, strlen(rows[i].text), "d.yaml", &dialect, &error), -1);
        assert_null(dialect);
        assert_int_equal(error.owner, ERROR_OWNER_FILE);
        if (!strstr(error.text, rows[i].complaint) || strncmp(error.text, "d.yaml:", 7) != 0)
            fail_msg("'%s' does not say '%s'", error.text, rows[i].complaint);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_the_lines_of_the_sample),
        cmocka_unit_test(every_event_of_the_list_has_an_entry),
        cmocka_unit_test(leaves_other_lines_alone),
        cmocka_unit_test(does_not_match_beyond_the_limit),
        cmocka_unit_test(reads_all_ages_of_the_sample),
        cmocka_unit_test(matches_by_phase_until_the_next_boot),
        cmocka_unit_test(reads_a_number_in_hex_too),
        cmocka_unit_test(counts_lines_that_differ_in_numbers_together),
        cmocka_unit_test(tells_what_each_line_is),
        cmocka_unit_test(only_counts_what_it_has_no_room_for),
        cmocka_unit_test(refuses_what_is_wrong_with_its_place),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
