/*
 * harness/try/certificate_notes.h - what about a device's certificates works today and bites later
 *
 * What:     expiry soon, a certificate that outlives its issuer, a CN that differs from the registration id in case alone, a root that is sent
 *           without need. What the judge of certs/attestation.h tells already (version 1, no clientAuth, short keys, order) is not repeated.
 * Source:   azure-docs articles/iot-dps/concepts-x509-attestation.md (the root need not be sent), concepts-service.md (registration ids: no case),
 *           articles/iot-hub/iot-hub-devguide-identity-registry.md (device ids: case-sensitive).
 */
#ifndef HARNESS_TRY_CERTIFICATE_NOTES_H
#define HARNESS_TRY_CERTIFICATE_NOTES_H

#include "certs/chain.h"
#include "harness/try/note.h"

enum { EXPIRES_SOON_DAYS = 30 };

/*
 * Notes "certificate.expires-soon", "certificate.outlives-issuer", "registration-id.case", "chain.root-sent".
 *
 * issuer  a CA that is known beside the chain (--group-ca); NULL: none.
 */
void certificate_notes_add(const x509_stack *chain, const X509 *issuer, const char *registration_id, int64_t now_unix_s,
                           struct notes *notes);

/* The index of the certificate of `chain` whose key signed certificate `index` and whose name says so; -1: none (a self-signed one is its own). */
int chain_signer(const x509_stack *chain, int index);
/* "2028-04-05" into text. */
enum { DATE_BYTES = 16 };
void format_date(int64_t unix_s, char text[DATE_BYTES]);

#endif
