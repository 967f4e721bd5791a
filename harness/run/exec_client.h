/*
 * harness/run/exec_client.h - a program as the device of the bench: its command line, its files, its starts
 *
 * What:     fills the placeholders of the rig file's command (harness/rig/placeholder.h), writes a row's credentials as files that nobody else can
 *           read, and does with a program what a reset, a chip erase and a power cut do with a board.
 * Files:    DIRECTORY/.private/DEVICE/{chain.pem,key.pem,root.pem,state/}; gone with the run.
 * Not here: the process and its console (harness/device/exec_device.h).
 */
#ifndef HARNESS_RUN_EXEC_CLIENT_H
#define HARNESS_RUN_EXEC_CLIENT_H

#include "harness/credentials/credential_set.h"
#include "harness/run/bench.h"

/* The lane is leased. Starts nothing yet. IO (rig), USAGE (file): an argument is too long. */
int exec_client_open(struct bench *bench, struct error *error);
/* What is empty in the set is removed: a program finds no file, as a modem finds nothing in its sec tag. */
int exec_client_write(struct bench *bench, const struct credential_set *set, struct error *error);
/* Ended without warning and started again; a chip erase empties {state} in between. */
int exec_client_start(struct bench *bench, enum case_step step, struct error *error);
/* Between two starts: until it is at rest, or a board would have booted. A program says nothing when it is up. INTERRUPTED (person). */
int exec_client_let_run(struct bench *bench, struct error *error);
/*
 * It ended, or its time did, before it ever came as far as a connection, and nothing has worked in this run yet: the command, and not the client, is
 * what a person must look at. PROTOCOL (rig) with its last words; 0: that is not so.
 */
int exec_client_check_contact(const struct bench *bench, const struct watch *watch, struct error *error);

#endif
