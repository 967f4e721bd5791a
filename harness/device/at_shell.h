/*
 * harness/device/at_shell.h - AT commands as words of Zephyr's shell
 *
 * What:     quotes a command for `at '...'`, and knows the shell's echo of what was typed.
 * Quoting:  single quotes around all; a single quote or a backslash in the command ends them, comes with a backslash, and begins them again; LF is typed as
 *           backslash and n, which lib/at_shell (CONFIG_AT_SHELL_UNESCAPE_LF) makes CR LF in commands that begin with AT%CMNG=0.
 * Source:   Zephyr subsys/shell/shell_utils.c (words), shell_ops.c (echo, wrapped at the terminal's width; a log line erases it and it is drawn anew);
 *           nRF Connect SDK lib/at_shell, samples/cellular/modem_shell.
 */
#ifndef HARNESS_DEVICE_AT_SHELL_H
#define HARNESS_DEVICE_AT_SHELL_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * What is typed for the command, without a line end. malloc'ed; NULL on failure.
 * SYNTAX (file): a line feed in a command that is no AT%CMNG=0, or a backslash and an n in one that is: the shell would send something else.
 */
char *at_shell_quote(const char *command, struct error *error);

/* The echo of one typed line. */
struct at_echo {
    const char *typed; /* lent; NULL: nothing was typed */
    size_t at;         /* so much of it has come back */
};

/* Does this line, without its prompt, belong to the echo? With a prompt in front it is the echo's beginning. */
bool at_echo_take(struct at_echo *echo, const char *text, bool has_prompt);
/* "NAME: command not found" */
bool at_shell_is_unknown(const char *text);
/* "Sending AT command failed with error code -22" */
bool at_shell_is_failure(const char *text);

#endif
