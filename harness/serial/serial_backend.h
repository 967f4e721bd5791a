/*
 * harness/serial/serial_backend.h - what differs between a real port and a pty: six functions
 *
 * What:     a back end opens a path that was resolved, locks it, and reads and writes without blocking. Everything else (the loop,
 *           re-opening, pacing) is in serial_port.c and is the same for all.
 * Source:   libserialport 0.1.1 wants a name under /sys/class/tty and TIOCMGET, which no pty has; its nonblocking read returns 0 for
 *           ever after a hang-up, so serial_port.c asks poll() for POLLHUP as well.
 */
#ifndef HARNESS_SERIAL_SERIAL_BACKEND_H
#define HARNESS_SERIAL_SERIAL_BACKEND_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct serial_handle; /* the back end's own */

struct serial_settings {
    const char *path; /* resolved: no link */
    int baud;
    bool has_flow_control;
};

struct serial_backend {
    const char *name;
    int (*open)(const struct serial_settings *settings, struct serial_handle **ret_handle, struct error *error);
    void (*close)(struct serial_handle *handle);
    int (*fd)(const struct serial_handle *handle); /* for poll */
    /* Bytes moved; 0: none now; -1: the port is gone, errno says why. */
    ssize_t (*read)(struct serial_handle *handle, void *data, size_t length_bytes);
    ssize_t (*write)(struct serial_handle *handle, const void *data, size_t length_bytes);
};

extern const struct serial_backend serial_backend_libserialport;
extern const struct serial_backend serial_backend_termios;

/* termios for a pty, libserialport for everything else. Follows links. */
const struct serial_backend *serial_backend_for(const char *path);

/*
 * Lock the open port with flock. The kernel drops the lock with the last copy of `fd`.
 * BUSY (rig): names the holder ("held by picocom (pid 1234)") where /proc tells it.
 */
int serial_lock(int fd, const char *path, struct error *error);
/* The error of an open(2) that failed with errno_value: code, and the mend. Always returns -1. */
int serial_open_failed(const char *path, int errno_value, struct error *error);

#endif
