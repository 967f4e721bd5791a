/*
 * broker_sim/webhook_port.h - a way to ask somebody over HTTP, as the services need it
 *
 * What:     one function, so that custom allocation runs against libcurl in the program (broker_sim/webhook) and against a list in tests.
 */
#ifndef BROKER_SIM_WEBHOOK_PORT_H
#define BROKER_SIM_WEBHOOK_PORT_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct webhook_answer {
    int status;          /* of HTTP; 0: none came */
    const char *body;    /* lent for the call; "" when there is none */
    size_t length_bytes; /* of the body, which is NUL-terminated too */
    const char *trouble; /* status 0: what went wrong, for a person; else NULL */
    bool is_timeout;     /* status 0: it took too long */
    int64_t duration_ms;
};

struct webhook_port {
    void *user;
    /*
     * POST `body` (JSON) to `url`. `done` is called once, now or later, when 0 was returned; not when it fails.
     * error: REFUSED (file): a host that is not allowed. SYNTAX (file): no URL that we take. LIMIT (rig): too many at once. MEMORY.
     */
    int (*post)(void *user, const char *url, const char *body, void (*done)(void *context, const struct webhook_answer *answer),
                void *context, struct error *error);
};

#endif
