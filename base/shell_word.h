/*
 * base/shell_word.h - a word of a command that we suggest, as a person may paste it into a shell
 */
#ifndef BASE_SHELL_WORD_H
#define BASE_SHELL_WORD_H

/* As it is when no shell minds it, else in single quotes. malloc'ed; NULL when out of memory. */
char *shell_word(const char *text);

#endif
