/*
 * base/arguments.h - argp, with wrong usage told in one line
 *
 * What:     argp and getopt tell wrong usage in two or three lines, some with the path of the program, and know no nearest name. Here it is one line on
 *           stderr that names the word and the mend, nothing on stdout, and the program ends with ARGUMENTS_EXIT_USAGE:
 *           "dpsbench run: error: unknown option '--rgi'; did you mean '--rig'?; `dpsbench run --help` names them all".
 * Not here: what an option means.
 */
#ifndef BASE_ARGUMENTS_H
#define BASE_ARGUMENTS_H

#include <argp.h>

enum { ARGUMENTS_EXIT_USAGE = 2 };

/*
 * argp_parse. Unknown and ambiguous options, a value that is missing and one that is too much end the program; --help and --version do so with 0.
 * argv[0] may be a path, or the full name of a command ("dpsbench run"). Returns what a parser returned when that is an error.
 */
int arguments_parse(const struct argp *argp, int argc, char **argv, void *input);
/* The same, but words that stand alone reach the parser between the options, where they stand, and not behind all of them. */
int arguments_parse_in_order(const struct argp *argp, int argc, char **argv, void *input);

/* For parsers, in the place of argp_error: the text names the word and what would be right. Ends the program. */
void arguments_refuse(const struct argp_state *state, const char *format, ...) __attribute__((noreturn, format(printf, 2, 3)));

#endif
