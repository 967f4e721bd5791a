/*
 * certs/signature_memory.h - which CA certificate another one signed, remembered
 *
 * What:     whether a key made a signature depends on the bytes of two certificates alone. The same few CA certificates come with every
 *           device, and an elliptic curve signature costs as much to check as all else that the judge does; so their answers are kept,
 *           good and bad ones alike.
 * Safe:     an answer is found by the whole DER of both certificates, nothing less. Leaves are not kept: each comes once.
 * Limits:   SIGNATURE_MEMORY_PAIRS; the one that was not asked for the longest time goes.
 */
#ifndef CERTS_SIGNATURE_MEMORY_H
#define CERTS_SIGNATURE_MEMORY_H

#include "certs/chain.h"

enum { SIGNATURE_MEMORY_PAIRS = 32 };

struct signature_memory;

struct signature_memory *signature_memory_new(void); /* NULL when out of memory */
void signature_memory_free(struct signature_memory *memory);

/* As certificate_is_signed_by(). */
bool signature_memory_is_signed_by(struct signature_memory *memory, X509 *certificate, X509 *issuer);
/* How many signatures were checked so far, for tests. */
size_t signature_memory_check_count(const struct signature_memory *memory);

#endif
