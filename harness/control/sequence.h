/*
 * harness/control/sequence.h - holes in the numbers of a stream of events
 *
 * What:     events carry `seq`, which counts up by one (docs/events.md), and are delivered at least once: a repetition is dropped, a hole is
 *           counted. What happened before the first sync is not ours to miss.
 */
#ifndef HARNESS_CONTROL_SEQUENCE_H
#define HARNESS_CONTROL_SEQUENCE_H

#include <stdbool.h>
#include <stdint.h>

struct sequence {
    int64_t last;
    bool is_synced;   /* `last` is exact: every later number must come */
    uint64_t missing; /* so far */
};

/* The event with this number came. false: it came before already. */
bool sequence_take(struct sequence *sequence, int64_t seq);
/* The source says that `seq` was its last, and everything before it has been delivered. */
void sequence_sync(struct sequence *sequence, int64_t seq);

#endif
