#include "harness/rig/placeholder.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/yaml.h"

#include <string.h>

enum { WORD_MAX_BYTES = 64 * 1024, NAME_MAX_BYTES = 32 };

static const char *const names[] = {
#define X(id, name, text) [id] = name,
    PLACEHOLDERS(X)
#undef X
        [PLACEHOLDER_COUNT] = NULL,
};

const char *placeholder_name(enum placeholder placeholder)
{
    return placeholder < PLACEHOLDER_COUNT ? names[placeholder] : "?";
}

/* `at` points behind a brace: the length of a name that a brace closes; 0: there is none. */
static size_t name_length(const char *at)
{
    size_t length = strspn(at, "abcdefghijklmnopqrstuvwxyz_");
    return at[length] == '}' ? length : 0;
}

static enum placeholder find(const char *name, size_t length)
{
    int found = 0;
    while (found < PLACEHOLDER_COUNT && (strlen(names[found]) != length || strncmp(names[found], name, length) != 0))
        found++;
    return (enum placeholder)found;
}

/* The next placeholder or "{{" at or behind `at`; NULL: none. ret_length: of the name; 0: it is "{{". */
static const char *next(const char *at, size_t *ret_length)
{
    for (at = strchr(at, '{'); at; at = strchr(at + 1, '{')) {
        *ret_length = name_length(at + 1);
        if (*ret_length || at[1] == '{')
            return at;
    }
    return NULL;
}

static int fail(const char *name, size_t length, struct error *error)
{
    char copy[NAME_MAX_BYTES];
    snprintf(copy, sizeof copy, "%.*s", (int)length, name);
    const char *near = text_nearest(copy, names);
    return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "'{%s}' is no placeholder%s%s%s (a plain brace is written '{{')", copy,
                     near ? "; did you mean '{" : "", near ? near : "", near ? "}'?" : "");
}

int placeholder_check(const char *word, struct error *error)
{
    size_t length;
    for (const char *at = next(word, &length); at; at = next(at + (length ? length : 2), &length))
        if (length && find(at + 1, length) == PLACEHOLDER_COUNT)
            return fail(at + 1, length, error);
    return 0;
}

bool placeholder_stands_in(const char *word, enum placeholder placeholder)
{
    size_t length;
    for (const char *at = next(word, &length); at; at = next(at + (length ? length : 2), &length))
        if (length && find(at + 1, length) == placeholder)
            return true;
    return false;
}

char *placeholder_fill(const char *word, const char *const values[PLACEHOLDER_COUNT])
{
    CLEANUP(bytes_done) struct bytes text = {.max_bytes = WORD_MAX_BYTES};
    size_t length;
    const char *from = word;
    for (const char *at = next(word, &length); at; at = next(from, &length)) {
        enum placeholder placeholder = length ? find(at + 1, length) : PLACEHOLDER_COUNT;
        const char *value = placeholder < PLACEHOLDER_COUNT ? values[placeholder] : "{";
        if (bytes_append(&text, from, (size_t)(at - from)) || bytes_append_text(&text, value ? value : ""))
            return NULL;
        from = at + length + 2;
    }
    return bytes_append_text(&text, from) ? NULL : strdup(bytes_text(&text));
}
