#include "harness/plan/device_plan.h"

#include "base/bytes.h"
#include "base/cleanup.h"

#include <string.h>

/* ---- what a row needs ---- */

const char *device_unmet_need(const struct rig_device *device, const struct case_row *row)
{
    for (size_t i = 0; i < row->needs.count; i++)
        if (!rig_device_offers(device, row->needs.items[i]))
            return row->needs.items[i];
    return NULL;
}

static bool expects(const struct case_row *row, enum case_view view, const char *event)
{
    const struct case_expectations *list = &row->views[view].in_order;
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i].event, event) == 0)
            return true;
    return false;
}

bool row_leaves_assignment(const struct case_row *row)
{
    return expects(row, CASE_VIEW_CONSOLE, "console.assigned") || expects(row, CASE_VIEW_SERVICE, "dps.assigned");
}

bool row_needs_fresh(const struct case_row *row)
{
    return row->steps[0] == CASE_STEP_FRESH;
}

/* ---- forgetting ---- */

enum forget_way forget_way_of(const struct rig_device *device)
{
    if (rig_device_offers(device, RIG_FORGETS_AT_BOOT))
        return FORGET_AT_BOOT;
    return rig_device_offers(device, "chip-erase") ? FORGET_ERASE : FORGET_NOT;
}

const char *forget_way_text(enum forget_way way)
{
    static const char *const texts[] = {
        [FORGET_NOT] = "nothing can", [FORGET_AT_BOOT] = "each boot forgets", [FORGET_ERASE] = "chip erase"};
    return texts[way];
}

/* ---- texts of slots ---- */

struct texts {
    char **items;
    size_t count;
};

static void texts_done(struct texts *texts)
{
    for (size_t i = 0; i < texts->count; i++)
        free(texts->items[i]);
    free(texts->items);
}

/* Its number among the texts seen so far; a new one gets the next. */
static int number_of(struct texts *texts, const char *text, uint32_t *ret_number, struct error *error)
{
    for (size_t i = 0; i < texts->count; i++)
        if (strcmp(texts->items[i], text) == 0) {
            *ret_number = (uint32_t)i;
            return 0;
        }
    if (!(texts->items[texts->count] = strdup(text)))
        return error_set_memory(error);
    *ret_number = (uint32_t)texts->count++;
    return 0;
}

static void spell_root(const struct case_row *row, struct bytes *text)
{
    const struct case_credentials *credentials = &row->credentials;
    switch (credentials->root_ca) {
    case CASE_ROOT_NONE:
        break;
    case CASE_ROOT_LANE:
        bytes_printf(text, "server %s", row->server_recipe ? row->server_recipe : "");
        break;
    case CASE_ROOT_MEMBER:
        bytes_printf(text, "%s#%s", credentials->recipe, credentials->root_ca_member);
        break;
    }
}

static void spell_chain(const struct case_row *row, struct bytes *text)
{
    const struct text_list *members = &row->credentials.client_cert;
    for (size_t i = 0; i < members->count; i++)
        bytes_printf(text, "%s#%s", i ? "" : row->credentials.recipe, members->items[i]);
}

static void spell_key(const struct case_row *row, struct bytes *text)
{
    if (row->credentials.client_key)
        bytes_printf(text, "%s#%s", row->credentials.recipe, row->credentials.client_key);
}

static int number_slots(const struct case_row *row, struct texts *texts, uint32_t *slots, struct error *error)
{
    static void (*const spell[ORDER_SLOTS])(const struct case_row *, struct bytes *) = {spell_root, spell_chain, spell_key};
    for (size_t i = 0; i < ORDER_SLOTS; i++) {
        CLEANUP(bytes_done) struct bytes text = {.max_bytes = ERROR_TEXT_MAX_BYTES};
        spell[i](row, &text);
        if (number_of(texts, bytes_text(&text), &slots[i], error))
            return -1;
    }
    return 0;
}

/* ---- stops ---- */

#define X(member, seconds, text) static const double cost_##member = seconds;
DEVICE_PLAN_COSTS(X)
#undef X

static double row_seconds(const struct case_row *row)
{
    double seconds = cost_row_s;
    for (int view = 0; view < CASE_VIEW_COUNT; view++) {
        double waits = 0;
        for (size_t i = 0; i < row->views[view].in_order.count; i++)
            waits += row->views[view].in_order.items[i].has_after ? row->views[view].in_order.items[i].after_min_s : 0;
        if (waits + cost_row_s > seconds)
            seconds = waits + cost_row_s;
    }
    return seconds < (double)row->budget_s ? seconds : (double)row->budget_s;
}

static int fill_stops(const struct case_list *rows, size_t count, struct order_stop *stops, struct error *error)
{
    CLEANUP(texts_done) struct texts texts = {.items = calloc(count * ORDER_SLOTS + 1, sizeof *texts.items)};
    if (!texts.items)
        return error_set_memory(error);
    for (size_t i = 0; i < count; i++) {
        const struct case_row *row = rows->rows[i];
        stops[i].needs_fresh = row_needs_fresh(row);
        stops[i].leaves_assignment = row_leaves_assignment(row);
        stops[i].device_s = row_seconds(row);
        if (number_slots(row, &texts, stops[i].slots, error))
            return -1;
    }
    return 0;
}

static struct order_costs costs_of(enum forget_way way)
{
    return (struct order_costs){.write_s = cost_write_s,
                                .prepare_s = cost_prepare_s,
                                .reset_s = cost_reset_s,
                                .forget_s = way == FORGET_ERASE ? cost_erase_s : cost_reset_s};
}

/* What an own virtual DK is like is known: it is new. */
static struct order_start start_of(const struct rig_device *device)
{
    return (struct order_start){.slots = {ORDER_UNKNOWN, ORDER_UNKNOWN, ORDER_UNKNOWN}, .may_be_assigned = !device->is_virtual};
}

/* ---- the order ---- */

/* Rows that the predicate picks go to the end; the others and they keep their order. Returns how many stay in front. */
static size_t part(struct case_row **rows, size_t count, bool (*goes_last)(const struct case_row *, const void *), const void *user,
                   struct case_row **scratch)
{
    size_t front = 0, back = 0;
    for (size_t i = 0; i < count; i++) {
        if (goes_last(rows[i], user))
            scratch[back++] = rows[i];
        else
            rows[front++] = rows[i];
    }
    memcpy(rows + front, scratch, back * sizeof *rows);
    return front;
}

static bool is_unmet(const struct case_row *row, const void *device)
{
    return device_unmet_need(device, row) != NULL;
}

static bool leaves(const struct case_row *row, const void *unused)
{
    (void)unused;
    return row_leaves_assignment(row);
}

static bool is_silent(const struct case_row *row, const void *unused)
{
    (void)unused;
    return row->is_silent;
}

struct workspace {
    struct case_row **rows; /* scratch */
    struct order_stop *stops;
    size_t *order;
};

static void workspace_done(struct workspace *workspace)
{
    free(workspace->rows);
    free(workspace->stops);
    free(workspace->order);
}

static int order_part(struct case_list *rows, size_t first, size_t count, const struct order_start *start, const struct order_costs *costs,
                      const struct workspace *workspace, struct error *error)
{
    struct case_list piece = {.rows = rows->rows + first, .count = count};
    if (fill_stops(&piece, count, workspace->stops, error) || order_find(workspace->stops, count, start, costs, workspace->order, error))
        return -1;
    for (size_t i = 0; i < count; i++)
        workspace->rows[i] = piece.rows[workspace->order[i]];
    memcpy(piece.rows, workspace->rows, count * sizeof *piece.rows);
    return 0;
}

static int put_in_order(struct case_list *rows, size_t count, const struct order_start *start, const struct device_plan *plan,
                        const struct workspace *workspace, struct error *error)
{
    size_t front = count;
    if (plan->forget == FORGET_NOT)
        front = part(rows->rows, count, leaves, NULL, workspace->rows);
    return order_part(rows, 0, front, start, &plan->costs, workspace, error) ||
                   order_part(rows, front, count - front, start, &plan->costs, workspace, error)
               ? -1
               : 0;
}

static size_t stuck(const struct case_list *rows, size_t count)
{
    bool is_assigned = false;
    size_t number = 0;
    for (size_t i = 0; i < count; i++) {
        number += is_assigned && row_needs_fresh(rows->rows[i]);
        is_assigned = is_assigned || row_leaves_assignment(rows->rows[i]);
    }
    return number;
}

int device_plan_make(const struct rig_device *device, struct case_list *rows, bool keeps_order, struct device_plan *ret_plan,
                     struct error *error)
{
    CLEANUP(workspace_done)
    struct workspace workspace = {.rows = calloc(rows->count + 1, sizeof *workspace.rows),
                                  .stops = calloc(rows->count + 1, sizeof *workspace.stops),
                                  .order = calloc(rows->count + 1, sizeof *workspace.order)};
    const struct order_start start = start_of(device);
    struct device_plan plan = {.forget = forget_way_of(device)};
    if (!workspace.rows || !workspace.stops || !workspace.order)
        return error_set_memory(error);
    plan.costs = costs_of(plan.forget);
    plan.row_count = part(rows->rows, rows->count, is_unmet, device, workspace.rows);
    plan.unmet_count = rows->count - plan.row_count;
    if (fill_stops(rows, plan.row_count, workspace.stops, error) ||
        order_bound(workspace.stops, plan.row_count, &start, &plan.costs, &plan.bound, error))
        return -1;
    plan.as_listed = order_bill(workspace.stops, NULL, plan.row_count, &start, &plan.costs);
    if (!keeps_order && put_in_order(rows, plan.row_count, &start, &plan, &workspace, error))
        return -1;
    /* Another must have passed before them. They are rows of programs, whose credentials are files: it costs nothing. */
    if (!keeps_order)
        part(rows->rows, plan.row_count, is_silent, NULL, workspace.rows);
    if (fill_stops(rows, plan.row_count, workspace.stops, error))
        return -1;
    plan.planned = order_bill(workspace.stops, NULL, plan.row_count, &start, &plan.costs);
    plan.stuck_count = plan.forget == FORGET_NOT ? stuck(rows, plan.row_count) : 0;
    *ret_plan = plan;
    return 0;
}
