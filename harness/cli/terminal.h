/*
 * harness/cli/terminal.h - what the output can show
 */
#ifndef HARNESS_CLI_TERMINAL_H
#define HARNESS_CLI_TERMINAL_H

#include <stdbool.h>
#include <stdio.h>

/* Columns of the terminal behind `file`; 0: it is none, or does not say. */
int terminal_width(FILE *file);
/* The locale of the environment has UTF-8. */
bool terminal_has_utf8(void);

#endif
