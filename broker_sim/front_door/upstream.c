#include "broker_sim/front_door/connection.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

enum {
    READS_PER_TURN_MAX = 4,
    READ_BYTES = 16 * 1024,
    RETRY_BUSY_MS = 1, /* Mosquitto's backlog of 10 was full: it empties within a millisecond */
    RETRY_ABSENT_MS = 20,
};

/* Connecting: a connect() on a Unix socket never waits; a full backlog is EAGAIN. Those who wait stand in a queue, so that nobody starves.
 */

static void open_upstream(struct connection *connection, int fd)
{
    connection->upstream = UPSTREAM_OPEN;
    connection->upstream_fd = fd;
    uv_poll_init(connection->door->options.loop, &connection->upstream_poll, fd);
    connection->upstream_poll.data = connection;
    connection_handle_opened(connection);
    upstream_flush(connection);
}

/* 0, or how long to wait before the next attempt. */
static int try_connect(struct connection *connection)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return RETRY_ABSENT_MS;
    strncpy(name.sun_path, connection->door->upstream_path, sizeof name.sun_path - 1);
    if (connect(fd, (struct sockaddr *)&name, sizeof name)) {
        int wait_ms = errno == EAGAIN ? RETRY_BUSY_MS : RETRY_ABSENT_MS;
        close(fd);
        return wait_ms;
    }
    open_upstream(connection, fd);
    return 0;
}

static void enqueue(struct connection *connection)
{
    struct front_door *door = connection->door;
    connection->upstream = UPSTREAM_QUEUED;
    connection->next_queued = NULL;
    if (door->queue_last)
        door->queue_last->next_queued = connection;
    else
        door->queue_first = connection;
    door->queue_last = connection;
}

static void dequeue(struct connection *connection)
{
    struct front_door *door = connection->door;
    struct connection *before = NULL;
    for (struct connection **at = &door->queue_first; *at; before = *at, at = &(*at)->next_queued) {
        if (*at != connection)
            continue;
        *at = connection->next_queued;
        if (door->queue_last == connection)
            door->queue_last = before;
        return;
    }
}

void upstream_start(struct connection *connection)
{
    struct front_door *door = connection->door;
    int wait_ms = door->queue_first ? RETRY_BUSY_MS : try_connect(connection);
    if (wait_ms == 0)
        return;
    door->counts.upstream_retries++;
    enqueue(connection);
    if (!uv_is_active((uv_handle_t *)door->retry_timer))
        uv_timer_start(door->retry_timer, upstream_retry, (uint64_t)wait_ms, 0);
}

void upstream_retry(uv_timer_t *timer)
{
    struct front_door *door = timer->data;
    while (door->queue_first) {
        struct connection *connection = door->queue_first;
        int wait_ms = try_connect(connection);
        if (wait_ms) {
            uv_timer_start(timer, upstream_retry, (uint64_t)wait_ms, 0);
            return;
        }
        dequeue(connection);
        connection_update(connection);
    }
}

/* Ending. */

void upstream_close(struct connection *connection)
{
    if (connection->upstream == UPSTREAM_QUEUED) {
        dequeue(connection);
        connection->upstream = UPSTREAM_NONE;
    }
    if (connection->upstream != UPSTREAM_OPEN && connection->upstream != UPSTREAM_ENDING)
        return;
    connection->upstream = UPSTREAM_CLOSED;
    uv_close((uv_handle_t *)&connection->upstream_poll, connection_handle_closed);
    close(connection->upstream_fd);
    connection->upstream_fd = -1;
    bytes_done(&connection->upstream_out);
    mqtt_framer_done(&connection->down);
}

/*
 * Half-close, do not close: with close() Mosquitto's next PUBACK meets EPIPE and it throws away what it has not read yet (1 of 200 messages
 * arrived, against 200 of 200 this way).
 */
void upstream_end(struct connection *connection)
{
    if (connection->upstream == UPSTREAM_QUEUED)
        upstream_close(connection);
    if (connection->upstream != UPSTREAM_OPEN)
        return;
    connection->upstream = UPSTREAM_ENDING;
    mqtt_framer_done(&connection->down);
    if (connection->upstream_out.length_bytes == 0)
        shutdown(connection->upstream_fd, SHUT_WR);
    else
        upstream_flush(connection);
}

/* Mosquitto has closed, though nobody asked it to. */
static void lost(struct connection *connection)
{
    upstream_close(connection);
    if (connection->phase == PHASE_ADMITTED)
        admission_refuse(connection, 3, "broker", "broker_down");
    else
        connection_finish(connection, "broker", "broker_down");
    connection_try_retire(connection);
}

/* Writing. */

void upstream_flush(struct connection *connection)
{
    if ((connection->upstream != UPSTREAM_OPEN && connection->upstream != UPSTREAM_ENDING) || connection->upstream_out.length_bytes == 0)
        return;
    while (connection->upstream_out.length_bytes) {
        ssize_t sent = send(connection->upstream_fd, connection->upstream_out.data, connection->upstream_out.length_bytes, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN)
            return;
        if (sent < 0) {
            lost(connection);
            return;
        }
        bytes_consume(&connection->upstream_out, (size_t)sent);
    }
    bytes_done(&connection->upstream_out);
    if (connection->upstream == UPSTREAM_ENDING)
        shutdown(connection->upstream_fd, SHUT_WR);
}

/* Reading. */

static bool is_reading(const struct connection *connection)
{
    return connection->upstream == UPSTREAM_ENDING ||
           (connection->upstream == UPSTREAM_OPEN && connection->out.length_bytes < QUEUE_HIGH_BYTES);
}

int upstream_mask(const struct connection *connection)
{
    return (is_reading(connection) ? UV_READABLE : 0) | (connection->upstream_out.length_bytes ? UV_WRITABLE : 0);
}

static void read_upstream(struct connection *connection)
{
    uint8_t *buffer = connection->door->scratch;
    for (int i = 0; i < READS_PER_TURN_MAX && is_reading(connection); i++) {
        ssize_t got = recv(connection->upstream_fd, buffer, READ_BYTES, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (got <= 0) {
            lost(connection);
            return;
        }
        if (connection->upstream == UPSTREAM_OPEN && relay_down(connection, buffer, (size_t)got))
            connection_finish(connection, "broker", "violation");
        if (connection->phase < PHASE_FINISHING)
            device_flush(connection);
        upstream_flush(connection);
        if (got < READ_BYTES)
            return; /* there is no more, or the poll will say so */
    }
}

void upstream_poll(uv_poll_t *poll, int status, int events)
{
    struct connection *connection = poll->data;
    if (status < 0) {
        connection->upstream_mask = 0;
        events = UV_READABLE | UV_WRITABLE;
    }
    if (events & UV_WRITABLE)
        upstream_flush(connection);
    if (events & UV_READABLE)
        read_upstream(connection);
    connection_update(connection);
}
