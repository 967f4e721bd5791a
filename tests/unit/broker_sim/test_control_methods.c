/* The control plane against a front door that is a list: the linker takes these functions in place of the module's. */
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/files.h"
#include "broker_sim/control/control.h"
#include "certs/forge.h"

#include <string.h>

#include "tests/cmocka.h"

static char opened[256]; /* "lane-1 main lane-2 ": what is open, and what had its identity set */

int front_door_lane_open(struct front_door *front_door, const struct lane_options *options, uint16_t *ret_port, struct error *error)
{
    (void)front_door, (void)error;
    snprintf(opened + strlen(opened), sizeof opened - strlen(opened), "+%s ", options->name);
    *ret_port = 4711;
    return 0;
}

int front_door_lane_set_identity(struct front_door *front_door, const char *name, const struct lane_identity *identity, struct error *error)
{
    (void)front_door, (void)error;
    assert_non_null(identity->leaf);
    snprintf(opened + strlen(opened), sizeof opened - strlen(opened), "=%s ", name);
    return 0;
}

int front_door_lane_set_knobs(struct front_door *front_door, const char *name, const struct knobs *knobs, struct error *error)
{
    (void)front_door, (void)name, (void)knobs, (void)error;
    return 0;
}

void front_door_reload_faults(struct front_door *front_door)
{
    (void)front_door;
}

const struct knobs *front_door_lane_knobs(struct front_door *front_door, const char *name)
{
    (void)front_door, (void)name;
    return NULL;
}

int front_door_lane_close(struct front_door *front_door, const char *name, struct error *error)
{
    (void)front_door, (void)error;
    snprintf(opened + strlen(opened), sizeof opened - strlen(opened), "-%s ", name);
    return 0;
}

struct rig {
    char dir[64];
    uv_loop_t loop;
    struct clock_fake clock;
    struct bus *bus;
    struct publisher *publisher;
    struct dps_state *state;
    struct scenario_table *scenarios;
    struct registration_store *registrations;
    struct pki *pki;
    struct lanes *lanes;
    struct control *control;
};

static cJSON *info(void *user)
{
    (void)user;
    return cJSON_CreateObject();
}

static void make_pki(struct rig *rig)
{
    static const char *const hosts[] = {"localhost"};
    struct recipe *recipe = NULL;
    struct forge_variables variables = {.dps_host = "localhost", .hosts = hosts, .host_count = 1};
    assert_int_equal(recipe_read_builtin("server/p256", &recipe, NULL), 0);
    assert_int_equal(forge_pki(recipe, &variables, &rig->clock.clock, NULL, &rig->pki, NULL), 0);
    recipe_free(recipe);
    struct lanes_options options = {
        .clock = &rig->clock.clock,
        .address = "127.0.0.1",
        .main_port = 8883,
        .hosts = hosts,
        .host_count = 1,
        .main_identity = {.leaf = pki_server_leaf(rig->pki), .key = pki_server_key(rig->pki)},
        .main_root_ca = "main root",
        .main_recipe = "server/p256",
    };
    rig->lanes = lanes_new(&options);
}

static void setup(struct rig *rig)
{
    static const char *const filters[] = {"x"};
    *rig = (struct rig){.dir = "/tmp/dpsbench-control-XXXXXX"};
    opened[0] = 0;
    assert_non_null(mkdtemp(rig->dir));
    uv_loop_init(&rig->loop);
    clock_fake_init(&rig->clock, 1000000, 1795000000000000);
    struct bus_options bus = {.loop = &rig->loop, .client_id = "test", .filters = filters, .filter_count = 1};
    rig->bus = bus_new(&bus);
    CLEANUP_FREE char *path = path_join(rig->dir, "events.jsonl");
    assert_int_equal(publisher_new(rig->bus, path, &rig->clock.clock, &rig->publisher, NULL), 0);
    assert_int_equal(dps_state_open(rig->dir, &rig->clock.clock, &rig->state, NULL), 0);
    struct knobs knobs;
    knobs_init(&knobs);
    rig->scenarios = scenario_table_new(&knobs);
    rig->registrations = registration_store_new("0ne", &rig->clock.clock);
    make_pki(rig);
    struct control_options options = {.loop = &rig->loop,
                                      .clock = &rig->clock.clock,
                                      .state = rig->state,
                                      .scenarios = rig->scenarios,
                                      .registrations = rig->registrations,
                                      .lanes = rig->lanes,
                                      .publisher = rig->publisher,
                                      .info = info};
    rig->control = control_new(&options);
    assert_non_null(rig->control);
}

static void teardown(struct rig *rig)
{
    control_free(rig->control);
    bus_free(rig->bus);
    uv_run(&rig->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
    lanes_free(rig->lanes);
    pki_free(rig->pki);
    publisher_free(rig->publisher);
    registration_store_free(rig->registrations);
    scenario_table_free(rig->scenarios);
    dps_state_free(rig->state);
    dir_remove(rig->dir, NULL);
}

/* `lease` is put in for the first %s of params. */
static void call(struct rig *rig, const char *method, const char *params, const char *lease)
{
    CLEANUP_FREE char *filled = NULL;
    CLEANUP_FREE char *body = NULL;
    assert_true(asprintf(&filled, params, lease) > 0);
    assert_true(asprintf(&body, "{\"v\":1,\"id\":\"1\",\"method\":\"%s\",\"params\":%s}", method, filled) > 0);
    control_message(rig->control, "dpsbench/v1/control/test/request", body, strlen(body));
}

/* The last event of that kind, from the file; given. */
static cJSON *last_event(struct rig *rig, const char *kind)
{
    CLEANUP_FREE char *path = path_join(rig->dir, "events.jsonl");
    CLEANUP(bytes_done) struct bytes all = {0};
    cJSON *found = NULL;
    publisher_flush(rig->publisher);
    assert_int_equal(file_read(path, 1 << 20, &all, NULL), 0);
    char *rest = NULL;
    for (char *line = strtok_r((char *)all.data, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        cJSON *event = cJSON_Parse(line);
        if (strcmp(json_string(event, "kind", ""), kind) == 0) {
            cJSON_Delete(found);
            found = event;
        } else {
            cJSON_Delete(event);
        }
    }
    return found;
}

static char *lease_of(struct rig *rig)
{
    CLEANUP_JSON cJSON *event = last_event(rig, "lane.leased");
    return strdup(json_string(event_data(event), "lease", ""));
}

static int64_t retry_after(struct rig *rig)
{
    return scenario_knobs(rig->scenarios, "dev-01").retry_after_s;
}

static void everything_under_a_lease_goes_when_its_time_has_come(void **state)
{
    (void)state;
    CLEANUP(teardown) struct rig rig;
    setup(&rig);
    call(&rig, "lane.lease", "{\"ttl_s\":10}", "");
    CLEANUP_FREE char *lease = lease_of(&rig);
    call(&rig, "scenario.set", "{\"registration_id\":\"dev-01\",\"knobs\":{\"retry_after_s\":9},\"lease\":\"%s\"}", lease);
    call(&rig, "enrollmentGroup.put",
         "{\"enrollmentGroup\":{\"enrollmentGroupId\":\"g\",\"attestation\":{\"type\":\"x509\",\"x509\":{\"caReferences\":{\"primary\":"
         "\"c\"}}}},"
         "\"lease\":\"%s\"}",
         lease);
    assert_int_equal(retry_after(&rig), 9);
    assert_non_null(dps_state_find(rig.state, DPS_GROUP, "g"));
    rig.clock.mono_now_us += 9999999;
    control_expire(rig.control);
    assert_int_equal(retry_after(&rig), 9);
    call(&rig, "lease.renew", "{\"lease\":\"%s\",\"ttl_s\":5}", lease);
    rig.clock.mono_now_us += 4999999;
    control_expire(rig.control);
    assert_int_equal(retry_after(&rig), 9);
    rig.clock.mono_now_us += 1;
    control_expire(rig.control);
    assert_int_equal(retry_after(&rig), 3);
    assert_null(dps_state_find(rig.state, DPS_GROUP, "g"));
    assert_string_equal(opened, "+lane-1 -lane-1 ");
    CLEANUP_JSON cJSON *event = last_event(&rig, "lane.released");
    assert_string_equal(json_string(event_data(event), "reason", ""), "expired");
    assert_string_equal(json_string(event, "lane", ""), "lane-1");
}

static void releasing_one_lease_leaves_the_others(void **state)
{
    (void)state;
    CLEANUP(teardown) struct rig rig;
    setup(&rig);
    call(&rig, "lane.lease", "{}", "");
    CLEANUP_FREE char *first = lease_of(&rig);
    call(&rig, "lane.lease", "{}", "");
    CLEANUP_FREE char *second = lease_of(&rig);
    call(&rig, "scenario.set", "{\"registration_id\":\"dev-01\",\"knobs\":{\"retry_after_s\":7},\"lease\":\"%s\"}", first);
    call(&rig, "scenario.set", "{\"registration_id\":\"dev-01\",\"knobs\":{\"retry_after_s\":8},\"lease\":\"%s\"}", second);
    assert_int_equal(retry_after(&rig), 8);
    call(&rig, "lane.release", "{\"lease\":\"%s\"}", second);
    assert_int_equal(retry_after(&rig), 7);
    assert_string_equal(opened, "+lane-1 +lane-2 -lane-2 ");
}

static void exclusive_lease_gives_the_main_lane_its_identity_back(void **state)
{
    (void)state;
    CLEANUP(teardown) struct rig rig;
    setup(&rig);
    call(&rig, "lane.lease", "{\"kind\":\"exclusive\"}", "");
    CLEANUP_FREE char *lease = lease_of(&rig);
    call(&rig, "lane.lease", "{\"kind\":\"exclusive\"}", "");
    assert_string_equal(opened, "=main ");
    call(&rig, "lane.release", "{\"lease\":\"%s\"}", lease);
    call(&rig, "lane.lease", "{\"kind\":\"exclusive\"}", "");
    assert_string_equal(opened, "=main =main =main ");
}

static void bad_ttl_opens_no_lane_for_good(void **state)
{
    (void)state;
    CLEANUP(teardown) struct rig rig;
    setup(&rig);
    call(&rig, "lane.lease", "{\"ttl_s\":86401}", "");
    assert_string_equal(opened, "+lane-1 -lane-1 ");
}

static void every_method_of_the_documentation_exists_and_none_besides(void **state)
{
    (void)state;
    CLEANUP(bytes_done) struct bytes page = {0};
    assert_int_equal(file_read(DPSBENCH_SOURCE_DIR "/docs/control.md", 1 << 20, &page, NULL), 0);
    for (const char *const *name = control_method_names(); *name; name++) {
        CLEANUP_FREE char *whole = NULL;
        const char *dot = strchr(*name, '.');
        assert_true(asprintf(&whole, "`%s`", *name) > 0);
        if (strstr(bytes_text(&page), whole))
            continue;
        free(whole);
        assert_true(asprintf(&whole, "`%s`", dot) > 0);
        if (!strstr(bytes_text(&page), whole))
            fail_msg("docs/control.md does not name %s", *name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_under_a_lease_goes_when_its_time_has_come),
        cmocka_unit_test(releasing_one_lease_leaves_the_others),
        cmocka_unit_test(exclusive_lease_gives_the_main_lane_its_identity_back),
        cmocka_unit_test(bad_ttl_opens_no_lane_for_good),
        cmocka_unit_test(every_method_of_the_documentation_exists_and_none_besides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
