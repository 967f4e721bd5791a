/*
 * harness/run/shard.h - which part of the rows a machine of a CI matrix runs
 *
 * What:     deals rows out to N shards by their ids alone: the same for every machine, disjoint, together the whole, and no shard holds more
 *           than the N-th part, rounded up. A row that is added or taken away moves few others.
 * Way:      consistent hashing with bounded loads: in the order of a hash of their ids, rows go to the shard that they like best (a hash of id
 *           and shard) among those that have room. (Mirrokni, Thorup, Zadimoghaddam: "Consistent Hashing with Bounded Loads".)
 */
#ifndef HARNESS_RUN_SHARD_H
#define HARNESS_RUN_SHARD_H

#include "harness/case/case.h"

enum { SHARDS_MAX = 256 };

/* Keep the rows of shard `index` (from 1) of `count`, in their order; the others are freed. MEMORY (ours). */
int shard_keep(struct case_list *rows, unsigned index, unsigned count, struct error *error);

#endif
