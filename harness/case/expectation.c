#include "harness/case/expectation.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/pattern.h"

#include <math.h>
#include <string.h>

enum { TEXT_MAX_BYTES = 4096 };

/* ---- reading ---- */

static bool is_in(const char *name, const char *const *names)
{
    for (; names && *names; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

static const char *nearest_event(const char *name, const struct event_vocabulary *vocabulary)
{
    const char *kinds[EVENT_KIND_COUNT + 1] = {NULL};
    for (int i = 0; i < EVENT_KIND_COUNT; i++)
        kinds[i] = event_kind_name((enum event_kind)i);
    const char *near = vocabulary->console_events ? text_nearest(name, vocabulary->console_events) : NULL;
    return near ? near : text_nearest(name, kinds);
}

static int find_view(struct yaml_node node, const char *name, const struct event_vocabulary *vocabulary, enum event_view *ret_view,
                     struct error *error)
{
    enum event_kind kind = event_kind_from_name(name);
    if (kind != EVENT_KIND_COUNT) {
        *ret_view = event_kind_view(kind);
        return 0;
    }
    if (is_in(name, vocabulary->console_events)) {
        *ret_view = EVENT_VIEW_CONSOLE;
        return 0;
    }
    const char *near = nearest_event(name, vocabulary);
    return yaml_fail(node, error, "unknown event '%s'%s%s%s", name, near ? "; did you mean '" : "; `dpsbench list --events` names them all",
                     near ? near : "", near ? "'?" : "");
}

static int add_condition(struct expectation *expectation, struct yaml_node at, enum condition_kind kind, const char *text, double number,
                         struct error *error)
{
    if (expectation->condition_count == CONDITIONS_MAX)
        return yaml_fail(at, error, "more than %d conditions", CONDITIONS_MAX);
    struct condition *condition = &expectation->conditions[expectation->condition_count];
    *condition = (struct condition){.kind = kind, .number = number, .text = strdup(text)};
    if (!condition->text)
        return error_set_memory(error);
    expectation->condition_count++;
    return 0;
}

/* A quoted scalar is a text, whatever it looks like. */
static bool is_number(const char *text, double *ret_number)
{
    char *end;
    double number = *text ? strtod(text, &end) : 0;
    if (!*text || *end || !isfinite(number))
        return false;
    *ret_number = number;
    return true;
}

static int read_scalar(struct expectation *expectation, struct yaml_node value, const struct substitution *substitution,
                       struct error *error)
{
    CLEANUP_FREE char *text = NULL;
    if (substitution_read(substitution, value, &text, error))
        return -1;
    double number;
    if (yaml_is_quoted(value))
        return add_condition(expectation, value, CONDITION_TEXT, text, 0, error);
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        return add_condition(expectation, value, CONDITION_BOOL, text, text[0] == 't', error);
    if (is_number(text, &number))
        return add_condition(expectation, value, CONDITION_NUMBER, text, number, error);
    return add_condition(expectation, value, CONDITION_TEXT, text, 0, error);
}

static int read_pattern(struct expectation *expectation, struct yaml_node value, const struct substitution *substitution,
                        struct error *error)
{
    CLEANUP_FREE char *text = NULL;
    if (substitution_read(substitution, value, &text, error) || add_condition(expectation, value, CONDITION_MATCHES, text, 0, error))
        return -1;
    if (pattern_cost(text) > PATTERN_COST_MAX)
        return yaml_fail(value, error,
                         "'%s' costs too much: with its repetitions unrolled it has more than %d parts, or it refers back (\\1)", text,
                         PATTERN_COST_MAX);
    struct condition *condition = &expectation->conditions[expectation->condition_count - 1];
    int code = regcomp(&condition->pattern, text, REG_EXTENDED | REG_NOSUB);
    if (code) {
        char why[128];
        regerror(code, &condition->pattern, why, sizeof why);
        return yaml_fail(value, error, "'%s' is not a POSIX extended regular expression: %s", text, why);
    }
    condition->has_pattern = true;
    return 0;
}

static int read_limit(struct expectation *expectation, struct yaml_node value, enum condition_kind kind, struct error *error)
{
    double number;
    if (yaml_read_number(value, -1e15, 1e15, &number, error))
        return -1;
    return add_condition(expectation, value, kind, yaml_text(value), number, error);
}

static int read_absent(struct expectation *expectation, struct yaml_node value, struct error *error)
{
    bool is_absent;
    if (yaml_read_bool(value, &is_absent, error))
        return -1;
    return add_condition(expectation, value, CONDITION_ABSENT, is_absent ? "true" : "false", is_absent, error);
}

static int read_operator(struct expectation *expectation, struct yaml_node key, struct yaml_node value,
                         const struct substitution *substitution, struct error *error)
{
    static const char *const words[] = {"min", "max", "matches", "count", "absent", NULL};
    size_t word;
    if (yaml_read_word(key, "a comparison", words, &word, error))
        return -1;
    switch (word) {
    case 0:
        return read_limit(expectation, value, CONDITION_MIN, error);
    case 1:
        return read_limit(expectation, value, CONDITION_MAX, error);
    case 2:
        return read_pattern(expectation, value, substitution, error);
    case 3:
        return read_limit(expectation, value, CONDITION_COUNT, error);
    default:
        return read_absent(expectation, value, error);
    }
}

static int name_conditions(struct expectation *expectation, size_t first, const char *field, struct error *error)
{
    for (size_t i = first; i < expectation->condition_count; i++)
        if (!(expectation->conditions[i].field = strdup(field)))
            return error_set_memory(error);
    return 0;
}

static int read_field(struct expectation *expectation, struct yaml_node key, struct yaml_node value,
                      const struct substitution *substitution, struct error *error)
{
    size_t first = expectation->condition_count;
    if (yaml_is_scalar(value) && read_scalar(expectation, value, substitution, error))
        return -1;
    if (yaml_is_list(value) || (yaml_is_map(value) && yaml_count(value) == 0) || !yaml_is_there(value))
        return yaml_fail(value, error, "'%s' needs a value, or {min:, max:, matches:, count:, absent:}", yaml_text(key));
    for (size_t i = 0; yaml_is_map(value) && i < yaml_count(value); i++)
        if (read_operator(expectation, yaml_key_at(value, i), yaml_value_at(value, i), substitution, error))
            return -1;
    return name_conditions(expectation, first, yaml_text(key), error);
}

static int read_where(struct expectation *expectation, struct yaml_node where, const struct substitution *substitution, struct error *error)
{
    if (yaml_is_null(where))
        return 0;
    if (!yaml_is_map(where))
        return yaml_fail(where, error, "`where` must be a mapping (field: value)");
    for (size_t i = 0; i < yaml_count(where); i++)
        if (read_field(expectation, yaml_key_at(where, i), yaml_value_at(where, i), substitution, error))
            return -1;
    return 0;
}

int expectation_read_any(struct yaml_node map, const struct event_vocabulary *vocabulary, const struct substitution *substitution,
                         struct expectation *ret_expectation, struct error *error)
{
    CLEANUP(expectation_done) struct expectation expectation = {0};
    struct yaml_node event;
    if (yaml_require(map, "event", &event, error) || substitution_read(substitution, event, &expectation.event, error) ||
        find_view(event, expectation.event, vocabulary, &expectation.view, error) ||
        read_where(&expectation, yaml_get(map, "where"), substitution, error))
        return -1;
    if (asprintf(&expectation.place, "%s:%d:%d", yaml_name(event.yaml), event.line, event.column) < 0) {
        expectation.place = NULL;
        return error_set_memory(error);
    }
    *ret_expectation = expectation;
    expectation = (struct expectation){0};
    return 0;
}

int expectation_read(struct yaml_node map, enum event_view view, const struct event_vocabulary *vocabulary,
                     const struct substitution *substitution, struct expectation *ret_expectation, struct error *error)
{
    CLEANUP(expectation_done) struct expectation expectation = {0};
    if (expectation_read_any(map, vocabulary, substitution, &expectation, error))
        return -1;
    if (expectation.view != view)
        return yaml_fail(yaml_get(map, "event"), error, "'%s' is an event of the %s view and stands under '%s'", expectation.event,
                         event_view_name(expectation.view), event_view_name(view));
    *ret_expectation = expectation;
    expectation = (struct expectation){0};
    return 0;
}

void expectation_done(struct expectation *expectation)
{
    for (size_t i = 0; i < expectation->condition_count; i++) {
        free(expectation->conditions[i].field);
        free(expectation->conditions[i].text);
        if (expectation->conditions[i].has_pattern)
            regfree(&expectation->conditions[i].pattern);
    }
    free(expectation->event);
    free(expectation->place);
    text_list_done(&expectation->catches);
    *expectation = (struct expectation){0};
}

/* ---- comparing ---- */

static const cJSON *step_into(const cJSON *value, const char *part)
{
    char *end;
    if (!cJSON_IsArray(value))
        return cJSON_GetObjectItemCaseSensitive(value, part);
    long index = strtol(part, &end, 10);
    return *end || index < 0 || index > cJSON_GetArraySize(value) ? NULL : cJSON_GetArrayItem(value, (int)index);
}

static const cJSON *follow(const cJSON *value, const char *field)
{
    CLEANUP_FREE char *parts = strdup(field);
    char *state = NULL;
    for (char *part = parts ? strtok_r(parts, ".", &state) : NULL; part && value; part = strtok_r(NULL, ".", &state))
        value = step_into(value, part);
    return parts && value && !cJSON_IsNull(value) ? value : NULL;
}

static const cJSON *find_field(const cJSON *event, const char *field)
{
    const cJSON *value = follow(event_data(event), field);
    return value ? value : follow(event, field);
}

static bool compare_text(const struct condition *condition, const char *text)
{
    return condition->kind == CONDITION_MATCHES ? regexec(&condition->pattern, text, 0, NULL, 0) == 0 : strcmp(condition->text, text) == 0;
}

static bool compare_number(const struct condition *condition, double number)
{
    switch (condition->kind) {
    case CONDITION_MIN:
        return number >= condition->number;
    case CONDITION_MAX:
        return number <= condition->number;
    default:
        /* Exactly: both come from text, and integers up to 2^53 are exact. */
        return !(number < condition->number) && !(number > condition->number);
    }
}

static bool holds(const struct condition *condition, const cJSON *event)
{
    const cJSON *value = find_field(event, condition->field);
    if (condition->kind == CONDITION_ABSENT)
        return (value == NULL) == (condition->number > 0);
    if (!value)
        return false;
    if (condition->kind == CONDITION_COUNT)
        return cJSON_IsArray(value) && compare_number(condition, cJSON_GetArraySize(value));
    if (condition->kind == CONDITION_TEXT || condition->kind == CONDITION_MATCHES)
        return cJSON_IsString(value) && compare_text(condition, value->valuestring);
    if (condition->kind == CONDITION_BOOL)
        return cJSON_IsBool(value) && cJSON_IsTrue(value) == (condition->number > 0);
    return cJSON_IsNumber(value) && compare_number(condition, value->valuedouble);
}

int expectation_nearness(const struct expectation *expectation, const cJSON *event)
{
    if (strcmp(json_string(event, "kind", ""), expectation->event) != 0)
        return -1;
    int count = 0;
    for (size_t i = 0; i < expectation->condition_count; i++)
        count += holds(&expectation->conditions[i], event);
    return count;
}

bool expectation_matches(const struct expectation *expectation, const cJSON *event)
{
    return expectation_nearness(expectation, event) == (int)expectation->condition_count;
}

/* ---- in words ---- */

static void describe_condition(const struct condition *condition, struct bytes *out)
{
    switch (condition->kind) {
    case CONDITION_TEXT:
        bytes_printf(out, "%s = '%s'", condition->field, condition->text);
        return;
    case CONDITION_MIN:
        bytes_printf(out, "%s >= %s", condition->field, condition->text);
        return;
    case CONDITION_MAX:
        bytes_printf(out, "%s <= %s", condition->field, condition->text);
        return;
    case CONDITION_MATCHES:
        bytes_printf(out, "%s ~ /%s/", condition->field, condition->text);
        return;
    case CONDITION_COUNT:
        bytes_printf(out, "%s has %s items", condition->field, condition->text);
        return;
    case CONDITION_ABSENT:
        bytes_printf(out, "%s is %s", condition->field, condition->number > 0 ? "absent" : "present");
        return;
    case CONDITION_NUMBER:
    case CONDITION_BOOL:
        bytes_printf(out, "%s = %s", condition->field, condition->text);
        return;
    }
}

static char *take_text(struct bytes *out)
{
    char *text = strdup(bytes_text(out));
    bytes_done(out);
    return text;
}

char *expectation_text(const struct expectation *expectation)
{
    struct bytes out = {.max_bytes = TEXT_MAX_BYTES};
    bytes_append_text(&out, expectation->event);
    for (size_t i = 0; i < expectation->condition_count; i++) {
        bytes_append_text(&out, i ? ", " : " where ");
        describe_condition(&expectation->conditions[i], &out);
    }
    if (expectation->has_after)
        bytes_printf(&out, ", %g s or more after the event before it", expectation->after_min_s);
    if (expectation->more_than)
        bytes_printf(&out, " more than %lld times", (long long)expectation->more_than);
    return take_text(&out);
}

static void describe_value(const cJSON *value, struct bytes *out)
{
    if (!value) {
        bytes_append_text(out, "absent");
    } else if (cJSON_IsString(value)) {
        bytes_printf(out, "'%s'", value->valuestring);
    } else if (cJSON_IsArray(value)) {
        bytes_printf(out, "%d items", cJSON_GetArraySize(value));
    } else {
        CLEANUP_FREE char *text = json_print_line(value);
        bytes_append_text(out, text ? text : "?");
    }
}

char *expectation_describe(const struct expectation *expectation, const cJSON *event)
{
    struct bytes out = {.max_bytes = TEXT_MAX_BYTES};
    bytes_append_text(&out, json_string(event, "kind", "?"));
    for (size_t i = 0; i < expectation->condition_count; i++) {
        const char *field = expectation->conditions[i].field;
        bytes_printf(&out, "%s%s = ", i ? ", " : " with ", field);
        describe_value(find_field(event, field), &out);
    }
    return take_text(&out);
}
