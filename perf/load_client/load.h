/*
 * perf/load_client/load.h - many devices at once against one server, on one thread
 *
 * What:     `count` conversations, `concurrency` at a time, each with a connection and a full TLS handshake of its own; non-blocking
 *           OpenSSL on epoll. The time of a device runs from connect() to the reply that ends its script; then it says DISCONNECT and
 *           close_notify and waits for the server's FIN before its place is taken by the next one.
 * Cheap:    the server's certificate is not verified: the load must not become the bottleneck, and it is the server that is measured.
 * Limits:   DEVICE_MAX_MS a device, `deadline` for all.
 */
#ifndef PERF_LOAD_CLIENT_LOAD_H
#define PERF_LOAD_CLIENT_LOAD_H

#include "base/clock.h"
#include "perf/load_client/device_pool.h"
#include "perf/load_client/script.h"

#include <sys/socket.h>

enum { DEVICE_MAX_MS = 20000, CONCURRENCY_MAX = 4096 };

struct load_options {
    struct sockaddr_storage address;
    socklen_t address_bytes;
    enum script_kind kind;
    const struct device_pool *pool; /* lent; one device a conversation, from the start again when they run out */
    size_t count;
    size_t concurrency;   /* devices that hold do not count */
    const char *id_scope; /* lent */
    const char *sni;      /* lent */
    deadline_t deadline;
    /* SCRIPT_IDLE: called once all are connected; they are closed when it returns. */
    void (*hold)(void *user);
    void *user;
};

struct load_result {
    size_t done;     /* conversations that ended as they should */
    size_t failures; /* no connection, no handshake, closed too early, too slow */
    size_t wrong;    /* a reply that was not the expected one, or not this device's */
    int64_t wall_us; /* from the first connect() to the last script's end */
    int64_t cpu_us;  /* of this process, over the same time */
    int64_t p50_us, p90_us, p99_us, max_us;
    char first_failure[256]; /* "" when there was none */
};

/* IO (rig), CRYPTO (ours): the load could not begin. A failed device is counted, not an error. */
int load_run(const struct load_options *options, struct load_result *ret_result, struct error *error);

#endif
