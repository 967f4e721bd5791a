/*
 * broker_sim/http/http_peer.h - inside of the HTTPS server: one connection, from its handshake to its end
 *
 * What:     TLS on one side, a socket pair to libmicrohttpd on the other, the guard and the time limit between them.
 */
#ifndef BROKER_SIM_HTTP_HTTP_PEER_H
#define BROKER_SIM_HTTP_HTTP_PEER_H

#include "broker_sim/http/http_guard.h"
#include "broker_sim/http/http_server.h"

struct http_peer;

/* What a peer needs of the server. */
struct http_peer_port {
    void *user;
    struct event_sink sink;
    uv_loop_t *loop;
    SSL_CTX *tls;
    int64_t request_limit_ms;
    /* The request's head is good: give the plain end to libmicrohttpd. The descriptor is taken in every case. */
    int (*begin)(void *user, struct http_peer *peer, int fd);
    char *(*refusal_body)(void *user, int status, const char *reason);
    /* Its memory goes behind this call. */
    void (*gone)(void *user, struct http_peer *peer);
};

/* Takes the connection that waits at `listener`. NULL: it could not. port: lent for the life of the peer. */
struct http_peer *http_peer_accept(uv_stream_t *listener, const struct http_peer_port *port, uint64_t id);
/* No answer, no event; `gone` comes later. */
void http_peer_cut(struct http_peer *peer);
/* As above, with an event that names `reason`. */
void http_peer_drop(struct http_peer *peer, const char *reason);
/* Our own answer in place of the library's, with an event; then the end. */
void http_peer_refuse(struct http_peer *peer, int status, const char *reason);
bool http_peer_waits_for_request(const struct http_peer *peer);

/* The handler has the request: what comes through the pair from now on is its answer, not an error of the library. */
void http_peer_set_handled(struct http_peer *peer);
/* The request's body, collected by the server. */
struct bytes *http_peer_body(struct http_peer *peer);

bool http_peer_is_closed(const struct http_peer *peer);
/* Never reused: libmicrohttpd may outlive the peer, and asks for it by this. */
uint64_t http_peer_id(const struct http_peer *peer);
struct http_peer *http_peer_next(const struct http_peer *peer);
void http_peer_set_next(struct http_peer *peer, struct http_peer *next);

#endif
