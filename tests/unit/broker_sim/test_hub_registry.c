#include "broker_sim/hub/registry.h"

#include <string.h>

#include "tests/cmocka.h"

static const char sha1[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

static void done(struct hub_registry **registry)
{
    hub_registry_free(*registry);
}

static int patch(struct hub_device *device, const char *text, struct error *error)
{
    CLEANUP_JSON cJSON *json = cJSON_Parse(text);
    return hub_device_twin_patch(device, TWIN_REPORTED, json, error);
}

static struct hub_device *create(struct hub_registry *registry, const char *text, struct error *error)
{
    struct hub_device *device = NULL;
    CLEANUP_JSON cJSON *json = cJSON_Parse(text);
    return hub_registry_create(registry, json, &device, error) ? NULL : device;
}

static struct c2d_message *enqueue(struct hub_device *device, const char *text, struct error *error)
{
    struct c2d_message *message = NULL;
    CLEANUP_JSON cJSON *json = cJSON_Parse(text);
    return hub_device_enqueue(device, json, 1000, &message, error) ? NULL : message;
}

/* dev-01 at `hub`, coming from `before`. */
static int assign(struct hub_registry *registry, const char *hub, const char *before, const char *thumbprint, enum hub_twin_fate fate)
{
    const struct hub_assignment assignment = {
        .hub = hub, .device_id = "dev-01", .hub_before = before, .device_id_before = "dev-01", .thumbprint = thumbprint, .twin = fate};
    return hub_registry_assign(registry, &assignment, NULL);
}

static void registering_at_another_hub_moves_the_identity_with_its_twin_and_without_its_messages(void **state)
{
    (void)state;
    CLEANUP(done) struct hub_registry *registry = hub_registry_new();
    assert_int_equal(assign(registry, "a.net", "", "AA", HUB_TWIN_KEEP), 0);
    struct hub_device *device = hub_registry_find(registry, "a.net", "dev-01");
    assert_int_equal(patch(device, "{\"x\":1}", NULL), 0);
    assert_non_null(enqueue(device, "{\"body\":\"hello\"}", NULL));
    assert_int_equal(assign(registry, "A.net", "a.net", "BB", HUB_TWIN_KEEP), 0);
    assert_ptr_equal(device, hub_registry_find(registry, "A.NET", "dev-01"));
    assert_string_equal(device->thumbprints[0], "BB");
    assert_int_equal(device->messages.count, 1);
    device->is_disabled = true;
    assert_int_equal(assign(registry, "b.net", "a.net", "CC", HUB_TWIN_KEEP), 0);
    assert_null(hub_registry_find(registry, "a.net", "dev-01"));
    device = hub_registry_find(registry, "b.net", "dev-01");
    assert_string_equal(device->thumbprints[0], "CC");
    assert_int_equal(device->twin.versions[TWIN_REPORTED], 2);
    assert_int_equal(device->messages.count, 0);
    assert_false(device->is_disabled);
    assert_int_equal(assign(registry, "c.net", "b.net", "CC", HUB_TWIN_RESET), 0);
    device = hub_registry_first(registry, "dev-01");
    assert_string_equal(device->hub, "c.net");
    assert_int_equal(device->twin.versions[TWIN_REPORTED], 1);
    assert_null(hub_registry_first(registry, "DEV-01"));
    assert_int_equal(hub_registry_count(registry), 1);
}

static void a_name_at_two_hubs_is_two_devices(void **state)
{
    (void)state;
    CLEANUP(done) struct hub_registry *registry = hub_registry_new();
    struct error error = ERROR_INIT;
    static const char *const hubs[] = {"b.net", "c.net", "a.net"};
    for (size_t i = 0; i < ARRAY_COUNT(hubs); i++)
        assert_int_equal(assign(registry, hubs[i], "", hubs[i], HUB_TWIN_KEEP), 0);
    assert_int_equal(hub_registry_count(registry), 3);
    assert_int_equal(patch(hub_registry_find(registry, "b.net", "dev-01"), "{\"x\":1}", NULL), 0);
    assert_int_equal(hub_registry_find(registry, "c.net", "dev-01")->twin.versions[TWIN_REPORTED], 1);
    assert_null(hub_registry_pick(registry, NULL, "dev-01", &error));
    assert_int_equal(error.code, ERROR_USAGE);
    assert_non_null(strstr(error.text, "a.net, b.net, c.net; say which one: --hub HOST"));
    assert_string_equal(hub_registry_pick(registry, "C.net", "dev-01", NULL)->thumbprints[0], "c.net");
    assert_null(hub_registry_pick(registry, "d.net", "dev-01", &error));
    assert_int_equal(error.code, ERROR_NOT_FOUND);
    assert_non_null(strstr(error.text, "'d.net' does not know device 'dev-01'"));
    /* the first, the last, the only one */
    assert_int_equal(hub_registry_delete(registry, hub_registry_find(registry, "a.net", "dev-01"), NULL), 0);
    assert_int_equal(hub_registry_delete(registry, hub_registry_find(registry, "c.net", "dev-01"), NULL), 0);
    assert_string_equal(hub_registry_pick(registry, NULL, "dev-01", NULL)->hub, "b.net");
    assert_int_equal(hub_registry_delete(registry, hub_registry_first(registry, "dev-01"), NULL), 0);
    assert_null(hub_registry_pick(registry, NULL, "dev-01", &error));
    assert_int_equal(hub_registry_count(registry), 0);
}

static void an_assignment_says_how_the_device_proves_itself_and_what_its_twin_becomes(void **state)
{
    (void)state;
    static const char key[] = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    CLEANUP(done) struct hub_registry *registry = hub_registry_new();
    CLEANUP_JSON cJSON *initial = cJSON_Parse("{\"tags\":{\"a\":1},\"properties\":{\"desired\":{\"b\":2}}}");
    CLEANUP_JSON cJSON *broken = cJSON_Parse("{\"tags\":{\"a.b\":1}}");
    struct hub_assignment assignment = {.hub = "a.net", .device_id = "dev-01", .thumbprint = "AA", .initial_twin = initial};
    assert_int_equal(hub_registry_assign(registry, &assignment, NULL), 0);
    struct hub_device *device = hub_registry_first(registry, "dev-01");
    assert_int_equal(json_integer(device->twin.parts[TWIN_DESIRED], "b", 0), 2);
    assert_int_equal(patch(device, "{\"x\":1}", NULL), 0);
    assignment = (struct hub_assignment){
        .hub = "a.net", .device_id = "dev-01", .authentication = HUB_BY_SAS, .keys = {key, NULL}, .initial_twin = initial};
    assert_int_equal(hub_registry_assign(registry, &assignment, NULL), 0);
    assert_int_equal(device->authentication, HUB_BY_SAS);
    assert_string_equal(device->keys[0], key);
    assert_string_equal(device->thumbprints[0], "");
    assert_int_equal(device->twin.versions[TWIN_REPORTED], 2);
    assert_non_null(enqueue(device, "{}", NULL));
    assignment.twin = HUB_TWIN_RESET;
    assert_int_equal(hub_registry_assign(registry, &assignment, NULL), 0);
    assert_int_equal(device->twin.versions[TWIN_REPORTED], 1);
    assert_int_equal(json_integer(device->twin.parts[TWIN_DESIRED], "b", 0), 2);
    assert_int_equal(device->messages.count, 0);
    struct error error = ERROR_INIT;
    assignment.initial_twin = broken;
    assignment.hub = "c.net";
    assignment.hub_before = "a.net";
    assert_int_equal(hub_registry_assign(registry, &assignment, &error), -1);
    assert_int_equal(error.owner, ERROR_OWNER_FILE);
    assert_string_equal(device->hub, "a.net");
    assert_null(hub_registry_find(registry, "c.net", "dev-01"));
}

static void devices_are_made_and_changed_by_hand(void **state)
{
    (void)state;
    CLEANUP(done) struct hub_registry *registry = hub_registry_new();
    struct hub_device *sas = create(registry, "{\"deviceId\":\"sas-1\",\"hub\":\"h.net\"}", NULL);
    assert_int_equal(sas->authentication, HUB_BY_SAS);
    assert_int_equal(strlen(sas->keys[0]), 88);
    assert_string_not_equal(sas->keys[0], sas->keys[1]);
    struct hub_device *x509 = create(registry,
                                     "{\"deviceId\":\"x-1\",\"hub\":\"h.net\",\"status\":\"disabled\",\"authentication\":{\"type\":"
                                     "\"selfSigned\",\"x509Thumbprint\":{\"secondaryThumbprint\":"
                                     "\"aa:aa:aa:aa:aa:aa:aa:aa:aa:aa:aa:aa:aa:aa:aa:aa:aa:aa:aa:aa\"}}}",
                                     NULL);
    assert_true(x509->is_disabled);
    assert_string_equal(x509->thumbprints[0], "");
    assert_string_equal(x509->thumbprints[1], sha1);
    CLEANUP_JSON cJSON *change = cJSON_Parse("{\"status\":\"enabled\",\"authentication\":{\"type\":\"certificateAuthority\"}}");
    assert_int_equal(hub_device_update(x509, change, NULL), 0);
    assert_false(x509->is_disabled);
    assert_int_equal(x509->authentication, HUB_BY_CA);
    assert_string_equal(x509->hub, "h.net");
    assert_int_equal(hub_registry_delete(registry, x509, NULL), 0);
    assert_null(hub_registry_first(registry, "x-1"));
    assert_int_equal(hub_registry_count(registry), 1);
}

static void refuses_identities_that_cannot_be(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum error_code code;
        const char *words;
    } rows[] = {
        {"{\"hub\":\"h.net\"}", ERROR_USAGE, "deviceId"},
        {"{\"deviceId\":\"a/b\",\"hub\":\"h.net\"}", ERROR_USAGE, "character"},
        {"{\"deviceId\":\"a\"}", ERROR_USAGE, "hub is missing"},
        {"{\"deviceId\":\"a\",\"hub\":\"a b\"}", ERROR_USAGE, "'a b' is no host name"},
        {"{\"deviceId\":\"a\",\"hub\":\"https://h.net/\"}", ERROR_USAGE, "no host name"},
        {"{\"deviceId\":\"there\",\"hub\":\"h.net\"}", ERROR_EXISTS, "409001"},
        {"{\"deviceId\":\"a\",\"hub\":\"h.net\",\"status\":\"off\"}", ERROR_USAGE, "'off'"},
        {"{\"deviceId\":\"a\",\"hub\":\"h.net\",\"authentication\":{\"type\":\"tpm\"}}", ERROR_USAGE, "'tpm'"},
        {"{\"deviceId\":\"a\",\"hub\":\"h.net\",\"authentication\":{\"x509Thumbprint\":{\"primaryThumbprint\":\"abc\"}}}", ERROR_SYNTAX,
         "hex"},
        {"{\"deviceId\":\"a\",\"hub\":\"h.net\",\"authentication\":{\"symmetricKey\":{\"primaryKey\":\"abc\"}}}", ERROR_SYNTAX, "base64"},
    };
    CLEANUP(done) struct hub_registry *registry = hub_registry_new();
    assert_non_null(create(registry, "{\"deviceId\":\"there\",\"hub\":\"h.net\"}", NULL));
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct error error = ERROR_INIT;
        assert_null(create(registry, rows[i].text, &error));
        assert_int_equal(error.code, rows[i].code);
        assert_non_null(strstr(error.text, rows[i].words));
    }
    assert_int_equal(hub_registry_count(registry), 1);
}

static void messages_carry_properties_as_a_topic_has_them(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *bag;
        const char *body;
    } rows[] = {
        {"{\"messageId\":\"7\"}", "%24.mid=7&%24.to=%2Fdevices%2Fdev-01%2Fmessages%2Fdevicebound&iothub-ack=none", ""},
        {"{\"messageId\":\"m 1\",\"body\":\"hi\",\"correlationId\":\"c\",\"userId\":\"u\",\"contentType\":\"application/json\","
         "\"contentEncoding\":\"utf-8\",\"ttlInSeconds\":60,\"properties\":{\"k\":\"v 1&=\",\"\xc3\xa4\":\"\"}}",
         "%24.mid=m%201&%24.exp=1970-01-01T00%3A17%3A40.000000Z&%24.to=%2Fdevices%2Fdev-01%2Fmessages%2Fdevicebound&%24.cid=c&%24.uid=u&"
         "%24.ct=application%2Fjson&%24.ce=utf-8&iothub-ack=none&k=v%201%26%3D&%C3%A4=",
         "hi"},
        {"{\"messageId\":\"b\",\"bodyBase64\":\"aGVsbG8=\"}",
         "%24.mid=b&%24.to=%2Fdevices%2Fdev-01%2Fmessages%2Fdevicebound&iothub-ack=none", "hello"},
    };
    CLEANUP(done) struct hub_registry *registry = hub_registry_new();
    assert_int_equal(hub_registry_put(registry, "a.net", "dev-01", "AA", NULL), 0);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct c2d_message *message = enqueue(hub_registry_first(registry, "dev-01"), rows[i].text, NULL);
        assert_string_equal(message->bag, rows[i].bag);
        assert_int_equal(message->body_bytes, strlen(rows[i].body));
        assert_string_equal((const char *)message->body, rows[i].body);
    }
}

static void refuses_messages_that_cannot_be(void **state)
{
    (void)state;
    static char large[C2D_BODY_MAX_BYTES + 64];
    memset(large, 'x', sizeof large - 1);
    memcpy(large, "{\"body\":\"", 9);
    memcpy(large + sizeof large - 3, "\"}", 3);
    const struct {
        const char *text;
        enum error_code code;
    } rows[] = {
        {"{\"body\":\"a\",\"bodyBase64\":\"aaaa\"}", ERROR_USAGE},
        {"{\"bodyBase64\":\"a?==\"}", ERROR_SYNTAX},
        {"{\"bodyBase64\":\"abc\"}", ERROR_SYNTAX},
        {"{\"properties\":[1]}", ERROR_USAGE},
        {"{\"properties\":{\"a\":1}}", ERROR_USAGE},
        {"{\"ttlInSeconds\":0}", ERROR_USAGE},
        {"{\"ttlInSeconds\":172801}", ERROR_USAGE},
        {large, ERROR_LIMIT},
    };
    CLEANUP(done) struct hub_registry *registry = hub_registry_new();
    assert_int_equal(hub_registry_put(registry, "a.net", "dev-01", "AA", NULL), 0);
    struct hub_device *device = hub_registry_first(registry, "dev-01");
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct error error = ERROR_INIT;
        assert_null(enqueue(device, rows[i].text, &error));
        assert_int_equal(error.code, rows[i].code);
    }
    assert_int_equal(device->messages.count, 0);
}

static void fifty_messages_wait_and_no_more(void **state)
{
    (void)state;
    CLEANUP(done) struct hub_registry *registry = hub_registry_new();
    assert_int_equal(hub_registry_put(registry, "a.net", "dev-01", "AA", NULL), 0);
    struct hub_device *device = hub_registry_first(registry, "dev-01");
    for (int i = 0; i < 50; i++)
        assert_non_null(enqueue(device, "{}", NULL));
    struct error error = ERROR_INIT;
    assert_null(enqueue(device, "{}", &error));
    assert_int_equal(error.code, ERROR_LIMIT);
    assert_non_null(strstr(error.text, "403004"));
    hub_device_end_message(device, device->messages.first, C2D_COMPLETED);
    assert_non_null(enqueue(device, "{}", NULL));
}

static void everything_is_there_after_a_restart(void **state)
{
    (void)state;
    struct store *kept = NULL;
    assert_int_equal(store_open(NULL, &kept, NULL), 0);
    struct hub_registry *before = hub_registry_new();
    assert_int_equal(hub_registry_load(before, kept, NULL), 0);
    assert_int_equal(hub_registry_put(before, "a.net", "dev-01", sha1, NULL), 0);
    assert_int_equal(hub_registry_put(before, "B.net", "dev-01", sha1, NULL), 0);
    assert_int_equal(hub_registry_put(before, "a.net", "DEV-01", "", NULL), 0);
    struct hub_device *device = hub_registry_find(before, "b.net", "dev-01");
    assert_non_null(enqueue(hub_registry_find(before, "a.net", "dev-01"), "{\"messageId\":\"other\"}", NULL));
    assert_int_equal(patch(device, "{\"x\":{\"y\":[1,null]}}", NULL), 0);
    device->has_kept_subscription = true;
    device->kept_qos = 1;
    device->is_disabled = true;
    assert_int_equal(hub_device_keep(device, NULL), 0);
    for (int i = 0; i < 12; i++) {
        char text[64];
        snprintf(text, sizeof text, "{\"messageId\":\"m%d\",\"bodyBase64\":\"AAEC\"}", i);
        assert_non_null(enqueue(device, text, NULL));
    }
    hub_device_count_delivery(device, device->messages.first->next);
    hub_device_end_message(device, device->messages.first, C2D_COMPLETED);
    struct hub_device *gone = create(before, "{\"deviceId\":\"gone\",\"hub\":\"h.net\"}", NULL);
    assert_non_null(enqueue(gone, "{}", NULL));
    assert_int_equal(hub_registry_delete(before, gone, NULL), 0);
    assert_int_equal(store_flush(kept, NULL), 0);
    hub_registry_free(before);

    CLEANUP(done) struct hub_registry *after = hub_registry_new();
    assert_int_equal(hub_registry_load(after, kept, NULL), 0);
    assert_int_equal(hub_registry_count(after), 3);
    assert_string_equal(hub_registry_find(after, "a.net", "dev-01")->messages.first->id, "other");
    device = hub_registry_find(after, "b.net", "dev-01");
    assert_string_equal(device->hub, "B.net");
    assert_string_equal(device->thumbprints[0], sha1);
    assert_true(device->is_disabled && device->has_kept_subscription);
    assert_int_equal(device->kept_qos, 1);
    assert_int_equal(device->twin.versions[TWIN_REPORTED], 2);
    assert_int_equal(device->messages.count, 11);
    const struct c2d_message *message = device->messages.first;
    assert_string_equal(message->id, "m1");
    assert_int_equal(message->deliveries, 1);
    assert_memory_equal(message->body, "\0\1\2", 3);
    assert_int_equal(message->body_bytes, 3);
    assert_int_equal(message->expires_unix_s, 1000 + C2D_TTL_DEFAULT_S);
    for (int i = 1; message; message = message->next, i++) {
        char id[8];
        snprintf(id, sizeof id, "m%d", i);
        assert_string_equal(message->id, id);
    }
    assert_int_equal(enqueue(device, "{\"messageId\":\"new\"}", NULL)->number, 13);
    assert_non_null(hub_registry_first(after, "DEV-01"));
    assert_null(hub_registry_first(after, "gone"));
    store_close(kept);
}

static int count_row(void *user, const char *id, const cJSON *json, struct error *error)
{
    (void)json;
    (void)error;
    assert_string_equal(id, "dev-01/x.net");
    return (int)(++*(int *)user, 0);
}

/* As an older file's rows are when they have been brought up to date. */
static void a_row_is_named_by_the_hub_in_lower_case(void **state)
{
    (void)state;
    struct store *kept = NULL;
    int count = 0;
    CLEANUP_JSON cJSON *json = cJSON_Parse("{\"deviceId\":\"dev-01\",\"hub\":\"X.net\"}");
    assert_int_equal(store_open(NULL, &kept, NULL), 0);
    assert_int_equal(store_put(kept, STORE_DEVICE, "dev-01/x.net", json, NULL), 0);
    CLEANUP(done) struct hub_registry *registry = hub_registry_new();
    assert_int_equal(hub_registry_load(registry, kept, NULL), 0);
    assert_int_equal(hub_device_keep(hub_registry_find(registry, "x.NET", "dev-01"), NULL), 0);
    assert_int_equal(store_each(kept, STORE_DEVICE, count_row, &count, NULL), 0);
    assert_int_equal(count, 1);
    store_close(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registering_at_another_hub_moves_the_identity_with_its_twin_and_without_its_messages),
        cmocka_unit_test(a_name_at_two_hubs_is_two_devices),
        cmocka_unit_test(an_assignment_says_how_the_device_proves_itself_and_what_its_twin_becomes),
        cmocka_unit_test(devices_are_made_and_changed_by_hand),
        cmocka_unit_test(refuses_identities_that_cannot_be),
        cmocka_unit_test(messages_carry_properties_as_a_topic_has_them),
        cmocka_unit_test(refuses_messages_that_cannot_be),
        cmocka_unit_test(fifty_messages_wait_and_no_more),
        cmocka_unit_test(everything_is_there_after_a_restart),
        cmocka_unit_test(a_row_is_named_by_the_hub_in_lower_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
