#include "broker_sim/scenario/scenario.h"

#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct scenario {
    struct scenario *older;
    char *registration_id;
    char *lease; /* NULL: permanent */
    struct knobs knobs;
    int64_t fault_counts[KNOB_COUNT];
};

struct scenario_table {
    struct knobs defaults;
    int64_t fault_counts[KNOB_COUNT]; /* of the defaults */
    struct scenario *newest;
    size_t count;
};

struct scenario_table *scenario_table_new(const struct knobs *defaults)
{
    struct scenario_table *table = calloc(1, sizeof *table);
    if (table)
        table->defaults = *defaults;
    return table;
}

static void scenario_free(struct scenario *scenario)
{
    free(scenario->registration_id);
    free(scenario->lease);
    free(scenario);
}
DEFINE_CLEANUP(struct scenario *, scenario_free)

void scenario_table_free(struct scenario_table *table)
{
    for (struct scenario *at = table ? table->newest : NULL; at;) {
        struct scenario *older = at->older;
        scenario_free(at);
        at = older;
    }
    free(table);
}

static bool is_same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

enum match { MATCH_ID = 1, MATCH_LEASE = 2 };

static bool matches(const struct scenario *scenario, int what, const char *registration_id, const char *lease)
{
    return (!(what & MATCH_ID) || strcasecmp(scenario->registration_id, registration_id) == 0) &&
           (!(what & MATCH_LEASE) || is_same_text(scenario->lease, lease));
}

static size_t remove_matching(struct scenario_table *table, int what, const char *registration_id, const char *lease)
{
    size_t before = table->count;
    for (struct scenario **at = &table->newest; *at;) {
        if (!matches(*at, what, registration_id, lease)) {
            at = &(*at)->older;
            continue;
        }
        struct scenario *gone = *at;
        *at = gone->older;
        scenario_free(gone);
        table->count--;
    }
    return before - table->count;
}

int scenario_set(struct scenario_table *table, const char *registration_id, const cJSON *knobs, const char *lease, struct error *error)
{
    if (table->count >= SCENARIOS_MAX)
        return error_set(error, ERROR_OWNER_RIG, ERROR_LIMIT, "there are %d scenarios already: clear some", SCENARIOS_MAX);
    CLEANUP(scenario_free_cleanup) struct scenario *scenario = calloc(1, sizeof *scenario);
    if (!scenario)
        return error_set_memory(error);
    scenario->knobs = table->defaults;
    scenario->registration_id = strdup(registration_id);
    scenario->lease = lease ? strdup(lease) : NULL;
    if (!scenario->registration_id || (lease && !scenario->lease))
        return error_set_memory(error);
    if (knobs_apply(&scenario->knobs, KNOB_TARGET_DEVICE, knobs, error))
        return -1;
    remove_matching(table, MATCH_ID | MATCH_LEASE, registration_id, lease);
    scenario->older = table->newest;
    table->newest = TAKE(scenario);
    table->count++;
    return 0;
}

int scenario_clear(struct scenario_table *table, const char *registration_id, struct error *error)
{
    if (remove_matching(table, MATCH_ID, registration_id, NULL) == 0)
        return error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "no scenario is set for registration id '%s'", registration_id);
    return 0;
}

void scenario_drop_lease(struct scenario_table *table, const char *lease)
{
    remove_matching(table, MATCH_LEASE, NULL, lease);
}

static struct scenario *in_force(const struct scenario_table *table, const char *registration_id)
{
    for (struct scenario *at = table->newest; registration_id && at; at = at->older)
        if (strcasecmp(at->registration_id, registration_id) == 0)
            return at;
    return NULL;
}

struct knobs scenario_knobs(const struct scenario_table *table, const char *registration_id)
{
    const struct scenario *scenario = in_force(table, registration_id);
    return scenario ? scenario->knobs : table->defaults;
}

const struct knobs *scenario_find(const struct scenario_table *table, const char *registration_id)
{
    const struct scenario *scenario = in_force(table, registration_id);
    return scenario ? &scenario->knobs : NULL;
}

bool scenario_fault(struct scenario_table *table, const char *registration_id, int knob)
{
    struct scenario *scenario = in_force(table, registration_id);
    const struct knobs *knobs = scenario ? &scenario->knobs : &table->defaults;
    int64_t *count = scenario ? &scenario->fault_counts[knob] : &table->fault_counts[knob];
    if (!knob_is_turned(knobs, &knob_list[knob]) || (knobs->fault_times && *count >= knobs->fault_times))
        return false;
    ++*count;
    return true;
}

static cJSON *describe(const struct scenario_table *table, const struct scenario *scenario)
{
    CLEANUP_JSON cJSON *object = cJSON_CreateObject();
    if (json_set_string(object, "registration_id", scenario->registration_id) || json_set_string(object, "lease", scenario->lease) ||
        json_set_bool(object, "is_in_force", in_force(table, scenario->registration_id) == scenario) ||
        json_set(object, "knobs", knobs_turned_to_json(&scenario->knobs, KNOB_TARGET_DEVICE)))
        return NULL;
    return TAKE(object);
}

cJSON *scenario_list(const struct scenario_table *table)
{
    cJSON *list = cJSON_CreateArray();
    for (const struct scenario *at = table->newest; list && at; at = at->older)
        cJSON_AddItemToArray(list, describe(table, at));
    return list;
}
