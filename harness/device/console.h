/*
 * harness/device/console.h - the capture of one device's port: lines to event records, raw bytes to a file
 *
 * What:     opens the port, splits lines, writes raw bytes, and emits for each line that is not an AT reply a `console.line`, followed
 *           by a `console.<name>` when the dialect knows the line and for what its form says (console_record.h); all carry the time of the
 *           line's first byte. `console.gap` when the port was away, and where bytes had no room.
 * Shells:   what a shell erased is not in the text, nor are prompts; a line of prompts alone makes no event. The raw file has all of it, but for what
 *           was erased while secrets are guarded.
 * Records:  console.line has its `type`. console.<name> has in `data` the captures of the dialect, or the fields of the record, plus `device`,
 *           `line` (the text; not where a record has several lines), `is_terminal` (only when true), and for console.boot `is_expected`. A
 *           record that has several lines comes before the line that ends it, with the time of its own first.
 * Secrets:  a device can print back what it was sent (the AT host does, when a command fails before it reaches the modem). PEM
 *           private keys are replaced, in events and in the raw file alike, by CONSOLE_REDACTED; after console_guard_secrets() also
 *           bare lines of base64 alone (a key without its frame) and the AT host's messages about single bytes that it drops.
 * Threads:  those of serial_port.h; callbacks run from the loop.
 */
#ifndef HARNESS_DEVICE_CONSOLE_H
#define HARNESS_DEVICE_CONSOLE_H

#include "harness/device/dialect.h"
#include "harness/device/event_sink.h"
#include "harness/device/zephyr_log.h"
#include "harness/serial/serial_port.h"

#include <stdbool.h>

#define CONSOLE_REDACTED "<private key removed by dpsbench>"

struct console;

/* Lent for the callback. */
struct console_line {
    const struct line *line;
    const struct zephyr_line *zephyr;
    const struct dialect_match *match; /* NULL: the dialect does not know it; its fields are in the event already */
    bool has_prompt;                   /* a shell's prompt stood in front; it is not in zephyr->text */
};

/* What was typed, as a shell shows it. */
enum console_echo { CONSOLE_NO_ECHO, CONSOLE_ECHO, CONSOLE_SECRET_ECHO };

struct console_callbacks {
    void *user;
    /* The very first look: an echo goes to the raw file (a secret one as CONSOLE_REDACTED) and nowhere else. */
    enum console_echo (*is_echo)(void *user, const struct console_line *line);
    /* First look. true: the line is (part of) an AT reply and no console line. match is NULL here. */
    bool (*claims)(void *user, const struct console_line *line);
    /* Was this boot asked for? For the field of console.boot; without it every boot is. Before the events go out. */
    bool (*expects_boot)(void *user, const struct console_line *line);
    /* Every line that nobody claimed, after its events went out. */
    void (*on_line)(void *user, const struct console_line *line);
    void (*on_overflow)(void *user, uint64_t lost_bytes);
    void (*on_gone)(void *user, const char *reason);
    void (*on_back)(void *user, int64_t gap_ms);
    void (*on_lost)(void *user, const struct error *error);
};

struct console_options {
    struct serial_options port;    /* its callbacks are ours: leave them empty */
    const char *device;            /* the name in the events; copied */
    const struct dialect *dialect; /* NULL: console.line alone; lent */
    const char *raw_path;          /* NULL: no raw file */
    const char *port_name;         /* `port` in the events, where a device has two; a literal; NULL: none */
    struct event_sink sink;
    struct console_callbacks callbacks; /* members may be NULL */
};

/* Errors of serial_open and raw_file_open. */
int console_open(const struct console_options *options, struct console **ret_console, struct error *error);
/* Delivers an unfinished line, then closes. NULL allowed. Let the loop run once more. */
void console_close(struct console *console);

/* A secret was or will be sent. Stays on until the console is closed. */
void console_guard_secrets(struct console *console);

struct serial_port *console_port(struct console *console);
/* Lines so far, and bytes that did not fit into the raw file. */
uint64_t console_line_count(const struct console *console);
uint64_t console_raw_missing_bytes(const struct console *console);
/* What went wrong with the raw file first: LIMIT or IO (rig). */
int console_raw_check(const struct console *console, struct error *error);

#endif
