/*
 * harness/cli/cli_credentials.h - what the files of `dpsbench credentials` share
 */
#ifndef HARNESS_CLI_CLI_CREDENTIALS_H
#define HARNESS_CLI_CLI_CREDENTIALS_H

#include "base/json.h"
#include "harness/cli/command.h"
#include "harness/cli/credential_session.h"

/* Of the JSON documents (docs/credentials.md). */
enum { CREDENTIALS_VERSION = 1 };

/* What a command does on an open device: its exit code, or -1 and an error. */
typedef int credentials_work(const struct credential_arguments *arguments, struct credential_session *session, struct error *error);
/* Open, work, restore, close; says errors. Returns the exit code. */
int credentials_run(const struct credential_arguments *arguments, credentials_work *work);

/* Ends the program when there are more than `from` words. */
void credentials_refuse_words(const struct credential_arguments *arguments, size_t from);
/* Takes `json` over; NULL: out of memory. Returns the exit code. */
int credentials_print_json(cJSON *json);

int credentials_plan(int argc, char **argv);
int credentials_write(int argc, char **argv);
int credentials_verify(int argc, char **argv);
int credentials_keygen(int argc, char **argv);

#endif
