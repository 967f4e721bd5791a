/*
 * base/yaml.h - our own YAML files, read strictly, with a place for every complaint
 *
 * What:     reads cases, rig files and recipes. Keeps line and column of every node (libfyaml), so that an error found long after loading
 *           still says "cases/refused/wrong-chain.yaml:14:7: ...". Refuses duplicate keys, aliases, anchors and more than one document.
 * Not here: what the keys mean. Azure's JSON is read leniently elsewhere (certs/dps_state.h).
 * Errors:   owner file, code SYNTAX unless said otherwise. Success outputs are untouched on failure.
 * Lifetime: nodes and the strings got from them are lent; they die with yaml_free().
 */
#ifndef BASE_YAML_H
#define BASE_YAML_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { YAML_FILE_MAX_BYTES = 1024 * 1024 };

struct yaml; /* one document */

/* A plain value: copy it freely. `node` is NULL for "not there". */
struct yaml_node {
    const struct yaml *yaml;
    void *node;
    int line; /* from 1; of the key when the node is a value in a mapping that has no token of its own (an empty list) */
    int column;
};

struct yaml *yaml_read_file(const char *path, struct error *error);
/* `name` stands for the path in errors. */
struct yaml *yaml_read_text(const char *text, size_t length_bytes, const char *name, struct error *error);
void yaml_free(struct yaml *yaml);
const char *yaml_name(const struct yaml *yaml);

struct yaml_node yaml_root(const struct yaml *yaml);
bool yaml_is_there(struct yaml_node node);
bool yaml_is_map(struct yaml_node node);
bool yaml_is_list(struct yaml_node node);
bool yaml_is_scalar(struct yaml_node node);
bool yaml_is_quoted(struct yaml_node node); /* a scalar in quotes, or a block: a text, whatever it looks like */
bool yaml_is_null(struct yaml_node node);   /* not there, empty, ~ or null */

/* "file:line:col: text". Returns -1. */
int yaml_fail(struct yaml_node node, struct error *error, const char *format, ...) __attribute__((format(printf, 3, 4)));

#define yaml_fail(...)                                                                                                                     \
    ({                                                                                                                                     \
        (void)(yaml_fail)(__VA_ARGS__);                                                                                                    \
        -1;                                                                                                                                \
    }) /* as error_set: base/error.h */

/*
 * Refuse a node that is not a mapping, and every key that is not in `allowed` (NULL-terminated). The error stands at the key, quotes it,
 * suggests the nearest allowed word and lists them all. `what` names the mapping: "a case", "expect.console".
 */
int yaml_check_keys(struct yaml_node map, const char *what, const char *const *allowed, struct error *error);

/*
 * Refuse a mapping whose `format` is missing or not the one number that we read; the error says which that is. To be asked before yaml_check_keys: a
 * file of a later format may well have keys that we do not know. What is no mapping passes here: yaml_check_keys has the words for it.
 */
int yaml_check_format(struct yaml_node map, const char *what, int64_t format, struct error *error);

/* The value of `key`, not-there when missing (or when `map` is not a mapping). */
struct yaml_node yaml_get(struct yaml_node map, const char *key);
/* As yaml_get, but missing or null is an error at the mapping. */
int yaml_require(struct yaml_node map, const char *key, struct yaml_node *ret_value, struct error *error);

/* Pairs of a mapping and items of a list in file order; 0 for anything else. */
size_t yaml_count(struct yaml_node node);
struct yaml_node yaml_key_at(struct yaml_node map, size_t index);
struct yaml_node yaml_value_at(struct yaml_node map, size_t index);
struct yaml_node yaml_item_at(struct yaml_node list, size_t index);

/* The scalar's text without quotes, NUL-terminated, lent; NULL for anything but a scalar. */
const char *yaml_text(struct yaml_node node);

/* Typed reads; the error says what was expected and quotes what stands there. Ranges are inclusive. */
int yaml_read_string(struct yaml_node node, const char **ret_text, struct error *error);
int yaml_read_integer(struct yaml_node node, int64_t min, int64_t max, int64_t *ret_value, struct error *error);
int yaml_read_number(struct yaml_node node, double min, double max, double *ret_value, struct error *error);
int yaml_read_bool(struct yaml_node node, bool *ret_value, struct error *error); /* true or false, nothing else */
/* Index of the text in `words` (NULL-terminated). */
int yaml_read_word(struct yaml_node node, const char *what, const char *const *words, size_t *ret_index, struct error *error);

/* The nearest of `words` to `text` when it is near enough to be a slip of the finger, else NULL. For option names too. */
const char *text_nearest(const char *text, const char *const *words);

#endif
