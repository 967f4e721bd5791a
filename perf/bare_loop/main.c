/*
 * bare_loop: the yardstick. A non-blocking OpenSSL accept loop that answers each handshake with four bytes and does nothing else.
 *
 * The SSL_CTX is made by the front door's own code (broker_sim/front_door/tls.h), so that the two cannot drift apart; only its
 * callbacks, which write events, are replaced: the one that verifies by one that accepts as the front door's does.
 */
#include "base/arguments.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "broker_sim/front_door/tls.h"
#include "broker_sim/front_door/tls_library.h"
#include "certs/chain.h"

#include <argp.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum {
    EXIT_USAGE = 2,
    EXIT_MACHINE = 3,
    BACKLOG = 1024,
    ACCEPTS_PER_TURN_MAX = 16, /* as the front door */
    EVENTS_PER_TURN = 64,
    DRAIN_BYTES = 4096,
};

static const char answer[4] = {0x20, 0x02, 0x00, 0x00};

struct options {
    const char *certificate, *key;
    bool has_front_door_library;
};

struct peer {
    int fd;
    SSL *ssl;
    bool is_answered;
};

struct loop {
    SSL_CTX *tls;
    int listen_fd;
    int epoll_fd;
};

static void close_peer(struct peer *peer)
{
    SSL_free(peer->ssl);
    ERR_clear_error();
    close(peer->fd);
    free(peer);
}

static bool is_waiting(const struct peer *peer, int result)
{
    int why = SSL_get_error(peer->ssl, result);
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
}

static void answer_handshake(struct peer *peer)
{
    ERR_clear_error();
    int result = SSL_accept(peer->ssl);
    if (result != 1) {
        if (!is_waiting(peer, result))
            close_peer(peer);
        return;
    }
    SSL_write(peer->ssl, answer, sizeof answer);
    peer->is_answered = true;
}

/* The client speaks next: close_notify and FIN. */
static void await_end(struct peer *peer)
{
    char buffer[DRAIN_BYTES];
    ERR_clear_error();
    int got = SSL_read(peer->ssl, buffer, sizeof buffer);
    if (got > 0 || is_waiting(peer, got))
        return;
    if (SSL_get_shutdown(peer->ssl) & SSL_RECEIVED_SHUTDOWN)
        SSL_shutdown(peer->ssl);
    close_peer(peer);
}

static void serve(struct peer *peer)
{
    if (peer->is_answered)
        await_end(peer);
    else
        answer_handshake(peer);
}

static struct peer *new_peer(const struct loop *loop, int fd)
{
    struct peer *peer = calloc(1, sizeof *peer);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
    if (!peer)
        return NULL;
    peer->fd = fd;
    peer->ssl = SSL_new(loop->tls);
    if (peer->ssl && SSL_set_fd(peer->ssl, fd) == 1 && epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0) {
        SSL_set_accept_state(peer->ssl);
        return peer;
    }
    SSL_free(peer->ssl);
    free(peer);
    return NULL;
}

static void accept_peers(const struct loop *loop)
{
    const int on = 1;
    for (int i = 0; i < ACCEPTS_PER_TURN_MAX; i++) {
        int fd = accept4(loop->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (!new_peer(loop, fd))
            close(fd);
    }
}

static void run(const struct loop *loop)
{
    struct epoll_event events[EVENTS_PER_TURN];
    for (;;) {
        int count = epoll_wait(loop->epoll_fd, events, EVENTS_PER_TURN, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr)
                serve(events[i].data.ptr);
            else
                accept_peers(loop);
        }
    }
}

/* Every error is passed, as the front door passes it. */
static int on_verify(int is_good, X509_STORE_CTX *store)
{
    (void)is_good, (void)store;
    return 1;
}

static int make_tls(const struct options *options, SSL_CTX **ret_tls, struct error *error)
{
    CLEANUP_CHAIN x509_stack *chain = NULL;
    CLEANUP_PKEY EVP_PKEY *key = NULL;
    if (certificates_read_file(options->certificate, &chain, error) || private_key_read_file(options->key, &key, error))
        return -1;
    CLEANUP_X509 X509 *leaf = sk_X509_shift(chain);
    const struct lane_identity identity = {.leaf = leaf, .key = key, .intermediates = chain};
    SSL_CTX *tls;
    OSSL_LIB_CTX *library = options->has_front_door_library ? tls_library_context(tls_library_new()) : NULL;
    if (tls_context_new(library, &identity, tls_versions_or_default(0, 0), &tls, error))
        return -1;
    /* All that look for the connection behind the SSL: here is none. */
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, on_verify);
    SSL_CTX_set_cert_verify_callback(tls, NULL, NULL);
    SSL_CTX_set_tlsext_servername_callback(tls, NULL);
    SSL_CTX_set_client_hello_cb(tls, NULL, NULL);
    SSL_CTX_set_info_callback(tls, NULL);
    *ret_tls = tls;
    return 0;
}

static int listen_anywhere(struct loop *loop, uint16_t *ret_port, struct error *error)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    struct epoll_event event = {.events = EPOLLIN};
    loop->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->listen_fd < 0 || loop->epoll_fd < 0 || bind(loop->listen_fd, (struct sockaddr *)&address, length) ||
        listen(loop->listen_fd, BACKLOG) || getsockname(loop->listen_fd, (struct sockaddr *)&address, &length) ||
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->listen_fd, &event))
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "listen on 127.0.0.1");
    *ret_port = ntohs(address.sin_port);
    return 0;
}

static error_t on_key(int key, char *text, struct argp_state *state)
{
    struct options *options = state->input;
    if (key == 'c')
        options->certificate = text;
    else if (key == 'k')
        options->key = text;
    else if (key == 'l')
        options->has_front_door_library = true;
    else if (key != ARGP_KEY_END)
        return ARGP_ERR_UNKNOWN;
    else if (!options->certificate || !options->key)
        arguments_refuse(state, "--certificate and --key are required");
    return 0;
}

static const struct argp_option entries[] = {
    {"certificate", 'c', "FILE", 0, "PEM: the server's leaf, then what is sent behind it", 0},
    {"key", 'k', "FILE", 0, "Its private key", 0},
    {"front-door-library", 'l', NULL, 0, "Use the front door's library context in place of OpenSSL's own", 0},
    {0},
};

static const char doc[] = "The yardstick of ./bench perf: TLS handshakes with the front door's settings, answered with four bytes.\v"
                          "Example:\n"
                          "  bare_loop --certificate server.pem --key server.key.pem\n"
                          "\n"
                          "Prints {\"address\":\"127.0.0.1:PORT\"} when it serves; a signal ends it.\n"
                          "Exit status: 2 wrong usage, 3 trouble of the machine.\n";

int main(int argc, char **argv)
{
    static const struct argp argp = {.options = entries, .parser = on_key, .doc = doc};
    struct options options = {0};
    struct loop loop = {0};
    struct error error = ERROR_INIT;
    uint16_t port = 0;
    argp_err_exit_status = EXIT_USAGE;
    arguments_parse(&argp, argc, argv, &options);
    log_init("bare_loop", LOG_INFO);
    signal(SIGPIPE, SIG_IGN);
    if (make_tls(&options, &loop.tls, &error) || listen_anywhere(&loop, &port, &error)) {
        log_error("%s", error.text);
        return EXIT_MACHINE;
    }
    printf("{\"address\":\"127.0.0.1:%u\"}\n", port);
    fflush(stdout);
    run(&loop);
}
