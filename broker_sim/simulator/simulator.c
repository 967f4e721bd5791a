#include "broker_sim/simulator/simulator.h"

#include "base/cleanup.h"
#include "base/files.h"
#include "base/log.h"
#include "base/ready.h"
#include "broker_sim/broker/broker.h"
#include "broker_sim/central/central_service.h"
#include "broker_sim/control/control.h"
#include "broker_sim/dps/dps.h"
#include "broker_sim/fidelity/fidelity.h"
#include "broker_sim/http/http_server.h"
#include "broker_sim/hub/hub.h"
#include "broker_sim/replay/replay.h"
#include "broker_sim/scenario/fault.h"
#include "broker_sim/service_api/service_api.h"
#include "broker_sim/simulator/descriptors.h"
#include "broker_sim/store/store.h"
#include "broker_sim/webhook/webhook.h"

#include <mosquitto.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <string.h>

#define LANE_REPLAY "replay"

enum {
    CONNECT_DEADLINE_MS = 10000,
    SESSIONS_MAX = 4096,
    START_LIMIT_MS = 30000, /* for Mosquitto to answer; it takes some ten milliseconds */
    END_FLUSH_MS = 1000,    /* how long the end waits for the last events */
    END_LOOK_MS = 5,
    PEM_MAX_BYTES = 64 * 1024,
    ADDRESS_TEXT_BYTES = 80,
    PROGRAM_HOSTS_MAX = HOSTS_MAX + 4, /* those given, the default, the listening addresses, localhost */
};

enum simulator_signal { SIGNAL_TERM, SIGNAL_INT, SIGNAL_HUP, SIGNAL_COUNT };

struct simulator {
    size_t sessions_max;
    const struct options *options;
    const struct clock *clock;
    uv_loop_t loop;
    bool has_loop;
    uv_signal_t signals[SIGNAL_COUNT];
    uv_timer_t timer; /* of the start, then of the end */
    uv_prepare_t turn_end;

    char *dir; /* absolute */
    int lock_fd;
    const char *hosts[PROGRAM_HOSTS_MAX];
    size_t host_count;
    uint16_t port;
    struct kept_pki server_pki;
    struct kept_pki control_pki;
    struct bytes root_pem;

    struct fidelity *fidelity;
    struct dps_state *state;
    struct store *store;
    bool has_store_failed; /* at the last flush */
    struct scenario_table *scenarios;
    struct registration_store *registrations;
    struct linked_hubs linked_hubs;
    struct webhooks *webhooks;
    struct issuing_ca *issuer; /* NULL without --csr-preview */
    struct hub_registry *devices;

    struct broker *broker;
    struct bus *service_bus; /* requests and replies of devices */
    struct bus *control_bus; /* events, control plane */
    struct publisher *publisher;
    struct front_door *front_door;
    struct dps *dps;
    struct central_service *central;
    struct hub *hub;
    struct replay *replay; /* NULL; or the conversation that every device has, in the place of DPS and hub */
    struct lanes *lanes;
    struct control *control;
    struct policies *policies;
    struct service_api *service_api;
    struct http_server *http_server;
    uint16_t service_port;

    const char *bus_filters[8];
    size_t bus_filter_count;
    bool is_broker_up;
    bool is_gate_open;
    bool is_ready_published;
    bool is_ending;
    deadline_t end_deadline;
    struct error *error; /* why it ended by itself; code NONE: a signal asked */
};

/* --- events --- */

/* People read the log, programs the events: refusals stand in both. */
static void log_event(const cJSON *event)
{
    const cJSON *data = event_data(event);
    enum event_kind kind = event_kind_from_name(json_string(event, "kind", ""));
    const char *verdict = json_string(data, "verdict", ""), *rule = json_string(data, "rule", NULL), *mend = json_string(data, "mend", "");
    if (kind == EVENT_DPS_ASSIGNED)
        log_info("%s: assigned to %s", json_string(event, "registration_id", "?"), json_string(data, "assigned_hub", "?"));
    else if ((kind == EVENT_ATTESTATION_VERDICT || kind == EVENT_HUB_VERDICT || kind == EVENT_CENTRAL_DEVICE) &&
             strcmp(verdict, "accepted") != 0)
        log_info("%s: %s (%s): %s%s%s", json_string(event, "registration_id", "?"), verdict, rule ? rule : "?",
                 json_string(data, "text", ""), *mend ? "; " : "", mend);
    else if (kind == EVENT_HTTP_REFUSED)
        log_info("service API: %s: %s", json_string(data, "peer", "?"), json_string(data, "reason", "?"));
    else if (kind == EVENT_HTTP_REQUEST && json_member(data, "reason"))
        log_info("service API: %s %s: %lld: %s", json_string(data, "method", "?"), json_string(data, "path", "?"),
                 (long long)json_integer(data, "status", 0), json_string(data, "reason", ""));
    else
        log_debug("%s %s", json_string(event, "kind", "?"), json_string(event, "registration_id", ""));
}

static void emit(void *user, cJSON *event)
{
    struct simulator *simulator = user;
    if (event) {
        fidelity_mark(simulator->fidelity, event_data(event));
        log_event(event);
    }
    struct event_sink sink = publisher_sink(simulator->publisher);
    sink.emit(sink.user, event);
}

static struct event_sink sink_of(struct simulator *simulator)
{
    return (struct event_sink){.emit = emit, .user = simulator, .clock = simulator->clock};
}

static cJSON *event_of(const struct simulator *simulator, enum event_kind kind)
{
    return event_new(kind, simulator->clock, EVENT_SOURCE);
}

static void emit_reason(struct simulator *simulator, enum event_kind kind, const char *reason)
{
    cJSON *event = event_of(simulator, kind);
    json_set_string(event_data(event), "reason", reason);
    emit(simulator, event);
}

/* --- what is kept --- */

/* Each trouble is told once, when it begins and when it ends. */
static int commit(void *user, struct error *error)
{
    struct simulator *simulator = user;
    struct error why = ERROR_INIT;
    bool has_failed = store_flush(simulator->store, &why) != 0;
    has_failed |= simulator->central && central_service_flush(simulator->central, &why) != 0;
    if (has_failed && !simulator->has_store_failed) {
        log_error("%s; devices are answered 500 until it can be written", why.text);
        emit_reason(simulator, EVENT_STORE_FAILED, why.text);
    } else if (!has_failed && simulator->has_store_failed) {
        log_info("what devices did is written again, with all that had waited");
        emit(simulator, event_of(simulator, EVENT_STORE_MENDED));
    }
    simulator->has_store_failed = has_failed;
    return has_failed ? error_set(error, why.owner, why.code, "%s", why.text) : 0;
}

/* --- what the services need --- */

static int port_publish_bytes(void *user, uint64_t session, const char *topic, const void *data, size_t length_bytes)
{
    struct simulator *simulator = user;
    CLEANUP_FREE char *prefixed = NULL;
    if (asprintf(&prefixed, "s/%llu/%s", (unsigned long long)session, topic) < 0)
        prefixed = NULL;
    return prefixed ? bus_publish(simulator->service_bus, prefixed, data, length_bytes) : -1;
}

static void port_publish(void *user, uint64_t session, const char *topic, const char *body)
{
    if (port_publish_bytes(user, session, topic, body, strlen(body)))
        log_warning("a reply to session %llu is lost: the way to Mosquitto is full or gone", (unsigned long long)session);
}

static void port_close_after_reply(void *user, uint64_t session, int64_t after_ms, int64_t patience_ms, const char *how)
{
    struct simulator *simulator = user;
    front_door_close_after_reply(simulator->front_door, session, after_ms, patience_ms, how);
}

static void port_close_later(void *user, uint64_t session, int64_t after_ms, const char *how)
{
    struct simulator *simulator = user;
    front_door_close_later(simulator->front_door, session, after_ms, how);
}

static void port_close(void *user, uint64_t session, const char *how)
{
    struct simulator *simulator = user;
    front_door_close_session(simulator->front_door, session, how);
}

static struct service_port port_of(struct simulator *simulator)
{
    return (struct service_port){.user = simulator,
                                 .commit = commit,
                                 .publish = port_publish,
                                 .publish_bytes = port_publish_bytes,
                                 .close_after_reply = port_close_after_reply,
                                 .close_later = port_close_later,
                                 .close = port_close};
}

/* --- the front door's policy: DPS or hub, by the user name --- */

static bool is_hub(const struct session *session)
{
    return session->endpoint == SESSION_ENDPOINT_HUB;
}

static int verify(void *user, struct session *session, const STACK_OF(X509) * chain)
{
    struct simulator *simulator = user;
    return dps_verify(simulator->dps, session, chain);
}

static bool needs_certificate(void *user)
{
    struct simulator *simulator = user;
    return dps_needs_certificate(simulator->dps);
}

static struct admission decide(void *user, struct session *session)
{
    struct simulator *simulator = user;
    return is_hub(session) ? hub_decide(simulator->hub, session) : dps_decide(simulator->dps, session);
}

static const struct knobs *knobs_of(void *user, const struct session *session, const char *registration_id)
{
    const struct simulator *simulator = user;
    (void)session;
    return scenario_find(simulator->scenarios, registration_id);
}

static bool fault(void *user, const struct session *session, const char *registration_id, int knob)
{
    struct simulator *simulator = user;
    struct event_sink sink = sink_of(simulator);
    return fault_happens(simulator->scenarios, &sink, session, registration_id, knob);
}

static enum publish_permit may_publish(void *user, struct session *session, const struct publish_request *request)
{
    struct simulator *simulator = user;
    return is_hub(session) ? hub_may_publish(simulator->hub, session, request) : dps_may_publish(simulator->dps, session, request);
}

static int grant(void *user, struct session *session, const char *filter, int qos)
{
    struct simulator *simulator = user;
    return is_hub(session) ? hub_grant(simulator->hub, session, filter, qos) : dps_grant(simulator->dps, session, filter, qos);
}

static void closed(void *user, struct session *session)
{
    struct simulator *simulator = user;
    if (is_hub(session))
        hub_closed(simulator->hub, session);
    else
        dps_closed(simulator->dps, session);
}

static void subscribed(void *user, struct session *session, const char *filter, int granted_qos)
{
    struct simulator *simulator = user;
    if (is_hub(session))
        hub_subscribed(simulator->hub, session, filter, granted_qos);
    else
        dps_subscribed(simulator->dps, session, filter);
}

static void unsubscribed(void *user, struct session *session, const char *filter)
{
    struct simulator *simulator = user;
    if (is_hub(session))
        hub_unsubscribed(simulator->hub, session, filter);
}

static char *amend_topic(void *user, const struct session *session, const char *topic, bool is_will, bool is_retained)
{
    (void)user;
    return is_hub(session) ? hub_amend_topic(topic, is_will, is_retained) : NULL;
}

static void sent(void *user, struct session *session, const char *topic, uint16_t packet_id)
{
    struct simulator *simulator = user;
    if (is_hub(session))
        hub_sent(simulator->hub, session, topic, packet_id);
}

static void acknowledged(void *user, struct session *session, uint16_t packet_id)
{
    struct simulator *simulator = user;
    if (is_hub(session))
        hub_acknowledged(simulator->hub, session, packet_id);
}

/* --- messages from Mosquitto --- */

static void on_service_message(void *user, const char *topic, const void *payload, size_t length_bytes)
{
    struct simulator *simulator = user;
    if (simulator->is_ending)
        return;
    char *rest;
    uint64_t number = strtoull(topic + 2, &rest, 10);
    if (strncmp(topic, "s/", 2) != 0 || *rest != '/')
        return;
    struct session *session = front_door_session(simulator->front_door, number);
    const char *own_topic = rest + 1;
    if (simulator->replay)
        replay_message(simulator->replay, session, own_topic, payload, length_bytes);
    else if (strncmp(own_topic, "$dps/", 5) != 0)
        hub_message(simulator->hub, number, session && is_hub(session) ? session : NULL, own_topic, payload, length_bytes);
    else if (session && !is_hub(session))
        dps_message(simulator->dps, session, own_topic, payload, length_bytes);
}

static void on_control_message(void *user, const char *topic, const void *payload, size_t length_bytes)
{
    struct simulator *simulator = user;
    if (simulator->control)
        control_message(simulator->control, topic, payload, length_bytes);
}

/* --- ready --- */

static void format_address(const char *address, uint16_t port, char text[ADDRESS_TEXT_BYTES])
{
    snprintf(text, ADDRESS_TEXT_BYTES, strchr(address, ':') ? "[%s]:%u" : "%s:%u", address, port);
}

static int add_path(cJSON *ready, const char *name, char *path)
{
    CLEANUP_FREE char *owned = path;
    return owned ? json_set_string(ready, name, owned) : -1;
}

static int add_address(cJSON *ready, const char *name, const char *address, uint16_t port)
{
    char text[ADDRESS_TEXT_BYTES];
    format_address(address, port, text);
    return json_set_string(ready, name, text);
}

static int add_service_api(const struct simulator *simulator, cJSON *ready)
{
    return add_address(ready, "service", simulator->options->service_address, simulator->service_port) ||
           add_path(ready, "service_policies", path_join(simulator->dir, POLICIES_FILE));
}

static const char *default_profile(const struct simulator *simulator)
{
    return knob_list[KNOB_profile].words[simulator->options->knobs.profile];
}

/* What ready.json and simulator.info have in common. */
static int add_service(const struct simulator *simulator, cJSON *object)
{
    return json_set(object, "time_scale", cJSON_CreateNumber(simulator->options->time_scale)) ||
           json_set_string(object, "state", simulator->dir) || add_address(object, "dps", simulator->options->address, simulator->port) ||
           json_set_string(object, "host", simulator->hosts[0]) || json_set_string(object, "id_scope", simulator->options->id_scope) ||
           json_set_string(object, "profile", default_profile(simulator));
}

static int add_client(const struct simulator *simulator, cJSON *ready, const char *name)
{
    const struct kept_pki *kept = &simulator->control_pki;
    char member[32];
    snprintf(member, sizeof member, "%s_ca", name);
    if (add_path(ready, member, kept_pki_certificate_path(kept, "ca")))
        return -1;
    snprintf(member, sizeof member, "%s_cert", name);
    if (add_path(ready, member, kept_pki_certificate_path(kept, name)))
        return -1;
    snprintf(member, sizeof member, "%s_key", name);
    return add_path(ready, member, kept_pki_key_path(kept, name));
}

static int fill_ready(const struct simulator *simulator, cJSON *ready)
{
    const char *control_address = simulator->options->control_address;
    return add_service(simulator, ready) || add_path(ready, "root_ca", kept_pki_certificate_path(&simulator->server_pki, "root")) ||
           add_address(ready, "control", control_address, broker_control_port(simulator->broker)) ||
           add_client(simulator, ready, "control") ||
           add_address(ready, "observer", control_address, broker_observer_port(simulator->broker)) ||
           add_client(simulator, ready, "observer") || add_service_api(simulator, ready) ||
           json_set_string(ready, "hand", broker_hand_path(simulator->broker)) ||
           add_path(ready, "events", path_join(simulator->dir, "events.jsonl"));
}

static int add_versions(const struct simulator *simulator, cJSON *info)
{
    int major, minor, patch;
    char libmosquitto[32];
    mosquitto_lib_version(&major, &minor, &patch);
    snprintf(libmosquitto, sizeof libmosquitto, "%d.%d.%d", major, minor, patch);
    const char *mosquitto = broker_version(simulator->broker);
    return json_set_string(info, "openssl", OpenSSL_version(OPENSSL_FULL_VERSION_STRING)) ||
           json_set_string(info, "mosquitto", *mosquitto ? mosquitto : NULL) || json_set_string(info, "libmosquitto", libmosquitto) ||
           json_set_string(info, "libuv", uv_version_string());
}

static cJSON *describe(void *user)
{
    const struct simulator *simulator = user;
    CLEANUP_JSON cJSON *info = cJSON_CreateObject();
    if (json_set_string(info, "version", DPSBENCH_VERSION) || add_versions(simulator, info) || add_service(simulator, info) ||
        json_set_integer(info, "sessions", (int64_t)front_door_session_count(simulator->front_door)))
        return NULL;
    return TAKE(info);
}

static void begin_end(struct simulator *simulator, const char *reason);

static void fail_and_end(struct simulator *simulator, const struct error *error)
{
    if (simulator->error->code == ERROR_NONE)
        *simulator->error = *error;
    begin_end(simulator, error->text);
}

static void publish_ready(struct simulator *simulator)
{
    struct error error = ERROR_INIT;
    CLEANUP_JSON cJSON *ready = ready_new("dpsbench-sim");
    if (!ready || fill_ready(simulator, ready))
        error_set_memory(&error);
    else if (ready_publish(simulator->dir, ready, &error) == 0)
        simulator->is_ready_published = true;
    if (!simulator->is_ready_published) {
        fail_and_end(simulator, &error);
        return;
    }
    uv_timer_stop(&simulator->timer);
    cJSON *event = event_of(simulator, EVENT_SIMULATOR_READY), *data = event_data(event);
    json_set_string(data, "dps", json_string(ready, "dps", NULL));
    json_set_string(data, "profile", default_profile(simulator));
    json_set_string(data, "id_scope", simulator->options->id_scope);
    emit(simulator, event);
    log_info("ready: devices connect to %s as %s; state in %s", json_string(ready, "dps", "?"), simulator->hosts[0], simulator->dir);
}

/* A device that is admitted now is answered: both of our connections have their SUBACKs. */
static void look_at_gate(struct simulator *simulator)
{
    bool is_open = simulator->is_broker_up && bus_is_ready(simulator->service_bus) && bus_is_ready(simulator->control_bus);
    if (is_open == simulator->is_gate_open || simulator->is_ending)
        return;
    simulator->is_gate_open = is_open;
    front_door_set_gate(simulator->front_door, is_open);
    if (is_open && simulator->is_ready_published)
        emit(simulator, event_of(simulator, EVENT_BROKER_UP));
    else if (is_open)
        publish_ready(simulator);
}

static void on_bus_ready(void *user)
{
    look_at_gate(user);
}

static void on_bus_lost(void *user, const char *reason)
{
    log_debug("connection to Mosquitto: %s", reason);
    look_at_gate(user);
}

/* --- Mosquitto --- */

static void on_broker_up(void *user)
{
    struct simulator *simulator = user;
    simulator->is_broker_up = true;
    bus_start(simulator->service_bus, broker_service_path(simulator->broker));
    bus_start(simulator->control_bus, broker_service_path(simulator->broker));
    look_at_gate(simulator); /* they may have come back by themselves before we heard of it */
}

static void on_broker_down(void *user, const char *reason)
{
    struct simulator *simulator = user;
    log_warning("Mosquitto is down: %s; it is started again", reason);
    simulator->is_broker_up = false;
    emit_reason(simulator, EVENT_BROKER_DOWN, reason);
    look_at_gate(simulator);
}

static void on_broker_gave_up(void *user, const char *reason)
{
    struct simulator *simulator = user;
    struct error error = ERROR_INIT;
    error_set(&error, ERROR_OWNER_RIG, ERROR_IO, "Mosquitto does not stay up: %s", reason);
    fail_and_end(simulator, &error);
}

/* --- the end --- */

static void close_quietly(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

/* The last events are out, or their time is over: nothing may keep the loop alive after this. */
static void finish_end(struct simulator *simulator)
{
    hub_stop(simulator->hub);
    control_free(TAKE(simulator->control));
    http_server_stop(TAKE(simulator->http_server));
    bus_free(TAKE(simulator->service_bus));
    bus_free(TAKE(simulator->control_bus));
    broker_stop(TAKE(simulator->broker));
    for (size_t i = 0; i < SIGNAL_COUNT; i++)
        close_quietly((uv_handle_t *)&simulator->signals[i]);
    close_quietly((uv_handle_t *)&simulator->timer);
    close_quietly((uv_handle_t *)&simulator->turn_end);
}

static void on_end_timer(uv_timer_t *timer)
{
    struct simulator *simulator = timer->data;
    bool is_flushed = !bus_is_ready(simulator->control_bus) || bus_queued_count(simulator->control_bus) == 0;
    if (is_flushed || deadline_has_passed(simulator->clock, simulator->end_deadline))
        finish_end(simulator);
}

static void begin_end(struct simulator *simulator, const char *reason)
{
    if (simulator->is_ending)
        return;
    simulator->is_ending = true;
    log_info("ending: %s", reason);
    ready_withdraw(simulator->dir);
    hub_stop(simulator->hub);
    control_free(TAKE(simulator->control));
    http_server_stop(TAKE(simulator->http_server));
    front_door_free(TAKE(simulator->front_door));
    webhooks_free(TAKE(simulator->webhooks));
    replay_free(TAKE(simulator->replay));
    emit_reason(simulator, EVENT_SIMULATOR_ENDING, reason);
    simulator->end_deadline = deadline_in_ms(simulator->clock, END_FLUSH_MS);
    uv_timer_start(&simulator->timer, on_end_timer, END_LOOK_MS, END_LOOK_MS);
}

/* --- the state folder --- */

static void log_notices(const struct simulator *simulator)
{
    for (size_t i = 0; i < dps_state_notice_count(simulator->state); i++) {
        struct dps_notice notice = dps_state_notice(simulator->state, i);
        log_line(notice.is_error ? LOG_ERROR : LOG_WARNING, "%s", notice.text);
    }
}

static void reread(struct simulator *simulator)
{
    struct error error = ERROR_INIT;
    size_t changed = 0;
    if (dps_state_reload(simulator->state, &changed, &error) || central_service_reload(simulator->central, &error))
        log_error("reread: %s", error.text);
    if (linked_hubs_read(simulator->dir, &simulator->linked_hubs, &error))
        log_error("%s; the last good version stays in force", error.text);
    log_notices(simulator);
    log_info("reread %s: %zu object%s changed", simulator->dir, changed, changed == 1 ? "" : "s");
    cJSON *event = event_of(simulator, EVENT_STATE_CHANGED);
    json_set_string(event_data(event), "action", "reread");
    json_set_integer(event_data(event), "changed", (int64_t)changed);
    emit(simulator, event);
}

/* Broken files are told and left out; a folder in which nothing else is left is a mistake. */
static int load_state(struct simulator *simulator, struct error *error)
{
    if (linked_hubs_read(simulator->dir, &simulator->linked_hubs, error))
        return -1;
    if (fidelity_read(&simulator->fidelity, error) || dps_state_open(simulator->dir, simulator->clock, &simulator->state, error))
        return -1;
    log_notices(simulator);
    size_t count = 0, broken = 0;
    for (int kind = 0; kind < DPS_KIND_COUNT; kind++)
        count += dps_state_count(simulator->state, (enum dps_kind)kind);
    for (size_t i = 0; i < dps_state_notice_count(simulator->state); i++)
        broken += dps_state_notice(simulator->state, i).is_error;
    if (broken && !count)
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "state folder '%s': no file can be read: %s", simulator->dir,
                         dps_state_notice(simulator->state, 0).text);
    return 0;
}

static int lock_state(struct simulator *simulator, struct error *error)
{
    struct error why = ERROR_INIT;
    if (dir_lock(simulator->dir, &simulator->lock_fd, &why) == 0)
        return 0;
    if (why.code != ERROR_BUSY)
        return (int)(*error = why, -1);
    CLEANUP_JSON cJSON *ready = NULL;
    if (ready_read(simulator->dir, "dpsbench-sim", &ready, NULL))
        return error_set(error, ERROR_OWNER_RIG, ERROR_BUSY, "state folder '%s' is in use by another process, which is starting or ending",
                         simulator->dir);
    return error_set(error, ERROR_OWNER_RIG, ERROR_BUSY, "state folder '%s' is in use by dpsbench-sim with pid %lld: end that one first",
                     simulator->dir, (long long)json_integer(ready, "pid", 0));
}

static int open_folder(struct simulator *simulator, struct error *error)
{
    if (dir_make(simulator->options->state, 0755, error))
        return -1;
    simulator->dir = path_absolute(simulator->options->state);
    if (!simulator->dir)
        return error_set_memory(error);
    return lock_state(simulator, error);
}

/* --- the start --- */

static bool is_any_address(const char *address)
{
    return strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0;
}

static bool is_loopback_address(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}

static void gather_hosts(struct simulator *simulator)
{
    const struct options *options = simulator->options;
    for (size_t i = 0; i < options->host_count; i++)
        simulator->hosts[simulator->host_count++] = options->hosts[i];
    if (!options->host_count)
        simulator->hosts[simulator->host_count++] = DEFAULT_HOST;
    if (!is_any_address(options->address))
        simulator->hosts[simulator->host_count++] = options->address;
    if (is_loopback_address(options->service_address))
        simulator->hosts[simulator->host_count++] = "localhost";
    if (!is_any_address(options->service_address) && strcmp(options->service_address, options->address) != 0)
        simulator->hosts[simulator->host_count++] = options->service_address;
}

static int open_pki(struct simulator *simulator, struct error *error)
{
    CLEANUP_FREE char *dir = path_join(simulator->dir, "pki");
    CLEANUP_FREE char *control_dir = path_join(simulator->dir, "pki/control");
    if (!dir || !control_dir)
        return error_set_memory(error);
    if (server_pki_open(dir, simulator->options->server_key, simulator->hosts, simulator->host_count, simulator->clock,
                        &simulator->server_pki, error) ||
        control_pki_open(control_dir, simulator->hosts, simulator->host_count, simulator->clock, &simulator->control_pki, error))
        return -1;
    if (simulator->server_pki.is_new || simulator->server_pki.is_renewed)
        log_info("server PKI in %s: %s", dir, simulator->server_pki.is_new ? "made" : "the leaf was made anew");
    if (certificate_append_pem(pki_server_root(simulator->server_pki.pki), &simulator->root_pem))
        return error_set_memory(error);
    return 0;
}

static bool can_be_set_aside(const struct error *error)
{
    return error->owner == ERROR_OWNER_FILE;
}

static int set_aside(const struct simulator *simulator, const struct error *why, struct error *error)
{
    CLEANUP_FREE char *path = NULL;
    if (store_set_aside(simulator->dir, &path, error))
        return -1;
    log_warning("%s", why->text);
    log_warning("as asked for, it was moved to '%s'; registrations and hub devices begin anew", path);
    return 0;
}

static int open_store(struct simulator *simulator, struct error *error)
{
    struct error why = ERROR_INIT;
    if (store_open(simulator->dir, &simulator->store, &why) == 0)
        return 0;
    if (!simulator->options->sets_aside || !can_be_set_aside(&why))
        return (int)(*error = why, -1);
    return set_aside(simulator, &why, error) || store_open(simulator->dir, &simulator->store, error) ? -1 : 0;
}

static int make_stores(struct simulator *simulator, struct error *error)
{
    simulator->scenarios = scenario_table_new(&simulator->options->knobs);
    simulator->registrations = registration_store_new(simulator->options->id_scope, simulator->clock);
    simulator->devices = hub_registry_new();
    if (!simulator->scenarios || !simulator->registrations || !simulator->devices)
        return error_set_memory(error);
    if (open_store(simulator, error) || registration_store_load(simulator->registrations, simulator->store, error) ||
        hub_registry_load(simulator->devices, simulator->store, error))
        return -1;
    return 0;
}

static void gather_filters(struct simulator *simulator)
{
    for (size_t i = 0; i < dps_filter_count; i++)
        simulator->bus_filters[simulator->bus_filter_count++] = dps_filters[i];
    for (size_t i = 0; i < hub_filter_count; i++)
        simulator->bus_filters[simulator->bus_filter_count++] = hub_filters[i];
}

static int make_buses(struct simulator *simulator, struct error *error)
{
    static const char *const control_filters[] = {CONTROL_FILTER};
    gather_filters(simulator);
    struct bus_options service = {
        .loop = &simulator->loop,
        .client_id = "dpsbench-services",
        .filters = simulator->bus_filters,
        .filter_count = simulator->bus_filter_count,
        .qos = 1, /* as Azure's replies */
        .forgets_on_loss = true,
        .callbacks = {.user = simulator, .ready = on_bus_ready, .lost = on_bus_lost, .message = on_service_message},
    };
    struct bus_options control = {
        .loop = &simulator->loop,
        .client_id = "dpsbench-control",
        .filters = control_filters,
        .filter_count = 1,
        .callbacks = {.user = simulator, .ready = on_bus_ready, .lost = on_bus_lost, .message = on_control_message},
    };
    simulator->service_bus = bus_new(&service);
    simulator->control_bus = bus_new(&control);
    if (!simulator->service_bus || !simulator->control_bus)
        return error_set_memory(error);
    CLEANUP_FREE char *path = path_join(simulator->dir, "events.jsonl");
    return path ? publisher_new(simulator->control_bus, path, simulator->clock, &simulator->publisher, error) : error_set_memory(error);
}

static int make_services(struct simulator *simulator, struct error *error)
{
    const struct options *options = simulator->options;
    const struct webhooks_options webhooks = {
        .loop = &simulator->loop,
        .clock = simulator->clock,
        .allows_any_host = options->allows_any_webhook_host,
        .timeout_ms = options->webhook_timeout_ms,
    };
    CLEANUP_FREE char *issuing_dir = path_join(simulator->dir, "pki/issuing");
    simulator->issuer = options->issues_certificates && issuing_dir ? issuing_ca_new(issuing_dir, simulator->clock) : NULL;
    if (options->issues_certificates && !simulator->issuer)
        return error_set_memory(error);
    simulator->webhooks = webhooks_new(&webhooks);
    if (!simulator->webhooks)
        return error_set_memory(error);
    struct dps_options dps = {
        .tenants = {{.id_scope = simulator->options->id_scope,
                     .state = simulator->state,
                     .registrations = simulator->registrations,
                     .linked_hubs = &simulator->linked_hubs}},
        .tenant_count = 1,
        .scenarios = simulator->scenarios,
        .hubs = simulator->devices,
        .sink = sink_of(simulator),
        .port = port_of(simulator),
        .webhooks = webhooks_port(simulator->webhooks),
        .issuer = simulator->issuer,
        .time_scale = simulator->options->time_scale,
    };
    struct hub_options hub = {
        .loop = &simulator->loop,
        .registry = simulator->devices,
        .scenarios = simulator->scenarios,
        .time_scale = simulator->options->time_scale,
        .state = simulator->state,
        .sink = sink_of(simulator),
        .port = port_of(simulator),
    };
    simulator->dps = dps_new(&dps);
    simulator->hub = hub_new(&hub);
    if (!simulator->dps || !simulator->hub)
        return error_set_memory(error);
    const struct central_service_options central = {
        .dir = simulator->dir, .dps = simulator->dps, .hub = simulator->hub, .sink = sink_of(simulator), .port = port_of(simulator)};
    return central_service_new(&central, &simulator->central, error);
}

static int make_replay(struct simulator *simulator, struct error *error)
{
    const struct replay_options options = {
        .loop = &simulator->loop, .time_scale = simulator->options->time_scale, .sink = sink_of(simulator), .port = port_of(simulator)};
    if (!simulator->options->replay)
        return 0;
    if (replay_new(simulator->options->replay, &options, &simulator->replay, error))
        return -1;
    log_info("every device has the conversation of %s; nothing is judged", simulator->options->replay);
    return 0;
}

static int start_broker(struct simulator *simulator, struct error *error)
{
    CLEANUP_FREE char *ca = kept_pki_certificate_path(&simulator->control_pki, "ca");
    CLEANUP_FREE char *certificate = kept_pki_certificate_path(&simulator->control_pki, "server");
    CLEANUP_FREE char *key = kept_pki_key_path(&simulator->control_pki, "server");
    CLEANUP_FREE char *ready_path = path_join(simulator->dir, "ready.json");
    if (!ca || !certificate || !key || !ready_path)
        return error_set_memory(error);
    struct broker_options options = {
        .loop = &simulator->loop,
        .address = simulator->options->control_address,
        .control_port = simulator->options->control_port,
        .control_ca = ca,
        .server_cert = certificate,
        .server_key = key,
        .ready_path = ready_path,
        .callbacks = {.user = simulator, .up = on_broker_up, .down = on_broker_down, .gave_up = on_broker_gave_up},
    };
    return broker_start(&options, &simulator->broker, error);
}

static struct lane_identity main_identity(const struct simulator *simulator)
{
    const struct pki *pki = simulator->server_pki.pki;
    /* The front door takes references and changes nothing. */
    return (struct lane_identity){
        .leaf = pki_server_leaf(pki), .key = pki_server_key(pki), .intermediates = (x509_stack *)(uintptr_t)pki_server_intermediates(pki)};
}

static struct front_door_policy service_policy(struct simulator *simulator)
{
    return (struct front_door_policy){.user = simulator,
                                      .verify = verify,
                                      .needs_certificate = needs_certificate,
                                      .decide = decide,
                                      .subscribed = subscribed,
                                      .unsubscribed = unsubscribed,
                                      .may_publish = may_publish,
                                      .amend_topic = amend_topic,
                                      .sent = sent,
                                      .acknowledged = acknowledged,
                                      .grant = grant,
                                      .knobs = knobs_of,
                                      .fault = fault,
                                      .closed = closed};
}

static int tls_max_version(const struct simulator *simulator)
{
    return simulator->replay && replay_needs_tls_1_3(simulator->replay) ? TLS1_3_VERSION : simulator->options->tls_max_version;
}

/* A recording that ended in the handshake: its knobs sit on the main lane, or on one that the recorded hub's name chooses. */
static int open_replay_lane(struct simulator *simulator, struct error *error)
{
    struct error wrong = ERROR_INIT;
    struct knobs knobs;
    const char *host = NULL;
    if (!simulator->replay || !replay_handshake(simulator->replay, &knobs, &host, &wrong))
        return 0;
    if (wrong.code) {
        *error = wrong;
        return error_prefix(error, "%s", simulator->options->replay);
    }
    struct lane_options lane = {.name = LANE_REPLAY,
                                .parent = LANE_MAIN,
                                .host = host,
                                .tls_max_version = tls_max_version(simulator),
                                .identity = main_identity(simulator)};
    if (host && front_door_lane_open(simulator->front_door, &lane, NULL, error))
        return -1;
    return front_door_lane_set_knobs(simulator->front_door, host ? LANE_REPLAY : LANE_MAIN, &knobs, error);
}

static int open_front_door(struct simulator *simulator, struct error *error)
{
    struct front_door_options options = {
        .loop = &simulator->loop,
        .clock = simulator->clock,
        .time_scale = simulator->options->time_scale,
        .upstream_path = broker_device_path(simulator->broker),
        .sink = sink_of(simulator),
        .policy = simulator->replay ? replay_policy(simulator->replay) : service_policy(simulator),
        .connect_deadline_ms = CONNECT_DEADLINE_MS,
        .sessions_max = simulator->sessions_max,
    };
    struct lane_options lane = {
        .name = LANE_MAIN,
        .address = simulator->options->address,
        .port = simulator->options->port,
        .tls_max_version = tls_max_version(simulator),
        .identity = main_identity(simulator),
    };
    if (front_door_new(&options, &simulator->front_door, error))
        return -1;
    return front_door_lane_open(simulator->front_door, &lane, &simulator->port, error) ? -1 : open_replay_lane(simulator, error);
}

static int make_control(struct simulator *simulator, struct error *error)
{
    struct lanes_options lanes = {
        .front_door = simulator->front_door,
        .clock = simulator->clock,
        .address = simulator->options->address,
        .main_port = simulator->port,
        .tls_max_version = simulator->options->tls_max_version,
        .hosts = simulator->hosts,
        .host_count = simulator->host_count,
        .main_identity = main_identity(simulator),
        .main_root_ca = bytes_text(&simulator->root_pem),
        .main_recipe = simulator->server_pki.recipe,
    };
    simulator->lanes = lanes_new(&lanes);
    struct control_options control = {
        .loop = &simulator->loop,
        .clock = simulator->clock,
        .state = simulator->state,
        .scenarios = simulator->scenarios,
        .registrations = simulator->registrations,
        .hub = simulator->hub,
        .central = simulator->central,
        .lanes = simulator->lanes,
        .publisher = simulator->publisher,
        .info = describe,
        .commit = commit,
        .user = simulator,
    };
    simulator->control = simulator->lanes ? control_new(&control) : NULL;
    return simulator->control ? 0 : error_set_memory(error);
}

/* Changes of people and programs end in the same functions as those of the control plane, on the same loop. */
static int open_service_api(struct simulator *simulator, struct error *error)
{
    struct service_api_options options = {
        .state = simulator->state,
        .registrations = simulator->registrations,
        .hosts = simulator->hosts,
        .host_count = simulator->host_count,
        .sink = sink_of(simulator),
        .user = simulator,
        .commit = commit,
    };
    if (policies_open(simulator->dir, &simulator->policies, error))
        return -1;
    options.policies = simulator->policies;
    simulator->service_api = service_api_new(&options);
    if (!simulator->service_api)
        return error_set_memory(error);
    struct lane_identity identity = main_identity(simulator);
    struct http_server_options server = {
        .loop = &simulator->loop,
        .sink = sink_of(simulator),
        .address = simulator->options->service_address,
        .port = simulator->options->service_port,
        .leaf = identity.leaf,
        .key = identity.key,
        .intermediates = identity.intermediates,
        .user = simulator->service_api,
        .handle = service_api_handle,
        .refusal_body = service_api_refusal_body,
    };
    return http_server_start(&server, &simulator->http_server, &simulator->service_port, error);
}

static void on_start_limit(uv_timer_t *timer)
{
    struct error error = ERROR_INIT;
    error_set(&error, ERROR_OWNER_RIG, ERROR_TIMEOUT, "Mosquitto is started and does not answer for %d s", START_LIMIT_MS / 1000);
    fail_and_end(timer->data, &error);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct simulator *simulator = handle->data;
    if (number == SIGHUP)
        reread(simulator);
    else
        begin_end(simulator, number == SIGTERM ? "SIGTERM" : "SIGINT");
}

/* libuv comes here before it waits: all that a turn had to say is written at once. */
static void on_turn_end(uv_prepare_t *handle)
{
    struct simulator *simulator = handle->data;
    if (!simulator->publisher)
        return;
    commit(simulator, NULL);
    publisher_flush(simulator->publisher);
}

static int watch_signals(struct simulator *simulator, struct error *error)
{
    static const int numbers[SIGNAL_COUNT] = {[SIGNAL_TERM] = SIGTERM, [SIGNAL_INT] = SIGINT, [SIGNAL_HUP] = SIGHUP};
    signal(SIGPIPE, SIG_IGN);
    uv_timer_init(&simulator->loop, &simulator->timer);
    uv_prepare_init(&simulator->loop, &simulator->turn_end);
    simulator->timer.data = simulator->turn_end.data = simulator;
    uv_prepare_start(&simulator->turn_end, on_turn_end);
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        uv_signal_init(&simulator->loop, &simulator->signals[i]);
        simulator->signals[i].data = simulator;
    }
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        if (uv_signal_start(&simulator->signals[i], on_signal, numbers[i]))
            return error_set(error, ERROR_OWNER_OURS, ERROR_OTHER, "watch signal %d: libuv refused", numbers[i]);
    }
    return 0;
}

static int start(struct simulator *simulator, struct error *error)
{
    if (open_folder(simulator, error))
        return -1;
    if (uv_loop_init(&simulator->loop))
        return error_set_memory(error);
    simulator->has_loop = true;
    gather_hosts(simulator);
    if (watch_signals(simulator, error) || load_state(simulator, error) || open_pki(simulator, error) || make_stores(simulator, error) ||
        make_buses(simulator, error) || make_services(simulator, error) || make_replay(simulator, error) || start_broker(simulator, error))
        return -1;
    if (open_front_door(simulator, error) || make_control(simulator, error) || open_service_api(simulator, error))
        return -1;
    uv_timer_start(&simulator->timer, on_start_limit, START_LIMIT_MS, 0);
    return 0;
}

static void close_loop(struct simulator *simulator)
{
    if (!simulator->has_loop)
        return;
    uv_run(&simulator->loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&simulator->loop))
        log_warning("the event loop still has handles at the end");
}

/* Also after a start that failed half-way: each part knows NULL. */
static void done(struct simulator *simulator)
{
    front_door_free(TAKE(simulator->front_door));
    webhooks_free(TAKE(simulator->webhooks));
    replay_free(TAKE(simulator->replay));
    if (simulator->has_loop)
        finish_end(simulator);
    close_loop(simulator);
    service_api_free(simulator->service_api);
    policies_free(simulator->policies);
    lanes_free(simulator->lanes);
    hub_free(simulator->hub);
    dps_free(simulator->dps);
    issuing_ca_free(simulator->issuer);
    central_service_free(simulator->central);
    publisher_free(simulator->publisher);
    hub_registry_free(simulator->devices);
    registration_store_free(simulator->registrations);
    store_close(simulator->store);
    scenario_table_free(simulator->scenarios);
    fidelity_free(simulator->fidelity);
    dps_state_free(simulator->state);
    kept_pki_done(&simulator->server_pki);
    kept_pki_done(&simulator->control_pki);
    bytes_done(&simulator->root_pem);
    if (simulator->lock_fd >= 0)
        close(simulator->lock_fd);
    free(simulator->dir);
}

int simulator_run(const struct options *options, struct error *error)
{
    CLEANUP(done) struct simulator simulator = {.options = options, .clock = &clock_system, .lock_fd = -1, .error = error};
    bytes_init(&simulator.root_pem, PEM_MAX_BYTES);
    simulator.sessions_max = descriptors_for_sessions(SESSIONS_MAX);
    if (start(&simulator, error))
        return -1;
    uv_run(&simulator.loop, UV_RUN_DEFAULT);
    return error->code == ERROR_NONE ? 0 : -1;
}
