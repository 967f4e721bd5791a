/* What a lease sees of the state: dps_state_seen_from. */
#include "base/cleanup.h"
#include "certs/dps_state_model.h"

#include <string.h>

struct lease_view {
    char *lease;
    char *lane;
    struct dps_state *seen; /* its lists are its own, all else is lent; NULL: not made since the last change */
    struct lease_view *next;
};

static void forget(struct lease_view *view)
{
    struct dps_state *seen = TAKE(view->seen);
    for (int kind = 0; seen && kind < DPS_KIND_COUNT; kind++) {
        holder_index_done(&seen->holders[kind]);
        free(seen->visible[kind].items);
    }
    free(seen);
}

void lease_views_forget(struct lease_view *views)
{
    for (struct lease_view *view = views; view; view = view->next)
        forget(view);
}

static void free_view(struct lease_view *view)
{
    forget(view);
    free(view->lease);
    free(view->lane);
    free(view);
}

void lease_views_drop(struct dps_state *state, const char *lease)
{
    for (struct lease_view **at = &state->views; *at;) {
        struct lease_view *view = *at;
        if (lease && strcmp(view->lease, lease) != 0) {
            at = &view->next;
            continue;
        }
        *at = view->next;
        free_view(view);
    }
}

int dps_state_bind_lane(struct dps_state *state, const char *lease, const char *lane, struct error *error)
{
    struct lease_view *view = calloc(1, sizeof *view);
    if (!view)
        return error_set_memory(error);
    *view = (struct lease_view){.lease = strdup(lease), .lane = strdup(lane)};
    if (!view->lease || !view->lane) {
        free_view(view);
        return error_set_memory(error);
    }
    view->next = state->views;
    state->views = view;
    return 0;
}

/* ---- looking ---- */

static bool holds_others(const struct dps_state *state, const char *lease)
{
    for (int kind = 0; kind < DPS_KIND_COUNT; kind++)
        for (size_t i = 0; i < state->leased[kind].count; i++)
            if (strcmp(state->leased[kind].items[i]->lease, lease) != 0)
                return true;
    return false;
}

static void look(const struct dps_state *state, struct lease_view *view)
{
    int failed = 0;
    view->seen = calloc(1, sizeof *view->seen);
    if (!view->seen)
        return;
    *view->seen = (struct dps_state){.dir = state->dir, .clock = state->clock, .signatures = state->signatures, .keyless = state->keyless};
    for (int kind = 0; kind < DPS_KIND_COUNT; kind++)
        failed |= dps_state_list_visible(state, (enum dps_kind)kind, view->lease, &view->seen->visible[kind]);
    if (failed)
        forget(view);
}

const struct dps_state *dps_state_seen_from(const struct dps_state *state, const char *lane)
{
    struct lease_view *view = state->views;
    while (view && lane && strcmp(view->lane, lane) != 0)
        view = view->next;
    if (!view || !lane || !holds_others(state, view->lease))
        return state;
    if (!view->seen)
        look(state, view);
    return view->seen ? view->seen : state;
}
