/*
 * The AT client against a device that says what it likes, as AT host, as shell, or unknown: the first byte says which, and which command waits. Every command
 * ends once, events are what they must be, and of a key that was typed nothing comes out, whatever the device makes of its echo.
 */
#include "harness/device/at.h"

#include "base/bytes.h"
#include "base/event.h"
#include "harness/device/at_shell.h"
#include "harness/device/terminal.h"
#include "tests/fuzz/fuzz.h"

#define KEY "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"

struct rig {
    uv_loop_t loop;
    struct clock_fake clock;
    struct at *at;
    int replies;
    size_t written;
    char rendered[LINE_MAX_BYTES + 1];
};

static void emit(void *user, cJSON *event)
{
    (void)user;
    enum event_kind kind;
    FUZZ_MUST(event && event_check(event, &kind, NULL) == 0);
    CLEANUP_FREE char *text = json_print_line(event);
    FUZZ_MUST(text && (kind != EVENT_AT_COMMAND || !strstr(text, KEY)));
    cJSON_Delete(event);
}

static int write_nowhere(void *user, const void *data, size_t length, struct error *error)
{
    (void)data, (void)error;
    ((struct rig *)user)->written += length;
    return 0;
}

static void on_reply(void *user, const struct at_reply *reply)
{
    struct error error = ERROR_INIT;
    FUZZ_MUST(reply->text && reply->line_count <= AT_REPLY_LINES_MAX && !strstr(reply->command, KEY));
    if (at_reply_check(reply, &error))
        fuzz_check_error(&error);
    ((struct rig *)user)->replies++;
}

/* As the console does. */
static void on_line(void *user, const struct line *line)
{
    struct rig *rig = user;
    struct zephyr_line *zephyr = malloc(sizeof *zephyr);
    FUZZ_MUST(zephyr);
    struct terminal_line shown = terminal_render(line->text, line->length_bytes, rig->rendered);
    FUZZ_MUST(shown.length_bytes <= line->length_bytes && rig->rendered[shown.length_bytes] == 0);
    if (!terminal_is_needed(line->text, line->length_bytes))
        FUZZ_MUST(shown.length_bytes == line->length_bytes && !shown.prompt_count &&
                  !memcmp(rig->rendered, line->text, line->length_bytes));
    zephyr_line_read(rig->rendered, shown.length_bytes, zephyr);
    struct console_line console = {.line = line, .zephyr = zephyr, .has_prompt = shown.prompt_count > 0};
    if (at_take_echo(rig->at, &console) == CONSOLE_NO_ECHO)
        at_take_line(rig->at, &console);
    free(zephyr);
    uv_run(&rig->loop, UV_RUN_NOWAIT);
}

static void check_quoting(const char *text)
{
    struct error error = ERROR_INIT;
    char *typed = at_shell_quote(text, &error);
    if (!typed) {
        fuzz_check_error(&error);
        return;
    }
    FUZZ_MUST(strncmp(typed, "at '", 4) == 0 && typed[strlen(typed) - 1] == '\'' && !strpbrk(typed, "\r\n"));
    free(typed);
}

static void listen_to(struct rig *rig, const uint8_t *data, size_t size)
{
    struct line_reader *reader = malloc(sizeof *reader);
    FUZZ_MUST(reader);
    line_reader_init(reader, on_line, rig);
    line_reader_feed(reader, data, size, 1, 1);
    line_reader_flush(reader);
    free(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const commands[] = {"AT+CGSN", "AT%CMNG=1", "AT+CFUN?", "AT%CMNG=0,1,2,\"-----BEGIN PRIVATE KEY-----\n" KEY "\n\""};
    if (size < 1)
        return 0;
    struct rig rig = {0};
    uv_loop_init(&rig.loop);
    clock_fake_init(&rig.clock, 1000000, 1795000000000000);
    const struct at_options options = {.loop = &rig.loop,
                                       .clock = &rig.clock.clock,
                                       .sink = {emit, &rig},
                                       .device = "dk",
                                       .write = write_nowhere,
                                       .user = &rig,
                                       .transport = (enum at_transport)(data[0] / ARRAY_COUNT(commands) % 3),
                                       .sync_try_ms = 60000};
    FUZZ_MUST(at_new(&options, &rig.at, NULL) == 0);
    const struct at_command command = {.text = commands[data[0] % ARRAY_COUNT(commands)], .on_done = on_reply, .user = &rig};
    FUZZ_MUST(at_send(rig.at, &command, NULL) == 0);
    uv_run(&rig.loop, UV_RUN_NOWAIT);
    listen_to(&rig, data + 1, size - 1);
    CLEANUP_FREE char *text = fuzz_text(data + 1, size - 1);
    check_quoting(text);
    at_free(rig.at);
    uv_run(&rig.loop, UV_RUN_DEFAULT);
    FUZZ_MUST(uv_loop_close(&rig.loop) == 0 && rig.replies == 1 && rig.written > 0);
    return 0;
}
