#include "broker_sim/front_door/front_door.h"

#include "base/cleanup.h"
#include "broker_sim/front_door/connection.h"
#include "broker_sim/front_door/lane.h"
#include "broker_sim/front_door/net_filter.h"
#include "broker_sim/front_door/session_fault.h"
#include "broker_sim/front_door/tls_library.h"
#include "certs/certificate_memory.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

enum { SESSIONS_MAX_DEFAULT = 4096, FIRST_NUMBER_BITS = 40 };

DEFINE_CLEANUP(struct front_door *, front_door_free)

/*
 * Topics of sessions outlive a front door in a broker, in retained messages and in late replies: starting anywhere below 2^40 makes it
 * unlikely that a number comes again, and leaves 2^53 (what a JSON number holds exactly) far away.
 */
static uint64_t first_number(void)
{
    uint64_t number = 0;
    RAND_bytes((unsigned char *)&number, sizeof number);
    return (number & ((UINT64_C(1) << FIRST_NUMBER_BITS) - 1)) + 1;
}

static int make_retry_timer(struct front_door *door, struct error *error)
{
    door->retry_timer = calloc(1, sizeof *door->retry_timer);
    if (!door->retry_timer)
        return error_set_memory(error);
    uv_timer_init(door->options.loop, door->retry_timer);
    door->retry_timer->data = door;
    return 0;
}

int front_door_new(const struct front_door_options *options, struct front_door **ret_front_door, struct error *error)
{
    CLEANUP(front_door_free_cleanup) struct front_door *door = calloc(1, sizeof *door);
    if (!door)
        return error_set_memory(error);
    door->options = *options;
    if (door->options.sessions_max == 0)
        door->options.sessions_max = SESSIONS_MAX_DEFAULT;
    if (door->options.time_scale < 1)
        door->options.time_scale = 1;
    door->next_number = first_number();
    door->upstream_path = strdup(options->upstream_path);
    door->wire_method = wire_method_new();
    door->net_method = net_filter_method_new();
    door->library = tls_library_new();
    door->certificates = certificate_memory_new();
    if (!door->upstream_path || !door->wire_method || !door->net_method || !door->certificates || make_retry_timer(door, error))
        return error_set_memory(error);
    *ret_front_door = TAKE(door);
    return 0;
}

void front_door_free(struct front_door *door)
{
    if (!door)
        return;
    door->is_ending = true;
    while (door->lanes)
        lane_close(door, door->lanes);
    while (door->connections)
        connection_abandon(door->connections, "shutdown");
    if (door->retry_timer)
        uv_close((uv_handle_t *)door->retry_timer, (uv_close_cb)free);
    BIO_meth_free(door->wire_method);
    BIO_meth_free(door->net_method);
    certificate_memory_free(door->certificates);
    tls_library_free(door->library);
    free(door->upstream_path);
    free(door);
}

int front_door_lane_open(struct front_door *door, const struct lane_options *options, uint16_t *ret_port, struct error *error)
{
    return lane_open(door, options, ret_port, error);
}

static int find_lane(struct front_door *door, const char *name, struct lane **ret_lane, struct error *error)
{
    struct lane *lane = lane_find(door, name);
    if (!lane)
        return error_set(error, ERROR_OWNER_RIG, ERROR_NOT_FOUND, "no lane '%s'", name);
    *ret_lane = lane;
    return 0;
}

int front_door_lane_set_identity(struct front_door *door, const char *name, const struct lane_identity *identity, struct error *error)
{
    struct lane *lane = NULL;
    if (find_lane(door, name, &lane, error))
        return -1;
    return lane_set_identity(lane, identity, error);
}

int front_door_lane_set_knobs(struct front_door *door, const char *name, const struct knobs *knobs, struct error *error)
{
    struct lane *lane = NULL;
    if (find_lane(door, name, &lane, error))
        return -1;
    return lane_set_knobs(lane, knobs, error);
}

const struct knobs *front_door_lane_knobs(struct front_door *door, const char *name)
{
    const struct lane *lane = lane_find(door, name);
    return lane ? lane_knobs(lane) : NULL;
}

/* For each connection, while it may end any of them. A retired one stays in memory until the loop runs, but no longer in the list. */
static void for_each(struct front_door *door, void (*act)(struct connection *connection, void *user), void *user)
{
    struct connection *next;
    for (struct connection *connection = door->connections; connection; connection = next) {
        next = connection->next;
        act(connection, user);
        connection_update(connection);
    }
}

static void leave_lane(struct connection *connection, void *user)
{
    if (!lane_is_within(connection->lane, user))
        return;
    connection->lane = NULL;
    connection_finish(connection, "service", "shutdown");
}

int front_door_lane_close(struct front_door *door, const char *name, struct error *error)
{
    struct lane *lane = NULL;
    if (find_lane(door, name, &lane, error))
        return -1;
    for_each(door, leave_lane, lane);
    lane_close(door, lane);
    return 0;
}

static void reload_faults(struct connection *connection, void *user)
{
    (void)user;
    if (connection->session.client_id && connection->phase <= PHASE_SESSION)
        faults_load(connection);
}

void front_door_reload_faults(struct front_door *door)
{
    for_each(door, reload_faults, NULL);
}

static void gate_opened(struct connection *connection, void *user)
{
    (void)user;
    admission_gate_opened(connection);
}

static void gate_shut(struct connection *connection, void *user)
{
    (void)user;
    if (connection->phase == PHASE_ADMITTED)
        admission_refuse(connection, 3, "broker", "broker_down");
    else if (connection->phase == PHASE_SESSION)
        connection_finish(connection, "broker", "broker_down");
    upstream_close(connection);
    connection_try_retire(connection);
}

void front_door_set_gate(struct front_door *door, bool is_open)
{
    if (door->is_gate_open == is_open)
        return;
    door->is_gate_open = is_open;
    for_each(door, is_open ? gate_opened : gate_shut, NULL);
}

static struct connection *find(struct front_door *door, uint64_t number)
{
    struct connection *connection = door->table[number % SESSION_BUCKETS];
    while (connection && connection->session.number != number)
        connection = connection->next_in_bucket;
    return connection;
}

struct session *front_door_session(struct front_door *door, uint64_t number)
{
    struct connection *connection = find(door, number);
    return connection ? &connection->session : NULL;
}

size_t front_door_session_count(const struct front_door *door)
{
    return door->device_count;
}

struct front_door_counts front_door_counts(const struct front_door *door)
{
    return door->counts;
}

void front_door_close_after_reply(struct front_door *door, uint64_t number, int64_t after_ms, int64_t patience_ms, const char *how)
{
    struct connection *connection = find(door, number);
    if (!connection || !connection_is_open(connection) || connection->refusal != REFUSAL_NONE)
        return;
    connection->refusal = REFUSAL_REPLY;
    connection->refusal_how = how;
    connection->refusal_after_ms = clock_scaled_ms(after_ms, door->options.time_scale);
    connection->refusal_patience_ms = clock_scaled_ms(patience_ms, door->options.time_scale);
    connection->refusal_deadline = connection_deadline_ms(connection, clock_scaled_ms(REFUSAL_MS, door->options.time_scale));
    connection_update(connection);
}

void front_door_close_later(struct front_door *door, uint64_t number, int64_t after_ms, const char *how)
{
    struct connection *connection = find(door, number);
    if (!connection || !connection_is_open(connection) || connection->refusal != REFUSAL_NONE)
        return;
    connection->refusal = REFUSAL_LATER;
    connection->refusal_how = how;
    connection->refusal_deadline = connection_deadline_ms(connection, clock_scaled_ms(after_ms, door->options.time_scale));
    connection_update(connection);
}

void front_door_close_session(struct front_door *door, uint64_t number, const char *how)
{
    struct connection *connection = find(door, number);
    if (!connection)
        return;
    connection_finish(connection, "service", how);
    connection_update(connection);
}
