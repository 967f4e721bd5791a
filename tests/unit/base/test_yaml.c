#include "base/yaml.h"

#include "base/cleanup.h"
#include "tests/unit/base/scratch.h"

#include "tests/cmocka.h"

static void free_yaml(struct yaml **yaml)
{
    yaml_free(*yaml);
}
#define CLEANUP_YAML CLEANUP(free_yaml)

static struct yaml *read_text(const char *text)
{
    struct error error = ERROR_INIT;
    struct yaml *yaml = yaml_read_text(text, strlen(text), "case.yaml", &error);
    if (!yaml)
        fail_msg("%s", error.text);
    return yaml;
}

static void assert_says(const struct error *error, const char *start)
{
    if (strncmp(error->text, start, strlen(start)) != 0)
        fail_msg("'%s' does not start with '%s'", error->text, start);
    assert_int_equal(error->owner, ERROR_OWNER_FILE);
}

static void assert_refused(const char *text, size_t length_bytes, const char *start)
{
    struct error error = ERROR_INIT;
    struct yaml *yaml = yaml_read_text(text, length_bytes, "case.yaml", &error);
    yaml_free(yaml);
    if (yaml)
        fail_msg("accepted: %s", text);
    assert_says(&error, start);
}

static const char small[] = "id: a/b\n"
                            "list:\n"
                            "  - one\n"
                            "  -   two\n"
                            "map:\n"
                            "    inner: \"quoted\"\n"
                            "    'key': 5\n"
                            "empty: []\n"
                            "text: |\n"
                            "  first\n"
                            "  second\n"
                            "flow: {x: 1, y: [2,  3]}\n";

static void every_node_knows_its_line_and_column(void **state)
{
    (void)state;
    CLEANUP_YAML struct yaml *yaml = read_text(small);
    struct yaml_node root = yaml_root(yaml), map = yaml_get(root, "map"), flow = yaml_get(root, "flow");
    const struct {
        const char *name;
        struct yaml_node node;
        int line, column;
    } rows[] = {
        {"value", yaml_get(root, "id"), 1, 5},
        {"key", yaml_key_at(root, 1), 2, 1},
        {"item", yaml_item_at(yaml_get(root, "list"), 0), 3, 5},
        {"item with spaces", yaml_item_at(yaml_get(root, "list"), 1), 4, 7},
        {"mapping", map, 6, 5},
        {"key in a mapping", yaml_key_at(map, 1), 7, 5},
        {"quoted value", yaml_get(map, "inner"), 6, 12},
        {"value after quoted key", yaml_get(map, "key"), 7, 12},
        {"empty list: its key", yaml_get(root, "empty"), 8, 1},
        {"block text: its first line", yaml_get(root, "text"), 10, 1},
        {"flow value", yaml_get(flow, "x"), 12, 11},
        {"flow item", yaml_item_at(yaml_get(flow, "y"), 1), 12, 22},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (rows[i].node.line != rows[i].line || rows[i].node.column != rows[i].column)
            fail_msg("%s: %d:%d", rows[i].name, rows[i].node.line, rows[i].node.column);
}

static void reads_values_of_each_form(void **state)
{
    (void)state;
    CLEANUP_YAML struct yaml *yaml = read_text(small);
    struct yaml_node root = yaml_root(yaml);
    assert_string_equal(yaml_name(yaml), "case.yaml");
    assert_true(yaml_is_map(root));
    assert_int_equal(yaml_count(root), 6);
    assert_int_equal(yaml_count(yaml_get(root, "list")), 2);
    assert_true(yaml_is_list(yaml_get(root, "empty")));
    assert_int_equal(yaml_count(yaml_get(root, "id")), 0);
    assert_string_equal(yaml_text(yaml_get(root, "id")), "a/b");
    assert_string_equal(yaml_text(yaml_get(yaml_get(root, "map"), "inner")), "quoted");
    assert_string_equal(yaml_text(yaml_get(root, "text")), "first\nsecond\n");
    assert_null(yaml_text(root));
}

static void what_is_not_there_is_not_there(void **state)
{
    (void)state;
    CLEANUP_YAML struct yaml *yaml = read_text("a: 1\nb:\nc: ~\nd: null\ne: 'null'\n");
    struct yaml_node root = yaml_root(yaml);
    assert_false(yaml_is_there(yaml_get(root, "x")));
    assert_false(yaml_is_there(yaml_get(yaml_get(root, "a"), "deeper")));
    assert_true(yaml_is_null(yaml_get(root, "x")));
    assert_true(yaml_is_null(yaml_get(root, "b")));
    assert_true(yaml_is_null(yaml_get(root, "c")));
    assert_true(yaml_is_null(yaml_get(root, "d")));
    assert_false(yaml_is_null(yaml_get(root, "e")));
    assert_false(yaml_is_null(root));
}

static void says_where_a_required_key_is_missing(void **state)
{
    (void)state;
    CLEANUP_YAML struct yaml *yaml = read_text("a:\n  b:\n");
    struct yaml_node value = {.line = 77};
    struct error error = ERROR_INIT;
    assert_int_equal(yaml_require(yaml_get(yaml_root(yaml), "a"), "title", &value, &error), -1);
    assert_says(&error, "case.yaml:2:3: key 'title' is missing");
    assert_int_equal(yaml_require(yaml_get(yaml_root(yaml), "a"), "b", &value, &error), -1);
    assert_says(&error, "case.yaml:2:3: key 'b' is missing its value");
    assert_int_equal(value.line, 77);
    assert_int_equal(yaml_require(yaml_root(yaml), "a", &value, NULL), 0);
    assert_int_equal(value.line, 2);
}

static void refuses_an_unknown_key_with_the_nearest_and_all_allowed(void **state)
{
    (void)state;
    static const char *const allowed[] = {"id", "title", "needs", NULL};
    CLEANUP_YAML struct yaml *yaml = read_text("id: 1\n\ntilte: x\n");
    struct error error = ERROR_INIT;
    assert_int_equal(yaml_check_keys(yaml_root(yaml), "a case", allowed, &error), -1);
    assert_string_equal(error.text, "case.yaml:3:1: unknown key 'tilte' in a case; did you mean 'title'?; allowed: id, title, needs");
    assert_int_equal(error.code, ERROR_SYNTAX);
    CLEANUP_YAML struct yaml *far = read_text("completely: x\n");
    assert_int_equal(yaml_check_keys(yaml_root(far), "a case", allowed, &error), -1);
    assert_string_equal(error.text, "case.yaml:1:1: unknown key 'completely' in a case; allowed: id, title, needs");
    CLEANUP_YAML struct yaml *good = read_text("title: x\nid: 1\n");
    assert_int_equal(yaml_check_keys(yaml_root(good), "a case", allowed, NULL), 0);
}

static void keys_are_case_sensitive(void **state)
{
    (void)state;
    static const char *const allowed[] = {"id", NULL};
    CLEANUP_YAML struct yaml *yaml = read_text("Id: 1\n");
    struct error error = ERROR_INIT;
    assert_int_equal(yaml_check_keys(yaml_root(yaml), "a case", allowed, &error), -1);
    assert_says(&error, "case.yaml:1:1: unknown key 'Id' in a case; did you mean 'id'?");
}

static void a_list_where_a_mapping_belongs_is_refused(void **state)
{
    (void)state;
    static const char *const allowed[] = {"id", NULL};
    CLEANUP_YAML struct yaml *yaml = read_text("a:\n  - id\n");
    struct error error = ERROR_INIT;
    assert_int_equal(yaml_check_keys(yaml_get(yaml_root(yaml), "a"), "expect", allowed, &error), -1);
    assert_says(&error, "case.yaml:2:5: expect must be a mapping");
}

static void refuses_a_duplicate_key_wherever_it_stands(void **state)
{
    (void)state;
    const struct {
        const char *text, *start;
    } rows[] = {
        {"a: 1\nb: 2\na: 3\n", "case.yaml:3:1: duplicate key 'a'; it stands already at line 1"},
        {"x:\n  - {p: 1, q: 2, p: 3}\n", "case.yaml:2:18: duplicate key 'p'"},
        {"a: 1\n\"a\": 2\n", "case.yaml:2:1: duplicate key 'a'"},
        {"a:\n  b:\n    c: 1\n    c: 2\n", "case.yaml:4:5: duplicate key 'c'"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        assert_refused(rows[i].text, strlen(rows[i].text), rows[i].start);
}

static void refuses_what_makes_a_file_mean_something_else_than_it_shows(void **state)
{
    (void)state;
    const struct {
        const char *text, *start;
    } rows[] = {
        {"a: &x 1\n", "case.yaml:1:7: anchors"},
        {"b: 1\na: *x\n", "case.yaml:2:4: aliases"},
        {"a: &x {b: 1}\n", "case.yaml:1:"},
        {"&k a: 1\n", "case.yaml:1:4: anchors"},
        {"a: !!int 1\n", "case.yaml:1:10: tags"},
        {"a: !include other.yaml\n", "case.yaml:1:13: tags"},
        {"a: !x {b: 1}\n", "case.yaml:1:8: tags"},
        {"? [a, b]\n: 1\n", "case.yaml:1:4: a key must be"},
        {": 1\n", "case.yaml:1:1: a key must be"},
        {"a: \"x\\0y\"\n", "case.yaml:1:4: a text may not hold a NUL"},
        {"\"a\\0\": 1\n", "case.yaml:1:1: a text may not hold a NUL"},
        {"b: 1\na: 'x\n  y'\n", "case.yaml:2:4: a text in quotes must end on its line"},
        {"a: \"x \\\n  y\"\n", "case.yaml:1:4: a text in quotes must end on its line"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        assert_refused(rows[i].text, strlen(rows[i].text), rows[i].start);
}

static void refuses_a_second_document(void **state)
{
    (void)state;
    const struct {
        const char *text, *start;
    } rows[] = {
        {"a: 1\n---\nb: 2\n", "case.yaml:2:1: a second document starts here"},
        {"---\na: 1\n--- \nb: 2\n", "case.yaml:3:1: a second document starts here"},
        {"---\n---\na: 1\n", "case.yaml:2:1: a second document starts here"},
        {"a: 1\n---\tb\n", "case.yaml:2:1: a second document starts here"},
        {"a: 1\n...\nb: 2\n", "case.yaml:3:1: a second document starts here"},
        {"a: 1\n...\n---\nb: 2\n", "case.yaml:3:1: a second document starts here"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        assert_refused(rows[i].text, strlen(rows[i].text), rows[i].start);
}

static void takes_one_document_with_its_markers(void **state)
{
    (void)state;
    const char *const good[] = {
        "---\na: 1\n", "# why\n---\na: 1\n...\n# end\n", "%YAML 1.2\n---\na: 1\n", "a: 1\n...\n", "a: |\n  ---\n  text\n",
        "a: --- b\n",  "\xef\xbb\xbf\x61: 1\n",          "a: 1\r\nb: 2\r\n",
    };
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        CLEANUP_YAML struct yaml *yaml = read_text(good[i]);
        assert_true(yaml_is_there(yaml_get(yaml_root(yaml), "a")));
    }
}

static void refuses_empty_files(void **state)
{
    (void)state;
    assert_refused("", 0, "case.yaml:1:1: the file is empty");
    assert_refused(" \n\t\r\n", 5, "case.yaml:1:1: the file is empty");
    assert_refused("# nothing\n\n# else\n", 18, "case.yaml:1:1: the file is empty");
    assert_refused("---\n...\n", 8, "case.yaml:1:1: the file is empty");
}

static void refuses_nul_bytes_and_bytes_that_are_not_utf8(void **state)
{
    (void)state;
    assert_refused("a: 1\n\0", 6, "case.yaml: holds a NUL byte");
    assert_refused("a: \xff\xfe\n", 6, "case.yaml:1:4: byte 0xff is not UTF-8");
    assert_refused("a: 1\nbc: \xc3\xa4\xc3\n", 13, "case.yaml:2:7: byte 0xc3 is not UTF-8");
}

static void refuses_a_file_above_the_limit(void **state)
{
    (void)state;
    CLEANUP_FREE char *text = malloc(YAML_FILE_MAX_BYTES + 1);
    memset(text, '#', YAML_FILE_MAX_BYTES + 1);
    struct error error = ERROR_INIT;
    assert_null(yaml_read_text(text, YAML_FILE_MAX_BYTES + 1, "case.yaml", &error));
    assert_int_equal(error.code, ERROR_LIMIT);
}

static void refuses_deep_nesting_without_falling_down(void **state)
{
    (void)state;
    enum { DEPTH = 100000 };
    CLEANUP_FREE char *text = malloc(DEPTH);
    memset(text, '[', DEPTH);
    struct yaml *yaml = yaml_read_text(text, DEPTH, "case.yaml", NULL);
    yaml_free(yaml);
    assert_null(yaml);
    struct bytes steps;
    bytes_init(&steps, 1024 * 1024);
    for (int i = 0; i < 300; i++)
        bytes_printf(&steps, "%*sa:\n", i, "");
    yaml = yaml_read_text(bytes_text(&steps), steps.length_bytes, "case.yaml", NULL);
    yaml_free(yaml);
    bytes_done(&steps);
    assert_null(yaml);
}

static void says_where_the_syntax_breaks(void **state)
{
    (void)state;
    const struct {
        const char *text, *start;
    } rows[] = {
        {"a: 1\n b: 2\n", "case.yaml:1:4: "}, {"a: [1, 2\nb: 3\n", "case.yaml:3:1: "}, {"a: 'x\n", "case.yaml:"},
        {"a:\n\t- b\n", "case.yaml:2:"},      {"a: 1\n}\n", "case.yaml:2:1: "},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        assert_refused(rows[i].text, strlen(rows[i].text), rows[i].start);
}

static void reads_whole_numbers_within_their_range(void **state)
{
    (void)state;
    CLEANUP_YAML struct yaml *yaml = read_text("- 5\n- -1\n- 11\n- 5x\n- ''\n- 99999999999999999999\n- [5]\n- 5.0\n- 0x5\n-\n");
    const bool is_good[] = {true, false, false, false, false, false, false, false, false, false};
    struct yaml_node list = yaml_root(yaml);
    assert_int_equal(yaml_count(list), ARRAY_COUNT(is_good));
    for (size_t i = 0; i < ARRAY_COUNT(is_good); i++) {
        int64_t value = 77;
        assert_int_equal(yaml_read_integer(yaml_item_at(list, i), 0, 10, &value, NULL), is_good[i] ? 0 : -1);
        assert_int_equal(value, is_good[i] ? 5 : 77);
    }
    struct error error = ERROR_INIT;
    int64_t value;
    assert_int_equal(yaml_read_integer(yaml_item_at(list, 3), 0, 10, &value, &error), -1);
    assert_string_equal(error.text, "case.yaml:4:3: '5x' is not a whole number from 0 to 10");
}

static void reads_numbers_within_their_range(void **state)
{
    (void)state;
    CLEANUP_YAML struct yaml *yaml = read_text("- 2.5\n- 1e99\n- nan\n- inf\n- two\n- 0x2\n");
    const bool is_good[] = {true, false, false, false, false, false};
    for (size_t i = 0; i < ARRAY_COUNT(is_good); i++) {
        double value = 77;
        assert_int_equal(yaml_read_number(yaml_item_at(yaml_root(yaml), i), 1, 100, &value, NULL), is_good[i] ? 0 : -1);
        assert_true(value == (is_good[i] ? 2.5 : 77));
    }
}

static void a_truth_is_true_or_false_and_no_other_word(void **state)
{
    (void)state;
    CLEANUP_YAML struct yaml *yaml = read_text("- true\n- false\n- yes\n- True\n- 1\n-\n");
    bool value = false;
    assert_int_equal(yaml_read_bool(yaml_item_at(yaml_root(yaml), 0), &value, NULL), 0);
    assert_true(value);
    assert_int_equal(yaml_read_bool(yaml_item_at(yaml_root(yaml), 1), &value, NULL), 0);
    assert_false(value);
    for (size_t i = 2; i < yaml_count(yaml_root(yaml)); i++)
        assert_int_equal(yaml_read_bool(yaml_item_at(yaml_root(yaml), i), &value, NULL), -1);
}

static void reads_a_word_of_a_list(void **state)
{
    (void)state;
    static const char *const words[] = {"azure", "connack", NULL};
    CLEANUP_YAML struct yaml *yaml = read_text("- connack\n- CONNACK\n");
    size_t index = 77;
    struct error error = ERROR_INIT;
    assert_int_equal(yaml_read_word(yaml_item_at(yaml_root(yaml), 1), "a profile", words, &index, &error), -1);
    assert_string_equal(error.text, "case.yaml:2:3: 'CONNACK' is not a profile; one of: azure, connack");
    assert_int_equal(index, 77);
    assert_int_equal(yaml_read_word(yaml_item_at(yaml_root(yaml), 0), "a profile", words, &index, NULL), 0);
    assert_int_equal(index, 1);
}

static void a_mapping_is_no_text(void **state)
{
    (void)state;
    CLEANUP_YAML struct yaml *yaml = read_text("a: {b: 1}\n");
    const char *text = "untouched";
    struct error error = ERROR_INIT;
    assert_int_equal(yaml_read_string(yaml_get(yaml_root(yaml), "a"), &text, &error), -1);
    assert_says(&error, "case.yaml:1:5: ");
    assert_string_equal(text, "untouched");
}

static void an_error_found_long_after_loading_has_its_place(void **state)
{
    const char *path = scratch_path(state, "rig.yaml");
    scratch_write(path, "devices:\n  - id: dk-1\n    serial: /dev/ttyACM9\n");
    CLEANUP_YAML struct yaml *yaml = yaml_read_file(path, NULL);
    assert_non_null(yaml);
    struct yaml_node device = yaml_item_at(yaml_get(yaml_root(yaml), "devices"), 0);
    struct error error = ERROR_INIT;
    assert_int_equal(yaml_fail(yaml_get(device, "serial"), &error, "no such port"), -1);
    assert_non_null(strstr(error.text, "/rig.yaml:3:13: no such port"));
}

static void a_missing_file_is_not_found(void **state)
{
    struct error error = ERROR_INIT;
    assert_null(yaml_read_file(scratch_path(state, "no.yaml"), &error));
    assert_int_equal(error.code, ERROR_NOT_FOUND);
}

static void finds_the_word_that_was_probably_meant(void **state)
{
    (void)state;
    static const char *const words[] = {"credentials", "scenario", "steps", "lane", NULL};
    assert_string_equal(text_nearest("credential", words), "credentials");
    assert_string_equal(text_nearest("scenaroi", words), "scenario");
    assert_string_equal(text_nearest("step", words), "steps");
    assert_null(text_nearest("xyz", words));
    assert_null(text_nearest("", words));
    static const char *const none[] = {NULL};
    assert_null(text_nearest("step", none));
    char longer[300];
    memset(longer, 's', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    assert_null(text_nearest(longer, words));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_node_knows_its_line_and_column),
        cmocka_unit_test(reads_values_of_each_form),
        cmocka_unit_test(what_is_not_there_is_not_there),
        cmocka_unit_test(says_where_a_required_key_is_missing),
        cmocka_unit_test(refuses_an_unknown_key_with_the_nearest_and_all_allowed),
        cmocka_unit_test(keys_are_case_sensitive),
        cmocka_unit_test(a_list_where_a_mapping_belongs_is_refused),
        cmocka_unit_test(refuses_a_duplicate_key_wherever_it_stands),
        cmocka_unit_test(refuses_what_makes_a_file_mean_something_else_than_it_shows),
        cmocka_unit_test(refuses_a_second_document),
        cmocka_unit_test(takes_one_document_with_its_markers),
        cmocka_unit_test(refuses_empty_files),
        cmocka_unit_test(refuses_nul_bytes_and_bytes_that_are_not_utf8),
        cmocka_unit_test(refuses_a_file_above_the_limit),
        cmocka_unit_test(refuses_deep_nesting_without_falling_down),
        cmocka_unit_test(says_where_the_syntax_breaks),
        cmocka_unit_test(reads_whole_numbers_within_their_range),
        cmocka_unit_test(reads_numbers_within_their_range),
        cmocka_unit_test(a_truth_is_true_or_false_and_no_other_word),
        cmocka_unit_test(reads_a_word_of_a_list),
        cmocka_unit_test(a_mapping_is_no_text),
        TEST(an_error_found_long_after_loading_has_its_place),
        TEST(a_missing_file_is_not_found),
        cmocka_unit_test(finds_the_word_that_was_probably_meant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
