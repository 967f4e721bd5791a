#include "harness/run/pki_store.h"

#include "base/cleanup.h"

#include <string.h>

DEFINE_CLEANUP(struct recipe *, recipe_free)

struct entry {
    char *recipe;
    char *registration_id;
    char *dps_host;
    struct pki *pki;
    int64_t made_us; /* monotonic */
    int64_t skew_us; /* of the wall clock against that */
};

struct pki_store {
    struct entry entries[PKI_STORE_MAX];
    size_t count;
};

struct pki_store *pki_store_new(void)
{
    return calloc(1, sizeof(struct pki_store));
}

static void entry_done(struct entry *entry)
{
    free(entry->recipe);
    free(entry->registration_id);
    free(entry->dps_host);
    pki_free(entry->pki);
    *entry = (struct entry){0};
}

void pki_store_free(struct pki_store *store)
{
    for (size_t i = 0; store && i < store->count; i++)
        entry_done(&store->entries[i]);
    free(store);
}

static struct entry *find(struct pki_store *store, const char *recipe, const struct forge_variables *variables)
{
    for (size_t i = 0; i < store->count; i++) {
        struct entry *entry = &store->entries[i];
        if (strcmp(entry->recipe, recipe) == 0 && strcmp(entry->registration_id, variables->registration_id) == 0 &&
            strcmp(entry->dps_host, variables->dps_host) == 0)
            return entry;
    }
    return NULL;
}

/* A full store forgets its oldest: that costs a write, nothing else. */
static struct entry *place_for_one(struct pki_store *store)
{
    if (store->count < PKI_STORE_MAX)
        return &store->entries[store->count++];
    struct entry *oldest = &store->entries[0];
    for (size_t i = 1; i < store->count; i++)
        if (store->entries[i].made_us < oldest->made_us)
            oldest = &store->entries[i];
    entry_done(oldest);
    return oldest;
}

static int forge(const char *name, const struct forge_variables *variables, const struct clock *clock, struct key_cache *keys,
                 struct pki **ret_pki, struct error *error)
{
    CLEANUP(recipe_free_cleanup) struct recipe *recipe = NULL;
    if (recipe_read_builtin(name, &recipe, error))
        return -1;
    return forge_pki(recipe, variables, clock, keys, ret_pki, error);
}

static bool is_good(const struct entry *entry, int64_t now_us, int64_t skew_us)
{
    return entry->pki && now_us - entry->made_us < PKI_STORE_AGE_S * 1000000LL &&
           llabs(skew_us - entry->skew_us) < PKI_STORE_STEP_S * 1000000LL;
}

static int keep(struct pki_store *store, const char *recipe, const struct forge_variables *variables, struct entry **ret_entry,
                struct error *error)
{
    struct entry entry = {
        .recipe = strdup(recipe), .registration_id = strdup(variables->registration_id), .dps_host = strdup(variables->dps_host)};
    if (!entry.recipe || !entry.registration_id || !entry.dps_host) {
        entry_done(&entry);
        return error_set_memory(error);
    }
    struct entry *place = place_for_one(store);
    *place = entry;
    *ret_entry = place;
    return 0;
}

int pki_store_get(struct pki_store *store, const char *recipe, const struct forge_variables *variables, const struct clock *clock,
                  struct key_cache *keys, const struct pki **ret_pki, struct error *error)
{
    struct pki *pki = NULL;
    struct entry *entry = find(store, recipe, variables);
    int64_t now_us = clock_mono_us(clock), skew_us = clock_unix_us(clock) - now_us;
    if (entry && is_good(entry, now_us, skew_us)) {
        *ret_pki = entry->pki;
        return 0;
    }
    if (forge(recipe, variables, clock, keys, &pki, error))
        return -1;
    if (!entry && keep(store, recipe, variables, &entry, error)) {
        pki_free(pki);
        return -1;
    }
    pki_free(entry->pki);
    entry->pki = pki;
    entry->made_us = now_us;
    entry->skew_us = skew_us;
    *ret_pki = pki;
    return 0;
}
