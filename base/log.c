#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    const char *program;
    enum log_level level;
} sink = {.program = "dpsbench", .level = LOG_INFO};

void log_init(const char *program, enum log_level level)
{
    sink.program = program;
    sink.level = level;
}

void log_set_level(enum log_level level)
{
    sink.level = level;
}

bool log_has_colour(int fd)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    return !(no_color && *no_color) && term && strcmp(term, "dumb") != 0 && isatty(fd);
}

static const struct {
    const char *word;
    const char *colour;
} looks[] = {
    [LOG_ERROR] = {"error: ", "\033[1;31m"},
    [LOG_WARNING] = {"warning: ", "\033[1;33m"},
    [LOG_INFO] = {"", ""},
    [LOG_DEBUG] = {"debug: ", "\033[2m"},
};

void log_line(enum log_level level, const char *format, ...)
{
    if (level > sink.level)
        return;
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    bool colour = log_has_colour(STDERR_FILENO) && *looks[level].colour;
    fprintf(stderr, "%s: %s%s%s%s\n", sink.program, colour ? looks[level].colour : "", looks[level].word, colour ? "\033[0m" : "", text);
}
