/*
 * Azure's service API as tables: models.tsp of azure-rest-api-specs (deviceprovisioningservices, data plane) for enrollments and groups, the
 * certificate object of the management plane (Microsoft.Devices/provisioningServices/certificates).
 */
#include "certs/dps_object.h"

#include "base/utf8.h"
#include "base/yaml.h"

#include <stdio.h>
#include <string.h>

enum member_type { TEXT, BOOL, OBJECT, TEXT_LIST, FREE };

struct member {
    const char *path;
    enum member_type type;
};

/* clang-format off */
#define M(path, type) {path, type},
#define CERTIFICATE(path)                                                                                                                  \
    M(path, OBJECT) M(path ".certificate", TEXT) M(path ".info", OBJECT) M(path ".info.subjectName", TEXT)                                 \
    M(path ".info.sha1Thumbprint", TEXT) M(path ".info.sha256Thumbprint", TEXT) M(path ".info.issuerName", TEXT)                           \
    M(path ".info.notBeforeUtc", TEXT) M(path ".info.notAfterUtc", TEXT) M(path ".info.serialNumber", TEXT) M(path ".info.version", FREE)
#define PAIR(path) M(path, OBJECT) CERTIFICATE(path ".primary") CERTIFICATE(path ".secondary")

#define COMMON                                                                                                                             \
    M("attestation", OBJECT) M("attestation.type", TEXT) M("attestation.tpm", FREE) M("attestation.symmetricKey", OBJECT)                  \
    M("attestation.symmetricKey.primaryKey", TEXT) M("attestation.symmetricKey.secondaryKey", TEXT)                                        \
    M("attestation.x509", OBJECT) PAIR("attestation.x509.clientCertificates") PAIR("attestation.x509.signingCertificates")                 \
    M("attestation.x509.caReferences", OBJECT) M("attestation.x509.caReferences.primary", TEXT)                                            \
    M("attestation.x509.caReferences.secondary", TEXT) M("capabilities", OBJECT) M("capabilities.iotEdge", BOOL)                           \
    M("iotHubHostName", TEXT) M("iotHubs", TEXT_LIST) M("allocationPolicy", TEXT) M("customAllocationDefinition", OBJECT)                    \
    M("customAllocationDefinition.webhookUrl", TEXT) M("customAllocationDefinition.apiVersion", TEXT) M("initialTwin", OBJECT) M("initialTwin.tags", FREE) M("initialTwin.properties", FREE) M("provisioningStatus", TEXT) M("reprovisionPolicy", OBJECT) M("reprovisionPolicy.updateHubAssignment", BOOL)   \
    M("reprovisionPolicy.migrateDeviceData", BOOL) M("etag", TEXT) M("createdDateTimeUtc", TEXT) M("lastUpdatedDateTimeUtc", TEXT)

#define CERTIFICATE_PROPERTIES(prefix)                                                                                                     \
    M(prefix "certificate", TEXT) M(prefix "isVerified", BOOL) M(prefix "verificationCode", TEXT) M(prefix "thumbprint", TEXT)             \
    M(prefix "subject", TEXT) M(prefix "expiry", TEXT) M(prefix "created", TEXT) M(prefix "updated", TEXT)

static const struct member enrollment_members[] = {
    M("registrationId", TEXT) M("deviceId", TEXT) M("optionalDeviceInformation", FREE) M("registrationState", FREE) COMMON
    M(NULL, FREE)
};

static const struct member group_members[] = {
    M("enrollmentGroupId", TEXT) COMMON
    M(NULL, FREE)
};

static const struct member certificate_members[] = {
    M("name", TEXT) M("id", TEXT) M("etag", TEXT) M("type", TEXT) M("resourceGroup", TEXT) M("systemData", FREE) M("properties", OBJECT)
    CERTIFICATE_PROPERTIES("") CERTIFICATE_PROPERTIES("properties.")
    M(NULL, FREE)
};
/* clang-format on */

static const struct member *const shapes[] = {
    [DPS_ENROLLMENT] = enrollment_members,
    [DPS_GROUP] = group_members,
    [DPS_CERTIFICATE] = certificate_members,
};

struct check {
    const struct member *members;
    const char *place;
    const struct dps_listener *listener;
    struct error *error;
};

static const struct member *find_member(const struct member *members, const char *path)
{
    for (; members->path; members++)
        if (strcmp(members->path, path) == 0)
            return members;
    return NULL;
}

enum { PATH_MAX_BYTES = 256, SIBLINGS_MAX = 32 };

/* The known member beside the unknown one whose name is nearest; NULL when none is near. */
static const char *nearest_sibling(const struct member *members, const char *path)
{
    const char *dot = strrchr(path, '.');
    size_t prefix = dot ? (size_t)(dot - path) + 1 : 0;
    const char *siblings[SIBLINGS_MAX + 1] = {NULL};
    size_t count = 0;
    for (; members->path && count < SIBLINGS_MAX; members++)
        if (strncmp(members->path, path, prefix) == 0 && !strchr(members->path + prefix, '.'))
            siblings[count++] = members->path + prefix;
    return text_nearest(path + prefix, siblings);
}

static void tell_unknown(const struct check *check, const char *path)
{
    const char *near = nearest_sibling(check->members, path);
    char text[ERROR_TEXT_MAX_BYTES];
    snprintf(text, sizeof text, "%s: unknown member '%s' is kept and ignored%s%s%s", check->place, path, near ? "; did you mean '" : "",
             near ? near : "", near ? "'?" : "");
    check->listener->tell(check->listener->user, text);
}

static bool is_text_list(const cJSON *value)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, value) if (!cJSON_IsString(item)) return false;
    return cJSON_IsArray(value);
}

static const char *wanted(enum member_type type, const cJSON *value)
{
    switch (type) {
    case TEXT:
        return cJSON_IsString(value) ? NULL : "a text";
    case BOOL:
        return cJSON_IsBool(value) ? NULL : "true or false";
    case OBJECT:
        return cJSON_IsObject(value) ? NULL : "an object";
    case TEXT_LIST:
        return is_text_list(value) ? NULL : "a list of texts";
    case FREE:
        break;
    }
    return NULL;
}

static int check_object(const struct check *check, const cJSON *object, const char *prefix);

static int check_member(const struct check *check, const cJSON *value, const char *prefix)
{
    char path[PATH_MAX_BYTES];
    snprintf(path, sizeof path, "%s%s%s", prefix, *prefix ? "." : "", value->string);
    const struct member *member = find_member(check->members, path);
    if (!member) {
        tell_unknown(check, path);
        return 0;
    }
    if (cJSON_IsNull(value))
        return 0;
    const char *type = wanted(member->type, value);
    if (type)
        return error_set(check->error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s: %s: must be %s", check->place, path, type);
    return member->type == OBJECT ? check_object(check, value, path) : 0;
}

/* Recursion is bounded by the tables' depth. */
static int check_object(const struct check *check, const cJSON *object, const char *prefix)
{
    const cJSON *value;
    cJSON_ArrayForEach(value, object) if (check_member(check, value, prefix)) return -1;
    return 0;
}

/* What is not UTF-8 (RFC 8259 section 8.1) could not be written back unchanged. The reader bounds the depth. */
static bool is_utf8(const cJSON *json)
{
    if ((json->string && utf8_find_error(json->string)) || (cJSON_IsString(json) && utf8_find_error(json->valuestring)))
        return false;
    const cJSON *child;
    cJSON_ArrayForEach(child, json) if (!is_utf8(child)) return false;
    return true;
}

int dps_shape_check(enum dps_kind kind, const cJSON *json, const char *place, const struct dps_listener *listener, struct error *error)
{
    struct check check = {.members = shapes[kind], .place = place, .listener = listener, .error = error};
    if (!cJSON_IsObject(json))
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s: must be one JSON object ({...}), as 'az ... show' prints it", place);
    if (!is_utf8(json))
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s: a text is not UTF-8; save the file as UTF-8", place);
    return check_object(&check, json, "");
}
