#include "broker_sim/fidelity/model.h"

#include "base/cleanup.h"

#include <string.h>

const char *fidelity_evidence_name(enum fidelity_evidence evidence)
{
    return fidelity_evidence_names[evidence];
}

const struct fidelity_row *fidelity_at(const struct fidelity *fidelity, size_t index)
{
    return index < fidelity->row_count ? &fidelity->rows[index] : NULL;
}

const struct fidelity_row *fidelity_find(const struct fidelity *fidelity, const char *id)
{
    for (size_t i = 0; i < fidelity->row_count; i++)
        if (strcmp(fidelity->rows[i].id, id) == 0)
            return &fidelity->rows[i];
    return NULL;
}

static bool is_wanted(const struct fidelity_row *row, const char *evidence)
{
    return !evidence || strcmp(fidelity_evidence_name(row->evidence), evidence) == 0;
}

/* ---- text ---- */

static int print_list(const struct fidelity_list *list, const char *label, struct bytes *out)
{
    if (list->count == 0)
        return 0;
    int rc = bytes_printf(out, "    %s: ", label);
    for (size_t i = 0; i < list->count; i++)
        rc |= bytes_printf(out, "%s%s", i ? "; " : "", list->items[i]);
    return rc | bytes_append_text(out, "\n");
}

static int print_row(const struct fidelity_row *row, struct bytes *out)
{
    int rc = bytes_printf(out, "%s [%s]\n", row->id, fidelity_evidence_name(row->evidence));
    if (row->rule)
        rc |= bytes_printf(out, "    %s (%s, %s)\n", row->behaviour, row->rule->class, attestation_severity_name(row->rule->severity));
    else
        rc |= bytes_printf(out, "    %s\n    by default: %s\n", row->behaviour, row->by_default);
    rc |= print_list(&row->knobs, "knobs", out);
    rc |= print_list(&row->sources, "sources", out);
    return rc | print_list(&row->tests, "tests", out);
}

static const char device_pointer[] =
    "\nWhat a device does is not in this table: dpsbench-vdk --fidelity says what the virtual DK takes for true of a board;\n"
    "with --hardware-profile FILE, as dpsbench calibrate writes it, what that board was seen to do.\n";

int fidelity_print_text(const struct fidelity *fidelity, const char *evidence, struct bytes *out)
{
    const struct fidelity_area *area = NULL;
    int rc = 0;
    for (size_t i = 0; i < fidelity->row_count; i++) {
        const struct fidelity_row *row = &fidelity->rows[i];
        if (!is_wanted(row, evidence))
            continue;
        if (row->area != area)
            rc |= bytes_printf(out, "%s== %s ==\n", area ? "\n" : "", row->area->title);
        area = row->area;
        rc |= print_row(row, out);
    }
    if (!evidence)
        rc |= bytes_append_text(out, device_pointer);
    return rc ? -1 : 0;
}

/* ---- JSON ---- */

static cJSON *list_json(const struct fidelity_list *list)
{
    CLEANUP_JSON cJSON *array = cJSON_CreateArray();
    for (size_t i = 0; array && i < list->count; i++)
        if (!cJSON_AddItemToArray(array, cJSON_CreateString(list->items[i])))
            return NULL;
    return TAKE(array);
}

static cJSON *surfaces_json(const struct attestation_rule *rule)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    const struct attestation_profile *profile;
    for (size_t i = 0; json && (profile = attestation_profile_at(i)); i++)
        if (json_add_string(json, profile->name, attestation_surface_name(attestation_rule_surface(rule, profile))))
            return NULL;
    return TAKE(json);
}

static int add_rule(cJSON *json, const struct attestation_rule *rule)
{
    if (!rule)
        return 0;
    return json_add_string(json, "class", rule->class) || json_add_string(json, "severity", attestation_severity_name(rule->severity)) ||
                   json_add(json, "surfaces", surfaces_json(rule))
               ? -1
               : 0;
}

static cJSON *row_json(const struct fidelity_row *row)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_add_string(json, "id", row->id) || json_add_string(json, "area", row->area->id) ||
        json_add_string(json, "behaviour", row->behaviour) || json_add_string(json, "default", row->by_default) ||
        json_add(json, "knobs", list_json(&row->knobs)) || json_add_string(json, "evidence", fidelity_evidence_name(row->evidence)) ||
        json_add(json, "sources", list_json(&row->sources)) || json_add(json, "tests", list_json(&row->tests)) || add_rule(json, row->rule))
        return NULL;
    return TAKE(json);
}

static int add_rows(cJSON *array, const struct fidelity *fidelity, const char *evidence)
{
    for (size_t i = 0; i < fidelity->row_count; i++) {
        if (!is_wanted(&fidelity->rows[i], evidence))
            continue;
        cJSON *row = row_json(&fidelity->rows[i]);
        if (!row || !cJSON_AddItemToArray(array, row))
            return -1;
    }
    return 0;
}

cJSON *fidelity_to_json(const struct fidelity *fidelity, const char *evidence)
{
    CLEANUP_JSON cJSON *document = cJSON_CreateObject();
    cJSON *rows = cJSON_CreateArray();
    if (json_add_integer(document, "v", 1) || json_add(document, "behaviours", rows) || add_rows(rows, fidelity, evidence))
        return NULL;
    return TAKE(document);
}
