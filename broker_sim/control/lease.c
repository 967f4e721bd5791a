#include "broker_sim/control/lease.h"

#include "base/uuid.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lease_table {
    const struct clock *clock;
    struct lease *first;
    size_t count;
};

struct lease_table *lease_table_new(const struct clock *clock)
{
    struct lease_table *table = calloc(1, sizeof *table);
    if (table)
        table->clock = clock;
    return table;
}

void lease_table_free(struct lease_table *table)
{
    while (table && table->first)
        lease_remove(table, table->first);
    free(table);
}

int lease_renew(struct lease_table *table, struct lease *lease, int64_t ttl_s, struct error *error)
{
    if (ttl_s < 1 || ttl_s > LEASE_TTL_MAX_S)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "ttl_s is an integer from 1 to %d", LEASE_TTL_MAX_S);
    lease->end = deadline_in_ms(table->clock, ttl_s * 1000);
    return 0;
}

int lease_add(struct lease_table *table, const char *lane, int64_t ttl_s, struct lease **ret_lease, struct error *error)
{
    if (table->count >= LEASES_MAX)
        return error_set(error, ERROR_OWNER_RIG, ERROR_LIMIT, "there are %d leases already: release some", LEASES_MAX);
    struct lease *lease = calloc(1, sizeof *lease);
    if (!lease)
        return error_set_memory(error);
    if (lease_renew(table, lease, ttl_s, error)) {
        free(lease);
        return -1;
    }
    uuid_make(lease->id);
    snprintf(lease->lane, sizeof lease->lane, "%s", lane);
    lease->next = table->first;
    table->first = lease;
    table->count++;
    *ret_lease = lease;
    return 0;
}

int lease_find(const struct lease_table *table, const char *id, struct lease **ret_lease, struct error *error)
{
    for (struct lease *lease = table->first; lease; lease = lease->next)
        if (strcmp(lease->id, id) == 0)
            return (int)(*ret_lease = lease, 0);
    return error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "lease '%.64s' does not exist, or has ended", id);
}

void lease_remove(struct lease_table *table, struct lease *lease)
{
    struct lease **at = &table->first;
    while (*at != lease)
        at = &(*at)->next;
    *at = lease->next;
    table->count--;
    free(lease);
}

struct lease *lease_expired(const struct lease_table *table)
{
    struct lease *lease = table->first;
    while (lease && !deadline_has_passed(table->clock, lease->end))
        lease = lease->next;
    return lease;
}

int64_t lease_next_end_ms(const struct lease_table *table)
{
    int64_t least = -1;
    for (const struct lease *lease = table->first; lease; lease = lease->next) {
        int64_t left = deadline_left_ms(table->clock, lease->end);
        if (least < 0 || left < least)
            least = left;
    }
    return least;
}
