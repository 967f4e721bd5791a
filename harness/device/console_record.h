/*
 * harness/device/console_record.h - what a console says by its form alone, whatever firmware runs
 *
 * What:     boots, banners, faults, modem crashes, dropped messages, notifications of the modem as typed records; and the records that have
 *           several lines, hexdumps and fault dumps, put together. Zephyr and nRF Connect SDK print them, so no dialect needs entries for them.
 * Not here: the form of one line (zephyr_log.h); what a firmware means by its words (dialect.h).
 * Source:   Zephyr kernel/fatal.c, arch/arm/core/cortex_m/fatal.c, subsys/logging/log_output.c; nRF Connect SDK lib/nrf_modem_lib/fault.c,
 *           lib/fatal_error; Nordic's AT commands reference, %MDMEV.
 * Limits:   a hexdump of RECORD_HEXDUMP_MAX_BYTES, a dump of RECORD_REGISTERS_MAX registers; what is more is left out, and a hexdump says so.
 */
#ifndef HARNESS_DEVICE_CONSOLE_RECORD_H
#define HARNESS_DEVICE_CONSOLE_RECORD_H

#include "base/json.h"
#include "harness/device/zephyr_log.h"

enum { RECORD_HEXDUMP_MAX_BYTES = 1024, RECORD_REGISTERS_MAX = 64, RECORD_TITLE_MAX_BYTES = 128 };

/*
 * X(name, fields, what it means), beside console.boot, console.fault, console.dropped and console.modem-event, which a dialect may give too
 * (DIALECT_EVENTS) and which have the same fields from here.
 * Optional fields in brackets.
 */
#define RECORD_EVENTS(X)                                                                                                                   \
    X("console.banner", "banner:text", "a boot banner that is not the application's: MCUboot's, TF-M's, the versions behind it")           \
    X("console.fault-dump", "reason:text [error:integer] [thread:text] [pc:text] [registers:object]", "a fault dump, whole")               \
    X("console.modem-crash", "reason:text [name:text] pc:text", "the modem crashed (console.fault says so too)")                           \
    X("console.hexdump", "[module:text] title:text bytes:text byte_count:integer [is_cut:boolean]", "a hexdump, whole")                    \
    X("console.notification", "name:text value:text", "the modem says something unasked: +CEREG, %MDMEV, ...")

/* `event`: a name of RECORD_EVENTS or DIALECT_EVENTS. fields: given. */
typedef void console_record_fn(void *user, const char *event, const struct line *line, cJSON *fields);

/* The caller's memory, 2 KiB; init before use, done after. */
struct console_records {
    console_record_fn *on_record;
    void *user;
    char title[RECORD_TITLE_MAX_BYTES]; /* of the last log line: a hexdump stands below it */
    char module[ZEPHYR_NAME_MAX_BYTES];
    struct line dump_line;
    cJSON *dump; /* NULL: none is open */
    struct line hexdump_line;
    uint8_t hexdump[RECORD_HEXDUMP_MAX_BYTES];
    size_t hexdump_length;
    bool is_hexdump_cut;
};

void console_records_init(struct console_records *records, console_record_fn *on_record, void *user);
/* Drops what is open. */
void console_records_done(struct console_records *records);

/*
 * A line comes: first what ends with it, then what it is. Two calls, so that the line itself can be shown in between. The callbacks' `line` has the
 * number and the times of a record's first line; its text is only there when the record has one line, else NULL.
 */
void console_records_end(struct console_records *records, const struct zephyr_line *zephyr);
void console_records_take(struct console_records *records, const struct line *line, const struct zephyr_line *zephyr);
/* Is the line one more of the fault dump that is open? */
bool console_records_has_in_dump(const struct console_records *records, const struct zephyr_line *zephyr);
/* The port went away, or the capture ends: what is open ends here. */
void console_records_flush(struct console_records *records);

/* "log", "hexdump", ... as zephyr_kind_name(), and "notification". */
const char *console_record_type(const struct zephyr_line *zephyr);

#endif
