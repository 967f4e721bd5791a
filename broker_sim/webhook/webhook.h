/*
 * broker_sim/webhook/webhook.h - POST JSON to a person's own web server, on our loop
 *
 * What:     the webhooks of custom allocation: one HTTP request a call, its answer in a callback. HTTP and TLS are libcurl's, driven by the libuv
 *           loop; nothing blocks.
 * Where to: http and https. Only loopback addresses, by whatever name, unless `allows_any_host`: a simulator that runs other people's state folders
 *           must not become a way into their network. Checked again on the address that the connection goes to. No proxy, no redirects, no
 *           environment variables.
 * Limits:   WEBHOOKS_MAX at once, WEBHOOK_ANSWER_MAX_BYTES an answer, `timeout_ms` from the call to the whole answer.
 * Errors:   webhook_port.h.
 */
#ifndef BROKER_SIM_WEBHOOK_WEBHOOK_H
#define BROKER_SIM_WEBHOOK_WEBHOOK_H

#include "base/clock.h"
#include "broker_sim/webhook_port.h"

#include <stdbool.h>
#include <uv.h>

enum { WEBHOOKS_MAX = 64, WEBHOOK_ANSWER_MAX_BYTES = 256 * 1024, WEBHOOK_URL_MAX_BYTES = 2048, WEBHOOK_TIMEOUT_MS = 5000 };

struct webhooks_options {
    uv_loop_t *loop;
    const struct clock *clock;
    bool allows_any_host;
    int64_t timeout_ms;  /* 0: WEBHOOK_TIMEOUT_MS */
    const char *resolve; /* for tests, in place of the system's resolver: "localhost:8080:192.0.2.1"; lent; NULL: none */
};

struct webhooks;

/* NULL when out of memory. libcurl is not touched before the first call. */
struct webhooks *webhooks_new(const struct webhooks_options *options);
/* What is under way is answered with trouble at once; handles close on the loop. NULL allowed. */
void webhooks_free(struct webhooks *webhooks);

struct webhook_port webhooks_port(struct webhooks *webhooks);

#endif
