#include "base/yaml.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/files.h"
#include "base/utf8.h"

#include <errno.h>
#include <libfyaml.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct yaml {
    char *name;
    char *text; /* libfyaml's scalars point into it */
    struct fy_document *document;
};

static struct yaml_node node_at(const struct yaml *yaml, struct fy_node *node, int line, int column);

static void set_syntax_error(struct fy_diag *diag, const char *name, struct error *error)
{
    void *at = NULL;
    struct fy_diag_error *found = fy_diag_errors_iterate(diag, &at);
    if (found)
        error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s:%d:%d: %s", name, found->line, found->column, found->msg);
    else
        error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s: not valid YAML", name);
}

static struct fy_document *parse(const char *text, size_t length, const char *name, struct error *error)
{
    struct fy_diag_cfg diag_cfg;
    fy_diag_cfg_default(&diag_cfg);
    diag_cfg.fp = NULL; /* QUIET leaves "fy_parse_load_document() failed" on stderr */
    struct fy_diag *diag = fy_diag_create(&diag_cfg);
    if (!diag) {
        error_set_memory(error);
        return NULL;
    }
    fy_diag_set_collect_errors(diag, true);
    struct fy_parse_cfg cfg = {.flags = FYPCF_QUIET | FYPCF_ALLOW_DUPLICATE_KEYS | FYPCF_JSON_NONE, .diag = diag};
    struct fy_document *document = fy_document_build_from_string(&cfg, text, length);
    if (!document)
        set_syntax_error(diag, name, error);
    fy_diag_destroy(diag);
    return document;
}

static bool same_scalar(struct fy_node *a, struct fy_node *b)
{
    size_t a_length, b_length;
    const char *a_text = fy_node_get_scalar(a, &a_length), *b_text = fy_node_get_scalar(b, &b_length);
    return a_text && b_text && a_length == b_length && memcmp(a_text, b_text, a_length) == 0;
}

static int check_map(const struct yaml *yaml, struct yaml_node map, struct error *error);

static bool is_quoted(struct fy_node *node)
{
    enum fy_node_style style = fy_node_get_style(node);
    return style == FYNS_SINGLE_QUOTED || style == FYNS_DOUBLE_QUOTED;
}

static bool has_one_line(struct fy_node *node)
{
    struct fy_token *token = fy_node_get_scalar_token(node);
    const struct fy_mark *start = fy_token_start_mark(token), *end = fy_token_end_mark(token);
    return !start || !end || start->line == end->line;
}

/* libfyaml 0.7.12 gives a quoted text that ends in an empty line one byte too long, and that byte is no one's. */
static int check_scalar(struct yaml_node node, struct error *error)
{
    size_t length;
    if (is_quoted(node.node) && !has_one_line(node.node))
        return yaml_fail(node, error, "a text in quotes must end on its line; write a longer one behind '>' or '|'");
    const char *text = fy_node_get_scalar(node.node, &length);
    if (text && memchr(text, 0, length))
        return yaml_fail(node, error, "a text may not hold a NUL character");
    return 0;
}

/* What libfyaml allows and we do not. Recursion is bounded: libfyaml refuses more than 64 levels. */
static int check_node(const struct yaml *yaml, struct yaml_node node, struct error *error)
{
    if (!node.node)
        return 0;
    if (fy_node_is_alias(node.node))
        return yaml_fail(node, error, "aliases ('*name') are not supported; write the value out");
    if (fy_node_get_anchor(node.node))
        return yaml_fail(node, error, "anchors ('&name') are not supported; write the value out where it is needed");
    if (fy_node_get_tag(node.node, NULL))
        return yaml_fail(node, error, "tags ('!name') are not supported");
    if (yaml_is_scalar(node))
        return check_scalar(node, error);
    if (yaml_is_map(node))
        return check_map(yaml, node, error);
    for (size_t i = 0; i < yaml_count(node); i++)
        if (check_node(yaml, yaml_item_at(node, i), error))
            return -1;
    return 0;
}

static int check_map(const struct yaml *yaml, struct yaml_node map, struct error *error)
{
    for (size_t i = 0; i < yaml_count(map); i++) {
        struct yaml_node key = yaml_key_at(map, i);
        if (!yaml_is_scalar(key) || yaml_is_null(key))
            return yaml_fail(key, error, "a key must be a plain word");
        if (check_node(yaml, key, error))
            return -1;
        for (size_t j = 0; j < i; j++)
            if (same_scalar(yaml_key_at(map, j).node, key.node))
                return yaml_fail(key, error, "duplicate key '%s'; it stands already at line %d", yaml_text(key), yaml_key_at(map, j).line);
        if (check_node(yaml, yaml_value_at(map, i), error))
            return -1;
    }
    return 0;
}

static int check_utf8(const struct yaml *yaml, struct error *error)
{
    const char *bad = utf8_find_error(yaml->text), *line = yaml->text;
    if (!bad)
        return 0;
    int number = 1;
    for (const char *next; (next = memchr(line, '\n', (size_t)(bad - line))); line = next + 1)
        number++;
    return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s:%d:%d: byte 0x%02x is not UTF-8", yaml->name, number, (int)(bad - line) + 1,
                     (unsigned char)*bad);
}

static bool is_marker(const char *line, const char *marker)
{
    return strncmp(line, marker, 3) == 0 && (!line[3] || strchr(" \t\r\n", line[3]));
}

static bool is_blank(const char *text)
{
    text += strspn(text, " \t\r");
    return !*text || *text == '\n' || *text == '#';
}

/* libfyaml reads the first document and drops the rest without a word; of a file without content it says nothing either. */
static int check_single_document(const struct yaml *yaml, struct error *error)
{
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    const char *at = yaml->text + (strncmp(yaml->text, byte_order_mark, 3) == 0 ? 3 : 0);
    bool has_begun = false, has_content = false, has_ended = false;
    for (int line = 1; *at; line++) {
        bool begins = is_marker(at, "---"), ends = is_marker(at, "..."), is_directive = !has_begun && !has_content && *at == '%';
        bool fills = begins ? !is_blank(at + 3) : !ends && !is_directive && !is_blank(at);
        if ((begins && (has_begun || has_content || has_ended)) || (fills && has_ended))
            return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s:%d:1: a second document starts here; one file holds one",
                             yaml->name, line);
        has_begun |= begins;
        has_content |= fills;
        has_ended |= ends;
        at = strchrnul(at, '\n');
        at += *at == '\n';
    }
    if (!has_content)
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s:1:1: the file is empty", yaml->name);
    return 0;
}

DEFINE_CLEANUP(struct yaml *, yaml_free)

struct yaml *yaml_read_text(const char *text, size_t length_bytes, const char *name, struct error *error)
{
    CLEANUP(yaml_free_cleanup) struct yaml *yaml = calloc(1, sizeof *yaml);
    if (!yaml || !(yaml->name = strdup(name)) || !(yaml->text = strndup(text, length_bytes))) {
        error_set_memory(error);
        return NULL;
    }
    if (strlen(yaml->text) != length_bytes) {
        error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s: holds a NUL byte: not a text file", name);
        return NULL;
    }
    if (length_bytes > YAML_FILE_MAX_BYTES) {
        error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "%s: larger than %d bytes", name, YAML_FILE_MAX_BYTES);
        return NULL;
    }
    if (check_utf8(yaml, error) || check_single_document(yaml, error))
        return NULL;
    yaml->document = parse(yaml->text, length_bytes, name, error);
    if (!yaml->document || check_node(yaml, yaml_root(yaml), error))
        return NULL;
    return TAKE(yaml);
}

struct yaml *yaml_read_file(const char *path, struct error *error)
{
    CLEANUP(bytes_done) struct bytes all = {0};
    if (file_read(path, YAML_FILE_MAX_BYTES, &all, error))
        return NULL;
    return yaml_read_text(bytes_text(&all), all.length_bytes, path, error);
}

void yaml_free(struct yaml *yaml)
{
    if (!yaml)
        return;
    if (yaml->document)
        fy_document_destroy(yaml->document);
    free(yaml->text);
    free(yaml->name);
    free(yaml);
}

const char *yaml_name(const struct yaml *yaml)
{
    return yaml->name;
}

/* A scalar has a token; a collection has that of its first scalar, unless it is empty. NULL: no token. */
static struct fy_node *first_of(struct fy_node *node)
{
    while (node && !fy_node_is_scalar(node)) {
        if (fy_node_is_mapping(node)) {
            struct fy_node_pair *pair = fy_node_mapping_get_by_index(node, 0);
            node = pair ? fy_node_pair_key(pair) : NULL;
        } else {
            node = fy_node_sequence_get_by_index(node, 0);
        }
    }
    return node;
}

static const struct fy_mark *mark_of(struct fy_node *node)
{
    struct fy_node *first = first_of(node);
    struct fy_token *token = first ? fy_node_get_scalar_token(first) : NULL;
    return token ? fy_token_start_mark(token) : NULL;
}

/* libfyaml's mark stands behind an opening quote or the '*' of an alias. */
static int signs_before(struct fy_node *node)
{
    enum fy_node_style style = fy_node_get_style(node);
    return style == FYNS_SINGLE_QUOTED || style == FYNS_DOUBLE_QUOTED || style == FYNS_ALIAS;
}

static struct yaml_node node_at(const struct yaml *yaml, struct fy_node *node, int line, int column)
{
    struct yaml_node result = {.yaml = yaml, .node = node, .line = line, .column = column};
    const struct fy_mark *mark = mark_of(node);
    if (mark) {
        result.line = mark->line + 1;
        result.column = mark->column + 1 - signs_before(first_of(node));
    }
    return result;
}

struct yaml_node yaml_root(const struct yaml *yaml)
{
    return node_at(yaml, fy_document_root(yaml->document), 1, 1);
}

bool yaml_is_there(struct yaml_node node)
{
    return node.node != NULL;
}

bool yaml_is_map(struct yaml_node node)
{
    return node.node && fy_node_is_mapping(node.node);
}

bool yaml_is_list(struct yaml_node node)
{
    return node.node && fy_node_is_sequence(node.node);
}

bool yaml_is_scalar(struct yaml_node node)
{
    return node.node && fy_node_is_scalar(node.node);
}

static bool is_plain(struct yaml_node node)
{
    enum fy_node_style style = fy_node_get_style(node.node);
    return style == FYNS_PLAIN || style == FYNS_ANY;
}

bool yaml_is_quoted(struct yaml_node node)
{
    return yaml_is_scalar(node) && !is_plain(node);
}

bool yaml_is_null(struct yaml_node node)
{
    if (!node.node)
        return true;
    const char *text = yaml_text(node);
    return text && is_plain(node) && (!*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

int(yaml_fail)(struct yaml_node node, struct error *error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    error_setv(error, ERROR_OWNER_FILE, ERROR_SYNTAX, format, args);
    va_end(args);
    return error_prefix(error, "%s:%d:%d", node.yaml ? node.yaml->name : "?", node.line, node.column);
}

static void list_words(struct bytes *out, const char *const *words)
{
    for (const char *const *word = words; *word; word++)
        bytes_printf(out, "%s%s", word == words ? "" : ", ", *word);
}

int yaml_check_keys(struct yaml_node map, const char *what, const char *const *allowed, struct error *error)
{
    if (!yaml_is_map(map))
        return yaml_fail(map, error, "%s must be a mapping (key: value)", what);
    for (size_t i = 0; i < yaml_count(map); i++) {
        struct yaml_node key = yaml_key_at(map, i);
        bool is_known = false;
        for (const char *const *word = allowed; *word && !is_known; word++)
            is_known = strcmp(yaml_text(key), *word) == 0;
        if (is_known)
            continue;
        CLEANUP(bytes_done) struct bytes words;
        bytes_init(&words, ERROR_TEXT_MAX_BYTES);
        list_words(&words, allowed);
        const char *near = text_nearest(yaml_text(key), allowed);
        return yaml_fail(key, error, "unknown key '%s' in %s%s%s%s; allowed: %s", yaml_text(key), what, near ? "; did you mean '" : "",
                         near ? near : "", near ? "'?" : "", bytes_text(&words));
    }
    return 0;
}

struct yaml_node yaml_get(struct yaml_node map, const char *key)
{
    for (size_t i = 0; yaml_is_map(map) && i < yaml_count(map); i++)
        if (strcmp(yaml_text(yaml_key_at(map, i)), key) == 0)
            return yaml_value_at(map, i);
    return (struct yaml_node){.yaml = map.yaml, .line = map.line, .column = map.column};
}

int yaml_require(struct yaml_node map, const char *key, struct yaml_node *ret_value, struct error *error)
{
    struct yaml_node value = yaml_get(map, key);
    if (yaml_is_null(value))
        return yaml_fail(value, error, "key '%s' is missing%s", key, yaml_is_there(value) ? " its value" : "");
    *ret_value = value;
    return 0;
}

int yaml_check_format(struct yaml_node map, const char *what, int64_t format, struct error *error)
{
    char wanted[32];
    struct yaml_node node;
    if (!yaml_is_map(map))
        return 0;
    if (yaml_require(map, "format", &node, error))
        return -1;
    snprintf(wanted, sizeof wanted, "%lld", (long long)format);
    if (!yaml_text(node) || strcmp(yaml_text(node), wanted) != 0)
        return yaml_fail(node, error, "format '%s': this version of dpsbench reads %s of format %s",
                         yaml_text(node) ? yaml_text(node) : "(not a plain value)", what, wanted);
    return 0;
}

size_t yaml_count(struct yaml_node node)
{
    int count = yaml_is_map(node) ? fy_node_mapping_item_count(node.node) : yaml_is_list(node) ? fy_node_sequence_item_count(node.node) : 0;
    return count < 0 ? 0 : (size_t)count;
}

struct yaml_node yaml_key_at(struct yaml_node map, size_t index)
{
    struct fy_node_pair *pair = fy_node_mapping_get_by_index(map.node, (int)index);
    return node_at(map.yaml, fy_node_pair_key(pair), map.line, map.column);
}

struct yaml_node yaml_value_at(struct yaml_node map, size_t index)
{
    struct yaml_node key = yaml_key_at(map, index);
    struct fy_node_pair *pair = fy_node_mapping_get_by_index(map.node, (int)index);
    return node_at(map.yaml, fy_node_pair_value(pair), key.line, key.column);
}

struct yaml_node yaml_item_at(struct yaml_node list, size_t index)
{
    return node_at(list.yaml, fy_node_sequence_get_by_index(list.node, (int)index), list.line, list.column);
}

const char *yaml_text(struct yaml_node node)
{
    return yaml_is_scalar(node) ? fy_node_get_scalar0(node.node) : NULL;
}

int yaml_read_string(struct yaml_node node, const char **ret_text, struct error *error)
{
    const char *text = yaml_text(node);
    if (!text)
        return yaml_fail(node, error, "a text is expected here");
    *ret_text = text;
    return 0;
}

int yaml_read_integer(struct yaml_node node, int64_t min, int64_t max, int64_t *ret_value, struct error *error)
{
    const char *text = yaml_text(node);
    char *end;
    errno = 0;
    long long value = text && *text ? strtoll(text, &end, 10) : 0;
    if (!text || !*text || *end || errno || value < min || value > max)
        return yaml_fail(node, error, "'%s' is not a whole number from %lld to %lld", text ? text : "(not a plain value)", (long long)min,
                         (long long)max);
    *ret_value = value;
    return 0;
}

int yaml_read_number(struct yaml_node node, double min, double max, double *ret_value, struct error *error)
{
    const char *text = yaml_text(node);
    char *end;
    double value = text && *text ? strtod(text, &end) : 0;
    if (!text || !*text || *end || text[strspn(text, "0123456789+-.eE")] || !isfinite(value) || value < min || value > max)
        return yaml_fail(node, error, "'%s' is not a number from %g to %g", text ? text : "(not a plain value)", min, max);
    *ret_value = value;
    return 0;
}

int yaml_read_bool(struct yaml_node node, bool *ret_value, struct error *error)
{
    const char *text = yaml_text(node);
    bool is_true = text && strcmp(text, "true") == 0;
    if (!is_true && !(text && strcmp(text, "false") == 0))
        return yaml_fail(node, error, "'%s' is neither true nor false", text ? text : "(not a plain value)");
    *ret_value = is_true;
    return 0;
}

int yaml_read_word(struct yaml_node node, const char *what, const char *const *words, size_t *ret_index, struct error *error)
{
    const char *text = yaml_text(node);
    for (size_t i = 0; text && words[i]; i++)
        if (strcmp(words[i], text) == 0) {
            *ret_index = i;
            return 0;
        }
    CLEANUP(bytes_done) struct bytes list;
    bytes_init(&list, ERROR_TEXT_MAX_BYTES);
    list_words(&list, words);
    return yaml_fail(node, error, "'%s' is not %s; one of: %s", text ? text : "(not a plain value)", what, bytes_text(&list));
}

enum { NEAREST_MAX_BYTES = 64 };

static unsigned distance(const char *a, const char *b)
{
    size_t a_length = strlen(a), b_length = strlen(b);
    if (a_length > NEAREST_MAX_BYTES || b_length > NEAREST_MAX_BYTES)
        return UINT_MAX;
    unsigned row[NEAREST_MAX_BYTES + 1];
    for (size_t j = 0; j <= b_length; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= a_length; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_length; j++) {
            unsigned best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[b_length];
}

const char *text_nearest(const char *text, const char *const *words)
{
    const char *best = NULL;
    unsigned best_distance = (unsigned)strlen(text) / 3 + 1;
    for (const char *const *word = words; *word; word++) {
        unsigned d = distance(text, *word);
        if (d <= best_distance && (!best || d < best_distance)) {
            best = *word;
            best_distance = d;
        }
    }
    return best;
}
