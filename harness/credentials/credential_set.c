#include "harness/credentials/credential_set.h"

#include "base/cleanup.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <string.h>

const char *credential_type_name(enum credential_type type)
{
    static const char *const names[] = {"root CA", "client certificate", "client key"};
    return type < CREDENTIAL_TYPE_COUNT ? names[type] : "credential";
}

const char *credential_action_name(enum credential_action action)
{
    static const char *const names[] = {"absent", "kept", "written", "deleted"};
    return names[action];
}

void credential_set_init(struct credential_set *set, uint32_t sec_tag)
{
    *set = (struct credential_set){.sec_tag = sec_tag};
    for (int type = 0; type < CREDENTIAL_TYPE_COUNT; type++)
        bytes_init(&set->text[type], CREDENTIAL_MAX_BYTES);
}

void credential_set_done(struct credential_set *set)
{
    if (!set)
        return;
    for (int type = 0; type < CREDENTIAL_TYPE_COUNT; type++)
        bytes_wipe(&set->text[type]);
}

static size_t length_without_space_at_end(const char *text, size_t length)
{
    while (length && isspace((unsigned char)text[length - 1]))
        length--;
    return length;
}

static int check_text(const char *name, const char *text, size_t length, struct error *error)
{
    if (!length)
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s: there is no text; leave it out to have it deleted", name);
    for (size_t i = 0; i < length; i++)
        if (text[i] == '"' || text[i] == 0 || text[i] == '\b' || text[i] == 0x7F)
            return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s: byte 0x%02X at offset %zu cannot pass the device's AT host", name,
                             (unsigned char)text[i], i);
    return 0;
}

int credential_set_put(struct credential_set *set, enum credential_type type, const char *text, size_t length_bytes, struct error *error)
{
    const char *name = credential_type_name(type);
    size_t length = length_without_space_at_end(text, length_bytes);
    size_t frame = (size_t)snprintf(NULL, 0, "AT%%CMNG=0,%u,%d,\"\"", set->sec_tag, type);
    if (check_text(name, text, length, error))
        return -1;
    if (length > AT_COMMAND_MAX_BYTES - frame)
        return error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT,
                         "%s: %zu bytes, and one AT command carries at most %zu; send a shorter certificate chain", name, length,
                         AT_COMMAND_MAX_BYTES - frame);
    struct bytes copy;
    bytes_init(&copy, CREDENTIAL_MAX_BYTES);
    if (bytes_append(&copy, text, length))
        return error_set_memory(error);
    bytes_wipe(&set->text[type]);
    set->text[type] = copy;
    return 0;
}

/* "" when there is no text. */
static void hash(const struct bytes *text, char *ret_hex)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int digest_bytes = 0;
    ret_hex[0] = 0;
    if (!text->length_bytes || !EVP_Digest(text->data, text->length_bytes, digest, &digest_bytes, EVP_sha256(), NULL))
        return;
    for (unsigned int i = 0; i < digest_bytes; i++)
        snprintf(ret_hex + 2 * i, 3, "%02X", digest[i]);
}

void credential_set_sha256(const struct credential_set *set, enum credential_type type, char ret_hex[CREDENTIAL_SHA256_BYTES])
{
    hash(&set->text[type], ret_hex);
}

static void hash_with_ends(const struct bytes *text, const char *line_end, char ret_hex[CREDENTIAL_SHA256_BYTES])
{
    CLEANUP(bytes_wipe) struct bytes other = {.max_bytes = 2 * CREDENTIAL_MAX_BYTES};
    int rc = 0;
    for (size_t i = 0; i < text->length_bytes && !rc; i++)
        rc = text->data[i] == '\n' ? bytes_append_text(&other, line_end) : bytes_append_byte(&other, text->data[i]);
    hash(&other, ret_hex);
}

void credential_set_sha256_crlf(const struct credential_set *set, enum credential_type type, char ret_hex[CREDENTIAL_SHA256_BYTES])
{
    hash_with_ends(&set->text[type], "\r\n", ret_hex);
}

void credential_set_sha256_escaped(const struct credential_set *set, enum credential_type type, char ret_hex[CREDENTIAL_SHA256_BYTES])
{
    hash_with_ends(&set->text[type], "\\n", ret_hex);
}

bool credential_is_placeholder(const char *sha256)
{
    for (size_t i = 0; sha256[i]; i++)
        if (sha256[i] != sha256[i % 2])
            return false;
    return true;
}

static bool is_hash(const char *text)
{
    return strspn(text, "0123456789ABCDEFabcdef") == CREDENTIAL_SHA256_BYTES - 1 && !text[CREDENTIAL_SHA256_BYTES - 1];
}

int credential_entry_read(const char *line, struct credential_entry *ret_entry, struct error *error)
{
    struct credential_entry entry = {0};
    long long sec_tag;
    char hash[CREDENTIAL_SHA256_BYTES + 1];
    int end = 0;
    if (sscanf(line, "%%CMNG: %10lld , %4d , \"%65[^\"]\"%n", &sec_tag, &entry.type, hash, &end) != 3 || !end || line[end] || sec_tag < 0 ||
        sec_tag > UINT32_MAX || !is_hash(hash))
        return error_set(error, ERROR_OWNER_DEVICE, ERROR_SYNTAX, "'%.100s' is no line of AT%%CMNG=1", line);
    entry.sec_tag = (uint32_t)sec_tag;
    for (size_t i = 0; i < CREDENTIAL_SHA256_BYTES; i++)
        entry.sha256[i] = (char)toupper((unsigned char)hash[i]);
    *ret_entry = entry;
    return 0;
}
