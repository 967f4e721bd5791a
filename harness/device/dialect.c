#include "harness/device/dialect.h"

#include "base/cleanup.h"
#include "base/pattern.h"
#include "base/yaml.h"

#include <errno.h>
#include <regex.h>
#include <string.h>

enum { PATTERN_MAX_BYTES = 512 };

enum capture_type { CAPTURE_TEXT, CAPTURE_INTEGER };

struct capture {
    char *name;
    enum capture_type type;
};

struct entry {
    const char *event; /* one of event_names */
    char *module;      /* "": a bare line */
    enum zephyr_level level;
    regex_t pattern;
    bool has_pattern;
    bool is_terminal;
    struct capture captures[DIALECT_CAPTURES_MAX];
    size_t capture_count;
};

struct dialect {
    char *title;
    struct entry *entries;
    size_t count;
};

/* ---- the list of events */

static const struct {
    const char *name, *captures;
} known_events[] = {
#define X(name, captures, text) {name, captures},
    DIALECT_EVENTS(X)
#undef X
};

static const char *const event_names[] = {
#define X(name, captures, text) name,
    DIALECT_EVENTS(X)
#undef X
        NULL};

static const char *const type_names[] = {"text", "integer", NULL};

const char *const *dialect_event_names(void)
{
    return event_names;
}

bool dialect_is_event(const char *name)
{
    for (size_t i = 0; event_names[i]; i++)
        if (strcmp(event_names[i], name) == 0)
            return true;
    return false;
}

/* ---- reading */

/* The fields of an event are part of the contract: an entry gives all of them, and no other. */
static int check_captures(struct yaml_node node, size_t event, const struct entry *entry, struct error *error)
{
    char given[512] = "";
    for (size_t i = 0; i < entry->capture_count; i++) {
        size_t length = strlen(given);
        snprintf(given + length, sizeof(given) - length, "%s%s:%s", i ? " " : "", entry->captures[i].name,
                 type_names[entry->captures[i].type]);
    }
    const char *wanted = known_events[event].captures;
    if (strcmp(given, wanted) == 0)
        return 0;
    return yaml_fail(node, error, "'%s' has the captures '%s', in this order; here stand '%s'", entry->event, wanted, given);
}

static int read_captures(struct yaml_node map, struct entry *entry, struct error *error)
{
    if (yaml_count(map) > DIALECT_CAPTURES_MAX)
        return yaml_fail(map, error, "at most %d captures", DIALECT_CAPTURES_MAX);
    for (size_t i = 0; i < yaml_count(map); i++) {
        size_t type;
        if (yaml_read_word(yaml_value_at(map, i), "type of a capture", type_names, &type, error))
            return -1;
        char *name = strdup(yaml_text(yaml_key_at(map, i)));
        if (!name)
            return error_set_memory(error);
        entry->captures[entry->capture_count++] = (struct capture){.name = name, .type = (enum capture_type)type};
    }
    return 0;
}

/* With a back-reference matching is not linear any more. */
static bool has_back_reference(const char *pattern)
{
    for (const char *at = pattern; (at = strchr(at, '\\')) && at[1]; at += 2)
        if (at[1] >= '1' && at[1] <= '9')
            return true;
    return false;
}

static int read_pattern(struct yaml_node node, struct entry *entry, struct error *error)
{
    const char *text;
    if (yaml_read_string(node, &text, error))
        return -1;
    if (strlen(text) > PATTERN_MAX_BYTES)
        return yaml_fail(node, error, "an expression has at most %d bytes", PATTERN_MAX_BYTES);
    if (has_back_reference(text))
        return yaml_fail(node, error, "back-references are not supported");
    if (pattern_cost(text) > PATTERN_COST_MAX)
        return yaml_fail(node, error,
                         "'%s' costs too much: with its repetitions unrolled it has more than %d parts, or it refers back (\\1)", text,
                         PATTERN_COST_MAX);
    int rc = regcomp(&entry->pattern, text, REG_EXTENDED);
    if (rc) {
        char reason[128];
        regerror(rc, &entry->pattern, reason, sizeof(reason));
        return yaml_fail(node, error, "'%s' is no POSIX extended expression: %s", text, reason);
    }
    entry->has_pattern = true;
    if (entry->pattern.re_nsub < entry->capture_count)
        return yaml_fail(node, error, "%zu captures are named, but the expression has %zu groups", entry->capture_count,
                         entry->pattern.re_nsub);
    return 0;
}

static int read_level(struct yaml_node node, struct entry *entry, struct error *error)
{
    static const char *const words[] = {"err", "wrn", "inf", "dbg", NULL};
    size_t index;
    if (!yaml_is_there(node))
        return 0;
    if (yaml_read_word(node, "level", words, &index, error))
        return -1;
    entry->level = (enum zephyr_level)(ZEPHYR_LEVEL_ERR + (int)index);
    return 0;
}

static int read_module(struct yaml_node node, struct entry *entry, struct error *error)
{
    const char *text = "";
    if (yaml_is_there(node) && yaml_read_string(node, &text, error))
        return -1;
    entry->module = strdup(text);
    return entry->module ? 0 : error_set_memory(error);
}

static int read_event(struct yaml_node map, struct entry *entry, size_t *ret_event, struct error *error)
{
    struct yaml_node node;
    if (yaml_require(map, "event", &node, error) || yaml_read_word(node, "event", event_names, ret_event, error))
        return -1;
    entry->event = event_names[*ret_event];
    return 0;
}

static int read_entry(struct yaml_node map, struct entry *entry, struct error *error)
{
    static const char *const keys[] = {"event", "module", "level", "message", "captures", "terminal", "source", NULL};
    struct yaml_node message, source, captures = yaml_get(map, "captures"), terminal = yaml_get(map, "terminal");
    const char *text;
    size_t event;
    if (yaml_check_keys(map, "an event of a dialect", keys, error) || read_event(map, entry, &event, error))
        return -1;
    if (read_module(yaml_get(map, "module"), entry, error) || read_level(yaml_get(map, "level"), entry, error))
        return -1;
    if (read_captures(captures, entry, error) || check_captures(yaml_is_there(captures) ? captures : map, event, entry, error))
        return -1;
    if (yaml_require(map, "message", &message, error) || read_pattern(message, entry, error))
        return -1;
    if (yaml_require(map, "source", &source, error) || yaml_read_string(source, &text, error))
        return -1;
    return yaml_is_there(terminal) ? yaml_read_bool(terminal, &entry->is_terminal, error) : 0;
}

static int read_entries(struct yaml_node list, struct dialect *dialect, struct error *error)
{
    size_t count = yaml_count(list);
    if (!yaml_is_list(list) || !count || count > DIALECT_ENTRIES_MAX)
        return yaml_fail(list, error, "'events' is a list of 1 to %d entries", DIALECT_ENTRIES_MAX);
    dialect->entries = calloc(count, sizeof(*dialect->entries));
    if (!dialect->entries)
        return error_set_memory(error);
    for (size_t i = 0; i < count; i++) {
        dialect->count = i + 1;
        if (read_entry(yaml_item_at(list, i), &dialect->entries[i], error))
            return -1;
    }
    return 0;
}

static int read_dialect(struct yaml_node root, struct dialect *dialect, struct error *error)
{
    static const char *const keys[] = {"format", "title", "events", NULL};
    struct yaml_node title, events;
    const char *text;
    if (yaml_check_format(root, "dialects", DIALECT_FORMAT, error) || yaml_check_keys(root, "a dialect", keys, error) ||
        yaml_require(root, "title", &title, error) || yaml_read_string(title, &text, error))
        return -1;
    dialect->title = strdup(text);
    if (!dialect->title)
        return error_set_memory(error);
    return yaml_require(root, "events", &events, error) ? -1 : read_entries(events, dialect, error);
}

static int read_yaml(struct yaml *yaml, struct dialect **ret_dialect, struct error *error)
{
    if (!yaml)
        return -1;
    struct dialect *dialect = calloc(1, sizeof(*dialect));
    int rc = dialect ? read_dialect(yaml_root(yaml), dialect, error) : error_set_memory(error);
    yaml_free(yaml);
    if (rc) {
        dialect_free(dialect);
        return -1;
    }
    *ret_dialect = dialect;
    return 0;
}

int dialect_read_file(const char *path, struct dialect **ret_dialect, struct error *error)
{
    return read_yaml(yaml_read_file(path, error), ret_dialect, error);
}

int dialect_read_text(const char *text, size_t length_bytes, const char *name, struct dialect **ret_dialect, struct error *error)
{
    return read_yaml(yaml_read_text(text, length_bytes, name, error), ret_dialect, error);
}

void dialect_free(struct dialect *dialect)
{
    if (!dialect)
        return;
    for (size_t i = 0; i < dialect->count; i++) {
        struct entry *entry = &dialect->entries[i];
        for (size_t k = 0; k < entry->capture_count; k++)
            free(entry->captures[k].name);
        if (entry->has_pattern)
            regfree(&entry->pattern);
        free(entry->module);
    }
    free(dialect->entries);
    free(dialect->title);
    free(dialect);
}

const char *dialect_title(const struct dialect *dialect)
{
    return dialect->title;
}

size_t dialect_entry_count(const struct dialect *dialect)
{
    return dialect->count;
}

/* ---- matching */

static bool matches(const struct entry *entry, const struct zephyr_line *line, regmatch_t *groups)
{
    if (entry->level != ZEPHYR_LEVEL_NONE && entry->level != line->level)
        return false;
    bool is_bare = line->level == ZEPHYR_LEVEL_NONE;
    if (strcmp(entry->module, line->module) != 0 || (!entry->module[0] && entry->level == ZEPHYR_LEVEL_NONE && !is_bare))
        return false;
    size_t length = strnlen(line->message, DIALECT_MESSAGE_MAX_BYTES + 1);
    if (length > DIALECT_MESSAGE_MAX_BYTES || regexec(&entry->pattern, line->message, DIALECT_CAPTURES_MAX + 1, groups, 0))
        return false;
    return groups[0].rm_so == 0 && groups[0].rm_eo == (regoff_t)length;
}

static cJSON *integer_from(const char *text)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    return errno || end == text || *end ? cJSON_CreateString(text) : cJSON_CreateNumber((double)value);
}

static int add_capture(cJSON *fields, const struct capture *capture, const char *message, const regmatch_t *group)
{
    if (group->rm_so < 0)
        return 0;
    CLEANUP_FREE char *text = strndup(message + group->rm_so, (size_t)(group->rm_eo - group->rm_so));
    if (!text)
        return -1;
    return json_set(fields, capture->name, capture->type == CAPTURE_INTEGER ? integer_from(text) : cJSON_CreateString(text));
}

static cJSON *fields_of(const struct entry *entry, const char *message, const regmatch_t *groups)
{
    CLEANUP_JSON cJSON *fields = cJSON_CreateObject();
    for (size_t i = 0; fields && i < entry->capture_count; i++)
        if (add_capture(fields, &entry->captures[i], message, &groups[i + 1]))
            return NULL;
    return TAKE(fields);
}

bool dialect_find(const struct dialect *dialect, const struct zephyr_line *line, struct dialect_match *ret_match)
{
    regmatch_t groups[DIALECT_CAPTURES_MAX + 1];
    for (size_t i = 0; i < dialect->count; i++) {
        const struct entry *entry = &dialect->entries[i];
        if (!matches(entry, line, groups))
            continue;
        cJSON *fields = fields_of(entry, line->message, groups);
        if (!fields)
            return false;
        *ret_match = (struct dialect_match){.event = entry->event, .is_terminal = entry->is_terminal, .fields = fields};
        return true;
    }
    return false;
}
