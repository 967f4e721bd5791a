/*
 * harness/credentials/cose.h - the form of what a modem signs: base64url, CBOR, COSE_Sign1
 *
 * What:     readers for the answers of AT%KEYGEN and AT%ATTESTTOKEN. All of it is foreign: bounded cursors, no recursion.
 * Not here: the signature: only who has the public key of the modem's identity (Nordic's cloud) can check it.
 * Source:   RFC 4648 section 5, RFC 8949 (CBOR), RFC 9052 (COSE_Sign1).
 */
#ifndef HARNESS_CREDENTIALS_COSE_H
#define HARNESS_CREDENTIALS_COSE_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CBOR_UNSIGNED = 0, CBOR_BYTES = 2, CBOR_ARRAY = 4, CBOR_MAP = 5, CBOR_TAG = 6 };

enum { COSE_TEXT_MAX_BYTES = 8192, COSE_UUID_BYTES = 16, COSE_UUID_TEXT_BYTES = 37, COSE_SIGNATURE_BYTES = 64 };

/* Without padding, appended. -1: not of this form, or more than COSE_TEXT_MAX_BYTES. */
int base64url_decode(const char *text, size_t length, struct bytes *out_bytes);

/* The head of an item of this major type: its value. Anything else fails the cursor. */
uint64_t cbor_take_head(struct cursor *cursor, unsigned major);
struct cursor cbor_take_bytes(struct cursor *cursor);

/* Lent from the bytes that were read. */
struct cose_parts {
    struct cursor payload; /* empty: detached */
    struct cursor signature;
    bool is_whole; /* an ES256 signature, and nothing behind it */
};

/* -1: no COSE_Sign1 up to its payload. */
int cose_read(const struct bytes *cose, struct cose_parts *ret_parts);

/* uuid: COSE_UUID_BYTES; text: COSE_UUID_TEXT_BYTES. */
void cose_format_uuid(const uint8_t *uuid, char *text);

#endif
