/* AT commands through a shell: what is typed, what of the screen is left, and a dk that finds out by itself what it talks to. */
#include "base/files.h"
#include "harness/device/at_shell.h"
#include "harness/device/dk.h"
#include "harness/device/terminal.h"
#include "test_device_host.h"
#include "tests/cmocka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROMPT "\033[1;32mmosh:~$ \033[m"
#define KEY_PART "TUlHSEFnRUFNQk1HQnlxR1NNNDlBZ0VHQ0NxR1NNNDlBd0VIQkcwd2F3SUJBUVFn"

enum { COLUMNS = 80, TYPED_MAX_BYTES = 4096 };

/* A device that is a shell or an AT host, as the test says. */
struct bench {
    uv_loop_t loop;
    struct fake fake;
    struct events events;
    struct dk *dk;
    char raw_path[128];
    char typed[TYPED_MAX_BYTES];
    size_t typed_length;
    bool is_host, lacks_at, is_bypassed, fails;
    const char *interruption; /* a log line that comes when the middle of a line is typed */
    const char *notification; /* in the midst of a reply */
    int done_count;
    enum at_result result;
    size_t line_count;
    char line[256], error_text[ERROR_TEXT_MAX_BYTES];
    struct error error;
};

static void say_prompt(struct bench *bench)
{
    fake_say(&bench->fake, PROMPT);
}

static void echo_typed(struct bench *bench, size_t from)
{
    for (size_t i = from; i < bench->typed_length; i++) {
        fake_say_bytes(&bench->fake, &bench->typed[i], 1);
        if ((i + 1 + strlen("mosh:~$ ")) % COLUMNS == 0)
            fake_say(&bench->fake, "\r\n");
    }
}

static void interrupt(struct bench *bench)
{
    char moves[64];
    size_t column = strlen("mosh:~$ ") + bench->typed_length, row = column / COLUMNS;
    snprintf(moves, sizeof(moves), "\033[%zuD", column % COLUMNS);
    fake_say(&bench->fake, moves);
    if (row) {
        snprintf(moves, sizeof(moves), "\033[%zuA", row);
        fake_say(&bench->fake, moves);
    }
    fake_say(&bench->fake, "\033[J");
    fake_say(&bench->fake, bench->interruption);
    bench->interruption = NULL;
    say_prompt(bench);
    echo_typed(bench, 0);
}

static void answer_at(struct bench *bench, const char *command)
{
    if (bench->notification)
        fake_say(&bench->fake, bench->notification);
    if (bench->fails)
        fake_say(&bench->fake, "Sending AT command failed with error code -22\r\n");
    else if (strncmp(command, "AT+CMEE?", 8) == 0)
        fake_say(&bench->fake, "+CMEE: 0\r\r\nOK\r\r\n\r\n");
    else if (strncmp(command, "AT+CFUN?", 8) == 0)
        fake_say(&bench->fake, "+CFUN: 4\r\r\nOK\r\r\n\r\n");
    else
        fake_say(&bench->fake, "OK\r\r\n\r\n");
}

static void run_line(struct bench *bench)
{
    bench->typed[bench->typed_length] = 0;
    bench->typed_length = 0;
    if (bench->is_host) {
        answer_at(bench, bench->typed);
        return;
    }
    fake_say(&bench->fake, "\r\n");
    if (strncmp(bench->typed, "at '", 4) == 0 && !bench->lacks_at)
        answer_at(bench, bench->typed + 4);
    else if (bench->typed[0]) {
        bench->typed[strcspn(bench->typed, " ")] = 0;
        fake_say(&bench->fake, "\033[1;31m");
        fake_say(&bench->fake, bench->typed);
        fake_say(&bench->fake, ": command not found\r\n\033[m");
    }
    say_prompt(bench);
}

static void type(struct bench *bench, char byte)
{
    if (byte == 0x11)
        bench->is_bypassed = false;
    if (bench->is_bypassed)
        return;
    if (byte == '\r') {
        run_line(bench);
    } else if (byte >= ' ' && bench->typed_length < TYPED_MAX_BYTES - 1) {
        bench->typed[bench->typed_length++] = byte;
        if (!bench->is_host)
            echo_typed(bench, bench->typed_length - 1);
        if (bench->interruption && bench->typed_length == 150)
            interrupt(bench);
    }
}

static void on_bytes(struct fake *fake, const char *data, size_t length)
{
    for (size_t i = 0; i < length; i++)
        type(fake->user, data[i]);
}

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    struct error error = ERROR_INIT;
    uv_loop_init(&bench->loop);
    events_init(&bench->events);
    fake_init(&bench->fake, &bench->loop);
    bench->fake.on_bytes = on_bytes;
    bench->fake.user = bench;
    snprintf(bench->raw_path, sizeof(bench->raw_path), "%s/console.raw", bench->fake.dir);
    struct dk_options options = {.loop = &bench->loop,
                                 .clock = &clock_system,
                                 .name = "dk-1",
                                 .path = bench->fake.path,
                                 .raw_path = bench->raw_path,
                                 .sync_try_ms = 200,
                                 .sink = events_sink(&bench->events)};
    if (dk_open(&options, &bench->dk, &error))
        fail_msg("%s", error.text);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    dk_close(bench->dk);
    unlink(bench->raw_path);
    fake_done(&bench->fake);
    finish_loop(&bench->loop);
    events_done(&bench->events);
    free(bench);
    return 0;
}

static void on_done(void *user, const struct at_reply *reply)
{
    struct bench *bench = user;
    bench->done_count++;
    bench->result = reply->result;
    bench->line_count = reply->line_count;
    bench->error = (struct error)ERROR_INIT;
    snprintf(bench->line, sizeof(bench->line), "%s", reply->line_count ? reply->lines[0] : "");
    at_reply_check(reply, &bench->error);
}

static bool is_done(void *user)
{
    return ((struct bench *)user)->done_count > 0;
}

static enum at_result ask(struct bench *bench, const char *text)
{
    struct error error = ERROR_INIT;
    struct at_command command = {.text = text, .timeout_ms = 3000, .on_done = on_done, .user = bench};
    bench->done_count = 0;
    if (at_send(dk_at(bench->dk), &command, &error))
        fail_msg("%s", error.text);
    assert_true(run_until(&bench->loop, is_done, bench));
    return bench->result;
}

static bool heard(const struct bench *bench, const char *text)
{
    return memmem(bench->fake.heard.data, bench->fake.heard.length_bytes, text, strlen(text)) != NULL;
}

static bool raw_holds(struct bench *bench, const char *text)
{
    struct bytes raw;
    assert_int_equal(file_read(bench->raw_path, 1024 * 1024, &raw, NULL), 0);
    bool holds = strstr(bytes_text(&raw), text) != NULL;
    bytes_done(&raw);
    return holds;
}

/* ---- texts */

static void shows_what_a_terminal_would_show(void **state)
{
    (void)state;
    static const struct {
        const char *raw, *text;
        size_t prompts;
        bool was_erased;
    } table[] = {
        {"plain", "plain", 0, false},
        {"uart:~$ at 'AT'", "at 'AT'", 1, false},
        {PROMPT PROMPT "x", "x", 2, false},
        {PROMPT, "", 1, false},
        {"\033[1;32muart:~$ \033[m\033[8D\033[J[00:00:01.000,000] <inf> a: b", "[00:00:01.000,000] <inf> a: b", 0, true},
        {"at 'AT+CF\033[9D\033[2A\033[Jlog", "log", 0, true},
        {"abc\033[2DX", "aXc", 0, false},
        {"abc\033[99D\033[1CX", "aXc", 0, false},
        {"abc\033[99999999999999999999DX", "Xbc", 0, false},
        {"half a sequence \033[12", "half a sequence \033[12", 0, false},
        {":~$ no name", ":~$ no name", 0, false},
        {"averyverylongname:~$ ", "averyverylongname:~$ ", 0, false},
        {"say uart:~$ x", "say uart:~$ x", 0, false},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char text[256];
        struct terminal_line line = terminal_render(table[i].raw, strlen(table[i].raw), text);
        assert_string_equal(text, table[i].text);
        assert_int_equal(line.length_bytes, strlen(table[i].text));
        assert_int_equal(line.prompt_count, table[i].prompts);
        assert_int_equal(line.was_erased, table[i].was_erased);
    }
}

static void quotes_for_the_shell(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {"AT+CFUN?", "at 'AT+CFUN?'"},
        {"AT%CMNG=0,1,0,\"a\nb\r\nc\"", "at 'AT%CMNG=0,1,0,\"a\\nb\\nc\"'"},
        {"AT%X=\"it's\"", "at 'AT%X=\"it'\\''s\"'"},
        {"AT%X=\"a\\b\"", "at 'AT%X=\"a'\\\\'b\"'"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char *typed = at_shell_quote(table[i][0], NULL);
        assert_string_equal(typed, table[i][1]);
        free(typed);
    }
    struct error error = ERROR_INIT;
    assert_null(at_shell_quote("AT%X=\"a\nb\"", &error));
    assert_int_equal(error.owner, ERROR_OWNER_FILE);
    assert_null(at_shell_quote("AT%CMNG=0,1,0,\"a\\nb\"", &error));
}

static void knows_its_echo_in_pieces_and_from_the_beginning(void **state)
{
    (void)state;
    struct at_echo echo = {.typed = "at 'AT%CMNG=0'"};
    assert_false(at_echo_take(&echo, "at 'AT", false)); /* nothing says yet that it is one */
    assert_true(at_echo_take(&echo, "at 'AT", true));
    assert_false(at_echo_take(&echo, "OK", false));
    assert_true(at_echo_take(&echo, "at 'AT%CM", true)); /* drawn anew */
    assert_true(at_echo_take(&echo, "NG=0'", false));
    assert_false(at_echo_take(&echo, "x", false));
    assert_false(at_echo_take(&echo, "", true));
    struct at_echo none = {0};
    assert_false(at_echo_take(&none, "x", true));
}

/* ---- a device */

static void finds_the_shell_and_leaves_nothing_of_it_in_the_console(void **state)
{
    struct bench *bench = *state;
    say_prompt(bench);
    assert_int_equal(ask(bench, "AT+CFUN?"), AT_OK);
    assert_string_equal(bench->line, "+CFUN: 4");
    assert_int_equal(bench->line_count, 1);
    assert_int_equal(dk_transport(bench->dk), AT_TRANSPORT_SHELL);
    assert_true(at_stores_crlf(dk_at(bench->dk)));
    assert_true(heard(bench, "at 'AT+CFUN?'\r"));
    for (int i = 0; i < events_count(&bench->events, "console.line"); i++)
        assert_string_equal(json_string(event_data(events_find(&bench->events, "console.line", i)), "text", ""), "");
}

static void finds_an_at_host_at_once(void **state)
{
    struct bench *bench = *state;
    bench->is_host = true;
    assert_int_equal(ask(bench, "AT+CFUN?"), AT_OK);
    assert_int_equal(dk_transport(bench->dk), AT_TRANSPORT_HOST);
    assert_false(heard(bench, "at '"));
}

static void finds_out_that_the_device_was_flashed_anew(void **state)
{
    struct bench *bench = *state;
    ask(bench, "AT+CFUN?");
    assert_int_equal(dk_transport(bench->dk), AT_TRANSPORT_SHELL);
    bench->is_host = true;
    bench->notification = "";
    at_booted(dk_at(bench->dk));
    assert_int_equal(ask(bench, "AT+CFUN?"), AT_OK);
}

static const cJSON *line_with(struct bench *bench, const char *text)
{
    for (int i = 0; i < events_count(&bench->events, "console.line"); i++) {
        const cJSON *event = events_find(&bench->events, "console.line", i);
        if (strcmp(json_string(event_data(event), "text", ""), text) == 0)
            return event;
    }
    return NULL;
}

#define LOG_LINE "[00:00:07.000,000] <inf> app: hello"

static void tells_a_log_line_in_the_midst_of_an_echo(void **state)
{
    struct bench *bench = *state;
    char command[512] = "AT%CMNG=0,1,0,\"";
    ask(bench, "AT+CFUN?");
    memset(command + strlen(command), 'y', 300);
    strcat(command, "\"");
    bench->interruption = LOG_LINE "\r\n";
    int before = events_count(&bench->events, "console.line");
    assert_int_equal(ask(bench, command), AT_OK);
    assert_non_null(line_with(bench, LOG_LINE));
    for (int i = before; i < events_count(&bench->events, "console.line"); i++) {
        const char *text = json_string(event_data(events_find(&bench->events, "console.line", i)), "text", "");
        assert_null(strstr(text, "yyy"));
    }
}

static void times_a_line_behind_an_old_prompt_by_its_own_bytes(void **state)
{
    struct bench *bench = *state;
    ask(bench, "AT+CFUN?");
    run_for(&bench->loop, 50);
    int64_t before_us = clock_mono_us(&clock_system);
    fake_say(&bench->fake, "\033[8D\033[J" LOG_LINE "\r\n" PROMPT);
    while (!line_with(bench, LOG_LINE))
        uv_run(&bench->loop, UV_RUN_ONCE);
    assert_true(json_integer(line_with(bench, LOG_LINE), "mono_us", 0) >= before_us);
}

static void keeps_a_notification_out_of_a_reply_of_its_name(void **state)
{
    struct bench *bench = *state;
    ask(bench, "AT");
    bench->notification = "AT event handler:\r\n+CFUN: 9\r\n";
    assert_int_equal(ask(bench, "AT+CFUN?"), AT_OK);
    assert_int_equal(bench->line_count, 1);
    assert_string_equal(bench->line, "+CFUN: 4");
    assert_non_null(line_with(bench, "+CFUN: 9"));
}

static void does_not_send_what_the_shell_would_cut(void **state)
{
    struct bench *bench = *state;
    char command[AT_SHELL_MAX_BYTES + 1] = "AT%CMNG=0,1,0,\"";
    ask(bench, "AT");
    size_t start = strlen(command);
    memset(command + start, 'z', AT_SHELL_MAX_BYTES - 5 - start);
    strcpy(command + AT_SHELL_MAX_BYTES - 5, "\""); /* with at '...' one byte too many */
    assert_int_equal(ask(bench, command), AT_TOO_LONG);
    assert_int_equal(bench->error.owner, ERROR_OWNER_FILE);
    assert_int_equal(bench->error.code, ERROR_LIMIT);
    assert_non_null(strstr(bench->error.text, "3583"));
    assert_false(heard(bench, "zzz"));
    assert_int_equal(ask(bench, "AT+CFUN?"), AT_OK);
}

static void does_not_send_what_the_shell_would_change(void **state)
{
    struct bench *bench = *state;
    ask(bench, "AT");
    assert_int_equal(ask(bench, "AT%X=\"a\nb\""), AT_UNFIT);
    assert_int_equal(bench->error.owner, ERROR_OWNER_FILE);
}

static void takes_the_shells_own_failure_for_an_error(void **state)
{
    struct bench *bench = *state;
    ask(bench, "AT");
    bench->fails = true;
    assert_int_equal(ask(bench, "AT+CFUN?"), AT_ERROR);
}

static void gets_out_of_a_mode_that_swallows_everything(void **state)
{
    struct bench *bench = *state;
    ask(bench, "AT");
    bench->is_bypassed = true;
    at_booted(dk_at(bench->dk));
    assert_int_equal(ask(bench, "AT+CFUN?"), AT_OK);
}

static void writes_no_part_of_a_key_that_is_echoed(void **state)
{
    struct bench *bench = *state;
    ask(bench, "AT");
    bench->interruption = LOG_LINE "\r\n";
    assert_int_equal(
        ask(bench, "AT%CMNG=0,1,2,\"-----BEGIN PRIVATE KEY-----\n" KEY_PART "\n" KEY_PART "\n" KEY_PART "\n-----END PRIVATE KEY-----\""),
        AT_OK);
    assert_non_null(line_with(bench, LOG_LINE));
    assert_true(heard(bench, KEY_PART));
    static const char key_part[] = KEY_PART;
    for (size_t i = 0; i + 20 <= strlen(key_part); i += 4) {
        char part[21] = "";
        memcpy(part, &key_part[i], 20);
        assert_false(events_contain(&bench->events, part));
        assert_false(raw_holds(bench, part));
    }
    assert_true(raw_holds(bench, LOG_LINE));
    assert_true(raw_holds(bench, CONSOLE_REDACTED));
}

static void on_identity(void *user, const struct dk_identity *identity, const struct error *error)
{
    struct bench *bench = user;
    bench->done_count++;
    assert_null(identity);
    bench->error = *error;
}

static void says_that_the_shell_has_no_at_command(void **state)
{
    struct bench *bench = *state;
    bench->lacks_at = true;
    assert_int_equal(dk_identify(bench->dk, on_identity, bench, NULL), 0);
    assert_true(run_until(&bench->loop, is_done, bench));
    assert_int_equal(bench->error.owner, ERROR_OWNER_RIG);
    assert_non_null(strstr(bench->error.text, "CONFIG_AT_SHELL=y"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shows_what_a_terminal_would_show),
        cmocka_unit_test(quotes_for_the_shell),
        cmocka_unit_test(knows_its_echo_in_pieces_and_from_the_beginning),
        TEST(finds_the_shell_and_leaves_nothing_of_it_in_the_console),
        TEST(finds_an_at_host_at_once),
        TEST(finds_out_that_the_device_was_flashed_anew),
        TEST(tells_a_log_line_in_the_midst_of_an_echo),
        TEST(times_a_line_behind_an_old_prompt_by_its_own_bytes),
        TEST(keeps_a_notification_out_of_a_reply_of_its_name),
        TEST(does_not_send_what_the_shell_would_cut),
        TEST(does_not_send_what_the_shell_would_change),
        TEST(takes_the_shells_own_failure_for_an_error),
        TEST(gets_out_of_a_mode_that_swallows_everything),
        TEST(writes_no_part_of_a_key_that_is_echoed),
        TEST(says_that_the_shell_has_no_at_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
