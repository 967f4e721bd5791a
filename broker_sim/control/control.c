#include "broker_sim/control/control.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/yaml.h"
#include "broker_sim/control/request.h"
#include "broker_sim/dps/reply.h"

#include <string.h>

enum { LEASE_TTL_DEFAULT_S = 60, HOST_MAX_BYTES = 253, NAME_MAX_BYTES = 255, REPLY_TOPIC_MAX_BYTES = CLIENT_NAME_MAX_BYTES + 64 };

struct control {
    struct control_options options;
    struct lease_table *leases;
    uv_timer_t *timer; /* outlives us until its close callback */
};

/* What a method gets, and where it puts its answer. */
struct call {
    struct control *control;
    enum dps_kind kind;      /* of the object methods */
    struct dps_state *state; /* likewise: of the service, or of the application that the parameters name */
    const char *method;
    const cJSON *params;
    cJSON *result;                   /* given; NULL: {} */
    char place[NAME_MAX_BYTES + 32]; /* of an error; "" : none */
    struct error *error;
    const char *id;          /* of the request */
    const char *reply_topic; /* where its reply goes */
    bool is_deferred;        /* the reply is, or was, sent by somebody else */
};

/* --- events --- */

static void emit(const struct control *control, cJSON *event)
{
    struct event_sink sink = publisher_sink(control->options.publisher);
    sink.emit(sink.user, event);
}

static cJSON *event_of(const struct control *control, enum event_kind kind)
{
    return event_new(kind, control->options.clock, EVENT_SOURCE);
}

static void emit_state_changed(const struct call *call, const char *id, const char *action, const char *etag)
{
    cJSON *event = event_of(call->control, EVENT_STATE_CHANGED), *data = event_data(event);
    json_set_string(data, "what", dps_kind_name(call->kind));
    json_set_string(data, "id", id);
    json_set_string(data, "action", action);
    json_set_string(data, "etag", etag);
    emit(call->control, event);
}

static void log_notices(const struct dps_state *state)
{
    for (size_t i = 0; i < dps_state_notice_count(state); i++)
        log_warning("%s", dps_state_notice(state, i).text);
}

/* --- parameters --- */

static int optional_text(const struct call *call, const char *name, const char **ret_text)
{
    *ret_text = NULL;
    return json_member(call->params, name) ? control_params_text(call->params, name, NAME_MAX_BYTES, ret_text, call->error) : 0;
}

/* `lease` NULL when the parameter is absent. */
static int optional_lease(const struct call *call, const char **ret_id)
{
    struct lease *lease;
    if (optional_text(call, "lease", ret_id))
        return -1;
    return *ret_id ? lease_find(call->control->leases, *ret_id, &lease, call->error) : 0;
}

static int required_lease(const struct call *call, struct lease **ret_lease)
{
    const char *id;
    if (control_params_text(call->params, "lease", NAME_MAX_BYTES, &id, call->error))
        return -1;
    return lease_find(call->control->leases, id, ret_lease, call->error);
}

static int read_ttl(const struct call *call, int64_t *ret_ttl_s)
{
    const cJSON *ttl = json_member(call->params, "ttl_s");
    *ret_ttl_s = ttl ? json_integer(call->params, "ttl_s", -1) : LEASE_TTL_DEFAULT_S;
    return 0;
}

/* --- simulator --- */

static int simulator_info(struct call *call)
{
    call->result = call->control->options.info(call->control->options.user);
    json_set_integer(call->result, "unix_us", clock_unix_us(call->control->options.clock));
    json_set_integer(call->result, "lost_events", (int64_t)publisher_lost_count(call->control->options.publisher));
    return call->result ? 0 : error_set_memory(call->error);
}

static int sync_events(struct call *call)
{
    call->result = cJSON_CreateObject();
    return json_set_integer(call->result, "seq", (int64_t)publisher_seq(call->control->options.publisher)) ? error_set_memory(call->error)
                                                                                                           : 0;
}

/* --- leases and lanes --- */

static void rearm(struct control *control);

static void emit_lane(const struct call *call, enum event_kind kind, const struct lease *lease, const cJSON *lane)
{
    cJSON *event = event_of(call->control, kind), *data = event_data(event);
    if (kind == EVENT_LANE_LEASED) {
        json_set_string(data, "lease", lease->id);
        json_set_string(data, "address", json_string(lane, "address", NULL));
        json_set_string(data, "host", json_string(lane, "host", NULL));
        json_set_string(data, "lane_kind", lane_kind_name(lanes_kind(call->control->options.lanes, lease->lane)));
    } else {
        json_set_string(data, "recipe", json_string(lane, "recipe", NULL));
    }
    if (event)
        event_set_origin(event, lease->lane, 0, NULL);
    emit(call->control, event);
}

static int describe_lane(struct call *call, enum event_kind kind, const struct lease *lease)
{
    call->result = lanes_describe(call->control->options.lanes, lease->lane);
    if (!call->result || json_set_string(call->result, "lease", lease->id))
        return error_set_memory(call->error);
    emit_lane(call, kind, lease, call->result);
    return 0;
}

static int read_recipe(const struct call *call, const char **ret_recipe)
{
    *ret_recipe = NULL;
    if (!json_member(call->params, "server_recipe"))
        return 0;
    return control_params_text(call->params, "server_recipe", REQUEST_MAX_BYTES, ret_recipe, call->error);
}

static int lane_lease(struct call *call)
{
    struct control *control = call->control;
    enum lane_kind kind;
    const char *host, *recipe;
    int64_t ttl_s;
    char lane[LANE_NAME_BYTES];
    struct lease *lease;
    if (lane_kind_read(json_string(call->params, "kind", "listener"), &kind, call->error) || optional_text(call, "host", &host) ||
        read_recipe(call, &recipe) || read_ttl(call, &ttl_s) || lanes_open(control->options.lanes, kind, host, recipe, lane, call->error))
        return -1;
    if (lease_add(control->leases, lane, ttl_s, &lease, call->error)) {
        lanes_close(control->options.lanes, lane);
        return -1;
    }
    if (dps_state_bind_lane(control->options.state, lease->id, lane, call->error)) {
        lease_remove(control->leases, lease);
        lanes_close(control->options.lanes, lane);
        return -1;
    }
    rearm(control);
    return describe_lane(call, EVENT_LANE_LEASED, lease);
}

static int lane_configure(struct call *call)
{
    struct lease *lease;
    const char *recipe;
    if (required_lease(call, &lease) || read_recipe(call, &recipe) ||
        lanes_configure(call->control->options.lanes, lease->lane, recipe, call->error))
        return -1;
    return describe_lane(call, EVENT_LANE_CONFIGURED, lease);
}

static int lease_renew_method(struct call *call)
{
    struct lease *lease;
    int64_t ttl_s;
    if (required_lease(call, &lease) || read_ttl(call, &ttl_s) || lease_renew(call->control->leases, lease, ttl_s, call->error))
        return -1;
    rearm(call->control);
    call->result = cJSON_CreateObject();
    return json_set_integer(call->result, "ttl_s", ttl_s) ? error_set_memory(call->error) : 0;
}

/* Everything that was made under the lease goes, the lane last: its sessions are closed. */
static void end_lease(struct control *control, struct lease *lease, const char *reason)
{
    scenario_drop_lease(control->options.scenarios, lease->id);
    lanes_scenarios_changed(control->options.lanes);
    dps_state_drop_lease(control->options.state, lease->id);
    lanes_close(control->options.lanes, lease->lane);
    cJSON *event = event_of(control, EVENT_LANE_RELEASED);
    json_set_string(event_data(event), "reason", reason);
    json_set_string(event_data(event), "lease", lease->id);
    if (event)
        event_set_origin(event, lease->lane, 0, NULL);
    emit(control, event);
    lease_remove(control->leases, lease);
}

static int lane_release(struct call *call)
{
    struct lease *lease;
    if (required_lease(call, &lease))
        return -1;
    end_lease(call->control, lease, "released");
    return 0;
}

void control_expire(struct control *control)
{
    for (struct lease *lease = lease_expired(control->leases); lease; lease = lease_expired(control->leases))
        end_lease(control, lease, "expired");
    rearm(control);
}

static void on_timer(uv_timer_t *timer)
{
    control_expire(timer->data);
}

static void rearm(struct control *control)
{
    int64_t next_ms = lease_next_end_ms(control->leases);
    if (next_ms < 0)
        uv_timer_stop(control->timer);
    else
        uv_timer_start(control->timer, on_timer, (uint64_t)next_ms, 0);
}

/* --- scenarios --- */

static int knob_list_method(struct call *call)
{
    struct knobs defaults = scenario_knobs(call->control->options.scenarios, NULL);
    call->result = cJSON_CreateObject();
    return json_set(call->result, "knobs", knobs_describe(&defaults)) ? error_set_memory(call->error) : 0;
}

static int scenario_set_method(struct call *call)
{
    struct scenario_table *scenarios = call->control->options.scenarios;
    const char *registration_id, *lease;
    if (control_params_text(call->params, "registration_id", REGISTRATION_ID_MAX_BYTES, &registration_id, call->error) ||
        optional_lease(call, &lease) || scenario_set(scenarios, registration_id, json_member(call->params, "knobs"), lease, call->error))
        return -1;
    lanes_scenarios_changed(call->control->options.lanes);
    struct knobs knobs = scenario_knobs(scenarios, registration_id);
    call->result = cJSON_CreateObject();
    if (json_set(call->result, "knobs", knobs_to_json(&knobs, KNOB_TARGET_DEVICE)))
        return error_set_memory(call->error);
    cJSON *event = event_of(call->control, EVENT_SCENARIO_SET);
    json_set(event_data(event), "knobs", knobs_to_json(&knobs, KNOB_TARGET_DEVICE));
    if (event)
        event_set_origin(event, NULL, 0, registration_id);
    emit(call->control, event);
    return 0;
}

static int scenario_clear_method(struct call *call)
{
    const char *registration_id;
    if (control_params_text(call->params, "registration_id", REGISTRATION_ID_MAX_BYTES, &registration_id, call->error))
        return -1;
    if (scenario_clear(call->control->options.scenarios, registration_id, call->error))
        return -1;
    lanes_scenarios_changed(call->control->options.lanes);
    return 0;
}

static int scenario_list_method(struct call *call)
{
    call->result = cJSON_CreateObject();
    return json_set(call->result, "scenarios", scenario_list(call->control->options.scenarios)) ? error_set_memory(call->error) : 0;
}

/* --- knobs of lanes --- */

static int lane_set_method(struct call *call)
{
    static const cJSON none = {.type = cJSON_Object};
    const char *name;
    const cJSON *knobs = json_member(call->params, "knobs");
    CLEANUP(bytes_done) struct bytes root = {.max_bytes = CERTIFICATE_TEXT_MAX_BYTES};
    if (control_params_text(call->params, "lane", LANE_NAME_BYTES, &name, call->error) ||
        lanes_set_knobs(call->control->options.lanes, name, knobs ? knobs : &none, &root, call->error))
        return -1;
    call->result = cJSON_CreateObject();
    if (json_set_string(call->result, "root_ca", root.length_bytes ? bytes_text(&root) : NULL))
        return error_set_memory(call->error);
    cJSON *event = event_of(call->control, EVENT_SCENARIO_SET);
    json_set(event_data(event), "knobs", knobs ? cJSON_Duplicate(knobs, true) : cJSON_CreateObject());
    if (event)
        event_set_origin(event, name, 0, NULL);
    emit(call->control, event);
    return json_set(call->result, "knobs", knobs ? cJSON_Duplicate(knobs, true) : cJSON_CreateObject()) ? error_set_memory(call->error) : 0;
}

static int lane_list_method(struct call *call)
{
    call->result = cJSON_CreateObject();
    return json_set(call->result, "lanes", lanes_list(call->control->options.lanes)) ? error_set_memory(call->error) : 0;
}

/* --- objects --- */

/* The file that holds the object; for one that is not there, the file that it would get. */
static int set_place(struct call *call, const char *id)
{
    const struct dps_object *object = dps_state_find(call->state, call->kind, id);
    if (object) {
        snprintf(call->place, sizeof call->place, "%s", object->place);
        return 0;
    }
    CLEANUP_FREE char *file = dps_state_file_name(id);
    if (file)
        snprintf(call->place, sizeof call->place, "%s/%s", dps_kind_folder(call->kind), file);
    return 0;
}

static int read_id(struct call *call, const char **ret_id)
{
    if (control_params_text(call->params, dps_kind_id_member(call->kind), DPS_ID_MAX_BYTES, ret_id, call->error))
        return -1;
    return set_place(call, *ret_id);
}

static int answer_object(struct call *call, const struct dps_object *object, const char *action)
{
    call->result = cJSON_Duplicate(object->json, true);
    if (!call->result)
        return error_set_memory(call->error);
    if (action)
        emit_state_changed(call, object->id, action, object->etag);
    return 0;
}

static int object_put(struct call *call)
{
    const cJSON *json = json_member(call->params, dps_kind_name(call->kind));
    const char *etag, *lease;
    const struct dps_object *object;
    if (!cJSON_IsObject(json))
        return error_set(call->error, ERROR_OWNER_FILE, ERROR_USAGE, "parameter '%s' is missing, or is not an object",
                         dps_kind_name(call->kind));
    set_place(call, json_string(json, dps_kind_id_member(call->kind), ""));
    if (optional_text(call, "etag", &etag) || optional_lease(call, &lease) ||
        dps_state_put(call->state, call->kind, json, etag, lease, &object, call->error))
        return -1;
    log_notices(call->state);
    return answer_object(call, object, "put");
}

static int object_get(struct call *call)
{
    const char *id;
    const struct dps_object *object;
    if (read_id(call, &id) || dps_state_get(call->state, call->kind, id, &object, call->error))
        return -1;
    return answer_object(call, object, NULL);
}

static int object_delete(struct call *call)
{
    const char *id, *etag;
    if (read_id(call, &id) || optional_text(call, "etag", &etag) ||
        dps_state_delete(call->state, call->kind, id, etag, &call->result, call->error))
        return -1;
    emit_state_changed(call, id, "delete", NULL);
    return 0;
}

static int object_list(struct call *call)
{
    call->result = cJSON_CreateObject();
    return json_set(call->result, "value", dps_state_list(call->state, call->kind)) ? error_set_memory(call->error) : 0;
}

static int certificate_verification_code(struct call *call)
{
    const char *id, *etag;
    const struct dps_object *object;
    if (read_id(call, &id) || optional_text(call, "etag", &etag) ||
        dps_state_verification_code(call->state, id, etag, &object, call->error))
        return -1;
    return answer_object(call, object, "verification-code");
}

static int certificate_verify(struct call *call)
{
    const char *id, *etag, *pem;
    const struct dps_object *object;
    if (read_id(call, &id) || optional_text(call, "etag", &etag) ||
        control_params_text(call->params, "certificate", CERTIFICATE_TEXT_MAX_BYTES, &pem, call->error) ||
        dps_state_verify(call->state, id, etag, pem, strlen(pem), &object, call->error))
        return -1;
    return answer_object(call, object, "verify");
}

/* --- registrations --- */

/* Those of the service, or of the application that the parameters name. */
static int choose_registrations(const struct call *call, struct registration_store **ret_store)
{
    const char *application = json_string(call->params, "application", NULL);
    *ret_store =
        application ? central_service_registrations(call->control->options.central, application) : call->control->options.registrations;
    return *ret_store ? 0 : error_set(call->error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "application '%.64s' is not served", application);
}

static int require_registration(struct call *call, struct registration_store **ret_store, const struct registration **ret_registration)
{
    const char *id;
    if (control_params_text(call->params, "registrationId", REGISTRATION_ID_MAX_BYTES, &id, call->error) ||
        choose_registrations(call, ret_store))
        return -1;
    *ret_registration = registration_find(*ret_store, id);
    return *ret_registration ? 0 : error_set(call->error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "there is no registration '%s'", id);
}

static int registration_get_method(struct call *call)
{
    struct registration_store *store;
    const struct registration *registration;
    if (require_registration(call, &store, &registration))
        return -1;
    call->result = reply_registration_state(registration);
    return call->result ? 0 : error_set_memory(call->error);
}

static int registration_delete_method(struct call *call)
{
    struct registration_store *store;
    const struct registration *registration;
    const char *etag;
    if (optional_text(call, "etag", &etag) || require_registration(call, &store, &registration))
        return -1;
    if (etag && strcmp(etag, "*") != 0 && strcmp(etag, registration->etag) != 0)
        return error_set(call->error, ERROR_OWNER_FILE, ERROR_CONFLICT,
                         "registration '%s': etag '%s' is stale (Azure: 412 Precondition Failed); the present one is '%s'",
                         registration->registration_id, etag, registration->etag);
    call->result = reply_registration_state(registration);
    if (registration_delete(store, registration->registration_id, call->error))
        return -1;
    const struct control_options *options = &call->control->options;
    return options->commit ? options->commit(options->user, call->error) : 0;
}

static void add_registration(void *user, const struct registration *registration)
{
    cJSON_AddItemToArray(user, reply_registration_state(registration));
}

static int registration_list_method(struct call *call)
{
    struct registration_store *store;
    const struct dps_object *group;
    const char *id;
    if (control_params_text(call->params, "enrollmentGroupId", DPS_ID_MAX_BYTES, &id, call->error) || choose_registrations(call, &store) ||
        dps_state_get(call->state, DPS_GROUP, id, &group, call->error))
        return -1;
    call->result = cJSON_CreateObject();
    cJSON *value = call->result ? cJSON_AddArrayToObject(call->result, "value") : NULL;
    if (!value)
        return error_set_memory(call->error);
    registration_each(store, group->id, add_registration, value);
    return 0;
}

/* --- hubs --- */

static int check_hub(const struct call *call, bool has_device)
{
    const char *device_id;
    if (!call->control->options.hub)
        return error_set(call->error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "there are no hubs here");
    return has_device ? control_params_text(call->params, "deviceId", NAME_MAX_BYTES, &device_id, call->error) : 0;
}

typedef int hub_function(struct hub *hub, const cJSON *params, cJSON **ret_result, struct error *error);

static int hub_call(struct call *call, hub_function *function)
{
    if (check_hub(call, function != hub_list))
        return -1;
    return function(call->control->options.hub, call->params, &call->result, call->error);
}

#define HUB_METHOD(name)                                                                                                                   \
    static int name##_method(struct call *call)                                                                                            \
    {                                                                                                                                      \
        return hub_call(call, name);                                                                                                       \
    }
HUB_METHOD(hub_list)
HUB_METHOD(hub_show)
HUB_METHOD(hub_create)
HUB_METHOD(hub_update)
HUB_METHOD(hub_delete)
HUB_METHOD(hub_desired)
HUB_METHOD(hub_purge)

/* A reply that waits for a device. The hub ends all of them before the control plane goes (hub_stop). */
struct deferred {
    struct control *control;
    char id[REQUEST_ID_MAX_BYTES + 1];
    char reply_topic[REPLY_TOPIC_MAX_BYTES];
};

static void reply_deferred(void *user, cJSON *result)
{
    struct deferred *deferred = user;
    CLEANUP_JSON cJSON *reply = control_reply_ok(deferred->id, result);
    if (reply)
        publisher_reply(deferred->control->options.publisher, deferred->reply_topic, reply);
    free(deferred);
}

static int defer(struct call *call, int (*start)(struct hub *, const cJSON *, const struct hub_waiter *, struct error *))
{
    if (check_hub(call, true))
        return -1;
    struct deferred *deferred = calloc(1, sizeof *deferred);
    if (!deferred)
        return error_set_memory(call->error);
    const struct hub_waiter waiter = {reply_deferred, deferred};
    deferred->control = call->control;
    snprintf(deferred->id, sizeof deferred->id, "%s", call->id);
    snprintf(deferred->reply_topic, sizeof deferred->reply_topic, "%s", call->reply_topic);
    if (start(call->control->options.hub, call->params, &waiter, call->error)) {
        free(deferred);
        return -1;
    }
    call->is_deferred = true;
    return 0;
}

static int hub_send_method(struct call *call)
{
    return defer(call, hub_send);
}

static int hub_invoke_method(struct call *call)
{
    return defer(call, hub_invoke);
}

/* --- IoT Central --- */

static int central_method(struct call *call)
{
    struct central_service *central = call->control->options.central;
    if (!central)
        return error_set(call->error, ERROR_OWNER_RIG, ERROR_NOT_FOUND, "this simulator has no IoT Central");
    return central_service_call(central, call->method, call->params, &call->result, call->error);
}

/* Objects are those of the service, or of an application of IoT Central. */
static int choose_state(struct call *call)
{
    const char *application;
    call->state = call->control->options.state;
    if (strncmp(call->method, "central", strlen("central")) == 0)
        return 0;
    if (optional_text(call, "application", &application))
        return -1;
    if (!application)
        return 0;
    if (!call->control->options.central)
        return error_set(call->error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "this simulator has no IoT Central");
    return central_service_state(call->control->options.central, application, &call->state, call->error);
}

/* --- the table --- */

#define OBJECT_METHODS(name, kind, id)                                                                                                     \
    {name ".put", kind, name " etag lease application", object_put}, {name ".get", kind, id " application", object_get},                   \
        {name ".delete", kind, id " etag application", object_delete},                                                                     \
    {                                                                                                                                      \
        name ".list", kind, "application", object_list                                                                                     \
    }

static const struct method {
    const char *name;
    enum dps_kind kind; /* of the object methods */
    const char *params; /* allowed ones */
    int (*run)(struct call *call);
} methods[] = {
    {"simulator.info", 0, "", simulator_info},
    {"sync", 0, "", sync_events},
    {"lane.lease", 0, "kind host ttl_s server_recipe", lane_lease},
    {"lane.configure", 0, "lease server_recipe", lane_configure},
    {"lease.renew", 0, "lease ttl_s", lease_renew_method},
    {"lane.release", 0, "lease", lane_release},
    {"lane.set", 0, "lane knobs", lane_set_method},
    {"lane.list", 0, "", lane_list_method},
    {"scenario.set", 0, "registration_id knobs lease", scenario_set_method},
    {"scenario.clear", 0, "registration_id", scenario_clear_method},
    {"scenario.list", 0, "", scenario_list_method},
    {"knob.list", 0, "", knob_list_method},
    OBJECT_METHODS("enrollment", DPS_ENROLLMENT, "registrationId"),
    OBJECT_METHODS("enrollmentGroup", DPS_GROUP, "enrollmentGroupId"),
    OBJECT_METHODS("certificate", DPS_CERTIFICATE, "name"),
    {"certificate.verificationCode", DPS_CERTIFICATE, "name etag application", certificate_verification_code},
    {"certificate.verify", DPS_CERTIFICATE, "name etag certificate application", certificate_verify},
    {"central.list", 0, "", central_method},
    {"central.put", 0, "application", central_method},
    {"centralDevice.put", 0, "application device", central_method},
    {"centralDevice.get", 0, "application deviceId", central_method},
    {"centralDevice.list", 0, "application", central_method},
    {"centralDevice.delete", 0, "application deviceId", central_method},
    {"centralDevice.change", 0, "application deviceId action hub", central_method},
    {"registration.get", 0, "registrationId application", registration_get_method},
    {"registration.delete", 0, "registrationId etag application", registration_delete_method},
    {"registration.list", 0, "enrollmentGroupId application", registration_list_method},
    {"hub.list", 0, "hub", hub_list_method},
    {"hub.show", 0, "deviceId hub", hub_show_method},
    {"hub.create", 0, "deviceId hub status authentication", hub_create_method},
    {"hub.update", 0, "deviceId hub status authentication tags", hub_update_method},
    {"hub.delete", 0, "deviceId hub", hub_delete_method},
    {"hub.desired", 0, "deviceId hub desired", hub_desired_method},
    {"hub.purge", 0, "deviceId hub", hub_purge_method},
    {"hub.send", 0,
     "deviceId hub body bodyBase64 messageId correlationId userId contentType contentEncoding properties ttlInSeconds waitInSeconds",
     hub_send_method},
    {"hub.invoke", 0, "deviceId hub methodName payload responseTimeoutInSeconds connectTimeoutInSeconds", hub_invoke_method},
};

const char *const *control_method_names(void)
{
    static const char *names[ARRAY_COUNT(methods) + 1];
    for (size_t i = 0; i < ARRAY_COUNT(methods); i++)
        names[i] = methods[i].name;
    return names;
}

static int find_method(const char *name, const struct method **ret_method, struct error *error)
{
    for (size_t i = 0; i < ARRAY_COUNT(methods); i++)
        if (strcmp(methods[i].name, name) == 0)
            return (int)(*ret_method = &methods[i], 0);
    const char *nearest = text_nearest(name, control_method_names());
    return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "there is no method '%.64s'%s%s%s", name, nearest ? "; did you mean '" : "",
                     nearest ? nearest : "", nearest ? "'" : "");
}

static int run(struct call *call, const char *name)
{
    const struct method *method;
    if (find_method(name, &method, call->error) || control_params_check(call->params, method->params, call->error))
        return -1;
    call->kind = method->kind;
    call->method = method->name;
    return choose_state(call) ? -1 : method->run(call);
}

/* NULL: the reply is somebody else's to send. */
static cJSON *answer(struct control *control, const char *topic, const void *payload, size_t length_bytes)
{
    struct error error = ERROR_INIT;
    CLEANUP(control_request_done) struct control_request request = {.json = NULL};
    if (control_request_read(payload, length_bytes, &request, &error))
        return control_reply_error(NULL, &error, NULL);
    struct call call = {.control = control, .params = request.params, .error = &error, .id = request.id, .reply_topic = topic};
    if (run(&call, request.method) == 0)
        return call.is_deferred ? NULL : control_reply_ok(request.id, call.result);
    cJSON_Delete(call.result);
    return control_reply_error(request.id, &error, call.place[0] ? call.place : NULL);
}

void control_message(struct control *control, const char *topic, const void *payload, size_t length_bytes)
{
    char name[CLIENT_NAME_MAX_BYTES + 1], reply_topic_text[REPLY_TOPIC_MAX_BYTES];
    if (control_topic_read(topic, name, NULL))
        return;
    snprintf(reply_topic_text, sizeof reply_topic_text, "dpsbench/v1/control/%s/reply", name);
    CLEANUP_JSON cJSON *reply = answer(control, reply_topic_text, payload, length_bytes);
    if (reply)
        publisher_reply(control->options.publisher, reply_topic_text, reply);
}

DEFINE_CLEANUP(struct control *, control_free)

struct control *control_new(const struct control_options *options)
{
    CLEANUP(control_free_cleanup) struct control *control = calloc(1, sizeof *control);
    if (!control)
        return NULL;
    control->options = *options;
    control->leases = lease_table_new(options->clock);
    control->timer = calloc(1, sizeof *control->timer);
    if (!control->leases || !control->timer || uv_timer_init(options->loop, control->timer))
        return NULL;
    control->timer->data = control;
    return TAKE(control);
}

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

void control_free(struct control *control)
{
    if (!control)
        return;
    lease_table_free(control->leases);
    if (control->timer)
        uv_close((uv_handle_t *)control->timer, free_handle);
    free(control);
}
