#include "broker_sim/broker/reserved_port.h"

#include "base/cleanup.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <uv.h>

static int parse_address(const char *address, uint16_t port, struct sockaddr_storage *ret_address, socklen_t *ret_length,
                         struct error *error)
{
    if (uv_ip4_addr(address, port, (struct sockaddr_in *)ret_address) == 0)
        *ret_length = sizeof(struct sockaddr_in);
    else if (uv_ip6_addr(address, port, (struct sockaddr_in6 *)ret_address) == 0)
        *ret_length = sizeof(struct sockaddr_in6);
    else
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "'%s' is not a numeric address", address);
    return 0;
}

static uint16_t port_of(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)address)->sin6_port);
    return ntohs(((const struct sockaddr_in *)address)->sin_port);
}

int reserved_port_open(const char *address, uint16_t port, struct reserved_port *ret_port, struct error *error)
{
    struct sockaddr_storage name = {0};
    socklen_t length = 0;
    if (parse_address(address, port, &name, &length, error))
        return -1;
    CLEANUP_FD int fd = socket(name.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) || bind(fd, (struct sockaddr *)&name, length) ||
        getsockname(fd, (struct sockaddr *)&name, &length))
        return error_set_errno(error, ERROR_OWNER_RIG, errno, "reserve port %u on %s", port, address);
    *ret_port = (struct reserved_port){.fd = TAKE_FD(fd), .port = port_of(&name)};
    return 0;
}

void reserved_port_close(struct reserved_port *port)
{
    if (!port || port->fd < 0)
        return;
    close(port->fd);
    port->fd = -1;
}
