#include "harness/doctor/public_path.h"

#include "base/cleanup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <string.h>

DEFINE_CLEANUP(SSL_CTX *, SSL_CTX_free)
DEFINE_CLEANUP(SSL *, SSL_free)
DEFINE_CLEANUP(X509 *, X509_free)

/* ---- addresses ---- */

bool public_path_is_loopback(const char *address)
{
    struct in_addr four;
    struct in6_addr six;
    if (inet_pton(AF_INET, address, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, address, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

static bool is_in(uint32_t address, uint32_t network, int bits)
{
    return (address ^ network) >> (32 - bits) == 0;
}

bool public_path_is_private(const char *address)
{
    static const struct {
        uint32_t network;
        int bits;
    } networks[] = {{0x7f000000, 8}, {0x0a000000, 8}, {0xac100000, 12}, {0xc0a80000, 16}, {0x64400000, 10}, {0xa9fe0000, 16}};
    struct in_addr four;
    struct in6_addr six;
    if (inet_pton(AF_INET6, address, &six) == 1)
        return IN6_IS_ADDR_LOOPBACK(&six) || IN6_IS_ADDR_LINKLOCAL(&six) || (six.s6_addr[0] & 0xfe) == 0xfc;
    if (inet_pton(AF_INET, address, &four) != 1)
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(networks); i++)
        if (is_in(ntohl(four.s_addr), networks[i].network, networks[i].bits))
            return true;
    return false;
}

/* ---- TCP ---- */

static int wait_for(int fd, short events, deadline_t deadline)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};
    return poll(&poll_fd, 1, (int)deadline_left_ms(&clock_system, deadline)) > 0 ? 0 : -1;
}

static socklen_t make_address(const struct endpoint *endpoint, struct sockaddr_storage *ret_address)
{
    struct sockaddr_in *four = (struct sockaddr_in *)ret_address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)ret_address;
    *ret_address = (struct sockaddr_storage){.ss_family = AF_INET6};
    if (inet_pton(AF_INET6, endpoint->address, &six->sin6_addr) == 1) {
        six->sin6_port = htons(endpoint->port);
        return sizeof *six;
    }
    *four = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(endpoint->port)};
    inet_pton(AF_INET, endpoint->address, &four->sin_addr);
    return sizeof *four;
}

static int connect_tcp(const struct endpoint *endpoint, deadline_t deadline, int *ret_fd, struct error *error)
{
    struct sockaddr_storage address;
    char text[ENDPOINT_TEXT_BYTES];
    socklen_t length = make_address(endpoint, &address), size = sizeof(int);
    CLEANUP_FD int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int reason = 0;
    endpoint_format(endpoint, text);
    if (fd < 0)
        return error_set_errno(error, ERROR_OWNER_OURS, errno, "make a socket");
    if (connect(fd, (struct sockaddr *)&address, length) && errno != EINPROGRESS)
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "connect to %s", text);
    if (wait_for(fd, POLLOUT, deadline))
        return error_set(error, ERROR_OWNER_RIG, ERROR_TIMEOUT, "connect to %s: no answer", text);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &reason, &size) || reason)
        return error_set_errno(error, ERROR_OWNER_RIG, reason, "connect to %s", text);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* ---- TLS ---- */

static int fail(const char *what, struct error *error)
{
    char text[PUBLIC_PATH_TEXT_BYTES];
    ERR_error_string_n(ERR_peek_last_error(), text, sizeof text);
    ERR_clear_error();
    return error_set(error, ERROR_OWNER_FILE, ERROR_CRYPTO, "%s: %s", what, text);
}

/* It may end with an alert, for want of a client certificate: what came before is what we wanted. */
static void shake_hands(SSL *ssl, int fd, deadline_t deadline)
{
    while (!deadline_has_passed(&clock_system, deadline)) {
        int rc = SSL_connect(ssl), reason = SSL_get_error(ssl, rc);
        if (reason != SSL_ERROR_WANT_READ && reason != SSL_ERROR_WANT_WRITE)
            break;
        if (wait_for(fd, reason == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, deadline))
            break;
    }
    ERR_clear_error();
}

static bool is_for(X509 *certificate, const char *name)
{
    unsigned char address[sizeof(struct in6_addr)];
    if (inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1)
        return X509_check_ip_asc(certificate, name, 0) == 1;
    return X509_check_host(certificate, name, 0, 0, NULL) == 1;
}

static void look_at(SSL *ssl, const char *name, struct public_path *path)
{
    CLEANUP(X509_free_cleanup) X509 *certificate = SSL_get1_peer_certificate(ssl);
    long result = SSL_get_verify_result(ssl);
    if (!certificate)
        return;
    path->has_certificate = true;
    path->is_trusted = result == X509_V_OK;
    path->has_name = is_for(certificate, name);
    snprintf(path->why_not, sizeof path->why_not, "%s", path->is_trusted ? "" : X509_verify_cert_error_string(result));
    X509_NAME_oneline(X509_get_subject_name(certificate), path->subject, sizeof path->subject);
}

static int look(SSL_CTX *context, int fd, const char *name, deadline_t deadline, struct public_path *path, struct error *error)
{
    CLEANUP(SSL_free_cleanup) SSL *ssl = SSL_new(context);
    if (!ssl || SSL_set_fd(ssl, fd) != 1 || SSL_set_tlsext_host_name(ssl, name) != 1)
        return fail("begin TLS", error);
    shake_hands(ssl, fd, deadline);
    look_at(ssl, name, path);
    return path->has_certificate
               ? 0
               : error_set(error, ERROR_OWNER_RIG, ERROR_IO, "something accepts the connection, but shows no certificate: no TLS server");
}

int public_path_try(const struct endpoint *endpoint, const char *name, const char *root_path, deadline_t deadline,
                    struct public_path *ret_path, struct error *error)
{
    CLEANUP(SSL_CTX_free_cleanup) SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    struct public_path path = {.has_root = root_path != NULL};
    CLEANUP_FD int fd = -1;
    if (!context || (root_path && SSL_CTX_load_verify_file(context, root_path) != 1))
        return fail("read the simulator's root", error);
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
    if (connect_tcp(endpoint, deadline, &fd, error) || look(context, fd, name, deadline, &path, error))
        return -1;
    *ret_path = path;
    return 0;
}
