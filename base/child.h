/*
 * base/child.h - a child process that cannot outlive us and is watched through the event loop
 *
 * What:     fork, exec, a parent-death signal, and a pidfd that libuv polls. Start errors (no such program) come back from child_start, not
 *           from the exit status.
 * Threads:  call from the main thread: the parent-death signal follows the thread that forked.
 */
#ifndef BASE_CHILD_H
#define BASE_CHILD_H

#include "base/clock.h"
#include "base/error.h"

#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

struct child;

/* `status` as of waitpid(). The child may be freed in the callback. */
typedef void child_exit_fn(void *user, struct child *child, int status);

/* Begins the mark in the environment of a program that is under test, and of all that it starts: whoever ends it finds them by it. */
#define CHILD_MARK "DPSBENCH_PROGRAM="

struct child_options {
    const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH when it has no slash */
    int stdin_fd;            /* -1: /dev/null */
    int stdout_fd;           /* -1: /dev/null; else duplicated, the caller's stays open */
    int stderr_fd;           /* as stdout_fd */
    int death_signal;        /* sent to the child when we die; 0: none */
    bool has_own_group;      /* Ctrl-C on our terminal does not reach it, and whoever kills it kills what it started in that group too */
    const char *const *environment; /* "NAME=VALUE" on top of ours, NULL-terminated; NULL: nothing */
    uv_loop_t *loop;                /* NULL: no callback; use child_wait */
    child_exit_fn *on_exit;
    void *user;
};

/* NOT_FOUND (rig): the program is not installed; IO (rig) else. */
int child_start(const struct child_options *options, struct child **ret_child, struct error *error);
pid_t child_pid(const struct child *child);
bool child_is_running(const struct child *child);
void child_signal(struct child *child, int signal_number); /* to it alone, not to its group */
/* Wait until it has ended. TIMEOUT (rig). ret_status may be NULL. For use outside the loop. */
int child_wait(struct child *child, deadline_t deadline, int *ret_status, struct error *error);
/* Send `signal_number`, wait up to `grace_ms`, then SIGKILL and wait. NULL allowed. */
void child_stop(struct child *child, int signal_number, int64_t grace_ms);
/* Kills it first when it still runs. NULL allowed. */
void child_free(struct child *child);

enum { CHILD_STATUS_TEXT_BYTES = 64 };
/* "exit status 1", "signal 9 (Killed)" into text. */
void child_status_text(int status, char *text);

/* The environment of the process, a name of a folder in /proc, has these bytes of `mark` (with its NUL: as the end of an entry). */
bool child_is_marked(const char *pid, const char *mark, size_t length_bytes);

#endif
