#include "broker_sim/hub/registry.h"

#include <string.h>

#include "tests/cmocka.h"

static void done(struct hub_registry **registry)
{
    hub_registry_free(*registry);
}

static int patch(struct hub_device *device, const char *text, struct error *error)
{
    return hub_device_patch(device, text, strlen(text), error);
}

static void assert_twin(const struct hub_device *device, const char *expected)
{
    CLEANUP_JSON cJSON *twin = hub_device_twin(device);
    CLEANUP_FREE char *text = json_print_line(twin);
    assert_string_equal(text, expected);
}

static void registering_again_moves_the_device_and_keeps_its_twin(void **state)
{
    (void)state;
    CLEANUP(done) struct hub_registry *registry = hub_registry_new();
    assert_int_equal(hub_registry_put(registry, "a.net", "dev-01", "AA", NULL), 0);
    struct hub_device *device = hub_registry_find(registry, "dev-01");
    assert_int_equal(patch(device, "{\"x\":1}", NULL), 0);
    assert_int_equal(hub_registry_put(registry, "b.net", "dev-01", "BB", NULL), 0);
    assert_ptr_equal(device, hub_registry_find(registry, "dev-01"));
    assert_string_equal(device->hub, "b.net");
    assert_string_equal(device->sha256, "BB");
    assert_int_equal(device->reported_version, 2);
    assert_null(hub_registry_find(registry, "DEV-01"));
}

static void twin_starts_empty_and_takes_merge_patches(void **state)
{
    (void)state;
    CLEANUP(done) struct hub_registry *registry = hub_registry_new();
    assert_int_equal(hub_registry_put(registry, "a.net", "dev-01", "AA", NULL), 0);
    struct hub_device *device = hub_registry_find(registry, "dev-01");
    assert_twin(device, "{\"desired\":{\"$version\":1},\"reported\":{\"$version\":1}}");
    assert_int_equal(patch(device, "{\"a\":1,\"b\":{\"c\":2,\"d\":null},\"e\":null}", NULL), 0);
    assert_twin(device, "{\"desired\":{\"$version\":1},\"reported\":{\"a\":1,\"b\":{\"c\":2},\"$version\":2}}");
    assert_int_equal(patch(device, "{\"a\":null,\"b\":{\"d\":[3]},\"$version\":99}", NULL), 0);
    assert_twin(device, "{\"desired\":{\"$version\":1},\"reported\":{\"b\":{\"c\":2,\"d\":[3]},\"$version\":3}}");
}

static void broken_and_oversized_patches_change_nothing(void **state)
{
    (void)state;
    CLEANUP(done) struct hub_registry *registry = hub_registry_new();
    assert_int_equal(hub_registry_put(registry, "a.net", "dev-01", "AA", NULL), 0);
    struct hub_device *device = hub_registry_find(registry, "dev-01");
    struct error error = ERROR_INIT;
    assert_int_equal(patch(device, "", &error), -1);
    assert_int_equal(patch(device, "[1]", &error), -1);
    assert_int_equal(error.code, ERROR_SYNTAX);
    char *large = malloc(TWIN_MAX_BYTES + 32);
    memset(large, 'x', TWIN_MAX_BYTES + 32);
    memcpy(large, "{\"a\":\"", 6);
    memcpy(large + TWIN_MAX_BYTES + 20, "\"}", 3);
    assert_int_equal(patch(device, large, &error), -1);
    assert_int_equal(error.code, ERROR_LIMIT);
    free(large);
    assert_twin(device, "{\"desired\":{\"$version\":1},\"reported\":{\"$version\":1}}");
}

static void devices_and_twins_are_whole_after_a_restart(void **state)
{
    (void)state;
    struct store *kept = NULL;
    assert_int_equal(store_open(NULL, &kept, NULL), 0);
    struct hub_registry *before = hub_registry_new();
    assert_int_equal(hub_registry_load(before, kept, NULL), 0);
    assert_int_equal(hub_registry_put(before, "a.net", "dev-01", "AA", NULL), 0);
    assert_int_equal(hub_registry_put(before, "b.net", "dev-01", "BB", NULL), 0);
    assert_int_equal(hub_registry_put(before, "a.net", "DEV-01", "CC", NULL), 0);
    assert_int_equal(patch(hub_registry_find(before, "dev-01"), "{\"x\":{\"y\":[1,null]}}", NULL), 0);
    hub_registry_free(before);
    CLEANUP(done) struct hub_registry *after = hub_registry_new();
    assert_int_equal(hub_registry_load(after, kept, NULL), 0);
    const struct hub_device *device = hub_registry_find(after, "dev-01");
    assert_non_null(device);
    assert_string_equal(device->hub, "b.net");
    assert_string_equal(device->sha256, "BB");
    assert_twin(device, "{\"desired\":{\"$version\":1},\"reported\":{\"x\":{\"y\":[1,null]},\"$version\":2}}");
    assert_string_equal(hub_registry_find(after, "DEV-01")->sha256, "CC");
    store_close(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registering_again_moves_the_device_and_keeps_its_twin),
        cmocka_unit_test(twin_starts_empty_and_takes_merge_patches),
        cmocka_unit_test(devices_and_twins_are_whole_after_a_restart),
        cmocka_unit_test(broken_and_oversized_patches_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
