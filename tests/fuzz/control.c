/*
 * The control plane: request bodies, one a line, in the order in which they come. Ids of leases are counted, not random ("L1"), and the front door
 * is a list: the linker takes these functions in place of the modules'.
 */
#include "broker_sim/control/control.h"

#include "broker_sim/control/request.h"
#include "broker_sim/dps/identifier.h"
#include "certs/forge.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <sys/stat.h>

enum { REQUESTS_MAX = 64, STEP_US = 10 * 1000 * 1000 };

static int lease_number;

void uuid_make(char text[UUID_TEXT_BYTES])
{
    snprintf(text, UUID_TEXT_BYTES, "L%d", ++lease_number);
}

void identifier_operation_id(const char *id_scope, char text[OPERATION_ID_BYTES])
{
    snprintf(text, OPERATION_ID_BYTES, "5.%.16s.1", id_scope);
}

int front_door_lane_open(struct front_door *front_door, const struct lane_options *options, uint16_t *ret_port, struct error *error)
{
    (void)front_door, (void)error;
    FUZZ_MUST(options->name[0]);
    *ret_port = 4711;
    return 0;
}

int front_door_lane_set_identity(struct front_door *front_door, const char *name, const struct lane_identity *identity, struct error *error)
{
    (void)front_door, (void)error;
    FUZZ_MUST(name && identity->leaf && identity->key);
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
    FUZZ_MUST(name);
    return 0;
}

static struct pki *make_pki(void)
{
    static const char *const hosts[] = {"localhost"};
    struct recipe *recipe = NULL;
    struct pki *pki = NULL;
    const struct forge_variables variables = {.dps_host = "localhost", .hosts = hosts, .host_count = 1};
    FUZZ_MUST(recipe_read_builtin("server/p256", &recipe, NULL) == 0);
    FUZZ_MUST(forge_pki(recipe, &variables, &clock_system, NULL, &pki, NULL) == 0);
    recipe_free(recipe);
    return pki;
}

/* Kept between inputs: it takes time and nothing changes it. */
static const struct pki *server_pki(void)
{
    static const struct pki *pki;
    if (!pki)
        pki = make_pki();
    return pki;
}

static struct lanes *make_lanes(const struct clock *clock)
{
    static const char *const hosts[] = {"localhost"};
    const struct lanes_options options = {
        .clock = clock,
        .address = "127.0.0.1",
        .main_port = 8883,
        .hosts = hosts,
        .host_count = 1,
        .main_identity = {.leaf = pki_server_leaf(server_pki()), .key = pki_server_key(server_pki())},
        .main_root_ca = "main root",
        .main_recipe = "server/p256",
    };
    return lanes_new(&options);
}

static cJSON *info(void *user)
{
    (void)user;
    return cJSON_CreateObject();
}

struct rig {
    uv_loop_t loop;
    struct clock_fake clock;
    struct bus *bus;
    struct publisher *publisher;
    struct dps_state *state;
    struct scenario_table *scenarios;
    struct registration_store *registrations;
    struct lanes *lanes;
    struct control *control;
};

static void set_up(struct rig *rig)
{
    static const char *const filters[] = {"x"};
    struct knobs knobs;
    lease_number = 0;
    uv_loop_init(&rig->loop);
    clock_fake_init(&rig->clock, 1000000, 1795000000000000);
    rig->bus = bus_new(&(struct bus_options){.loop = &rig->loop, .client_id = "fuzz", .filters = filters, .filter_count = 1});
    CLEANUP_FREE char *events = path_join(fuzz_folder(), "events.jsonl");
    FUZZ_MUST(publisher_new(rig->bus, events, &rig->clock.clock, &rig->publisher, NULL) == 0);
    FUZZ_MUST(dps_state_open(fuzz_folder(), &rig->clock.clock, &rig->state, NULL) == 0);
    knobs_init(&knobs);
    rig->scenarios = scenario_table_new(&knobs);
    rig->registrations = registration_store_new("0ne", &rig->clock.clock);
    rig->lanes = make_lanes(&rig->clock.clock);
    rig->control = control_new(&(struct control_options){.loop = &rig->loop,
                                                         .clock = &rig->clock.clock,
                                                         .state = rig->state,
                                                         .scenarios = rig->scenarios,
                                                         .registrations = rig->registrations,
                                                         .lanes = rig->lanes,
                                                         .publisher = rig->publisher,
                                                         .info = info});
    FUZZ_MUST(rig->control);
}

static void tear_down(struct rig *rig)
{
    control_free(rig->control);
    bus_free(rig->bus);
    uv_run(&rig->loop, UV_RUN_DEFAULT);
    FUZZ_MUST(uv_loop_close(&rig->loop) == 0);
    lanes_free(rig->lanes);
    publisher_free(rig->publisher);
    registration_store_free(rig->registrations);
    scenario_table_free(rig->scenarios);
    dps_state_free(rig->state);
    FUZZ_MUST(dir_remove(fuzz_folder(), NULL) == 0);
}

static void request(struct rig *rig, const uint8_t *line, size_t length)
{
    struct control_request request;
    struct error error = ERROR_INIT;
    if (control_request_read(line, length, &request, &error)) {
        fuzz_check_error(&error);
    } else {
        FUZZ_MUST(request.id && request.method && cJSON_IsObject(request.params));
        control_request_done(&request);
    }
    /* One reply a request, whatever it is. */
    size_t queued = bus_queued_count(rig->bus);
    control_message(rig->control, "dpsbench/v1/control/fuzz/request", line, length);
    FUZZ_MUST(bus_queued_count(rig->bus) > queued);
    rig->clock.mono_now_us += STEP_US;
    control_expire(rig->control);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rig rig = {0};
    const uint8_t *end = data + size;
    FUZZ_MUST(mkdir(fuzz_folder(), 0700) == 0 || errno == EEXIST);
    set_up(&rig);
    for (int i = 0; i < REQUESTS_MAX && data < end; i++) {
        const uint8_t *line_end = memchr(data, '\n', (size_t)(end - data));
        if (!line_end)
            line_end = end;
        request(&rig, data, (size_t)(line_end - data));
        data = line_end + (line_end < end);
    }
    tear_down(&rig);
    return 0;
}
