#include "broker_sim/front_door/connection.h"

#include "base/cleanup.h"
#include "broker_sim/front_door/lane.h"
#include "broker_sim/front_door/session_fault.h"

#include <stdlib.h>
#include <string.h>

static int64_t now_us(const struct connection *connection)
{
    return clock_mono_us(connection->door->options.clock);
}

deadline_t connection_deadline_ms(const struct connection *connection, int64_t ms)
{
    return deadline_in_ms(connection->door->options.clock, ms);
}

bool connection_is_open(const struct connection *connection)
{
    return connection->phase < PHASE_FINISHING;
}

static const char *stage_of(const struct connection *connection)
{
    if (connection->phase == PHASE_HANDSHAKE)
        return connection->wire.bytes_in ? "handshake" : "tcp";
    return connection->phase < PHASE_SESSION ? "connect" : "session";
}

void connection_note_end(struct connection *connection, const char *by, const char *how)
{
    if (connection->closed_by)
        return;
    connection->closed_by = by;
    connection->closed_how = how;
    connection->closed_stage = stage_of(connection);
}

void connection_finish(struct connection *connection, const char *by, const char *how)
{
    if (!connection_is_open(connection))
        return;
    connection_note_end(connection, by, how);
    if (strcmp(how, "reset") == 0) {
        device_reset(connection);
        return;
    }
    connection->phase = PHASE_FINISHING;
    connection->phase_deadline =
        connection_deadline_ms(connection, connection->net || faults_are_pending(connection) ? NET_PATIENCE_MS : LINGER_MS);
    upstream_end(connection);
    device_finish(connection);
}

void connection_violation(struct connection *connection, const char *reason)
{
    if (!connection_is_open(connection))
        return;
    connection->door->counts.violations++;
    emit_violation(connection, reason);
    connection_finish(connection, "service", "violation");
}

/* The table of sessions. */

static struct connection **bucket_of(struct front_door *door, uint64_t number)
{
    return &door->table[number % SESSION_BUCKETS];
}

static void enlist(struct connection *connection)
{
    struct front_door *door = connection->door;
    struct connection **bucket = bucket_of(door, connection->session.number);
    connection->next_in_bucket = *bucket;
    *bucket = connection;
    connection->next = door->connections;
    if (connection->next)
        connection->next->previous = connection;
    door->connections = connection;
}

static void delist(struct connection *connection)
{
    struct front_door *door = connection->door;
    struct connection **at = bucket_of(door, connection->session.number);
    while (*at != connection)
        at = &(*at)->next_in_bucket;
    *at = connection->next_in_bucket;
    if (connection->next)
        connection->next->previous = connection->previous;
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        door->connections = connection->next;
}

/* The end of its life. */

void connection_handle_opened(struct connection *connection)
{
    connection->open_handles++;
}

void connection_handle_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;
    if (--connection->open_handles == 0)
        free(connection);
}

static void free_texts(struct connection *connection)
{
    if (connection->password)
        OPENSSL_cleanse(connection->password, strlen(connection->password));
    free(connection->lane_name);
    free(connection->peer);
    free(connection->sni);
    free(connection->client_id);
    free(connection->user_name);
    free(connection->password);
    free(connection->registration_id);
    free(connection->will_topic);
    free(connection->restored_filter);
}

static void free_contents(struct connection *connection)
{
    free_texts(connection);
    sk_X509_pop_free(connection->session.chain, X509_free);
    bytes_done(&connection->out);
    bytes_done(&connection->early);
    bytes_done(&connection->upstream_out);
    mqtt_framer_done(&connection->up);
    mqtt_framer_done(&connection->down);
    pending_clear(&connection->pending);
    faults_free(TAKE(connection->faults));
}

static void retire(struct connection *connection)
{
    const struct front_door_policy *policy = &connection->door->options.policy;
    connection->is_retired = true;
    if (connection->is_decided && policy->closed)
        policy->closed(policy->user, &connection->session);
    delist(connection);
    free_contents(connection);
    uv_close((uv_handle_t *)&connection->timer, connection_handle_closed);
}

void connection_try_retire(struct connection *connection)
{
    if (connection->is_retired || connection->phase != PHASE_GONE)
        return;
    if (connection->upstream == UPSTREAM_ENDING)
        connection->phase_deadline = connection_deadline_ms(connection, DRAIN_MS);
    else if (connection->upstream == UPSTREAM_CLOSED)
        connection->phase_deadline = connection_deadline_ms(connection, SETTLE_MS);
    else
        retire(connection);
}

void connection_abandon(struct connection *connection, const char *how)
{
    connection_note_end(connection, "service", how);
    upstream_close(connection);
    if (connection->phase != PHASE_GONE) {
        connection_finish(connection, "service", how);
        device_close(connection);
    }
    if (!connection->is_retired)
        retire(connection);
}

/* Deadlines. */

static bool is_reading_paused(const struct connection *connection)
{
    return connection->upstream_out.length_bytes >= QUEUE_HIGH_BYTES;
}

static deadline_t keep_alive_deadline(const struct connection *connection)
{
    if (connection->phase != PHASE_SESSION || connection->keep_alive_ms == 0)
        return deadline_none;
    return (deadline_t){connection->last_received_us + connection->keep_alive_ms * 1000};
}

static deadline_t next_deadline(const struct connection *connection)
{
    deadline_t next = deadline_earlier(connection->phase_deadline, keep_alive_deadline(connection));
    next = deadline_earlier(next, device_net_due(connection));
    if (connection->phase != PHASE_GONE)
        next = deadline_earlier(next, faults_due(connection));
    return connection->phase == PHASE_SESSION ? deadline_earlier(next, connection->refusal_deadline) : next;
}

static void phase_timed_out(struct connection *connection)
{
    connection->phase_deadline = deadline_none;
    switch (connection->phase) {
    case PHASE_HANDSHAKE:
        connection->door->counts.deadlines_missed++;
        emit_failed(connection, "the handshake was not complete in time");
        connection_finish(connection, "service", "timeout");
        break;
    case PHASE_CONNECT:
        connection->door->counts.deadlines_missed++;
        connection_finish(connection, "service", "timeout");
        break;
    case PHASE_HELD:
        admission_refuse(connection, 3, "broker", "broker_down");
        break;
    case PHASE_ADMITTED:
        admission_refuse(connection, 3, "broker", "timeout");
        break;
    case PHASE_SESSION:
        break;
    case PHASE_FINISHING:
    case PHASE_LINGER:
        connection->door->counts.lingers_cut++;
        device_close(connection);
        break;
    case PHASE_GONE:
        upstream_close(connection);
        retire(connection);
        break;
    }
}

static void check_session_deadlines(struct connection *connection)
{
    const struct clock *clock = connection->door->options.clock;
    if (connection->phase == PHASE_SESSION && deadline_has_passed(clock, connection->refusal_deadline))
        connection_finish(connection, "service", connection->refusal_how);
    /* We did not read, so silence says nothing about the device. */
    if (is_reading_paused(connection))
        connection->last_received_us = now_us(connection);
    if (connection->phase == PHASE_SESSION && deadline_has_passed(clock, keep_alive_deadline(connection)))
        connection_finish(connection, "service", "timeout");
}

static void on_timer(uv_timer_t *timer)
{
    struct connection *connection = timer->data;
    connection->timer_due_us = INT64_MAX;
    if (connection->phase != PHASE_GONE && deadline_has_passed(connection->door->options.clock, faults_due(connection)))
        faults_run(connection);
    if (connection->net && deadline_has_passed(connection->door->options.clock, device_net_due(connection)))
        device_poll(&connection->poll, 0, UV_READABLE | UV_WRITABLE);
    else if (deadline_has_passed(connection->door->options.clock, connection->phase_deadline))
        phase_timed_out(connection);
    else
        check_session_deadlines(connection);
    connection_update(connection);
}

/* A timer that runs out early only looks and is set again: so the traffic of a session never touches it. */
static void update_timer(struct connection *connection)
{
    deadline_t next = next_deadline(connection);
    if (next.at_us == INT64_MAX || next.at_us >= connection->timer_due_us)
        return;
    connection->timer_due_us = next.at_us;
    int64_t left_ms = deadline_left_ms(connection->door->options.clock, next);
    uv_update_time(connection->door->options.loop);
    uv_timer_start(&connection->timer, on_timer, (uint64_t)left_ms, 0);
}

static void set_mask(uv_poll_t *poll, int *mask, int wanted, uv_poll_cb callback)
{
    if (*mask == wanted)
        return;
    *mask = wanted;
    if (wanted)
        uv_poll_start(poll, wanted, callback);
    else
        uv_poll_stop(poll);
}

/*
 * A poll costs three system calls to stop and to start again. A device that waits for its CONNACK, as nearly all do, does not disturb: its
 * poll goes on as it is, and is stopped for those that send more.
 */
static bool may_stay(const struct connection *connection, int wanted)
{
    return wanted == 0 && connection->poll_mask == UV_READABLE && !connection->is_disturbed;
}

static void update_device(struct connection *connection)
{
    int wanted = device_mask(connection);
    if (!may_stay(connection, wanted))
        set_mask(&connection->poll, &connection->poll_mask, wanted, device_poll);
}

void connection_update(struct connection *connection)
{
    device_net_pump(connection);
    if (connection->is_retired)
        return;
    if (connection->phase != PHASE_GONE)
        update_device(connection);
    if (connection->upstream == UPSTREAM_OPEN || connection->upstream == UPSTREAM_ENDING)
        set_mask(&connection->upstream_poll, &connection->upstream_mask, upstream_mask(connection), upstream_poll);
    update_timer(connection);
}

/* The beginning of its life. */

static int fill(struct connection *connection, const char *peer)
{
    connection->lane_name = strdup(lane_name(connection->lane));
    connection->peer = strdup(peer);
    connection->session.chain = sk_X509_new_null();
    if (!connection->lane_name || !connection->peer || !connection->session.chain)
        return -1;
    connection->session.lane = connection->lane_name;
    connection->session.peer = connection->peer;
    connection->prefix_bytes =
        (size_t)snprintf(connection->prefix, sizeof connection->prefix, "s/%llu/", (unsigned long long)connection->session.number);
    return device_start(connection);
}

static uint32_t payload_max(const struct front_door *door)
{
    enum { DEFAULT_BYTES = 256 * 1024 };
    return door->options.packet_max_bytes ? (uint32_t)door->options.packet_max_bytes : DEFAULT_BYTES;
}

static struct connection *new_connection(struct front_door *door, struct lane *lane, int fd)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection)
        return NULL;
    connection->door = door;
    connection->lane = lane;
    connection->session.number = door->next_number++;
    connection->wire.fd = fd;
    connection->upstream_fd = -1;
    connection->refusal_deadline = deadline_none;
    connection->timer_due_us = INT64_MAX;
    connection->accepted_us = clock_mono_us(door->options.clock);
    connection->phase_deadline = deadline_in_ms(door->options.clock, door->options.connect_deadline_ms);
    bytes_init(&connection->out, QUEUE_MAX_BYTES);
    bytes_init(&connection->early, SCRATCH_BYTES);
    bytes_init(&connection->upstream_out, QUEUE_MAX_BYTES);
    mqtt_framer_init(&connection->up, DEVICE_PACKET_MAX_BYTES, payload_max(door));
    mqtt_framer_init(&connection->down, DEVICE_PACKET_MAX_BYTES, MQTT_REMAINING_MAX_BYTES);
    return connection;
}

void connection_accept(struct front_door *door, struct lane *lane, int fd, const char *peer)
{
    struct connection *connection = new_connection(door, lane, fd);
    if (!connection || fill(connection, peer)) {
        if (connection) {
            free_contents(connection);
            SSL_free(connection->ssl);
            free(connection);
        }
        close(fd);
        return;
    }
    uv_timer_init(door->options.loop, &connection->timer);
    uv_poll_init(door->options.loop, &connection->poll, fd);
    connection->timer.data = connection;
    connection->poll.data = connection;
    connection->open_handles = 2;
    enlist(connection);
    door->device_count++;
    door->counts.accepted++;
    emit_accepted(connection);
    device_tell_knobs(connection);
    if (door->device_count > door->options.sessions_max) {
        door->counts.over_limit++;
        connection_note_end(connection, "service", "refused");
        device_close(connection);
    }
    connection_update(connection);
}
