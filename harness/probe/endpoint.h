/*
 * harness/probe/endpoint.h - where a server is: a numeric address and a port
 *
 * Errors:   SYNTAX (file): not of that form. NOT_FOUND (rig): nobody knows the name. TIMEOUT (rig), INTERRUPTED (person).
 */
#ifndef HARNESS_PROBE_ENDPOINT_H
#define HARNESS_PROBE_ENDPOINT_H

#include "harness/wait/waiting.h"

#include <stdint.h>

enum { ENDPOINT_ADDRESS_BYTES = 64, ENDPOINT_TEXT_BYTES = ENDPOINT_ADDRESS_BYTES + 10, ENDPOINT_HOST_BYTES = 256 };

struct endpoint {
    char address[ENDPOINT_ADDRESS_BYTES]; /* numeric, without brackets */
    uint16_t port;
};

/* "127.0.0.1:8883", "[::1]:8883". */
int endpoint_read(const char *text, struct endpoint *ret_endpoint, struct error *error);
/* "HOST", "HOST:PORT", "[::1]:PORT": the host as text, and the port, `fallback` where none is named. */
int endpoint_split(const char *text, uint16_t fallback, char host[ENDPOINT_HOST_BYTES], uint16_t *ret_port, struct error *error);
/* Look `host` up; its first address. A numeric one is taken as it is. */
int endpoint_resolve(struct waiting *waiting, const char *host, uint16_t port, deadline_t deadline, struct endpoint *ret_endpoint,
                     struct error *error);
void endpoint_format(const struct endpoint *endpoint, char text[ENDPOINT_TEXT_BYTES]);

#endif
