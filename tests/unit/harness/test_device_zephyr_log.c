#include "base/bytes.h"
#include "base/files.h"
#include "harness/device/console_record.h"
#include "harness/device/zephyr_log.h"
#include "tests/cmocka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct zephyr_line line;

static void read_text(const char *text)
{
    zephyr_line_read(text, strlen(text), &line);
}

#define ESC "\x1B"

static void reads_the_forms_of_a_log_line(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        enum zephyr_level level;
        const char *module, *function, *message;
        int64_t uptime_us; /* -1: none */
    } rows[] = {
        {"[00:00:00.020,000] " ESC "[1;31m<err> azure_iot_hub_dps: Connection was rejected with return code 5" ESC "[0m", ZEPHYR_LEVEL_ERR,
         "azure_iot_hub_dps", "", "Connection was rejected with return code 5", 20000},
        {"[00:01:30.070,001] " ESC "[1;33m<wrn> azure_iot_hub_dps: Is the device certificate valid?" ESC "[0m", ZEPHYR_LEVEL_WRN,
         "azure_iot_hub_dps", "", "Is the device certificate valid?", 90070001},
        {"[123:00:00.000,000] " ESC "[0m<inf> app: a: b" ESC "[0m", ZEPHYR_LEVEL_INF, "app", "", "a: b", 442800000000},
        {"[00:00:07.798,614] <dbg> azure_iot_hub_dps.on_connack: MQTT connected", ZEPHYR_LEVEL_DBG, "azure_iot_hub_dps", "on_connack",
         "MQTT connected", 7798614},
        {"[    5.561889] <inf> app: linux form", ZEPHYR_LEVEL_INF, "app", "", "linux form", 5561889},
        {"[00012345] <inf> app: ticks", ZEPHYR_LEVEL_INF, "app", "", "ticks", -1},
        {"<inf> app: no time", ZEPHYR_LEVEL_INF, "app", "", "no time", -1},
        {"[00:00:00.000,000] <err> [main] app: with a thread", ZEPHYR_LEVEL_ERR, "app", "", "with a thread", 0},
        {"[00:00:00.000,000] <inf> no module here", ZEPHYR_LEVEL_INF, "", "", "no module here", 0},
        {"[00:00:00.000,000] <inf> app: ", ZEPHYR_LEVEL_INF, "app", "", "", 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        read_text(rows[i].in);
        assert_int_equal(line.kind, ZEPHYR_LOG);
        assert_int_equal(line.level, rows[i].level);
        assert_string_equal(line.module, rows[i].module);
        assert_string_equal(line.function, rows[i].function);
        assert_string_equal(line.message, rows[i].message);
        assert_int_equal(line.has_uptime, rows[i].uptime_us >= 0);
        if (line.has_uptime)
            assert_int_equal(line.uptime_us, rows[i].uptime_us);
    }
}

static void takes_no_sign_for_a_time(void **state)
{
    (void)state;
    static const char *const rows[] = {"[-1300:00:00.040,000] <inf> app: x", "[00:-1:00.040,000] <inf> app: x", "[-1.561889] <inf> app: x"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        read_text(rows[i]);
        assert_false(line.has_uptime);
    }
}

static void reads_dates_as_wall_time(void **state)
{
    (void)state;
    read_text("[2026-11-21 20:52:41.123,456] <inf> app: x");
    assert_true(line.has_unix_time && !line.has_uptime);
    assert_int_equal(line.unix_us, 1795294361123456);
    read_text("[2026-11-21T20:52:41,123456Z] <inf> app: x");
    assert_int_equal(line.unix_us, 1795294361123456);
    assert_string_equal(line.message, "x");
}

static void tells_the_other_kinds_apart(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        enum zephyr_kind kind;
    } rows[] = {
        {"*** Booting nRF Connect SDK v2.9.0-7787b2649840 ***", ZEPHYR_BOOT},
        {"*** Booting Our Sensor v1.4.0 ***", ZEPHYR_BOOT},
        {"*** Booting MCUboot v2.1.0-dev-12e5ee106034 ***", ZEPHYR_BANNER},
        {"Booting TF-M v2.1.1-ncs4", ZEPHYR_BANNER},
        {"    68 69 |hi", ZEPHYR_HEXDUMP},
        {"68 |h", ZEPHYR_HEXDUMP},
        {"68 69 hi", ZEPHYR_OTHER},
        {"  |", ZEPHYR_OTHER},
        {"6g 69 |", ZEPHYR_OTHER},
        {"I: Starting bootloader", ZEPHYR_LOG},
        {"E: ***** MPU FAULT *****", ZEPHYR_FAULT},
        {"X: no level", ZEPHYR_OTHER},
        {"*** Using Zephyr OS v3.7.99-1f8f3dc29142 ***", ZEPHYR_BANNER},
        {"*** Booting half a banner", ZEPHYR_OTHER},
        {ESC "[1;31m--- 17 messages dropped ---" ESC "[0m", ZEPHYR_DROPPED},
        {"--- many messages dropped ---", ZEPHYR_OTHER},
        {"[00:00:01.000,000] <err> os: ***** MPU FAULT *****", ZEPHYR_FAULT},
        {"[00:00:01.000,000] <err> os: >>> ZEPHYR FATAL ERROR 0: CPU exception on CPU 0", ZEPHYR_FAULT},
        {"[00:00:01.000,000] <err> nrf_modem: Modem has crashed, reason 0x4, PC: 0xecb64", ZEPHYR_FAULT},
        {"ASSERTION FAIL [x] @ WEST_TOPDIR/a.c:1", ZEPHYR_FAULT},
        {"FATAL ERROR: SecureFault", ZEPHYR_FAULT},
        {"OK", ZEPHYR_OTHER},
        {"+CEREG: 5,1", ZEPHYR_OTHER},
        {"", ZEPHYR_OTHER},
        {"[", ZEPHYR_OTHER},
        {"[00:00:01.000,000] ", ZEPHYR_OTHER},
        {"[00:00:01.000,000] text without a level", ZEPHYR_OTHER},
        {"<err>", ZEPHYR_OTHER},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        read_text(rows[i].in);
        if (line.kind != rows[i].kind)
            fail_msg("'%s' is '%s'", rows[i].in, zephyr_kind_name(line.kind));
    }
    read_text("--- 17 messages dropped ---");
    assert_int_equal(line.dropped_count, 17);
}

static void reads_a_minimal_log_line(void **state)
{
    (void)state;
    read_text("W: Failed reading image headers");
    assert_true(line.is_minimal);
    assert_int_equal(line.level, ZEPHYR_LEVEL_WRN);
    assert_string_equal(line.module, "");
    assert_string_equal(line.message, "Failed reading image headers");
}

static void reads_ticks(void **state)
{
    (void)state;
    read_text("[00012345] <inf> app: x");
    assert_true(line.has_ticks && !line.has_uptime && !line.has_unix_time);
    assert_int_equal(line.ticks, 12345);
    read_text("[000123456789012] <inf> app: x");
    assert_int_equal(line.ticks, 123456789012);
    read_text("[00012345] no level");
    assert_false(line.has_ticks);
}

static void takes_no_day_that_there_is_not(void **state)
{
    (void)state;
    static const char *const rows[] = {"[2026-13-21 20:52:41.123,456] <inf> app: x", "[2026-11-00 20:52:41.123,456] <inf> app: x",
                                       "[2026-11-21 24:52:41.123,456] <inf> app: x", "[2026-11--1 20:52:41.123,456] <inf> app: x"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        read_text(rows[i]);
        assert_false(line.has_unix_time);
    }
}

static void knows_a_damaged_line(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        bool is_garbled;
    } rows[] = {
        {"[00:00:01.000,000] <inf> app: whole", false},
        {"+CEREG: 5", false},
        {"", false},
        {"[00:00:01.000,000] text without a level", true},
        {"[00:00:01.000,000] <inf> app: one [00:00:01.000,030] <inf> app: two", true},
        {"\xFE\x80\x80", true},
        {"a < b and <inf", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        read_text(rows[i].in);
        if (zephyr_line_is_garbled(&line) != rows[i].is_garbled)
            fail_msg("'%s'", rows[i].in);
    }
}

/* ---- records */

static char told[16 * 1024];

static void tell(void *user, const char *event, const struct line *first, cJSON *fields)
{
    (void)user;
    char *json = cJSON_PrintUnformatted(fields);
    size_t length = strlen(told);
    snprintf(told + length, sizeof(told) - length, "%d %s %s\n", (int)first->number, event, json);
    free(json);
    cJSON_Delete(fields);
}

static void take_line(void *user, const struct line *raw)
{
    zephyr_line_read(raw->text, raw->length_bytes, &line);
    console_records_end(user, &line);
    console_records_take(user, raw, &line);
}

static void read_records(const char *data, size_t length)
{
    static struct line_reader reader;
    struct console_records records;
    told[0] = 0;
    console_records_init(&records, tell, NULL);
    line_reader_init(&reader, take_line, &records);
    line_reader_feed(&reader, data, length, 1, 1);
    line_reader_flush(&reader);
    console_records_flush(&records);
    console_records_done(&records);
}

static void tells_every_record_of_a_console(void **state)
{
    (void)state;
    struct bytes bytes;
    assert_int_equal(file_read(DPSBENCH_SOURCE_DIR "/fixtures/consoles/records/zephyr.txt", 65536, &bytes, NULL), 0);
    read_records((const char *)bytes.data, bytes.length_bytes);
    bytes_done(&bytes);
    assert_string_equal(
        told,
        "1 console.boot {\"banner\":\"Booting nRF Connect SDK v2.9.0-7787b2649840\"}\n"
        "2 console.banner {\"banner\":\"Using Zephyr OS v3.7.99-1f8f3dc29142\"}\n"
        "4 console.hexdump {\"module\":\"app\",\"title\":\"a "
        "frame\",\"bytes\":\"68656c6c6f20776f726c642e0d0a0001ff7f\",\"byte_count\":18}\n"
        "6 console.dropped {\"count\":17}\n"
        "7 console.notification {\"name\":\"%MDMEV\",\"value\":\"ME OVERHEATED\"}\n"
        "7 console.modem-event {\"event\":\"ME OVERHEATED\"}\n"
        "8 console.notification {\"name\":\"+CSCON\",\"value\":\"0\"}\n"
        "10 console.fault {\"reason\":\"Modem has crashed, reason 0x9 NRF_MODEM_FAULT_ASSERT, PC: 0xecb64\"}\n"
        "10 console.modem-crash {\"reason\":\"0x9\",\"name\":\"NRF_MODEM_FAULT_ASSERT\",\"pc\":\"0xecb64\"}\n"
        "11 console.fault {\"reason\":\"***** USAGE FAULT *****\"}\n"
        "11 console.fault-dump {\"reason\":\"***** USAGE FAULT *****\",\"registers\":{\"r0/a1\":\"0x00000001\",\"r1/a2\":\"0x20009b58\","
        "\"r2/a3\":\"0x00000000\",\"r3/a4\":\"0x00000002\",\"r12/ip\":\"0x00000003\",\"r14/lr\":\"0x0001f2b5\",\"xpsr\":\"0x60000000\"},"
        "\"pc\":\"0x00000000\",\"error\":35,\"thread\":\"0x2000cdb8 (main)\"}\n"
        "20 console.boot {\"banner\":\"Booting nRF Connect SDK v2.9.0-7787b2649840\"}\n"
        "21 console.fault {\"reason\":\"ASSERTION FAIL [ret == 0] @ WEST_TOPDIR/zephyr/kernel/sem.c:136\"}\n");
}

static void a_dump_ends_with_the_capture(void **state)
{
    (void)state;
    static const char text[] = "<err> os: ***** HARD FAULT *****\n<err> os: Faulting instruction address (r15/pc): 0x0000c0de\n";
    read_records(text, sizeof(text) - 1);
    assert_string_equal(told, "1 console.fault {\"reason\":\"***** HARD FAULT *****\"}\n"
                              "1 console.fault-dump {\"reason\":\"***** HARD FAULT *****\",\"pc\":\"0x0000c0de\"}\n");
}

static void cuts_a_long_hexdump_and_says_so(void **state)
{
    (void)state;
    static char text[80 * 48];
    size_t length = 0;
    for (int i = 0; i < 70; i++)
        length += (size_t)snprintf(text + length, sizeof(text) - length, "41 41 41 41 41 41 41 41  41 41 41 41 41 41 41 41 |\n");
    read_records(text, length);
    assert_non_null(strstr(told, "\"byte_count\":1024,\"is_cut\":true}"));
}

static void an_answer_of_the_at_host_is_no_notification(void **state)
{
    (void)state;
    static const char text[] = "OK\nERROR\n+CME ERROR: 513\nAT+CFUN?\n% : x\n+cereg: 1\n";
    read_records(text, sizeof(text) - 1);
    assert_string_equal(told, "");
}

static void reads_a_line_behind_noise(void **state)
{
    (void)state;
    static const char banner[] = "\xff\0\x80*** Booting nRF Connect SDK v2.9.0 ***", log[] = "\xc3[00:00:01.000,000] <err> os: x",
                      other[] = "\xffOK";
    zephyr_line_read(banner, sizeof(banner) - 1, &line);
    assert_string_equal(line.text, "*** Booting nRF Connect SDK v2.9.0 ***");
    zephyr_line_read(log, sizeof(log) - 1, &line);
    assert_string_equal(line.module, "os");
    zephyr_line_read(other, sizeof(other) - 1, &line);
    assert_string_equal(line.text, "\\xFFOK");
}

static void shows_unprintable_bytes_as_hex(void **state)
{
    (void)state;
    zephyr_line_read("a\0b\x07\xFF\tz\xC3\xA4\xC3", 10, &line);
    assert_string_equal(line.text, "a\\x00b\\x07\\xFF\tz\xC3\xA4\\xC3");
    read_text(ESC "[2J" ESC "[1;32muart:~$ " ESC "[m" ESC "[");
    assert_string_equal(line.text, "uart:~$ \\x1B[");
    zephyr_line_read("\xED\xA0\x80\xC0\xAF\xF4\x90\x80\x80", 9, &line);
    assert_string_equal(line.text, "\\xED\\xA0\\x80\\xC0\\xAF\\xF4\\x90\\x80\\x80");
}

/* Whatever comes: no read past the end (the sanitizer watches), a text that ends, a message inside it. */
static void takes_any_bytes(void **state)
{
    (void)state;
    static const char *const seeds[] = {"[00:00:00.020,000] " ESC "[1;31m<err> a.b: c" ESC "[0m",
                                        "[2026-11-21T20:52:41,123456Z] <dbg> a.b: x", "--- 12 messages dropped ---",
                                        "\xF0\x9F\x98\x80 *** Booting x ***"};
    unsigned int random = 1;
    for (int i = 0; i < 20000; i++) {
        const char *seed = seeds[i % 4];
        size_t length = strlen(seed);
        char *data = malloc(length);
        memcpy(data, seed, length);
        for (int k = 0; k < i % 5; k++) {
            random = random * 1103515245 + 12345;
            data[(random >> 16) % length] = (char)(random >> 8);
        }
        length = (size_t)i % 7 == 0 ? (random >> 10) % (length + 1) : length;
        char *exact = malloc(length ? length : 1);
        memcpy(exact, data, length);
        zephyr_line_read(exact, length, &line);
        assert_true(strlen(line.text) <= 4 * length);
        assert_true(line.message >= line.text && line.message <= line.text + strlen(line.text));
        free(exact);
        free(data);
    }
}

static void bounds_a_line_of_nothing_but_unprintable_bytes(void **state)
{
    (void)state;
    static char data[2 * LINE_MAX_BYTES];
    memset(data, 0xFF, sizeof(data));
    zephyr_line_read(data, sizeof(data), &line);
    assert_int_equal(strlen(line.text), ZEPHYR_TEXT_MAX_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_forms_of_a_log_line),
        cmocka_unit_test(takes_no_sign_for_a_time),
        cmocka_unit_test(reads_dates_as_wall_time),
        cmocka_unit_test(tells_the_other_kinds_apart),
        cmocka_unit_test(reads_a_minimal_log_line),
        cmocka_unit_test(reads_ticks),
        cmocka_unit_test(takes_no_day_that_there_is_not),
        cmocka_unit_test(knows_a_damaged_line),
        cmocka_unit_test(tells_every_record_of_a_console),
        cmocka_unit_test(a_dump_ends_with_the_capture),
        cmocka_unit_test(cuts_a_long_hexdump_and_says_so),
        cmocka_unit_test(an_answer_of_the_at_host_is_no_notification),
        cmocka_unit_test(reads_a_line_behind_noise),
        cmocka_unit_test(shows_unprintable_bytes_as_hex),
        cmocka_unit_test(takes_any_bytes),
        cmocka_unit_test(bounds_a_line_of_nothing_but_unprintable_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
