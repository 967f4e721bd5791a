/*
 * harness/serial/serial_backend.h - what differs between a real port, a pty and a port of another machine
 *
 * What:     a back end opens a path that was resolved, locks it, and reads and writes without blocking. Everything else (the loop,
 *           re-opening, pacing) is in serial_port.c and is the same for all.
 * Threads:  one a port in the back end for other machines (docs/adr/0130-network-ports-in-a-thread.md); none of them runs a callback. `read` is called from
 *           the thread of intake.h while the program calls `write`; nothing else at the same time.
 * Source:   libserialport 0.1.1 wants a name under /sys/class/tty and TIOCMGET, which no pty has; its nonblocking read returns 0 for
 *           ever after a hang-up, so serial_port.c asks poll() for POLLHUP as well.
 */
#ifndef HARNESS_SERIAL_SERIAL_BACKEND_H
#define HARNESS_SERIAL_SERIAL_BACKEND_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct serial_handle; /* the back end's own */

struct serial_settings {
    const char *path; /* resolved: no link; or rfc2217://HOST:PORT, tcp://HOST:PORT */
    int baud;
    bool has_flow_control;
};

struct serial_backend {
    const char *name;
    bool does_sender_wait; /* while nobody reads, by itself; else with RTS/CTS alone */
    int (*open)(const struct serial_settings *settings, struct serial_handle **ret_handle, struct error *error);
    /* NULL: a port that was opened is open. Else opening goes on: 0 done, 1 not yet after wait_ms, -1 failed. */
    int (*finish_open)(struct serial_handle *handle, int64_t wait_ms, struct error *error);
    void (*close)(struct serial_handle *handle);
    int (*fd)(const struct serial_handle *handle); /* for poll */
    /* Bytes moved; 0: none now; -1: the port is gone, errno says why. */
    ssize_t (*read)(struct serial_handle *handle, void *data, size_t length_bytes);
    ssize_t (*write)(struct serial_handle *handle, const void *data, size_t length_bytes);
    /* NULL: errno says all. After -1: why, in one line, or NULL; lent until close. */
    const char *(*gone_reason)(struct serial_handle *handle);
};

extern const struct serial_backend serial_backend_libserialport;
extern const struct serial_backend serial_backend_termios;
extern const struct serial_backend serial_backend_gensio;

/* gensio for rfc2217:// and tcp://, termios for a pty, libserialport for everything else. Follows links. */
const struct serial_backend *serial_backend_for(const char *path);

/*
 * Lock the open port with flock. The kernel drops the lock with the last copy of `fd`.
 * BUSY (rig): names the holder ("held by picocom (pid 1234)") where /proc tells it.
 */
int serial_lock(int fd, const char *path, struct error *error);
/* The error of an open(2) that failed with errno_value: code, and the mend. Always returns -1. */
int serial_open_failed(const char *path, int errno_value, struct error *error);

#endif
