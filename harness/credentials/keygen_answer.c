#include "harness/credentials/keygen_answer.h"

#include "base/cleanup.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

enum {
    CBOR_UNSIGNED = 0,
    CBOR_BYTES = 2,
    CBOR_ARRAY = 4,
    CBOR_MAP = 5,
    CBOR_TAG = 6,
    COSE_SIGN1 = 18,
    COSE_PARTS = 4,
    STATEMENT_CSR = 9,
    STATEMENT_PARTS_MIN = 4,
    UNPROTECTED_MAX = 8,
    UUID_BYTES = 16,
    DIGEST_BYTES = 32,
};

static int malformed(struct error *error, const char *what)
{
    return error_set(error, ERROR_OWNER_DEVICE, ERROR_PROTOCOL, "the answer of AT%%KEYGEN: %s", what);
}

/* ---- base64url, RFC 4648 section 5, without padding ---- */

static int decode(const char *text, size_t length, struct bytes *der)
{
    unsigned char in[KEYGEN_ANSWER_MAX_BYTES * 4 / 3 + 8], out[KEYGEN_ANSWER_MAX_BYTES + 8];
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
    return decoded < 0 ? -1 : bytes_append(der, out, (size_t)decoded - (padded - length));
}

/* ---- CBOR: as much of it as a statement needs ---- */

/* The head of an item of `major`: its value. */
static uint64_t take_head(struct cursor *cursor, unsigned major)
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

static struct cursor take_bytes(struct cursor *cursor)
{
    uint64_t length = take_head(cursor, CBOR_BYTES);
    if (length > cursor_left(cursor))
        cursor->has_failed = true;
    const uint8_t *data = cursor->has_failed ? NULL : cursor_take(cursor, (size_t)length);
    return cursor_of(data ? data : (const uint8_t *)"", data ? (size_t)length : 0);
}

/* The unprotected header: {4: h'..'} as a rule, and nothing that we need. Flat items alone. */
static void skip_unprotected(struct cursor *cursor)
{
    uint64_t pairs = take_head(cursor, CBOR_MAP);
    if (pairs > UNPROTECTED_MAX)
        cursor->has_failed = true;
    for (uint64_t i = 0; i < 2 * pairs && !cursor->has_failed; i++) {
        uint8_t major = cursor_left(cursor) ? *cursor->at >> 5 : CBOR_TAG;
        if (major == CBOR_BYTES || major == CBOR_BYTES + 1)
            cursor_take(cursor, (size_t)take_head(cursor, major));
        else if (major <= 1)
            take_head(cursor, major);
        else
            cursor->has_failed = true;
    }
}

struct statement {
    uint64_t kind;
    uint64_t sec_tag;
    struct cursor uuid;
    struct cursor digest;
};

/* [kind, device UUID, the sec tag as CBOR of its own, SHA-256 of the request, nonce] */
static int read_statement(struct cursor cursor, struct statement *statement)
{
    if (take_head(&cursor, CBOR_ARRAY) < STATEMENT_PARTS_MIN)
        return -1;
    statement->kind = take_head(&cursor, CBOR_UNSIGNED);
    statement->uuid = take_bytes(&cursor);
    struct cursor tag = take_bytes(&cursor);
    statement->sec_tag = take_head(&tag, CBOR_UNSIGNED);
    statement->digest = take_bytes(&cursor);
    bool is_good = !cursor.has_failed && !tag.has_failed && cursor_left(&statement->uuid) == UUID_BYTES &&
                   cursor_left(&statement->digest) == DIGEST_BYTES;
    return is_good ? 0 : -1;
}

static int read_cose(const struct bytes *cose, struct statement *statement)
{
    struct cursor cursor = cursor_of(cose->data, cose->length_bytes);
    if (take_head(&cursor, CBOR_TAG) != COSE_SIGN1 || take_head(&cursor, CBOR_ARRAY) != COSE_PARTS)
        return -1;
    take_bytes(&cursor);
    skip_unprotected(&cursor);
    struct cursor payload = take_bytes(&cursor);
    return cursor.has_failed ? -1 : read_statement(payload, statement);
}

static void format_uuid(const uint8_t *uuid, char *text)
{
    for (int i = 0; i < UUID_BYTES; i++) {
        snprintf(text, 3, "%02x", uuid[i]);
        text += 2;
        if (i == 3 || i == 5 || i == 7 || i == 9) {
            *text++ = '-';
            *text = 0;
        }
    }
}

static int check_statement(const char *text, size_t length, uint32_t sec_tag, struct keygen_answer *answer, struct error *error)
{
    CLEANUP(bytes_done) struct bytes cose = {.max_bytes = KEYGEN_ANSWER_MAX_BYTES};
    struct statement statement;
    unsigned char digest[EVP_MAX_MD_SIZE];
    if (decode(text, length, &cose) || read_cose(&cose, &statement))
        return malformed(error, "the part behind the dot is no COSE statement of a modem");
    if (!EVP_Digest(answer->request_der.data, answer->request_der.length_bytes, digest, NULL, EVP_sha256(), NULL))
        return error_set(error, ERROR_OWNER_OURS, ERROR_CRYPTO, "SHA-256 of a request: OpenSSL refused");
    if (statement.kind != STATEMENT_CSR || memcmp(digest, statement.digest.at, DIGEST_BYTES) != 0)
        return malformed(error, "the modem's statement is of another request than the one that came with it; was a line lost on the way?");
    if (statement.sec_tag != sec_tag)
        return malformed(error, "the modem's statement names another sec tag than the one that was asked for");
    format_uuid(statement.uuid.at, answer->uuid);
    answer->has_statement = true;
    return 0;
}

static int read_request(const char *text, size_t length, struct keygen_answer *answer, struct error *error)
{
    if (decode(text, length, &answer->request_der))
        return malformed(error, "it does not begin with base64url");
    const unsigned char *at = answer->request_der.data;
    answer->request = d2i_X509_REQ(NULL, &at, (long)answer->request_der.length_bytes);
    bool is_whole = answer->request && at == answer->request_der.data + answer->request_der.length_bytes;
    EVP_PKEY *key = is_whole ? X509_REQ_get0_pubkey(answer->request) : NULL;
    bool is_signed = key && X509_REQ_verify(answer->request, key) == 1;
    ERR_clear_error();
    if (!is_whole)
        return malformed(error, "it holds no certificate request");
    return is_signed ? 0 : malformed(error, "the certificate request is not signed with its own key");
}

int keygen_answer_read(const char *text, size_t length_bytes, uint32_t sec_tag, struct keygen_answer *ret_answer, struct error *error)
{
    CLEANUP(keygen_answer_done) struct keygen_answer answer = {.request_der = {.max_bytes = KEYGEN_ANSWER_MAX_BYTES}};
    const char *dot = memchr(text, '.', length_bytes);
    size_t length = dot ? (size_t)(dot - text) : length_bytes;
    if (read_request(text, length, &answer, error))
        return -1;
    if (dot && check_statement(dot + 1, length_bytes - length - 1, sec_tag, &answer, error))
        return -1;
    *ret_answer = answer;
    answer = (struct keygen_answer){0};
    return 0;
}

void keygen_answer_done(struct keygen_answer *answer)
{
    if (!answer)
        return;
    X509_REQ_free(answer->request);
    bytes_done(&answer->request_der);
    answer->request = NULL;
}

char *request_common_name(const X509_REQ *request)
{
    X509_NAME *subject = X509_REQ_get_subject_name(request);
    int index = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (index < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, index) >= 0)
        return NULL;
    unsigned char *text = NULL;
    int length = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index)));
    char *copy = length < 0 || strlen((char *)text) != (size_t)length ? NULL : strdup((char *)text);
    OPENSSL_free(text);
    ERR_clear_error();
    return copy;
}
