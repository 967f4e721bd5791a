#include "perf/run/pki.h"

#include "base/log.h"
#include "certs/forge.h"

#include <time.h>

DEFINE_CLEANUP(struct recipe *, recipe_free)
DEFINE_CLEANUP(struct pki *, pki_free)
DEFINE_CLEANUP(struct key_cache *, key_cache_free)

/* Of this process: what others want of the machine does not count. */
static double cpu_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int forge(const char *name, struct key_cache *keys, struct error *error)
{
    CLEANUP(recipe_free_cleanup) struct recipe *recipe = NULL;
    CLEANUP(pki_free_cleanup) struct pki *pki = NULL;
    const struct forge_variables variables = {.registration_id = "perf-device", .dps_host = "perf.example"};
    return recipe_read_builtin(name, &recipe, error) || forge_pki(recipe, &variables, &clock_system, keys, &pki, error) ? -1 : 0;
}

static int forge_all(size_t *ret_count, struct error *error)
{
    CLEANUP(key_cache_free_cleanup) struct key_cache *keys = key_cache_new();
    const char *const *names = recipe_builtin_names();
    size_t count = 0;
    if (!keys)
        return error_set_memory(error);
    for (; names[count]; count++)
        if (forge(names[count], keys, error))
            return -1;
    *ret_count = count;
    return 0;
}

int measure_pki(size_t rounds, struct figures *figures, struct error *error)
{
    double values[ROUNDS_MAX];
    size_t count = rounds < ROUNDS_MAX ? rounds : ROUNDS_MAX;
    for (size_t i = 0; i < count; i++) {
        double before_s = cpu_s();
        if (forge_all(&figures->pki.recipes, error))
            return -1;
        values[i] = cpu_s() - before_s;
    }
    figures->pki.cpu_s = figures_spread(values, count);
    log_info("the PKI of %zu recipes: %.2f s of CPU", figures->pki.recipes, figures->pki.cpu_s.median);
    return 0;
}
