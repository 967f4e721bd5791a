/*
 * harness/serial/serial_port.h - one serial port on a libuv loop, real, pty or on another machine, that may go away and come back
 *
 * What:     opens, locks, reads, writes; sees that the port went away (unplugged, device closed), opens it again by the same path and
 *           counts the gap. Three back ends: libserialport for real ports, plain termios for ptys, which libserialport refuses, gensio
 *           for rfc2217://HOST:PORT and tcp://HOST:PORT; chosen by what the path is. Above them one code path.
 * Not here: lines (line_reader.h), AT commands (device/at.h).
 * Real:     8N1, raw, baud as given, DTR asserted (a DK's UART pins float until the host asserts it), RTS/CTS only when asked for.
 *           Exclusive: flock on the device node, and TIOCEXCL. A pty gets the flock alone: TIOCEXCL would stay on it for as long as the
 *           other side keeps the pty open, also after we were killed.
 * By id:    give the stable name (/dev/serial/by-id/...): it is resolved anew at each opening, so a device that comes back as another
 *           ttyACM is found. A bare /dev/pts/N may be given to somebody else after its owner ended: a virtual device that restarts
 *           should be opened through a link.
 * Network:  with RFC 2217 the baud rate, 8N1, flow control, DTR and RTS are set at the server; one that sets something else is an error. With bare TCP
 *           they are the server's business. A closed connection is a gap like an unplugged cable. The server keeps other clients out.
 *           serial_open waits for the server, at most 15 s; opening it again does not.
 * Busy:     a thread takes the bytes from the kernel (intake.h), so a loop that is busy for seconds loses none. When more come than rx_max_bytes, a sender
 *           that waits for its reader is left to wait; of any other what does not fit is dropped, counted and told.
 * Threads:  that one, and the network's. Callbacks run from the loop, never from within a call of yours. A callback may write and may close the port.
 * Limits:   SERIAL_TX_MAX_BYTES wait to be sent at most, rx_max_bytes to be taken.
 */
#ifndef HARNESS_SERIAL_SERIAL_PORT_H
#define HARNESS_SERIAL_SERIAL_PORT_H

#include "base/clock.h"
#include "base/error.h"
#include "harness/serial/serial_backend.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

enum {
    SERIAL_BAUD_DEFAULT = 115200,
    SERIAL_TX_MAX_BYTES = 64 * 1024,
    SERIAL_REOPEN_MS_DEFAULT = 10000,
};

struct serial_port;

struct serial_callbacks {
    void *user;
    /* Bytes as they came, up to 64 KiB at a time; lent. Both clocks, read just after the bytes. */
    void (*on_bytes)(void *user, const void *data, size_t length_bytes, int64_t mono_us, int64_t unix_us);
    /* Between the bytes before and the bytes after this call so many came that had no room: the loop was busy for too long. */
    void (*on_overflow)(void *user, uint64_t lost_bytes);
    /* The port went away; opening again has begun. What waited to be sent is dropped. `reason`: one line, lent. */
    void (*on_gone)(void *user, const char *reason);
    /* It is open again after `gap_ms`; whatever the device said meanwhile is lost. */
    void (*on_back)(void *user, int64_t gap_ms);
    /* It did not come back in time: IO (rig). Nothing more happens; close it. */
    void (*on_lost)(void *user, const struct error *error);
};

struct serial_options {
    uv_loop_t *loop;
    const struct clock *clock; /* for any thread */
    const char *path;          /* copied */
    int baud;                  /* 0: SERIAL_BAUD_DEFAULT; without meaning for a pty */
    bool has_flow_control;     /* RTS/CTS */
    size_t tx_chunk_bytes;     /* pacing for slow receivers: at most so many bytes, then a pause of tx_gap_ms; 0: as the port takes them */
    int64_t tx_gap_ms;
    size_t rx_max_bytes; /* 0: INTAKE_MAX_BYTES */
    int64_t reopen_ms; /* how long to try to open it again; 0: SERIAL_REOPEN_MS_DEFAULT; less than 0: not at all, on_lost follows at once */
    const struct serial_backend *backend; /* NULL: serial_backend_for(path) */
    struct serial_callbacks callbacks;    /* members may be NULL */
};

/*
 * Open and lock.
 *
 * NOT_FOUND (rig): no such path. BUSY (rig): somebody else holds it; the text names the program and its pid where they can be found.
 * IO (rig): the system, or the server, refused; the text holds the mend for a missing permission. USAGE (file): not a serial port.
 * SYNTAX (file): not rfc2217://HOST:PORT or tcp://HOST:PORT. TIMEOUT, PROTOCOL (rig): the server does not answer, or speaks no RFC 2217.
 */
int serial_open(const struct serial_options *options, struct serial_port **ret_port, struct error *error);
/* Drops what waits to be sent. The memory goes when the loop has closed the handles: let it run once more. NULL allowed. */
void serial_close(struct serial_port *port);

/* Queue bytes (copied; wiped after they were sent). LIMIT (ours): more than SERIAL_TX_MAX_BYTES would wait. IO (rig): the port is away. */
int serial_write(struct serial_port *port, const void *data, size_t length_bytes, struct error *error);
/* From now on, as tx_chunk_bytes and tx_gap_ms of the options. */
void serial_set_pacing(struct serial_port *port, size_t chunk_bytes, int64_t gap_ms);
/* Bytes that wait to be sent. */
size_t serial_tx_left(const struct serial_port *port);

bool serial_is_open(const struct serial_port *port); /* false while it is away, and after on_lost */
const char *serial_path(const struct serial_port *port);
const char *serial_backend_name(const struct serial_port *port);

struct serial_counts {
    uint64_t rx_bytes;   /* that were told */
    uint64_t lost_bytes; /* that had no room */
    uint64_t tx_bytes;
    uint64_t gap_count;
    int64_t gap_ms; /* all gaps together */
};
struct serial_counts serial_counts(const struct serial_port *port);

#endif
