#include "broker_sim/service_api/policies.h"

#include "base/cleanup.h"
#include "base/files.h"
#include "base/json.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>
#include <strings.h>

struct policy {
    char name[SAS_POLICY_MAX_BYTES + 1];
    unsigned rights; /* 1 << enum policy_right */
    struct sas_key keys[2];
};

struct policies {
    struct policy list[POLICIES_MAX];
    size_t count;
};

DEFINE_CLEANUP(struct policies *, policies_free)

static const char *const key_members[] = {"primaryKey", "secondaryKey"};
static const char *const right_names[] = {
#define X(id, name) name,
    POLICY_RIGHTS(X)
#undef X
};

void policies_free(struct policies *policies)
{
    if (policies)
        OPENSSL_cleanse(policies, sizeof *policies);
    free(policies);
}

/* --- reading --- */

static int read_right(const char *text, size_t length, unsigned *rights, const char *place, struct error *error)
{
    for (size_t i = 0; i < POLICY_RIGHT_COUNT; i++) {
        if (strlen(right_names[i]) == length && strncasecmp(right_names[i], text, length) == 0) {
            *rights |= 1U << i;
            return 0;
        }
    }
    return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX,
                     "%s.rights: '%.*s' is none of ServiceConfig, EnrollmentRead, EnrollmentWrite, RegistrationStatusRead, "
                     "RegistrationStatusWrite, DeviceConnect",
                     place, (int)(length < 64 ? length : 64), text);
}

static int read_rights(const char *text, unsigned *ret_rights, const char *place, struct error *error)
{
    unsigned rights = 0;
    for (const char *at = text + strspn(text, ", "); *at; at += strspn(at, ", ")) {
        size_t length = strcspn(at, ", ");
        if (read_right(at, length, &rights, place, error))
            return -1;
        at += length;
    }
    /* Writing includes reading. */
    if (rights & (1U << POLICY_ENROLLMENT_WRITE))
        rights |= 1U << POLICY_ENROLLMENT_READ;
    if (rights & (1U << POLICY_REGISTRATION_WRITE))
        rights |= 1U << POLICY_REGISTRATION_READ;
    *ret_rights = rights;
    return 0;
}

static int read_policy(const cJSON *json, const char *place, struct policy *ret_policy, struct error *error)
{
    const char *name = json_string(json, "keyName", "");
    if (!*name || strlen(name) > SAS_POLICY_MAX_BYTES)
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s.keyName: must be a text of 1 to %d characters", place,
                         SAS_POLICY_MAX_BYTES);
    snprintf(ret_policy->name, sizeof ret_policy->name, "%s", name);
    for (size_t i = 0; i < ARRAY_COUNT(key_members); i++)
        if (sas_key_read(json_string(json, key_members[i], ""), &ret_policy->keys[i], error))
            return error_prefix(error, "%s.%s", place, key_members[i]);
    return read_rights(json_string(json, "rights", ""), &ret_policy->rights, place, error);
}

static int read_file(const char *path, struct policies *policies, struct error *error)
{
    CLEANUP_JSON cJSON *json = json_read_file(path, error);
    if (!json)
        return -1;
    if (!cJSON_IsArray(json) || cJSON_GetArraySize(json) > POLICIES_MAX)
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX,
                         "%s: must be an array of at most %d policies; remove the file to have it made anew", path, POLICIES_MAX);
    const cJSON *item;
    cJSON_ArrayForEach(item, json)
    {
        CLEANUP_FREE char *place = NULL;
        if (asprintf(&place, "%s: [%zu]", path, policies->count) < 0)
            place = NULL;
        if (!place)
            return error_set_memory(error);
        if (read_policy(item, place, &policies->list[policies->count], error))
            return -1;
        policies->count++;
    }
    return 0;
}

/* --- the first start --- */

static cJSON *owner_json(struct error *error)
{
    CLEANUP_JSON cJSON *owner = cJSON_CreateObject();
    if (json_set_string(owner, "keyName", POLICY_OWNER))
        return NULL;
    for (size_t i = 0; i < ARRAY_COUNT(key_members); i++) {
        CLEANUP_SAS_KEY struct sas_key key = {0};
        char text[SAS_KEY_TEXT_BYTES];
        if (sas_key_make(&key, error))
            return NULL;
        sas_key_format(&key, text);
        int rc = json_set_string(owner, key_members[i], text);
        OPENSSL_cleanse(text, sizeof text);
        if (rc)
            return NULL;
    }
    return json_set_string(owner, "rights", "ServiceConfig, EnrollmentWrite, RegistrationStatusWrite, DeviceConnect") ? NULL : TAKE(owner);
}

static int make_file(const char *path, struct error *error)
{
    CLEANUP_JSON cJSON *array = cJSON_CreateArray();
    cJSON *owner = array ? owner_json(error) : NULL;
    if (!owner || !cJSON_AddItemToArray(array, owner)) {
        cJSON_Delete(owner);
        return error && error->code != ERROR_NONE ? -1 : error_set_memory(error);
    }
    return json_write_file(path, array, 0600, error);
}

int policies_open(const char *dir, struct policies **ret_policies, struct error *error)
{
    CLEANUP(policies_free_cleanup) struct policies *policies = calloc(1, sizeof *policies);
    CLEANUP_FREE char *path = path_join(dir, POLICIES_FILE);
    if (!policies || !path)
        return error_set_memory(error);
    if ((!path_exists(path) && make_file(path, error)) || read_file(path, policies, error))
        return -1;
    *ret_policies = TAKE(policies);
    return 0;
}

/* --- checking --- */

static const struct policy *find(const struct policies *policies, const char *name)
{
    for (size_t i = 0; i < policies->count; i++)
        if (strcmp(policies->list[i].name, name) == 0)
            return &policies->list[i];
    return NULL;
}

/* "host", "host:port", or a path below it: what a token is good for. */
static bool is_resource(const char *resource, const struct policy_request *request)
{
    size_t length = resource[0] == '[' ? strcspn(resource, "]") + 1 : strcspn(resource, ":/");
    for (size_t i = 0; i < request->host_count; i++) {
        const char *host = request->hosts[i];
        if (strlen(host) == length && strncasecmp(resource, host, length) == 0)
            return true;
    }
    return false;
}

static bool is_signed(const struct policy *policy, const struct sas_token *token)
{
    return sas_token_is_signed_by(token, &policy->keys[0]) || sas_token_is_signed_by(token, &policy->keys[1]);
}

static int refuse(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int refuse(struct error *error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    error_setv(error, ERROR_OWNER_FILE, ERROR_REFUSED, format, args);
    va_end(args);
    return -1;
}

int policies_authorize(const struct policies *policies, const struct policy_request *request, const char **ret_name, struct error *error)
{
    struct sas_token token;
    if (!request->authorization)
        return refuse(error, "the header Authorization is missing");
    if (sas_token_read(request->authorization, &token, error))
        return refuse(error, "Authorization: %s", error ? error->text : "");
    const struct policy *policy = find(policies, token.policy);
    if (!policy)
        return refuse(error, "there is no policy of the name in skn; there is " POLICY_OWNER ", and what " POLICIES_FILE " holds besides");
    if (!is_signed(policy, &token))
        return refuse(error, "the signature was not made with a key of policy '%s' over sr and se as they were sent", policy->name);
    if (token.expiry_unix_s <= request->now_unix_s)
        return refuse(error, "the token expired %lld s ago", (long long)(request->now_unix_s - token.expiry_unix_s));
    if (!is_resource(token.resource, request))
        return refuse(error, "sr is '%s', which is no host name of this service; the first one is '%s'", token.resource,
                      request->host_count ? request->hosts[0] : "");
    if (!(policy->rights & (1U << request->right)))
        return refuse(error, "policy '%s' lacks the right %s", policy->name, right_names[request->right]);
    *ret_name = policy->name;
    return 0;
}
