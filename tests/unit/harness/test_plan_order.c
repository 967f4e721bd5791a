/* The order of rows: against every order there is where these can be counted, and against the bound where they cannot. */
#include "harness/plan/order.h"

#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>

#include "tests/cmocka.h"

enum { FEW = 7, MANY = 300, ROUNDS = 150 };

static const struct order_costs costs = {.write_s = 2, .prepare_s = 1, .reset_s = 10, .forget_s = 40};
static const struct order_start unknown = {.slots = {ORDER_UNKNOWN, ORDER_UNKNOWN, ORDER_UNKNOWN}, .may_be_assigned = true};

static uint32_t next(uint32_t *seed, uint32_t below)
{
    *seed = *seed * 1664525U + 1013904223U;
    return (*seed >> 8) % below;
}

static void fill(struct order_stop *stops, size_t count, uint32_t *seed)
{
    for (size_t i = 0; i < count; i++)
        stops[i] = (struct order_stop){
            .slots = {next(seed, 3), next(seed, 4), next(seed, 4)},
            .needs_fresh = next(seed, 8) != 0,
            .leaves_assignment = next(seed, 3) == 0,
            .device_s = next(seed, 30),
        };
}

struct least {
    size_t writes;
    size_t forgets;
    double device_s;
    double device_s_of_least_writes;
};

static void note(struct least *least, const struct order_bill *bill)
{
    if (bill->writes < least->writes || (bill->writes == least->writes && bill->device_s < least->device_s_of_least_writes))
        least->device_s_of_least_writes = bill->device_s;
    if (bill->writes < least->writes)
        least->writes = bill->writes;
    if (bill->forgets < least->forgets)
        least->forgets = bill->forgets;
    if (bill->device_s < least->device_s)
        least->device_s = bill->device_s;
}

static void swap(size_t *a, size_t *b)
{
    size_t held = *a;
    *a = *b;
    *b = held;
}

/* All orders of the tail from `at` on. FEW is small: 5040 of them. */
static void look_at_all(const struct order_stop *stops, const struct order_start *start, size_t *order, struct least *least)
{
    size_t counters[FEW] = {0}, at = 0;
    struct order_bill bill = order_bill(stops, order, FEW, start, &costs);
    note(least, &bill);
    while (at < FEW) {
        if (counters[at] >= at) {
            counters[at++] = 0;
            continue;
        }
        swap(&order[at % 2 ? counters[at] : 0], &order[at]);
        bill = order_bill(stops, order, FEW, start, &costs);
        note(least, &bill);
        counters[at]++;
        at = 0;
    }
}

static void check_permutation(const size_t *order, size_t count)
{
    CLEANUP_FREE bool *is_seen = calloc(count, sizeof *is_seen);
    for (size_t i = 0; i < count; i++) {
        assert_in_range(order[i], 0, count - 1);
        assert_false(is_seen[order[i]]);
        is_seen[order[i]] = true;
    }
}

static void find(const struct order_stop *stops, size_t count, const struct order_start *start, size_t *order)
{
    struct error error = ERROR_INIT;
    assert_int_equal(order_find(stops, count, start, &costs, order, &error), 0);
    check_permutation(order, count);
}

static void few_rows_get_the_best_order_that_there_is(void **state)
{
    (void)state;
    uint32_t seed = 1;
    size_t slower = 0;
    for (size_t round = 0; round < ROUNDS; round++) {
        struct order_stop stops[FEW];
        size_t order[FEW], every[FEW];
        struct order_start start = round % 2 ? unknown : (struct order_start){.slots = {0, 1, 2}};
        struct least least = {SIZE_MAX, SIZE_MAX, 1e9, 1e9};
        struct order_bill bound;
        struct error error = ERROR_INIT;
        fill(stops, FEW, &seed);
        for (size_t i = 0; i < FEW; i++)
            every[i] = i;
        look_at_all(stops, &start, every, &least);
        find(stops, FEW, &start, order);
        struct order_bill bill = order_bill(stops, order, FEW, &start, &costs);
        assert_int_equal(order_bound(stops, FEW, &start, &costs, &bound, &error), 0);
        assert_int_equal(bill.writes, least.writes);
        slower += bill.device_s > 1.1 * least.device_s_of_least_writes;
        assert_true(bound.writes <= least.writes);
        assert_true(bound.forgets <= least.forgets);
        assert_true(bound.device_s <= least.device_s + 1e-6);
    }
    /* Writes come first; among orders of as few writes the search looks at some, not at all. */
    assert_in_range(slower, 0, ROUNDS / 10);
}

static void many_rows_end_in_time_and_near_the_bound(void **state)
{
    (void)state;
    CLEANUP_FREE struct order_stop *stops = calloc(MANY, sizeof *stops);
    CLEANUP_FREE size_t *order = calloc(MANY, sizeof *order);
    uint32_t seed = 7;
    for (size_t i = 0; i < MANY; i++) {
        uint32_t client = next(&seed, 100);
        stops[i] = (struct order_stop){.slots = {next(&seed, 12), 100 + client, 200 + client}, .needs_fresh = true};
    }
    struct order_bill bound;
    struct error error = ERROR_INIT;
    find(stops, MANY, &unknown, order);
    struct order_bill bill = order_bill(stops, order, MANY, &unknown, &costs), naive = order_bill(stops, NULL, MANY, &unknown, &costs);
    assert_int_equal(order_bound(stops, MANY, &unknown, &costs, &bound, &error), 0);
    assert_true(bill.writes < naive.writes);
    assert_true(bill.writes >= bound.writes);
    assert_true((double)bill.writes <= 1.2 * (double)bound.writes);
}

static void the_file_keeps_its_order_where_nothing_is_gained(void **state)
{
    (void)state;
    const struct order_stop stops[] = {
        {.slots = {1, 2, 3}}, {.slots = {1, 4, 5}}, {.slots = {1, 2, 3}}, {.slots = {1, 6, 7}}, {.slots = {1, 4, 5}}};
    const size_t expected[] = {0, 2, 1, 4, 3};
    size_t order[ARRAY_COUNT(stops)];
    find(stops, ARRAY_COUNT(stops), &unknown, order);
    assert_memory_equal(order, expected, sizeof expected);
}

static void the_row_that_is_assigned_comes_last_of_its_texts(void **state)
{
    (void)state;
    const struct order_stop stops[] = {{.slots = {1, 2, 3}, .needs_fresh = true, .leaves_assignment = true},
                                       {.slots = {1, 2, 3}, .needs_fresh = true}};
    const struct order_start fresh = {.slots = {1, 2, 3}};
    size_t order[ARRAY_COUNT(stops)];
    find(stops, ARRAY_COUNT(stops), &fresh, order);
    assert_int_equal(order[0], 1);
    struct order_bill bill = order_bill(stops, order, ARRAY_COUNT(stops), &fresh, &costs);
    assert_int_equal(bill.forgets, 0);
    assert_int_equal(bill.writes, 0);
    assert_int_equal(bill.resets, 2);
    bill = order_bill(stops, NULL, ARRAY_COUNT(stops), &fresh, &costs);
    assert_int_equal(bill.forgets, 1);
}

static void nothing_costs_nothing_and_too_much_is_refused(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    struct order_bill bound;
    size_t nothing;
    assert_int_equal(order_find(NULL, 0, &unknown, &costs, &nothing, &error), 0);
    assert_int_equal(order_bound(NULL, 0, &unknown, &costs, &bound, &error), 0);
    assert_int_equal(bound.writes, 0);
    CLEANUP_FREE struct order_stop *stops = calloc(ORDER_STOPS_MAX + 1, sizeof *stops);
    assert_int_equal(order_find(stops, ORDER_STOPS_MAX + 1, &unknown, &costs, &nothing, &error), -1);
    assert_int_equal(error.code, ERROR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_rows_get_the_best_order_that_there_is),
        cmocka_unit_test(many_rows_end_in_time_and_near_the_bound),
        cmocka_unit_test(the_file_keeps_its_order_where_nothing_is_gained),
        cmocka_unit_test(the_row_that_is_assigned_comes_last_of_its_texts),
        cmocka_unit_test(nothing_costs_nothing_and_too_much_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
