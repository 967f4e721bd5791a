#include "broker_sim/scenario/knobs.h"

#include "base/bytes.h"
#include "base/yaml.h"

#include <math.h>
#include <string.h>

#define INTEGER(knob_layer, knob_name, knob_min, knob_max, knob_fallback, knob_text, knob_evidence)                                        \
    {.name = #knob_name,                                                                                                                   \
     .layer = KNOB_LAYER_##knob_layer,                                                                                                     \
     .type = KNOB_INTEGER,                                                                                                                 \
     .min = (knob_min),                                                                                                                    \
     .max = (knob_max),                                                                                                                    \
     .fallback = (knob_fallback),                                                                                                          \
     .text = (knob_text),                                                                                                                  \
     .evidence = (knob_evidence),                                                                                                          \
     .offset = offsetof(struct knobs, knob_name)},
#define BOOLEAN(knob_layer, knob_name, knob_fallback, knob_text, knob_evidence)                                                            \
    {.name = #knob_name,                                                                                                                   \
     .layer = KNOB_LAYER_##knob_layer,                                                                                                     \
     .type = KNOB_BOOLEAN,                                                                                                                 \
     .fallback = (knob_fallback),                                                                                                          \
     .text = (knob_text),                                                                                                                  \
     .evidence = (knob_evidence),                                                                                                          \
     .offset = offsetof(struct knobs, knob_name)},
#define WORD(knob_layer, knob_name, knob_fallback, knob_text, knob_evidence, ...)                                                          \
    {.name = #knob_name,                                                                                                                   \
     .layer = KNOB_LAYER_##knob_layer,                                                                                                     \
     .type = KNOB_WORD,                                                                                                                    \
     .words = (const char *const[]){__VA_ARGS__, NULL},                                                                                    \
     .fallback = (knob_fallback),                                                                                                          \
     .text = (knob_text),                                                                                                                  \
     .evidence = (knob_evidence),                                                                                                          \
     .offset = offsetof(struct knobs, knob_name)},
#define TEXT(knob_layer, knob_name, knob_max, knob_check, knob_text, knob_evidence)                                                        \
    {.name = #knob_name,                                                                                                                   \
     .layer = KNOB_LAYER_##knob_layer,                                                                                                     \
     .type = KNOB_TEXT,                                                                                                                    \
     .max = (knob_max),                                                                                                                    \
     .check = (knob_check),                                                                                                                \
     .text = (knob_text),                                                                                                                  \
     .evidence = (knob_evidence),                                                                                                          \
     .offset = offsetof(struct knobs, knob_name)},

const struct knob knob_list[KNOB_COUNT] = {KNOBS(INTEGER, BOOLEAN, WORD, TEXT)};

const char *knob_layer_name(enum knob_layer layer)
{
    static const char *const names[] = {
#define X(layer, name) [KNOB_LAYER_##layer] = (name),
        KNOB_LAYERS(X)
#undef X
    };
    return names[layer];
}

bool knob_is_for(const struct knob *knob, enum knob_target target)
{
    bool is_of_lane = knob->layer == KNOB_LAYER_NET || knob->layer == KNOB_LAYER_TLS;
    return knob->layer == KNOB_LAYER_ANY || is_of_lane == (target == KNOB_TARGET_LANE);
}

static int64_t *slot(struct knobs *knobs, const struct knob *knob)
{
    return (int64_t *)(void *)((char *)knobs + knob->offset);
}

static char *text_slot(struct knobs *knobs, const struct knob *knob)
{
    return (char *)knobs + knob->offset;
}

static const char *text_of(const struct knobs *knobs, const struct knob *knob)
{
    return (const char *)knobs + knob->offset;
}

int64_t knob_value(const struct knobs *knobs, const struct knob *knob)
{
    return *(const int64_t *)(const void *)((const char *)knobs + knob->offset);
}

bool knob_is_turned(const struct knobs *knobs, const struct knob *knob)
{
    return knob->type == KNOB_TEXT ? *text_of(knobs, knob) != 0 : knob_value(knobs, knob) != knob->fallback;
}

bool knobs_are_equal(const struct knobs *a, const struct knobs *b)
{
    for (size_t i = 0; i < KNOB_COUNT; i++) {
        const struct knob *knob = &knob_list[i];
        bool is_same =
            knob->type == KNOB_TEXT ? strcmp(text_of(a, knob), text_of(b, knob)) == 0 : knob_value(a, knob) == knob_value(b, knob);
        if (!is_same)
            return false;
    }
    return true;
}

void knob_copy(struct knobs *to, const struct knobs *from, const struct knob *knob)
{
    if (knob->type == KNOB_TEXT)
        memcpy(text_slot(to, knob), text_of(from, knob), (size_t)knob->max + 1);
    else
        *slot(to, knob) = knob_value(from, knob);
}

void knobs_init(struct knobs *knobs)
{
    memset(knobs, 0, sizeof *knobs);
    for (size_t i = 0; i < KNOB_COUNT; i++)
        if (knob_list[i].type != KNOB_TEXT)
            *slot(knobs, &knob_list[i]) = knob_list[i].fallback;
}

static const struct knob *find(const char *name)
{
    for (size_t i = 0; i < KNOB_COUNT; i++)
        if (strcmp(knob_list[i].name, name) == 0)
            return &knob_list[i];
    return NULL;
}

enum { SUGGESTED_MAX_BYTES = 160 };

static bool has_word(const char *name, const char *word, size_t length_bytes)
{
    for (const char *at = name; *at; at += strcspn(at, "_"), at += *at == '_')
        if (strcspn(at, "_") == length_bytes && strncmp(at, word, length_bytes) == 0)
            return true;
    return false;
}

/* "puback" and "hub_puback": who knows the subject seldom knows the whole name. */
static bool shares_word(const char *name, const char *other)
{
    enum { SHORTEST_BYTES = 3 }; /* not "ms", "at" */
    for (const char *at = name; *at; at += strcspn(at, "_"), at += *at == '_')
        if (strcspn(at, "_") >= SHORTEST_BYTES && has_word(other, at, strcspn(at, "_")))
            return true;
    return false;
}

/* Adds a name, as long as there is room; NULL, or the one that stands there already: nothing. */
static void suggest(char text[SUGGESTED_MAX_BYTES], const char *name, const char *present)
{
    size_t used = strlen(text), needed = name ? strlen(name) + sizeof ", ''" : SUGGESTED_MAX_BYTES;
    if (used + needed <= SUGGESTED_MAX_BYTES && name != present)
        snprintf(text + used, SUGGESTED_MAX_BYTES - used, "%s'%s'", used ? ", " : "", name);
}

static int fail_unknown(const char *name, struct error *error)
{
    const char *names[KNOB_COUNT + 1] = {NULL};
    for (size_t i = 0; i < KNOB_COUNT; i++)
        names[i] = knob_list[i].name;
    char suggested[SUGGESTED_MAX_BYTES] = "";
    suggest(suggested, text_nearest(name, names), NULL);
    for (size_t i = 0; i < KNOB_COUNT; i++)
        if (shares_word(name, names[i]))
            suggest(suggested, names[i], text_nearest(name, names));
    if (*suggested)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "there is no knob '%s'; did you mean %s", name, suggested);
    return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "there is no knob '%s'; `dpsbench sim knobs` explains them", name);
}

static int fail_word(const struct knob *knob, const cJSON *item, struct error *error)
{
    char words[512] = "";
    for (const char *const *word = knob->words; *word; word++)
        snprintf(words + strlen(words), sizeof words - strlen(words), "%s'%s'", word == knob->words ? "" : ", ", *word);
    const char *nearest = cJSON_IsString(item) ? text_nearest(item->valuestring, knob->words) : NULL;
    return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "knob '%s' takes one of %s%s%s%s", knob->name, words,
                     nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'" : "");
}

static int fail_type(const struct knob *knob, const cJSON *item, struct error *error)
{
    if (knob->type == KNOB_INTEGER)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "knob '%s' takes an integer from %lld to %lld", knob->name,
                         (long long)knob->min, (long long)knob->max);
    if (knob->type == KNOB_BOOLEAN)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "knob '%s' takes true or false", knob->name);
    if (knob->type == KNOB_TEXT)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "knob '%s' takes a text of at most %lld bytes", knob->name,
                         (long long)knob->max);
    return fail_word(knob, item, error);
}

static int read_integer(const struct knob *knob, const cJSON *item, int64_t *ret_value, struct error *error)
{
    double number = cJSON_IsNumber(item) ? item->valuedouble : NAN;
    if (!(number >= (double)knob->min && number <= (double)knob->max) || number != floor(number))
        return fail_type(knob, item, error);
    *ret_value = (int64_t)number;
    return 0;
}

static int read_word(const struct knob *knob, const cJSON *item, int64_t *ret_value, struct error *error)
{
    for (int64_t i = 0; cJSON_IsString(item) && knob->words[i]; i++)
        if (strcmp(knob->words[i], item->valuestring) == 0)
            return (int)(*ret_value = i, 0);
    return fail_type(knob, item, error);
}

static int read_text(const struct knob *knob, const cJSON *item, char *ret_text, struct error *error)
{
    if (!cJSON_IsString(item) || strlen(item->valuestring) > (size_t)knob->max)
        return fail_type(knob, item, error);
    if (*item->valuestring && knob->check && knob->check(item->valuestring, error))
        return error_prefix(error, "knob '%s'", knob->name);
    memset(ret_text, 0, (size_t)knob->max + 1);
    memcpy(ret_text, item->valuestring, strlen(item->valuestring));
    return 0;
}

static int read_value(struct knobs *knobs, const struct knob *knob, const cJSON *item, struct error *error)
{
    switch (knob->type) {
    case KNOB_INTEGER:
        return read_integer(knob, item, slot(knobs, knob), error);
    case KNOB_WORD:
        return read_word(knob, item, slot(knobs, knob), error);
    case KNOB_TEXT:
        return read_text(knob, item, text_slot(knobs, knob), error);
    case KNOB_BOOLEAN:
        break;
    }
    if (!cJSON_IsBool(item))
        return fail_type(knob, item, error);
    *slot(knobs, knob) = cJSON_IsTrue(item);
    return 0;
}

static int check_target(const struct knob *knob, enum knob_target target, struct error *error)
{
    if (knob_is_for(knob, target))
        return 0;
    return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "knob '%s' is of layer %s: it is set on %s", knob->name,
                     knob_layer_name(knob->layer), target == KNOB_TARGET_LANE ? "a registration id, not on a lane" : "a lane");
}

int knobs_apply(struct knobs *knobs, enum knob_target target, const cJSON *object, struct error *error)
{
    if (!cJSON_IsObject(object))
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "knobs must be a JSON object of names and values");
    struct knobs changed = *knobs;
    const cJSON *item;
    cJSON_ArrayForEach(item, object)
    {
        const struct knob *knob = find(item->string);
        if (!knob)
            return fail_unknown(item->string, error);
        if (check_target(knob, target, error) || read_value(&changed, knob, item, error))
            return -1;
    }
    *knobs = changed;
    return 0;
}

static cJSON *value_to_json(const struct knobs *knobs, const struct knob *knob)
{
    if (knob->type == KNOB_WORD || knob->type == KNOB_TEXT)
        return cJSON_CreateString(knob_word(knobs, knob));
    if (knob->type == KNOB_BOOLEAN)
        return cJSON_CreateBool(knob_value(knobs, knob) != 0);
    return cJSON_CreateNumber((double)knob_value(knobs, knob));
}

static cJSON *to_json(const struct knobs *knobs, enum knob_target target, bool is_turned_only)
{
    CLEANUP_JSON cJSON *object = cJSON_CreateObject();
    for (size_t i = 0; i < KNOB_COUNT; i++) {
        const struct knob *knob = &knob_list[i];
        if (!knob_is_for(knob, target) || (is_turned_only && !knob_is_turned(knobs, knob)))
            continue;
        if (json_set(object, knob->name, value_to_json(knobs, knob)))
            return NULL;
    }
    return TAKE(object);
}

cJSON *knobs_to_json(const struct knobs *knobs, enum knob_target target)
{
    return to_json(knobs, target, false);
}

cJSON *knobs_turned_to_json(const struct knobs *knobs, enum knob_target target)
{
    return to_json(knobs, target, true);
}

const char *knob_word(const struct knobs *knobs, const struct knob *knob)
{
    return knob->type == KNOB_TEXT ? text_of(knobs, knob) : knob->words[knob_value(knobs, knob)];
}

static const char *type_name(enum knob_type type)
{
    static const char *const names[] = {"integer", "boolean", "word", "text"};
    return names[type];
}

static cJSON *describe(const struct knobs *defaults, const struct knob *knob)
{
    CLEANUP_JSON cJSON *object = cJSON_CreateObject();
    if (json_set_string(object, "name", knob->name) || json_set_string(object, "layer", knob_layer_name(knob->layer)) ||
        json_set_string(object, "type", type_name(knob->type)) || json_set(object, "default", value_to_json(defaults, knob)) ||
        json_set_string(object, "text", knob->text) || json_set_string(object, "evidence", knob->evidence))
        return NULL;
    if (knob->type == KNOB_INTEGER && (json_set_integer(object, "min", knob->min) || json_set_integer(object, "max", knob->max)))
        return NULL;
    if (knob->type == KNOB_TEXT && json_set_integer(object, "max_bytes", knob->max))
        return NULL;
    if (knob->type != KNOB_WORD)
        return TAKE(object);
    cJSON *words = cJSON_AddArrayToObject(object, "words");
    for (const char *const *word = knob->words; *word; word++)
        cJSON_AddItemToArray(words, cJSON_CreateString(*word));
    return TAKE(object);
}

cJSON *knobs_describe(const struct knobs *defaults)
{
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; list && i < KNOB_COUNT; i++)
        cJSON_AddItemToArray(list, describe(defaults, &knob_list[i]));
    return list;
}

char *knobs_help(void)
{
    enum { HELP_MAX_BYTES = 64 * 1024 };
    CLEANUP(bytes_done) struct bytes help;
    bytes_init(&help, HELP_MAX_BYTES);
    struct knobs defaults;
    knobs_init(&defaults);
    for (size_t i = 0; i < KNOB_COUNT; i++) {
        CLEANUP_JSON cJSON *value = value_to_json(&defaults, &knob_list[i]);
        CLEANUP_FREE char *text = value ? json_print_line(value) : NULL;
        if (!text || bytes_printf(&help, "  %s (%s, %s, default %s)\n      %s\n", knob_list[i].name, knob_layer_name(knob_list[i].layer),
                                  type_name(knob_list[i].type), text, knob_list[i].text))
            return NULL;
    }
    return strdup(bytes_text(&help));
}
