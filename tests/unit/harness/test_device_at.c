/* The AT client, seen through a dk on a real pty: what it sends, what it takes for its reply, and what it leaves to the console. */
#include "harness/device/at.h"

#include "base/files.h"
#include "harness/device/dk.h"
#include "test_device_host.h"
#include "tests/cmocka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWERS_MAX = 64 };

struct answer {
    enum at_result result;
    int code;
    char text[64];
    char lines[2048]; /* each followed by '|' */
    size_t line_count;
    bool is_cut;
    char error[ERROR_TEXT_MAX_BYTES];
    enum error_code error_code;
    enum error_owner owner;
};

struct bench {
    uv_loop_t loop;
    struct host host;
    struct events events;
    struct dialect *dialect;
    struct dk *dk;
    char raw_path[128];
    struct answer answers[ANSWERS_MAX];
    int count;
    int wanted;
    int identify_count;
    struct dk_identity identity;
    struct error error;
    int boot_count, boot_error_count, unexpected_count, rest_count, lost_count;
    char text[256];
};

static void on_unexpected_boot(void *user, const char *banner)
{
    struct bench *bench = user;
    bench->unexpected_count++;
    snprintf(bench->text, sizeof(bench->text), "%s", banner);
}

static void on_rest(void *user, const char *event)
{
    struct bench *bench = user;
    bench->rest_count++;
    snprintf(bench->text, sizeof(bench->text), "%s", event);
}

static void on_lost(void *user, const struct error *error)
{
    struct bench *bench = user;
    bench->lost_count++;
    bench->error = *error;
}

static int set_up_with(void **state, int64_t sync_try_ms)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    struct error error = ERROR_INIT;
    uv_loop_init(&bench->loop);
    host_init(&bench->host, &bench->loop);
    events_init(&bench->events);
    assert_int_equal(dialect_read_file(DPSBENCH_SOURCE_DIR "/fixtures/dialects/nordic.yaml", &bench->dialect, NULL), 0);
    snprintf(bench->raw_path, sizeof(bench->raw_path), "%s/console.raw", bench->host.fake.dir);
    struct dk_options options = {
        .loop = &bench->loop,
        .clock = &clock_system,
        .name = "dk-1",
        .path = bench->host.fake.path,
        .dialect = bench->dialect,
        .raw_path = bench->raw_path,
        .reopen_ms = 1000,
        .sync_try_ms = sync_try_ms,
        .sink = events_sink(&bench->events),
        .callbacks = {.user = bench, .on_unexpected_boot = on_unexpected_boot, .on_rest = on_rest, .on_lost = on_lost}};
    if (dk_open(&options, &bench->dk, &error))
        fail_msg("%s", error.text);
    *state = bench;
    return 0;
}

static int set_up(void **state)
{
    return set_up_with(state, 0);
}

/* For devices that do not answer. */
static int set_up_impatient(void **state)
{
    return set_up_with(state, 200);
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    dk_close(bench->dk);
    unlink(bench->raw_path);
    host_done(&bench->host);
    finish_loop(&bench->loop);
    events_done(&bench->events);
    dialect_free(bench->dialect);
    free(bench);
    return 0;
}

static void on_done(void *user, const struct at_reply *reply)
{
    struct bench *bench = user;
    struct error error = ERROR_INIT;
    assert_true(bench->count < ANSWERS_MAX);
    struct answer *answer = &bench->answers[bench->count++];
    answer->result = reply->result;
    answer->code = reply->code;
    answer->line_count = reply->line_count;
    answer->is_cut = reply->is_cut;
    snprintf(answer->text, sizeof(answer->text), "%s", reply->text);
    size_t length = 0;
    for (size_t i = 0; i < reply->line_count && length < sizeof(answer->lines); i++)
        length += (size_t)snprintf(answer->lines + length, sizeof(answer->lines) - length, "%s|", reply->lines[i]);
    assert_int_equal(at_reply_check(reply, &error), reply->result == AT_OK ? 0 : -1);
    snprintf(answer->error, sizeof(answer->error), "%s", error.text);
    answer->error_code = error.code;
    answer->owner = error.owner;
}

static bool has_answers(void *user)
{
    struct bench *bench = user;
    return bench->count >= bench->wanted;
}

static void send_within(struct bench *bench, const char *text, int64_t timeout_ms)
{
    struct error error = ERROR_INIT;
    struct at_command command = {.text = text, .timeout_ms = timeout_ms, .on_done = on_done, .user = bench};
    if (at_send(dk_at(bench->dk), &command, &error))
        fail_msg("%s", error.text);
    bench->wanted++;
}

static struct answer *wait_answers(struct bench *bench)
{
    assert_true(run_until(&bench->loop, has_answers, bench));
    return &bench->answers[bench->count - 1];
}

static struct answer *ask(struct bench *bench, const char *text)
{
    send_within(bench, text, 0);
    return wait_answers(bench);
}

/* The text of the nth line of the console. */
static const char *console_text(struct bench *bench, int nth)
{
    return json_string(event_data(events_find(&bench->events, "console.line", nth)), "text", "");
}

static void syncs_before_the_first_command_and_collects_its_reply(void **state)
{
    struct bench *bench = *state;
    struct answer *answer = ask(bench, "AT+CFUN?");
    assert_int_equal(answer->result, AT_OK);
    assert_string_equal(answer->lines, "+CFUN: 1|");
    assert_string_equal(bench->host.commands[0], "AT+CMEE?");
    assert_string_equal(bench->host.commands[1], "AT+CFUN?");
    assert_string_equal(ask(bench, "AT+CGSN")->lines, "352656100367872|");
    assert_int_equal(bench->host.command_count, 3);
    assert_int_equal(events_count(&bench->events, "console.line"), 0);
}

static void emits_command_and_reply(void **state)
{
    struct bench *bench = *state;
    ask(bench, "AT+CFUN?");
    const cJSON *command = event_data(events_find(&bench->events, "at.command", 1));
    const cJSON *reply = event_data(events_find(&bench->events, "at.reply", 1));
    assert_string_equal(json_string(command, "command", ""), "AT+CFUN?");
    assert_string_equal(json_string(command, "device", ""), "dk-1");
    assert_string_equal(json_string(reply, "result", ""), "OK");
    assert_string_equal(json_member(reply, "lines")->child->valuestring, "+CFUN: 1");
    assert_true(json_integer(reply, "duration_us", -1) >= 0);
}

static void tells_the_kinds_of_error_apart(void **state)
{
    struct bench *bench = *state;
    struct answer *answer = ask(bench, "AT%CMNG=3,56,0");
    assert_int_equal(answer->result, AT_ERROR);
    ask(bench, "AT+CMEE=1");
    answer = ask(bench, "AT%CMNG=3,56,0");
    assert_int_equal(answer->result, AT_CME_ERROR);
    assert_int_equal(answer->code, 518);
    assert_string_equal(answer->text, "+CME ERROR: 518");
    assert_int_equal(answer->error_code, ERROR_REFUSED);
    assert_int_equal(answer->owner, ERROR_OWNER_DEVICE);
    assert_string_equal(answer->error, "AT%CMNG=3,56,0: +CME ERROR: 518 (not allowed in active state); the modem changes credentials in "
                                       "flight mode alone (AT+CFUN=4): did the application switch it on meanwhile?");
}

static void runs_one_command_at_a_time_in_order(void **state)
{
    struct bench *bench = *state;
    send_within(bench, "AT+CGMI", 0);
    send_within(bench, "AT+CGMM", 0);
    send_within(bench, "AT+CGMR", 0);
    wait_answers(bench);
    assert_string_equal(bench->answers[0].lines, "Nordic Semiconductor ASA|");
    assert_string_equal(bench->answers[1].lines, "nRF9160-SICA|");
    assert_string_equal(bench->answers[2].lines, "mfw_nrf9160_1.3.5|");
}

static void leaves_logs_notifications_and_banners_to_the_console(void **state)
{
    struct bench *bench = *state;
    bench->host.noise_before = "[00:00:01.000,000] \x1B[1;31m<err> app: OK\x1B[0m\r\n+CEREG: 2,\"67C0\"\r\n";
    bench->host.noise_inside = "%MDMEV: SEARCH STATUS 2\r\n*** Using Zephyr OS v3.7.99 ***\r\n--- 3 messages dropped ---\r\n";
    struct answer *answer = ask(bench, "AT+CFUN?");
    assert_string_equal(answer->lines, "+CFUN: 1|");
    assert_string_equal(ask(bench, "AT+CGSN")->lines, "352656100367872|");
    assert_int_equal(events_count(&bench->events, "console.line"), 15);
    assert_string_equal(console_text(bench, 0), "[00:00:01.000,000] <err> app: OK");
    assert_string_equal(console_text(bench, 1), "+CEREG: 2,\"67C0\"");
    assert_string_equal(console_text(bench, 2), "%MDMEV: SEARCH STATUS 2");
    assert_string_equal(console_text(bench, 3), "*** Using Zephyr OS v3.7.99 ***");
    assert_string_equal(console_text(bench, 4), "--- 3 messages dropped ---");
    assert_int_equal(events_count(&bench->events, "console.dropped"), 3);
}

static void takes_a_reply_that_comes_one_byte_at_a_time(void **state)
{
    struct bench *bench = *state;
    bench->host.says_byte_by_byte = true;
    struct answer *answer = ask(bench, "AT+CFUN?");
    assert_int_equal(answer->result, AT_OK);
    assert_string_equal(answer->lines, "+CFUN: 1|");
}

static bool answer_pem(struct host *host, const char *command)
{
    if (strncmp(command, "AT%CMNG=2", 9) != 0)
        return false;
    host_say(host, "%CMNG: 56,0,\"00AA\",\"-----BEGIN CERTIFICATE-----\r\n");
    host_say(host, "[00:00:01.000,000] <inf> app: \"odd quote\r\n");
    host_say(host, "MIIB\r\n-----END CERTIFICATE-----\"\r\nOK\r\n");
    return true;
}

static void takes_quoted_text_over_several_lines(void **state)
{
    struct bench *bench = *state;
    bench->host.answer = answer_pem;
    struct answer *answer = ask(bench, "AT%CMNG=2,56,0");
    assert_int_equal(answer->result, AT_OK);
    assert_string_equal(answer->lines, "%CMNG: 56,0,\"00AA\",\"-----BEGIN CERTIFICATE-----|MIIB|-----END CERTIFICATE-----\"|");
    assert_int_equal(events_count(&bench->events, "console.line"), 1);
}

static bool answer_much(struct host *host, const char *command)
{
    if (strcmp(command, "AT%CMNG=1") != 0)
        return false;
    for (int i = 0; i < AT_REPLY_LINES_MAX + 10; i++)
        host_say(host, "%CMNG: 1,0,\"00\"\r\n");
    host_say(host, "OK\r\n");
    return true;
}

static void bounds_a_reply_and_gives_the_rest_to_the_console(void **state)
{
    struct bench *bench = *state;
    bench->host.answer = answer_much;
    struct answer *answer = ask(bench, "AT%CMNG=1");
    assert_int_equal(answer->result, AT_OK);
    assert_int_equal(answer->line_count, AT_REPLY_LINES_MAX);
    assert_true(answer->is_cut);
    assert_int_equal(events_count(&bench->events, "console.line"), 10);
}

static bool answer_long_line(struct host *host, const char *command)
{
    if (strcmp(command, "AT%KEYGEN=1") != 0)
        return false;
    static char text[6000];
    memset(text, 'k', sizeof(text) - 1);
    host_say(host, "%KEYGEN: ");
    host_say(host, text);
    host_say(host, "\r\nOK\r\n");
    return true;
}

static void joins_a_reply_line_that_is_longer_than_a_line_may_be(void **state)
{
    struct bench *bench = *state;
    bench->host.answer = answer_long_line;
    struct answer *answer = ask(bench, "AT%KEYGEN=1");
    assert_int_equal(answer->line_count, 1);
    const cJSON *lines = json_member(event_data(events_find(&bench->events, "at.reply", 1)), "lines");
    assert_int_equal(strlen(lines->child->valuestring), 5999 + 9);
}

static void times_out_and_gives_a_late_answer_to_nobody(void **state)
{
    struct bench *bench = *state;
    ask(bench, "AT");
    bench->host.mute_count = 1;
    send_within(bench, "AT+CGMM", 100);
    struct answer *answer = wait_answers(bench);
    assert_int_equal(answer->result, AT_TIMEOUT);
    assert_int_equal(answer->error_code, ERROR_TIMEOUT);
    assert_int_equal(answer->owner, ERROR_OWNER_DEVICE);
    host_say(&bench->host, "nRF9160-SICA\r\nOK\r\n");
    answer = ask(bench, "AT+CFUN?");
    assert_int_equal(answer->result, AT_OK);
    assert_string_equal(answer->lines, "+CFUN: 1|");
    assert_string_equal(bench->host.commands[bench->host.command_count - 2], "AT+CMEE?");
    assert_string_equal(console_text(bench, 1), "OK");
}

static void frees_an_at_host_that_is_stuck_in_a_quote(void **state)
{
    struct bench *bench = *state;
    bench->host.is_in_quotes = true;
    struct answer *answer = ask(bench, "AT+CFUN?");
    assert_int_equal(answer->result, AT_OK);
    assert_string_equal(answer->lines, "+CFUN: 1|");
    assert_false(bench->host.is_in_quotes);
}

static void frees_an_at_host_whose_buffer_is_full_and_has_nothing_executed(void **state)
{
    struct bench *bench = *state;
    static char text[6000];
    memset(text, 'x', sizeof(text));
    memcpy(text, "AT%CMNG=0,56,0,\"", 16);
    memcpy(text + sizeof(text) - 2, "\"\r", 2);
    bench->host.cfun = 4;
    assert_int_equal(serial_write(console_port(dk_console(bench->dk)), text, sizeof(text), NULL), 0);
    assert_int_equal(ask(bench, "AT+CFUN?")->result, AT_OK);
    assert_null(host_stored(&bench->host, 56, 0));
}

static void gets_through_to_a_host_that_missed_the_first_tries(void **state)
{
    struct bench *bench = *state;
    bench->host.mute_count = 1; /* the probe; then a quote that opens, and a probe that is swallowed */
    struct answer *answer = ask(bench, "AT+CFUN?");
    assert_int_equal(answer->result, AT_OK);
    assert_false(bench->host.is_in_quotes);
}

static void gives_up_on_a_wedged_parser(void **state)
{
    struct bench *bench = *state;
    bench->host.is_mute = true;
    struct answer *answer = ask(bench, "AT+CFUN?");
    assert_int_equal(answer->result, AT_TIMEOUT);
    assert_int_equal(host_count(&bench->host, "AT+CFUN?"), 0);
}

static void fails_a_command_when_the_port_goes_away_and_works_after_it_is_back(void **state)
{
    struct bench *bench = *state;
    ask(bench, "AT");
    bench->host.is_mute = true;
    send_within(bench, "AT+CFUN=4", 0);
    run_for(&bench->loop, 30);
    fake_unplug(&bench->host.fake);
    struct answer *answer = wait_answers(bench);
    assert_int_equal(answer->result, AT_GONE);
    assert_int_equal(answer->owner, ERROR_OWNER_RIG);
    assert_int_equal(answer->error_code, ERROR_IO);
    answer = ask(bench, "AT+CGMM"); /* while it is away */
    assert_int_equal(answer->result, AT_GONE);
    fake_plug(&bench->host.fake);
    bench->host.is_mute = false;
    while (!serial_is_open(console_port(dk_console(bench->dk))))
        uv_run(&bench->loop, UV_RUN_ONCE);
    assert_int_equal(ask(bench, "AT+CGMM")->result, AT_OK);
    assert_int_equal(events_count(&bench->events, "console.gap"), 1);
}

static void fails_a_command_when_the_device_boots_instead(void **state)
{
    struct bench *bench = *state;
    ask(bench, "AT");
    bench->host.mute_count = 1;
    send_within(bench, "AT+CFUN=4", 0);
    run_for(&bench->loop, 20);
    host_boot(&bench->host, "*** Booting nRF Connect SDK v2.9.0-7787b2649840 ***");
    struct answer *answer = wait_answers(bench);
    assert_int_equal(answer->result, AT_BOOTED);
    assert_string_equal(answer->text, "device booted");
    assert_int_equal(ask(bench, "AT+CGMM")->result, AT_OK);
}

static void refuses_what_the_at_host_could_not_take(void **state)
{
    struct bench *bench = *state;
    static char text[AT_COMMAND_MAX_BYTES + 2];
    memset(text, 'a', sizeof(text) - 1);
    memcpy(text, "AT%CMNG=0,56,1,\"", 16);
    text[AT_COMMAND_MAX_BYTES] = '"';
    static const struct {
        const char *text;
        enum error_code code;
    } rows[] = {{text, ERROR_LIMIT},
                {"AT%CMNG=0,56,1,\"abc", ERROR_SYNTAX},
                {"AT\b", ERROR_SYNTAX},
                {"AT\rAT+CFUN=0", ERROR_SYNTAX},
                {"AT%CMNG=0,56,0,\"a\x7F\"", ERROR_SYNTAX}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct error error = ERROR_INIT;
        struct at_command command = {.text = rows[i].text};
        assert_int_equal(at_send(dk_at(bench->dk), &command, &error), -1);
        assert_int_equal(error.code, rows[i].code);
        assert_int_equal(error.owner, ERROR_OWNER_FILE);
    }
    memmove(text + AT_COMMAND_MAX_BYTES - 1, "\"", 2); /* one byte less fits */
    bench->host.cfun = 4;
    assert_int_equal(ask(bench, text)->result, AT_OK);
    assert_int_equal(strlen(host_stored(&bench->host, 56, 1)), AT_COMMAND_MAX_BYTES - 17);
    assert_int_equal(host_count(&bench->host, "AT"), 2);
}

static void bounds_the_queue(void **state)
{
    struct bench *bench = *state;
    struct error error = ERROR_INIT;
    struct at_command command = {.text = "AT", .on_done = on_done, .user = bench};
    for (int i = 0; i < AT_QUEUE_MAX; i++)
        assert_int_equal(at_send(dk_at(bench->dk), &command, NULL), 0);
    assert_int_equal(at_send(dk_at(bench->dk), &command, &error), -1);
    assert_int_equal(error.code, ERROR_BUSY);
    bench->wanted = AT_QUEUE_MAX;
    wait_answers(bench);
}

static void cancels_what_waits_when_it_is_closed(void **state)
{
    struct bench *bench = *state;
    bench->host.is_mute = true;
    send_within(bench, "AT+CGMM", 0);
    send_within(bench, "AT+CGMR", 0);
    run_for(&bench->loop, 20);
    dk_close(bench->dk);
    bench->dk = NULL;
    assert_int_equal(bench->count, 2);
    assert_int_equal(bench->answers[0].result, AT_CANCELLED);
    assert_int_equal(bench->answers[1].result, AT_CANCELLED);
    assert_int_equal(bench->answers[1].owner, ERROR_OWNER_PERSON);
}

#define KEY_LINE "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgfwqpAvT3vJQ1GLEW"
#define HASH "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"
#define KEY "-----BEGIN PRIVATE KEY-----\n" KEY_LINE "\nshort=\n-----END PRIVATE KEY-----"

static bool raw_file_contains(struct bench *bench, const char *text)
{
    struct bytes bytes;
    assert_int_equal(file_read(bench->raw_path, 1 << 20, &bytes, NULL), 0);
    bool contains = memmem(bytes.data, bytes.length_bytes, text, strlen(text)) != NULL;
    bytes_done(&bytes);
    return contains;
}

static void never_shows_a_private_key_even_when_the_device_prints_it_back(void **state)
{
    struct bench *bench = *state;
    ask(bench, "AT");
    bench->host.cfun = 4;
    bench->host.echoes_commands = true;
    bench->host.noise_inside = "<err> at_host: Buffer overflow, dropping 'Q'\r\n" KEY_LINE "\r\nafterwards\r\n" HASH "\r\n";
    assert_int_equal(ask(bench, "AT%CMNG=0,56,2,\"" KEY "\"")->result, AT_OK);
    assert_string_equal(host_stored(&bench->host, 56, 2), KEY);
    assert_string_equal(json_string(event_data(events_find(&bench->events, "at.command", 2)), "command", ""),
                        "AT%CMNG=0,56,2,\"<SHA-256 9CC906F0E152F25C911B9BB60DA422A2C1BED92832C60A4BD68AD52910540E54>\"");
    assert_false(events_contain(&bench->events, "MIGH"));
    assert_false(events_contain(&bench->events, "short="));
    assert_false(events_contain(&bench->events, "dropping 'Q'"));
    assert_true(events_contain(&bench->events, CONSOLE_REDACTED));
    assert_true(events_contain(&bench->events, "afterwards"));
    assert_true(events_contain(&bench->events, HASH)); /* no key */
    assert_false(raw_file_contains(bench, "MIGH"));
    assert_false(raw_file_contains(bench, "short="));
    assert_false(raw_file_contains(bench, "dropping 'Q'"));
    assert_true(raw_file_contains(bench, CONSOLE_REDACTED));
    assert_true(raw_file_contains(bench, "afterwards"));
}

static void redacts_secrets_by_their_form(void **state)
{
    (void)state;
    static const struct {
        const char *command;
        bool is_secret;
    } rows[] = {{"AT%CMNG=0,56,0,\"-----BEGIN CERTIFICATE-----\"", false},
                {"AT%CMNG=0,56,1,\"x\"", false},
                {"AT%CMNG=1", false},
                {"AT%CMNG=3,56,2", false},
                {"AT%CMNG=0,56,2,\"x\"", true},
                {"at%cmng = 0 , 56 , 2 , \"x\"", true},
                {"AT%CMNG=0,56,3,00112233", true},
                {"AT%CMNG=0,56,12,\"x\"", true},
                {"AT%CMNG=0,56", true},
                {"AT%CMNG=0,56,0,\"-----BEGIN PRIVATE KEY-----\"", true},
                {"AT#XFOO=\"-----BEGIN RSA PRIVATE KEY-----\"", true},
                {"AT+CPIN=\"1234\"", true},
                {"AT+CPIN?", false},
                {"AT+CFUN=4", false}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *shown = at_redact(rows[i].command);
        assert_int_equal(at_is_secret(rows[i].command), rows[i].is_secret);
        if (!rows[i].is_secret)
            assert_string_equal(shown, rows[i].command);
        free(shown);
    }
    char *shown = at_redact("AT%CMNG=0,56,2,\"0123456789012345678901234567890123456789\",\"password\"");
    assert_string_equal(shown,
                        "AT%CMNG=0,56,2,\"<SHA-256 FB526CD4AD0EC978C1A9E78F7C0728711139978424D618EB228BE59E21188970>\",\"<removed>\"");
    free(shown);
    shown = at_redact("AT+CPIN=1234");
    assert_string_equal(shown, "AT+CPIN");
    free(shown);
}

/* ---- the dk */

static void on_identity(void *user, const struct dk_identity *identity, const struct error *error)
{
    struct bench *bench = user;
    bench->identify_count++;
    if (identity)
        bench->identity = *identity;
    if (error)
        bench->error = *error;
    assert_true(!identity == !!error);
}

static bool is_identified(void *user)
{
    return ((struct bench *)user)->identify_count > 0;
}

static void identify(struct bench *bench)
{
    bench->identify_count = 0;
    bench->error = (struct error)ERROR_INIT;
    assert_int_equal(dk_identify(bench->dk, on_identity, bench, NULL), 0);
    assert_true(run_until(&bench->loop, is_identified, bench));
}

static void learns_who_the_device_is(void **state)
{
    struct bench *bench = *state;
    assert_false(dk_has_answered(bench->dk));
    identify(bench);
    assert_string_equal(bench->identity.manufacturer, "Nordic Semiconductor ASA");
    assert_string_equal(bench->identity.model, "nRF9160-SICA");
    assert_string_equal(bench->identity.firmware, "mfw_nrf9160_1.3.5");
    assert_string_equal(bench->identity.imei, "352656100367872");
    assert_int_equal(bench->identity.cfun, 1);
    assert_true(dk_has_answered(bench->dk));
}

static bool refuse_cgsn(struct host *host, const char *command)
{
    if (strcmp(command, "AT+CGSN") != 0)
        return false;
    host_say(host, "ERROR\r\n");
    return true;
}

static void takes_a_sip_without_imei(void **state)
{
    struct bench *bench = *state;
    bench->host.answer = refuse_cgsn;
    identify(bench);
    assert_string_equal(bench->identity.imei, "");
    assert_int_equal(bench->identity.cfun, 1);
}

static void blames_the_rig_for_a_device_that_never_answered_and_the_device_afterwards(void **state)
{
    struct bench *bench = *state;
    bench->host.is_mute = true;
    identify(bench);
    assert_int_equal(bench->error.code, ERROR_TIMEOUT);
    assert_int_equal(bench->error.owner, ERROR_OWNER_RIG);
    assert_non_null(strstr(bench->error.text, bench->host.fake.path));
    bench->host.is_mute = false;
    identify(bench);
    bench->host.is_mute = true;
    identify(bench);
    assert_int_equal(bench->error.code, ERROR_TIMEOUT);
    assert_int_equal(bench->error.owner, ERROR_OWNER_DEVICE);
}

#define BANNER "*** Booting nRF Connect SDK v2.9.0-7787b2649840 ***"

static void on_boot(void *user, const char *banner, const struct error *error)
{
    struct bench *bench = user;
    assert_true(!banner == !!error);
    if (error) {
        bench->boot_error_count++;
        bench->error = *error;
    } else {
        bench->boot_count++;
    }
}

static bool has_booted(void *user)
{
    struct bench *bench = user;
    return bench->boot_count + bench->boot_error_count + bench->unexpected_count > 0;
}

static bool is_expected(struct bench *bench, int nth)
{
    return json_bool(event_data(events_find(&bench->events, "console.boot", nth)), "is_expected", false);
}

static void tells_a_commanded_boot_from_another(void **state)
{
    struct bench *bench = *state;
    identify(bench);
    assert_int_equal(dk_expect_boot(bench->dk, deadline_in_ms(&clock_system, 10000), on_boot, bench, NULL), 0);
    host_boot(&bench->host, BANNER);
    assert_true(run_until(&bench->loop, has_booted, bench));
    assert_int_equal(bench->boot_count, 1);
    assert_true(is_expected(bench, 0));
    host_boot(&bench->host, BANNER);
    bench->boot_count = 0;
    assert_true(run_until(&bench->loop, has_booted, bench));
    assert_int_equal(bench->unexpected_count, 1);
    assert_string_equal(bench->text, BANNER);
    assert_false(is_expected(bench, 1));
    assert_int_equal(dk_boot_count(bench->dk), 2);
    assert_int_equal(dk_unexpected_boot_count(bench->dk), 1);
}

static void takes_boots_before_first_contact_as_they_come(void **state)
{
    struct bench *bench = *state;
    host_boot(&bench->host, BANNER);
    identify(bench);
    assert_int_equal(dk_boot_count(bench->dk), 1);
    assert_int_equal(dk_unexpected_boot_count(bench->dk), 0);
    assert_true(is_expected(bench, 0));
}

static void counts_the_bootloaders_old_banner_and_the_applications_as_one_boot(void **state)
{
    struct bench *bench = *state;
#define OLD_BANNER "*** Booting Zephyr OS build v3.2.99-ncs1 ***"
    identify(bench);
    dk_expect_boot(bench->dk, deadline_in_ms(&clock_system, 10000), on_boot, bench, NULL);
    host_boot(&bench->host, OLD_BANNER "\r\nI: Starting bootloader\r\n[00:00:00.251,220] <inf> mcuboot: Jumping\r\n" OLD_BANNER);
    host_say(&bench->host, "[00:00:00.300,000] <inf> azure_iot_hub_sample: Azure IoT Hub sample started\r\n");
    host_say(&bench->host, OLD_BANNER "\r\n");
    run_for(&bench->loop, 50);
    assert_int_equal(bench->boot_count, 1);
    assert_int_equal(dk_boot_count(bench->dk), 2);
    assert_int_equal(bench->unexpected_count, 1);
    assert_true(is_expected(bench, 0) && is_expected(bench, 1) && !is_expected(bench, 2));
}

static void misses_a_boot_that_does_not_come(void **state)
{
    struct bench *bench = *state;
    dk_expect_boot(bench->dk, deadline_in_ms(&clock_system, 30), on_boot, bench, NULL);
    struct error error = ERROR_INIT;
    assert_int_equal(dk_expect_boot(bench->dk, deadline_in_ms(&clock_system, 30), on_boot, bench, &error), -1);
    assert_int_equal(error.code, ERROR_BUSY);
    assert_true(run_until(&bench->loop, has_booted, bench));
    assert_int_equal(bench->boot_error_count, 1);
    assert_int_equal(bench->error.code, ERROR_TIMEOUT);
    assert_int_equal(bench->error.owner, ERROR_OWNER_RIG);
    dk_expect_boot(bench->dk, deadline_in_ms(&clock_system, 30), on_boot, bench, NULL);
    dk_expect_no_boot(bench->dk);
    run_for(&bench->loop, 60);
    assert_int_equal(bench->boot_error_count, 1);
}

static void knows_the_end_of_a_boot_and_a_fault(void **state)
{
    struct bench *bench = *state;
    host_say(&bench->host,
             "[00:00:00.020,000] <err> azure_iot_hub_sample: Failed to run DPS, error: -14, terminating connection attempt\r\n");
    host_say(&bench->host, "[00:00:00.030,000] <err> os: ***** BUS FAULT *****\r\n");
    run_for(&bench->loop, 50);
    assert_true(dk_is_at_rest(bench->dk));
    assert_int_equal(bench->rest_count, 1);
    assert_string_equal(bench->text, "console.failed");
    assert_true(dk_has_fault(bench->dk));
    const cJSON *data = event_data(events_find(&bench->events, "console.failed", 0));
    assert_int_equal(json_integer(data, "errno", 0), -14);
    assert_true(json_bool(data, "is_terminal", false));
    dk_forget_fault(bench->dk);
    assert_false(dk_has_fault(bench->dk));
    host_boot(&bench->host, BANNER);
    run_for(&bench->loop, 50);
    assert_false(dk_is_at_rest(bench->dk));
}

static void tells_when_the_port_is_lost(void **state)
{
    struct bench *bench = *state;
    fake_unplug(&bench->host.fake);
    for (int i = 0; i < 400 && !bench->lost_count; i++)
        run_for(&bench->loop, 10);
    assert_int_equal(bench->lost_count, 1);
    assert_int_equal(bench->error.owner, ERROR_OWNER_RIG);
}

/* ---- the capture */

static bool has_lines(void *user)
{
    struct bench *bench = user;
    return console_line_count(dk_console(bench->dk)) >= (uint64_t)bench->wanted;
}

static void carries_the_fields_of_a_log_line(void **state)
{
    struct bench *bench = *state;
    host_say(&bench->host, "[00:00:00.020,000] \x1B[1;31m<err> azure_iot_hub_dps: Connection was rejected with return code 5\x1B[0m\r\n");
    run_for(&bench->loop, 30);
    const cJSON *line = events_find(&bench->events, "console.line", 0);
    const cJSON *event = events_find(&bench->events, "console.connection-rejected", 0);
    assert_string_equal(json_string(event_data(line), "text", ""),
                        "[00:00:00.020,000] <err> azure_iot_hub_dps: Connection was rejected with return code 5");
    assert_string_equal(json_string(event_data(line), "level", ""), "err");
    assert_string_equal(json_string(event_data(line), "module", ""), "azure_iot_hub_dps");
    assert_string_equal(json_string(event_data(line), "message", ""), "Connection was rejected with return code 5");
    assert_int_equal(json_integer(event_data(line), "uptime_us", 0), 20000);
    assert_string_equal(json_string(event_data(line), "device", ""), "dk-1");
    assert_int_equal(json_integer(event_data(event), "return_code", 0), 5);
    assert_int_equal(json_integer(event, "mono_us", 0), json_integer(line, "mono_us", 1));
    assert_false(json_bool(event_data(event), "is_terminal", false));
}

static void survives_a_flood_and_a_binary_console_and_answers_still(void **state)
{
    struct bench *bench = *state;
    enum { FLOOD_BYTES = 2 * 1024 * 1024 };
    unsigned char *flood = malloc(FLOOD_BYTES);
    uint64_t lines = 0;
    unsigned int random = 3;
    for (size_t i = 0; i < FLOOD_BYTES; i++) {
        random = random * 1103515245 + 12345;
        flood[i] = i % 97 == 96 ? '\n' : (unsigned char)((random >> 16) % 250 + 11); /* every byte but LF */
        lines += flood[i] == '\n';
    }
    ask(bench, "AT");
    int64_t start_us = clock_mono_us(&clock_system);
    fake_say_bytes(&bench->host.fake, flood, FLOOD_BYTES);
    bench->wanted = (int)(lines + console_line_count(dk_console(bench->dk)));
    assert_true(run_until(&bench->loop, has_lines, bench));
    print_message("%d bytes, %d lines in %lld ms\n", FLOOD_BYTES, (int)lines, (long long)(clock_mono_us(&clock_system) - start_us) / 1000);
    struct bytes raw;
    assert_int_equal(file_read(bench->raw_path, 8 << 20, &raw, NULL), 0);
    assert_non_null(memmem(raw.data, raw.length_bytes, flood, FLOOD_BYTES - FLOOD_BYTES % 97));
    bytes_done(&raw);
    free(flood);
    host_say(&bench->host, "\r\n");
    bench->wanted = bench->count;
    assert_string_equal(ask(bench, "AT+CGSN")->lines, "352656100367872|");
}

static void delivers_a_line_of_a_megabyte_in_marked_parts(void **state)
{
    struct bench *bench = *state;
    enum { LINE_BYTES = 1024 * 1024 };
    char *text = malloc(LINE_BYTES + 3);
    memset(text, 'z', LINE_BYTES);
    strcpy(text + LINE_BYTES, "\r\n");
    fake_say(&bench->host.fake, text);
    bench->wanted = 1;
    assert_true(run_until(&bench->loop, has_lines, bench));
    assert_int_equal(events_count(&bench->events, "console.line"), LINE_BYTES / LINE_MAX_BYTES);
    const cJSON *first = event_data(events_find(&bench->events, "console.line", 0));
    const cJSON *last = event_data(events_find(&bench->events, "console.line", LINE_BYTES / LINE_MAX_BYTES - 1));
    assert_true(json_bool(first, "is_part", false) && !json_bool(first, "is_continued", false));
    assert_true(!json_bool(last, "is_part", false) && json_bool(last, "is_continued", false));
    free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define IMPATIENT(name) cmocka_unit_test_setup_teardown(name, set_up_impatient, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(syncs_before_the_first_command_and_collects_its_reply),
        TEST(emits_command_and_reply),
        TEST(tells_the_kinds_of_error_apart),
        TEST(runs_one_command_at_a_time_in_order),
        TEST(leaves_logs_notifications_and_banners_to_the_console),
        TEST(takes_a_reply_that_comes_one_byte_at_a_time),
        TEST(takes_quoted_text_over_several_lines),
        TEST(bounds_a_reply_and_gives_the_rest_to_the_console),
        TEST(joins_a_reply_line_that_is_longer_than_a_line_may_be),
        TEST(times_out_and_gives_a_late_answer_to_nobody),
        IMPATIENT(frees_an_at_host_that_is_stuck_in_a_quote),
        IMPATIENT(frees_an_at_host_whose_buffer_is_full_and_has_nothing_executed),
        IMPATIENT(gets_through_to_a_host_that_missed_the_first_tries),
        IMPATIENT(gives_up_on_a_wedged_parser),
        TEST(fails_a_command_when_the_port_goes_away_and_works_after_it_is_back),
        TEST(fails_a_command_when_the_device_boots_instead),
        TEST(refuses_what_the_at_host_could_not_take),
        TEST(bounds_the_queue),
        TEST(cancels_what_waits_when_it_is_closed),
        TEST(never_shows_a_private_key_even_when_the_device_prints_it_back),
        cmocka_unit_test(redacts_secrets_by_their_form),
        TEST(learns_who_the_device_is),
        TEST(takes_a_sip_without_imei),
        IMPATIENT(blames_the_rig_for_a_device_that_never_answered_and_the_device_afterwards),
        TEST(tells_a_commanded_boot_from_another),
        TEST(takes_boots_before_first_contact_as_they_come),
        TEST(counts_the_bootloaders_old_banner_and_the_applications_as_one_boot),
        TEST(misses_a_boot_that_does_not_come),
        TEST(knows_the_end_of_a_boot_and_a_fault),
        TEST(tells_when_the_port_is_lost),
        TEST(carries_the_fields_of_a_log_line),
        TEST(survives_a_flood_and_a_binary_console_and_answers_still),
        TEST(delivers_a_line_of_a_megabyte_in_marked_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
