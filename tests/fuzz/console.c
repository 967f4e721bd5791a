/*
 * A device's console: lines, Zephyr log lines, the AT client that waits for its reply, the dialect. Not one byte is lost, and what goes into an event is
 * printable. The first byte says which command waits.
 */
#include "harness/device/console.h"
#include "base/bytes.h"
#include "base/event.h"

#include "harness/device/at.h"
#include "harness/device/console_record.h"
#include "harness/device/dialect.h"
#include "tests/fuzz/fuzz.h"

enum { STREAM_MAX_BYTES = 4 * 1024 * 1024 };

struct rig {
    struct clock_fake clock;
    struct dialect_state state;
    struct console_records records;
    struct at *at;
    struct bytes stream;
    int replies;
};

static const struct dialect *nordic(void)
{
    static struct dialect *dialect;
    if (!dialect)
        FUZZ_MUST(dialect_read_file(DPSBENCH_SOURCE_DIR "/fixtures/dialects/nordic.yaml", &dialect, NULL) == 0);
    return dialect;
}

static void check_json(const cJSON *json)
{
    CLEANUP_FREE char *text = json_print_line(json);
    FUZZ_MUST(text);
    for (const char *at = text; *at; at++)
        FUZZ_MUST(*at >= 0x20 && *at < 0x7f);
}

static void check_line(const struct zephyr_line *line)
{
    size_t length = strlen(line->text);
    FUZZ_MUST(length <= ZEPHYR_TEXT_MAX_BYTES && line->message >= line->text && line->message <= line->text + length);
    for (size_t i = 0; i < length; i++)
        FUZZ_MUST((unsigned char)line->text[i] >= 0x20 || line->text[i] == '\t');
    FUZZ_MUST(strlen(line->module) < ZEPHYR_NAME_MAX_BYTES && strlen(line->function) < ZEPHYR_NAME_MAX_BYTES);
    FUZZ_MUST(!line->has_uptime || line->uptime_us >= 0);
    FUZZ_MUST(line->dropped_count >= 0);
}

static void on_record(void *user, const char *event, const struct line *line, cJSON *fields)
{
    (void)user, (void)line;
    FUZZ_MUST(dialect_is_event(event));
    check_json(fields);
    cJSON_Delete(fields);
}

static void on_line(void *user, const struct line *line)
{
    struct rig *rig = user;
    struct zephyr_line *zephyr = malloc(sizeof *zephyr);
    struct dialect_match match = {0};
    FUZZ_MUST(zephyr && line->length_bytes <= LINE_MAX_BYTES && line->text[line->length_bytes] == 0);
    FUZZ_MUST(bytes_append(&rig->stream, line->raw, line->raw_length_bytes) == 0);
    zephyr_line_read(line->text, line->length_bytes, zephyr);
    check_line(zephyr);
    if (!at_take_line(rig->at, &(struct console_line){.line = line, .zephyr = zephyr}) &&
        dialect_find(nordic(), &rig->state, zephyr, &match)) {
        FUZZ_MUST(dialect_is_event(match.event));
        check_json(match.fields);
        cJSON_Delete(match.fields);
    }
    console_records_end(&rig->records, zephyr);
    console_records_take(&rig->records, line, zephyr);
    CLEANUP_FREE char *shown = at_redact(zephyr->text);
    FUZZ_MUST(shown);
    free(zephyr);
}

static void emit(void *user, cJSON *event)
{
    (void)user;
    enum event_kind kind;
    FUZZ_MUST(event && event_check(event, &kind, NULL) == 0);
    check_json(event);
    cJSON_Delete(event);
}

static int write_nowhere(void *user, const void *data, size_t length, struct error *error)
{
    (void)user, (void)data, (void)length, (void)error;
    return 0;
}

static void on_reply(void *user, const struct at_reply *reply)
{
    struct rig *rig = user;
    struct error error = ERROR_INIT;
    FUZZ_MUST(reply->text && reply->command && reply->line_count <= AT_REPLY_LINES_MAX);
    if (at_reply_check(reply, &error))
        fuzz_check_error(&error);
    rig->replies++;
}

static void read_stream(struct rig *rig, const uint8_t *data, size_t size, size_t piece)
{
    struct line_reader *reader = malloc(sizeof *reader);
    FUZZ_MUST(reader);
    bytes_init(&rig->stream, STREAM_MAX_BYTES);
    line_reader_init(reader, on_line, rig);
    console_records_init(&rig->records, on_record, NULL);
    for (size_t at = 0; at < size; at += piece)
        line_reader_feed(reader, data + at, size - at < piece ? size - at : piece, 1, 1);
    line_reader_flush(reader);
    console_records_flush(&rig->records);
    console_records_done(&rig->records);
    FUZZ_MUST(rig->stream.length_bytes == size && (size == 0 || memcmp(rig->stream.data, data, size) == 0));
    bytes_done(&rig->stream);
    free(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const commands[] = {"AT+CGSN=1", "AT%CMNG=1", "AT+CFUN?"};
    if (size < 1)
        return 0;
    struct rig rig = {0};
    uv_loop_t loop;
    uv_loop_init(&loop);
    clock_fake_init(&rig.clock, 1000000, 1795000000000000);
    const struct at_options options = {
        .loop = &loop, .clock = &rig.clock.clock, .sink = {emit, &rig}, .device = "dk", .write = write_nowhere, .user = &rig};
    FUZZ_MUST(at_new(&options, &rig.at, NULL) == 0);
    const struct at_command command = {.text = commands[data[0] % ARRAY_COUNT(commands)], .on_done = on_reply, .user = &rig};
    FUZZ_MUST(at_send(rig.at, &command, NULL) == 0);
    uv_run(&loop, UV_RUN_NOWAIT);
    read_stream(&rig, data + 1, size - 1, (size_t)(data[0] / ARRAY_COUNT(commands)) + 1);
    at_free(rig.at);
    uv_run(&loop, UV_RUN_DEFAULT);
    FUZZ_MUST(uv_loop_close(&loop) == 0 && rig.replies == 1);
    return 0;
}
