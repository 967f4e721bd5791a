#include "broker_sim/hub/twin.h"

#include <string.h>

#include "tests/cmocka.h"

static int patch(struct twin *twin, enum twin_part part, const char *text, struct error *error)
{
    CLEANUP_JSON cJSON *json = cJSON_Parse(text);
    return twin_patch(twin, part, json, error);
}

static void assert_json(cJSON *json, const char *expected)
{
    CLEANUP_JSON cJSON *owned = json;
    CLEANUP_FREE char *text = json_print_line(owned);
    assert_string_equal(text, expected);
}

static void starts_empty_and_takes_merge_patches(void **state)
{
    (void)state;
    CLEANUP(twin_done) struct twin twin;
    assert_int_equal(twin_init(&twin, NULL, NULL), 0);
    assert_json(twin_for_device(&twin), "{\"desired\":{\"$version\":1},\"reported\":{\"$version\":1}}");
    assert_int_equal(patch(&twin, TWIN_REPORTED, "{\"a\":1,\"b\":{\"c\":2,\"d\":null},\"e\":null}", NULL), 0);
    assert_json(twin_for_device(&twin), "{\"desired\":{\"$version\":1},\"reported\":{\"a\":1,\"b\":{\"c\":2},\"$version\":2}}");
    assert_int_equal(patch(&twin, TWIN_REPORTED, "{\"a\":null,\"b\":{\"d\":[3]},\"$version\":99,\"$metadata\":{}}", NULL), 0);
    assert_json(twin_for_device(&twin), "{\"desired\":{\"$version\":1},\"reported\":{\"b\":{\"c\":2,\"d\":[3]},\"$version\":3}}");
}

static void counts_each_part_and_the_whole(void **state)
{
    (void)state;
    CLEANUP(twin_done) struct twin twin;
    assert_int_equal(twin_init(&twin, NULL, NULL), 0);
    assert_int_equal(patch(&twin, TWIN_TAGS, "{\"site\":\"a\"}", NULL), 0);
    assert_int_equal(patch(&twin, TWIN_DESIRED, "{\"x\":1}", NULL), 0);
    assert_int_equal(patch(&twin, TWIN_DESIRED, "{\"x\":1}", NULL), 0);
    assert_json(twin_json(&twin),
                "{\"tags\":{\"site\":\"a\"},\"properties\":{\"desired\":{\"x\":1,\"$version\":3},\"reported\":{\"$version\":1}},"
                "\"version\":4}");
}

static void begins_with_the_twin_of_the_enrollment(void **state)
{
    (void)state;
    CLEANUP(twin_done) struct twin twin;
    CLEANUP_JSON cJSON *initial = cJSON_Parse("{\"tags\":{\"a\":1},\"properties\":{\"desired\":{\"b\":{\"c\":2}}}}");
    assert_int_equal(twin_init(&twin, initial, NULL), 0);
    assert_json(twin_json(&twin),
                "{\"tags\":{\"a\":1},\"properties\":{\"desired\":{\"b\":{\"c\":2},\"$version\":1},\"reported\":{\"$version\":1}},"
                "\"version\":1}");
}

static void is_the_same_after_it_was_written_and_read(void **state)
{
    (void)state;
    CLEANUP(twin_done) struct twin twin;
    CLEANUP(twin_done) struct twin again;
    assert_int_equal(twin_init(&twin, NULL, NULL), 0);
    assert_int_equal(patch(&twin, TWIN_TAGS, "{\"site\":\"a\"}", NULL), 0);
    assert_int_equal(patch(&twin, TWIN_DESIRED, "{\"x\":[1,{\"y\":null}]}", NULL), 0);
    assert_int_equal(patch(&twin, TWIN_REPORTED, "{\"z\":true}", NULL), 0);
    CLEANUP_JSON cJSON *json = twin_json(&twin);
    CLEANUP_FREE char *text = json_print_line(json);
    assert_int_equal(twin_read(json, &again, NULL), 0);
    assert_json(twin_json(&again), text);
}

/* {"a":{"a":...1}}, `levels` objects. */
static char *nested(int levels)
{
    struct bytes text = {.max_bytes = 4096};
    for (int i = 0; i < levels; i++)
        bytes_append_text(&text, "{\"a\":");
    bytes_append_text(&text, "1");
    for (int i = 0; i < levels; i++)
        bytes_append_text(&text, "}");
    return (char *)text.data;
}

/* {"k0":"xx...","k1":...}: `count` texts of 1000 bytes. */
static char *large(int count)
{
    struct bytes text = {.max_bytes = 1 << 20};
    char filler[1001];
    memset(filler, 'x', 1000);
    filler[1000] = 0;
    for (int i = 0; i < count; i++)
        bytes_printf(&text, "%c\"k%d\":\"%s\"", i ? ',' : '{', i, filler);
    bytes_append_text(&text, "}");
    return (char *)text.data;
}

/* Each level of such a patch costs a search for each member: a list would stop the simulator for seconds. */
static void merges_patches_of_very_many_members(void **state)
{
    (void)state;
    enum { MEMBERS = 6000 };
    CLEANUP(twin_done) struct twin twin;
    assert_int_equal(twin_init(&twin, NULL, NULL), 0);
    for (int round = 0; round < 3; round++) {
        CLEANUP_JSON cJSON *patch = cJSON_CreateObject();
        for (int i = MEMBERS; i-- > 0;) {
            char name[16];
            snprintf(name, sizeof name, "%x", i);
            cJSON *value = round == 2 && i % 2 ? cJSON_CreateNull() : cJSON_CreateObject();
            value->string = cJSON_malloc(sizeof name);
            memcpy(value->string, name, sizeof name);
            cJSON_AddItemToArray(patch, value);
        }
        assert_int_equal(twin_patch(&twin, TWIN_REPORTED, patch, NULL), 0);
        assert_int_equal(cJSON_GetArraySize(twin.parts[TWIN_REPORTED]), round == 2 ? MEMBERS / 2 : MEMBERS);
    }
    assert_string_equal(twin.parts[TWIN_REPORTED]->child->string, "176e");
}

static void a_member_that_is_named_again_keeps_its_place_and_takes_the_last_value(void **state)
{
    (void)state;
    CLEANUP(twin_done) struct twin twin;
    CLEANUP_JSON cJSON *first = cJSON_Parse("{\"a\":{\"x\":1},\"b\":2,\"c\":{\"y\":1}}");
    CLEANUP_JSON cJSON *patch =
        cJSON_Parse("{\"c\":{\"z\":null,\"w\":[1]},\"a\":3,\"a\":{\"q\":null,\"r\":5},\"d\":null,\"b\":null,\"b\":7}");
    assert_int_equal(twin_init(&twin, NULL, NULL), 0);
    assert_int_equal(twin_patch(&twin, TWIN_REPORTED, first, NULL), 0);
    assert_int_equal(twin_patch(&twin, TWIN_REPORTED, patch, NULL), 0);
    assert_json(cJSON_Duplicate(twin.parts[TWIN_REPORTED], true), "{\"a\":{\"r\":5},\"c\":{\"y\":1,\"w\":[1]},\"b\":7}");
}

static void holds_ten_levels_and_not_eleven(void **state)
{
    (void)state;
    CLEANUP(twin_done) struct twin twin;
    CLEANUP_FREE char *ten = nested(10), *eleven = nested(11);
    struct error error = ERROR_INIT;
    assert_int_equal(twin_init(&twin, NULL, NULL), 0);
    assert_int_equal(patch(&twin, TWIN_REPORTED, ten, NULL), 0);
    assert_int_equal(patch(&twin, TWIN_REPORTED, eleven, &error), -1);
    assert_int_equal(error.code, ERROR_LIMIT);
}

static void holds_so_many_bytes_a_part(void **state)
{
    (void)state;
    static const struct {
        enum twin_part part;
        int fits;
    } rows[] = {{TWIN_TAGS, 8}, {TWIN_DESIRED, 32}, {TWIN_REPORTED, 32}};
    CLEANUP(twin_done) struct twin twin;
    assert_int_equal(twin_init(&twin, NULL, NULL), 0);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CLEANUP_FREE char *good = large(rows[i].fits), *bad = large(rows[i].fits + 1);
        struct error error = ERROR_INIT;
        assert_int_equal(patch(&twin, rows[i].part, good, NULL), 0);
        assert_int_equal(patch(&twin, rows[i].part, bad, &error), -1);
        assert_int_equal(error.code, ERROR_LIMIT);
        assert_int_equal(twin.versions[rows[i].part], 2);
    }
}

static void refuses_what_no_twin_holds_and_stays_as_it_was(void **state)
{
    (void)state;
    static char long_text[TWIN_TEXT_MAX_BYTES + 16], long_key[TWIN_KEY_MAX_BYTES + 16];
    memset(long_text, 'x', sizeof long_text - 1);
    memcpy(long_text, "{\"a\":\"", 6);
    memcpy(long_text + sizeof long_text - 3, "\"}", 3);
    memset(long_key, 'x', sizeof long_key - 1);
    memcpy(long_key, "{\"", 2);
    memcpy(long_key + sizeof long_key - 5, "\":1}", 5);
    const char *const texts[] = {
        "",
        "[1]",
        "7",
        "null",
        "{\"a.b\":1}",
        "{\"a b\":1}",
        "{\"$a\":1}",
        "{\"a\\u0001\":1}",
        "{\"a\\u0085\":1}",
        "{\"\":1}",
        "{\"a\":{\"$version\":1}}",
        "{\"a\":[{\"b.c\":1}]}",
        "{\"a\":4503599627370496}",
        "{\"a\":-4503599627370497}",
        long_text,
        long_key,
    };
    CLEANUP(twin_done) struct twin twin;
    assert_int_equal(twin_init(&twin, NULL, NULL), 0);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct error error = ERROR_INIT;
        assert_int_equal(patch(&twin, TWIN_REPORTED, texts[i], &error), -1);
        assert_true(error.code == ERROR_SYNTAX || error.code == ERROR_LIMIT);
        assert_int_equal(error.owner, ERROR_OWNER_FILE);
    }
    assert_int_equal(patch(&twin, TWIN_REPORTED, "{\"a\":4503599627370495,\"b\":-4503599627370496,\"c\":1e300,\"\xc3\xa4\":0.5}", NULL),
                     -1);
    assert_int_equal(patch(&twin, TWIN_REPORTED, "{\"a\":4503599627370495,\"b\":-4503599627370496,\"\xc3\xa4\":0.5}", NULL), 0);
    assert_int_equal(twin.version, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_empty_and_takes_merge_patches),
        cmocka_unit_test(counts_each_part_and_the_whole),
        cmocka_unit_test(begins_with_the_twin_of_the_enrollment),
        cmocka_unit_test(is_the_same_after_it_was_written_and_read),
        cmocka_unit_test(merges_patches_of_very_many_members),
        cmocka_unit_test(a_member_that_is_named_again_keeps_its_place_and_takes_the_last_value),
        cmocka_unit_test(holds_ten_levels_and_not_eleven),
        cmocka_unit_test(holds_so_many_bytes_a_part),
        cmocka_unit_test(refuses_what_no_twin_holds_and_stays_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
