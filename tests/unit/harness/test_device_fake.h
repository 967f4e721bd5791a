/*
 * test_device_fake.h - a scripted device on the far side of a real pty
 *
 * What:     opens a pty (raw, with one slave descriptor kept open, as a device that is powered keeps its end), says what a test wants,
 * hands over what the host sends, hangs up. A link to the pty stands in a folder of the test's own, so that the device can come back on
 * another pty under the same path. Everything runs on the test's loop.
 */
#ifndef TEST_DEVICE_FAKE_H
#define TEST_DEVICE_FAKE_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

struct fake;
/* Bytes that the host sent. */
typedef void fake_bytes_fn(struct fake *fake, const char *data, size_t length);

struct fake {
    uv_loop_t *loop;
    char dir[64];
    char path[96]; /* the link */
    int master_fd; /* -1: hung up */
    int slave_fd;
    uv_poll_t *poll;
    bool is_deaf;         /* reads nothing: the line fills up */
    struct bytes to_host; /* waits to be said */
    struct bytes heard;   /* everything the host sent */
    size_t largest_read;
    fake_bytes_fn *on_bytes; /* may be NULL */
    void *user;
};

void fake_init(struct fake *fake, uv_loop_t *loop);
void fake_done(struct fake *fake);
/* On a new pty, under the same path. */
void fake_plug(struct fake *fake);
/* Close the pty and remove the link. Says nothing that still waits. */
void fake_unplug(struct fake *fake);
void fake_say(struct fake *fake, const char *text);
void fake_say_bytes(struct fake *fake, const void *data, size_t length);
void fake_set_deaf(struct fake *fake, bool is_deaf);

/* Run the loop until `is_done(user)`, at most 20 s: far more than anything here takes. true: it is. */
bool run_until(uv_loop_t *loop, bool (*is_done)(void *user), void *user);
/* Run it for this long. */
void run_for(uv_loop_t *loop, int ms);
/* Run it empty and close it: fails the test when a handle was left. */
void finish_loop(uv_loop_t *loop);

#endif
