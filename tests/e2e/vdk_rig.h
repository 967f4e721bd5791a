/*
 * tests/e2e/vdk_rig.h - a virtual DK and a scripted server as child processes of a test, and the DK's serial port
 *
 * Rules:    every wait has a deadline; what fails ends the test through CMocka's assertions.
 */
#ifndef TESTS_E2E_VDK_RIG_H
#define TESTS_E2E_VDK_RIG_H

#include "base/bytes.h"
#include "base/child.h"

enum { RIG_WAIT_MS = 60 * 1000, RIG_ARGS_MAX = 40 };

struct stub {
    struct child *child;
    int stdout_fd;
    struct bytes said; /* all its lines so far */
    unsigned port;
};

struct vdk {
    struct child *child;
    int stdout_fd;
    int pty_fd;
    char pty[128];
    struct bytes console; /* everything that came out of the pty since vdk_forget_console */
};

/* options: NULL-terminated, may be NULL. */
void stub_start(struct stub *stub, const char *cert, const char *key, const char *const *options, const char *script);
/* Wait until it said `text`. */
void stub_expect(struct stub *stub, const char *text);
/* What it has said by now. */
const char *stub_said(struct stub *stub);
void stub_stop(struct stub *stub);

/* options: NULL-terminated, behind the required ones; they win over these. Returns when its ready line came; the pty is open. */
void vdk_start(struct vdk *vdk, const char *state_dir, unsigned port, const char *const *options);
void vdk_open_pty(struct vdk *vdk);
void vdk_send(struct vdk *vdk, const char *text);
void vdk_forget_console(struct vdk *vdk);
/* Wait until `text` is in the console since the last vdk_forget_console. */
void vdk_expect(struct vdk *vdk, const char *text);
/* Read for `ms`, then return what the console holds. */
const char *vdk_listen(struct vdk *vdk, int64_t ms);
/* Send a command (CR is added), wait for OK, ERROR or +CME ERROR; the reply with all lines that came meanwhile. */
const char *vdk_command(struct vdk *vdk, const char *command);
/* Wait until the application has switched the modem on (once a boot: before that, AT+CFUN=4 would be undone), then AT+CFUN=4. */
void vdk_go_offline(struct vdk *vdk);
/* vdk_go_offline, then root, chain and key into the sec tag (NULL: left out). */
void vdk_write_credentials(struct vdk *vdk, unsigned sec_tag, const char *root, const char *chain, const char *key);
void vdk_signal(struct vdk *vdk, int number);
/* SIGTERM; asserts a clean end. */
void vdk_stop(struct vdk *vdk);

#endif
