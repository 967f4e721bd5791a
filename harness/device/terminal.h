/*
 * harness/device/terminal.h - what a terminal would show of a line on which a shell has drawn
 *
 * What:     carries out cursor moves and erasures of VT100, so that a log line that was printed over a prompt and half a command is the log line alone,
 *           and takes prompts off the front.
 * Source:   Zephyr subsys/shell/shell_ops.c: ESC[nD, ESC[nA, ESC[J before a log line, the prompt and what is typed again behind it. A prompt is a
 *           name and ":~$ ": uart:~$, mosh:~$, desh:~$.
 * Limits:   linear in the line; the text never grows.
 */
#ifndef HARNESS_DEVICE_TERMINAL_H
#define HARNESS_DEVICE_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

struct terminal_line {
    size_t length_bytes; /* of the text that is left */
    size_t prompt_count; /* prompts that stood in front of it */
    bool was_erased;     /* something that was shown is no more */
};

/* `text` may be `data`; it holds length_bytes and a NUL. */
struct terminal_line terminal_render(const char *data, size_t length_bytes, char *text);
/* Is there anything to be carried out, or a prompt? Without it the text is the data. */
bool terminal_is_needed(const char *data, size_t length_bytes);

#endif
