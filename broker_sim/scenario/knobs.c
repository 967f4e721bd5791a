#include "broker_sim/scenario/knobs.h"

#include "base/bytes.h"
#include "base/yaml.h"

#include <math.h>
#include <string.h>

#define INTEGER(knob_name, knob_min, knob_max, knob_fallback, knob_text)                                                                   \
    {.name = #knob_name,                                                                                                                   \
     .type = KNOB_INTEGER,                                                                                                                 \
     .min = (knob_min),                                                                                                                    \
     .max = (knob_max),                                                                                                                    \
     .fallback = (knob_fallback),                                                                                                          \
     .text = (knob_text),                                                                                                                  \
     .offset = offsetof(struct knobs, knob_name)},
#define BOOLEAN(knob_name, knob_fallback, knob_text)                                                                                       \
    {.name = #knob_name,                                                                                                                   \
     .type = KNOB_BOOLEAN,                                                                                                                 \
     .fallback = (knob_fallback),                                                                                                          \
     .text = (knob_text),                                                                                                                  \
     .offset = offsetof(struct knobs, knob_name)},
#define WORD(knob_name, knob_fallback, knob_text, ...)                                                                                     \
    {.name = #knob_name,                                                                                                                   \
     .type = KNOB_WORD,                                                                                                                    \
     .words = (const char *const[]){__VA_ARGS__, NULL},                                                                                    \
     .fallback = (knob_fallback),                                                                                                          \
     .text = (knob_text),                                                                                                                  \
     .offset = offsetof(struct knobs, knob_name)},

const struct knob knob_list[KNOB_COUNT] = {KNOBS(INTEGER, BOOLEAN, WORD)};

static int64_t *slot(struct knobs *knobs, const struct knob *knob)
{
    return (int64_t *)(void *)((char *)knobs + knob->offset);
}

int64_t knob_value(const struct knobs *knobs, const struct knob *knob)
{
    return *(const int64_t *)(const void *)((const char *)knobs + knob->offset);
}

void knobs_init(struct knobs *knobs)
{
    for (size_t i = 0; i < KNOB_COUNT; i++)
        *slot(knobs, &knob_list[i]) = knob_list[i].fallback;
}

static const struct knob *find(const char *name)
{
    for (size_t i = 0; i < KNOB_COUNT; i++)
        if (strcmp(knob_list[i].name, name) == 0)
            return &knob_list[i];
    return NULL;
}

static int fail_unknown(const char *name, struct error *error)
{
    const char *names[KNOB_COUNT + 1] = {NULL};
    for (size_t i = 0; i < KNOB_COUNT; i++)
        names[i] = knob_list[i].name;
    const char *nearest = text_nearest(name, names);
    if (nearest)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "there is no knob '%s'; did you mean '%s'", name, nearest);
    return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "there is no knob '%s'; 'dpsbench-sim --help' lists them", name);
}

static int fail_type(const struct knob *knob, struct error *error)
{
    if (knob->type == KNOB_INTEGER)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "knob '%s' takes an integer from %lld to %lld", knob->name,
                         (long long)knob->min, (long long)knob->max);
    if (knob->type == KNOB_BOOLEAN)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "knob '%s' takes true or false", knob->name);
    char words[256] = "";
    for (const char *const *word = knob->words; *word; word++)
        snprintf(words + strlen(words), sizeof words - strlen(words), "%s'%s'", word == knob->words ? "" : ", ", *word);
    return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "knob '%s' takes one of %s", knob->name, words);
}

static int read_integer(const struct knob *knob, const cJSON *item, int64_t *ret_value, struct error *error)
{
    double number = cJSON_IsNumber(item) ? item->valuedouble : NAN;
    if (!(number >= (double)knob->min && number <= (double)knob->max) || number != floor(number))
        return fail_type(knob, error);
    *ret_value = (int64_t)number;
    return 0;
}

static int read_word(const struct knob *knob, const cJSON *item, int64_t *ret_value, struct error *error)
{
    for (int64_t i = 0; cJSON_IsString(item) && knob->words[i]; i++)
        if (strcmp(knob->words[i], item->valuestring) == 0)
            return (int)(*ret_value = i, 0);
    return fail_type(knob, error);
}

static int read_value(const struct knob *knob, const cJSON *item, int64_t *ret_value, struct error *error)
{
    if (knob->type == KNOB_INTEGER)
        return read_integer(knob, item, ret_value, error);
    if (knob->type == KNOB_WORD)
        return read_word(knob, item, ret_value, error);
    if (!cJSON_IsBool(item))
        return fail_type(knob, error);
    *ret_value = cJSON_IsTrue(item);
    return 0;
}

int knobs_apply(struct knobs *knobs, const cJSON *object, struct error *error)
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
        if (read_value(knob, item, slot(&changed, knob), error))
            return -1;
    }
    *knobs = changed;
    return 0;
}

static cJSON *value_to_json(const struct knob *knob, int64_t value)
{
    if (knob->type == KNOB_WORD)
        return cJSON_CreateString(knob->words[value]);
    if (knob->type == KNOB_BOOLEAN)
        return cJSON_CreateBool(value != 0);
    return cJSON_CreateNumber((double)value);
}

cJSON *knobs_to_json(const struct knobs *knobs)
{
    CLEANUP_JSON cJSON *object = cJSON_CreateObject();
    for (size_t i = 0; i < KNOB_COUNT; i++)
        if (json_set(object, knob_list[i].name, value_to_json(&knob_list[i], knob_value(knobs, &knob_list[i]))))
            return NULL;
    return TAKE(object);
}

const char *knob_word(const struct knobs *knobs, const struct knob *knob)
{
    return knob->words[knob_value(knobs, knob)];
}

static const char *type_name(enum knob_type type)
{
    static const char *const names[] = {"integer", "boolean", "word"};
    return names[type];
}

static cJSON *describe(const struct knob *knob, int64_t value)
{
    CLEANUP_JSON cJSON *object = cJSON_CreateObject();
    if (json_set_string(object, "name", knob->name) || json_set_string(object, "type", type_name(knob->type)) ||
        json_set(object, "default", value_to_json(knob, value)) || json_set_string(object, "text", knob->text))
        return NULL;
    if (knob->type == KNOB_INTEGER && (json_set_integer(object, "min", knob->min) || json_set_integer(object, "max", knob->max)))
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
        cJSON_AddItemToArray(list, describe(&knob_list[i], knob_value(defaults, &knob_list[i])));
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
        CLEANUP_JSON cJSON *value = value_to_json(&knob_list[i], knob_value(&defaults, &knob_list[i]));
        CLEANUP_FREE char *text = value ? json_print_line(value) : NULL;
        if (!text || bytes_printf(&help, "  %s (%s, default %s)\n      %s\n", knob_list[i].name, type_name(knob_list[i].type), text,
                                  knob_list[i].text))
            return NULL;
    }
    return strdup(bytes_text(&help));
}
