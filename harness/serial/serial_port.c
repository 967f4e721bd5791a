#include "harness/serial/serial_port.h"

#include "base/cleanup.h"
#include "harness/serial/intake.h"
#include "harness/serial/network_address.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/stat.h>

enum {
    RX_BYTES = 64 * 1024,
    PIECES_A_TURN = 64, /* then the loop's timers and everybody else have their turn */
    REOPEN_INTERVAL_MS = 50,
    OPEN_WAIT_MS = 15000, /* for a port of another machine; its back end gives up by itself, but for the look-up of a name */
    SETTLED_MS = 1000,    /* a port that goes away again sooner was not back */
};

enum state { STATE_OPEN, STATE_AWAY, STATE_LOST, STATE_CLOSED };

struct serial_port {
    struct serial_options options;
    char *path;
    const struct serial_backend *backend;
    struct serial_handle *handle; /* NULL while it is away */
    struct intake *intake;        /* reads; one an opening */
    uv_poll_t *poll;              /* writes; one an opening: a closing uv_poll_t cannot be used again */
    bool cannot_write;
    uv_async_t arrival;
    uv_timer_t tx_pause;
    uv_timer_t reopen;
    int open_handles;
    enum state state;
    int64_t gone_at_us;
    int64_t back_at_us;
    deadline_t reopen_deadline;
    struct serial_counts counts;
    size_t tx_start;
    size_t tx_length;
    uint8_t tx[SERIAL_TX_MAX_BYTES];
    uint8_t rx[RX_BYTES];
};

static void on_poll(uv_poll_t *poll, int status, int events);
static void watch(struct serial_port *port);

/* ---- opening */

static int check_path(const char *path, struct error *error)
{
    struct stat status;
    if (stat(path, &status))
        return serial_open_failed(path, errno, error);
    if (!S_ISCHR(status.st_mode))
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "open '%s': not a serial port", path);
    return 0;
}

static int open_backend(struct serial_port *port, struct error *error)
{
    bool is_file = !network_address_is(port->path);
    if (is_file && check_path(port->path, error))
        return -1;
    CLEANUP_FREE char *resolved = is_file ? realpath(port->path, NULL) : strdup(port->path);
    if (!resolved)
        return serial_open_failed(port->path, errno, error);
    const struct serial_options *options = &port->options;
    port->backend = options->backend ? options->backend : serial_backend_for(resolved);
    struct serial_settings settings = {
        .path = resolved, .baud = options->baud ? options->baud : SERIAL_BAUD_DEFAULT, .has_flow_control = options->has_flow_control};
    return port->backend->open(&settings, &port->handle, error);
}

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

static int start_intake(struct serial_port *port, struct error *error)
{
    struct intake_options options = {.backend = port->backend,
                                     .handle = port->handle,
                                     .clock = port->options.clock,
                                     .wake = &port->arrival,
                                     .max_bytes = port->options.rx_max_bytes,
                                     .does_sender_wait = port->backend->does_sender_wait || port->options.has_flow_control};
    return intake_start(&options, &port->intake, error) ? error_prefix(error, "watch '%s'", port->path) : 0;
}

static int start_poll(struct serial_port *port, struct error *error)
{
    port->poll = malloc(sizeof(*port->poll));
    if (!port->poll)
        return error_set_memory(error);
    int rc = uv_poll_init(port->options.loop, port->poll, port->backend->fd(port->handle));
    if (rc) {
        free(TAKE(port->poll));
        return error_set(error, ERROR_OWNER_RIG, ERROR_IO, "watch '%s': %s", port->path, uv_strerror(rc));
    }
    port->poll->data = port;
    port->cannot_write = false;
    watch(port);
    return 0;
}

static void close_backend(struct serial_port *port)
{
    intake_stop(TAKE(port->intake));
    if (port->poll) {
        uv_poll_stop(port->poll);
        port->poll->data = NULL;
        uv_close((uv_handle_t *)TAKE(port->poll), free_handle);
    }
    if (port->handle)
        port->backend->close(TAKE(port->handle));
    OPENSSL_cleanse(port->tx, sizeof(port->tx));
    port->tx_start = port->tx_length = 0;
    uv_timer_stop(&port->tx_pause);
}

static int finish_open(struct serial_port *port, int64_t wait_ms, struct error *error)
{
    int rc = port->backend->finish_open ? port->backend->finish_open(port->handle, wait_ms, error) : 0;
    return rc ? rc : start_poll(port, error) || start_intake(port, error) ? -1 : 0;
}

/* 1: not yet, ask again. */
static int open_and_watch(struct serial_port *port, int64_t wait_ms, struct error *error)
{
    if (!port->handle && open_backend(port, error))
        return -1;
    int rc = finish_open(port, wait_ms, error);
    if (rc < 0)
        close_backend(port);
    if (rc == 0)
        port->state = STATE_OPEN;
    return rc;
}

/* ---- going away and coming back */

static void set_lost(struct serial_port *port, const struct error *last)
{
    struct error error = *last;
    port->state = STATE_LOST;
    uv_timer_stop(&port->reopen);
    close_backend(port);
    error_prefix(&error, "the port did not come back in %lld ms",
                 (long long)(clock_mono_us(port->options.clock) - port->gone_at_us) / 1000);
    error.owner = ERROR_OWNER_RIG;
    if (port->options.callbacks.on_lost)
        port->options.callbacks.on_lost(port->options.callbacks.user, &error);
}

static void set_back(struct serial_port *port)
{
    int64_t gap_ms = (clock_mono_us(port->options.clock) - port->gone_at_us + 999) / 1000;
    uv_timer_stop(&port->reopen);
    port->counts.gap_count++;
    port->counts.gap_ms += gap_ms;
    port->back_at_us = clock_mono_us(port->options.clock);
    if (port->options.callbacks.on_back)
        port->options.callbacks.on_back(port->options.callbacks.user, gap_ms);
}

static void on_reopen(uv_timer_t *timer)
{
    struct serial_port *port = timer->data;
    struct error error = ERROR_INIT;
    if (port->options.reopen_ms < 0) {
        error_set(&error, ERROR_OWNER_RIG, ERROR_IO, "'%s' hung up", port->path);
        set_lost(port, &error);
        return;
    }
    int rc = open_and_watch(port, 0, &error);
    if (rc == 0)
        set_back(port);
    else if (deadline_has_passed(port->options.clock, port->reopen_deadline))
        set_lost(port, rc < 0 ? &error : (error_set(&error, ERROR_OWNER_RIG, ERROR_TIMEOUT, "open '%s': no answer", port->path), &error));
}

static const char *reason_of(struct serial_port *port, int errno_value)
{
    const char *reason = port->backend->gone_reason ? port->backend->gone_reason(port->handle) : NULL;
    return reason ? reason : errno_value == EIO || !errno_value ? "hung up" : strerror(errno_value);
}

/* A server that takes a connection and closes it at once, because somebody else holds the port, must not be tried for ever. */
static bool was_back_for_a_moment(const struct serial_port *port)
{
    return port->back_at_us && clock_mono_us(port->options.clock) - port->back_at_us < (int64_t)SETTLED_MS * 1000;
}

static void set_gone(struct serial_port *port, const struct intake_end *end)
{
    char reason[128];
    snprintf(reason, sizeof(reason), "%s", reason_of(port, end->errno_value));
    port->gone_at_us = end->mono_us;
    close_backend(port);
    port->state = STATE_AWAY;
    int64_t patience_ms = port->options.reopen_ms ? port->options.reopen_ms : SERIAL_REOPEN_MS_DEFAULT;
    if (!was_back_for_a_moment(port))
        port->reopen_deadline = deadline_in_ms(port->options.clock, patience_ms > 0 ? patience_ms : 0);
    uv_timer_start(&port->reopen, on_reopen, REOPEN_INTERVAL_MS, REOPEN_INTERVAL_MS);
    if (port->options.callbacks.on_gone)
        port->options.callbacks.on_gone(port->options.callbacks.user, reason);
}

/* ---- bytes */

static void tell_loss(struct serial_port *port, uint64_t lost_bytes)
{
    port->counts.lost_bytes += lost_bytes;
    if (port->options.callbacks.on_overflow)
        port->options.callbacks.on_overflow(port->options.callbacks.user, lost_bytes);
}

static void tell_bytes(struct serial_port *port, const struct intake_piece *piece)
{
    port->counts.rx_bytes += piece->length_bytes;
    if (port->options.callbacks.on_bytes)
        port->options.callbacks.on_bytes(port->options.callbacks.user, port->rx, piece->length_bytes, piece->mono_us, piece->unix_us);
}

/* Each callback may close the port. */
static void tell_piece(struct serial_port *port, const struct intake_piece *piece)
{
    if (piece->lost_bytes)
        tell_loss(port, piece->lost_bytes);
    if (piece->length_bytes && port->state == STATE_OPEN)
        tell_bytes(port, piece);
}

static void on_arrival(uv_async_t *arrival)
{
    struct serial_port *port = arrival->data;
    struct intake_piece piece;
    struct intake_end end;
    int count = 0;
    while (port->intake && count < PIECES_A_TURN && intake_take(port->intake, port->rx, sizeof(port->rx), &piece)) {
        tell_piece(port, &piece);
        count++;
    }
    if (!port->intake)
        return;
    if (count == PIECES_A_TURN)
        uv_async_send(arrival);
    else if (intake_has_ended(port->intake, &end))
        set_gone(port, &end);
}

/* What it said before is still told: only then it is gone. */
static void stop_writing(struct serial_port *port, int errno_value)
{
    port->cannot_write = true;
    watch(port);
    intake_finish(port->intake, errno_value);
}

static void drop_sent(struct serial_port *port, size_t count)
{
    OPENSSL_cleanse(port->tx + port->tx_start, count);
    port->tx_start += count;
    port->tx_length -= count;
    port->counts.tx_bytes += count;
    if (!port->tx_length)
        port->tx_start = 0;
}

static void on_tx_pause_over(uv_timer_t *timer)
{
    watch(timer->data);
}

static void write_some(struct serial_port *port)
{
    size_t chunk = port->options.tx_chunk_bytes;
    size_t length = chunk && chunk < port->tx_length ? chunk : port->tx_length;
    if (!length)
        return;
    ssize_t count = port->backend->write(port->handle, port->tx + port->tx_start, length);
    if (count < 0) {
        stop_writing(port, errno);
        return;
    }
    drop_sent(port, (size_t)count);
    if (chunk && count > 0 && port->options.tx_gap_ms > 0) {
        uv_update_time(port->options.loop);
        uv_timer_start(&port->tx_pause, on_tx_pause_over, (uint64_t)port->options.tx_gap_ms, 0);
    }
    watch(port);
}

static void watch(struct serial_port *port)
{
    if (!port->poll)
        return;
    bool may_send = port->tx_length && !port->cannot_write && !uv_is_active((uv_handle_t *)&port->tx_pause);
    if (may_send)
        uv_poll_start(port->poll, UV_WRITABLE, on_poll);
    else
        uv_poll_stop(port->poll);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct serial_port *port = poll->data;
    if (!port)
        return;
    if (status < 0)
        stop_writing(port, 0);
    else if (events & UV_WRITABLE)
        write_some(port);
}

/* ---- the interface */

static struct serial_port *new_port(const struct serial_options *options)
{
    struct serial_port *port = malloc(sizeof(*port));
    char *path = strdup(options->path);
    if (!port || !path) {
        free(port);
        free(path);
        return NULL;
    }
    memset(port, 0, offsetof(struct serial_port, tx));
    port->options = *options;
    port->path = path;
    return port;
}

static void free_port(struct serial_port *port)
{
    free(port->path);
    free(port);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct serial_port *port = handle->data;
    if (--port->open_handles == 0)
        free_port(port);
}

static int start_handles(struct serial_port *port, struct error *error)
{
    int rc = uv_async_init(port->options.loop, &port->arrival, on_arrival);
    if (rc)
        return error_set(error, ERROR_OWNER_RIG, ERROR_IO, "watch '%s': %s", port->path, uv_strerror(rc));
    uv_timer_init(port->options.loop, &port->tx_pause);
    uv_timer_init(port->options.loop, &port->reopen);
    port->arrival.data = port->tx_pause.data = port->reopen.data = port;
    port->open_handles = 3;
    return 0;
}

int serial_open(const struct serial_options *options, struct serial_port **ret_port, struct error *error)
{
    struct serial_port *port = new_port(options);
    if (!port)
        return error_set_memory(error);
    if (start_handles(port, error)) {
        free_port(port);
        return -1;
    }
    int rc = open_and_watch(port, OPEN_WAIT_MS, error);
    if (rc) {
        serial_close(port);
        return rc < 0 ? -1 : error_set(error, ERROR_OWNER_RIG, ERROR_TIMEOUT, "open '%s': no answer in %d ms", options->path, OPEN_WAIT_MS);
    }
    *ret_port = port;
    return 0;
}

void serial_close(struct serial_port *port)
{
    if (!port || port->state == STATE_CLOSED)
        return;
    close_backend(port);
    port->state = STATE_CLOSED;
    uv_close((uv_handle_t *)&port->arrival, on_handle_closed);
    uv_close((uv_handle_t *)&port->tx_pause, on_handle_closed);
    uv_close((uv_handle_t *)&port->reopen, on_handle_closed);
}

static void append_tx(struct serial_port *port, const void *data, size_t length_bytes)
{
    if (port->tx_start + port->tx_length + length_bytes > sizeof(port->tx)) {
        memmove(port->tx, port->tx + port->tx_start, port->tx_length);
        OPENSSL_cleanse(port->tx + port->tx_length, port->tx_start);
        port->tx_start = 0;
    }
    memcpy(port->tx + port->tx_start + port->tx_length, data, length_bytes);
    port->tx_length += length_bytes;
}

int serial_write(struct serial_port *port, const void *data, size_t length_bytes, struct error *error)
{
    if (port->state != STATE_OPEN)
        return error_set(error, ERROR_OWNER_RIG, ERROR_IO, "write '%s': the port is away", port->path);
    if (length_bytes > sizeof(port->tx) - port->tx_length)
        return error_set(error, ERROR_OWNER_OURS, ERROR_LIMIT, "write '%s': %zu bytes wait already", port->path, port->tx_length);
    append_tx(port, data, length_bytes);
    watch(port);
    return 0;
}

void serial_set_pacing(struct serial_port *port, size_t chunk_bytes, int64_t gap_ms)
{
    port->options.tx_chunk_bytes = chunk_bytes;
    port->options.tx_gap_ms = gap_ms;
}

size_t serial_tx_left(const struct serial_port *port)
{
    return port->tx_length;
}

bool serial_is_open(const struct serial_port *port)
{
    return port->state == STATE_OPEN;
}

const char *serial_path(const struct serial_port *port)
{
    return port->path;
}

const char *serial_backend_name(const struct serial_port *port)
{
    return port->backend->name;
}

struct serial_counts serial_counts(const struct serial_port *port)
{
    return port->counts;
}
