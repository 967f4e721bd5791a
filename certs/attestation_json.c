#include "certs/attestation.h"

static cJSON *finding_json(const struct attestation_finding *finding)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_add_string(json, "id", finding->rule->id) || json_add_string(json, "class", finding->rule->class) ||
        json_add_string(json, "severity", attestation_severity_name(finding->severity)) || json_add_string(json, "text", finding->text) ||
        json_add_string(json, "mend", finding->mend))
        return NULL;
    return TAKE(json);
}

static int set_findings(cJSON *json, const struct attestation_verdict *verdict)
{
    CLEANUP_JSON cJSON *array = cJSON_CreateArray();
    for (size_t i = 0; array && i < verdict->finding_count; i++) {
        cJSON *finding = finding_json(&verdict->findings[i]);
        if (!finding || !cJSON_AddItemToArray(array, finding))
            return -1;
    }
    return json_add(json, "rules", TAKE(array));
}

static int set_surface(cJSON *json, const struct attestation_verdict *verdict)
{
    if (json_add_string(json, "surface", attestation_surface_name(verdict->surface)))
        return -1;
    if (verdict->return_code && json_add_integer(json, "return_code", verdict->return_code))
        return -1;
    if (verdict->error_code && json_add_integer(json, "error_code", verdict->error_code))
        return -1;
    return json_add_string(json, "message", verdict->message);
}

static int set_match(cJSON *evidence, const struct attestation_verdict *verdict)
{
    if (!verdict->is_matched)
        return 0;
    CLEANUP_JSON cJSON *match = cJSON_CreateObject();
    if (!match || json_add_string(match, "kind", verdict->match_kind == DPS_GROUP ? "group" : "individual") ||
        json_add_string(match, "id", verdict->match_id) || json_add(evidence, "enrollment", TAKE(match)))
        return -1;
    return json_add_string(evidence, "matched", verdict->matched);
}

static int set_rule_evidence(cJSON *evidence, const struct attestation_rule *rule)
{
    if (!rule)
        return 0;
    return json_add_string(evidence, "azure", rule->azure) ||
                   json_add_string(evidence, "rule_evidence", attestation_evidence_name(rule->evidence)) ||
                   json_add_string(evidence, "rule_source", rule->source)
               ? -1
               : 0;
}

static cJSON *evidence_json(const struct attestation_verdict *verdict)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_add_string(json, "registration_id", verdict->registration_id) || json_add_string(json, "leaf_cn", verdict->leaf_cn) ||
        json_add(json, "chain", cJSON_Duplicate(verdict->chain, true)) || json_add(json, "path", cJSON_Duplicate(verdict->path, true)) ||
        set_match(json, verdict) || set_rule_evidence(json, verdict->rule))
        return NULL;
    return TAKE(json);
}

cJSON *attestation_verdict_json(const struct attestation_verdict *verdict)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_add_string(json, "verdict", attestation_outcome_name(verdict->outcome)) ||
        json_add_string(json, "rule", verdict->rule ? verdict->rule->id : NULL) || set_findings(json, verdict) ||
        set_surface(json, verdict) || json_add_string(json, "profile", verdict->profile->name) ||
        json_add_string(json, "text", verdict->text) || json_add_string(json, "mend", verdict->mend) ||
        json_add(json, "evidence", evidence_json(verdict)))
        return NULL;
    return TAKE(json);
}
