/*
 * harness/probe/tls.h - the TLS of a client of ours: a device's certificates, and a view of the handshake
 *
 * What:     TLS 1.2 as the modem speaks it: the chain exactly as in the file, weak keys and digests not judged, no session cache. What happens in
 *           the handshake is told to an observer, our own judgement of the server's certificate included.
 * Not here: what a server with several names and addresses is; MQTT.
 * Errors:   CRYPTO (file): OpenSSL does not take chain, key or root. OpenSSL's error queue is empty after every call.
 */
#ifndef HARNESS_PROBE_TLS_H
#define HARNESS_PROBE_TLS_H

#include "base/clock.h"
#include "base/error.h"
#include "harness/probe/observer.h"

#include <openssl/ssl.h>

struct probe_tls_options {
    const x509_stack *chain; /* lent */
    EVP_PKEY *key;           /* lent; the first certificate's */
    const char *root_path;   /* PEM; NULL: what this machine trusts */
};

/* One context for all connections of a probe; it begins with stage PROBE_DPS and no name to compare. */
struct probe_tls {
    SSL_CTX *context;
    const struct clock *clock;
    struct probe_observer observer;
    enum probe_stage stage;
};

/* ret_tls must stay where it is until probe_tls_done(): OpenSSL's callbacks point to it. Untouched on failure. */
int probe_tls_init(const struct probe_tls_options *options, const struct clock *clock, const struct probe_observer *observer,
                   struct probe_tls *ret_tls, struct error *error);
/* The next connection: `host` must stand in the server's certificate; NULL: no name is compared. */
int probe_tls_expect(struct probe_tls *tls, enum probe_stage stage, const char *host, struct error *error);
void probe_tls_done(struct probe_tls *tls); /* NULL allowed */

#endif
