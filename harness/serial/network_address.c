#include "harness/serial/network_address.h"

#include <stdlib.h>
#include <string.h>

enum { PORT_MAX = 65535 };

bool network_address_is(const char *path)
{
    return strstr(path, "://") != NULL;
}

static int refuse(const char *path, const char *why, struct error *error)
{
    return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "port '%.200s': %s; the forms are rfc2217://HOST:PORT and tcp://HOST:PORT",
                     path, why);
}

static const char *skip_scheme(const char *path, bool *ret_is_rfc2217)
{
    *ret_is_rfc2217 = strncmp(path, "rfc2217://", 10) == 0;
    if (*ret_is_rfc2217)
        return path + 10;
    return strncmp(path, "tcp://", 6) == 0 ? path + 6 : NULL;
}

/* Nothing else goes into gensio's string, where commas and parentheses have a meaning. */
static bool is_host(const char *text, size_t length)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:%";
    return length && length < NETWORK_HOST_MAX_BYTES && strspn(text, letters) >= length;
}

static bool is_port(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    return digits && digits < NETWORK_PORT_MAX_BYTES && !text[digits] && atoi(text) > 0 && atoi(text) <= PORT_MAX;
}

int network_address_read(const char *path, struct network_address *ret_address, struct error *error)
{
    struct network_address address = {0};
    const char *host = skip_scheme(path, &address.is_rfc2217);
    const char *colon = host ? strrchr(host, ':') : NULL;
    if (!host)
        return refuse(path, "unknown scheme", error);
    if (!colon || !is_port(colon + 1))
        return refuse(path, "no port number from 1 to 65535 at its end", error);
    size_t length = (size_t)(colon - host);
    bool is_bracketed = length > 2 && host[0] == '[' && host[length - 1] == ']';
    host += is_bracketed;
    length -= is_bracketed ? 2 : 0;
    if (!is_host(host, length) || (!is_bracketed && memchr(host, ':', length)))
        return refuse(path, "no host name or address (an IPv6 address stands in brackets)", error);
    memcpy(address.host, host, length);
    strcpy(address.port, colon + 1);
    *ret_address = address;
    return 0;
}
