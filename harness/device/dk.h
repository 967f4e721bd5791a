/*
 * harness/device/dk.h - a development kit with an AT host or a shell on its console: open, identify, watch its boots
 *
 * What:     puts port, console and AT client together; knows who the device is, whether a boot was asked for, and whether this boot has
 *           come to its end.
 * Ports:    with two, lines of both are merged in the order in which they came, and their events say `port` "serial" or "console". Echo, replies and
 *           pacing are of the one that takes AT commands.
 * Not here: how a device is reset or powered (the rig's hooks); credentials (credentials/credential_set.h, over dk_at()).
 * Boots:    are seen by their banner. Where that was lost (on a port that was away, in noise) they are seen by the first log line whose uptime
 *           is smaller than that of the line before, or that comes after the port went away while a boot was awaited: then a console.boot
 *           with `is_inferred` goes before that line.
 * Fault:    a device that has never answered is the rig's fault (cable, port, power, firmware); one that did and stopped is the
 *           device's.
 * Threads:  none; callbacks run from the loop. They must not close the dk.
 */
#ifndef HARNESS_DEVICE_DK_H
#define HARNESS_DEVICE_DK_H

#include "harness/device/at.h"
#include "harness/device/console.h"

#include <stdbool.h>

struct dk;

struct dk_callbacks {
    void *user;
    /* A boot that nobody asked for; `banner` is its line. The event console.boot has is_expected false. */
    void (*on_unexpected_boot)(void *user, const char *banner);
    /* The line that ends what this boot does (a dialect's `terminal: true`); `event` is its name. */
    void (*on_rest)(void *user, const char *event);
    /* So many bytes of the console had no room: the loop was busy for too long. */
    void (*on_overflow)(void *user, uint64_t lost_bytes);
    /* The port: away, back, lost for good (IO, rig). */
    void (*on_gone)(void *user, const char *reason);
    void (*on_back)(void *user, int64_t gap_ms);
    void (*on_lost)(void *user, const struct error *error);
};

struct dk_options {
    uv_loop_t *loop;
    const struct clock *clock;
    const char *name; /* in events; copied */
    const char *path; /* the port */
    const char
        *console_path; /* NULL: none; a second port of the same board. Which of the two takes AT commands is found by dk_identify() */
    int baud;          /* 0: 115200 */
    bool has_flow_control;
    size_t tx_chunk_bytes; /* pacing, as in serial_options; 0: none for an AT host, DK_SHELL_CHUNK_BYTES for a shell */
    int64_t tx_gap_ms;
    int64_t reopen_ms;
    const struct serial_backend *backend; /* NULL: by the path */
    const struct dialect *dialect;        /* lent; NULL: boots are seen by their banners alone */
    const char *raw_path;                 /* NULL: none */
    const char *console_raw_path;         /* NULL: none */
    const char *terminator;               /* NULL: "\r" */
    enum at_transport transport;          /* AUTO: found */
    size_t command_max_bytes;             /* as in at_options */
    int64_t sync_try_ms;                  /* as in at_options */
    struct event_sink sink;
    struct dk_callbacks callbacks; /* members may be NULL */
};

int dk_open(const struct dk_options *options, struct dk **ret_dk, struct error *error);
/* What is under way ends as INTERRUPTED, from within this call. Let the loop run once more. NULL allowed. */
void dk_close(struct dk *dk);

/* A shell takes bytes from a buffer of 64 (CONFIG_SHELL_BACKEND_SERIAL_RX_RING_BUFFER_SIZE) and prints each one before the next. */
enum { DK_SHELL_CHUNK_BYTES = 32, DK_SHELL_GAP_MS = 10 };

enum { DK_NAME_MAX_BYTES = 64, DK_CFUN_UNKNOWN = -1, DK_SYNC_TRIES = 5 };

struct dk_identity {
    char manufacturer[DK_NAME_MAX_BYTES]; /* CGMI */
    char model[DK_NAME_MAX_BYTES];        /* CGMM: "nRF9160-SICA" */
    char firmware[DK_NAME_MAX_BYTES];     /* CGMR: "mfw_nrf9160_1.3.5" */
    char imei[DK_NAME_MAX_BYTES];         /* CGSN; "" for a SiP without one, which answers ERROR */
    int cfun;                             /* CFUN?; DK_CFUN_UNKNOWN */
};

/* `error` is NULL on success. Both lent. */
typedef void dk_identify_fn(void *user, const struct dk_identity *identity, const struct error *error);

/*
 * Sync with the AT host (DK_SYNC_TRIES tries), then ask who it is.
 * TIMEOUT: no answer; owner rig when it never answered, device when it did before. REFUSED (device): CGMM or CGMR was refused. NOT_FOUND (rig): a
 * shell without the command `at`.
 */
int dk_identify(struct dk *dk, dk_identify_fn *on_done, void *user, struct error *error);

/* `error` is NULL when the boot came. */
typedef void dk_boot_fn(void *user, const char *banner, const struct error *error);

/*
 * Call before the reset: the next boot is expected, and on_boot is told of it. Forgets that the device was at rest.
 * BUSY (ours): one at a time. TIMEOUT (rig when the device never answered, else device): no banner before the deadline.
 */
int dk_expect_boot(struct dk *dk, deadline_t deadline, dk_boot_fn *on_boot, void *user, struct error *error);
/* The reset did not happen: expect nothing. on_boot is not called. */
void dk_expect_no_boot(struct dk *dk);

bool dk_is_boot_awaited(const struct dk *dk); /* between dk_expect_boot and its end */

struct at *dk_at(struct dk *dk);
/* The port that takes AT commands, and the other one; NULL: there is none. */
struct console *dk_console(struct dk *dk);
struct console *dk_second_console(struct dk *dk);
enum at_transport dk_transport(const struct dk *dk); /* AUTO while nothing has answered */
bool dk_has_answered(const struct dk *dk);           /* to a command, or with a banner, since dk_open */
bool dk_is_at_rest(const struct dk *dk);             /* a terminal line came since the last boot */
uint64_t dk_boot_count(const struct dk *dk);
uint64_t dk_unexpected_boot_count(const struct dk *dk);
bool dk_has_fault(const struct dk *dk);    /* a fault line came since dk_open or dk_forget_fault */
const char *dk_fault(const struct dk *dk); /* the first such line, NULL when there is none; lent */
void dk_forget_fault(struct dk *dk);

#endif
