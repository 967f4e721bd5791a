#include "harness/control/sequence.h"

bool sequence_take(struct sequence *sequence, int64_t seq)
{
    if (seq <= sequence->last)
        return false;
    if (sequence->is_synced)
        sequence->missing += (uint64_t)(seq - sequence->last - 1);
    sequence->last = seq;
    return true;
}

void sequence_sync(struct sequence *sequence, int64_t seq)
{
    /* The last ones may be missing too: no later event shows that hole. */
    if (sequence->is_synced && seq > sequence->last)
        sequence->missing += (uint64_t)(seq - sequence->last);
    if (seq > sequence->last)
        sequence->last = seq;
    sequence->is_synced = true;
}
