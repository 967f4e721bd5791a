/*
 * base/log.h - what programs say to people, on stderr
 *
 * What:     four levels, one line each: "dpsbench-sim: warning: ...". Used by `main`, the runner and the simulator's services; library
 *           modules return errors and do not log above debug.
 * Colour:   only when stderr is a terminal, NO_COLOR is unset and TERM is not "dumb".
 * Secrets:  never a private key, never an AT command that carries one.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* `program` is lent for ever (a literal). The default level is LOG_INFO. */
void log_init(const char *program, enum log_level level);
void log_set_level(enum log_level level);
bool log_has_colour(int fd);
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

#endif
