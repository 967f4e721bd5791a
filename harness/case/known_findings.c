#include "harness/case/known_findings.h"

#include "base/cleanup.h"
#include "base/files.h"
#include "harness/case/select.h"

#include <string.h>

DEFINE_CLEANUP(struct yaml *, yaml_free)

/* ---- reading ---- */

static int read_text(struct yaml_node map, const char *key, char **ret_text, struct error *error)
{
    struct yaml_node node;
    const char *text;
    if (yaml_require(map, key, &node, error) || yaml_read_string(node, &text, error))
        return -1;
    *ret_text = strdup(text);
    return *ret_text ? 0 : error_set_memory(error);
}

static int read_device(struct yaml_node map, struct known_finding *finding, struct error *error)
{
    static const char *const keys[] = {"dialect", "personality", "client", NULL};
    struct yaml_node device;
    if (yaml_require(map, "device", &device, error) || yaml_check_keys(device, "device", keys, error))
        return -1;
    if (!yaml_is_null(yaml_get(device, "client")))
        return yaml_count(device) == 1 ? read_text(device, "client", &finding->client, error)
                                       : yaml_fail(device, error, "a program is told by its `client` alone");
    if (read_text(device, "dialect", &finding->dialect, error))
        return -1;
    return yaml_is_null(yaml_get(device, "personality")) ? 0 : read_text(device, "personality", &finding->personality, error);
}

static int read_failure(struct yaml_node map, const struct event_vocabulary *vocabulary, struct known_failure *failure, struct error *error)
{
    static const char *const keys[] = {"event", "where", "list", NULL};
    static const char *const lists[] = {"any", "in_order", "never", NULL};
    const struct substitution nothing = {0};
    size_t word = KNOWN_LIST_ANY;
    struct yaml_node list = yaml_get(map, "list");
    if (yaml_check_keys(map, "an expectation that is known to fail", keys, error) ||
        (!yaml_is_null(list) && yaml_read_word(list, "a list of expectations", lists, &word, error)))
        return -1;
    failure->list = (enum known_list)word;
    return expectation_read_any(map, vocabulary, &nothing, &failure->wanted, error);
}

static int read_failures(struct yaml_node map, const struct event_vocabulary *vocabulary, struct known_finding *finding,
                         struct error *error)
{
    struct yaml_node list;
    if (yaml_require(map, "fails", &list, error))
        return -1;
    if (!yaml_is_list(list) || yaml_count(list) == 0 || yaml_count(list) > KNOWN_FAILS_MAX)
        return yaml_fail(list, error, "a list of 1 to %d expectations must stand here: [{event: NAME}]", KNOWN_FAILS_MAX);
    for (size_t i = 0; i < yaml_count(list); i++) {
        if (read_failure(yaml_item_at(list, i), vocabulary, &finding->fails[finding->fail_count], error))
            return -1;
        finding->fail_count++;
    }
    return 0;
}

static int read_finding(struct yaml_node map, const struct event_vocabulary *vocabulary, struct known_finding *finding, struct error *error)
{
    static const char *const keys[] = {"rows", "device", "fails", "reason", "source", NULL};
    if (yaml_check_keys(map, "a known finding", keys, error) || select_read(map, &finding->rows, error) ||
        read_device(map, finding, error) || read_failures(map, vocabulary, finding, error) ||
        read_text(map, "reason", &finding->reason, error) || read_text(map, "source", &finding->source, error))
        return -1;
    return asprintf(&finding->place, "%s:%d:%d", yaml_name(map.yaml), map.line, map.column) < 0
               ? (finding->place = NULL, error_set_memory(error))
               : 0;
}

static int read_findings(struct yaml_node root, const struct event_vocabulary *vocabulary, struct known_findings *known,
                         struct error *error)
{
    static const char *const keys[] = {"format", "findings", NULL};
    struct yaml_node list = yaml_get(root, "findings");
    if (yaml_check_format(root, "known findings", KNOWN_FINDINGS_FORMAT, error) || yaml_check_keys(root, KNOWN_FINDINGS_FILE, keys, error))
        return -1;
    if (!yaml_is_list(list) || yaml_count(list) > KNOWN_FINDINGS_MAX)
        return yaml_fail(yaml_is_there(list) ? list : root, error, "`findings` must be a list of at most %d", KNOWN_FINDINGS_MAX);
    known->items = calloc(yaml_count(list) + 1, sizeof *known->items);
    if (!known->items)
        return error_set_memory(error);
    for (size_t i = 0; i < yaml_count(list); i++) {
        known->count++;
        if (read_finding(yaml_item_at(list, i), vocabulary, &known->items[i], error))
            return -1;
    }
    return 0;
}

int known_findings_read_text(const char *text, size_t length_bytes, const char *name, const struct event_vocabulary *vocabulary,
                             struct known_findings *ret_known, struct error *error)
{
    CLEANUP(yaml_free_cleanup) struct yaml *yaml = yaml_read_text(text, length_bytes, name, error);
    CLEANUP(known_findings_done) struct known_findings known = {0};
    if (!yaml || read_findings(yaml_root(yaml), vocabulary, &known, error))
        return -1;
    *ret_known = known;
    known = (struct known_findings){0};
    return 0;
}

int known_findings_read(const char *cases_directory, const char *shown, const struct event_vocabulary *vocabulary,
                        struct known_findings *ret_known, struct error *error)
{
    CLEANUP_FREE char *path = path_join(cases_directory, KNOWN_FINDINGS_FILE);
    CLEANUP_FREE char *name = path_join(shown, KNOWN_FINDINGS_FILE);
    CLEANUP(bytes_done) struct bytes text = {0};
    if (!path || !name)
        return error_set_memory(error);
    if (!path_exists(path)) {
        *ret_known = (struct known_findings){0};
        return 0;
    }
    if (file_read(path, YAML_FILE_MAX_BYTES, &text, error))
        return -1;
    return known_findings_read_text(bytes_text(&text), text.length_bytes, name, vocabulary, ret_known, error);
}

static void free_finding(struct known_finding *finding)
{
    char *texts[] = {finding->place, finding->dialect, finding->personality, finding->client, finding->reason, finding->source};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        free(texts[i]);
    for (size_t i = 0; i < finding->fail_count; i++)
        expectation_done(&finding->fails[i].wanted);
    text_list_done(&finding->rows);
}

void known_findings_done(struct known_findings *known)
{
    for (size_t i = 0; i < known->count; i++)
        free_finding(&known->items[i]);
    free(known->items);
    *known = (struct known_findings){0};
}

/* ---- marking ---- */

static bool has_condition(const struct expectation *expectation, const struct condition *wanted)
{
    for (size_t i = 0; i < expectation->condition_count; i++) {
        const struct condition *condition = &expectation->conditions[i];
        if (condition->kind == wanted->kind && strcmp(condition->field, wanted->field) == 0 && strcmp(condition->text, wanted->text) == 0)
            return true;
    }
    return false;
}

static bool is_wanted(const struct expectation *expectation, const struct expectation *wanted)
{
    if (strcmp(expectation->event, wanted->event) != 0)
        return false;
    for (size_t i = 0; i < wanted->condition_count; i++)
        if (!has_condition(expectation, &wanted->conditions[i]))
            return false;
    return true;
}

/* How many fit; marks them with `finding` unless that is NULL. */
static size_t mark_list(const struct case_expectations *list, const struct expectation *wanted, const struct known_finding *finding)
{
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (!is_wanted(&list->items[i], wanted))
            continue;
        count++;
        if (finding)
            list->items[i].known = finding;
    }
    return count;
}

static size_t mark_row(const struct case_row *row, const struct known_failure *failure, const struct known_finding *finding)
{
    size_t count = 0;
    for (int i = 0; i < CASE_VIEW_COUNT; i++) {
        if (failure->list != KNOWN_LIST_NEVER)
            count += mark_list(&row->views[i].in_order, &failure->wanted, finding) +
                     mark_list(&row->views[i].in_any_order, &failure->wanted, finding);
        if (failure->list != KNOWN_LIST_IN_ORDER)
            count += mark_list(&row->views[i].never, &failure->wanted, finding);
    }
    return count;
}

static bool means_row(const struct known_finding *finding, const struct case_row *row)
{
    for (size_t i = 0; i < finding->rows.count; i++)
        if (select_fits(finding->rows.items[i], row))
            return true;
    return false;
}

static bool means_device(const struct known_finding *finding, const struct known_device *device)
{
    if (!device)
        return false;
    if (finding->client || device->client)
        return finding->client && device->client && strcmp(finding->client, device->client) == 0;
    if (!device->dialect || strcmp(finding->dialect, device->dialect) != 0)
        return false;
    return !finding->personality || !device->personality || strcmp(finding->personality, device->personality) == 0;
}

static int check_rows(const struct known_finding *finding, const struct case_list *list, struct error *error)
{
    for (size_t i = 0; i < finding->rows.count; i++) {
        bool is_used = false;
        for (size_t j = 0; j < list->count && !is_used; j++)
            is_used = select_fits(finding->rows.items[i], list->rows[j]);
        if (!is_used)
            return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s: no case or row fits '%s'", finding->place, finding->rows.items[i]);
    }
    return 0;
}

static int mark(const struct known_finding *finding, bool is_meant, const struct case_list *list, struct error *error)
{
    for (size_t i = 0; i < finding->fail_count; i++) {
        const struct known_failure *failure = &finding->fails[i];
        size_t count = 0;
        for (size_t j = 0; j < list->count; j++)
            if (means_row(finding, list->rows[j]))
                count += mark_row(list->rows[j], failure, is_meant ? finding : NULL);
        CLEANUP_FREE char *text = count ? NULL : expectation_text(&failure->wanted);
        if (count == 0)
            return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s: none of these rows expects '%s'", failure->wanted.place,
                             text ? text : failure->wanted.event);
    }
    return 0;
}

int known_findings_mark(const struct known_findings *known, const struct known_device *device, const struct case_list *list,
                        struct error *error)
{
    for (size_t i = 0; i < known->count; i++) {
        const struct known_finding *finding = &known->items[i];
        if (check_rows(finding, list, error) || mark(finding, means_device(finding, device), list, error))
            return -1;
    }
    return 0;
}
