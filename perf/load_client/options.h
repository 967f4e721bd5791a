/*
 * perf/load_client/options.h - the command line of load_client
 */
#ifndef PERF_LOAD_CLIENT_OPTIONS_H
#define PERF_LOAD_CLIENT_OPTIONS_H

#include "perf/load_client/load.h"

struct client_options {
    struct load_options load; /* without pool, deadline and hold */
    size_t device_count;      /* 0: one a conversation */
    const char *issuer;
    const char *issuer_key;
    int64_t deadline_ms;
};

/* Ends the program on --help and on wrong usage. */
void client_options_parse(int argc, char **argv, struct client_options *ret_options);

#endif
