#include "harness/device/dialect.h"

#include "base/cleanup.h"
#include "base/pattern.h"
#include "base/yaml.h"
#include "harness/device/console_record.h"

#include <errno.h>
#include <regex.h>
#include <string.h>

enum { PATTERN_MAX_BYTES = 512 };

enum capture_type { CAPTURE_TEXT, CAPTURE_INTEGER };

struct capture {
    char *name;
    enum capture_type type;
    cJSON *value; /* a constant; NULL: the group of the expression with the same number */
};

struct entry {
    const char *event; /* one of dialect_events */
    char *place;
    char *message;
    char *modules[DIALECT_MODULES_MAX]; /* "": a line without a module */
    size_t module_count;
    enum zephyr_level level; /* of lines that have one; NONE: any */
    bool takes_bare;         /* also lines that are no log lines */
    regex_t pattern;
    bool has_pattern;
    bool is_terminal;
    size_t during; /* 0: in every phase */
    size_t begins; /* 0: changes nothing */
    struct capture captures[DIALECT_CAPTURES_MAX];
    size_t capture_count;
};

struct dialect {
    char *title;
    struct entry *entries;
    size_t count;
    char *phases[DIALECT_PHASES_MAX]; /* [0] is none */
    size_t phase_count;
};

/* ---- the list of events */

static const struct {
    const char *name, *captures;
} known_events[] = {
#define X(name, captures, text) {name, captures},
    DIALECT_EVENTS(X)
#undef X
};

static const char *const dialect_events[] = {
#define X(name, captures, text) name,
    DIALECT_EVENTS(X)
#undef X
        NULL};

static const char *const event_names[] = {
#define X(name, captures, text) name,
    DIALECT_EVENTS(X) RECORD_EVENTS(X)
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

static const char *capture_type_name(const struct capture *capture)
{
    enum capture_type type = !capture->value ? capture->type : cJSON_IsNumber(capture->value) ? CAPTURE_INTEGER : CAPTURE_TEXT;
    return type_names[type];
}

/* " device_id:text hub:text ", the captures first, then the constants. */
static void list_fields(const struct entry *entry, char *text, size_t size)
{
    size_t length = (size_t)snprintf(text, size, " ");
    for (size_t i = 0; i < entry->capture_count && length < size; i++)
        length += (size_t)snprintf(text + length, size - length, "%s:%s ", entry->captures[i].name, capture_type_name(&entry->captures[i]));
}

static size_t count_words(const char *text)
{
    size_t count = 0;
    for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
        text += strcspn(text, " ");
        count++;
    }
    return count;
}

/* Is each word of `wanted` one of `given`, which has a space on both sides of each? */
static bool has_words(const char *given, const char *wanted)
{
    char padded[96];
    for (const char *at = wanted + strspn(wanted, " "); *at; at += strspn(at, " ")) {
        size_t length = strcspn(at, " ");
        snprintf(padded, sizeof(padded), " %.*s ", (int)length, at);
        if (!strstr(given, padded))
            return false;
        at += length;
    }
    return true;
}

/* The fields of an event are part of the contract: an entry gives all of them, and no other, by captures or constants. */
static int check_fields(struct yaml_node node, size_t event, const struct entry *entry, struct error *error)
{
    char given[512];
    list_fields(entry, given, sizeof(given));
    const char *wanted = known_events[event].captures;
    if (count_words(given) == count_words(wanted) && has_words(given, wanted))
        return 0;
    return yaml_fail(node, error, "'%s' has the fields '%s', as captures or constants; here stand '%.*s'", entry->event, wanted,
                     (int)(strlen(given) > 2 ? strlen(given) - 2 : 0), given + 1);
}

static int add_field(struct yaml_node map, size_t index, enum capture_type type, cJSON *value, struct entry *entry, struct error *error)
{
    if (entry->capture_count == DIALECT_CAPTURES_MAX) {
        cJSON_Delete(value);
        return yaml_fail(map, error, "at most %d fields", DIALECT_CAPTURES_MAX);
    }
    char *name = strdup(yaml_text(yaml_key_at(map, index)));
    if (!name) {
        cJSON_Delete(value);
        return error_set_memory(error);
    }
    entry->captures[entry->capture_count++] = (struct capture){.name = name, .type = type, .value = value};
    return 0;
}

static int read_captures(struct yaml_node map, struct entry *entry, struct error *error)
{
    for (size_t i = 0; i < yaml_count(map); i++) {
        size_t type;
        if (yaml_read_word(yaml_value_at(map, i), "type of a capture", type_names, &type, error) ||
            add_field(map, i, (enum capture_type)type, NULL, entry, error))
            return -1;
    }
    return 0;
}

/* A number is one unless it stands in quotes. */
static int read_constant(struct yaml_node node, cJSON **ret_value, struct error *error)
{
    const char *text;
    char *end;
    if (yaml_read_string(node, &text, error))
        return -1;
    long long number = strtoll(text, &end, 10);
    bool is_number = !yaml_is_quoted(node) && *text && !*end;
    *ret_value = is_number ? cJSON_CreateNumber((double)number) : cJSON_CreateString(text);
    return *ret_value ? 0 : error_set_memory(error);
}

static int read_constants(struct yaml_node map, struct entry *entry, struct error *error)
{
    for (size_t i = 0; i < yaml_count(map); i++) {
        cJSON *value = NULL;
        if (read_constant(yaml_value_at(map, i), &value, error) || add_field(map, i, CAPTURE_TEXT, value, entry, error))
            return -1;
    }
    return 0;
}

static int read_map_if_there(struct yaml_node map, const char *key, int (*read)(struct yaml_node, struct entry *, struct error *),
                             struct entry *entry, struct error *error)
{
    struct yaml_node node = yaml_get(map, key);
    if (!yaml_is_there(node))
        return 0;
    if (!yaml_is_map(node))
        return yaml_fail(node, error, "'%s' is a mapping of names", key);
    return read(node, entry, error);
}

static int read_fields(struct yaml_node map, size_t event, struct entry *entry, struct error *error)
{
    struct yaml_node captures = yaml_get(map, "captures");
    if (read_map_if_there(map, "captures", read_captures, entry, error) || read_map_if_there(map, "fields", read_constants, entry, error))
        return -1;
    return check_fields(yaml_is_there(captures) ? captures : map, event, entry, error);
}

/* With a back-reference matching is not linear any more. */
static bool has_back_reference(const char *pattern)
{
    for (const char *at = pattern; (at = strchr(at, '\\')) && at[1]; at += 2)
        if (at[1] >= '1' && at[1] <= '9')
            return true;
    return false;
}

static size_t count_captures(const struct entry *entry)
{
    size_t count = 0;
    for (size_t i = 0; i < entry->capture_count; i++)
        count += entry->captures[i].value == NULL;
    return count;
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
    size_t captures = count_captures(entry);
    if (entry->pattern.re_nsub < captures)
        return yaml_fail(node, error, "%zu captures are named, but the expression has %zu groups", captures, entry->pattern.re_nsub);
    entry->message = strdup(text);
    return entry->message ? 0 : error_set_memory(error);
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

static int add_module(struct yaml_node node, struct entry *entry, struct error *error)
{
    const char *text = "";
    if (yaml_is_there(node) && yaml_read_string(node, &text, error))
        return -1;
    if (!(entry->modules[entry->module_count] = strdup(text)))
        return error_set_memory(error);
    entry->module_count++;
    return 0;
}

/* A level alone asks for a log line; '' among the modules says that bare lines are meant too. */
static int read_modules(struct yaml_node node, struct entry *entry, struct error *error)
{
    if (!yaml_is_list(node)) {
        entry->takes_bare = !yaml_is_there(node) && entry->level == ZEPHYR_LEVEL_NONE;
        return add_module(node, entry, error);
    }
    if (!yaml_count(node) || yaml_count(node) > DIALECT_MODULES_MAX)
        return yaml_fail(node, error, "'module' is a word, or a list of 1 to %d", DIALECT_MODULES_MAX);
    for (size_t i = 0; i < yaml_count(node); i++) {
        if (add_module(yaml_item_at(node, i), entry, error))
            return -1;
        entry->takes_bare |= !entry->modules[i][0];
    }
    return 0;
}

/* The number of a phase, which is new when its name is. */
static int read_phase(struct yaml_node node, struct dialect *dialect, size_t *ret_phase, struct error *error)
{
    const char *text;
    if (!yaml_is_there(node))
        return 0;
    if (yaml_read_string(node, &text, error))
        return -1;
    for (size_t i = 1; i <= dialect->phase_count; i++)
        if (strcmp(dialect->phases[i], text) == 0)
            return *ret_phase = i, 0;
    if (dialect->phase_count + 1 == DIALECT_PHASES_MAX)
        return yaml_fail(node, error, "at most %d phases", DIALECT_PHASES_MAX - 1);
    if (!(dialect->phases[dialect->phase_count + 1] = strdup(text)))
        return error_set_memory(error);
    *ret_phase = ++dialect->phase_count;
    return 0;
}

/* A phase that nothing begins would never hold. */
static int check_phases(struct yaml_node list, const struct dialect *dialect, struct error *error)
{
    for (size_t i = 0; i < dialect->count; i++) {
        bool is_begun = !dialect->entries[i].during;
        for (size_t k = 0; k < dialect->count && !is_begun; k++)
            is_begun = dialect->entries[k].begins == dialect->entries[i].during;
        if (!is_begun)
            return yaml_fail(yaml_get(yaml_item_at(list, i), "during"), error, "no entry 'begins' the phase '%s'",
                             dialect->phases[dialect->entries[i].during]);
    }
    return 0;
}

static int read_event(struct yaml_node map, struct entry *entry, size_t *ret_event, struct error *error)
{
    struct yaml_node node;
    if (yaml_require(map, "event", &node, error) || yaml_read_word(node, "event", dialect_events, ret_event, error))
        return -1;
    entry->event = dialect_events[*ret_event];
    return asprintf(&entry->place, "%s:%d", yaml_name(map.yaml), map.line) < 0 ? (entry->place = NULL, error_set_memory(error)) : 0;
}

static int read_entry(struct yaml_node map, struct dialect *dialect, struct entry *entry, struct error *error)
{
    static const char *const keys[] = {"event",    "module", "level",  "message", "captures", "fields",
                                       "terminal", "begins", "during", "source",  NULL};
    struct yaml_node message, source, terminal = yaml_get(map, "terminal");
    const char *text;
    size_t event;
    if (yaml_check_keys(map, "an event of a dialect", keys, error) || read_event(map, entry, &event, error))
        return -1;
    if (read_level(yaml_get(map, "level"), entry, error) || read_modules(yaml_get(map, "module"), entry, error))
        return -1;
    if (read_phase(yaml_get(map, "begins"), dialect, &entry->begins, error) ||
        read_phase(yaml_get(map, "during"), dialect, &entry->during, error) || read_fields(map, event, entry, error))
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
        if (read_entry(yaml_item_at(list, i), dialect, &dialect->entries[i], error))
            return -1;
    }
    return check_phases(list, dialect, error);
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

static void free_entry(struct entry *entry)
{
    for (size_t k = 0; k < entry->capture_count; k++) {
        free(entry->captures[k].name);
        cJSON_Delete(entry->captures[k].value);
    }
    for (size_t k = 0; k < entry->module_count; k++)
        free(entry->modules[k]);
    if (entry->has_pattern)
        regfree(&entry->pattern);
    free(entry->message);
    free(entry->place);
}

void dialect_free(struct dialect *dialect)
{
    if (!dialect)
        return;
    for (size_t i = 0; i < dialect->count; i++)
        free_entry(&dialect->entries[i]);
    for (size_t i = 1; i <= dialect->phase_count; i++)
        free(dialect->phases[i]);
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

struct dialect_entry dialect_entry(const struct dialect *dialect, size_t index)
{
    const struct entry *entry = &dialect->entries[index];
    return (struct dialect_entry){.event = entry->event, .place = entry->place, .message = entry->message};
}

/* ---- matching */

/* A bare line; or a log line with the level and one of the modules. A log line without a module is only meant by a level alone. */
static bool is_of_sender(const struct entry *entry, const struct zephyr_line *line)
{
    if (line->level == ZEPHYR_LEVEL_NONE)
        return entry->takes_bare;
    if (entry->level != ZEPHYR_LEVEL_NONE && entry->level != line->level)
        return false;
    for (size_t i = 0; i < entry->module_count; i++)
        if (strcmp(entry->modules[i], line->module) == 0 && (line->module[0] || !entry->takes_bare))
            return true;
    return false;
}

static bool matches(const struct entry *entry, const struct dialect_state *state, const struct zephyr_line *line, regmatch_t *groups)
{
    if ((entry->during && entry->during != state->phase) || !is_of_sender(entry, line))
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
    long long value = strtoll(text, &end, strncmp(text, "0x", 2) == 0 ? 16 : 10);
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

/* The captures stand before the constants, so the n-th of them is the n-th group. */
static cJSON *fields_of(const struct entry *entry, const char *message, const regmatch_t *groups)
{
    CLEANUP_JSON cJSON *fields = cJSON_CreateObject();
    for (size_t i = 0; fields && i < entry->capture_count; i++) {
        const struct capture *capture = &entry->captures[i];
        if (capture->value ? json_set(fields, capture->name, cJSON_Duplicate(capture->value, true))
                           : add_capture(fields, capture, message, &groups[i + 1]))
            return NULL;
    }
    return TAKE(fields);
}

static size_t next_phase(const struct entry *entry, size_t phase)
{
    bool is_boot = strcmp(entry->event, "console.boot") == 0;
    return entry->begins ? entry->begins : is_boot ? 0 : phase;
}

bool dialect_find(const struct dialect *dialect, struct dialect_state *state, const struct zephyr_line *line,
                  struct dialect_match *ret_match)
{
    regmatch_t groups[DIALECT_CAPTURES_MAX + 1];
    if (line->kind == ZEPHYR_BOOT)
        state->phase = 0;
    for (size_t i = 0; i < dialect->count; i++) {
        const struct entry *entry = &dialect->entries[i];
        if (!matches(entry, state, line, groups))
            continue;
        cJSON *fields = fields_of(entry, line->message, groups);
        if (!fields)
            return false;
        state->phase = next_phase(entry, state->phase);
        *ret_match = (struct dialect_match){.event = entry->event, .is_terminal = entry->is_terminal, .fields = fields, .entry = i};
        return true;
    }
    return false;
}
