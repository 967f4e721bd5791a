#include "harness/plan/order.h"

#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>

/* Pairs of nodes looked at, all in all: a second or so. The suite's few dozen sets need some thousands. */
enum { LOOKS_MAX = 60 * 1000 * 1000, STARTS_MAX = 128 };

/* Stops with the same texts: they run one after the other, whatever else happens. */
struct node {
    const uint32_t *slots; /* lent from the first of them */
    size_t first;          /* in `members` */
    size_t count;
};

struct search {
    const struct order_stop *stops;
    const struct order_start *start;
    size_t *members; /* indices of stops, node by node */
    struct node *nodes;
    size_t node_count;
    uint64_t looks;
};

static size_t distance(const uint32_t *a, const uint32_t *b)
{
    size_t count = 0;
    for (size_t i = 0; i < ORDER_SLOTS; i++)
        count += a[i] != b[i] || a[i] == ORDER_UNKNOWN;
    return count;
}

/* ---- nodes ---- */

static int compare_slots(const uint32_t *a, const uint32_t *b)
{
    for (size_t i = 0; i < ORDER_SLOTS; i++)
        if (a[i] != b[i])
            return a[i] < b[i] ? -1 : 1;
    return 0;
}

/* By texts; then those that leave an assignment last, so that few have to be forgotten; then as the file has them. */
static int compare_members(const void *a, const void *b, void *user)
{
    const struct order_stop *stops = user;
    size_t left = *(const size_t *)a, right = *(const size_t *)b;
    int order = compare_slots(stops[left].slots, stops[right].slots);
    if (order == 0)
        order = (int)stops[left].leaves_assignment - (int)stops[right].leaves_assignment;
    if (order == 0)
        order = left < right ? -1 : left > right;
    return order;
}

static size_t first_of_node(const struct search *search, const struct node *node)
{
    size_t least = search->members[node->first];
    for (size_t i = 1; i < node->count; i++)
        if (search->members[node->first + i] < least)
            least = search->members[node->first + i];
    return least;
}

/* The nodes stand as their first rows stand in the file: then "the first of equals" means something to a reader. */
static int compare_nodes(const void *a, const void *b, void *user)
{
    size_t left = first_of_node(user, a), right = first_of_node(user, b);
    return left < right ? -1 : left > right;
}

static void group(struct search *search, size_t count)
{
    for (size_t i = 0; i < count; i++)
        search->members[i] = i;
    qsort_r(search->members, count, sizeof *search->members, compare_members, (void *)search->stops);
    for (size_t i = 0; i < count; i++) {
        const uint32_t *slots = search->stops[search->members[i]].slots;
        struct node *last = search->node_count ? &search->nodes[search->node_count - 1] : NULL;
        if (last && compare_slots(last->slots, slots) == 0)
            last->count++;
        else
            search->nodes[search->node_count++] = (struct node){.slots = slots, .first = i, .count = 1};
    }
    qsort_r(search->nodes, search->node_count, sizeof *search->nodes, compare_nodes, search);
}

static int prepare(struct search *search, size_t count, struct error *error)
{
    if (count > ORDER_STOPS_MAX)
        return error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "%zu rows are more than can be planned (%d); choose some", count,
                         ORDER_STOPS_MAX);
    search->members = calloc(count + 1, sizeof *search->members);
    search->nodes = calloc(count + 1, sizeof *search->nodes);
    if (!search->members || !search->nodes)
        return error_set_memory(error);
    group(search, count);
    return 0;
}

static void search_done(struct search *search)
{
    free(search->members);
    free(search->nodes);
}

/* ---- paths ---- */

static const uint32_t *slots_at(const struct search *search, const size_t *path, size_t index)
{
    return search->nodes[path[index]].slots;
}

/* From what stands before `index` (the device as it is, at 0) to the node there. */
static size_t step_length(const struct search *search, const size_t *path, size_t index)
{
    const uint32_t *before = index == 0 ? search->start->slots : slots_at(search, path, index - 1);
    return distance(before, slots_at(search, path, index));
}

static size_t path_length(const struct search *search, const size_t *path)
{
    size_t length = 0;
    for (size_t i = 0; i < search->node_count; i++)
        length += step_length(search, path, i);
    return length;
}

static size_t nearest(struct search *search, const uint32_t *from, const bool *is_used)
{
    size_t best = SIZE_MAX, best_distance = SIZE_MAX;
    for (size_t i = 0; i < search->node_count; i++) {
        size_t length = is_used[i] ? SIZE_MAX : distance(from, search->nodes[i].slots);
        if (length < best_distance) {
            best = i;
            best_distance = length;
        }
    }
    search->looks += search->node_count;
    return best;
}

static void walk_from(struct search *search, size_t first, bool *is_used, size_t *path)
{
    memset(is_used, 0, search->node_count * sizeof *is_used);
    path[0] = first;
    is_used[first] = true;
    for (size_t i = 1; i < search->node_count; i++) {
        path[i] = nearest(search, slots_at(search, path, i - 1), is_used);
        is_used[path[i]] = true;
    }
}

static void reverse(size_t *path, size_t first, size_t last)
{
    for (; first < last; first++, last--) {
        size_t held = path[first];
        path[first] = path[last];
        path[last] = held;
    }
}

/* What turning round first..last would save. */
static long turn_gain(const struct search *search, const size_t *path, size_t first, size_t last)
{
    const uint32_t *before = first == 0 ? search->start->slots : slots_at(search, path, first - 1);
    long gain = (long)step_length(search, path, first) - (long)distance(before, slots_at(search, path, last));
    if (last + 1 < search->node_count)
        gain += (long)step_length(search, path, last + 1) - (long)distance(slots_at(search, path, first), slots_at(search, path, last + 1));
    return gain;
}

static bool improve_by_turning(struct search *search, size_t *path)
{
    bool has_improved = false;
    for (size_t first = 0; first + 1 < search->node_count; first++) {
        search->looks += search->node_count - first;
        for (size_t last = first + 1; last < search->node_count && search->looks < LOOKS_MAX; last++) {
            if (turn_gain(search, path, first, last) <= 0)
                continue;
            reverse(path, first, last);
            has_improved = true;
        }
    }
    return has_improved;
}

static void move_node(size_t *path, size_t from, size_t to)
{
    size_t node = path[from];
    if (from < to)
        memmove(path + from, path + from + 1, (to - from) * sizeof *path);
    else
        memmove(path + to + 1, path + to, (from - to) * sizeof *path);
    path[to] = node;
}

/* Take one node out and put it elsewhere; both lengths are summed anew: few nodes, and no case can be forgotten. */
static bool improve_by_moving(struct search *search, size_t *path)
{
    bool has_improved = false;
    size_t best = path_length(search, path);
    for (size_t from = 0; from < search->node_count; from++)
        for (size_t to = 0; to < search->node_count && search->looks < LOOKS_MAX; to++) {
            search->looks += search->node_count;
            move_node(path, from, to);
            size_t length = path_length(search, path);
            if (length < best) {
                best = length;
                has_improved = true;
                break;
            }
            move_node(path, to, from);
        }
    return has_improved;
}

static void improve(struct search *search, size_t *path)
{
    while (search->looks < LOOKS_MAX && (improve_by_turning(search, path) || improve_by_moving(search, path)))
        ;
}

/* ---- bills ---- */

struct tally {
    struct order_bill bill;
    uint32_t slots[ORDER_SLOTS];
    bool is_assigned;
};

static void add_stop(struct tally *tally, const struct order_stop *stop, const struct order_costs *costs)
{
    size_t writes = distance(tally->slots, stop->slots);
    bool forgets = stop->needs_fresh && tally->is_assigned;
    tally->bill.writes += writes;
    tally->bill.forgets += forgets;
    tally->bill.resets += !forgets;
    tally->bill.device_s +=
        costs->prepare_s + (double)writes * costs->write_s + (forgets ? costs->forget_s : costs->reset_s) + stop->device_s;
    tally->is_assigned = stop->leaves_assignment || (tally->is_assigned && !forgets);
    memcpy(tally->slots, stop->slots, sizeof tally->slots);
}

struct order_bill order_bill(const struct order_stop *stops, const size_t *order, size_t count, const struct order_start *start,
                             const struct order_costs *costs)
{
    struct tally tally = {.is_assigned = start->may_be_assigned};
    memcpy(tally.slots, start->slots, sizeof tally.slots);
    for (size_t i = 0; i < count; i++)
        add_stop(&tally, &stops[order ? order[i] : i], costs);
    return tally.bill;
}

static void spell_out(const struct search *search, const size_t *path, size_t *order)
{
    size_t at = 0;
    for (size_t i = 0; i < search->node_count; i++) {
        const struct node *node = &search->nodes[path[i]];
        memcpy(order + at, search->members + node->first, node->count * sizeof *order);
        at += node->count;
    }
}

static bool is_better(const struct order_bill *bill, const struct order_bill *best)
{
    if (bill->writes != best->writes)
        return bill->writes < best->writes;
    return bill->device_s < best->device_s;
}

/* ---- the search ---- */

struct attempt {
    size_t *path;
    size_t *order;
    bool *is_used;
};

struct best {
    struct order_bill bill;
    size_t *order;
    bool is_set;
};

static void weigh(const struct search *search, const struct order_costs *costs, size_t count, const struct attempt *attempt,
                  struct best *best)
{
    spell_out(search, attempt->path, attempt->order);
    struct order_bill bill = order_bill(search->stops, attempt->order, count, search->start, costs);
    if (best->is_set && !is_better(&bill, &best->bill))
        return;
    best->bill = bill;
    best->is_set = true;
    memcpy(best->order, attempt->order, count * sizeof *best->order);
}

static void try_all(struct search *search, const struct order_costs *costs, size_t count, const struct attempt *attempt, struct best *best)
{
    size_t starts = search->node_count < STARTS_MAX ? search->node_count : STARTS_MAX;
    for (size_t i = 0; i < starts && (i == 0 || search->looks < LOOKS_MAX); i++) {
        walk_from(search, i, attempt->is_used, attempt->path);
        improve(search, attempt->path);
        weigh(search, costs, count, attempt, best);
        /* The same way back may end better: with a stop whose assignment nobody has to forget. */
        reverse(attempt->path, 0, search->node_count - 1);
        weigh(search, costs, count, attempt, best);
    }
}

int order_find(const struct order_stop *stops, size_t count, const struct order_start *start, const struct order_costs *costs,
               size_t *ret_order, struct error *error)
{
    CLEANUP(search_done) struct search search = {.stops = stops, .start = start};
    if (count == 0)
        return 0;
    if (prepare(&search, count, error))
        return -1;
    CLEANUP_FREE size_t *path = calloc(search.node_count, sizeof *path);
    CLEANUP_FREE size_t *order = calloc(count, sizeof *order);
    CLEANUP_FREE bool *is_used = calloc(search.node_count, sizeof *is_used);
    if (!path || !order || !is_used)
        return error_set_memory(error);
    struct best best = {.order = ret_order};
    try_all(&search, costs, count, &(struct attempt){.path = path, .order = order, .is_used = is_used}, &best);
    return 0;
}

/* ---- the bound ---- */

/* Prim: node by node, the device as it is at the root. */
static size_t tree_length(const struct search *search, size_t *away)
{
    size_t length = 0;
    for (size_t i = 0; i < search->node_count; i++)
        away[i] = distance(search->start->slots, search->nodes[i].slots);
    for (size_t round = 0; round < search->node_count; round++) {
        size_t next = SIZE_MAX;
        for (size_t i = 0; i < search->node_count; i++)
            if (away[i] != SIZE_MAX && (next == SIZE_MAX || away[i] < away[next]))
                next = i;
        length += away[next];
        away[next] = SIZE_MAX;
        for (size_t i = 0; i < search->node_count; i++) {
            size_t near = away[i] == SIZE_MAX ? 0 : distance(search->nodes[next].slots, search->nodes[i].slots);
            if (away[i] != SIZE_MAX && near < away[i])
                away[i] = near;
        }
    }
    return length;
}

static int compare_texts(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return left < right ? -1 : left > right;
}

/* Every text that a slot does not hold at first has to be written there once. */
static size_t different_texts(const struct search *search, size_t slot, uint32_t *texts)
{
    size_t count = 0, different = 0;
    bool holds_one = false;
    for (size_t i = 0; i < search->node_count; i++)
        texts[count++] = search->nodes[i].slots[slot];
    qsort(texts, count, sizeof *texts, compare_texts);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && texts[i] == texts[i - 1])
            continue;
        different++;
        holds_one = holds_one || texts[i] == search->start->slots[slot];
    }
    return different - (holds_one ? 1 : 0);
}

/* Whatever the order: every assignment but the last one is followed by a stop, and only those that need none may find one. */
static size_t least_forgets(const struct order_stop *stops, size_t count, const struct order_start *start)
{
    size_t assigning = 0, assigning_fresh = 0, fresh = 0;
    for (size_t i = 0; i < count; i++) {
        assigning += stops[i].leaves_assignment;
        fresh += stops[i].needs_fresh;
        assigning_fresh += stops[i].leaves_assignment && stops[i].needs_fresh;
    }
    if (start->may_be_assigned)
        return fresh == 0 ? 0 : assigning_fresh > 1 ? assigning_fresh : 1;
    return assigning_fresh > 0 && assigning > 0 ? assigning_fresh - 1 : 0;
}

static double least_seconds(const struct order_stop *stops, size_t count, const struct order_costs *costs, const struct order_bill *bound)
{
    double seconds = 0;
    for (size_t i = 0; i < count; i++)
        seconds += costs->prepare_s + stops[i].device_s;
    double start_s = costs->forget_s < costs->reset_s ? costs->forget_s : costs->reset_s;
    seconds += (double)bound->writes * costs->write_s + (double)bound->forgets * costs->forget_s;
    return seconds + (double)(count - bound->forgets) * start_s;
}

int order_bound(const struct order_stop *stops, size_t count, const struct order_start *start, const struct order_costs *costs,
                struct order_bill *ret_bound, struct error *error)
{
    CLEANUP(search_done) struct search search = {.stops = stops, .start = start};
    *ret_bound = (struct order_bill){0};
    if (count == 0)
        return 0;
    if (prepare(&search, count, error))
        return -1;
    CLEANUP_FREE size_t *away = calloc(search.node_count, sizeof *away);
    CLEANUP_FREE uint32_t *texts = calloc(search.node_count, sizeof *texts);
    if (!away || !texts)
        return error_set_memory(error);
    size_t tree = tree_length(&search, away), sum = 0;
    for (size_t i = 0; i < ORDER_SLOTS; i++)
        sum += different_texts(&search, i, texts);
    ret_bound->writes = tree > sum ? tree : sum;
    ret_bound->forgets = least_forgets(stops, count, start);
    ret_bound->resets = count - ret_bound->forgets;
    ret_bound->device_s = least_seconds(stops, count, costs, ret_bound);
    return 0;
}
