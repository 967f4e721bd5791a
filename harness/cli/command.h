/*
 * harness/cli/command.h - one table of commands
 *
 * What:     a command is a name, one sentence and a function; a command may have commands of its own. Dispatch, help, and the nearest name for
 *           a slip of the finger follow from the table.
 * Output:   data on stdout, talk on stderr. Exit codes are those of docs/results.md; wrong usage is 2.
 */
#ifndef HARNESS_CLI_COMMAND_H
#define HARNESS_CLI_COMMAND_H

#include "base/error.h"

#include <argp.h>

struct command {
    const char *name;
    const char *text; /* one sentence; of a group, behind a '\v', the examples of its help */
    /* argv[0] is the full name, "dpsbench run". Returns the exit code. */
    int (*run)(int argc, char **argv);
    const struct command *children; /* ends with an empty one; then `run` is NULL, or has its own order of words and dispatches itself */
};

/*
 * Run the command that argv names among `commands`.
 *
 * name      what stands before it: "dpsbench", "dpsbench certificate"
 * intro     for the help: what the program or the group does; with examples, which may stand behind a '\v'
 */
int command_dispatch(const struct command *commands, const char *name, const char *intro, int argc, char **argv);

/*
 * argp_parse, but an unknown long option is named with the nearest one. Wrong usage and --help end the program (exit 2 and 0); the return is
 * argp's error code otherwise.
 */
int command_parse(const struct argp *argp, int argc, char **argv, void *input);

/* The end of every command. What was printed reached standard output: `code`. Else it says so, and returns EXIT_RIG_TROUBLE: a full disk must not look like success. */
int command_end_output(int code);

/* Says the error on stderr and returns the exit code that its owner means. */
int command_fail(const struct error *error);

#endif
