#include "broker_sim/fidelity/fidelity.h"

#include "base/cleanup.h"

#include <string.h>

/* Once each. */
static bool has(const cJSON *list, const char *id)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (cJSON_IsString(item) && strcmp(item->valuestring, id) == 0)
            return true;
    }
    return false;
}

static void lean(const struct fidelity_row *row, cJSON *list)
{
    if (row && row->evidence == FIDELITY_ASSUMED && !has(list, row->id))
        cJSON_AddItemToArray(list, cJSON_CreateString(row->id));
}

/* Refusals that did not decide changed nothing. */
static bool has_effect(const cJSON *rule, const char *deciding)
{
    return strcmp(json_string(rule, "severity", ""), "refuse") != 0 || strcmp(json_string(rule, "id", ""), deciding) == 0;
}

static void lean_on_rules(const struct fidelity *fidelity, const cJSON *data, const char *deciding, cJSON *list)
{
    cJSON *rule;
    cJSON_ArrayForEach(rule, json_member(data, "rules"))
    {
        const struct fidelity_row *row = fidelity_find(fidelity, json_string(rule, "id", ""));
        if (row)
            json_set_string(rule, "evidence", fidelity_evidence_name(row->evidence));
        if (has_effect(rule, deciding))
            lean(row, list);
    }
}

void fidelity_mark(const struct fidelity *fidelity, cJSON *data)
{
    const char *deciding = json_string(data, "rule", NULL);
    if (!deciding && !json_member(data, "rules"))
        return;
    CLEANUP_JSON cJSON *list = cJSON_CreateArray();
    const struct fidelity_row *row = deciding ? fidelity_find(fidelity, deciding) : NULL;
    cJSON *evidence = (cJSON *)json_member(data, "evidence");
    if (row && !json_string(evidence, "rule_evidence", NULL))
        json_set_string(cJSON_IsObject(evidence) ? evidence : data, "rule_evidence", fidelity_evidence_name(row->evidence));
    lean(row, list);
    lean_on_rules(fidelity, data, deciding ? deciding : "", list);
    if (cJSON_GetArraySize(list) > 0)
        json_set(data, "assumed", TAKE(list));
}
