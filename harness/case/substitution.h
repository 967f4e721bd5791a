/*
 * harness/case/substitution.h - ${name} in the texts of a case
 *
 * What:     a small list of names and values (the case's own `vary`, and what belongs to the device), and reading of a YAML scalar with every
 *           ${name} in it replaced.
 * Errors:   file, at the scalar: a name that is not in the list; the error lists those that are.
 */
#ifndef HARNESS_CASE_SUBSTITUTION_H
#define HARNESS_CASE_SUBSTITUTION_H

#include "base/yaml.h"

enum { SUBSTITUTION_MAX = 16, SUBSTITUTION_TEXT_MAX_BYTES = 16 * 1024 };

/* Names and values are lent. */
struct substitution {
    const char *names[SUBSTITUTION_MAX + 1]; /* NULL-terminated */
    const char *values[SUBSTITUTION_MAX];
    size_t count;
};

/* LIMIT (ours) when it is full. */
int substitution_add(struct substitution *substitution, const char *name, const char *value, struct error *error);
/* NULL when there is none of that name. */
const char *substitution_value(const struct substitution *substitution, const char *name);
/* The scalar's text with values put in. ret_text: malloc'ed. */
int substitution_read(const struct substitution *substitution, struct yaml_node node, char **ret_text, struct error *error);

#endif
