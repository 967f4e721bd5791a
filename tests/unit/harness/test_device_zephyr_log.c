#include "harness/device/zephyr_log.h"
#include "tests/cmocka.h"

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
        {"*** Booting nRF Connect SDK v2.9.0-7787b2649840 ***", ZEPHYR_BANNER},
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
        assert_int_equal(line.kind, rows[i].kind);
    }
    read_text("--- 17 messages dropped ---");
    assert_int_equal(line.dropped_count, 17);
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
        cmocka_unit_test(shows_unprintable_bytes_as_hex),
        cmocka_unit_test(takes_any_bytes),
        cmocka_unit_test(bounds_a_line_of_nothing_but_unprintable_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
