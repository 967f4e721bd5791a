/*
 * harness/try/shell_word.h - a file's name as a person may paste it into a shell
 */
#ifndef HARNESS_TRY_SHELL_WORD_H
#define HARNESS_TRY_SHELL_WORD_H

/* As it is when no shell minds it, else in single quotes. malloc'ed; NULL when out of memory. */
char *shell_word(const char *text);

#endif
