#include "certs/dps_view.h"

#include <openssl/evp.h>
#include <string.h>

/* What a member is when the object has none. */
enum absent { ABSENT_NULL, ABSENT_ENABLED, ABSENT_HASHED, ABSENT_REPROVISION, ABSENT_NO_EDGE };

struct member {
    const char *name;
    enum absent absent;
};

/* A copy of a member, or null. */
static cJSON *copy_or_null(const cJSON *object, const char *name)
{
    const cJSON *member = json_member(object, name);
    return member ? cJSON_Duplicate(member, true) : cJSON_CreateNull();
}

static int set_copy(cJSON *view, const cJSON *object, const char *name)
{
    return json_set(view, name, copy_or_null(object, name));
}

/* ---- certificates of the service ---- */

#define CERTIFICATE_ID                                                                                                                     \
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/dpsbench/providers/Microsoft.Devices/"                             \
    "provisioningServices/dpsbench/certificates/"

static cJSON *base64_of(const char *text)
{
    size_t length = text ? strlen(text) : 0;
    CLEANUP_FREE char *encoded = length <= CERTIFICATE_TEXT_MAX_BYTES ? malloc(length / 3 * 4 + 8) : NULL;
    if (!encoded)
        return NULL;
    EVP_EncodeBlock((unsigned char *)encoded, (const unsigned char *)text, (int)length);
    return cJSON_CreateString(encoded);
}

/* Whatever form it has in the folder, Azure shows base64 of PEM. */
static cJSON *certificate_text(const char *text)
{
    CLEANUP_X509 X509 *certificate = NULL;
    CLEANUP(bytes_done) struct bytes pem;
    bytes_init(&pem, CERTIFICATE_TEXT_MAX_BYTES);
    if (certificate_read_text(text, strlen(text), "certificate", &certificate, NULL) || certificate_append_pem(certificate, &pem))
        return cJSON_CreateNull();
    return base64_of(bytes_text(&pem));
}

/* In the folder a certificate's members may stand at the top or under `properties`. */
static const cJSON *either(const cJSON *object, const char *name)
{
    const cJSON *member = json_member(json_member(object, "properties"), name);
    return member ? member : json_member(object, name);
}

static int set_either(cJSON *view, const cJSON *object, const char *name)
{
    const cJSON *member = either(object, name);
    return json_set(view, name, member ? cJSON_Duplicate(member, true) : cJSON_CreateNull());
}

static cJSON *certificate_properties(const cJSON *object, bool with_certificate)
{
    static const char *const names[] = {"created", "expiry", "isVerified", "subject", "thumbprint", "updated"};
    CLEANUP_JSON cJSON *properties = cJSON_CreateObject();
    const cJSON *certificate = either(object, "certificate"), *code = either(object, "verificationCode");
    bool has_text = with_certificate && cJSON_IsString(certificate);
    if (json_set(properties, "certificate", has_text ? certificate_text(certificate->valuestring) : cJSON_CreateNull()))
        return NULL;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (set_either(properties, object, names[i]))
            return NULL;
    return code && json_set(properties, "verificationCode", cJSON_Duplicate(code, true)) ? NULL : TAKE(properties);
}

cJSON *dps_certificate_view(const cJSON *object, bool with_certificate)
{
    CLEANUP_JSON cJSON *view = cJSON_CreateObject();
    CLEANUP_FREE char *id = NULL;
    const char *name = json_string(object, "name", "");
    if (asprintf(&id, CERTIFICATE_ID "%s", name) < 0)
        id = NULL;
    if (!id || json_set_string(view, "etag", json_string(object, "etag", "")) ||
        json_set_string(view, "id", json_string(object, "id", id)) || json_set_string(view, "name", name) ||
        json_set(view, "properties", certificate_properties(object, with_certificate)) ||
        json_set_string(view, "resourceGroup", json_string(object, "resourceGroup", "dpsbench")) ||
        json_set(view, "systemData", cJSON_CreateNull()) ||
        json_set_string(view, "type", "Microsoft.Devices/provisioningServices/Certificates"))
        return NULL;
    return TAKE(view);
}

/* ---- enrollments and groups ---- */

/* {"certificate": null, "info": {...}} or null. */
static cJSON *certificate_view(const cJSON *certificate)
{
    CLEANUP_JSON cJSON *view = cJSON_CreateObject();
    if (!certificate)
        return cJSON_CreateNull();
    return json_set(view, "certificate", cJSON_CreateNull()) || set_copy(view, certificate, "info") ? NULL : TAKE(view);
}

static cJSON *pair_view(const cJSON *pair)
{
    CLEANUP_JSON cJSON *view = cJSON_CreateObject();
    if (!pair)
        return cJSON_CreateNull();
    return json_set(view, "primary", certificate_view(json_member(pair, "primary"))) ||
                   json_set(view, "secondary", certificate_view(json_member(pair, "secondary")))
               ? NULL
               : TAKE(view);
}

static cJSON *references_view(const cJSON *references)
{
    CLEANUP_JSON cJSON *view = cJSON_CreateObject();
    if (!references)
        return cJSON_CreateNull();
    return set_copy(view, references, "primary") || set_copy(view, references, "secondary") ? NULL : TAKE(view);
}

static cJSON *x509_view(const cJSON *x509)
{
    CLEANUP_JSON cJSON *view = cJSON_CreateObject();
    if (!x509)
        return cJSON_CreateNull();
    return json_set(view, "caReferences", references_view(json_member(x509, "caReferences"))) ||
                   json_set(view, "clientCertificates", pair_view(json_member(x509, "clientCertificates"))) ||
                   json_set(view, "signingCertificates", pair_view(json_member(x509, "signingCertificates")))
               ? NULL
               : TAKE(view);
}

static cJSON *keys_view(const cJSON *keys, bool with_keys)
{
    CLEANUP_JSON cJSON *view = cJSON_CreateObject();
    if (!keys)
        return cJSON_CreateNull();
    const cJSON *shown = with_keys ? keys : NULL;
    return set_copy(view, shown, "primaryKey") || set_copy(view, shown, "secondaryKey") ? NULL : TAKE(view);
}

static cJSON *attestation_view(const cJSON *attestation, bool with_keys)
{
    CLEANUP_JSON cJSON *view = cJSON_CreateObject();
    const char *type = json_string(attestation, "type", json_member(attestation, "x509") ? "x509" : NULL);
    return json_set(view, "symmetricKey", keys_view(json_member(attestation, "symmetricKey"), with_keys)) ||
                   set_copy(view, attestation, "tpm") || json_set_string(view, "type", type) ||
                   json_set(view, "x509", x509_view(json_member(attestation, "x509")))
               ? NULL
               : TAKE(view);
}

/* What the service fills in: the documented defaults. */
static cJSON *default_of(enum absent absent)
{
    switch (absent) {
    case ABSENT_ENABLED:
        return cJSON_CreateString("enabled");
    case ABSENT_HASHED:
        return cJSON_CreateString("hashed");
    case ABSENT_REPROVISION:
        return cJSON_Parse("{\"migrateDeviceData\":true,\"updateHubAssignment\":true}");
    case ABSENT_NO_EDGE:
        return cJSON_Parse("{\"iotEdge\":false}");
    case ABSENT_NULL:
        break;
    }
    return cJSON_CreateNull();
}

static const struct member common_members[] = {
    {"allocationPolicy", ABSENT_HASHED},
    {"capabilities", ABSENT_NO_EDGE},
    {"createdDateTimeUtc", ABSENT_NULL},
    {"customAllocationDefinition", ABSENT_NULL},
    {"etag", ABSENT_NULL},
    {"initialTwin", ABSENT_NULL},
    {"iotHubHostName", ABSENT_NULL},
    {"iotHubs", ABSENT_NULL},
    {"lastUpdatedDateTimeUtc", ABSENT_NULL},
    {"provisioningStatus", ABSENT_ENABLED},
    {"reprovisionPolicy", ABSENT_REPROVISION},
    {NULL, ABSENT_NULL},
};

static const struct member enrollment_members[] = {
    {"deviceId", ABSENT_NULL},
    {"optionalDeviceInformation", ABSENT_NULL},
    {"registrationId", ABSENT_NULL},
    {"registrationState", ABSENT_NULL},
    {NULL, ABSENT_NULL},
};

static const struct member group_members[] = {
    {"enrollmentGroupId", ABSENT_NULL},
    {NULL, ABSENT_NULL},
};

static int set_members(cJSON *view, const cJSON *object, const struct member *members)
{
    for (; members->name; members++) {
        const cJSON *member = json_member(object, members->name);
        if (json_set(view, members->name, member ? cJSON_Duplicate(member, true) : default_of(members->absent)))
            return -1;
    }
    return 0;
}

cJSON *dps_enrollment_view(enum dps_kind kind, const cJSON *object, bool with_keys)
{
    CLEANUP_JSON cJSON *view = cJSON_CreateObject();
    if (json_set(view, "attestation", attestation_view(json_member(object, "attestation"), with_keys)) ||
        set_members(view, object, common_members) || set_members(view, object, kind == DPS_GROUP ? group_members : enrollment_members))
        return NULL;
    return TAKE(view);
}
