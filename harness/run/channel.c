#include "harness/run/channel.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

enum { READ_BYTES = 64 * 1024 };

struct channel {
    uv_pipe_t pipe;
    int fd; /* the pipe's */
    struct bytes line;
    struct channel_callbacks callbacks;
    bool has_ended;
    char buffer[READ_BYTES];
};

/* ---- what comes ---- */

static void end(struct channel *channel, const char *reason)
{
    if (channel->has_ended)
        return;
    channel->has_ended = true;
    uv_read_stop((uv_stream_t *)&channel->pipe);
    channel->callbacks.on_end(channel->callbacks.user, reason);
}

static void take_line(struct channel *channel)
{
    struct error error = ERROR_INIT;
    CLEANUP_JSON cJSON *message = json_parse(bytes_text(&channel->line), channel->line.length_bytes, "message", &error);
    bytes_done(&channel->line);
    channel->line.max_bytes = CHANNEL_MESSAGE_MAX_BYTES;
    if (message)
        channel->callbacks.on_message(channel->callbacks.user, message);
    else
        end(channel, error.text);
}

static void take(struct channel *channel, const char *data, size_t length)
{
    while (length && !channel->has_ended) {
        const char *newline = memchr(data, '\n', length);
        size_t part = newline ? (size_t)(newline - data) : length;
        if (bytes_append(&channel->line, data, part)) {
            end(channel, "a message is too long");
            return;
        }
        if (newline)
            take_line(channel);
        data += part + (newline ? 1 : 0);
        length -= part + (newline ? 1 : 0);
    }
}

static void allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)suggested;
    struct channel *channel = handle->data;
    *buffer = uv_buf_init(channel->buffer, sizeof channel->buffer);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct channel *channel = stream->data;
    if (count > 0)
        take(channel, buffer->base, (size_t)count);
    else if (count < 0)
        end(channel, count == UV_EOF ? NULL : uv_strerror((int)count));
}

/* ---- what goes ---- */

static int wait_for_room(const struct channel *channel, deadline_t deadline, struct error *error)
{
    struct pollfd poll_fd = {.fd = channel->fd, .events = POLLOUT};
    int64_t left = deadline_left_ms(&clock_system, deadline);
    if (left == 0)
        return error_set(error, ERROR_OWNER_RIG, ERROR_TIMEOUT, "send to the other process of the run: it takes nothing");
    poll(&poll_fd, 1, left > 1000 ? 1000 : (int)left);
    return 0;
}

static int send_all(struct channel *channel, const char *data, size_t length, struct error *error)
{
    deadline_t deadline = deadline_in_ms(&clock_system, CHANNEL_SEND_MS);
    while (length) {
        ssize_t put = send(channel->fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (put < 0 && errno != EAGAIN && errno != EINTR)
            return error_set_errno(error, ERROR_OWNER_RIG, errno, "send to the other process of the run");
        if (put < 0 && wait_for_room(channel, deadline, error))
            return -1;
        data += put > 0 ? put : 0;
        length -= put > 0 ? (size_t)put : 0;
    }
    return 0;
}

int channel_send(struct channel *channel, cJSON *message, struct error *error)
{
    CLEANUP_FREE char *line = message ? json_print_line(message) : NULL;
    cJSON_Delete(message);
    if (!line)
        return error_set_memory(error);
    return send_all(channel, line, strlen(line), error) || send_all(channel, "\n", 1, error) ? -1 : 0;
}

void channel_finish(struct channel *channel)
{
    shutdown(channel->fd, SHUT_WR);
}

/* ---- life ---- */

static void on_closed(uv_handle_t *handle)
{
    struct channel *channel = handle->data;
    bytes_done(&channel->line);
    free(channel);
}

int channel_open(uv_loop_t *loop, int fd, const struct channel_callbacks *callbacks, struct channel **ret_channel, struct error *error)
{
    struct channel *channel = calloc(1, sizeof *channel);
    if (!channel) {
        close(fd);
        return error_set_memory(error);
    }
    *channel = (struct channel){.fd = fd, .callbacks = *callbacks, .line = {.max_bytes = CHANNEL_MESSAGE_MAX_BYTES}};
    uv_pipe_init(loop, &channel->pipe, 0);
    channel->pipe.data = channel;
    int result = uv_pipe_open(&channel->pipe, fd);
    if (result)
        close(fd);
    if (result || (result = uv_read_start((uv_stream_t *)&channel->pipe, allocate, on_read))) {
        channel_close(channel);
        return error_set(error, ERROR_OWNER_OURS, ERROR_IO, "listen to the other process of the run: %s", uv_strerror(result));
    }
    *ret_channel = channel;
    return 0;
}

void channel_close(struct channel *channel)
{
    if (!channel)
        return;
    channel->has_ended = true;
    uv_close((uv_handle_t *)&channel->pipe, on_closed);
}
