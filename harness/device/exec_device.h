/*
 * harness/device/exec_device.h - a device that is a program of this host: started, ended, its output is its console
 *
 * What:     gives the program a terminal of its own as standard output and error (so that it writes a line when it has one, and not 4 KiB
 *           later), reads that as any other console, and starts and ends the program with all that it started. Its end is an event,
 *           `device.ended`; its start is a `console.boot`, which a program has no line for.
 * Bounded:  a program that prints more than EXEC_LINES_MAX lines or EXEC_OUTPUT_MAX_BYTES after one start is ended as by a crash; what it said beyond
 *           that is in no record.
 * Not here: its command line and files (harness/run/exec_client.h).
 * Threads:  none; callbacks run from the loop.
 */
#ifndef HARNESS_DEVICE_EXEC_DEVICE_H
#define HARNESS_DEVICE_EXEC_DEVICE_H

#include "harness/device/console.h"

#include <stdbool.h>

/* A board's console has some 10 kB a second; a program can fill a disk while nobody looks. */
enum { EXEC_LINES_MAX = 100000, EXEC_OUTPUT_MAX_BYTES = 16 * 1024 * 1024 };

struct exec_device;

struct exec_device_options {
    uv_loop_t *loop;
    const struct clock *clock;
    const char *name;              /* in events; copied */
    const char *const *argv;       /* NULL-terminated; copied */
    const struct dialect *dialect; /* lent; NULL: its lines are recorded, and mean nothing */
    const char *raw_path;          /* NULL: none */
    struct event_sink sink;
    /* The terminal broke: IO (rig). May be NULL. */
    void (*on_lost)(void *user, const struct error *error);
    void *user;
};

/* Makes the terminal; starts nothing. IO (rig). */
int exec_device_open(const struct exec_device_options *options, struct exec_device **ret_device, struct error *error);
/* Ends the program as exec_device_stop(). Let the loop run once more. NULL allowed. */
void exec_device_close(struct exec_device *device);

/* End what runs, without a warning as a reset does, and start anew. NOT_FOUND (rig): no such program. */
int exec_device_start(struct exec_device *device, struct error *error);
void exec_device_stop(struct exec_device *device);

/* It has ended, or has printed a line after which it does nothing more (a dialect's `terminal: true`). */
bool exec_device_is_at_rest(const struct exec_device *device);
/* A signal that we did not send ended it, or it printed too much. */
bool exec_device_has_crashed(const struct exec_device *device);
/* "exit status 1"; NULL: it runs, or never did. Lent. */
const char *exec_device_end(const struct exec_device *device);
/* The last line that it printed; "": none. Lent. */
const char *exec_device_last_words(const struct exec_device *device);
struct console *exec_device_console(struct exec_device *device);

#endif
