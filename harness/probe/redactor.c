#include "harness/probe/redactor.h"

#include "base/bytes.h"
#include "base/json.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { TEXT_MAX_BYTES = 1024 * 1024, UUID_BYTES = 36 };

struct name {
    char *original;
    char *replacement;
};

struct redactor {
    struct name names[REDACTOR_NAMES_MAX];
    size_t count;
};

/* ---- names ---- */

static const struct name *find(const struct redactor *redactor, const char *text, size_t length_bytes)
{
    for (size_t i = 0; i < redactor->count; i++) {
        const struct name *name = &redactor->names[i];
        if (strlen(name->original) == length_bytes && strncasecmp(name->original, text, length_bytes) == 0)
            return name;
    }
    return NULL;
}

/* The replacement, lent; NULL when there is no room. */
static const char *add(struct redactor *redactor, const char *original, size_t length_bytes, const char *replacement)
{
    struct name name = {.original = strndup(original, length_bytes), .replacement = strdup(replacement)};
    if (redactor->count == REDACTOR_NAMES_MAX || !name.original || !name.replacement) {
        free(name.original);
        free(name.replacement);
        return NULL;
    }
    redactor->names[redactor->count++] = name;
    return name.replacement;
}

/* Digits and letters become zeros, the last three of them a number; everything else is form. */
static char *same_form(const struct redactor *redactor, const char *original, size_t length_bytes)
{
    char *made = strndup(original, length_bytes);
    size_t number = redactor->count + 1;
    for (size_t i = length_bytes; made && i-- > 0;) {
        if (!isalnum((unsigned char)made[i]))
            continue;
        made[i] = (char)('0' + number % 10);
        number /= 10;
    }
    return made;
}

static const char *replace_by_form(struct redactor *redactor, const char *original, size_t length_bytes)
{
    const struct name *known = find(redactor, original, length_bytes);
    if (known)
        return known->replacement;
    CLEANUP_FREE char *made = same_form(redactor, original, length_bytes);
    return made ? add(redactor, original, length_bytes, made) : NULL;
}

/* The first label alone names its owner: "hub-0001.azure-devices.net". */
static const char *replace_host(struct redactor *redactor, const char *host)
{
    const struct name *known = find(redactor, host, strlen(host));
    if (known)
        return known->replacement;
    CLEANUP_FREE char *made = strdup(host);
    size_t label = strcspn(host, "."), number = redactor->count + 1;
    for (size_t i = label; made && i-- > 0;) {
        made[i] = i < 3 ? "hub"[i] : (char)('0' + number % 10);
        number = i < 3 ? number : number / 10;
    }
    return made ? add(redactor, host, strlen(host), made) : NULL;
}

struct redactor *redactor_new(const char *id_scope, const char *registration_id)
{
    struct redactor *redactor = calloc(1, sizeof *redactor);
    if (redactor && add(redactor, registration_id, strlen(registration_id), "{registration_id}") &&
        add(redactor, id_scope, strlen(id_scope), "{id_scope}"))
        return redactor;
    redactor_free(redactor);
    return NULL;
}

void redactor_free(struct redactor *redactor)
{
    for (size_t i = 0; redactor && i < redactor->count; i++) {
        free(redactor->names[i].original);
        free(redactor->names[i].replacement);
    }
    free(redactor);
}

/* ---- text ---- */

/* A name stands for itself: "dev-1" is not found in "dev-10". */
static bool ends_word(char c)
{
    return !isalnum((unsigned char)c) && c != '-' && c != '_';
}

static bool is_uuid(const char *at)
{
    for (size_t i = 0; i < UUID_BYTES; i++) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (is_dash ? at[i] != '-' : !isxdigit((unsigned char)at[i]))
            return false;
    }
    return true;
}

/* The longest name that stands at `at`. */
static const struct name *name_at(const struct redactor *redactor, const char *at)
{
    const struct name *found = NULL;
    for (size_t i = 0; i < redactor->count; i++) {
        const struct name *name = &redactor->names[i];
        size_t length = strlen(name->original);
        bool fits = length > 0 && strncasecmp(name->original, at, length) == 0 && ends_word(at[length]);
        if (fits && (!found || length > strlen(found->original)))
            found = name;
    }
    return found;
}

/* How much of `at` was replaced; 0: nothing. */
static size_t replace_at(struct redactor *redactor, const char *at, struct bytes *out)
{
    const struct name *name = name_at(redactor, at);
    if (name) {
        bytes_append_text(out, name->replacement);
        return strlen(name->original);
    }
    const char *uuid = is_uuid(at) && ends_word(at[UUID_BYTES]) ? replace_by_form(redactor, at, UUID_BYTES) : NULL;
    if (uuid)
        bytes_append_text(out, uuid);
    return uuid ? UUID_BYTES : 0;
}

char *redactor_text(struct redactor *redactor, const char *text)
{
    CLEANUP(bytes_done) struct bytes out;
    bytes_init(&out, TEXT_MAX_BYTES);
    for (const char *at = text; *at;) {
        bool starts_word = at == text || ends_word(at[-1]);
        size_t replaced = starts_word ? replace_at(redactor, at, &out) : 0;
        if (!replaced && bytes_append_byte(&out, (uint8_t)*at))
            return NULL;
        at += replaced ? replaced : 1;
    }
    return strdup(bytes_text(&out));
}

/* ---- bodies ---- */

enum kind { KIND_TEXT, KIND_FORM, KIND_HOST, KIND_GONE };

/* What a member of the service's bodies holds (DeviceRegistrationResult and X509CertificateInfo of its REST specification). */
static enum kind kind_of(const char *member)
{
    static const struct {
        const char *member;
        enum kind kind;
    } kinds[] = {
        {"operationId", KIND_FORM},  {"deviceId", KIND_FORM},          {"trackingId", KIND_FORM},
        {"etag", KIND_FORM},         {"enrollmentGroupId", KIND_FORM}, {"subjectName", KIND_FORM},
        {"issuerName", KIND_FORM},   {"sha1Thumbprint", KIND_FORM},    {"sha256Thumbprint", KIND_FORM},
        {"serialNumber", KIND_FORM}, {"authenticationKey", KIND_FORM}, {"keyName", KIND_FORM},
        {"assignedHub", KIND_HOST},  {"payload", KIND_GONE},           {"issuedCertificateChain", KIND_GONE},
    };
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        if (member && strcasecmp(kinds[i].member, member) == 0)
            return kinds[i].kind;
    return KIND_TEXT;
}

static int set_text(cJSON *item, const char *text)
{
    return text && cJSON_SetValuestring(item, text) ? 0 : -1;
}

static int redact_string(struct redactor *redactor, cJSON *item, enum kind kind)
{
    const char *value = item->valuestring;
    if (kind == KIND_HOST)
        return set_text(item, replace_host(redactor, value));
    if (kind == KIND_FORM)
        return set_text(item, replace_by_form(redactor, value, strlen(value)));
    CLEANUP_FREE char *text = redactor_text(redactor, value);
    return set_text(item, text);
}

static int redact(struct redactor *redactor, cJSON *json);

static int redact_item(struct redactor *redactor, cJSON *json, cJSON *item)
{
    enum kind kind = kind_of(item->string);
    if (kind == KIND_GONE) {
        cJSON *gone = cJSON_CreateString("redacted");
        return gone && cJSON_ReplaceItemInObjectCaseSensitive(json, item->string, gone) ? 0 : -1;
    }
    return cJSON_IsString(item) ? redact_string(redactor, item, kind) : redact(redactor, item);
}

/* As deep as json_parse lets it be. */
static int redact(struct redactor *redactor, cJSON *json)
{
    for (cJSON *item = json->child, *next; item; item = next) {
        next = item->next;
        if (redact_item(redactor, json, item))
            return -1;
    }
    return 0;
}

char *redactor_body(struct redactor *redactor, const void *body, size_t length_bytes)
{
    char *told = NULL;
    CLEANUP_JSON cJSON *json = json_parse(body, length_bytes, "body", NULL);
    if (json && (cJSON_IsObject(json) || cJSON_IsArray(json)) && redact(redactor, json) == 0)
        return json_print_line(json);
    return asprintf(&told, "(%zu bytes that are no JSON object)", length_bytes) < 0 ? NULL : told;
}
