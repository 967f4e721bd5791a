#include "base/sas.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/percent.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>
#include <strings.h>

enum { BASE64_MAX_BYTES = SAS_KEY_TEXT_BYTES - 1, NEW_KEY_BYTES = 32 };

/* ---- base64 ---- */

/* EVP_DecodeBlock takes white space and counts the padding as bytes. -1: not base64, or not between the two lengths. */
static int decode_base64(const char *text, uint8_t *ret_bytes, size_t min_bytes, size_t max_bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t bytes[BASE64_MAX_BYTES];
    size_t length = strlen(text), plain = strspn(text, digits), padding = length - plain;
    if (length == 0 || length > BASE64_MAX_BYTES || length % 4 || padding > 2 || strspn(text + plain, "=") != padding)
        return -1;
    int decoded = EVP_DecodeBlock(bytes, (const uint8_t *)text, (int)length);
    size_t count = decoded < 0 ? 0 : (size_t)decoded - padding;
    ERR_clear_error();
    if (count < min_bytes || count > max_bytes)
        return -1;
    memcpy(ret_bytes, bytes, count);
    OPENSSL_cleanse(bytes, sizeof bytes);
    return (int)count;
}

static int decode_key(const char *key, uint8_t bytes[SAS_KEY_MAX_BYTES])
{
    return decode_base64(key, bytes, SAS_KEY_MIN_BYTES, SAS_KEY_MAX_BYTES);
}

bool sas_key_is_valid(const char *key)
{
    uint8_t bytes[SAS_KEY_MAX_BYTES];
    int length = decode_key(key, bytes);
    OPENSSL_cleanse(bytes, sizeof bytes);
    return length > 0;
}

/* ---- HMAC ---- */

static int hmac(const char *key, const void *data, size_t length_bytes, uint8_t ret_digest[SAS_SIGNATURE_BYTES])
{
    uint8_t bytes[SAS_KEY_MAX_BYTES];
    unsigned int digest_bytes = 0;
    int key_bytes = decode_key(key, bytes);
    if (key_bytes < 0)
        return -1;
    const uint8_t *done = HMAC(EVP_sha256(), bytes, key_bytes, data, length_bytes, ret_digest, &digest_bytes);
    OPENSSL_cleanse(bytes, sizeof bytes);
    ERR_clear_error();
    return done && digest_bytes == SAS_SIGNATURE_BYTES ? 0 : -1;
}

static int sign(const char *signed_resource, const char *expiry, const char *key, uint8_t ret_digest[SAS_SIGNATURE_BYTES])
{
    char text[SAS_RESOURCE_MAX_BYTES + SAS_EXPIRY_MAX_BYTES + 2];
    int length = snprintf(text, sizeof text, "%s\n%s", signed_resource, expiry);
    return length < 0 || (size_t)length >= sizeof text ? -1 : hmac(key, text, (size_t)length, ret_digest);
}

/* ---- reading ---- */

struct field {
    const char *name;
    const char *value; /* NULL: not there */
    size_t length;
};

enum { FIELD_RESOURCE, FIELD_SIGNATURE, FIELD_EXPIRY, FIELD_KEY_NAME, FIELD_COUNT };

static int fail(struct error *error, enum error_code code, const char *what, const char *field)
{
    return error_set(error, ERROR_OWNER_DEVICE, code, "SAS token: %s%s%s", what, field ? " " : "", field ? field : "");
}

static int take_field(struct field *fields, const char *at, size_t length, struct error *error)
{
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        size_t name_length = strlen(fields[i].name);
        if (length <= name_length || memcmp(at, fields[i].name, name_length) != 0 || at[name_length] != '=')
            continue;
        if (fields[i].value)
            return fail(error, ERROR_SYNTAX, "there are two fields", fields[i].name);
        fields[i].value = at + name_length + 1;
        fields[i].length = length - name_length - 1;
    }
    return 0;
}

static int split(const char *text, struct field *fields, struct error *error)
{
    static const char scheme[] = "SharedAccessSignature ";
    if (strncasecmp(text, scheme, sizeof scheme - 1) != 0)
        return fail(error, ERROR_SYNTAX, "it does not begin with 'SharedAccessSignature '", NULL);
    const char *at = text + sizeof scheme - 1;
    for (;;) {
        size_t length = strcspn(at, "&");
        if (take_field(fields, at, length, error))
            return -1;
        if (!at[length])
            break;
        at += length + 1;
    }
    for (size_t i = 0; i < FIELD_KEY_NAME; i++)
        if (fields[i].length == 0)
            return fail(error, ERROR_SYNTAX, "there is no field", fields[i].name);
    return 0;
}

static int read_resource(const struct field *field, struct sas_token *token, struct error *error)
{
    if (field->length > SAS_RESOURCE_MAX_BYTES)
        return fail(error, ERROR_LIMIT, "too long is field", field->name);
    memcpy(token->signed_resource, field->value, field->length);
    token->signed_resource[field->length] = 0;
    if (percent_decode(field->value, field->length, token->resource, sizeof token->resource))
        return fail(error, ERROR_SYNTAX, "there is broken percent-encoding in field", field->name);
    return 0;
}

static int read_expiry(const struct field *field, struct sas_token *token, struct error *error)
{
    if (field->length >= SAS_EXPIRY_MAX_BYTES || strspn(field->value, "0123456789") < field->length)
        return fail(error, ERROR_SYNTAX, "seconds since 1970 are wanted in field", field->name);
    memcpy(token->expiry, field->value, field->length);
    token->expiry[field->length] = 0;
    token->expires_unix_s = strtoll(token->expiry, NULL, 10);
    return 0;
}

static int read_signature(const struct field *field, struct sas_token *token, struct error *error)
{
    char text[BASE64_MAX_BYTES + 1];
    if (percent_decode(field->value, field->length, text, sizeof text) ||
        decode_base64(text, token->signature, SAS_SIGNATURE_BYTES, SAS_SIGNATURE_BYTES) < 0)
        return fail(error, ERROR_SYNTAX, "base64 of 32 bytes, percent-encoded, is wanted in field", field->name);
    return 0;
}

static int read_key_name(const struct field *field, struct sas_token *token, struct error *error)
{
    if (field->value && percent_decode(field->value, field->length, token->key_name, sizeof token->key_name))
        return fail(error, ERROR_SYNTAX, "too long, or broken, is field", field->name);
    return 0;
}

int sas_token_read(const char *text, struct sas_token *ret_token, struct error *error)
{
    struct sas_token token = {.expires_unix_s = 0};
    struct field fields[FIELD_COUNT] = {[FIELD_RESOURCE] = {"sr", NULL, 0},
                                        [FIELD_SIGNATURE] = {"sig", NULL, 0},
                                        [FIELD_EXPIRY] = {"se", NULL, 0},
                                        [FIELD_KEY_NAME] = {"skn", NULL, 0}};
    if (strnlen(text, SAS_TOKEN_MAX_BYTES + 1) > SAS_TOKEN_MAX_BYTES)
        return fail(error, ERROR_LIMIT, "it is longer than 4096 bytes", NULL);
    if (split(text, fields, error) || read_resource(&fields[FIELD_RESOURCE], &token, error) ||
        read_expiry(&fields[FIELD_EXPIRY], &token, error) || read_signature(&fields[FIELD_SIGNATURE], &token, error) ||
        read_key_name(&fields[FIELD_KEY_NAME], &token, error))
        return -1;
    *ret_token = token;
    return 0;
}

/* ---- checking ---- */

bool sas_token_is_signed_by(const struct sas_token *token, const char *key)
{
    uint8_t expected[SAS_SIGNATURE_BYTES];
    if (sign(token->signed_resource, token->expiry, key, expected))
        return false;
    bool is_same = CRYPTO_memcmp(expected, token->signature, sizeof expected) == 0;
    OPENSSL_cleanse(expected, sizeof expected);
    return is_same;
}

int sas_token_check(const struct sas_token *token, const char *const *keys, size_t key_count, int64_t now_unix_s, struct error *error)
{
    bool is_signed = false;
    for (size_t i = 0; i < key_count; i++)
        is_signed |= keys[i] && *keys[i] && sas_token_is_signed_by(token, keys[i]);
    if (!is_signed)
        return fail(error, ERROR_REFUSED, "no key of this device made the signature", NULL);
    if (token->expires_unix_s <= now_unix_s)
        return error_set(error, ERROR_OWNER_DEVICE, ERROR_TIMEOUT, "SAS token: it expired %lld s ago",
                         (long long)(now_unix_s - token->expires_unix_s));
    return 0;
}

bool sas_token_covers(const struct sas_token *token, const char *resource)
{
    size_t length = strlen(token->resource);
    return length && strncasecmp(token->resource, resource, length) == 0 && (resource[length] == 0 || resource[length] == '/');
}

/* ---- making ---- */

static void encode_base64(const uint8_t *bytes, size_t length_bytes, char ret_text[SAS_KEY_TEXT_BYTES])
{
    EVP_EncodeBlock((uint8_t *)ret_text, bytes, (int)length_bytes);
}

int sas_key_derive(const char *group_key, const char *registration_id, char ret_key[SAS_KEY_TEXT_BYTES], struct error *error)
{
    uint8_t digest[SAS_SIGNATURE_BYTES];
    if (hmac(group_key, registration_id, strlen(registration_id), digest))
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "the group's key is not base64 of %d to %d bytes", SAS_KEY_MIN_BYTES,
                         SAS_KEY_MAX_BYTES);
    encode_base64(digest, sizeof digest, ret_key);
    OPENSSL_cleanse(digest, sizeof digest);
    return 0;
}

int sas_key_make(char ret_key[SAS_KEY_TEXT_BYTES], struct error *error)
{
    uint8_t bytes[NEW_KEY_BYTES];
    if (RAND_bytes(bytes, sizeof bytes) != 1) {
        ERR_clear_error();
        return error_set(error, ERROR_OWNER_OURS, ERROR_CRYPTO, "OpenSSL gives no random bytes");
    }
    encode_base64(bytes, sizeof bytes, ret_key);
    OPENSSL_cleanse(bytes, sizeof bytes);
    return 0;
}

static int write_token(struct bytes *out, const char *signed_resource, const char *key, const char *key_name, int64_t expires_unix_s)
{
    uint8_t digest[SAS_SIGNATURE_BYTES];
    char expiry[SAS_EXPIRY_MAX_BYTES + 1], signature[SAS_KEY_TEXT_BYTES];
    snprintf(expiry, sizeof expiry, "%lld", (long long)expires_unix_s);
    if (sign(signed_resource, expiry, key, digest))
        return -1;
    encode_base64(digest, sizeof digest, signature);
    if (bytes_printf(out, "SharedAccessSignature sr=%s&sig=", signed_resource) || percent_encode(out, signature, strlen(signature)) ||
        bytes_printf(out, "&se=%s", expiry))
        return -1;
    return key_name ? bytes_append_text(out, "&skn=") || percent_encode(out, key_name, strlen(key_name)) ? -1 : 0 : 0;
}

char *sas_token_make(const char *resource, const char *key, const char *key_name, int64_t expires_unix_s)
{
    CLEANUP(bytes_done) struct bytes encoded = {.max_bytes = SAS_RESOURCE_MAX_BYTES};
    CLEANUP(bytes_done) struct bytes token = {.max_bytes = SAS_TOKEN_MAX_BYTES};
    if (percent_encode(&encoded, resource, strlen(resource)) || write_token(&token, bytes_text(&encoded), key, key_name, expires_unix_s))
        return NULL;
    return (char *)TAKE(token.data);
}
