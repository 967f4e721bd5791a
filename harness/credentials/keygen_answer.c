#include "harness/credentials/keygen_answer.h"

#include "base/cleanup.h"
#include "harness/credentials/cose.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

enum { STATEMENT_CSR = 9, STATEMENT_PARTS_MIN = 4, DIGEST_BYTES = 32 };

static int malformed(struct error *error, const char *what)
{
    return error_set(error, ERROR_OWNER_DEVICE, ERROR_PROTOCOL, "the answer of AT%%KEYGEN: %s", what);
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
    if (cbor_take_head(&cursor, CBOR_ARRAY) < STATEMENT_PARTS_MIN)
        return -1;
    statement->kind = cbor_take_head(&cursor, CBOR_UNSIGNED);
    statement->uuid = cbor_take_bytes(&cursor);
    struct cursor tag = cbor_take_bytes(&cursor);
    statement->sec_tag = cbor_take_head(&tag, CBOR_UNSIGNED);
    statement->digest = cbor_take_bytes(&cursor);
    bool is_good = !cursor.has_failed && !tag.has_failed && cursor_left(&statement->uuid) == COSE_UUID_BYTES &&
                   cursor_left(&statement->digest) == DIGEST_BYTES;
    return is_good ? 0 : -1;
}

static int check_statement(const char *text, size_t length, uint32_t sec_tag, struct keygen_answer *answer, struct error *error)
{
    CLEANUP(bytes_done) struct bytes cose = {.max_bytes = KEYGEN_ANSWER_MAX_BYTES};
    struct statement statement;
    struct cose_parts parts;
    unsigned char digest[EVP_MAX_MD_SIZE];
    if (base64url_decode(text, length, &cose) || cose_read(&cose, &parts) || read_statement(parts.payload, &statement))
        return malformed(error, "the part behind the dot is no COSE statement of a modem");
    if (!EVP_Digest(answer->request_der.data, answer->request_der.length_bytes, digest, NULL, EVP_sha256(), NULL))
        return error_set(error, ERROR_OWNER_OURS, ERROR_CRYPTO, "SHA-256 of a request: OpenSSL refused");
    if (statement.kind != STATEMENT_CSR || memcmp(digest, statement.digest.at, DIGEST_BYTES) != 0)
        return malformed(error, "the modem's statement is of another request than the one that came with it; was a line lost on the way?");
    if (statement.sec_tag != sec_tag)
        return malformed(error, "the modem's statement names another sec tag than the one that was asked for");
    cose_format_uuid(statement.uuid.at, answer->uuid);
    answer->has_statement = true;
    return 0;
}

static int read_request(const char *text, size_t length, struct keygen_answer *answer, struct error *error)
{
    if (base64url_decode(text, length, &answer->request_der))
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
