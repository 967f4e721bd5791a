/*
 * broker_sim/http/http_server.h - an HTTPS server on the simulator's own loop: one request a connection
 *
 * What:     sockets by libuv, TLS by OpenSSL, HTTP/1.1 by libmicrohttpd, which gets each connection's plain bytes through a socket pair once
 *           http_guard.h has passed the head. Each connection carries one request and is closed behind the answer: what somebody hides behind a
 *           request is never read as another one.
 * Slow:     a connection that has not sent its whole request within the limit after it was accepted is answered 408 and closed. Where
 *           HTTP_PEERS_MAX connections are open, the oldest that has not sent its whole request gives way to a new one.
 * Events:   http.refused for everything that does not reach the handler.
 * Errors:   body of refusals: what `refusal_body` makes.
 */
#ifndef BROKER_SIM_HTTP_HTTP_SERVER_H
#define BROKER_SIM_HTTP_HTTP_SERVER_H

#include "base/bytes.h"
#include "broker_sim/event_sink.h"
#include "certs/chain.h"

#include <openssl/ssl.h>
#include <uv.h>

enum { HTTP_PEERS_MAX = 32, HTTP_REQUEST_LIMIT_MS = 20000, HTTP_ANSWER_LIMIT_MS = 20000, HTTP_HEADER_VALUE_BYTES = 512 };

/* What the handlers look at; lent for the call, NULL where the request has none. Nothing is decoded. */
struct http_request {
    const char *method;
    const char *path;        /* without the query; percent-encoded as sent */
    const char *api_version; /* of the query */
    const char *authorization;
    const char *if_match;
    const char *content_type;
    const char *continuation;   /* x-ms-continuation */
    const char *max_item_count; /* x-ms-max-item-count */
    const char *body;           /* NUL-terminated; never NULL */
    size_t body_bytes;
};

struct http_response {
    int status;                                 /* 200 to 599 */
    char *body;                                 /* JSON, malloc'ed, taken; NULL: none */
    char continuation[HTTP_HEADER_VALUE_BYTES]; /* x-ms-continuation; "" : none */
    const char *item_type;                      /* x-ms-item-type; NULL: none */
};

struct http_server;

struct http_server_options {
    uv_loop_t *loop;
    struct event_sink sink;
    const char *address; /* numeric, lent for the call */
    uint16_t port;       /* 0: the kernel chooses */
    X509 *leaf;          /* references are taken of this and the following */
    EVP_PKEY *key;
    const x509_stack *intermediates; /* NULL: none */
    int64_t request_limit_ms;        /* 0: HTTP_REQUEST_LIMIT_MS */
    void *user;
    /* ret_response: zeroed before the call, status 500. */
    void (*handle)(void *user, const struct http_request *request, struct http_response *ret_response);
    /* The JSON body of a refusal; malloc'ed, NULL: none. */
    char *(*refusal_body)(void *user, int status, const char *reason);
};

/* Listens when it returns. IO (rig): the port; CRYPTO (ours). */
int http_server_start(const struct http_server_options *options, struct http_server **ret_server, uint16_t *ret_port, struct error *error);
/* Connections are cut; the loop must turn afterwards, then the memory is gone. NULL allowed. */
void http_server_stop(struct http_server *server);

#endif
