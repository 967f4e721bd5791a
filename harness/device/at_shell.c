#include "harness/device/at_shell.h"

#include "base/bytes.h"
#include "harness/device/at.h"

#include <string.h>

static int check(const char *command, struct error *error)
{
    bool is_unescaped = strncmp(command, "AT%CMNG=0", 9) == 0;
    if (!is_unescaped && strpbrk(command, "\r\n"))
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "a line feed cannot be typed into a shell, but in AT%%CMNG=0");
    if (is_unescaped && strstr(command, "\\n"))
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX,
                         "AT%%CMNG=0 with a backslash and an n in its text: the device's shell would make a line end of them");
    return 0;
}

static int append_quoted(struct bytes *typed, const char *at)
{
    if (*at == '\n')
        return bytes_append_text(typed, "\\n");
    if (*at == '\'')
        return bytes_append_text(typed, "'\\''");
    if (*at == '\\')
        return bytes_append_text(typed, "'\\\\'");
    return *at == '\r' ? 0 : bytes_append(typed, at, 1);
}

char *at_shell_quote(const char *command, struct error *error)
{
    struct bytes typed;
    if (check(command, error))
        return NULL;
    bytes_init(&typed, 8 * AT_COMMAND_MAX_BYTES);
    int rc = bytes_append_text(&typed, "at '");
    for (const char *at = command; *at && !rc; at++)
        rc = append_quoted(&typed, at);
    rc = rc ? rc : bytes_append_text(&typed, "'");
    char *text = rc ? NULL : strdup(bytes_text(&typed));
    bytes_wipe(&typed);
    bytes_done(&typed);
    if (!text)
        error_set_memory(error);
    return text;
}

bool at_echo_take(struct at_echo *echo, const char *text, bool has_prompt)
{
    if (!echo->typed)
        return false;
    size_t length = strlen(text), all = strlen(echo->typed);
    size_t from = has_prompt ? 0 : echo->at;
    if (!length || length > all - from || strncmp(echo->typed + from, text, length) != 0)
        return false;
    /* The first characters alone say too little: "A" begins many a line. */
    bool is_certain = has_prompt || from > 0 || length == all;
    if (is_certain)
        echo->at = from + length;
    return is_certain;
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);
    return length > end_length && strcmp(text + length - end_length, end) == 0;
}

bool at_shell_is_unknown(const char *text)
{
    return ends_with(text, ": command not found");
}

bool at_shell_is_failure(const char *text)
{
    static const char start[] = "Sending AT command failed with error code ";
    return strncmp(text, start, sizeof(start) - 1) == 0;
}
