/*
 * broker_sim/control/lease.h - leases: what a run holds, and when it ends if nobody renews it
 *
 * What:     a table of leases with an absolute end each. A lease names its lane; objects and scenarios carry the lease's id themselves.
 * Time:     real time: a time scale does not shorten a lease.
 */
#ifndef BROKER_SIM_CONTROL_LEASE_H
#define BROKER_SIM_CONTROL_LEASE_H

#include "base/clock.h"
#include "base/error.h"

#include <stdbool.h>

enum { LEASES_MAX = 1024, LEASE_TTL_MAX_S = 86400, LEASE_ID_BYTES = 40, LANE_NAME_BYTES = 32 };

struct lease {
    char id[LEASE_ID_BYTES];
    char lane[LANE_NAME_BYTES];
    deadline_t end;
    struct lease *next;
};

struct lease_table;

struct lease_table *lease_table_new(const struct clock *clock); /* NULL when out of memory */
void lease_table_free(struct lease_table *table);               /* NULL allowed */

/* ttl_s: 1 to LEASE_TTL_MAX_S, else USAGE (file). LIMIT (rig): too many. The lease is lent until lease_remove. */
int lease_add(struct lease_table *table, const char *lane, int64_t ttl_s, struct lease **ret_lease, struct error *error);
/* NOT_FOUND (file): there is none, or it has ended. */
int lease_find(const struct lease_table *table, const char *id, struct lease **ret_lease, struct error *error);
int lease_renew(struct lease_table *table, struct lease *lease, int64_t ttl_s, struct error *error);
void lease_remove(struct lease_table *table, struct lease *lease);
/* The first one whose end has passed, NULL when there is none. */
struct lease *lease_expired(const struct lease_table *table);
/* Milliseconds until the next end; -1 when there is no lease. */
int64_t lease_next_end_ms(const struct lease_table *table);

#endif
