/*
 * What a modem says to AT%KEYGEN and AT%ATTESTTOKEN: the first byte tells whether the rest is the whole answer ('T'), the statement behind a good request, or
 * the message ('A') or the signature ('B') of an attestation token.
 */
#include "harness/credentials/attestation_token.h"
#include "harness/credentials/keygen_answer.h"
#include "tests/fuzz/fuzz.h"

#include <openssl/err.h>

enum { TEXT_MAX_BYTES = 32 * 1024, SEC_TAG = 56 };

static size_t encode(char *text, const uint8_t *data, size_t size)
{
    int length = EVP_EncodeBlock((unsigned char *)text, data, (int)size);
    for (int i = 0; i < length; i++)
        text[i] = (char)(text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i]);
    while (length && text[length - 1] == '=')
        length--;
    return (size_t)length;
}

/* Made once: which key it is makes no difference to what is read. */
static const char *request_text(size_t *ret_length)
{
    static char text[2048];
    static size_t length;
    if (length == 0) {
        EVP_PKEY *key = EVP_EC_gen("P-256");
        X509_REQ *request = X509_REQ_new();
        unsigned char *der = NULL;
        FUZZ_MUST(key && request && X509_REQ_set_pubkey(request, key) && X509_REQ_sign(request, key, EVP_sha256()));
        int size = i2d_X509_REQ(request, &der);
        length = encode(text, der, (size_t)size);
        OPENSSL_free(der);
        X509_REQ_free(request);
        EVP_PKEY_free(key);
    }
    *ret_length = length;
    return text;
}

static void read_answer(const char *text, size_t length)
{
    struct keygen_answer answer;
    struct error error = ERROR_INIT;
    if (keygen_answer_read(text, length, SEC_TAG, &answer, &error)) {
        fuzz_check_error(&error);
    } else {
        FUZZ_MUST(answer.request && answer.has_statement == (answer.uuid[0] != 0));
        keygen_answer_done(&answer);
    }
    FUZZ_MUST(ERR_peek_error() == 0);
}

static void read_token(const char *text, size_t length)
{
    struct attestation_token token;
    struct error error = ERROR_INIT;
    if (attestation_token_read(text, length, NULL, &token, &error))
        fuzz_check_error(&error);
    else
        FUZZ_MUST(strlen(token.device_uuid) == COSE_UUID_TEXT_BYTES - 1 && strlen(token.nonce) == ATTESTATION_NONCE_TEXT_BYTES - 1);
}

static const uint8_t good_signature[13 + 64] = {0xD2, 0x84, 0x43, 0xA1, 0x01, 0x26, 0xA1, 0x04, 0x41, 0x21, 0xF6, 0x58, 0x40};
static const uint8_t good_message[57] = {0xD9, 0xD9, 0xF7, 0x85, 0x01, 0x50, [22] = 0x04, [23] = 0x50, [40] = 0x50};

static void read_parts(const uint8_t *message, size_t message_bytes, const uint8_t *signature, size_t signature_bytes)
{
    char text[TEXT_MAX_BYTES];
    size_t length = encode(text, message, message_bytes);
    text[length++] = '.';
    length += encode(text + length, signature, signature_bytes);
    read_token(text, length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[TEXT_MAX_BYTES];
    size_t length = 0;
    if (size < 1 || size > TEXT_MAX_BYTES / 4)
        return 0;
    if (data[0] == 'T') {
        CLEANUP_FREE char *whole = fuzz_text(data + 1, size - 1);
        read_answer(whole, size - 1);
        read_token(whole, size - 1);
        return 0;
    }
    if (data[0] == 'A')
        read_parts(data + 1, size - 1, good_signature, sizeof good_signature);
    if (data[0] == 'B')
        read_parts(good_message, sizeof good_message, data + 1, size - 1);
    const char *request = request_text(&length);
    memcpy(text, request, length);
    text[length++] = '.';
    length += encode(text + length, data + 1, size - 1);
    read_answer(text, length);
    return 0;
}
