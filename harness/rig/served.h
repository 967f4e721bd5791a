/*
 * harness/rig/served.h - a program of ours that serves: started, ready, watched, stopped
 *
 * What:     starts dpsbench-sim or dpsbench-vdk, waits for the ready record on its standard output (docs/ready.md), notices its end through
 *           the loop, and stops it. It cannot outlive us (parent-death signal).
 * Errors:   rig. The text holds the last line that the program wrote to its log.
 */
#ifndef HARNESS_RIG_SERVED_H
#define HARNESS_RIG_SERVED_H

#include "base/child.h"
#include "base/json.h"

struct served;

struct served_options {
    uv_loop_t *loop;
    const char *program;     /* "dpsbench-sim": as in the ready record */
    const char *const *argv; /* argv[0]: path of the program */
    const char *log_path;    /* its standard error; appended to */
    deadline_t deadline;     /* for the ready record */
};

/* Blocks until it is ready. NOT_FOUND, TIMEOUT, IO, PROTOCOL (rig). */
int served_start(const struct served_options *options, struct served **ret_served, struct error *error);
const cJSON *served_ready(const struct served *served); /* lent */
pid_t served_pid(const struct served *served);
void served_signal(struct served *served, int signal_number);
/* false once it has ended; then IO (rig) with how it ended is put into `error`. */
bool served_is_running(const struct served *served, struct error *error);
/* SIGTERM, then SIGKILL after 5 s. NULL allowed. Let the loop run once more. */
void served_stop(struct served *served);

#endif
