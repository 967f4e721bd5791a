/*
 * harness/serial/intake.h - a thread that takes what a port says out of the kernel, whatever the loop is busy with
 *
 * What:     reads one open port into a bounded ring and notes when each piece came. The loop is woken and takes the pieces in order.
 * Why:      Linux keeps some 19 kB of a terminal that nobody reads: 0.2 s at 1 Mbaud. A loop that writes a journal to a slow disk is away for longer
 *           (docs/adr/0132-a-thread-reads-the-port.md).
 * Full:     a sender that waits for its reader (a pty, a UART with RTS/CTS) is left to wait. From any other the bytes are taken and dropped, and counted:
 *           the kernel would drop them as well, and say nothing.
 * Threads:  one a port that is open. It calls the back end's read, looks at the clock, wakes the loop, and does nothing else: no callback of
 *           anybody, no memory, no file. While it runs, the program writes to the port and does not read. All functions here belong to the loop's thread.
 * Limits:   INTAKE_MAX_BYTES, INTAKE_PIECES_MAX; when there are more pieces, later bytes share the time of the last.
 */
#ifndef HARNESS_SERIAL_INTAKE_H
#define HARNESS_SERIAL_INTAKE_H

#include "base/clock.h"
#include "base/error.h"
#include "harness/serial/serial_backend.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

enum {
    INTAKE_MAX_BYTES = 4 * 1024 * 1024, /* 40 s at 1 Mbaud */
    INTAKE_PIECES_MAX = 16384,
};

struct intake;

struct intake_options {
    const struct serial_backend *backend;
    struct serial_handle *handle; /* open; lent until intake_stop */
    const struct clock *clock;    /* for any thread */
    uv_async_t *wake;             /* sent when there is something to take; lent until intake_stop */
    size_t max_bytes;             /* 0: INTAKE_MAX_BYTES */
    bool does_sender_wait;        /* what to do when it is full */
};

/* IO (rig): the system has no thread or no descriptor left. */
int intake_start(const struct intake_options *options, struct intake **ret_intake, struct error *error);
/* Drops what was not taken. Waits for the thread, which never blocks. NULL allowed. */
void intake_stop(struct intake *intake);

struct intake_piece {
    size_t length_bytes; /* 0: nothing but lost_bytes */
    int64_t mono_us;     /* both clocks, read just after the bytes */
    int64_t unix_us;
    uint64_t lost_bytes; /* dropped right before these */
};

/* The oldest piece, or as much of it as fits. false: there is none. */
bool intake_take(struct intake *intake, void *data, size_t size_bytes, struct intake_piece *ret_piece);

/* Writing failed: take what the kernel still has, then end with this errno. */
void intake_finish(struct intake *intake, int errno_value);

struct intake_end {
    int errno_value; /* 0: hung up without one */
    int64_t mono_us;
};

/* The port is gone, and everything that it said was taken. */
bool intake_has_ended(struct intake *intake, struct intake_end *ret_end);

#endif
