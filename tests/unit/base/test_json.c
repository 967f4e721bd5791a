#include "base/json.h"

#include "tests/unit/base/scratch.h"

#include <math.h>

#include "tests/cmocka.h"

static cJSON *parse(const char *text)
{
    cJSON *json = json_parse(text, strlen(text), "test", NULL);
    assert_non_null(json);
    return json;
}

static void assert_refused(const char *text, size_t length_bytes, const char *part_of_error)
{
    struct error error = ERROR_INIT;
    cJSON *json = json_parse(text, length_bytes, "reply", &error);
    cJSON_Delete(json);
    assert_null(json);
    if (!strstr(error.text, part_of_error))
        fail_msg("'%s' does not say '%s'", error.text, part_of_error);
    assert_int_equal(error.owner, ERROR_OWNER_FILE);
}

static void says_where_the_text_breaks(void **state)
{
    (void)state;
    const struct {
        const char *text, *place;
    } rows[] = {
        {"{\n  \"a\": 1,\n  \"b\": nope\n}", "reply:3:8: "},
        {"{} {}", "reply:1:4: "},
        {"", "reply:1:1: "},
        {"[1,", "reply:1:"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        assert_refused(rows[i].text, strlen(rows[i].text), rows[i].place);
}

static void reads_no_further_than_the_length(void **state)
{
    (void)state;
    CLEANUP_JSON cJSON *json = json_parse("{\"a\":1}trailing", 7, "test", NULL);
    assert_int_equal(json_integer(json, "a", 0), 1);
}

/* cJSON takes a NUL byte for white space, and for the end of a string: two readers would see two texts. */
static void refuses_nul_bytes_raw_or_escaped(void **state)
{
    (void)state;
    assert_refused("{\"a\":\0 1}", 9, "NUL");
    assert_refused("{}\0", 3, "NUL");
    assert_refused("{\"a\":\"x\\u0000y\"}", 16, "NUL");
    CLEANUP_JSON cJSON *json = parse("{\"a\":\"x\\\\u0000\"}");
    assert_string_equal(json_string(json, "a", ""), "x\\u0000");
}

static void refuses_what_is_nested_too_deeply(void **state)
{
    (void)state;
    char text[2 * JSON_DEPTH_MAX + 3];
    memset(text, '[', JSON_DEPTH_MAX + 1);
    memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    struct error error = ERROR_INIT;
    assert_null(json_parse(text, 2 * JSON_DEPTH_MAX + 2, "deep", &error));
    assert_int_equal(error.code, ERROR_LIMIT);
    CLEANUP_JSON cJSON *json = json_parse(text + 1, 2 * JSON_DEPTH_MAX, "deep", NULL);
    assert_non_null(json);
}

static void brackets_in_strings_are_no_depth(void **state)
{
    (void)state;
    char text[200];
    memset(text, '[', sizeof text);
    memcpy(text, "\"\\\"", 3);
    text[sizeof text - 1] = '"';
    CLEANUP_JSON cJSON *json = json_parse(text, sizeof text, "test", NULL);
    assert_true(cJSON_IsString(json));
}

static void prints_every_byte_as_ascii(void **state)
{
    (void)state;
    CLEANUP_JSON cJSON *json = parse("{\"a\":\"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80\"}");
    CLEANUP_FREE char *line = json_print_line(json);
    assert_string_equal(line, "{\"a\":\"\\u00e4 \\u20ac \\ud83d\\ude00\"}");
    CLEANUP_JSON cJSON *again = parse(line);
    assert_true(cJSON_Compare(json, again, true));
}

static void replaces_bytes_that_are_not_utf8(void **state)
{
    (void)state;
    const struct {
        const char *name, *text, *expected;
    } rows[] = {
        {"lone continuation", "\x80", "\"\\ufffd\""},
        {"cut short", "\xe2\x82", "\"\\ufffd\\ufffd\""},
        {"overlong slash", "\xc0\xaf", "\"\\ufffd\\ufffd\""},
        {"overlong NUL", "\xe0\x80\x80", "\"\\ufffd\\ufffd\\ufffd\""},
        {"surrogate", "\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""},
        {"above U+10FFFF", "\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""},
        {"never a first byte", "\xff", "\"\\ufffd\""},
        {"four bytes behind 0xf8", "\xf8\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""},
        {"five bytes", "\xf8\x88\x80\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\""},
        {"the greatest", "\xf4\x8f\xbf\xbf", "\"\\udbff\\udfff\""},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CLEANUP_JSON cJSON *json = cJSON_CreateString(rows[i].text);
        CLEANUP_FREE char *line = json_print_line(json);
        if (strcmp(line, rows[i].expected) != 0)
            fail_msg("%s: %s", rows[i].name, line);
    }
}

static void indents_by_two_spaces_and_ends_in_a_newline(void **state)
{
    (void)state;
    CLEANUP_JSON cJSON *json = parse("{\"a\":{\"b\":[1,2]},\"c\":\"x\\ty\"}");
    CLEANUP_FREE char *text = json_print_pretty(json);
    assert_string_equal(text, "{\n  \"a\": {\n    \"b\": [1, 2]\n  },\n  \"c\": \"x\\ty\"\n}\n");
}

static void prints_what_json_has(void **state)
{
    (void)state;
    const struct {
        const char *text, *line, *pretty;
    } rows[] = {
        {"{}", "{}", "{}\n"},
        {"[]", "[]", "[]\n"},
        {"[{},[],{\"a\":null}]", "[{},[],{\"a\":null}]", "[{}, [], {\n    \"a\": null\n  }]\n"},
        {"[true,false,null,\"\"]", "[true,false,null,\"\"]", "[true, false, null, \"\"]\n"},
        {"[0,-0,-1,9007199254740992,-9007199254740992]", "[0,0,-1,9007199254740992,-9007199254740992]", NULL},
        {"[0.1,3.3333333333333335,-1.5e-9,1e16]", "[0.1,3.3333333333333335,-1.5e-09,1e+16]", NULL},
        {"[\"\\u0001\\u001f\\u007f/\\/\\b\\f\\n\\r\\t\\\\\\\"\"]", "[\"\\u0001\\u001f\\u007f//\\b\\f\\n\\r\\t\\\\\\\"\"]", NULL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CLEANUP_JSON cJSON *json = parse(rows[i].text);
        CLEANUP_FREE char *line = json_print_line(json), *pretty = json_print_pretty(json);
        assert_string_equal(line, rows[i].line);
        if (rows[i].pretty)
            assert_string_equal(pretty, rows[i].pretty);
    }
    assert_null(json_print_line(NULL));
}

static void a_line_is_appended_whole_or_not_at_all(void **state)
{
    (void)state;
    CLEANUP_JSON cJSON *json = parse("{\"a\":[1,2,3]}");
    CLEANUP(bytes_done) struct bytes out;
    bytes_init(&out, 20);
    assert_int_equal(bytes_append_text(&out, "x"), 0);
    assert_int_equal(json_append_line(json, &out), 0);
    assert_string_equal(bytes_text(&out), "x{\"a\":[1,2,3]}");
    assert_int_equal(json_append_line(json, &out), -1);
    assert_string_equal(bytes_text(&out), "x{\"a\":[1,2,3]}");
    assert_int_equal(json_append_line(NULL, &out), -1);
}

static void a_number_that_is_none_is_null(void **state)
{
    (void)state;
    CLEANUP_JSON cJSON *json = cJSON_CreateNumber((double)NAN);
    CLEANUP_FREE char *line = json_print_line(json);
    assert_string_equal(line, "null");
}

static void refuses_to_print_a_tree_that_is_endless(void **state)
{
    (void)state;
    CLEANUP_JSON cJSON *top = cJSON_CreateArray();
    cJSON *at = top;
    for (int i = 0; i < 10 * JSON_DEPTH_MAX; i++) {
        cJSON *below = cJSON_CreateArray();
        assert_true(cJSON_AddItemToArray(at, below));
        at = below;
    }
    assert_null(json_print_line(top));
}

static void microseconds_since_1970_survive_a_round_trip(void **state)
{
    (void)state;
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    assert_int_equal(json_set_integer(json, "t", 1790000000123457), 0);
    CLEANUP_FREE char *line = json_print_line(json);
    assert_string_equal(line, "{\"t\":1790000000123457}");
    CLEANUP_JSON cJSON *again = parse(line);
    assert_int_equal(json_integer(again, "t", 0), 1790000000123457);
}

static void whole_numbers_have_no_exponent_and_texts_keep_theirs(void **state)
{
    (void)state;
    CLEANUP_JSON cJSON *json = parse("{\"a\":1790000000000000,\"b\":-2e+15,\"c\":1e300,\"d\":1.5,\"e\":\"1e3\",\"f\\\"1e3\":0}");
    CLEANUP_FREE char *line = json_print_line(json);
    assert_string_equal(line, "{\"a\":1790000000000000,\"b\":-2000000000000000,\"c\":1e+300,\"d\":1.5,\"e\":\"1e3\",\"f\\\"1e3\":0}");
}

static void a_member_of_another_type_counts_as_missing(void **state)
{
    (void)state;
    CLEANUP_JSON cJSON *json = parse("{\"s\":\"1\",\"n\":2,\"b\":true,\"z\":null,\"big\":1e300}");
    assert_int_equal(json_integer(json, "s", 7), 7);
    assert_string_equal(json_string(json, "n", "x"), "x");
    assert_true(json_bool(json, "n", true));
    assert_null(json_member(json, "z"));
    assert_int_equal(json_integer(json, "big", 7), 7);
    assert_int_equal(json_integer(json, "N", 7), 7);
    assert_int_equal(json_integer(json, "n", 7), 2);
    assert_true(json_bool(json, "b", false));
    assert_true(json_number(json, "n", 0) == 2);
    assert_int_equal(json_integer(NULL, "n", 7), 7);
}

static void follows_a_dotted_path(void **state)
{
    (void)state;
    CLEANUP_JSON cJSON *json = parse("{\"a\":{\"b\":{\"c\":3}}}");
    assert_int_equal(json_path(json, "a.b.c")->valueint, 3);
    assert_null(json_path(json, "a.x.c"));
    assert_null(json_path(json, "a.b.c.d"));
}

static void sets_and_replaces_members_in_place(void **state)
{
    (void)state;
    CLEANUP_JSON cJSON *json = parse("{\"a\":1,\"b\":2}");
    assert_int_equal(json_set_string(json, "a", "x"), 0);
    assert_int_equal(json_set_string(json, "none", NULL), 0);
    assert_int_equal(json_set_bool(json, "c", true), 0);
    CLEANUP_FREE char *line = json_print_line(json);
    assert_string_equal(line, "{\"a\":\"x\",\"b\":2,\"c\":true}");
}

/* LeakSanitizer is the judge of "takes over in every case". */
static void adds_members_in_their_order(void **state)
{
    (void)state;
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    assert_int_equal(json_add_string(json, "s", "x"), 0);
    assert_int_equal(json_add_string(json, "none", NULL), 0);
    assert_int_equal(json_add_integer(json, "i", 1790000000123457), 0);
    assert_int_equal(json_add_bool(json, "b", true), 0);
    assert_int_equal(json_add(json, "a", cJSON_CreateArray()), 0);
    CLEANUP_JSON cJSON *copy = cJSON_Duplicate(json, true);
    assert_int_equal(json_set_string(copy, "s", "y"), 0);
    CLEANUP_FREE char *line = json_print_line(json), *other = json_print_line(copy);
    assert_string_equal(line, "{\"s\":\"x\",\"i\":1790000000123457,\"b\":true,\"a\":[]}");
    assert_string_equal(other, "{\"s\":\"y\",\"i\":1790000000123457,\"b\":true,\"a\":[]}");
    assert_int_equal(json_add(json, "n", NULL), -1);
    assert_int_equal(json_add_string(NULL, "n", "freed"), -1);
}

static void a_value_that_cannot_be_set_is_freed(void **state)
{
    (void)state;
    assert_int_equal(json_set(NULL, "a", cJSON_CreateString("lost")), -1);
    assert_int_equal(json_set(NULL, "a", NULL), -1);
}

static void reads_and_writes_files(void **state)
{
    const char *path = scratch_path(state, "a.json");
    CLEANUP_JSON cJSON *json = parse("{\"a\":1}");
    assert_int_equal(json_write_file(path, json, 0644, NULL), 0);
    CLEANUP_JSON cJSON *again = json_read_file(path, NULL);
    assert_true(cJSON_Compare(json, again, true));
}

static void names_the_file_that_does_not_parse(void **state)
{
    const char *path = scratch_path(state, "a.json");
    scratch_write(path, "{\n\"a\": }");
    struct error error = ERROR_INIT;
    assert_null(json_read_file(path, &error));
    assert_non_null(strstr(error.text, "/a.json:2:6: "));
    assert_int_equal(error.code, ERROR_SYNTAX);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_where_the_text_breaks),
        cmocka_unit_test(reads_no_further_than_the_length),
        cmocka_unit_test(refuses_nul_bytes_raw_or_escaped),
        cmocka_unit_test(refuses_what_is_nested_too_deeply),
        cmocka_unit_test(brackets_in_strings_are_no_depth),
        cmocka_unit_test(prints_every_byte_as_ascii),
        cmocka_unit_test(replaces_bytes_that_are_not_utf8),
        cmocka_unit_test(indents_by_two_spaces_and_ends_in_a_newline),
        cmocka_unit_test(prints_what_json_has),
        cmocka_unit_test(a_line_is_appended_whole_or_not_at_all),
        cmocka_unit_test(a_number_that_is_none_is_null),
        cmocka_unit_test(refuses_to_print_a_tree_that_is_endless),
        cmocka_unit_test(microseconds_since_1970_survive_a_round_trip),
        cmocka_unit_test(whole_numbers_have_no_exponent_and_texts_keep_theirs),
        cmocka_unit_test(a_member_of_another_type_counts_as_missing),
        cmocka_unit_test(follows_a_dotted_path),
        cmocka_unit_test(sets_and_replaces_members_in_place),
        cmocka_unit_test(adds_members_in_their_order),
        cmocka_unit_test(a_value_that_cannot_be_set_is_freed),
        TEST(reads_and_writes_files),
        TEST(names_the_file_that_does_not_parse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
