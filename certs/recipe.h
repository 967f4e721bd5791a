/*
 * certs/recipe.h - a PKI as a text: members, who signs whom, names, times, and at most one defect
 *
 * What:     reads a recipe (strict YAML, `format: 1`; certs/recipes/README.md is the manual) and checks it: every key, every word, every
 *           variable, no loop among the issuers. The recipes of certs/recipes/ are also built in, so that programs need no path to them.
 * Not here: making keys and certificates (certs/forge.h).
 * Errors:   owner file, SYNTAX: "file:line:col: what is wrong; what is allowed". NOT_FOUND for a file or a built-in that is not there.
 */
#ifndef CERTS_RECIPE_H
#define CERTS_RECIPE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct recipe;

enum { RECIPE_FORMAT = 1, RECIPE_MEMBERS_MAX = 16 };

/* Given: recipe_free() it. */
int recipe_read_file(const char *path, struct recipe **ret_recipe, struct error *error);
/* `name` stands for the path in errors and is the recipe's name. */
int recipe_read_text(const char *text, size_t length_bytes, const char *name, struct recipe **ret_recipe, struct error *error);
/* One of certs/recipes/, by its path there without ".yaml": "server/default", "device/root-leaf", "control". NOT_FOUND lists all names.
 * ".yaml" behind it does no harm. */
int recipe_read_builtin(const char *name, struct recipe **ret_recipe, struct error *error);
/* Its YAML text; NULL when there is none of that name. Lent for ever. */
const char *recipe_builtin_text(const char *name);
/* All names, NULL-terminated. Lent for ever. */
const char *const *recipe_builtin_names(void);
void recipe_free(struct recipe *recipe); /* NULL allowed */

const char *recipe_name(const struct recipe *recipe);
/* The sentence of `defect:`; NULL: the recipe has none. */
const char *recipe_defect(const struct recipe *recipe);
/* Does it say which member a server sends (`server:`)? */
bool recipe_is_for_server(const struct recipe *recipe);
/* Does a subject or an alternative name hold ${variable}? */
bool recipe_uses(const struct recipe *recipe, const char *variable);
size_t recipe_member_count(const struct recipe *recipe);
/* In file order. */
const char *recipe_member_name(const struct recipe *recipe, size_t index);
/* Index of the member that signs it: its own when it signs itself. Valid indices alone. */
size_t recipe_member_issuer(const struct recipe *recipe, size_t index);
/* The recipe's word: "rsa-2048". Valid indices alone. */
const char *recipe_member_key(const struct recipe *recipe, size_t index);

#endif
