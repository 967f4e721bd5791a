/*
 * harness/rig/placeholder.h - the words of a program's command line that dpsbench fills in: {host}, {port}, {key}
 *
 * What:     the list of names, a check for a rig file, and the filling. A name in braces is a placeholder, "{{" is a brace; whatever else stands in
 *           braces ('{"a": 1}') is left as it is.
 * Not here: what the values are (harness/run/exec_client.c).
 */
#ifndef HARNESS_RIG_PLACEHOLDER_H
#define HARNESS_RIG_PLACEHOLDER_H

#include "base/error.h"

#include <stdbool.h>

/* X(id, name, what it stands for) */
#define PLACEHOLDERS(X)                                                                                                                    \
    X(PLACEHOLDER_HOST, "host", "the DPS host name: asked for in SNI, expected in the server's certificate (`dps_host`)")                  \
    X(PLACEHOLDER_PORT, "port", "the port at which the simulator listens for this device")                                                 \
    X(PLACEHOLDER_IP, "ip", "the address at which it listens, whatever name is asked for")                                                 \
    X(PLACEHOLDER_ADDRESS, "address", "{ip}:{port}")                                                                                       \
    X(PLACEHOLDER_ID_SCOPE, "id_scope", "the id scope")                                                                                    \
    X(PLACEHOLDER_ID, "id", "the registration id")                                                                                         \
    X(PLACEHOLDER_CHAIN, "chain", "file with the client certificate and what is sent with it; not there when the row has none")            \
    X(PLACEHOLDER_KEY, "key", "file with its private key; not there when the row has none")                                                \
    X(PLACEHOLDER_ROOT, "root", "file with the root CA to trust; not there when the row has none")                                         \
    X(PLACEHOLDER_STATE, "state", "folder that outlives a reset and is emptied by a chip erase: for a stored assignment")                  \
    X(PLACEHOLDER_TIME_SCALE, "time_scale", "so many times faster the program shall wait; who takes it is run at the run's time scale")    \
    X(PLACEHOLDER_RIG, "rig", "the folder of the rig file")

enum placeholder {
#define X(id, name, text) id,
    PLACEHOLDERS(X)
#undef X
        PLACEHOLDER_COUNT
};

const char *placeholder_name(enum placeholder placeholder);

/* USAGE (file): "'{prot}' is no placeholder; did you mean '{port}'?" */
int placeholder_check(const char *word, struct error *error);
bool placeholder_stands_in(const char *word, enum placeholder placeholder);
/* malloc'ed; NULL when out of memory. A value that is NULL is nothing. */
char *placeholder_fill(const char *word, const char *const values[PLACEHOLDER_COUNT]);

#endif
