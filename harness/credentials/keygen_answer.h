/*
 * harness/credentials/keygen_answer.h - what AT%KEYGEN answers: a certificate request, and the modem's word for it
 *
 * What:     reads "<base64url of the CSR>.<base64url of a COSE_Sign1>", checks that the request is signed with its own key, and that the
 *           modem's statement names this very request (its SHA-256) and this sec tag.
 * Not here: the statement's own signature: only who has the public key of the device's identity (Nordic's cloud) can check it.
 * Source:   Nordic, nRF91 AT command reference, %KEYGEN; RFC 8152 (COSE), RFC 8949 (CBOR); nRFCloud/utils, modem_credentials_parser.
 * Limits:   KEYGEN_ANSWER_MAX_BYTES a part. The text is the device's: it is read through a bounded cursor.
 */
#ifndef HARNESS_CREDENTIALS_KEYGEN_ANSWER_H
#define HARNESS_CREDENTIALS_KEYGEN_ANSWER_H

#include "base/bytes.h"
#include "base/error.h"
#include "harness/credentials/cose.h"

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KEYGEN_ANSWER_MAX_BYTES = COSE_TEXT_MAX_BYTES };

struct keygen_answer {
    X509_REQ *request;
    struct bytes request_der;
    bool has_statement;              /* a COSE part came, and it names this request */
    char uuid[COSE_UUID_TEXT_BYTES]; /* the device UUID of the statement; "" without one */
};

/*
 * ret_answer: keygen_answer_done() it; untouched on failure.
 * PROTOCOL (device): not of this form; the request's signature is wrong; the statement is of another request or sec tag.
 */
int keygen_answer_read(const char *text, size_t length_bytes, uint32_t sec_tag, struct keygen_answer *ret_answer, struct error *error);
void keygen_answer_done(struct keygen_answer *answer); /* NULL allowed */

/* The one CN of a request, malloc'ed; NULL: none, more than one, or out of memory. */
char *request_common_name(const X509_REQ *request);

#endif
