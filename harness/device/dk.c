#include "harness/device/dk.h"

#include "base/cleanup.h"

#include <string.h>

enum { DK_FAULT_MAX_BYTES = 256, IDENTIFY_BOOTS_MAX = 3 };

struct boot_wait {
    dk_boot_fn *on_boot; /* NULL: nobody waits */
    void *user;
    uv_timer_t timer;
};

enum { SERIAL, CONSOLE, SIDE_COUNT };

/* One of the device's ports. */
struct side {
    struct dk *dk;
    struct console *console; /* NULL: there is no second one */
    int64_t uptime_us;       /* of its last log line of this boot */
};

struct dk {
    struct dk_options options;
    char *name;
    char *console_path;
    struct side sides[SIDE_COUNT];
    size_t at_side; /* takes AT commands */
    bool has_tried_other_side;
    struct at *at;
    struct boot_wait wait;
    bool is_closing;

    bool has_answered_at;
    bool has_answered;
    char fault[DK_FAULT_MAX_BYTES]; /* the first fault line; "": none */
    bool is_at_rest;

    bool was_port_away; /* since the boot is awaited */

    uint64_t boot_count;
    uint64_t unexpected_boot_count;
    bool is_boot_expected; /* of the boot that runs */
    bool is_second_banner; /* the banner in hand belongs to the boot that runs */
    bool may_see_second_banner;

    dk_identify_fn *on_identity; /* NULL: not under way */
    void *identify_user;
    struct dk_identity identity;
    size_t identify_step;
    unsigned identify_boots; /* that came in between */
};

/* ---- boots */

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static bool is_boot_line(const struct console_line *line)
{
    if (line->line->is_continued)
        return false;
    return line->zephyr->kind == ZEPHYR_BOOT || (line->match && strcmp(line->match->event, "console.boot") == 0);
}

static bool dk_expects_boot(struct dk *dk)
{
    return dk->wait.on_boot || !dk->has_answered_at;
}

/*
 * Before MCUboot had a banner of its own (nRF Connect SDK up to 2.4) it printed the same "Booting Zephyr OS build" as the application that it starts:
 * two such lines with nothing of the application's log in between are one boot.
 */
static void judge_boot(struct dk *dk, const struct console_line *line)
{
    bool is_old_banner = starts_with(line->zephyr->text, "*** Booting Zephyr OS build");
    dk->is_second_banner = dk->may_see_second_banner && is_old_banner;
    dk->may_see_second_banner = is_old_banner && !dk->is_second_banner;
    if (!dk->is_second_banner)
        dk->is_boot_expected = dk_expects_boot(dk);
}

static void tell_boot(struct dk *dk, const char *banner, const struct error *error)
{
    dk_boot_fn *on_boot = TAKE(dk->wait.on_boot);
    uv_timer_stop(&dk->wait.timer);
    if (on_boot)
        on_boot(dk->wait.user, banner, error);
}

static void count_boot(struct dk *dk, const char *banner)
{
    dk->boot_count++;
    dk->has_answered = true;
    dk->is_at_rest = false;
    for (size_t i = 0; i < SIDE_COUNT; i++)
        dk->sides[i].uptime_us = 0;
    at_booted(dk->at);
    if (dk->wait.on_boot) {
        tell_boot(dk, banner, NULL);
    } else if (!dk->is_boot_expected) {
        dk->unexpected_boot_count++;
        if (dk->options.callbacks.on_unexpected_boot)
            dk->options.callbacks.on_unexpected_boot(dk->options.callbacks.user, banner);
    }
}

static void on_boot_line(struct dk *dk, const struct console_line *line)
{
    if (!dk->is_second_banner)
        count_boot(dk, line->zephyr->text);
}

static void on_boot_timeout(uv_timer_t *timer)
{
    struct dk *dk = timer->data;
    struct error error = ERROR_INIT;
    if (dk->was_port_away)
        error_set(&error, ERROR_OWNER_RIG, ERROR_IO, "%s: the port '%s' went away at the reset, and no boot was seen on it since", dk->name,
                  dk->options.path);
    else
        error_set(&error, dk->has_answered ? ERROR_OWNER_DEVICE : ERROR_OWNER_RIG, ERROR_TIMEOUT,
                  "%s: no boot banner on '%s' after the reset%s", dk->name, dk->options.path,
                  dk->has_answered ? "" : "; does the rig's reset command reset this device, and is this its console port?");
    tell_boot(dk, NULL, &error);
}

int dk_expect_boot(struct dk *dk, deadline_t deadline, dk_boot_fn *on_boot, void *user, struct error *error)
{
    if (dk->wait.on_boot)
        return error_set(error, ERROR_OWNER_OURS, ERROR_BUSY, "%s: a boot is expected already", dk->name);
    dk->wait.on_boot = on_boot;
    dk->wait.user = user;
    dk->is_at_rest = false;
    dk->was_port_away = false;
    dk->may_see_second_banner = false;
    uv_update_time(dk->options.loop);
    uv_timer_start(&dk->wait.timer, on_boot_timeout, (uint64_t)deadline_left_ms(dk->options.clock, deadline), 0);
    return 0;
}

void dk_expect_no_boot(struct dk *dk)
{
    dk->wait.on_boot = NULL;
    uv_timer_stop(&dk->wait.timer);
}

/* ---- boots whose banner nobody saw */

/* Log lines of one boot may overtake each other by that much: an interrupt's line is stamped before it is queued. */
enum { UPTIME_SLACK_US = 100000 };

static void emit_inferred_boot(struct dk *dk, bool is_expected)
{
    CLEANUP_JSON cJSON *event = event_new(EVENT_CONSOLE_LINE, dk->options.clock, HARNESS_EVENT_SOURCE);
    if (event && (json_set_string(event, "kind", "console.boot") || json_set_string(event_data(event), "device", dk->name) ||
                  json_set_string(event_data(event), "banner", "") || json_set_bool(event_data(event), "is_inferred", true) ||
                  json_set_bool(event_data(event), "is_expected", is_expected)))
        cJSON_Delete(TAKE(event));
    if (event && dk->options.sink.emit)
        dk->options.sink.emit(dk->options.sink.user, TAKE(event));
}

static void infer_boot(struct dk *dk)
{
    dk->is_boot_expected = dk_expects_boot(dk);
    emit_inferred_boot(dk, dk->is_boot_expected);
    count_boot(dk, "(its banner was lost)");
}

static void look_for_boot(struct side *side, const struct zephyr_line *line)
{
    struct dk *dk = side->dk;
    if (!line->level || !line->has_uptime)
        return;
    bool is_young = line->uptime_us + UPTIME_SLACK_US < side->uptime_us;
    bool is_back = dk->wait.on_boot && dk->was_port_away;
    if (is_young || is_back)
        infer_boot(dk);
    side->uptime_us = line->uptime_us;
}

/* ---- the console */

static bool takes_at(const struct side *side)
{
    return side == &side->dk->sides[side->dk->at_side];
}

static bool claims(void *user, const struct console_line *line)
{
    struct side *side = user;
    look_for_boot(side, line->zephyr);
    return takes_at(side) && at_take_line(side->dk->at, line);
}

static enum console_echo is_echo(void *user, const struct console_line *line)
{
    struct side *side = user;
    return takes_at(side) ? at_take_echo(side->dk->at, line) : CONSOLE_NO_ECHO;
}

static bool expects_boot(void *user, const struct console_line *line)
{
    struct dk *dk = ((struct side *)user)->dk;
    judge_boot(dk, line);
    return dk->is_boot_expected;
}

static void on_line(void *user, const struct console_line *line)
{
    struct dk *dk = ((struct side *)user)->dk;
    if (is_boot_line(line)) {
        on_boot_line(dk, line);
    } else if (line->zephyr->level && !line->zephyr->is_minimal && strcmp(line->zephyr->module, "mcuboot") != 0) {
        dk->may_see_second_banner = false;
    }
    if (line->zephyr->kind == ZEPHYR_FAULT && !dk->fault[0])
        snprintf(dk->fault, sizeof(dk->fault), "%s", line->zephyr->text);
    if (!line->match || !line->match->is_terminal)
        return;
    dk->is_at_rest = true;
    if (dk->options.callbacks.on_rest)
        dk->options.callbacks.on_rest(dk->options.callbacks.user, line->match->event);
}

static void on_overflow(void *user, uint64_t lost_bytes)
{
    struct dk *dk = ((struct side *)user)->dk;
    if (dk->options.callbacks.on_overflow)
        dk->options.callbacks.on_overflow(dk->options.callbacks.user, lost_bytes);
}

static void on_gone(void *user, const char *reason)
{
    struct side *side = user;
    struct dk *dk = side->dk;
    dk->was_port_away = true;
    if (takes_at(side))
        at_port_gone(dk->at);
    if (dk->options.callbacks.on_gone)
        dk->options.callbacks.on_gone(dk->options.callbacks.user, reason);
}

static void on_back(void *user, int64_t gap_ms)
{
    struct dk *dk = ((struct side *)user)->dk;
    if (dk->options.callbacks.on_back)
        dk->options.callbacks.on_back(dk->options.callbacks.user, gap_ms);
}

static void on_lost(void *user, const struct error *error)
{
    struct dk *dk = ((struct side *)user)->dk;
    if (dk->options.callbacks.on_lost)
        dk->options.callbacks.on_lost(dk->options.callbacks.user, error);
}

static struct serial_port *at_port(struct dk *dk)
{
    return console_port(dk_console(dk));
}

static int write_port(void *user, const void *data, size_t length_bytes, struct error *error)
{
    return serial_write(at_port(user), data, length_bytes, error);
}

static size_t tx_left(void *user)
{
    return serial_tx_left(at_port(user));
}

static void on_transport(void *user, enum at_transport transport)
{
    struct dk *dk = user;
    bool is_paced = transport == AT_TRANSPORT_SHELL;
    if (!dk->options.tx_chunk_bytes)
        serial_set_pacing(at_port(dk), is_paced ? DK_SHELL_CHUNK_BYTES : 0, is_paced ? DK_SHELL_GAP_MS : 0);
}

static void on_secret(void *user)
{
    struct dk *dk = user;
    for (size_t i = 0; i < SIDE_COUNT; i++)
        if (dk->sides[i].console)
            console_guard_secrets(dk->sides[i].console);
}

/* ---- who it is */

static void step_identify(struct dk *dk);

static const struct {
    const char *command;
    size_t offset; /* of a text of DK_NAME_MAX_BYTES in dk_identity; 0: manufacturer, the first */
    bool is_needed;
} questions[] = {
    {"AT+CGMI", offsetof(struct dk_identity, manufacturer), false},
    {"AT+CGMM", offsetof(struct dk_identity, model), true},
    {"AT+CGMR", offsetof(struct dk_identity, firmware), true},
    {"AT+CGSN", offsetof(struct dk_identity, imei), false},
    {"AT+CFUN?", 0, false},
};

static void end_identify(struct dk *dk, const struct error *error)
{
    dk_identify_fn *on_done = TAKE(dk->on_identity);
    struct dk_identity identity = dk->identity;
    on_done(dk->identify_user, error ? NULL : &identity, error);
}

static void fail_identify(struct dk *dk, const struct at_reply *reply)
{
    struct error error = ERROR_INIT;
    at_reply_check(reply, &error);
    error_prefix(&error, "%s", dk->name);
    if (reply->result == AT_TIMEOUT && !dk->has_answered)
        error_set(
            &error, ERROR_OWNER_RIG, ERROR_TIMEOUT,
            "%s: no answer to AT commands on '%s'%s%s%s; is it powered, is this its console port, and does its firmware have an AT host?",
            dk->name, dk->options.path, dk->console_path ? " or '" : "", dk->console_path ? dk->console_path : "",
            dk->console_path ? "'" : "");
    if (at_lacks_shell_command(dk->at))
        error_set(&error, ERROR_OWNER_RIG, ERROR_NOT_FOUND,
                  "%s: a shell answers on '%s', and it has no command `at`; build the firmware with CONFIG_AT_SHELL=y, or with an AT host",
                  dk->name, dk->options.path);
    end_identify(dk, &error);
}

static void keep_answer(struct dk *dk, const struct at_reply *reply)
{
    const char *line = reply->line_count ? reply->lines[0] : "";
    if (strcmp(questions[dk->identify_step].command, "AT+CFUN?") == 0) {
        sscanf(line, "+CFUN: %9d", &dk->identity.cfun);
        return;
    }
    char *target = (char *)&dk->identity + questions[dk->identify_step].offset;
    snprintf(target, DK_NAME_MAX_BYTES, "%s", line);
}

static void on_answer(void *user, const struct at_reply *reply)
{
    struct dk *dk = user;
    bool is_refused = reply->result == AT_ERROR || reply->result == AT_CME_ERROR || reply->result == AT_CMS_ERROR;
    /* It was switched on or programmed just now: then its answers come after this boot. */
    if (reply->result == AT_BOOTED && dk->identify_boots++ < IDENTIFY_BOOTS_MAX) {
        step_identify(dk);
        return;
    }
    if (reply->result != AT_OK && (!is_refused || questions[dk->identify_step].is_needed)) {
        fail_identify(dk, reply);
        return;
    }
    dk->has_answered = dk->has_answered_at = true;
    if (reply->result == AT_OK)
        keep_answer(dk, reply);
    dk->identify_step++;
    step_identify(dk);
}

static void on_sync(void *user, const struct at_reply *reply);

/* Once, and only while nothing has answered on the first one: whoever wrote the rig file may have had the two in the other order. */
static bool try_other_side(struct dk *dk)
{
    if (!dk->sides[CONSOLE].console || dk->has_tried_other_side || dk->has_answered_at)
        return false;
    dk->has_tried_other_side = true;
    dk->at_side = dk->at_side == SERIAL ? CONSOLE : SERIAL;
    return at_sync(dk->at, DK_SYNC_TRIES, on_sync, dk, NULL) == 0;
}

static void step_identify(struct dk *dk)
{
    if (dk->identify_step == ARRAY_COUNT(questions)) {
        end_identify(dk, NULL);
        return;
    }
    struct error error = ERROR_INIT;
    struct at_command command = {.text = questions[dk->identify_step].command, .on_done = on_answer, .user = dk};
    if (at_send(dk->at, &command, &error))
        end_identify(dk, &error);
}

static void on_sync(void *user, const struct at_reply *reply)
{
    struct dk *dk = user;
    if (reply->result == AT_TIMEOUT && try_other_side(dk))
        return;
    if (reply->result != AT_OK) {
        fail_identify(dk, reply);
        return;
    }
    dk->has_answered = dk->has_answered_at = true;
    step_identify(dk);
}

int dk_identify(struct dk *dk, dk_identify_fn *on_done, void *user, struct error *error)
{
    if (dk->on_identity)
        return error_set(error, ERROR_OWNER_OURS, ERROR_BUSY, "%s: is being identified already", dk->name);
    dk->identity = (struct dk_identity){.cfun = DK_CFUN_UNKNOWN};
    dk->identify_step = dk->identify_boots = 0;
    dk->identify_user = user;
    if (at_sync(dk->at, DK_SYNC_TRIES, on_sync, dk, error))
        return -1;
    dk->on_identity = on_done;
    return 0;
}

/* ---- opening and closing */

static int open_at(struct dk *dk, struct error *error)
{
    struct at_options options = {.loop = dk->options.loop,
                                 .clock = dk->options.clock,
                                 .sink = dk->options.sink,
                                 .device = dk->name,
                                 .write = write_port,
                                 .tx_left = tx_left,
                                 .on_secret = on_secret,
                                 .user = dk,
                                 .terminator = dk->options.terminator,
                                 .transport = dk->options.transport,
                                 .command_max_bytes = dk->options.command_max_bytes,
                                 .on_transport = on_transport,
                                 .sync_try_ms = dk->options.sync_try_ms};
    return at_new(&options, &dk->at, error);
}

static int open_side(struct dk *dk, size_t index, const char *path, const char *raw_path, struct error *error)
{
    static const char *const names[SIDE_COUNT] = {"serial", "console"};
    const struct dk_options *options = &dk->options;
    struct side *side = &dk->sides[index];
    *side = (struct side){.dk = dk};
    struct console_options console = {.port = {.loop = options->loop,
                                               .clock = options->clock,
                                               .path = path,
                                               .baud = options->baud,
                                               .has_flow_control = options->has_flow_control,
                                               .tx_chunk_bytes = options->tx_chunk_bytes,
                                               .tx_gap_ms = options->tx_gap_ms,
                                               .reopen_ms = options->reopen_ms,
                                               .backend = options->backend},
                                      .device = dk->name,
                                      .dialect = options->dialect,
                                      .raw_path = raw_path,
                                      .port_name = options->console_path ? names[index] : NULL,
                                      .sink = options->sink,
                                      .callbacks = {.user = side,
                                                    .is_echo = is_echo,
                                                    .claims = claims,
                                                    .expects_boot = expects_boot,
                                                    .on_line = on_line,
                                                    .on_overflow = on_overflow,
                                                    .on_gone = on_gone,
                                                    .on_back = on_back,
                                                    .on_lost = on_lost}};
    return console_open(&console, &side->console, error);
}

static int open_ports(struct dk *dk, struct error *error)
{
    if (open_side(dk, SERIAL, dk->options.path, dk->options.raw_path, error))
        return -1;
    return dk->console_path ? open_side(dk, CONSOLE, dk->console_path, dk->options.console_raw_path, error) : 0;
}

static struct dk *new_dk(const struct dk_options *options)
{
    struct dk *dk = calloc(1, sizeof(*dk));
    char *name = strdup(options->name), *path = strdup(options->path);
    char *console_path = options->console_path ? strdup(options->console_path) : NULL;
    if (!dk || !name || !path || (options->console_path && !console_path)) {
        free(dk);
        free(name);
        free(path);
        free(console_path);
        return NULL;
    }
    dk->options = *options;
    dk->options.path = path;
    dk->console_path = console_path;
    dk->name = name;
    return dk;
}

int dk_open(const struct dk_options *options, struct dk **ret_dk, struct error *error)
{
    struct dk *dk = new_dk(options);
    if (!dk)
        return error_set_memory(error);
    uv_timer_init(options->loop, &dk->wait.timer);
    dk->wait.timer.data = dk;
    if (open_at(dk, error) || open_ports(dk, error)) {
        error_prefix(error, "%s", dk->name);
        dk_close(dk);
        return -1;
    }
    on_transport(dk, options->transport);
    *ret_dk = dk;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct dk *dk = handle->data;
    free((char *)dk->options.path);
    free(dk->console_path);
    free(dk->name);
    free(dk);
}

void dk_close(struct dk *dk)
{
    if (!dk || dk->is_closing)
        return;
    struct error error = ERROR_INIT;
    error_set(&error, ERROR_OWNER_PERSON, ERROR_INTERRUPTED, "%s: closed", dk->name);
    dk->is_closing = true;
    at_free(dk->at);
    for (size_t i = 0; i < SIDE_COUNT; i++)
        console_close(dk->sides[i].console);
    tell_boot(dk, NULL, &error);
    uv_close((uv_handle_t *)&dk->wait.timer, on_timer_closed);
}

struct at *dk_at(struct dk *dk)
{
    return dk->at;
}

struct console *dk_console(struct dk *dk)
{
    return dk->sides[dk->at_side].console;
}

struct console *dk_second_console(struct dk *dk)
{
    return dk->sides[dk->at_side == SERIAL ? CONSOLE : SERIAL].console;
}

enum at_transport dk_transport(const struct dk *dk)
{
    return at_transport(dk->at);
}

bool dk_has_answered(const struct dk *dk)
{
    return dk->has_answered;
}

bool dk_is_at_rest(const struct dk *dk)
{
    return dk->is_at_rest;
}

uint64_t dk_boot_count(const struct dk *dk)
{
    return dk->boot_count;
}

uint64_t dk_unexpected_boot_count(const struct dk *dk)
{
    return dk->unexpected_boot_count;
}

bool dk_has_fault(const struct dk *dk)
{
    return dk->fault[0] != 0;
}

const char *dk_fault(const struct dk *dk)
{
    return dk->fault[0] ? dk->fault : NULL;
}

bool dk_is_boot_awaited(const struct dk *dk)
{
    return dk->wait.on_boot != NULL;
}

void dk_forget_fault(struct dk *dk)
{
    dk->fault[0] = 0;
}
