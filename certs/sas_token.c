#include "certs/sas_token.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>

/* --- base64 and percent-encoding --- */

static bool is_base64(const char *text, size_t length)
{
    size_t digits = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
    size_t padding = strspn(text + digits, "=");
    return length > 0 && length % 4 == 0 && padding <= 2 && digits + padding == length;
}

/* The number of bytes, or -1. */
static int decode_base64(const char *text, uint8_t *ret_bytes, size_t max_bytes)
{
    uint8_t decoded[SAS_TOKEN_MAX_BYTES];
    size_t length = strlen(text);
    if (!is_base64(text, length) || length / 4 * 3 > sizeof decoded)
        return -1;
    int count = EVP_DecodeBlock(decoded, (const unsigned char *)text, (int)length);
    ERR_clear_error();
    count -= (text[length - 1] == '=') + (text[length - 2] == '=');
    if (count >= 0 && (size_t)count <= max_bytes)
        memcpy(ret_bytes, decoded, (size_t)count);
    OPENSSL_cleanse(decoded, sizeof decoded);
    return (size_t)count <= max_bytes ? count : -1;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte that "%XX" stands for; -1: not two hex digits, or a NUL. */
static int encoded_byte(const char *at)
{
    int high = hex_digit(at[1]), low = high < 0 ? -1 : hex_digit(at[2]);
    return low < 0 || high + low == 0 ? -1 : high << 4 | low;
}

/* In place. */
static int decode_percent(char *text)
{
    char *to = text;
    for (const char *at = text; *at; at++) {
        int byte = *at == '%' ? encoded_byte(at) : (unsigned char)*at;
        if (byte < 0)
            return -1;
        at += *at == '%' ? 2 : 0;
        *to++ = (char)byte;
    }
    *to = 0;
    return 0;
}

/* --- tokens --- */

enum field { FIELD_SR, FIELD_SIG, FIELD_SE, FIELD_SKN, FIELD_COUNT };

static const char *const field_names[FIELD_COUNT] = {[FIELD_SR] = "sr", [FIELD_SIG] = "sig", [FIELD_SE] = "se", [FIELD_SKN] = "skn"};

/* Where each stands in the token: `length` bytes behind the '='; NULL: absent. */
struct fields {
    const char *at[FIELD_COUNT];
    size_t length[FIELD_COUNT];
};

static int fail(struct error *error, const char *what)
{
    return error_set(error, ERROR_OWNER_DEVICE, ERROR_SYNTAX,
                     "%s; a token is SharedAccessSignature sr={resource}&sig={signature}&se={unix seconds}&skn={policy}", what);
}

static int fail_field(struct error *error, enum field field, const char *what)
{
    char text[64];
    snprintf(text, sizeof text, "the field %s of the SAS token %s", field_names[field], what);
    return fail(error, text);
}

static int take_field(struct fields *fields, const char *at, size_t length, struct error *error)
{
    for (int field = 0; field < FIELD_COUNT; field++) {
        size_t name_length = strlen(field_names[field]);
        if (length <= name_length || strncmp(at, field_names[field], name_length) != 0 || at[name_length] != '=')
            continue;
        if (fields->at[field])
            return fail_field(error, (enum field)field, "stands there twice");
        fields->at[field] = at + name_length + 1;
        fields->length[field] = length - name_length - 1;
    }
    return 0;
}

static int split(const char *text, struct fields *fields, struct error *error)
{
    static const char start[] = "SharedAccessSignature ";
    if (strncmp(text, start, sizeof start - 1) != 0)
        return fail(error, "the password is no SAS token");
    for (const char *at = text + sizeof start - 1; *at;) {
        size_t length = strcspn(at, "&");
        if (take_field(fields, at, length, error))
            return -1;
        at += length + (at[length] == '&');
    }
    for (int field = 0; field < FIELD_SKN; field++)
        if (!fields->at[field] || !fields->length[field])
            return fail_field(error, (enum field)field, fields->at[field] ? "is empty" : "is missing");
    return 0;
}

static int copy_field(const struct fields *fields, enum field field, char *to, size_t size, struct error *error)
{
    if (fields->length[field] >= size)
        return fail_field(error, field, "is too long");
    memcpy(to, fields->at[field], fields->length[field]);
    to[fields->length[field]] = 0;
    return 0;
}

static int copy_decoded(const struct fields *fields, enum field field, char *to, size_t size, struct error *error)
{
    if (copy_field(fields, field, to, size, error))
        return -1;
    return decode_percent(to) ? fail_field(error, field, "is not percent-encoded as it should be") : 0;
}

static int read_expiry(const struct fields *fields, struct sas_token *token, struct error *error)
{
    if (copy_field(fields, FIELD_SE, token->expiry_as_sent, sizeof token->expiry_as_sent, error))
        return -1;
    if (token->expiry_as_sent[strspn(token->expiry_as_sent, "0123456789")])
        return fail_field(error, FIELD_SE, "is not a number of seconds since 1970");
    /* 19 digits can exceed the type: then it is the largest one. */
    token->expiry_unix_s = strtoll(token->expiry_as_sent, NULL, 10);
    return 0;
}

static int read_signature(const struct fields *fields, struct sas_token *token, struct error *error)
{
    char text[256];
    if (copy_decoded(fields, FIELD_SIG, text, sizeof text, error))
        return -1;
    if (decode_base64(text, token->signature, sizeof token->signature) != SAS_SIGNATURE_BYTES)
        return fail_field(error, FIELD_SIG, "is not the base64 of 32 bytes");
    return 0;
}

int sas_token_read(const char *text, struct sas_token *ret_token, struct error *error)
{
    struct fields fields = {0};
    struct sas_token token = {.policy = ""};
    if (strnlen(text, SAS_TOKEN_MAX_BYTES + 1) > SAS_TOKEN_MAX_BYTES)
        return error_set(error, ERROR_OWNER_DEVICE, ERROR_LIMIT, "the SAS token is longer than %d bytes", SAS_TOKEN_MAX_BYTES);
    if (split(text, &fields, error) || copy_field(&fields, FIELD_SR, token.resource_as_sent, sizeof token.resource_as_sent, error) ||
        copy_decoded(&fields, FIELD_SR, token.resource, sizeof token.resource, error) || read_expiry(&fields, &token, error) ||
        read_signature(&fields, &token, error))
        return -1;
    if (fields.at[FIELD_SKN] && copy_decoded(&fields, FIELD_SKN, token.policy, sizeof token.policy, error))
        return -1;
    *ret_token = token;
    return 0;
}

/* --- keys --- */

void sas_key_wipe(struct sas_key *key)
{
    OPENSSL_cleanse(key, sizeof *key);
}

int sas_key_read(const char *base64, struct sas_key *ret_key, struct error *error)
{
    CLEANUP_SAS_KEY struct sas_key key = {.length_bytes = 0};
    int length = decode_base64(base64, key.bytes, sizeof key.bytes);
    if (length < SAS_KEY_MIN_BYTES)
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "is not the base64 of %d to %d bytes", SAS_KEY_MIN_BYTES,
                         SAS_KEY_MAX_BYTES);
    key.length_bytes = (size_t)length;
    *ret_key = key;
    return 0;
}

static int sign(const struct sas_key *key, const char *text, size_t length, uint8_t *ret_signature)
{
    unsigned size = 0;
    bool is_signed = HMAC(EVP_sha256(), key->bytes, (int)key->length_bytes, (const unsigned char *)text, length, ret_signature, &size);
    ERR_clear_error();
    return is_signed && size == SAS_SIGNATURE_BYTES ? 0 : -1;
}

int sas_key_derive(const struct sas_key *group_key, const char *registration_id, struct sas_key *ret_key, struct error *error)
{
    if (sign(group_key, registration_id, strlen(registration_id), ret_key->bytes))
        return error_set(error, ERROR_OWNER_OURS, ERROR_CRYPTO, "OpenSSL derives no key");
    ret_key->length_bytes = SAS_SIGNATURE_BYTES;
    return 0;
}

void sas_key_format(const struct sas_key *key, char text[SAS_KEY_TEXT_BYTES])
{
    EVP_EncodeBlock((unsigned char *)text, key->bytes, (int)key->length_bytes);
}

int sas_key_make(struct sas_key *ret_key, struct error *error)
{
    if (RAND_bytes(ret_key->bytes, sizeof ret_key->bytes) != 1)
        return error_set(error, ERROR_OWNER_OURS, ERROR_CRYPTO, "no random bytes for a key");
    ret_key->length_bytes = sizeof ret_key->bytes;
    return 0;
}

bool sas_token_is_signed_by(const struct sas_token *token, const struct sas_key *key)
{
    char text[sizeof token->resource_as_sent + sizeof token->expiry_as_sent + 1];
    uint8_t signature[SAS_SIGNATURE_BYTES];
    int length = snprintf(text, sizeof text, "%s\n%s", token->resource_as_sent, token->expiry_as_sent);
    bool is_good = sign(key, text, (size_t)length, signature) == 0 && CRYPTO_memcmp(signature, token->signature, sizeof signature) == 0;
    OPENSSL_cleanse(signature, sizeof signature);
    return is_good;
}
