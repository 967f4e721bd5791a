#include "harness/credentials/attestation_token.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { SELF_DESCRIBED_CBOR = 55799, MESSAGE_PARTS = 5, IDENTITY_MESSAGE = 1, DEVICE_TYPE_MAX = 255 };

static int malformed(struct error *error, const char *what)
{
    return error_set(error, ERROR_OWNER_DEVICE, ERROR_PROTOCOL, "the answer of AT%%ATTESTTOKEN: %s", what);
}

static void take_uuid(struct cursor *cursor, char *text)
{
    struct cursor uuid = cbor_take_bytes(cursor);
    if (cursor_left(&uuid) == COSE_UUID_BYTES)
        cose_format_uuid(uuid.at, text);
    else
        cursor->has_failed = true;
}

static void take_nonce(struct cursor *cursor, char *text)
{
    struct cursor nonce = cbor_take_bytes(cursor);
    if (cursor_left(&nonce) != ATTESTATION_NONCE_BYTES)
        cursor->has_failed = true;
    for (int i = 0; i < ATTESTATION_NONCE_BYTES && !cursor->has_failed; i++)
        snprintf(text + 2 * (size_t)i, 3, "%02x", nonce.at[i]);
}

static int read_message(const struct bytes *message, struct attestation_token *token)
{
    struct cursor cursor = cursor_of(message->data, message->length_bytes);
    if (cbor_take_head(&cursor, CBOR_TAG) != SELF_DESCRIBED_CBOR || cbor_take_head(&cursor, CBOR_ARRAY) != MESSAGE_PARTS ||
        cbor_take_head(&cursor, CBOR_UNSIGNED) != IDENTITY_MESSAGE)
        return -1;
    take_uuid(&cursor, token->device_uuid);
    uint64_t type = cbor_take_head(&cursor, CBOR_UNSIGNED);
    token->device_type = (int)(type <= DEVICE_TYPE_MAX ? type : DEVICE_TYPE_MAX);
    take_uuid(&cursor, token->firmware_uuid);
    take_nonce(&cursor, token->nonce);
    return cursor.has_failed || cursor_left(&cursor) ? -1 : 0;
}

static int check_signature(const char *text, size_t length)
{
    CLEANUP(bytes_done) struct bytes cose = {.max_bytes = COSE_TEXT_MAX_BYTES};
    struct cose_parts parts;
    return base64url_decode(text, length, &cose) || cose_read(&cose, &parts) || !parts.is_whole ? -1 : 0;
}

int attestation_token_read(const char *text, size_t length_bytes, const char *challenge, struct attestation_token *ret_token,
                           struct error *error)
{
    CLEANUP(bytes_done) struct bytes message = {.max_bytes = COSE_TEXT_MAX_BYTES};
    struct attestation_token token = {0};
    const char *dot = memchr(text, '.', length_bytes);
    if (!dot || base64url_decode(text, (size_t)(dot - text), &message) || read_message(&message, &token))
        return malformed(error, "it does not begin with a device identity message");
    if (check_signature(dot + 1, length_bytes - (size_t)(dot - text) - 1))
        return malformed(error, "the part behind the dot is no whole COSE_Sign1; was a line lost on the way?");
    if (challenge && strcasecmp(challenge, token.nonce) != 0)
        return malformed(error, "it answers another challenge");
    *ret_token = token;
    return 0;
}
