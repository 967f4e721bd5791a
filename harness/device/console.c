#include "harness/device/console.h"

#include "base/cleanup.h"
#include "harness/device/console_record.h"
#include "harness/device/terminal.h"
#include "harness/serial/line_reader.h"
#include "harness/serial/raw_file.h"

#include <ctype.h>
#include <string.h>

/* A PEM private key has some 30 lines of 64 characters; a block that never ends must not hide the rest of the console. */
enum { KEY_LINES_MAX = 100, KEY_LINE_MIN_BYTES = 40 };

struct console {
    struct console_options options;
    char *device;
    struct serial_port *port;
    struct raw_file *raw;
    struct line_reader reader;
    struct zephyr_line zephyr; /* of the line in hand: 16 KiB, too much for the stack */
    struct console_line shown; /* the line in hand */
    struct line timed;         /* the same, with the time that counts */
    struct console_records records;
    struct dialect_state dialect_state;
    char rendered[LINE_MAX_BYTES + 1];
    bool is_guarding;
    int key_lines_left; /* > 0: inside a PEM private key */
};

/* ---- private keys that the device prints back */

static bool is_base64(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/' || c == '=';
}

/*
 * A line of a key without its PEM frame. A line of nothing but hex digits is a hash or an address. What a shell echoes has backslash and n in the place of
 * line ends.
 */
static bool is_base64_line(const char *text)
{
    size_t length = 0, hex = 0;
    for (; is_base64(text[length]) || (text[length] == '\\' && text[length + 1] == 'n'); length++)
        hex += isxdigit((unsigned char)text[length]) != 0;
    return length >= KEY_LINE_MIN_BYTES && hex < length && (!text[length] || strcmp(text + length, "\"") == 0);
}

/* The AT host logs each byte that does not fit: "Buffer overflow, dropping 'M'". */
static bool leaks_a_byte(const char *text)
{
    return strstr(text, "Buffer overflow, dropping '") != NULL;
}

static bool is_in_pem_key(struct console *console, const struct zephyr_line *zephyr)
{
    const char *text = zephyr->text;
    if (strstr(text, "PRIVATE KEY-----")) {
        console->key_lines_left = strstr(text, "-----END") ? 0 : KEY_LINES_MAX;
        return true;
    }
    if (!console->key_lines_left || zephyr->kind != ZEPHYR_OTHER || !is_base64(text[0]))
        return false;
    console->key_lines_left--;
    return true;
}

static bool may_be_of_a_key(const struct console *console, const struct zephyr_line *zephyr)
{
    bool is_bare = zephyr->kind == ZEPHYR_OTHER;
    return console->is_guarding && ((is_bare && is_base64_line(zephyr->text)) || leaks_a_byte(zephyr->text));
}

/* ---- events */

static int add_port(const struct console *console, cJSON *data)
{
    return console->options.port_name ? json_set_string(data, "port", console->options.port_name) : 0;
}

static cJSON *new_event(struct console *console, const struct line *line)
{
    CLEANUP_JSON cJSON *event = event_new(EVENT_CONSOLE_LINE, console->options.port.clock, HARNESS_EVENT_SOURCE);
    if (!event || json_set_integer(event, "mono_us", line->mono_us) || json_set_integer(event, "unix_us", line->unix_us) ||
        json_set_string(event_data(event), "device", console->device) || add_port(console, event_data(event)))
        return NULL;
    return TAKE(event);
}

static void emit(struct console *console, cJSON *event)
{
    if (console->options.sink.emit)
        console->options.sink.emit(console->options.sink.user, event);
    else
        cJSON_Delete(event);
}

static int add_log_fields(cJSON *data, const struct zephyr_line *zephyr)
{
    if (json_set_string(data, "level", zephyr_level_name(zephyr->level)))
        return -1;
    if (zephyr->module[0] && json_set_string(data, "module", zephyr->module))
        return -1;
    if (zephyr->has_uptime && json_set_integer(data, "uptime_us", zephyr->uptime_us))
        return -1;
    return json_set_string(data, "message", zephyr->message);
}

static int add_line_fields(cJSON *data, const struct console_line *line)
{
    if (json_set_string(data, "text", line->zephyr->text) || json_set_string(data, "type", console_record_type(line->zephyr)) ||
        (line->line->is_part && json_set_bool(data, "is_part", true)) ||
        (line->line->is_continued && json_set_bool(data, "is_continued", true)))
        return -1;
    return line->zephyr->level ? add_log_fields(data, line->zephyr) : 0;
}

static void emit_line(struct console *console, const struct console_line *line)
{
    CLEANUP_JSON cJSON *event = new_event(console, line->line);
    if (event && add_line_fields(event_data(event), line))
        cJSON_Delete(TAKE(event));
    emit(console, TAKE(event));
}

static int add_fields(cJSON *data, const cJSON *fields)
{
    for (const cJSON *field = fields->child; field; field = field->next)
        if (json_set(data, field->string, cJSON_Duplicate(field, true)))
            return -1;
    return 0;
}

static bool is_expected(struct console *console)
{
    const struct console_callbacks *callbacks = &console->options.callbacks;
    return !callbacks->expects_boot || callbacks->expects_boot(callbacks->user, &console->shown);
}

static int add_boot_fields(struct console *console, cJSON *data, const char *kind)
{
    return strcmp(kind, "console.boot") == 0 ? json_set_bool(data, "is_expected", is_expected(console)) : 0;
}

/* console.<name>; `line`: its first, without text when there were more. */
static void emit_named(struct console *console, const char *kind, const struct line *line, const cJSON *fields, bool is_terminal)
{
    CLEANUP_JSON cJSON *event = new_event(console, line);
    cJSON *data = event ? event_data(event) : NULL;
    if (event &&
        (json_set_string(event, "kind", kind) || (line->text && json_set_string(data, "line", console->zephyr.text)) ||
         add_fields(data, fields) || (is_terminal && json_set_bool(data, "is_terminal", true)) || add_boot_fields(console, data, kind)))
        cJSON_Delete(TAKE(event));
    emit(console, TAKE(event));
}

/* What the dialect says of a line goes before what its form says. */
static void on_record(void *user, const char *kind, const struct line *line, cJSON *fields)
{
    struct console *console = user;
    const struct dialect_match *match = console->shown.match;
    if (!line->text || !match || strcmp(match->event, kind) != 0)
        emit_named(console, kind, line, fields, false);
    cJSON_Delete(fields);
}

/* ---- lines */

static bool is_claimed(struct console *console, const struct console_line *line)
{
    const struct console_callbacks *callbacks = &console->options.callbacks;
    return callbacks->claims && callbacks->claims(callbacks->user, line);
}

static enum console_echo echo_of(struct console *console, const struct console_line *line)
{
    const struct console_callbacks *callbacks = &console->options.callbacks;
    return callbacks->is_echo ? callbacks->is_echo(callbacks->user, line) : CONSOLE_NO_ECHO;
}

/* What a shell erased may be half of a key that was being typed. */
static void keep_raw(struct console *console, const struct line *line, bool is_key, bool was_erased)
{
    if (!console->raw)
        return;
    if (is_key) {
        raw_file_write(console->raw, CONSOLE_REDACTED "\r\n", sizeof(CONSOLE_REDACTED) + 1);
    } else if (was_erased && console->is_guarding) {
        raw_file_write(console->raw, console->rendered, strlen(console->rendered));
        raw_file_write(console->raw, "\r\n", 2);
    } else {
        raw_file_write(console->raw, line->raw, line->raw_length_bytes);
    }
}

static bool find_match(struct console *console, struct dialect_match *match)
{
    return console->options.dialect && !console->shown.line->is_continued &&
           dialect_find(console->options.dialect, &console->dialect_state, console->shown.zephyr, match);
}

static void show_line(struct console *console)
{
    struct console_line *shown = &console->shown;
    struct dialect_match match = {0};
    console_records_end(&console->records, shown->zephyr);
    bool is_known = find_match(console, &match);
    if (is_known)
        shown->match = &match;
    emit_line(console, shown);
    if (!shown->line->is_continued)
        console_records_take(&console->records, shown->line, shown->zephyr);
    if (is_known)
        emit_named(console, match.event, shown->line, match.fields, match.is_terminal);
    if (console->options.callbacks.on_line)
        console->options.callbacks.on_line(console->options.callbacks.user, shown);
    shown->match = NULL;
    cJSON_Delete(match.fields);
}

/* Returns whether something was erased. */
static bool read_line(struct console *console, const struct line *line, struct console_line *shown)
{
    if (!terminal_is_needed(line->text, line->length_bytes)) {
        zephyr_line_read(line->text, line->length_bytes, &console->zephyr);
        return false;
    }
    struct terminal_line rendered = terminal_render(line->text, line->length_bytes, console->rendered);
    zephyr_line_read(console->rendered, rendered.length_bytes, &console->zephyr);
    shown->has_prompt = rendered.prompt_count > 0;
    return rendered.was_erased;
}

static void on_line(void *user, const struct line *line)
{
    struct console *console = user;
    struct console_line *shown = &console->shown;
    console->timed = *line;
    *shown = (struct console_line){.line = &console->timed, .zephyr = &console->zephyr};
    bool was_erased = read_line(console, line, shown);
    if (was_erased || shown->has_prompt) {
        console->timed.mono_us = line->end_mono_us;
        console->timed.unix_us = line->end_unix_us;
    }
    enum console_echo echo = echo_of(console, shown);
    bool is_key = echo == CONSOLE_NO_ECHO ? is_in_pem_key(console, &console->zephyr) : echo == CONSOLE_SECRET_ECHO;
    bool is_only_prompt = shown->has_prompt && !console->zephyr.text[0];
    bool is_taken = echo != CONSOLE_NO_ECHO || is_only_prompt || (!is_key && is_claimed(console, shown));
    is_key = is_key || (!is_taken && may_be_of_a_key(console, &console->zephyr));
    keep_raw(console, line, is_key, was_erased);
    if (is_key)
        zephyr_line_read(CONSOLE_REDACTED, sizeof(CONSOLE_REDACTED) - 1, &console->zephyr);
    if (!is_taken)
        show_line(console);
}

/* ---- the port */

static void on_bytes(void *user, const void *data, size_t length_bytes, int64_t mono_us, int64_t unix_us)
{
    line_reader_feed(&((struct console *)user)->reader, data, length_bytes, mono_us, unix_us);
}

static void on_gone(void *user, const char *reason)
{
    struct console *console = user;
    line_reader_flush(&console->reader);
    console_records_flush(&console->records);
    if (console->options.callbacks.on_gone)
        console->options.callbacks.on_gone(console->options.callbacks.user, reason);
}

static void emit_gap(struct console *console, const char *measure, int64_t value)
{
    CLEANUP_JSON cJSON *event = event_new(EVENT_CONSOLE_GAP, console->options.port.clock, HARNESS_EVENT_SOURCE);
    if (event && (json_set_string(event_data(event), "device", console->device) || json_set_integer(event_data(event), measure, value) ||
                  add_port(console, event_data(event))))
        cJSON_Delete(TAKE(event));
    emit(console, TAKE(event));
}

/* The line that the hole is in ends there. */
static void on_overflow(void *user, uint64_t lost_bytes)
{
    struct console *console = user;
    line_reader_flush(&console->reader);
    console_records_flush(&console->records);
    emit_gap(console, "lost_bytes", (int64_t)lost_bytes);
    if (console->options.callbacks.on_overflow)
        console->options.callbacks.on_overflow(console->options.callbacks.user, lost_bytes);
}

static void on_back(void *user, int64_t gap_ms)
{
    struct console *console = user;
    emit_gap(console, "gap_ms", gap_ms);
    if (console->options.callbacks.on_back)
        console->options.callbacks.on_back(console->options.callbacks.user, gap_ms);
}

static void on_lost(void *user, const struct error *error)
{
    struct console *console = user;
    if (console->options.callbacks.on_lost)
        console->options.callbacks.on_lost(console->options.callbacks.user, error);
}

static int open_parts(struct console *console, struct error *error)
{
    const struct console_options *options = &console->options;
    if (options->raw_path && raw_file_open(options->raw_path, 0, &console->raw, error))
        return -1;
    struct serial_options port = options->port;
    port.callbacks = (struct serial_callbacks){
        .user = console, .on_bytes = on_bytes, .on_overflow = on_overflow, .on_gone = on_gone, .on_back = on_back, .on_lost = on_lost};
    return serial_open(&port, &console->port, error);
}

int console_open(const struct console_options *options, struct console **ret_console, struct error *error)
{
    struct console *console = calloc(1, sizeof(*console));
    char *device = strdup(options->device);
    if (!console || !device) {
        free(console);
        free(device);
        return error_set_memory(error);
    }
    console->options = *options;
    console->device = device;
    line_reader_init(&console->reader, on_line, console);
    console_records_init(&console->records, on_record, console);
    if (open_parts(console, error)) {
        console_close(console);
        return -1;
    }
    *ret_console = console;
    return 0;
}

void console_close(struct console *console)
{
    if (!console)
        return;
    serial_close(console->port);
    line_reader_flush(&console->reader);
    console_records_flush(&console->records);
    console_records_done(&console->records);
    raw_file_close(console->raw);
    free(console->device);
    free(console);
}

void console_guard_secrets(struct console *console)
{
    console->is_guarding = true;
}

struct serial_port *console_port(struct console *console)
{
    return console->port;
}

uint64_t console_line_count(const struct console *console)
{
    return console->reader.number - 1;
}

uint64_t console_raw_missing_bytes(const struct console *console)
{
    return console->raw ? raw_file_missing_bytes(console->raw) : 0;
}

int console_raw_check(const struct console *console, struct error *error)
{
    return console->raw ? raw_file_check(console->raw, error) : 0;
}
