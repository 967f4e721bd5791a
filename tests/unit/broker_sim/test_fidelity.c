/* The fidelity table against the lists that it describes, and docs/fidelity.md against the table. */
#include "base/cleanup.h"
#include "base/files.h"
#include "broker_sim/dps/dps.h"
#include "broker_sim/fidelity/fidelity.h"
#include "broker_sim/hub/hub.h"
#include "broker_sim/scenario/knobs.h"

#include <string.h>

#include "tests/cmocka.h"

enum { TEXT_MAX_BYTES = 4 * 1024 * 1024 };

static struct fidelity *table;

static int read_table(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    if (fidelity_read(&table, &error))
        print_error("%s\n", error.text);
    return table ? 0 : -1;
}

static int drop_table(void **state)
{
    (void)state;
    fidelity_free(table);
    return 0;
}

static void read_text_file(const char *path, struct bytes *ret_text)
{
    struct error error = ERROR_INIT;
    if (file_read(path, TEXT_MAX_BYTES, ret_text, &error))
        fail_msg("%s", error.text);
}

/* Something is missing; all of it is told before the test fails. */
static void complain(bool *has_failed, const char *what, const char *name)
{
    print_error("broker_sim/fidelity/behaviours.yaml: %s '%s'\n", what, name);
    *has_failed = true;
}

static void every_rule_of_the_judge_has_a_row(void **state)
{
    (void)state;
    const struct attestation_rule *rule;
    bool has_failed = false;
    for (size_t i = 0; (rule = attestation_rule_at(i)); i++) {
        const struct fidelity_row *row = fidelity_find(table, rule->id);
        if (!row || row->rule != rule)
            complain(&has_failed, "no row for the judge's rule", rule->id);
    }
    assert_false(has_failed);
}

static bool has_class(const char *class)
{
    const struct fidelity_row *row;
    for (size_t i = 0; (row = fidelity_at(table, i)); i++)
        if (row->rule ? strcmp(row->rule->class, class) == 0 : strncmp(row->behaviour, class, strlen(class)) == 0)
            return true;
    return false;
}

static void every_class_of_certificates_is_seen_somewhere(void **state)
{
    (void)state;
    enum { CLASSES = 33 };
    bool has_failed = false;
    for (int i = 1; i <= CLASSES; i++) {
        char class[8];
        snprintf(class, sizeof class, "C%02d", i);
        if (!has_class(class))
            complain(&has_failed, "no row for the class", class);
    }
    assert_false(has_failed);
}

static void every_rule_of_connect_and_hub_has_a_row(void **state)
{
    (void)state;
    bool has_failed = false;
#define X(id, name, ...)                                                                                                                   \
    if (!fidelity_find(table, name))                                                                                                       \
        complain(&has_failed, "no row for the rule", name);
    DPS_CONNECT_RULES(X)
    DPS_SAS_RULES(X)
    HUB_RULES(X)
#undef X
    assert_false(has_failed);
}

static bool names_knob(const struct fidelity_row *row, const char *name)
{
    for (size_t i = 0; i < row->knobs.count; i++)
        if (strcmp(row->knobs.items[i], name) == 0)
            return true;
    return false;
}

static bool has_row_with_knob(const char *name)
{
    const struct fidelity_row *row;
    for (size_t i = 0; (row = fidelity_at(table, i)); i++)
        if (names_knob(row, name))
            return true;
    return false;
}

static void every_knob_has_a_row(void **state)
{
    (void)state;
    bool has_failed = false;
    for (size_t i = 0; i < KNOB_COUNT; i++)
        if (!has_row_with_knob(knob_list[i].name))
            complain(&has_failed, "no row for the knob", knob_list[i].name);
    assert_false(has_failed);
}

static bool is_knob(const char *name, const char *options_source)
{
    for (size_t i = 0; i < KNOB_COUNT; i++)
        if (strcmp(knob_list[i].name, name) == 0)
            return true;
    char entry[64];
    snprintf(entry, sizeof entry, "{\"%s\", KEY_", name + 2);
    return strncmp(name, "--", 2) == 0 && strstr(options_source, entry);
}

static void every_knob_named_exists(void **state)
{
    (void)state;
    CLEANUP(bytes_done) struct bytes source = {0};
    read_text_file(DPSBENCH_SOURCE_DIR "/broker_sim/simulator/options.c", &source);
    const struct fidelity_row *row;
    bool has_failed = false;
    for (size_t i = 0; (row = fidelity_at(table, i)); i++)
        for (size_t j = 0; j < row->knobs.count; j++)
            if (!is_knob(row->knobs.items[j], bytes_text(&source)))
                complain(&has_failed, "there is no knob or option", row->knobs.items[j]);
    assert_false(has_failed);
}

static bool is_line_of(const char *text, const char *line)
{
    size_t length = strlen(line);
    for (const char *at = text; (at = strstr(at, line)); at += length)
        if ((at == text || at[-1] == '\n') && at[length] == '\n')
            return true;
    return false;
}

static void every_test_named_exists(void **state)
{
    (void)state;
    CLEANUP(bytes_done) struct bytes names = {0};
    read_text_file(DPSBENCH_BINARY_DIR "/tests.txt", &names);
    const struct fidelity_row *row;
    bool has_failed = false;
    for (size_t i = 0; (row = fidelity_at(table, i)); i++)
        for (size_t j = 0; j < row->tests.count; j++)
            if (!is_line_of(bytes_text(&names), row->tests.items[j]))
                complain(&has_failed, "there is no test", row->tests.items[j]);
    assert_false(has_failed);
}

static void the_page_is_what_the_table_says(void **state)
{
    (void)state;
    CLEANUP(bytes_done) struct bytes page = {0}, wanted;
    bytes_init(&wanted, TEXT_MAX_BYTES);
    read_text_file(DPSBENCH_SOURCE_DIR "/docs/fidelity.md", &page);
    assert_int_equal(fidelity_print_markdown(table, &wanted), 0);
    if (strcmp(bytes_text(&page), bytes_text(&wanted)) != 0)
        fail_msg("docs/fidelity.md is stale: dpsbench-sim --fidelity=markdown > docs/fidelity.md");
}

static void evidence_chooses_rows(void **state)
{
    (void)state;
    CLEANUP_JSON cJSON *all_rows = fidelity_to_json(table, NULL), *assumed_rows = fidelity_to_json(table, "assumed");
    const cJSON *all = json_member(all_rows, "behaviours"), *assumed = json_member(assumed_rows, "behaviours");
    CLEANUP(bytes_done) struct bytes text;
    bytes_init(&text, TEXT_MAX_BYTES);
    const cJSON *row;
    assert_true(cJSON_GetArraySize(assumed) > 10);
    assert_true(cJSON_GetArraySize(all) > cJSON_GetArraySize(assumed));
    cJSON_ArrayForEach(row, assumed)
    {
        assert_string_equal(json_string(row, "evidence", ""), "assumed");
    }
    assert_int_equal(fidelity_print_text(table, "vendor", &text), 0);
    assert_non_null(strstr(bytes_text(&text), "register.body [vendor]\n"));
    assert_null(strstr(bytes_text(&text), "[assumed]"));
    assert_null(strstr(bytes_text(&text), "dpsbench-vdk --fidelity"));
    assert_int_equal(fidelity_print_text(table, NULL, &text), 0);
    assert_non_null(strstr(bytes_text(&text), "dpsbench-vdk --fidelity"));
}

static char *marked(const char *data_text)
{
    CLEANUP_JSON cJSON *data = json_parse(data_text, strlen(data_text), "data", NULL);
    assert_non_null(data);
    fidelity_mark(table, data);
    CLEANUP_FREE char *text = json_print_line(data);
    return TAKE(text);
}

static void an_event_says_what_it_leaned_on(void **state)
{
    (void)state;
    static const struct {
        const char *data, *wanted;
    } rows[] = {
        {"{\"rule\":\"connect.id-scope\"}",
         "{\"rule\":\"connect.id-scope\",\"rule_evidence\":\"assumed\",\"assumed\":[\"connect.id-scope\"]}"},
        {"{\"rule\":\"connect.client-id\",\"evidence\":{}}",
         "{\"rule\":\"connect.client-id\",\"evidence\":{\"rule_evidence\":\"field-observed\"}}"},
        /* refused by the first: the other refusal had no effect */
        {"{\"rule\":\"leaf.expired\",\"rules\":[{\"id\":\"leaf.expired\",\"severity\":\"refuse\"},{\"id\":\"ca.expired\",\"severity\":"
         "\"refuse\"}],"
         "\"evidence\":{\"rule_evidence\":\"documented\"}}",
         "{\"rule\":\"leaf.expired\",\"rules\":[{\"id\":\"leaf.expired\",\"severity\":\"refuse\",\"evidence\":\"documented\"},"
         "{\"id\":\"ca.expired\",\"severity\":\"refuse\",\"evidence\":\"assumed\"}],\"evidence\":{\"rule_evidence\":\"documented\"}}"},
        /* accepted, with a word */
        {"{\"rules\":[{\"id\":\"leaf.v1\",\"severity\":\"warn\"}]}",
         "{\"rules\":[{\"id\":\"leaf.v1\",\"severity\":\"warn\",\"evidence\":\"assumed\"}],\"assumed\":[\"leaf.v1\"]}"},
        {"{\"rules\":[]}", "{\"rules\":[]}"},
        {"{\"rule\":\"no.such\"}", "{\"rule\":\"no.such\"}"},
        {"{\"filter\":\"x\"}", "{\"filter\":\"x\"}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        CLEANUP_FREE char *text = marked(rows[i].data);
        assert_string_equal(text, rows[i].wanted);
    }
}

#define HEAD "format: 1\nareas: [{id: a, title: A}, {id: certificates, title: C}]\nbehaviours:\n"
#define ROW "behaviour: b, default: d, evidence: own, tests: [t]"

static void a_wrong_table_is_refused_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
    } rows[] = {
        {HEAD "  - {id: x, area: a, behaviour: b, default: d, evidence: own}\n", "t.yaml:4:6: 'x' names no test"},
        {HEAD "  - {id: x, area: a, behaviour: b, default: d, evidence: assumed, tests: [t]}\n", "t.yaml:4:6: 'x' names no source"},
        {HEAD "  - {id: x, area: a, behaviour: b, default: d, evidence: guessed, tests: [t]}\n", "t.yaml:4:"},
        {HEAD "  - {id: x, area: z, " ROW "}\n", "t.yaml:4:19: 'z' is none of the areas"},
        {HEAD "  - {id: x, area: a, " ROW "}\n  - {id: x, area: a, " ROW "}\n", "t.yaml:5:6: 'x' stands there twice"},
        {HEAD "  - {id: x, area: a, colour: red, " ROW "}\n", "t.yaml:4:22: "},
        {HEAD "  - {rule: chain.nonsense, tests: [t]}\n", "t.yaml:4:12: 'chain.nonsense' is no rule"},
        {HEAD "  - {rule: chain.none, evidence: own, tests: [t]}\n", "t.yaml:4:24: "},
        {HEAD "  - {knob: chain_nonsense, tests: [t]}\n", "t.yaml:4:12: 'chain_nonsense' is no knob"},
        {"format: 2\nareas: []\nbehaviours: []\n", "t.yaml:1:9: "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct error error = ERROR_INIT;
        struct fidelity *none = NULL;
        assert_int_equal(fidelity_read_text(rows[i].text, strlen(rows[i].text), "t.yaml", &none, &error), -1);
        assert_null(none);
        if (strncmp(error.text, rows[i].error, strlen(rows[i].error)) != 0)
            fail_msg("wanted '%s', got '%s'", rows[i].error, error.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rule_of_the_judge_has_a_row),
        cmocka_unit_test(every_class_of_certificates_is_seen_somewhere),
        cmocka_unit_test(every_rule_of_connect_and_hub_has_a_row),
        cmocka_unit_test(every_knob_has_a_row),
        cmocka_unit_test(every_knob_named_exists),
        cmocka_unit_test(every_test_named_exists),
        cmocka_unit_test(the_page_is_what_the_table_says),
        cmocka_unit_test(evidence_chooses_rows),
        cmocka_unit_test(an_event_says_what_it_leaned_on),
        cmocka_unit_test(a_wrong_table_is_refused_with_its_place),
    };
    return cmocka_run_group_tests(tests, read_table, drop_table);
}
