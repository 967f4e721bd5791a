#include "broker_sim/http/http_server.h"

#include "base/cleanup.h"
#include "broker_sim/http/http_peer.h"

#include <microhttpd.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { BACKLOG = 128, RUNS_MAX = 16, LIBRARY_MEMORY_BYTES = 64 * 1024, TOO_LARGE = 413 };

struct http_server {
    struct http_server_options options;
    SSL_CTX *tls;
    struct MHD_Daemon *daemon;
    uv_tcp_t listener;
    uv_poll_t poll;
    uv_timer_t timer;
    int open_handles;
    bool is_stopping;
    struct http_peer_port port;
    struct http_peer *peers; /* the newest first */
    size_t peer_count;
    uint64_t last_id;
    uint64_t beginning; /* the id of the peer whose pair libmicrohttpd is being given */
};

/* --- libmicrohttpd on our loop --- */

static void on_timer(uv_timer_t *timer);

/* Until it has nothing left to do at once; then it says when it wants to be called. */
static void run_library(struct http_server *server)
{
    MHD_UNSIGNED_LONG_LONG wait_ms = 0;
    enum MHD_Result has_wait = MHD_NO;
    for (int i = 0; i < RUNS_MAX; i++) {
        MHD_run(server->daemon);
        has_wait = MHD_get_timeout(server->daemon, &wait_ms);
        if (has_wait == MHD_NO || wait_ms > 0)
            break;
    }
    if (has_wait == MHD_YES)
        uv_timer_start(&server->timer, on_timer, wait_ms, 0);
    else
        uv_timer_stop(&server->timer);
}

static void on_timer(uv_timer_t *timer)
{
    run_library(timer->data);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    run_library(poll->data);
}

/* We decode ourselves: what is encoded may be a slash. */
static size_t leave_encoded(void *user, struct MHD_Connection *connection, char *text)
{
    (void)user;
    (void)connection;
    return strlen(text);
}

static void on_connection(void *user, struct MHD_Connection *connection, void **socket_context, enum MHD_ConnectionNotificationCode code)
{
    (void)connection;
    struct http_server *server = user;
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        *socket_context = (void *)(uintptr_t)server->beginning;
}

/* The peer of a connection; NULL: it is gone already. */
static struct http_peer *peer_of(const struct http_server *server, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    uint64_t id = info ? (uint64_t)(uintptr_t)info->socket_context : 0;
    struct http_peer *at = server->peers;
    while (at && http_peer_id(at) != id)
        at = http_peer_next(at);
    return at && !http_peer_is_closed(at) ? at : NULL;
}

/* --- a request --- */

static const char *header(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static int add_headers(struct MHD_Response *reply, const struct http_response *response, bool has_body)
{
    bool has_failed = MHD_add_response_header(reply, MHD_HTTP_HEADER_CONNECTION, "close") != MHD_YES;
    if (has_body)
        has_failed |= MHD_add_response_header(reply, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json; charset=utf-8") != MHD_YES;
    if (response->continuation[0])
        has_failed |= MHD_add_response_header(reply, "x-ms-continuation", response->continuation) != MHD_YES;
    if (response->item_type)
        has_failed |= MHD_add_response_header(reply, "x-ms-item-type", response->item_type) != MHD_YES;
    return has_failed ? -1 : 0;
}

/* Takes the response's body. */
static enum MHD_Result send_response(struct MHD_Connection *connection, struct http_response *response)
{
    bool has_body = response->body != NULL;
    char *body = has_body ? response->body : strdup("");
    if (!body)
        return MHD_NO;
    struct MHD_Response *reply = MHD_create_response_from_buffer(strlen(body), body, MHD_RESPMEM_MUST_FREE);
    if (!reply) {
        free(body);
        return MHD_NO;
    }
    enum MHD_Result result =
        add_headers(reply, response, has_body) ? MHD_NO : MHD_queue_response(connection, (unsigned)response->status, reply);
    MHD_destroy_response(reply);
    return result;
}

static enum MHD_Result handle(struct http_server *server, struct MHD_Connection *connection, struct http_peer *peer, const char *path,
                              const char *method)
{
    const struct bytes *body = http_peer_body(peer);
    struct http_request request = {
        .method = method,
        .path = path,
        .api_version = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "api-version"),
        .authorization = header(connection, MHD_HTTP_HEADER_AUTHORIZATION),
        .if_match = header(connection, MHD_HTTP_HEADER_IF_MATCH),
        .content_type = header(connection, MHD_HTTP_HEADER_CONTENT_TYPE),
        .continuation = header(connection, "x-ms-continuation"),
        .max_item_count = header(connection, "x-ms-max-item-count"),
        .body = bytes_text(body),
        .body_bytes = body->length_bytes,
    };
    struct http_response response = {.status = 500};
    http_peer_set_handled(peer);
    server->options.handle(server->options.user, &request, &response);
    return send_response(connection, &response);
}

/* libmicrohttpd calls it once for the head, then for each part of the body, then once more. */
static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *path, const char *method, const char *version,
                                  const char *upload, size_t *upload_bytes, void **context)
{
    (void)version;
    struct http_server *server = user;
    struct http_peer *peer = peer_of(server, connection);
    if (!peer)
        return MHD_NO;
    if (!*context) {
        *context = server;
        return MHD_YES;
    }
    if (*upload_bytes == 0)
        return handle(server, connection, peer, path, method);
    size_t length = *upload_bytes;
    *upload_bytes = 0;
    if (bytes_append(http_peer_body(peer), upload, length) == 0)
        return MHD_YES;
    http_peer_refuse(peer, TOO_LARGE, "the body is larger than 1 MiB");
    return MHD_NO;
}

/* --- peers --- */

static int begin(void *user, struct http_peer *peer, int fd)
{
    struct http_server *server = user;
    struct sockaddr_un nobody = {.sun_family = AF_UNIX};
    server->beginning = http_peer_id(peer);
    enum MHD_Result result = MHD_add_connection(server->daemon, fd, (struct sockaddr *)&nobody, sizeof nobody);
    server->beginning = 0;
    run_library(server);
    return result == MHD_YES ? 0 : -1;
}

static char *refusal_body(void *user, int status, const char *reason)
{
    const struct http_server *server = user;
    return server->options.refusal_body(server->options.user, status, reason);
}

static void free_when_over(struct http_server *server)
{
    if (!server->is_stopping || server->peer_count > 0 || server->open_handles > 0)
        return;
    SSL_CTX_free(server->tls);
    free(server);
}

static void gone(void *user, struct http_peer *peer)
{
    struct http_server *server = user;
    struct http_peer *before = NULL;
    for (struct http_peer *at = server->peers; at && at != peer; at = http_peer_next(at))
        before = at;
    if (before)
        http_peer_set_next(before, http_peer_next(peer));
    else
        server->peers = http_peer_next(peer);
    server->peer_count--;
    free_when_over(server);
}

/* The one that has had the most time to send its request and did not; where all have, the one that takes the longest to read its answer. */
static void make_room(struct http_server *server)
{
    struct http_peer *oldest = NULL, *oldest_waiting = NULL;
    for (struct http_peer *at = server->peers; at; at = http_peer_next(at)) {
        oldest = http_peer_is_closed(at) ? oldest : at;
        oldest_waiting = http_peer_waits_for_request(at) ? at : oldest_waiting;
    }
    if (oldest_waiting)
        http_peer_drop(oldest_waiting, "it sent no whole request while newer connections waited for its place");
    else if (oldest)
        http_peer_cut(oldest);
}

static void on_listen(uv_stream_t *listener, int status)
{
    struct http_server *server = listener->data;
    if (status < 0)
        return;
    if (server->peer_count >= HTTP_PEERS_MAX)
        make_room(server);
    struct http_peer *peer = http_peer_accept(listener, &server->port, ++server->last_id);
    if (!peer)
        return;
    http_peer_set_next(peer, server->peers);
    server->peers = peer;
    server->peer_count++;
}

/* --- start and stop --- */

static int fail_crypto(struct error *error, const char *what)
{
    const char *why = ERR_reason_error_string(ERR_peek_last_error());
    error_set(error, ERROR_OWNER_OURS, ERROR_CRYPTO, "service API: %s: %s", what, why ? why : "OpenSSL refuses");
    ERR_clear_error();
    return -1;
}

static int make_tls(struct http_server *server, struct error *error)
{
    const struct http_server_options *options = &server->options;
    server->tls = SSL_CTX_new(TLS_server_method());
    if (!server->tls)
        return fail_crypto(error, "TLS");
    SSL_CTX_set_min_proto_version(server->tls, TLS1_2_VERSION);
    SSL_CTX_set_options(server->tls, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_session_cache_mode(server->tls, SSL_SESS_CACHE_OFF);
    if (SSL_CTX_use_certificate(server->tls, options->leaf) != 1 || SSL_CTX_use_PrivateKey(server->tls, options->key) != 1)
        return fail_crypto(error, "certificate of the server");
    for (int i = 0; options->intermediates && i < sk_X509_num(options->intermediates); i++)
        if (SSL_CTX_add1_chain_cert(server->tls, sk_X509_value(options->intermediates, i)) != 1)
            return fail_crypto(error, "chain of the server");
    return 0;
}

static int start_library(struct http_server *server, struct error *error)
{
    server->daemon = MHD_start_daemon(MHD_USE_NO_LISTEN_SOCKET | MHD_USE_EPOLL, 0, NULL, NULL, on_request, server,
                                      MHD_OPTION_CONNECTION_LIMIT, (unsigned)2 * HTTP_PEERS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                                      (size_t)LIBRARY_MEMORY_BYTES, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_UNESCAPE_CALLBACK,
                                      leave_encoded, NULL, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_END);
    const union MHD_DaemonInfo *info = server->daemon ? MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (!info)
        return error_set(error, ERROR_OWNER_RIG, ERROR_IO, "service API: libmicrohttpd does not start");
    if (uv_poll_init(server->options.loop, &server->poll, info->listen_fd))
        return error_set(error, ERROR_OWNER_RIG, ERROR_IO, "service API: libmicrohttpd cannot be watched");
    server->open_handles++;
    server->poll.data = server;
    return uv_poll_start(&server->poll, UV_READABLE, on_poll);
}

static int to_sockaddr(const char *address, uint16_t port, struct sockaddr_storage *ret_address)
{
    return uv_ip4_addr(address, port, (struct sockaddr_in *)ret_address) && uv_ip6_addr(address, port, (struct sockaddr_in6 *)ret_address);
}

static int listen_on(struct http_server *server, uint16_t *ret_port, struct error *error)
{
    const struct http_server_options *options = &server->options;
    struct sockaddr_storage address = {0};
    int length = sizeof address, rc = UV_EINVAL;
    if (to_sockaddr(options->address, options->port, &address) == 0)
        rc = uv_tcp_bind(&server->listener, (struct sockaddr *)&address, 0);
    if (rc == 0)
        rc = uv_listen((uv_stream_t *)&server->listener, BACKLOG, on_listen);
    if (rc == 0)
        rc = uv_tcp_getsockname(&server->listener, (struct sockaddr *)&address, &length);
    if (rc)
        return error_set(error, ERROR_OWNER_RIG, ERROR_IO, "service API: listen on %s port %u: %s", options->address, options->port,
                         uv_strerror(rc));
    *ret_port =
        ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port : ((struct sockaddr_in *)&address)->sin_port);
    return 0;
}

static void init_handles(struct http_server *server)
{
    uv_tcp_init(server->options.loop, &server->listener);
    uv_timer_init(server->options.loop, &server->timer);
    server->listener.data = server->timer.data = server;
    server->open_handles = 2;
}

int http_server_start(const struct http_server_options *options, struct http_server **ret_server, uint16_t *ret_port, struct error *error)
{
    struct http_server *server = calloc(1, sizeof *server);
    if (!server)
        return error_set_memory(error);
    server->options = *options;
    init_handles(server);
    if (make_tls(server, error) || start_library(server, error) || listen_on(server, ret_port, error)) {
        http_server_stop(server);
        return -1;
    }
    server->port =
        (struct http_peer_port){.user = server,
                                .sink = options->sink,
                                .loop = options->loop,
                                .tls = server->tls,
                                .request_limit_ms = options->request_limit_ms ? options->request_limit_ms : HTTP_REQUEST_LIMIT_MS,
                                .begin = begin,
                                .refusal_body = refusal_body,
                                .gone = gone};
    *ret_server = server;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct http_server *server = handle->data;
    server->open_handles--;
    free_when_over(server);
}

void http_server_stop(struct http_server *server)
{
    if (!server || server->is_stopping)
        return;
    server->is_stopping = true;
    for (struct http_peer *at = server->peers; at; at = http_peer_next(at))
        http_peer_cut(at);
    uv_close((uv_handle_t *)&server->listener, on_closed);
    uv_close((uv_handle_t *)&server->timer, on_closed);
    if (server->poll.data)
        uv_close((uv_handle_t *)&server->poll, on_closed);
    if (server->daemon)
        MHD_stop_daemon(server->daemon);
}
