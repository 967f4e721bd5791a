/*
 * broker_sim/pki/issuing_ca.h - certificates for devices that send a CSR with their registration
 *
 * What:     a root and an issuing CA (recipe `issuing`: P-384), made in their folder at the first request and kept; signs PKCS#10 requests.
 * A leaf:   subject and key of the request, digitalSignature, clientAuth, ISSUED_DAYS; nothing else of the request is taken over.
 * Source:   api-version 2025-07-01-preview of the service's REST specification; "Certificate issuance" of Azure IoT Hub's documentation: leaf,
 *           issuing CA, root; P-384 with SHA-384; 1 to 90 days.
 * Errors:   device for the request: SYNTAX, LIMIT, REFUSED (the signature, the CN). file for what is in the folder, rig for the disk.
 */
#ifndef BROKER_SIM_PKI_ISSUING_CA_H
#define BROKER_SIM_PKI_ISSUING_CA_H

#include "base/clock.h"
#include "certs/chain.h"

enum { CSR_MAX_BYTES = 8 * 1024, ISSUED_DAYS = 30 };

struct issuing_ca;

/* `dir` copied; nothing is made yet. NULL when out of memory. */
struct issuing_ca *issuing_ca_new(const char *dir, const struct clock *clock);
void issuing_ca_free(struct issuing_ca *ca); /* NULL allowed */

struct issued {
    char *chain; /* JSON array of base64 of DER: leaf, issuing CA, root. malloc'ed */
    char leaf_sha256[SHA256_HEX_BYTES];
};

/*
 * csr              base64 of DER, without PEM's lines.
 * registration_id  what the CN must be, without regard to case.
 */
int issuing_ca_sign(struct issuing_ca *ca, const char *csr, const char *registration_id, struct issued *ret_issued, struct error *error);

#endif
