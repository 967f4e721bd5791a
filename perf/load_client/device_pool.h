/*
 * perf/load_client/device_pool.h - devices for a load: an id, a P-256 key and a leaf each, one issuer for all
 *
 * What:     makes the leaves itself, from the issuer's key: every device of a load is another one to the service (other key, other
 *           bytes), so that a server cannot shine by having seen the certificate before.
 * Not here: the issuer and its root (certs/forge.h).
 */
#ifndef PERF_LOAD_CLIENT_DEVICE_POOL_H
#define PERF_LOAD_CLIENT_DEVICE_POOL_H

#include "certs/chain.h"

enum { DEVICE_ID_BYTES = 32, DEVICES_MAX = 20000 };

struct device {
    char id[DEVICE_ID_BYTES]; /* registration id and CN: "perf-00042" */
    X509 *leaf;
    EVP_PKEY *key;
};

struct device_pool {
    struct device *devices;
    size_t count;
    x509_stack *issuers; /* sent behind each leaf */
};

/* PEM files of the issuer. CRYPTO (ours), and what reading the files gives. */
int device_pool_new(const char *issuer_path, const char *issuer_key_path, size_t count, struct device_pool **ret_pool, struct error *error);
void device_pool_free(struct device_pool *pool); /* NULL allowed */

#endif
