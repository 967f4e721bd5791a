#include "harness/device/at.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "harness/device/at_shell.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <string.h>

enum {
    NAME_BYTES = 32,
    RESULT_TEXT_BYTES = 32,
    QUOTE_MS = 300,
    IMPLICIT_SYNC_TRIES = 3,
    SENDING_TICK_MS = 20,
};

/* Marked: the answer has a line of its own name, so that a late OK of an older command is not taken for it. */
#define PROBE "AT+CMEE?"

/*
 * Against an AT host that is inside a quote. When its buffer is full it drops the stray quote too, and only a backspace makes room (lib/at_host); what
 * it has swallowed must not be executed when the quote closes, so a mark behind it spoils the syntax.
 */
#define UNSTICK "\b\b\"!"

/*
 * Against a shell that does not answer: Ctrl-X Ctrl-Q leaves the AT command mode of Nordic's modem shell and Zephyr's bypass, Ctrl-C and Ctrl-U drop what is
 * typed. A shell without these keys ignores them. The last stands before each probe too, against what somebody typed before us.
 */
#define SHELL_UNSTICK "\x18\x11\x03\x15"
#define SHELL_CLEAR "\x15"
#define EVENT_HEADER "AT event handler:"

/* What the caller wants: a command, or (sync_tries > 0) a sync. */
struct request {
    struct request *next;
    char *text; /* NULL for a sync; wiped */
    char *shown;
    int64_t timeout_ms;
    int sync_tries;
    at_done_fn *on_done;
    void *user;
};

enum phase { PHASE_IDLE, PHASE_PROBE, PHASE_QUOTE, PHASE_COMMAND };

/* What is on the wire and waits for its final line. */
struct exchange {
    const char *shown; /* lent */
    char *typed;       /* without control characters and terminator, for its echo; wiped */
    bool is_secret;
    struct at_echo echo;
    char name[NAME_BYTES];
    bool takes_bare_text;
    int64_t sent_us;
    int64_t timeout_ms;
    size_t tx_left; /* when last looked */
    int64_t progress_us;
    struct bytes lines; /* each with its NUL */
    size_t line_count;
    bool is_cut;
    bool is_in_quotes;
    bool is_in_line; /* the last line came in part */
};

struct at {
    struct at_options options;
    char *device;
    uv_timer_t timer;
    uv_timer_t kick;
    int open_timers;
    bool is_closing;
    bool needs_sync;
    enum at_transport transport;
    bool is_next_notification; /* the shell said so */
    bool lacks_shell_command;
    struct request *first;
    size_t queued;
    struct request *current;
    enum phase phase;
    int tries_left;
    struct exchange exchange;
};

static void begin_command(struct at *at);
static void send_probe(struct at *at);

/* ---- requests */

static void free_text(char *text)
{
    if (text)
        OPENSSL_cleanse(text, strlen(text));
    free(text);
}

static void free_request(struct request *request)
{
    free_text(request->text);
    free(request->shown);
    free(request);
}

static void enqueue(struct at *at, struct request *request)
{
    struct request **link = &at->first;
    while (*link)
        link = &(*link)->next;
    *link = request;
    at->queued++;
}

static struct request *dequeue(struct at *at)
{
    struct request *request = at->first;
    at->first = request->next;
    at->queued--;
    return request;
}

/* ---- events */

static void emit(struct at *at, cJSON *event)
{
    if (at->options.sink.emit)
        at->options.sink.emit(at->options.sink.user, event);
    else
        cJSON_Delete(event);
}

static void emit_command(struct at *at)
{
    CLEANUP_JSON cJSON *event = event_new(EVENT_AT_COMMAND, at->options.clock, HARNESS_EVENT_SOURCE);
    if (event &&
        (json_set_string(event_data(event), "device", at->device) || json_set_string(event_data(event), "command", at->exchange.shown)))
        cJSON_Delete(TAKE(event));
    emit(at, TAKE(event));
}

static int add_lines(cJSON *data, const struct at_reply *reply)
{
    cJSON *lines = cJSON_CreateStringArray(reply->lines, (int)reply->line_count);
    return lines ? json_set(data, "lines", lines) : -1;
}

static void emit_reply(struct at *at, const struct at_reply *reply)
{
    CLEANUP_JSON cJSON *event = event_new(EVENT_AT_REPLY, at->options.clock, HARNESS_EVENT_SOURCE);
    cJSON *data = event ? event_data(event) : NULL;
    if (event && (json_set_string(data, "device", at->device) || json_set_string(data, "result", reply->text) || add_lines(data, reply) ||
                  json_set_integer(data, "duration_us", reply->duration_us)))
        cJSON_Delete(TAKE(event));
    emit(at, TAKE(event));
}

/* ---- one exchange */

static const char *result_text(enum at_result result, int code, char *buffer)
{
    static const char *const texts[] = {
        [AT_OK] = "OK",          [AT_ERROR] = "ERROR",         [AT_TIMEOUT] = "timeout",   [AT_BOOTED] = "device booted",
        [AT_GONE] = "port gone", [AT_CANCELLED] = "cancelled", [AT_TOO_LONG] = "too long", [AT_UNFIT] = "not for a shell"};
    if (result != AT_CME_ERROR && result != AT_CMS_ERROR)
        return texts[result];
    snprintf(buffer, RESULT_TEXT_BYTES, "+%s ERROR: %d", result == AT_CME_ERROR ? "CME" : "CMS", code);
    return buffer;
}

static size_t fill_lines(const struct exchange *exchange, const char **lines)
{
    const char *text = bytes_text(&exchange->lines);
    for (size_t i = 0; i < exchange->line_count; i++, text += strlen(text) + 1)
        lines[i] = text;
    return exchange->line_count;
}

/* "AT+CFUN?" gives "+CFUN": the word that its answers begin with. */
static void read_name(const char *command, char *ret_name)
{
    size_t length = 0;
    command += strspn(command, " \n");
    if (strncasecmp(command, "AT", 2) == 0)
        command += 2;
    if (*command && strchr("+%#", *command))
        ret_name[length++] = *command++;
    while (length < NAME_BYTES - 1 && isalnum((unsigned char)*command))
        ret_name[length++] = (char)toupper((unsigned char)*command++);
    ret_name[length] = 0;
}

static bool is_word(const char *name, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(name, *words) == 0)
            return true;
    return false;
}

/* Their answers have no name in front. */
static bool answers_in_bare_text(const char *name)
{
    static const char *const words[] = {"+CGMI", "+CGMM", "+CGMR", "+CGSN", "+GMI", "+GMM", "+GMR", "+CIMI", "I", NULL};
    return is_word(name, words);
}

/* Work of the modem in real time, with room: a detach from the network may take long, a key of 2048 bits too. */
static int64_t usual_timeout_ms(const char *command)
{
    static const char *const slow[] = {"+CFUN", "%KEYGEN", "%XFACTORYRESET", NULL};
    char name[NAME_BYTES];
    read_name(command, name);
    return is_word(name, slow) ? 60000 : strcmp(name, "%CMNG") == 0 ? 20000 : AT_TIMEOUT_MS;
}

static void on_timer(uv_timer_t *timer);

static void arm(struct at *at, int64_t ms)
{
    uv_update_time(at->options.loop);
    uv_timer_start(&at->timer, on_timer, (uint64_t)(ms > 0 ? ms : 1), 0);
}

static size_t tx_left(const struct at *at)
{
    return at->options.tx_left ? at->options.tx_left(at->options.user) : 0;
}

static int write_text(struct at *at, const char *prefix, const char *text)
{
    const char *terminator = at->options.terminator ? at->options.terminator : "\r";
    size_t prefix_length = strlen(prefix), length = strlen(text), end_length = strlen(terminator);
    char *bytes = malloc(prefix_length + length + end_length + 1);
    if (!bytes)
        return -1;
    memcpy(bytes, prefix, prefix_length);
    memcpy(bytes + prefix_length, text, length);
    memcpy(bytes + prefix_length + length, terminator, end_length + 1);
    int rc = at->options.write(at->options.user, bytes, prefix_length + length + end_length, NULL);
    OPENSSL_cleanse(bytes, prefix_length + length);
    free(bytes);
    return rc;
}

static bool is_shell(const struct at *at)
{
    return at->transport == AT_TRANSPORT_SHELL;
}

static void forget_typed(struct exchange *exchange)
{
    free_text(exchange->typed);
    exchange->typed = NULL;
    exchange->echo = (struct at_echo){0};
}

static void clear_exchange(struct exchange *exchange)
{
    bytes_clear(&exchange->lines);
    exchange->line_count = 0;
    exchange->is_cut = exchange->is_in_quotes = exchange->is_in_line = false;
    forget_typed(exchange);
}

/* `typed` is ours from now on; NULL: out of memory. */
static int send_typed(struct at *at, const char *prefix, char *typed)
{
    at->exchange.typed = typed;
    at->exchange.echo.typed = typed;
    return typed ? write_text(at, prefix, typed) : -1;
}

static int send_text(struct at *at, enum phase phase, const char *text, const char *shown, int64_t timeout_ms)
{
    struct exchange *exchange = &at->exchange;
    clear_exchange(exchange);
    exchange->shown = shown;
    exchange->timeout_ms = timeout_ms;
    exchange->sent_us = clock_mono_us(at->options.clock);
    exchange->is_secret = at_is_secret(text);
    read_name(text, exchange->name);
    exchange->takes_bare_text = answers_in_bare_text(exchange->name);
    at->phase = phase;
    emit_command(at);
    bool is_quoted = is_shell(at) && phase != PHASE_QUOTE;
    int rc = send_typed(at, is_quoted && phase == PHASE_PROBE ? SHELL_CLEAR : "", is_quoted ? at_shell_quote(text, NULL) : strdup(text));
    exchange->tx_left = tx_left(at);
    exchange->progress_us = exchange->sent_us;
    arm(at, exchange->tx_left ? SENDING_TICK_MS : timeout_ms);
    return rc;
}

/* ---- the end of a request */

static void on_kick(uv_timer_t *timer);

static void kick(struct at *at)
{
    if (!at->is_closing)
        uv_timer_start(&at->kick, on_kick, 0, 0);
}

static struct at_reply reply_of(struct at *at, enum at_result result, int code, const char **lines, char *text)
{
    const struct exchange *exchange = &at->exchange;
    return (struct at_reply){.result = result,
                             .code = code,
                             .lines = lines,
                             .line_count = fill_lines(exchange, lines),
                             .is_cut = exchange->is_cut,
                             .text = result_text(result, code, text),
                             .duration_us = clock_mono_us(at->options.clock) - exchange->sent_us,
                             .command = exchange->shown};
}

/* Ends what is on the wire; the request goes on. */
static void end_exchange(struct at *at, enum at_result result, int code)
{
    const char *lines[AT_REPLY_LINES_MAX];
    char text[RESULT_TEXT_BYTES];
    struct at_reply reply = reply_of(at, result, code, lines, text);
    uv_timer_stop(&at->timer);
    at->phase = PHASE_IDLE;
    emit_reply(at, &reply);
}

/* Ends the request too, with what was last on the wire. */
static void finish(struct at *at, enum at_result result, int code)
{
    const char *lines[AT_REPLY_LINES_MAX];
    char text[RESULT_TEXT_BYTES];
    struct request *request = TAKE(at->current);
    bool is_on_the_wire = at->phase != PHASE_IDLE;
    struct at_reply reply = reply_of(at, result, code, lines, text);
    uv_timer_stop(&at->timer);
    at->phase = PHASE_IDLE;
    if (result != AT_OK && result != AT_ERROR && result != AT_CME_ERROR && result != AT_CMS_ERROR)
        at->needs_sync = true;
    if (result != AT_TIMEOUT) /* then its echo may still come */
        forget_typed(&at->exchange);
    if (is_on_the_wire)
        emit_reply(at, &reply);
    reply.command = request->shown;
    if (request->on_done)
        request->on_done(request->user, &reply);
    free_request(request);
    kick(at);
}

/* A request that never got to the wire. */
static void drop(struct request *request, enum at_result result, int code)
{
    char text[RESULT_TEXT_BYTES];
    struct at_reply reply = {.result = result, .code = code, .text = result_text(result, code, text), .command = request->shown};
    if (request->on_done)
        request->on_done(request->user, &reply);
    free_request(request);
}

/* ---- sync */

static void send_probe(struct at *at)
{
    int64_t try_ms = at->options.sync_try_ms ? at->options.sync_try_ms : AT_SYNC_TRY_MS;
    if (send_text(at, PHASE_PROBE, PROBE, PROBE, try_ms))
        finish(at, AT_GONE, 0);
}

static void send_quote(struct at *at)
{
    const char *keys = is_shell(at) ? SHELL_UNSTICK : UNSTICK;
    if (send_text(at, PHASE_QUOTE, keys, is_shell(at) ? "Ctrl-X Ctrl-Q Ctrl-C Ctrl-U" : UNSTICK, QUOTE_MS))
        finish(at, AT_GONE, 0);
}

static void set_transport(struct at *at, enum at_transport transport)
{
    bool is_new = at->transport != transport;
    at->transport = transport;
    if (is_new && at->options.on_transport)
        at->options.on_transport(at->options.user, transport);
}

static void begin_sync(struct at *at, int tries)
{
    at->tries_left = tries;
    send_probe(at);
}

static void on_probe_answer(struct at *at, enum at_result result, int code)
{
    at->needs_sync = false;
    if (at->transport == AT_TRANSPORT_AUTO)
        set_transport(at, AT_TRANSPORT_HOST);
    if (at->current->sync_tries) {
        finish(at, AT_OK, 0);
        return;
    }
    end_exchange(at, result, code);
    begin_command(at);
}

/* An AT host outside quotes takes the quote for an opening one: the next try closes it. So every second try is heard. */
static void on_probe_timeout(struct at *at)
{
    if (--at->tries_left <= 0) {
        finish(at, AT_TIMEOUT, 0);
        return;
    }
    end_exchange(at, AT_TIMEOUT, 0);
    send_quote(at);
}

/* A device that was flashed anew may have the other transport. The remedy of each does no harm to the other. */
static void probe_again(struct at *at)
{
    if (at->options.transport == AT_TRANSPORT_AUTO && is_shell(at))
        set_transport(at, AT_TRANSPORT_AUTO);
    send_probe(at);
}

/* We spoke as to an AT host, and a prompt or an unknown command came back. */
static void find_shell(struct at *at)
{
    set_transport(at, AT_TRANSPORT_SHELL);
    end_exchange(at, AT_ERROR, 0);
    send_probe(at);
}

/* ---- commands */

static size_t limit_of(const struct at *at)
{
    if (at->options.command_max_bytes)
        return at->options.command_max_bytes;
    return is_shell(at) ? AT_SHELL_MAX_BYTES : AT_COMMAND_MAX_BYTES;
}

/* AT_OK: it may be sent. Only now is it known what to. */
static enum at_result check_fit(struct at *at, const char *text)
{
    if (!is_shell(at))
        return strlen(text) <= limit_of(at) ? AT_OK : AT_TOO_LONG;
    char *typed = at_shell_quote(text, NULL);
    enum at_result result = !typed ? AT_UNFIT : strlen(typed) <= limit_of(at) ? AT_OK : AT_TOO_LONG;
    free_text(typed);
    return result;
}

static void refuse(struct at *at, enum at_result result)
{
    struct request *request = TAKE(at->current);
    drop(request, result, result == AT_TOO_LONG ? (int)limit_of(at) : 0);
    kick(at);
}

static void begin_command(struct at *at)
{
    struct request *request = at->current;
    enum at_result fit = check_fit(at, request->text);
    if (fit != AT_OK) {
        refuse(at, fit);
        return;
    }
    if (at->options.on_secret && at_is_secret(request->text))
        at->options.on_secret(at->options.user);
    if (send_text(at, PHASE_COMMAND, request->text, request->shown, request->timeout_ms))
        finish(at, AT_GONE, 0);
}

static void on_kick(uv_timer_t *timer)
{
    struct at *at = timer->data;
    if (at->current || !at->first || at->is_closing)
        return;
    at->current = dequeue(at);
    if (at->current->sync_tries)
        begin_sync(at, at->current->sync_tries);
    else if (at->needs_sync)
        begin_sync(at, IMPLICIT_SYNC_TRIES);
    else
        begin_command(at);
}

/* The time-out runs from the last byte sent; a line that takes no more bytes for as long is one too. */
static bool is_sending(struct at *at)
{
    struct exchange *exchange = &at->exchange;
    size_t before = exchange->tx_left, left = tx_left(at);
    if (!before)
        return false;
    int64_t now_us = clock_mono_us(at->options.clock);
    if (left != before)
        exchange->progress_us = now_us;
    exchange->tx_left = left;
    if (left && now_us - exchange->progress_us >= exchange->timeout_ms * 1000)
        return false;
    arm(at, left ? SENDING_TICK_MS : exchange->timeout_ms);
    return true;
}

static void on_timer(uv_timer_t *timer)
{
    struct at *at = timer->data;
    if (is_sending(at))
        return;
    if (at->phase == PHASE_PROBE) {
        on_probe_timeout(at);
    } else if (at->phase == PHASE_QUOTE) {
        end_exchange(at, AT_TIMEOUT, 0);
        probe_again(at);
    } else if (at->phase == PHASE_COMMAND) {
        finish(at, AT_TIMEOUT, 0);
    }
}

/* ---- lines */

static bool is_final(const char *text, enum at_result *ret_result, int *ret_code)
{
    int end = 0;
    *ret_code = 0;
    if (strcmp(text, "OK") == 0)
        *ret_result = AT_OK;
    else if (strcmp(text, "ERROR") == 0)
        *ret_result = AT_ERROR;
    else if (sscanf(text, "+CME ERROR: %9d%n", ret_code, &end) == 1 && !text[end])
        *ret_result = AT_CME_ERROR;
    else if (sscanf(text, "+CMS ERROR: %9d%n", ret_code, &end) == 1 && !text[end])
        *ret_result = AT_CMS_ERROR;
    else
        return false;
    return true;
}

static bool has_name(const char *text, const char *name)
{
    size_t length = strlen(name);
    return length && strncasecmp(text, name, length) == 0 && text[length] == ':';
}

/* Noise of a line that floats, or of a binary console, is no answer. */
static bool is_printable(const struct line *line)
{
    for (size_t i = 0; i < line->length_bytes; i++)
        if (!isprint((unsigned char)line->text[i]))
            return false;
    return line->length_bytes > 0;
}

static bool belongs(const struct exchange *exchange, const struct console_line *line)
{
    const char *text = line->zephyr->text;
    if (exchange->is_in_quotes || has_name(text, exchange->name))
        return true;
    return exchange->takes_bare_text && is_printable(line->line) && !strchr("+%#", text[0]);
}

static void count_quotes(struct exchange *exchange, const char *text)
{
    for (; *text; text++)
        if (*text == '"')
            exchange->is_in_quotes = !exchange->is_in_quotes;
}

/* false: over the limits. */
static bool keep(struct exchange *exchange, const char *text)
{
    size_t needed = strlen(text) + 1;
    if (exchange->is_in_line) /* it continues the last line: over that one's NUL */
        exchange->lines.length_bytes--;
    bool has_room = exchange->is_in_line || exchange->line_count < AT_REPLY_LINES_MAX;
    bool is_kept = has_room && !bytes_append(&exchange->lines, text, needed);
    if (!is_kept && exchange->is_in_line)
        exchange->lines.length_bytes++;
    if (is_kept && !exchange->is_in_line)
        exchange->line_count++;
    exchange->is_cut |= !is_kept;
    return is_kept;
}

static bool collect(struct exchange *exchange, const struct console_line *line)
{
    const char *text = line->zephyr->text;
    bool is_more = line->line->is_continued && exchange->is_in_line;
    if (!is_more && (line->line->is_continued || !belongs(exchange, line)))
        return false;
    exchange->is_in_line = is_more;
    count_quotes(exchange, text);
    bool is_kept = keep(exchange, text);
    exchange->is_in_line = line->line->is_part;
    return is_kept;
}

/* false: a late final line of another command. */
static bool on_final(struct at *at, enum at_result result, int code)
{
    if (at->phase == PHASE_PROBE && !at->exchange.line_count)
        return false;
    if (at->phase == PHASE_PROBE) {
        on_probe_answer(at, result, code);
    } else if (at->phase == PHASE_QUOTE) {
        end_exchange(at, result, code);
        probe_again(at);
    } else {
        finish(at, result, code);
    }
    return true;
}

/* In the phase of a probe as to an AT host. An AT host has no prompt, and no word for what it does not know but ERROR. */
static bool shows_shell(const struct at *at, const struct console_line *line)
{
    return at->phase == PHASE_PROBE && at->options.transport == AT_TRANSPORT_AUTO && !is_shell(at) &&
           (line->has_prompt || at_shell_is_unknown(line->zephyr->text));
}

enum console_echo at_take_echo(struct at *at, const struct console_line *line)
{
    const char *text = line->zephyr->text;
    bool may_be = line->has_prompt || at->exchange.echo.at > 0;
    if (!may_be || shows_shell(at, line) || !at_echo_take(&at->exchange.echo, text, line->has_prompt))
        return CONSOLE_NO_ECHO;
    return at->exchange.is_secret ? CONSOLE_SECRET_ECHO : CONSOLE_ECHO;
}

/* What the shell itself says about the line that was typed. */
static bool take_shell_line(struct at *at, const char *text)
{
    bool is_unknown = at_shell_is_unknown(text);
    if (is_unknown && strcmp(text, "at: command not found") == 0) {
        at->lacks_shell_command = true;
        finish(at, AT_ERROR, 0);
        return true;
    }
    if (!is_unknown && at_shell_is_failure(text)) {
        keep(&at->exchange, text);
        finish(at, AT_ERROR, 0);
        return true;
    }
    return is_unknown || !*text;
}

static bool is_notification(struct at *at, const char *text)
{
    bool is = at->is_next_notification;
    at->is_next_notification = is_shell(at) && strcmp(text, EVENT_HEADER) == 0;
    return is || at->is_next_notification;
}

bool at_take_line(struct at *at, const struct console_line *line)
{
    enum at_result result;
    int code;
    const char *text = line->zephyr->text;
    if (line->zephyr->kind != ZEPHYR_OTHER || is_notification(at, text) || at->phase == PHASE_IDLE)
        return false;
    if (shows_shell(at, line)) {
        find_shell(at);
        return true;
    }
    if (!line->line->is_continued && !line->line->is_part && is_final(text, &result, &code))
        return on_final(at, result, code);
    if (is_shell(at) && !at->exchange.is_in_quotes && take_shell_line(at, text))
        return true;
    return collect(&at->exchange, line);
}

void at_port_gone(struct at *at)
{
    at->needs_sync = true;
    if (at->current)
        finish(at, AT_GONE, 0);
}

void at_booted(struct at *at)
{
    at->needs_sync = true;
    if (at->phase == PHASE_COMMAND)
        finish(at, AT_BOOTED, 0);
}

bool at_is_idle(const struct at *at)
{
    return !at->current && !at->first;
}

enum at_transport at_transport(const struct at *at)
{
    return at->transport;
}

const char *at_transport_name(enum at_transport transport)
{
    static const char *const names[] = {[AT_TRANSPORT_AUTO] = "auto", [AT_TRANSPORT_HOST] = "at-host", [AT_TRANSPORT_SHELL] = "at-shell"};
    return names[transport];
}

bool at_stores_crlf(const struct at *at)
{
    return is_shell(at);
}

bool at_lacks_shell_command(const struct at *at)
{
    return at->lacks_shell_command;
}

/* ---- the interface */

static int check_length(const char *text, struct error *error)
{
    size_t length = strlen(text);
    if (length <= AT_COMMAND_MAX_BYTES)
        return 0;
    CLEANUP_FREE char *shown = at_redact(text);
    return error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT,
                     "%.40s...: %zu bytes, and the AT host takes at most %d (it would drop the closing quote too, and then swallow "
                     "everything); send a shorter certificate chain",
                     shown ? shown : "AT", length, AT_COMMAND_MAX_BYTES);
}

static int check_bytes(const char *text, struct error *error)
{
    bool is_in_quotes = false;
    for (const char *at = text; *at; at++) {
        if (*at == '"')
            is_in_quotes = !is_in_quotes;
        if (*at == '\b' || *at == 0x7F)
            return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "an AT command with a backspace: the AT host edits with it");
        if (!is_in_quotes && (*at == '\r' || *at == '\n'))
            return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "an AT command with a line end outside quotes would be two commands");
    }
    if (is_in_quotes)
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "an AT command with an odd number of quotes would leave the AT host stuck");
    return 0;
}

static int check_room(const struct at *at, struct error *error)
{
    if (at->is_closing)
        return error_set(error, ERROR_OWNER_PERSON, ERROR_INTERRUPTED, "the AT client is being closed");
    if (at->queued >= AT_QUEUE_MAX)
        return error_set(error, ERROR_OWNER_OURS, ERROR_BUSY, "%d AT commands wait already", AT_QUEUE_MAX);
    return 0;
}

static struct request *new_request(const char *text, at_done_fn *on_done, void *user)
{
    struct request *request = calloc(1, sizeof(*request));
    if (!request)
        return NULL;
    *request = (struct request){.on_done = on_done, .user = user};
    request->text = text ? strdup(text) : NULL;
    request->shown = text ? at_redact(text) : strdup(PROBE);
    if (request->shown && (request->text || !text))
        return request;
    free_request(request);
    return NULL;
}

int at_send(struct at *at, const struct at_command *command, struct error *error)
{
    if (check_length(command->text, error) || check_bytes(command->text, error) || check_room(at, error))
        return -1;
    struct request *request = new_request(command->text, command->on_done, command->user);
    if (!request)
        return error_set_memory(error);
    request->timeout_ms = command->timeout_ms > 0 ? command->timeout_ms : usual_timeout_ms(command->text);
    enqueue(at, request);
    kick(at);
    return 0;
}

int at_sync(struct at *at, int tries, at_done_fn *on_done, void *user, struct error *error)
{
    if (check_room(at, error))
        return -1;
    struct request *request = new_request(NULL, on_done, user);
    if (!request)
        return error_set_memory(error);
    request->sync_tries = tries > 0 ? tries : 1;
    enqueue(at, request);
    kick(at);
    return 0;
}

int at_new(const struct at_options *options, struct at **ret_at, struct error *error)
{
    struct at *at = calloc(1, sizeof(*at));
    char *device = strdup(options->device);
    if (!at || !device) {
        free(at);
        free(device);
        return error_set_memory(error);
    }
    at->options = *options;
    at->device = device;
    at->transport = options->transport;
    at->needs_sync = true;
    bytes_init(&at->exchange.lines, AT_REPLY_MAX_BYTES);
    uv_timer_init(options->loop, &at->timer);
    uv_timer_init(options->loop, &at->kick);
    at->timer.data = at->kick.data = at;
    at->open_timers = 2;
    *ret_at = at;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct at *at = handle->data;
    if (--at->open_timers)
        return;
    bytes_done(&at->exchange.lines);
    forget_typed(&at->exchange);
    free(at->device);
    free(at);
}

void at_free(struct at *at)
{
    if (!at || at->is_closing)
        return;
    at->is_closing = true;
    if (at->current)
        finish(at, AT_CANCELLED, 0);
    while (at->first)
        drop(dequeue(at), AT_CANCELLED, 0);
    uv_close((uv_handle_t *)&at->timer, on_timer_closed);
    uv_close((uv_handle_t *)&at->kick, on_timer_closed);
}
