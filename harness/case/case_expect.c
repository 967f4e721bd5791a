/* The `expect` and `findings` blocks. */
#include "base/cleanup.h"
#include "harness/case/case_internal.h"

#include <string.h>

static const enum event_view event_views[] = {
    [CASE_VIEW_CONSOLE] = EVENT_VIEW_CONSOLE,
    [CASE_VIEW_WIRE] = EVENT_VIEW_WIRE,
    [CASE_VIEW_SERVICE] = EVENT_VIEW_SERVICE,
};

/* `only: {surface: connack}`: does the expectation belong to this permutation? */
static int read_only(const struct case_reader *reader, struct yaml_node only, bool *ret_belongs, struct error *error)
{
    *ret_belongs = true;
    if (yaml_is_null(only))
        return 0;
    struct substitution vary = reader->substitution;
    vary.names[vary.count = reader->vary_count] = NULL;
    if (yaml_check_keys(only, "only", vary.names, error))
        return -1;
    for (size_t i = 0; i < yaml_count(only); i++) {
        const char *wanted;
        if (yaml_read_string(yaml_value_at(only, i), &wanted, error))
            return -1;
        *ret_belongs &= strcmp(substitution_value(&vary, yaml_text(yaml_key_at(only, i))), wanted) == 0;
    }
    return 0;
}

enum list_kind { LIST_IN_ORDER, LIST_IN_ANY_ORDER, LIST_NEVER };

static int read_after(struct yaml_node node, bool is_first, struct expectation *expectation, struct error *error)
{
    static const char *const keys[] = {"min", "max", NULL};
    if (yaml_is_null(node))
        return 0;
    struct yaml_node min = yaml_get(node, "min"), max = yaml_get(node, "max");
    if (is_first)
        return yaml_fail(node, error, "after_s counts from the expectation before it; there is none");
    if (yaml_check_keys(node, "after_s", keys, error))
        return -1;
    *expectation = (struct expectation){.has_after = true, .after_min_s = 0, .after_max_s = CASE_BUDGET_MAX_S};
    if (!yaml_is_null(min) && yaml_read_number(min, 0, CASE_BUDGET_MAX_S, &expectation->after_min_s, error))
        return -1;
    return yaml_is_null(max) ? 0 : yaml_read_number(max, 0, CASE_BUDGET_MAX_S, &expectation->after_max_s, error);
}

static int read_more_than(struct yaml_node node, int64_t *ret_count, struct error *error)
{
    return yaml_is_null(node) ? 0 : yaml_read_integer(node, 1, 1000000, ret_count, error);
}

static int read_one(struct case_reader *reader, struct yaml_node node, enum event_view view, enum list_kind kind,
                    struct case_expectations *list, struct error *error)
{
    static const char *const keys[][6] = {[LIST_IN_ORDER] = {"event", "where", "only", "after_s", "catches"},
                                          [LIST_IN_ANY_ORDER] = {"event", "where", "only", "catches"},
                                          [LIST_NEVER] = {"event", "where", "only", "more_than", "catches"}};
    struct expectation limits = {0};
    bool belongs;
    if (yaml_check_keys(node, "an expectation", keys[kind], error) || read_only(reader, yaml_get(node, "only"), &belongs, error) ||
        read_after(yaml_get(node, "after_s"), list->count == 0, &limits, error) ||
        read_more_than(yaml_get(node, "more_than"), &limits.more_than, error))
        return -1;
    /* Read it even when it belongs to another permutation: what is wrong in it should not depend on what is run. */
    CLEANUP(expectation_done) struct expectation expectation = {0};
    if (expectation_read(node, view, &reader->options->vocabulary, &reader->substitution, &expectation, error) ||
        case_read_list(reader, yaml_get(node, "catches"), &expectation.catches, error))
        return -1;
    expectation.has_after = limits.has_after;
    expectation.after_min_s = limits.after_min_s;
    expectation.after_max_s = limits.after_max_s;
    expectation.more_than = limits.more_than;
    if (belongs) {
        list->items[list->count++] = expectation;
        expectation = (struct expectation){0};
    }
    return 0;
}

static int read_list(struct case_reader *reader, struct yaml_node node, enum event_view view, enum list_kind kind,
                     struct case_expectations *list, struct error *error)
{
    if (yaml_is_null(node))
        return 0;
    if (!yaml_is_list(node))
        return yaml_fail(node, error, "a list of expectations must stand here: [{event: NAME, where: {...}}]");
    if (yaml_count(node) > CASE_EXPECTATIONS_MAX)
        return yaml_fail(node, error, "more than %d expectations in one list", CASE_EXPECTATIONS_MAX);
    list->items = calloc(yaml_count(node) + 1, sizeof *list->items);
    if (!list->items)
        return error_set_memory(error);
    for (size_t i = 0; i < yaml_count(node); i++)
        if (read_one(reader, yaml_item_at(node, i), view, kind, list, error))
            return -1;
    return 0;
}

static int read_view(struct case_reader *reader, struct yaml_node node, enum case_view view, struct error *error)
{
    static const char *const keys[] = {"in_order", "in_any_order", "never", NULL};
    struct case_view_expectations *expectations = &reader->row->views[view];
    if (yaml_is_null(node))
        return 0;
    if (yaml_check_keys(node, "a view's expectations", keys, error) ||
        read_list(reader, yaml_get(node, "in_order"), event_views[view], LIST_IN_ORDER, &expectations->in_order, error) ||
        read_list(reader, yaml_get(node, "in_any_order"), event_views[view], LIST_IN_ANY_ORDER, &expectations->in_any_order, error))
        return -1;
    return read_list(reader, yaml_get(node, "never"), event_views[view], LIST_NEVER, &expectations->never, error);
}

int case_read_views(struct case_reader *reader, struct yaml_node expect, struct error *error)
{
    static const char *const keys[] = {"console", "wire", "service", NULL};
    if (yaml_check_keys(expect, "expect", keys, error))
        return -1;
    size_t positive = 0;
    for (int i = 0; i < CASE_VIEW_COUNT; i++) {
        if (read_view(reader, yaml_get(expect, keys[i]), (enum case_view)i, error))
            return -1;
        positive += reader->row->views[i].in_order.count + reader->row->views[i].in_any_order.count;
    }
    /* A row that only forbids would pass on a device that is switched off. */
    return positive ? 0
                    : yaml_fail(expect, error,
                                "nothing is expected to happen: at least one view needs `in_order` or `in_any_order` for this row");
}

/* ---- what catches which weakness ---- */

typedef int visit_fn(const struct expectation *expectation, enum case_view view, void *user, struct error *error);

static int visit_list(const struct case_expectations *list, enum case_view view, visit_fn *visit, void *user, struct error *error)
{
    for (size_t i = 0; i < list->count; i++)
        if (visit(&list->items[i], view, user, error))
            return -1;
    return 0;
}

static int visit_all(const struct case_row *row, visit_fn *visit, void *user, struct error *error)
{
    for (int i = 0; i < CASE_VIEW_COUNT; i++)
        if (visit_list(&row->views[i].in_order, (enum case_view)i, visit, user, error) ||
            visit_list(&row->views[i].in_any_order, (enum case_view)i, visit, user, error) ||
            visit_list(&row->views[i].never, (enum case_view)i, visit, user, error))
            return -1;
    return 0;
}

struct catching {
    const char *weakness;
    bool is_caught;
};

static int note_catch(const struct expectation *expectation, enum case_view view, void *user, struct error *error)
{
    (void)error;
    struct catching *catching = user;
    catching->is_caught |= view != CASE_VIEW_CONSOLE && text_list_has(&expectation->catches, catching->weakness);
    return 0;
}

static int check_named(const struct expectation *expectation, enum case_view view, void *user, struct error *error)
{
    (void)view;
    const struct case_row *row = user;
    for (size_t i = 0; i < expectation->catches.count; i++)
        if (!text_list_has(&row->fails_under, expectation->catches.items[i]))
            return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s: it catches '%s', which is not in `fails_under`",
                             expectation->place, expectation->catches.items[i]);
    return 0;
}

/* What the device prints can be right for the wrong reason; what it did, and what the service saw, cannot. */
int case_check_catches(const struct case_reader *reader, struct yaml_node list, struct error *error)
{
    struct case_row *row = reader->row;
    for (size_t i = 0; i < row->fails_under.count; i++) {
        struct catching catching = {.weakness = row->fails_under.items[i]};
        visit_all(row, note_catch, &catching, NULL);
        if (!catching.is_caught)
            return yaml_fail(yaml_item_at(list, i), error, "row '%s': no expectation of wire or service says `catches: [%s]`", row->id,
                             catching.weakness);
    }
    return visit_all(row, check_named, row, error);
}

/* ---- findings ---- */

static int read_finding(struct case_reader *reader, struct yaml_node node, struct error *error)
{
    static const char *const keys[] = {"event", "where", "only", "text", "source", NULL};
    bool belongs;
    if (yaml_check_keys(node, "a finding", keys, error) || read_only(reader, yaml_get(node, "only"), &belongs, error))
        return -1;
    struct case_finding *finding = &reader->row->findings[reader->row->finding_count];
    if (expectation_read_any(node, &reader->options->vocabulary, &reader->substitution, &finding->seen, error))
        return -1;
    reader->row->finding_count++;
    if (case_read_required(reader, node, "text", &finding->text, error) ||
        case_read_required(reader, node, "source", &finding->source, error))
        return -1;
    if (!belongs) {
        reader->row->finding_count--;
        expectation_done(&finding->seen);
        free(finding->text);
        free(finding->source);
        *finding = (struct case_finding){0};
    }
    return 0;
}

int case_read_findings(struct case_reader *reader, struct yaml_node findings, struct error *error)
{
    if (yaml_is_null(findings))
        return 0;
    if (!yaml_is_list(findings) || yaml_count(findings) > CASE_LIST_MAX)
        return yaml_fail(findings, error, "findings must be a list of at most %d items", CASE_LIST_MAX);
    for (size_t i = 0; i < yaml_count(findings); i++)
        if (read_finding(reader, yaml_item_at(findings, i), error))
            return -1;
    return 0;
}
