#include "base/error.h"

#include <stdio.h>
#include <string.h>

static void mark_cut(char *text, size_t size)
{
    memcpy(text + size - 4, "...", 4);
}

/* Foreign bytes are quoted in texts: they must neither break a line of the log nor drive a terminal. */
static void make_one_line(char *text)
{
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
}

int error_setv(struct error *error, enum error_owner owner, enum error_code code, const char *format, va_list args)
{
    if (!error)
        return -1;
    /* The old text may be among the arguments: format into a buffer of our own first. */
    char text[ERROR_TEXT_MAX_BYTES] = "";
    int length = vsnprintf(text, sizeof text, format, args);
    if (length >= (int)sizeof text)
        mark_cut(text, sizeof text);
    make_one_line(text);
    error->owner = owner;
    error->code = code;
    memcpy(error->text, text, sizeof text);
    return -1;
}

int(error_set)(struct error *error, enum error_owner owner, enum error_code code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    error_setv(error, owner, code, format, args);
    va_end(args);
    return -1;
}

int(error_set_errno)(struct error *error, enum error_owner owner, int errno_value, const char *format, ...)
{
    char what[ERROR_TEXT_MAX_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return error_set(error, owner, ERROR_IO, "%s: %s", what, strerror(errno_value));
}

int(error_set_memory)(struct error *error)
{
    return error_set(error, ERROR_OWNER_OURS, ERROR_MEMORY, "out of memory");
}

int(error_prefix)(struct error *error, const char *format, ...)
{
    if (!error)
        return -1;
    char prefix[ERROR_TEXT_MAX_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(prefix, sizeof prefix, format, args);
    va_end(args);
    return error_set(error, error->owner, error->code, "%s: %s", prefix, error->text);
}

static const struct {
    enum error_code code;
    const char *name;
} codes[] = {
#define X(code, name) {code, name},
    ERROR_CODES(X)
#undef X
};

const char *error_code_name(enum error_code code)
{
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i].code == code)
            return codes[i].name;
    return "none";
}

enum error_code error_code_from_name(const char *name)
{
    for (size_t i = 0; name && i < sizeof codes / sizeof codes[0]; i++)
        if (strcmp(codes[i].name, name) == 0)
            return codes[i].code;
    return ERROR_OTHER;
}

const char *error_owner_name(enum error_owner owner)
{
    switch (owner) {
    case ERROR_OWNER_FILE:
        return "file";
    case ERROR_OWNER_RIG:
        return "rig";
    case ERROR_OWNER_DEVICE:
        return "device";
    case ERROR_OWNER_PERSON:
        return "person";
    case ERROR_OWNER_OURS:
        break;
    }
    return "ours";
}
