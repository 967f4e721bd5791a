/*
 * certs/certificate_memory.h - CA certificates as JSON, remembered
 *
 * What:     certificate_json() for certificates that come with every device: names, digests and PEM of a CA are made once. Leaves are
 *           not kept: each comes once.
 * Safe:     found by the whole DER, nothing less.
 * Limits:   CERTIFICATE_MEMORY_COUNT; the one that was not asked for the longest time goes.
 */
#ifndef CERTS_CERTIFICATE_MEMORY_H
#define CERTS_CERTIFICATE_MEMORY_H

#include "certs/chain.h"

enum { CERTIFICATE_MEMORY_COUNT = 32 };

struct certificate_memory;

struct certificate_memory *certificate_memory_new(void); /* NULL when out of memory */
void certificate_memory_free(struct certificate_memory *memory);

/* As certificate_json() and certificates_json(): given; NULL when out of memory. */
cJSON *certificate_memory_json(struct certificate_memory *memory, X509 *certificate);
cJSON *certificate_memory_chain_json(struct certificate_memory *memory, const x509_stack *chain);
/* How many certificates were described anew so far, for tests. */
size_t certificate_memory_made_count(const struct certificate_memory *memory);

#endif
