#include "harness/run/shard.h"

#include "base/cleanup.h"

#include <string.h>

struct place {
    size_t row;
    uint64_t hash;
    unsigned shard; /* from 0 */
};

/* FNV-1a, then a finaliser (splitmix64): ids that differ in one letter shall not be neighbours. */
static uint64_t mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
    return value ^ (value >> 31);
}

static uint64_t hash_of(const char *id)
{
    uint64_t hash = 0xcbf29ce484222325ULL;
    for (const char *at = id; *at; at++)
        hash = (hash ^ (unsigned char)*at) * 0x100000001b3ULL;
    return mix(hash);
}

static int compare(const void *a, const void *b)
{
    const struct place *one = a, *other = b;
    if (one->hash != other->hash)
        return one->hash < other->hash ? -1 : 1;
    return one->row < other->row ? -1 : 1;
}

static unsigned choose(uint64_t hash, const size_t *loads, unsigned count, size_t room)
{
    unsigned best = 0;
    uint64_t most = 0;
    bool has_one = false;
    for (unsigned i = 0; i < count; i++) {
        uint64_t liking = mix(hash ^ mix(i + 1));
        if (loads[i] < room && (!has_one || liking > most)) {
            best = i;
            most = liking;
            has_one = true;
        }
    }
    return best;
}

static void deal(struct place *places, size_t row_count, unsigned count)
{
    size_t loads[SHARDS_MAX] = {0};
    qsort(places, row_count, sizeof *places, compare);
    for (size_t i = 0; i < row_count; i++) {
        places[i].shard = choose(places[i].hash, loads, count, (row_count + count - 1) / count);
        loads[places[i].shard]++;
    }
}

int shard_keep(struct case_list *rows, unsigned index, unsigned count, struct error *error)
{
    CLEANUP_FREE struct place *places = calloc(rows->count + 1, sizeof *places);
    CLEANUP_FREE bool *is_kept = calloc(rows->count + 1, sizeof *is_kept);
    size_t kept = 0;
    if (!places || !is_kept)
        return error_set_memory(error);
    for (size_t i = 0; i < rows->count; i++)
        places[i] = (struct place){.row = i, .hash = hash_of(rows->rows[i]->id)};
    deal(places, rows->count, count);
    for (size_t i = 0; i < rows->count; i++)
        is_kept[places[i].row] = places[i].shard == index - 1;
    for (size_t i = 0; i < rows->count; i++) {
        if (is_kept[i])
            rows->rows[kept++] = rows->rows[i];
        else
            case_row_free(rows->rows[i]);
    }
    rows->count = kept;
    return 0;
}
