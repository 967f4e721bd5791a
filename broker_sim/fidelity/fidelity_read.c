#include "broker_sim/fidelity/model.h"

#include "base/cleanup.h"

#include <string.h>

enum { FORMAT = 1 };

/* The judge's rules have an area of their own, and so have the knobs that are faults. */
#define RULES_AREA "certificates"
#define FAULTS_AREA "faults"

DEFINE_CLEANUP(struct fidelity *, fidelity_free)

const char *const fidelity_evidence_names[] = {"documented", "field-observed", "vendor", "assumed", "own", NULL};

static int read_text_of(struct yaml_node map, const char *key, const char **ret_text, struct error *error)
{
    struct yaml_node node;
    return yaml_require(map, key, &node, error) || yaml_read_string(node, ret_text, error) ? -1 : 0;
}

static int read_list(struct yaml_node map, const char *key, struct fidelity_list *ret_list, struct error *error)
{
    struct yaml_node node = yaml_get(map, key);
    if (yaml_is_there(node) && !yaml_is_list(node))
        return yaml_fail(node, error, "%s: a list is expected", key);
    if (yaml_count(node) > FIDELITY_LIST_MAX)
        return yaml_fail(node, error, "%s: %d are the most", key, FIDELITY_LIST_MAX);
    for (size_t i = 0; i < yaml_count(node); i++)
        if (yaml_read_string(yaml_item_at(node, i), &ret_list->items[ret_list->count++], error))
            return -1;
    return 0;
}

static const struct fidelity_area *find_area(const struct fidelity *fidelity, const char *id)
{
    for (size_t i = 0; i < fidelity->area_count; i++)
        if (strcmp(fidelity->areas[i].id, id) == 0)
            return &fidelity->areas[i];
    return NULL;
}

static int read_areas(struct fidelity *fidelity, struct error *error)
{
    static const char *const keys[] = {"id", "title", NULL};
    struct yaml_node list;
    if (yaml_require(yaml_root(fidelity->yaml), "areas", &list, error))
        return -1;
    if (yaml_count(list) > FIDELITY_AREAS_MAX)
        return yaml_fail(list, error, "areas: %d are the most", FIDELITY_AREAS_MAX);
    for (size_t i = 0; i < yaml_count(list); i++) {
        struct yaml_node node = yaml_item_at(list, i);
        struct fidelity_area *area = &fidelity->areas[fidelity->area_count++];
        if (yaml_check_keys(node, "an area", keys, error) || read_text_of(node, "id", &area->id, error) ||
            read_text_of(node, "title", &area->title, error))
            return -1;
    }
    return 0;
}

/* All columns but the tests are the rule's own. */
static int read_rule(const struct fidelity *fidelity, struct yaml_node node, struct fidelity_row *row, struct error *error)
{
    static const char *const keys[] = {"rule", "tests", NULL};
    if (yaml_check_keys(node, "a row of a rule", keys, error) || read_text_of(node, "rule", &row->id, error))
        return -1;
    row->rule = attestation_rule_find(row->id);
    if (!row->rule)
        return yaml_fail(yaml_get(node, "rule"), error, "'%s' is no rule of certs/attestation_rules.h", row->id);
    row->area = find_area(fidelity, RULES_AREA);
    if (!row->area)
        return yaml_fail(node, error, "the area '" RULES_AREA "' of the judge's rules is missing");
    row->behaviour = row->by_default = row->rule->azure;
    row->evidence = (enum fidelity_evidence)row->rule->evidence;
    row->sources = (struct fidelity_list){.items = {row->rule->source}, .count = 1};
    row->knobs = (struct fidelity_list){.items = {"profile"}, .count = 1};
    return 0;
}

static const struct knob *find_knob(const char *name)
{
    for (size_t i = 0; i < KNOB_COUNT; i++)
        if (strcmp(knob_list[i].name, name) == 0)
            return &knob_list[i];
    return NULL;
}

static void format_fallback(const struct knob *knob, char text[FIDELITY_FALLBACK_BYTES])
{
    if (knob->type == KNOB_WORD)
        snprintf(text, FIDELITY_FALLBACK_BYTES, "%s", knob->words[knob->fallback]);
    else if (knob->type == KNOB_BOOLEAN)
        snprintf(text, FIDELITY_FALLBACK_BYTES, "%s", knob->fallback ? "true" : "false");
    else if (knob->type == KNOB_INTEGER)
        snprintf(text, FIDELITY_FALLBACK_BYTES, "%lld", (long long)knob->fallback);
    else
        snprintf(text, FIDELITY_FALLBACK_BYTES, "\"\"");
}

/* A fault and nothing else: all columns but the tests are the knob's own. */
static int read_knob(const struct fidelity *fidelity, struct yaml_node node, struct fidelity_row *row, struct error *error)
{
    static const char *const keys[] = {"knob", "tests", NULL};
    if (yaml_check_keys(node, "a row of a knob", keys, error) || read_text_of(node, "knob", &row->id, error))
        return -1;
    row->knob = find_knob(row->id);
    if (!row->knob)
        return yaml_fail(yaml_get(node, "knob"), error, "'%s' is no knob of broker_sim/scenario/knobs.h", row->id);
    row->area = find_area(fidelity, FAULTS_AREA);
    if (!row->area)
        return yaml_fail(node, error, "the area '" FAULTS_AREA "' of the knobs is missing");
    row->behaviour = row->knob->text;
    row->evidence = FIDELITY_OWN;
    row->knobs = (struct fidelity_list){.items = {row->knob->name}, .count = 1};
    row->sources = (struct fidelity_list){.items = {row->knob->evidence}, .count = row->knob->evidence != NULL};
    format_fallback(row->knob, row->fallback);
    return 0;
}

static int read_area_of(const struct fidelity *fidelity, struct yaml_node node, struct fidelity_row *row, struct error *error)
{
    const char *id;
    if (read_text_of(node, "area", &id, error))
        return -1;
    row->area = find_area(fidelity, id);
    return row->area ? 0 : yaml_fail(yaml_get(node, "area"), error, "'%s' is none of the areas above", id);
}

static int read_behaviour(const struct fidelity *fidelity, struct yaml_node node, struct fidelity_row *row, struct error *error)
{
    static const char *const keys[] = {"id", "area", "behaviour", "default", "knobs", "evidence", "sources", "tests", NULL};
    struct yaml_node evidence_node;
    size_t evidence;
    if (yaml_check_keys(node, "a row", keys, error) || read_text_of(node, "id", &row->id, error) ||
        read_area_of(fidelity, node, row, error) || read_text_of(node, "behaviour", &row->behaviour, error) ||
        read_text_of(node, "default", &row->by_default, error) || yaml_require(node, "evidence", &evidence_node, error) ||
        yaml_read_word(evidence_node, "evidence", fidelity_evidence_names, &evidence, error) ||
        read_list(node, "knobs", &row->knobs, error) || read_list(node, "sources", &row->sources, error))
        return -1;
    row->evidence = (enum fidelity_evidence)evidence;
    if (row->evidence != FIDELITY_OWN && row->sources.count == 0)
        return yaml_fail(node, error, "'%s' names no source; say what is known, or what the choice leans on", row->id);
    return 0;
}

static int read_columns(const struct fidelity *fidelity, struct yaml_node node, struct fidelity_row *row, struct error *error)
{
    if (yaml_is_there(yaml_get(node, "rule")))
        return read_rule(fidelity, node, row, error);
    if (yaml_is_there(yaml_get(node, "knob")))
        return read_knob(fidelity, node, row, error);
    return read_behaviour(fidelity, node, row, error);
}

static int read_row(struct fidelity *fidelity, struct yaml_node node, struct error *error)
{
    struct fidelity_row row = {.id = NULL};
    if (read_columns(fidelity, node, &row, error))
        return -1;
    if (read_list(node, "tests", &row.tests, error))
        return -1;
    if (row.tests.count == 0)
        return yaml_fail(node, error, "'%s' names no test; a behaviour that nothing holds is no behaviour", row.id);
    if (fidelity_find(fidelity, row.id))
        return yaml_fail(node, error, "'%s' stands there twice", row.id);
    struct fidelity_row *kept = &fidelity->rows[fidelity->row_count++];
    *kept = row;
    if (kept->knob)
        kept->by_default = kept->fallback;
    return 0;
}

static int read_rows(struct fidelity *fidelity, struct error *error)
{
    struct yaml_node list;
    if (yaml_require(yaml_root(fidelity->yaml), "behaviours", &list, error))
        return -1;
    if (yaml_count(list) > FIDELITY_ROWS_MAX)
        return yaml_fail(list, error, "behaviours: %d are the most", FIDELITY_ROWS_MAX);
    for (size_t i = 0; i < yaml_count(list); i++)
        if (read_row(fidelity, yaml_item_at(list, i), error))
            return -1;
    return 0;
}

static int read_file(struct fidelity *fidelity, struct error *error)
{
    static const char *const keys[] = {"format", "areas", "behaviours", NULL};
    struct yaml_node root = yaml_root(fidelity->yaml);
    int64_t format;
    if (yaml_check_keys(root, "the table", keys, error) || yaml_read_integer(yaml_get(root, "format"), FORMAT, FORMAT, &format, error))
        return -1;
    return read_areas(fidelity, error) || read_rows(fidelity, error) ? -1 : 0;
}

int fidelity_read_text(const char *text, size_t length_bytes, const char *name, struct fidelity **ret_fidelity, struct error *error)
{
    CLEANUP(fidelity_free_cleanup) struct fidelity *fidelity = calloc(1, sizeof *fidelity);
    if (!fidelity)
        return error_set_memory(error);
    fidelity->yaml = yaml_read_text(text, length_bytes, name, error);
    if (!fidelity->yaml || read_file(fidelity, error))
        return -1;
    *ret_fidelity = TAKE(fidelity);
    return 0;
}

int fidelity_read(struct fidelity **ret_fidelity, struct error *error)
{
    return fidelity_read_text(behaviours_text, strlen(behaviours_text), "behaviours.yaml", ret_fidelity, error);
}

void fidelity_free(struct fidelity *fidelity)
{
    if (!fidelity)
        return;
    yaml_free(fidelity->yaml);
    free(fidelity);
}
