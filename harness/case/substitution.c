#include "harness/case/substitution.h"

#include "base/bytes.h"
#include "base/cleanup.h"

#include <string.h>

int substitution_add(struct substitution *substitution, const char *name, const char *value, struct error *error)
{
    if (substitution->count == SUBSTITUTION_MAX)
        return error_set(error, ERROR_OWNER_OURS, ERROR_LIMIT, "more than %d variables in a case", SUBSTITUTION_MAX);
    substitution->names[substitution->count] = name;
    substitution->values[substitution->count++] = value;
    return 0;
}

const char *substitution_value(const struct substitution *substitution, const char *name)
{
    for (size_t i = 0; i < substitution->count; i++)
        if (strcmp(substitution->names[i], name) == 0)
            return substitution->values[i];
    return NULL;
}

static int fail_unknown(const struct substitution *substitution, struct yaml_node node, const char *name, struct error *error)
{
    CLEANUP(bytes_done) struct bytes known = {.max_bytes = ERROR_TEXT_MAX_BYTES};
    for (size_t i = 0; i < substitution->count; i++)
        bytes_printf(&known, "%s${%s}", i ? ", " : "", substitution->names[i]);
    return yaml_fail(node, error, "unknown variable '${%s}'; known: %s", name, known.length_bytes ? bytes_text(&known) : "none");
}

/* Append the value of the variable that begins at `at` ("${name}..."); ret_end: behind its brace. */
static int append_value(const struct substitution *substitution, struct yaml_node node, const char *at, struct bytes *out,
                        const char **ret_end, struct error *error)
{
    const char *brace = strchr(at, '}');
    if (!brace)
        return yaml_fail(node, error, "'${' without '}'");
    CLEANUP_FREE char *name = strndup(at + 2, (size_t)(brace - at - 2));
    if (!name)
        return error_set_memory(error);
    const char *value = substitution_value(substitution, name);
    if (!value)
        return fail_unknown(substitution, node, name, error);
    if (bytes_append_text(out, value))
        return yaml_fail(node, error, "the text is longer than %d bytes", SUBSTITUTION_TEXT_MAX_BYTES);
    *ret_end = brace + 1;
    return 0;
}

int substitution_read(const struct substitution *substitution, struct yaml_node node, char **ret_text, struct error *error)
{
    const char *text;
    if (yaml_read_string(node, &text, error))
        return -1;
    CLEANUP(bytes_done) struct bytes out = {.max_bytes = SUBSTITUTION_TEXT_MAX_BYTES};
    for (const char *at = text; *at;) {
        if (at[0] == '$' && at[1] == '{') {
            if (append_value(substitution, node, at, &out, &at, error))
                return -1;
        } else if (bytes_append_byte(&out, (uint8_t)*at++)) {
            return yaml_fail(node, error, "the text is longer than %d bytes", SUBSTITUTION_TEXT_MAX_BYTES);
        }
    }
    char *copy = strdup(bytes_text(&out));
    if (!copy)
        return error_set_memory(error);
    *ret_text = copy;
    return 0;
}
