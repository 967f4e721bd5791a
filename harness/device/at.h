/*
 * harness/device/at.h - AT commands over a line that carries the console too, to an AT host or to a shell
 *
 * What:     one command at a time, from a queue; collects the lines of its reply until OK, ERROR, +CME ERROR: n or +CMS ERROR: n, while
 *           log lines, notifications and banners pass through to the console. Emits at.command and at.reply.
 * Replies:  a line is part of the reply when it begins with the command's own name (`+CFUN:` for AT+CFUN?), when the command is one that
 *           answers in bare text (CGMI, CGMM, CGMR, CGSN) and the line has neither the form of a log line nor of a notification, or when
 *           it continues quoted text (a PEM read back). A notification of the command's own name cannot be told from the reply: it
 *           stands in `lines`.
 * Transport: Nordic's AT host takes a command as it is; Zephyr's shell takes `at '...'`, echoes it, and answers what it does not know with
 *           "command not found" behind a prompt. Found by itself: the first sync speaks to an AT host, and a shell gives itself away. Echo and prompts
 *           are nobody's lines; a notification behind "AT event handler:" is never a reply.
 * Recovery: after a time-out the next command waits for a new sync: AT+CMEE? until its own answer comes (so that a late OK is nobody's),
 *           and two backspaces, a quote and a mark that spoils the syntax against an AT host that is stuck inside a quote: it swallows
 *           everything until another `"`, and with a full buffer that one too. A shell gets the keys that leave a bypass mode and clear the line.
 * Secrets:  a command that carries a private key or a PSK is evented with its SHA-256 in the place of the text; our copies of it are
 *           wiped.
 * Source:   Nordic, nRF Connect SDK, lib/at_host (no echo, CR outside quotes ends a command, 4096 bytes with the NUL).
 * Threads:  none. Callbacks run from the loop, never from within at_send. They may send; they must not free.
 */
#ifndef HARNESS_DEVICE_AT_H
#define HARNESS_DEVICE_AT_H

#include "base/clock.h"
#include "base/error.h"
#include "harness/device/console.h"
#include "harness/device/event_sink.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

enum {
    AT_COMMAND_MAX_BYTES = 4095, /* without the terminator */
    AT_SHELL_MAX_BYTES = 3583,   /* what is typed, by the buffer of Nordic's modem shell */
    AT_QUEUE_MAX = 32,
    AT_REPLY_LINES_MAX = 512,
    AT_REPLY_MAX_BYTES = 256 * 1024,
    AT_SYNC_TRY_MS = 1000,
    AT_TIMEOUT_MS = 5000, /* for commands that answer at once; CFUN, CMNG and KEYGEN get more by themselves */
};

enum at_result {
    AT_OK,
    AT_ERROR,     /* plain ERROR */
    AT_CME_ERROR, /* code */
    AT_CMS_ERROR, /* code */
    AT_TIMEOUT,   /* no final line in time */
    AT_BOOTED,    /* the device booted before it answered */
    AT_GONE,      /* the port went away, or could not be written to */
    AT_CANCELLED, /* at_free */
    AT_TOO_LONG,  /* for the device's limit (`code`); nothing was sent */
    AT_UNFIT,     /* for a shell; nothing was sent */
};

enum at_transport {
    AT_TRANSPORT_AUTO, /* not known yet */
    AT_TRANSPORT_HOST,
    AT_TRANSPORT_SHELL,
};

/* Lent for the callback. */
struct at_reply {
    enum at_result result;
    int code;                 /* CME, CMS */
    const char *const *lines; /* without the final one */
    size_t line_count;
    bool is_cut;      /* more lines came than the limits allow; the others went to the console */
    const char *text; /* "OK", "ERROR", "+CME ERROR: 513", "timeout", "device booted", "port gone", "cancelled" */
    int64_t duration_us;
    const char *command; /* redacted */
};

typedef void at_done_fn(void *user, const struct at_reply *reply);

struct at;

struct at_options {
    uv_loop_t *loop;
    const struct clock *clock;
    struct event_sink sink;
    const char *device; /* copied */
    /* How bytes get to the device: serial_write. */
    int (*write)(void *user, const void *data, size_t length_bytes, struct error *error);
    /* Bytes that still wait to be sent: no command times out while they go out. May be NULL. */
    size_t (*tx_left)(void *user);
    /* Called before a command with a secret is sent. May be NULL. */
    void (*on_secret)(void *user);
    void *user;
    const char *terminator; /* NULL: "\r"; a literal */
    enum at_transport transport;
    size_t command_max_bytes; /* the device's limit; 0: by the transport */
    /* The transport was found, or found to be another one. May be NULL. */
    void (*on_transport)(void *user, enum at_transport transport);
    int64_t sync_try_ms; /* how long one try of a sync waits; 0: AT_SYNC_TRY_MS */
};

int at_new(const struct at_options *options, struct at **ret_at, struct error *error);
/* Commands under way end as AT_CANCELLED, from within this call. NULL allowed. Let the loop run once more. */
void at_free(struct at *at);

struct at_command {
    const char *text;    /* without the terminator; copied */
    int64_t timeout_ms;  /* from the moment it is sent; 0: by the command's name */
    at_done_fn *on_done; /* may be NULL */
    void *user;
};

/*
 * Queue a command.
 * LIMIT (file): longer than AT_COMMAND_MAX_BYTES: the AT host would drop the end, closing quote included, and swallow all that follows.
 * SYNTAX (file): an odd number of quotes, a NUL, a backspace (the AT host edits with it), or a CR outside quotes.
 * BUSY (ours): AT_QUEUE_MAX commands wait.
 */
int at_send(struct at *at, const struct at_command *command, struct error *error);

/*
 * Find the AT host's attention: AT+CMEE? up to `tries` times, with the remedy against a stuck quote in between. on_done: AT_OK or AT_TIMEOUT.
 * Commands that are queued wait for it. For first contact and after a boot.
 */
int at_sync(struct at *at, int tries, at_done_fn *on_done, void *user, struct error *error);

/*
 * Wiring, for dk.c: the console's lines and the port's fate. at_take_line: true when the line belongs to a reply. A command under way ends as
 * AT_BOOTED or AT_GONE; the next one waits for a sync.
 */
bool at_take_line(struct at *at, const struct console_line *line);
/* Before at_take_line: the echo of what was typed, which is shown to nobody. */
enum console_echo at_take_echo(struct at *at, const struct console_line *line);
void at_port_gone(struct at *at);
void at_booted(struct at *at);

bool at_is_idle(const struct at *at);

/* AUTO while nothing has answered. */
enum at_transport at_transport(const struct at *at);
/* "auto", "at-host", "at-shell". */
const char *at_transport_name(enum at_transport transport);
/* Does a line feed in a command become CR LF on its way to the modem? Then the modem's SHA-256 is of that text. */
bool at_stores_crlf(const struct at *at);
/* A shell answers, and it has no command `at`. */
bool at_lacks_shell_command(const struct at *at);

/* Does it carry a private key, a PSK, a password or a PIN? In doubt: yes. */
bool at_is_secret(const char *command);
/* The command as it may be shown: in the place of a secret's texts `<SHA-256 0123...>`, of short ones `<removed>`. malloc'ed; NULL when out
 * of memory. */
char *at_redact(const char *command);
/* The meaning of a CME code in words, "unknown error" when there is none; never NULL. */
const char *at_cme_text(int code);
/* What to do about it, NULL when there is nothing to say. */
const char *at_cme_mend(int code);
/*
 * A reply that is not OK as an error: "AT+CFUN=4: +CME ERROR: 518 (not allowed in active state); the modem changes ...". Owner device, code
 * REFUSED; TIMEOUT (device) for time-out and boot, IO (rig) for a port that is gone, INTERRUPTED (person) for cancelled,
 * LIMIT or SYNTAX (file) for what was not sent. Returns -1; 0 for OK.
 */
int at_reply_check(const struct at_reply *reply, struct error *error);

#endif
