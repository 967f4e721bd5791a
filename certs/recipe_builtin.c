#include "certs/recipe_model.h"

#include <stdio.h>
#include <string.h>

const char *const *recipe_builtin_names(void)
{
    return recipe_builtin_name_table;
}

/* Cases name recipes as files: "device/root-leaf.yaml" is "device/root-leaf". */
static bool is_named(const char *recipe, const char *name)
{
    size_t length = strlen(recipe);
    return strncmp(recipe, name, length) == 0 && (!name[length] || strcmp(name + length, ".yaml") == 0);
}

const char *recipe_builtin_text(const char *name)
{
    for (size_t i = 0; recipe_builtin_name_table[i]; i++)
        if (is_named(recipe_builtin_name_table[i], name))
            return recipe_builtin_text_table[i];
    return NULL;
}

static void list_names(char *text, size_t size)
{
    size_t used = 0;
    text[0] = 0;
    for (size_t i = 0; recipe_builtin_name_table[i] && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "", recipe_builtin_name_table[i]);
}

int recipe_read_builtin(const char *name, struct recipe **ret_recipe, struct error *error)
{
    const char *text = recipe_builtin_text(name);
    if (!text) {
        char names[ERROR_TEXT_MAX_BYTES / 2];
        list_names(names, sizeof names);
        const char *near = text_nearest(name, recipe_builtin_name_table);
        return error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "recipe '%s' is not built in%s%s%s; there are: %s", name,
                         near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "", names);
    }
    return recipe_read_text(text, strlen(text), name, ret_recipe, error);
}
