/*
 * harness/device/zephyr_log.h - one line of a Zephyr console, read
 *
 * What:     strips ANSI escapes, tells log lines, hexdumps, dropped-message lines, boot banners and fault dumps apart, and takes a log
 *           line to pieces.
 * Not here: what a message means for the provisioning (dialect.h); records that have several lines (console_record.h).
 * Source:   Zephyr subsys/logging/log_output.c: `[HH:MM:SS.mmm,uuu] <err> module: text`, the time before the colour, debug lines as
 *           `module: function: text` after `<dbg> module.function: `, `--- N messages dropped ---`, a hexdump's lines as
 *           `    68 69 |hi`. Time forms: hours (more than two digits after 100 h), raw ticks `[00012345] `, Linux `[    5.561889] `, a
 *           date `[YYYY-MM-DD HH:MM:SS.mmm,uuu] `, ISO 8601 `[YYYY-MM-DDTHH:MM:SS,uuuuuuZ] `, none. CONFIG_LOG_MODE_MINIMAL (MCUboot)
 *           has `I: text`, without a module.
 * Text:     bytes that are not printable UTF-8 stand as \xNN, so that the text can go into an event and be matched as a C string. A tab
 *           stays. Bounded by ZEPHYR_TEXT_MAX_BYTES: what is longer after that is cut (the raw file has it whole).
 */
#ifndef HARNESS_DEVICE_ZEPHYR_LOG_H
#define HARNESS_DEVICE_ZEPHYR_LOG_H

#include "harness/serial/line_reader.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ZEPHYR_TEXT_MAX_BYTES = 4 * LINE_MAX_BYTES, ZEPHYR_NAME_MAX_BYTES = 64, ZEPHYR_HEXDUMP_LINE_BYTES = 16 };

/* X(id, name) */
#define ZEPHYR_KINDS(X)                                                                                                                    \
    X(ZEPHYR_OTHER, "printk")    /* printk, LOG_RAW, AT host text and notifications, which nothing tells apart; binary */                  \
    X(ZEPHYR_LOG, "log")         /* a log line: level, module, message */                                                                  \
    X(ZEPHYR_DROPPED, "dropped") /* "--- 7 messages dropped ---" */                                                                        \
    X(ZEPHYR_BOOT, "boot")       /* "*** Booting ... ***", of anything but MCUboot: the application starts */                              \
    X(ZEPHYR_BANNER, "banner")   /* "*** Booting MCUboot ... ***", "*** Using ... ***", "Booting TF-M ..." */                              \
    X(ZEPHYR_FAULT, "fault")     /* a line that says that something crashed, as log line or bare */                                        \
    X(ZEPHYR_HEXDUMP, "hexdump") /* a line of bytes below a log line */

enum zephyr_kind {
#define X(id, name) id,
    ZEPHYR_KINDS(X)
#undef X
};

enum zephyr_level { ZEPHYR_LEVEL_NONE, ZEPHYR_LEVEL_ERR, ZEPHYR_LEVEL_WRN, ZEPHYR_LEVEL_INF, ZEPHYR_LEVEL_DBG };

struct zephyr_line {
    enum zephyr_kind kind;
    enum zephyr_level level; /* NONE unless it has the form of a log line */
    bool has_uptime;         /* hours and Linux forms */
    int64_t uptime_us;
    bool has_unix_time; /* date and ISO 8601 forms */
    int64_t unix_us;
    bool has_ticks; /* of a clock that only the firmware knows */
    uint64_t ticks;
    bool is_minimal;                      /* "I: text" */
    bool has_time_alone;                  /* a time in front, but no level behind it */
    int64_t dropped_count;                /* DROPPED */
    char module[ZEPHYR_NAME_MAX_BYTES];   /* "" when it has none; without the function of a debug line */
    char function[ZEPHYR_NAME_MAX_BYTES]; /* debug lines only, else "" */
    const char *message;                  /* into text: behind "module: "; all of text when it is no log line */
    char text[ZEPHYR_TEXT_MAX_BYTES + 1]; /* the line without ANSI escapes */
};

/* Cannot fail: what is not understood is ZEPHYR_OTHER. */
void zephyr_line_read(const char *data, size_t length_bytes, struct zephyr_line *ret_line);

/* "err", "wrn", "inf", "dbg"; NULL for NONE. */
const char *zephyr_level_name(enum zephyr_level level);
const char *zephyr_kind_name(enum zephyr_kind kind);

/* The bytes of a hexdump's line: how many, 0 when the text is no such line. ret_bytes is untouched then. */
size_t zephyr_hexdump_read(const char *text, uint8_t ret_bytes[ZEPHYR_HEXDUMP_LINE_BYTES]);

/*
 * Does the line look damaged: unprintable bytes, a log line's head in the middle or a time without a level? Two lines that ran into each other,
 * a wrong baud rate, a UART that lost bytes.
 */
bool zephyr_line_is_garbled(const struct zephyr_line *line);

#endif
