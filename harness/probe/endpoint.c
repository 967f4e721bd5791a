#include "harness/probe/endpoint.h"

#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>

enum { PORT_MAX = 65535 };

static int read_port(const char *text, const char *whole, uint16_t *ret_port, struct error *error)
{
    char *end;
    unsigned long port = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || port == 0 || port > PORT_MAX)
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "'%s': '%s' is not a port (1 to %d)", whole, text, PORT_MAX);
    *ret_port = (uint16_t)port;
    return 0;
}

/* The colon before the port; NULL when there is none, as in "::1". */
static const char *port_colon(const char *text)
{
    const char *closing = text[0] == '[' ? strchr(text, ']') : NULL;
    if (closing)
        return closing[1] == ':' ? closing + 1 : NULL;
    const char *first = strchr(text, ':');
    return first && !strchr(first + 1, ':') ? first : NULL;
}

int endpoint_split(const char *text, uint16_t fallback, char host[ENDPOINT_HOST_BYTES], uint16_t *ret_port, struct error *error)
{
    const char *colon = port_colon(text);
    size_t skip = text[0] == '[', length = colon ? (size_t)(colon - text) : strlen(text);
    uint16_t port = fallback;
    if (colon && read_port(colon + 1, text, &port, error))
        return -1;
    if (length < 2 * skip + 1 || length - 2 * skip >= ENDPOINT_HOST_BYTES || (skip && text[length - 1] != ']'))
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "'%.300s' is not HOST or HOST:PORT", text);
    snprintf(host, ENDPOINT_HOST_BYTES, "%.*s", (int)(length - 2 * skip), text + skip);
    *ret_port = port;
    return 0;
}

static bool is_numeric(const char *host)
{
    struct in6_addr address;
    return uv_inet_pton(AF_INET, host, &address) == 0 || uv_inet_pton(AF_INET6, host, &address) == 0;
}

int endpoint_read(const char *text, struct endpoint *ret_endpoint, struct error *error)
{
    char host[ENDPOINT_HOST_BYTES];
    uint16_t port;
    if (endpoint_split(text, 0, host, &port, error))
        return -1;
    if (!port || !is_numeric(host))
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "'%.300s' is not ADDR:PORT with a numeric address", text);
    *ret_endpoint = (struct endpoint){.port = port};
    snprintf(ret_endpoint->address, sizeof ret_endpoint->address, "%.*s", ENDPOINT_ADDRESS_BYTES - 1, host);
    return 0;
}

struct look_up {
    uv_getaddrinfo_t request;
    bool is_done;
    int status;
    struct addrinfo *found;
};

static void on_looked_up(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct look_up *look_up = request->data;
    look_up->is_done = true;
    look_up->status = status;
    look_up->found = found;
}

static bool is_done(void *user)
{
    return ((const struct look_up *)user)->is_done;
}

/* A request cannot be left alone while it runs: it ends soon after it is cancelled, or when the resolver gives up. */
static int await(struct waiting *waiting, struct look_up *look_up, const char *host, deadline_t deadline, struct error *error)
{
    char what[ENDPOINT_HOST_BYTES + 32];
    snprintf(what, sizeof what, "the address of '%s'", host);
    if (waiting_until(waiting, is_done, look_up, deadline, what, error) == 0)
        return 0;
    uv_cancel((uv_req_t *)&look_up->request);
    while (!look_up->is_done)
        uv_run(waiting_loop(waiting), UV_RUN_ONCE);
    uv_freeaddrinfo(look_up->found);
    return -1;
}

static int take(const struct addrinfo *found, uint16_t port, struct endpoint *ret_endpoint)
{
    ret_endpoint->port = port;
    if (found->ai_family == AF_INET6)
        return uv_ip6_name((const struct sockaddr_in6 *)(const void *)found->ai_addr, ret_endpoint->address, ENDPOINT_ADDRESS_BYTES);
    return uv_ip4_name((const struct sockaddr_in *)(const void *)found->ai_addr, ret_endpoint->address, ENDPOINT_ADDRESS_BYTES);
}

int endpoint_resolve(struct waiting *waiting, const char *host, uint16_t port, deadline_t deadline, struct endpoint *ret_endpoint,
                     struct error *error)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct look_up look_up = {.request.data = &look_up};
    int rc = uv_getaddrinfo(waiting_loop(waiting), &look_up.request, on_looked_up, host, NULL, &hints);
    if (rc == 0 && await(waiting, &look_up, host, deadline, error))
        return -1;
    if (rc == 0)
        rc = look_up.status;
    if (rc == 0)
        rc = take(look_up.found, port, ret_endpoint);
    uv_freeaddrinfo(look_up.found);
    return rc ? error_set(error, ERROR_OWNER_RIG, ERROR_NOT_FOUND, "look up '%s': %s", host, uv_strerror(rc)) : 0;
}

void endpoint_format(const struct endpoint *endpoint, char text[ENDPOINT_TEXT_BYTES])
{
    snprintf(text, ENDPOINT_TEXT_BYTES, strchr(endpoint->address, ':') ? "[%s]:%u" : "%s:%u", endpoint->address, endpoint->port);
}
