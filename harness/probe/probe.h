/*
 * harness/probe/probe.h - a registration and a hub connection from this host, with a device's own credentials
 *
 * What:     tells "these credentials are wrong" from "this device is wrong": the same chain, key, root, ID scope and id, against the simulator or the
 *           real Azure, each step told, and one verdict at the end.
 * Not here: which rule of a simulator refused (`dpsbench try`): an endpoint says only what it says to devices.
 * Errors:   file: chain, key or root cannot be used. A server that cannot be reached, or does not answer, is an outcome, not an error.
 */
#ifndef HARNESS_PROBE_PROBE_H
#define HARNESS_PROBE_PROBE_H

#include "harness/probe/dps_client.h"

enum { PROBE_VERSION = 1 };

#define PROBE_OUTCOMES(X)                                                                                                                  \
    X(PROBE_ACCEPTED, "accepted")             /* DPS assigned a hub, and the hub took the device */                                        \
    X(PROBE_REFUSED_BY_DPS, "refused-by-dps") /* whoever presents these credentials is refused */                                          \
    X(PROBE_REFUSED_BY_HUB, "refused-by-hub")                                                                                              \
    X(PROBE_SERVER_NOT_TRUSTED, "server-not-trusted") /* with this root, the server's certificate is refused */                            \
    X(PROBE_PASSING_TROUBLE, "passing-trouble")       /* throttled, a hub that is away: nothing is known of the credentials */             \
    X(PROBE_NO_ANSWER, "no-answer")                   /* no connection, or nothing came */

enum probe_outcome {
#define X(id, name) id,
    PROBE_OUTCOMES(X)
#undef X
};
const char *probe_outcome_name(enum probe_outcome outcome);

/* Texts are malloc'ed. */
struct probe_result {
    enum probe_outcome outcome;
    char *text; /* what it means, one sentence or two */
    char *mend; /* what to do next; "" when there is nothing */
    struct dps_conversation conversation;
};

/* `options->observer` sees each step. ret_result: probe_result_done() it; untouched on failure. INTERRUPTED (person). */
int probe_run(const struct dps_client_options *options, struct probe_result *ret_result, struct error *error);
void probe_result_done(struct probe_result *result); /* NULL allowed */

/* One line for a person: "< CONNACK 5, not authorized". malloc'ed, NULL when out of memory or when there is nothing to tell. */
char *probe_event_text(const struct probe_event *event);
/* The same as JSON (docs/probe.md). NULL when out of memory. */
cJSON *probe_event_json(const struct probe_event *event, int64_t first_us);

#endif
