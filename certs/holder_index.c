#include "certs/holder_index.h"

#include <string.h>

enum { KEYS_PER_OBJECT = 2 * DPS_PAIR, SLOTS_MIN = 16 };

/* FNV-1a; a thumbprint is as good as random, and nobody gains by choosing one: at worst his own lookup is slow. */
static size_t hash_of(const char *thumbprint)
{
    uint64_t hash = 14695981039346656037u;
    for (; *thumbprint; thumbprint++)
        hash = (hash ^ (unsigned char)*thumbprint) * 1099511628211u;
    return (size_t)hash;
}

static void add(struct holder_index *index, const char *thumbprint, const struct dps_object *object)
{
    if (!*thumbprint)
        return;
    size_t at = hash_of(thumbprint) & (index->slot_count - 1);
    while (index->slots[at].thumbprint)
        at = (at + 1) & (index->slot_count - 1);
    index->slots[at] = (struct holder_slot){thumbprint, object};
}

int holder_index_make(struct holder_index *index, const struct dps_object *const *objects, size_t count)
{
    size_t slot_count = SLOTS_MIN;
    while (slot_count < 2 * KEYS_PER_OBJECT * count)
        slot_count *= 2;
    struct holder_slot *slots = calloc(slot_count, sizeof *slots);
    if (!slots)
        return -1;
    *index = (struct holder_index){slots, slot_count};
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < DPS_PAIR; j++) {
            add(index, objects[i]->certificates[j].sha1, objects[i]);
            add(index, objects[i]->certificates[j].sha256, objects[i]);
        }
    return 0;
}

void holder_index_done(struct holder_index *index)
{
    free(index->slots);
    *index = (struct holder_index){.slots = NULL};
}

const struct dps_object *holder_index_find(const struct holder_index *index, const char *thumbprint, const struct dps_object *except)
{
    for (size_t at = hash_of(thumbprint) & (index->slot_count - 1); index->slots[at].thumbprint; at = (at + 1) & (index->slot_count - 1))
        if (index->slots[at].object != except && strcmp(index->slots[at].thumbprint, thumbprint) == 0)
            return index->slots[at].object;
    return NULL;
}
