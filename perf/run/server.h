/*
 * perf/run/server.h - one server under measurement: started on its core, asked for its address, its CPU time and memory read, ended
 *
 * What:     a program and its children (the simulator's Mosquitto) count as one.
 * Source:   proc(5): stat, smaps_rollup.
 */
#ifndef PERF_RUN_SERVER_H
#define PERF_RUN_SERVER_H

#include "base/child.h"
#include "base/clock.h"
#include "perf/run/lab.h"

enum { SERVER_ADDRESS_BYTES = 80 };

struct server {
    const char *name; /* lent */
    struct child *child;
    int output_fd; /* its stdout */
    char address[SERVER_ADDRESS_BYTES];
    int64_t ready_us; /* from the start to its line on stdout */
};

int server_start_simulator(const struct lab *lab, struct server *ret_server, struct error *error);
/* more: one more argument; NULL: none. */
int server_start_bare_loop(const struct lab *lab, const char *more, struct server *ret_server, struct error *error);
/* Its own TLS listener: the same certificate, the devices' root as CA file, require_certificate. */
int server_start_mosquitto(const struct lab *lab, struct server *ret_server, struct error *error);
void server_stop(struct server *server); /* a zeroed one is fine */

/* Any program, on a core. fds: its stdin, stdout and stderr, as in base/child.h. */
int program_start(int core, const char *const *program, const int fds[3], struct child **ret_child, struct error *error);
/* The next line that it says, which is JSON. TIMEOUT, IO (rig). `name`: for errors. Given: cJSON_Delete it. */
int program_read_line(const char *name, int output_fd, deadline_t deadline, cJSON **ret_json, struct error *error);

/* What a program says goes to a file of the lab, by this name; shown when it fails. -1: nowhere. */
int program_open_log(const struct lab *lab, const char *name);
void program_show_log(const struct lab *lab, const char *name);

struct server_use {
    int64_t cpu_us;         /* since its start */
    int64_t resident_bytes; /* Pss: shared pages count in part */
    int64_t broker_bytes;   /* of which in its children */
};
/* IO (rig): the program is gone. */
int server_read_use(const struct server *server, struct server_use *ret_use, struct error *error);

#endif
