#include "broker_sim/http/http_peer.h"

#include "base/cleanup.h"

#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>

enum {
    READ_BYTES = 16 * 1024,
    PLAIN_BYTES = 16 * 1024,
    /* Chunk sizes and trailers come on top of the body. */
    REQUEST_MAX_BYTES = HTTP_HEAD_MAX_BYTES + 2 * HTTP_BODY_MAX_BYTES,
    LINGER_MS = 1000,       /* for the client to read our answer while it still sends */
    STATUS_LINE_BYTES = 12, /* "HTTP/1.1 413" */
    PEER_NAME_BYTES = 80,
    REQUEST_TIMEOUT = 408,
    TOO_LARGE = 413,
};

enum stage {
    STAGE_HANDSHAKE,
    STAGE_HEAD,
    STAGE_REQUEST, /* the library reads and answers */
    STAGE_LINGER,  /* all is said: what comes is thrown away */
    STAGE_CLOSED,
};

struct http_peer {
    const struct http_peer_port *port;
    struct http_peer *next;
    uint64_t id;
    enum stage stage;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
    uv_timer_t timer;
    int open_handles;
    bool has_pipe;
    bool is_handled;
    SSL *ssl;
    BIO *in, *out;
    struct http_guard guard;
    struct bytes head;
    struct bytes body;
    size_t request_bytes;
    char status_line[STATUS_LINE_BYTES + 1]; /* of what the library says by itself */
    size_t status_line_length;
    char name[PEER_NAME_BYTES];
};

struct write {
    uv_write_t request;
    struct http_peer *peer;
    char data[];
};

struct http_peer *http_peer_next(const struct http_peer *peer)
{
    return peer->next;
}

void http_peer_set_next(struct http_peer *peer, struct http_peer *next)
{
    peer->next = next;
}

void http_peer_set_handled(struct http_peer *peer)
{
    peer->is_handled = true;
}

bool http_peer_is_closed(const struct http_peer *peer)
{
    return peer->stage == STAGE_CLOSED;
}

uint64_t http_peer_id(const struct http_peer *peer)
{
    return peer->id;
}

struct bytes *http_peer_body(struct http_peer *peer)
{
    return &peer->body;
}

bool http_peer_waits_for_request(const struct http_peer *peer)
{
    return peer->stage <= STAGE_REQUEST && !peer->is_handled;
}

/* --- the end --- */

static void on_closed(uv_handle_t *handle)
{
    struct http_peer *peer = handle->data;
    if (--peer->open_handles > 0)
        return;
    SSL_free(peer->ssl);
    bytes_done(&peer->head);
    bytes_done(&peer->body);
    peer->port->gone(peer->port->user, peer);
    free(peer);
}

void http_peer_cut(struct http_peer *peer)
{
    if (peer->stage == STAGE_CLOSED)
        return;
    peer->stage = STAGE_CLOSED;
    uv_close((uv_handle_t *)&peer->tcp, on_closed);
    uv_close((uv_handle_t *)&peer->timer, on_closed);
    if (peer->has_pipe)
        uv_close((uv_handle_t *)&peer->pipe, on_closed);
}

static void emit_refused(const struct http_peer *peer, int status, const char *reason)
{
    cJSON *event = event_new(EVENT_HTTP_REFUSED, peer->port->sink.clock, EVENT_SOURCE), *data = event_data(event);
    json_set_string(data, "peer", peer->name);
    if (status)
        json_set_integer(data, "status", status);
    json_set_string(data, "reason", reason);
    peer->port->sink.emit(peer->port->sink.user, event);
}

void http_peer_drop(struct http_peer *peer, const char *reason)
{
    if (peer->stage >= STAGE_LINGER)
        return;
    emit_refused(peer, 0, reason);
    http_peer_cut(peer);
}

/* --- writing --- */

static void on_written(uv_write_t *request, int status)
{
    struct write *write = (struct write *)request;
    struct http_peer *peer = write->peer;
    free(write);
    if (status < 0)
        http_peer_cut(peer);
}

static void send_bytes(struct http_peer *peer, uv_stream_t *stream, const void *data, size_t length_bytes)
{
    struct write *write = malloc(sizeof *write + length_bytes);
    if (!write) {
        http_peer_cut(peer);
        return;
    }
    write->peer = peer;
    memcpy(write->data, data, length_bytes);
    uv_buf_t buffer = uv_buf_init(write->data, (unsigned)length_bytes);
    if (uv_write(&write->request, stream, &buffer, 1, on_written)) {
        free(write);
        http_peer_cut(peer);
    }
}

/* What OpenSSL wants to say goes out. */
static void flush_tls(struct http_peer *peer)
{
    char data[READ_BYTES];
    int length;
    while (peer->stage != STAGE_CLOSED && (length = BIO_read(peer->out, data, sizeof data)) > 0)
        send_bytes(peer, (uv_stream_t *)&peer->tcp, data, (size_t)length);
}

static void on_shut(uv_shutdown_t *request, int status)
{
    (void)status;
    free(request);
}

static void on_linger_over(uv_timer_t *timer)
{
    http_peer_cut(timer->data);
}

/* close_notify and FIN behind what is written; a client that still sends would else get a reset instead of the answer. */
static void linger(struct http_peer *peer)
{
    if (peer->stage >= STAGE_LINGER)
        return;
    SSL_shutdown(peer->ssl);
    ERR_clear_error();
    flush_tls(peer);
    if (peer->stage == STAGE_CLOSED)
        return;
    peer->stage = STAGE_LINGER;
    uv_shutdown_t *request = malloc(sizeof *request);
    if (!request || uv_shutdown(request, (uv_stream_t *)&peer->tcp, on_shut))
        free(request);
    uv_timer_start(&peer->timer, on_linger_over, LINGER_MS, 0);
}

void http_peer_refuse(struct http_peer *peer, int status, const char *reason)
{
    CLEANUP_FREE char *body = peer->port->refusal_body(peer->port->user, status, reason);
    CLEANUP_FREE char *text = NULL;
    if (peer->stage >= STAGE_LINGER)
        return;
    emit_refused(peer, status, reason);
    if (asprintf(
            &text,
            "HTTP/1.1 %d Refused\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
            status, body ? strlen(body) : 0, body ? body : "") < 0)
        text = NULL;
    if (text)
        SSL_write(peer->ssl, text, (int)strlen(text));
    ERR_clear_error();
    linger(peer);
}

/* --- the library's answer --- */

static void allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)handle;
    (void)suggested;
    *buffer = uv_buf_init(malloc(READ_BYTES), READ_BYTES);
}

/* It answers by itself only what it cannot read; "100 Continue" is no answer. */
static bool is_own_error(struct http_peer *peer, const char *data, size_t length)
{
    if (peer->is_handled)
        return false;
    size_t room = STATUS_LINE_BYTES - peer->status_line_length, taken = length < room ? length : room;
    memcpy(peer->status_line + peer->status_line_length, data, taken);
    peer->status_line_length += taken;
    return !(strlen(peer->status_line) == STATUS_LINE_BYTES && strcmp(peer->status_line + STATUS_LINE_BYTES - 3, "100") == 0);
}

static void on_own_error(struct http_peer *peer)
{
    if (peer->status_line_length < STATUS_LINE_BYTES)
        return;
    int status = atoi(peer->status_line + STATUS_LINE_BYTES - 3);
    http_peer_refuse(peer, status >= 400 && status <= 599 ? status : 400, "libmicrohttpd cannot read the request");
}

static void on_answer_end(struct http_peer *peer)
{
    if (!peer->is_handled && peer->stage == STAGE_REQUEST)
        http_peer_refuse(peer, 400, "libmicrohttpd ended the request");
    else
        linger(peer);
}

static void on_answer_limit(uv_timer_t *timer)
{
    http_peer_drop(timer->data, "the client does not read its answer");
}

static void on_plain_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
    struct http_peer *peer = stream->data;
    CLEANUP_FREE char *data = buffer->base;
    if (peer->stage != STAGE_REQUEST || length == 0)
        return;
    if (length < 0) {
        on_answer_end(peer);
    } else if (is_own_error(peer, data, (size_t)length)) {
        on_own_error(peer);
    } else {
        uv_timer_start(&peer->timer, on_answer_limit, HTTP_ANSWER_LIMIT_MS, 0);
        if (SSL_write(peer->ssl, data, (int)length) <= 0)
            ERR_clear_error();
        flush_tls(peer);
    }
}

/* --- the request --- */

static int begin(struct http_peer *peer)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds))
        return -1;
    if (uv_pipe_init(peer->port->loop, &peer->pipe, 0) || uv_pipe_open(&peer->pipe, fds[0])) {
        close(fds[0]);
        close(fds[1]);
        return -1;
    }
    peer->pipe.data = peer;
    peer->has_pipe = true;
    peer->open_handles++;
    peer->stage = STAGE_REQUEST;
    if (peer->port->begin(peer->port->user, peer, fds[1]))
        return -1;
    send_bytes(peer, (uv_stream_t *)&peer->pipe, peer->head.data, peer->head.length_bytes);
    bytes_done(&peer->head);
    return uv_read_start((uv_stream_t *)&peer->pipe, allocate, on_plain_read);
}

static void on_head(struct http_peer *peer, const uint8_t *data, size_t length_bytes)
{
    size_t taken = http_guard_feed(&peer->guard, data, length_bytes);
    if (peer->guard.state == HTTP_GUARD_REFUSED)
        http_peer_refuse(peer, peer->guard.status, peer->guard.reason);
    else if (bytes_append(&peer->head, data, taken))
        http_peer_drop(peer, "out of memory");
    else if (peer->guard.state == HTTP_GUARD_DONE && begin(peer))
        http_peer_drop(peer, "the system gives no socket pair");
    if (peer->stage == STAGE_REQUEST && taken < length_bytes)
        send_bytes(peer, (uv_stream_t *)&peer->pipe, data + taken, length_bytes - taken);
}

static void on_plain(struct http_peer *peer, const uint8_t *data, size_t length_bytes)
{
    peer->request_bytes += length_bytes;
    if (peer->stage == STAGE_HEAD)
        on_head(peer, data, length_bytes);
    else if (peer->stage == STAGE_REQUEST && peer->request_bytes > REQUEST_MAX_BYTES)
        http_peer_refuse(peer, TOO_LARGE, "the request is too large");
    else if (peer->stage == STAGE_REQUEST && !peer->is_handled)
        send_bytes(peer, (uv_stream_t *)&peer->pipe, data, length_bytes);
}

/* --- TLS --- */

static void fail_handshake(struct http_peer *peer)
{
    char reason[160];
    const char *why = ERR_reason_error_string(ERR_peek_last_error());
    snprintf(reason, sizeof reason, "TLS: %s", why ? why : "the handshake failed");
    ERR_clear_error();
    flush_tls(peer);
    http_peer_drop(peer, reason);
}

/* false: nothing to read yet, or never again. */
static bool shake_hands(struct http_peer *peer)
{
    int rc = SSL_do_handshake(peer->ssl);
    bool is_waiting = rc <= 0 && SSL_get_error(peer->ssl, rc) == SSL_ERROR_WANT_READ;
    if (rc <= 0 && !is_waiting)
        fail_handshake(peer);
    else
        flush_tls(peer);
    if (rc == 1 && peer->stage == STAGE_HANDSHAKE)
        peer->stage = STAGE_HEAD;
    return rc == 1;
}

static void read_tls(struct http_peer *peer)
{
    uint8_t plain[PLAIN_BYTES];
    int length = 0;
    if (peer->stage == STAGE_HANDSHAKE && !shake_hands(peer))
        return;
    while ((peer->stage == STAGE_HEAD || peer->stage == STAGE_REQUEST) && (length = SSL_read(peer->ssl, plain, sizeof plain)) > 0)
        on_plain(peer, plain, (size_t)length);
    if (peer->stage >= STAGE_LINGER)
        return;
    int why = SSL_get_error(peer->ssl, length);
    ERR_clear_error();
    /* The client may have said all that it has to say. */
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_ZERO_RETURN)
        http_peer_drop(peer, "TLS: a record that is broken");
    else
        flush_tls(peer);
}

static void on_end_of_input(struct http_peer *peer)
{
    if (peer->stage == STAGE_REQUEST && peer->is_handled)
        return;
    if (peer->stage == STAGE_REQUEST)
        http_peer_drop(peer, "the client closed in the middle of its request");
    else
        http_peer_cut(peer);
}

static void on_tcp_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
    struct http_peer *peer = stream->data;
    CLEANUP_FREE char *data = buffer->base;
    if (length < 0) {
        uv_read_stop(stream);
        on_end_of_input(peer);
    } else if (length > 0 && peer->stage < STAGE_LINGER) {
        BIO_write(peer->in, data, (int)length);
        read_tls(peer);
    }
}

static void on_request_limit(uv_timer_t *timer)
{
    struct http_peer *peer = timer->data;
    if (peer->stage == STAGE_HANDSHAKE)
        http_peer_drop(peer, "no TLS handshake in time");
    else
        http_peer_refuse(peer, REQUEST_TIMEOUT, "no whole request in time");
}

/* --- the beginning --- */

static int make_tls(struct http_peer *peer)
{
    peer->ssl = SSL_new(peer->port->tls);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    if (!peer->ssl || !in || !out) {
        BIO_free(in);
        BIO_free(out);
        return -1;
    }
    SSL_set_bio(peer->ssl, in, out);
    SSL_set_accept_state(peer->ssl);
    peer->in = in;
    peer->out = out;
    return 0;
}

static void name_peer(struct http_peer *peer)
{
    struct sockaddr_storage address;
    int length = sizeof address;
    char host[64] = "?";
    snprintf(peer->name, sizeof peer->name, "?");
    if (uv_tcp_getpeername(&peer->tcp, (struct sockaddr *)&address, &length))
        return;
    uv_ip_name((const struct sockaddr *)&address, host, sizeof host);
    uint16_t port =
        ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port : ((struct sockaddr_in *)&address)->sin_port);
    snprintf(peer->name, sizeof peer->name, address.ss_family == AF_INET6 ? "[%s]:%u" : "%s:%u", host, port);
}

struct http_peer *http_peer_accept(uv_stream_t *listener, const struct http_peer_port *port, uint64_t id)
{
    struct http_peer *peer = calloc(1, sizeof *peer);
    if (!peer)
        return NULL;
    peer->port = port;
    peer->id = id;
    bytes_init(&peer->head, HTTP_HEAD_MAX_BYTES);
    bytes_init(&peer->body, HTTP_BODY_MAX_BYTES);
    http_guard_init(&peer->guard);
    uv_tcp_init(port->loop, &peer->tcp);
    uv_timer_init(port->loop, &peer->timer);
    peer->tcp.data = peer->timer.data = peer;
    peer->open_handles = 2;
    if (uv_accept(listener, (uv_stream_t *)&peer->tcp) || make_tls(peer) ||
        uv_read_start((uv_stream_t *)&peer->tcp, allocate, on_tcp_read)) {
        http_peer_cut(peer);
        return peer;
    }
    uv_tcp_nodelay(&peer->tcp, 1);
    name_peer(peer);
    uv_timer_start(&peer->timer, on_request_limit, (uint64_t)port->request_limit_ms, 0);
    return peer;
}
