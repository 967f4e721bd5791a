#include "harness/credentials/cose.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

enum { COSE_SIGN1 = 18, COSE_PARTS = 4, CBOR_NULL = 0xF6, UNPROTECTED_MAX = 8 };

/* ---- base64url, RFC 4648 section 5, without padding ---- */

int base64url_decode(const char *text, size_t length, struct bytes *out_bytes)
{
    unsigned char in[COSE_TEXT_MAX_BYTES * 4 / 3 + 8], out[COSE_TEXT_MAX_BYTES + 8];
    size_t padded = (length + 3) / 4 * 4;
    if (length == 0 || length % 4 == 1 || padded > sizeof in || padded / 4 * 3 > sizeof out)
        return -1;
    memset(in, '=', padded);
    for (size_t i = 0; i < length; i++) {
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", text[i]) || !text[i])
            return -1;
        in[i] = (unsigned char)(text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i]);
    }
    int decoded = EVP_DecodeBlock(out, in, (int)padded);
    return decoded < 0 ? -1 : bytes_append(out_bytes, out, (size_t)decoded - (padded - length));
}

/* ---- CBOR, RFC 8949: as much of it as a statement needs ---- */

/* The head of an item of `major`: its value. */
uint64_t cbor_take_head(struct cursor *cursor, unsigned major)
{
    uint8_t first = cursor_u8(cursor);
    unsigned width = first & 0x1F;
    if (first >> 5 != major || width > 27)
        cursor->has_failed = true;
    if (cursor->has_failed || width < 24)
        return width;
    uint64_t value = 0;
    for (unsigned i = 0; i < 1U << (width - 24); i++)
        value = value << 8 | cursor_u8(cursor);
    return value;
}

struct cursor cbor_take_bytes(struct cursor *cursor)
{
    uint64_t length = cbor_take_head(cursor, CBOR_BYTES);
    if (length > cursor_left(cursor))
        cursor->has_failed = true;
    const uint8_t *data = cursor->has_failed ? NULL : cursor_take(cursor, (size_t)length);
    return cursor_of(data ? data : (const uint8_t *)"", data ? (size_t)length : 0);
}

/* The unprotected header: {4: h'..'} as a rule, and nothing that we need. Flat items alone. */
static void skip_unprotected(struct cursor *cursor)
{
    uint64_t pairs = cbor_take_head(cursor, CBOR_MAP);
    if (pairs > UNPROTECTED_MAX)
        cursor->has_failed = true;
    for (uint64_t i = 0; i < 2 * pairs && !cursor->has_failed; i++) {
        uint8_t major = cursor_left(cursor) ? *cursor->at >> 5 : CBOR_TAG;
        if (major == CBOR_BYTES || major == CBOR_BYTES + 1)
            cursor_take(cursor, (size_t)cbor_take_head(cursor, major));
        else if (major <= 1)
            cbor_take_head(cursor, major);
        else
            cursor->has_failed = true;
    }
}

static struct cursor take_payload(struct cursor *cursor)
{
    if (!cursor_left(cursor) || *cursor->at != CBOR_NULL)
        return cbor_take_bytes(cursor);
    cursor_u8(cursor);
    return cursor_of((const uint8_t *)"", 0);
}

int cose_read(const struct bytes *cose, struct cose_parts *ret_parts)
{
    struct cursor cursor = cursor_of(cose->data, cose->length_bytes);
    if (cbor_take_head(&cursor, CBOR_TAG) != COSE_SIGN1 || cbor_take_head(&cursor, CBOR_ARRAY) != COSE_PARTS)
        return -1;
    cbor_take_bytes(&cursor);
    skip_unprotected(&cursor);
    struct cose_parts parts = {.payload = take_payload(&cursor)};
    if (cursor.has_failed)
        return -1;
    parts.signature = cbor_take_bytes(&cursor);
    parts.is_whole = !cursor.has_failed && cursor_left(&cursor) == 0 && cursor_left(&parts.signature) == COSE_SIGNATURE_BYTES;
    *ret_parts = parts;
    return 0;
}

void cose_format_uuid(const uint8_t *uuid, char *text)
{
    for (int i = 0; i < COSE_UUID_BYTES; i++) {
        snprintf(text, 3, "%02x", uuid[i]);
        text += 2;
        if (i == 3 || i == 5 || i == 7 || i == 9) {
            *text++ = '-';
            *text = 0;
        }
    }
}
