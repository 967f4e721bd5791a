#include "certs/dps_object.h"

#include "certs/sas_token.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The object under construction. */
struct build {
    struct dps_entry *entry;
    const char *place;
    const struct clock *clock;
    const struct dps_listener *listener;
    struct error *error;
};

static int fail(const struct build *build, const char *member, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int fail(const struct build *build, const char *member, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    error_setv(build->error, ERROR_OWNER_FILE, ERROR_SYNTAX, format, args);
    va_end(args);
    return error_prefix(build->error, "%s: %s", build->place, member);
}

static void tell(const struct build *build, const char *member, const char *what)
{
    char text[ERROR_TEXT_MAX_BYTES];
    snprintf(text, sizeof text, "%s: %s: %s", build->place, member, what);
    build->listener->tell(build->listener->user, text);
}

static int read_id(const struct build *build)
{
    enum dps_kind kind = build->entry->object.kind;
    const char *member = dps_kind_id_member(kind);
    const char *id = json_string(build->entry->json, member, "");
    if (!*id)
        return fail(build, member, "is missing: it is the %s's name", dps_kind_text(kind));
    if (strlen(id) > DPS_ID_MAX_BYTES)
        return fail(build, member, "is longer than %d characters", DPS_ID_MAX_BYTES);
    for (const char *c = id; *c; c++)
        if (iscntrl((unsigned char)*c))
            return fail(build, member, "holds a control character");
    build->entry->object.id = id;
    return 0;
}

/* "B5:F9 ..." as people copy it: upper hex without separators, `size` with the NUL. */
static int read_thumbprint(const struct build *build, const cJSON *info, const char *path, const char *name, char *hex, size_t size)
{
    const char *text = json_string(info, name, "");
    size_t used = 0;
    for (; *text; text++) {
        if (*text == ':' || *text == ' ')
            continue;
        if (!isxdigit((unsigned char)*text) || used + 1 >= size)
            break;
        hex[used++] = (char)toupper((unsigned char)*text);
    }
    hex[used] = 0;
    if (*text || (used && used + 1 != size)) {
        char member[256];
        snprintf(member, sizeof member, "%s%s%s", path, *path ? "." : "", name);
        return fail(build, member, "is no thumbprint: %zu hex digits are expected", size - 1);
    }
    return 0;
}

/* An enrollment's certificates are compared and nothing more; and there may be very many. */
static bool is_known_by_thumbprint(const struct build *build)
{
    return build->entry->object.kind == DPS_ENROLLMENT;
}

static int read_certificate_text(const struct build *build, const char *text, const char *path, struct certificate_ref *ref)
{
    char name[512];
    snprintf(name, sizeof name, "%s: %s", build->place, path);
    OSSL_LIB_CTX *library = is_known_by_thumbprint(build) ? build->listener->keyless : NULL;
    if (certificate_read_text_in(library, text, strlen(text), name, &ref->certificate, build->error))
        return -1;
    certificate_sha1(ref->certificate, ref->sha1);
    certificate_sha256(ref->certificate, ref->sha256);
    return 0;
}

/* `node`: {"certificate": ..., "info": {...}}. The info is made anew from the certificate, so that it cannot be stale. */
static int read_ref(const struct build *build, cJSON *node, const char *path, struct certificate_ref *ref)
{
    char member[256];
    const char *text = json_string(node, "certificate", "");
    if (*text) {
        snprintf(member, sizeof member, "%s.certificate", path);
        if (read_certificate_text(build, text, member, ref))
            return -1;
        if (json_set(node, "info", certificate_info_json(ref->certificate)))
            return error_set_memory(build->error);
        if (is_known_by_thumbprint(build)) {
            X509_free(ref->certificate);
            ref->certificate = NULL;
        }
        return 0;
    }
    const cJSON *info = json_member(node, "info");
    snprintf(member, sizeof member, "%s.info", path);
    return read_thumbprint(build, info, member, "sha1Thumbprint", ref->sha1, sizeof ref->sha1) ||
                   read_thumbprint(build, info, member, "sha256Thumbprint", ref->sha256, sizeof ref->sha256)
               ? -1
               : 0;
}

static int read_pair(const struct build *build, const char *path)
{
    static const char *const names[DPS_PAIR] = {"primary", "secondary"};
    cJSON *pair = (cJSON *)json_path(build->entry->json, path);
    for (size_t i = 0; i < DPS_PAIR; i++) {
        char member[256];
        snprintf(member, sizeof member, "%s.%s", path, names[i]);
        if (read_ref(build, (cJSON *)json_member(pair, names[i]), member, &build->entry->object.certificates[i]))
            return -1;
    }
    return 0;
}

static bool has_certificates(const struct dps_object *object)
{
    return certificate_ref_is_set(&object->certificates[DPS_PRIMARY]) || certificate_ref_is_set(&object->certificates[DPS_SECONDARY]);
}

#define HOW_TO_WRITE_PEM "as PEM in one JSON text (jq -Rs . FILE), base64 of DER, or base64 of PEM"

static int read_client_certificates(const struct build *build)
{
    static const char path[] = "attestation.x509.clientCertificates";
    if (read_pair(build, path))
        return -1;
    if (!has_certificates(&build->entry->object))
        return fail(build, path,
                    "neither primary nor secondary holds a certificate or a thumbprint; put the device's certificate into "
                    "primary.certificate, " HOW_TO_WRITE_PEM);
    return 0;
}

static void read_ca_references(const struct build *build)
{
    const cJSON *references = json_path(build->entry->json, "attestation.x509.caReferences");
    const char *primary = json_string(references, "primary", ""), *secondary = json_string(references, "secondary", "");
    build->entry->object.ca_references[DPS_PRIMARY] = *primary ? primary : NULL;
    build->entry->object.ca_references[DPS_SECONDARY] = *secondary ? secondary : NULL;
}

static int read_group_certificates(const struct build *build)
{
    struct dps_object *object = &build->entry->object;
    read_ca_references(build);
    if (read_pair(build, "attestation.x509.signingCertificates"))
        return -1;
    bool has_references = object->ca_references[DPS_PRIMARY] || object->ca_references[DPS_SECONDARY];
    if (has_references && has_certificates(object))
        return fail(build, "attestation.x509", "holds both caReferences and signingCertificates; Azure takes one of them: drop the other");
    if (!has_references && !has_certificates(object))
        return fail(build, "attestation.x509",
                    "holds neither caReferences (the name of a certificate of this service) nor signingCertificates (a CA certificate "
                    "in primary.certificate, " HOW_TO_WRITE_PEM ")");
    return 0;
}

static int read_status(const struct build *build)
{
    const char *status = json_string(build->entry->json, "provisioningStatus", "enabled");
    if (strcmp(status, "enabled") != 0 && strcmp(status, "disabled") != 0)
        return fail(build, "provisioningStatus", "'%s' is neither \"enabled\" nor \"disabled\"", status);
    build->entry->object.is_enabled = strcmp(status, "enabled") == 0;
    return 0;
}

static const char *const key_names[DPS_PAIR] = {"primaryKey", "secondaryKey"};

static int read_symmetric_keys(const struct build *build)
{
    struct dps_object *object = &build->entry->object;
    const cJSON *keys = json_path(build->entry->json, "attestation.symmetricKey");
    for (size_t i = 0; i < DPS_PAIR; i++) {
        const char *text = json_string(keys, key_names[i], "");
        CLEANUP_SAS_KEY struct sas_key key = {.length_bytes = 0};
        struct error error = ERROR_INIT;
        char member[64];
        snprintf(member, sizeof member, "attestation.symmetricKey.%s", key_names[i]);
        if (*text && sas_key_read(text, &key, &error))
            return fail(build, member, "%s; leave both keys out of an object that is put through the simulator, and they are made",
                        error.text);
        object->symmetric_keys[i] = *text ? text : NULL;
    }
    if (!object->symmetric_keys[DPS_PRIMARY] && !object->symmetric_keys[DPS_SECONDARY])
        tell(build, "attestation.symmetricKey", "holds no key, so no device can match; write primaryKey, the base64 of 16 to 64 bytes");
    return 0;
}

/* Of an object that is put: the former keys, or new ones. Returns -1 when out of memory or randomness. */
static int fill_symmetric_keys(cJSON *json, const struct dps_entry *old)
{
    cJSON *attestation = (cJSON *)json_member(json, "attestation");
    if (strcmp(json_string(attestation, "type", ""), "symmetricKey") != 0)
        return 0;
    cJSON *keys = (cJSON *)json_member(attestation, "symmetricKey");
    if (!keys && json_set(attestation, "symmetricKey", keys = cJSON_CreateObject()))
        return -1;
    for (size_t i = 0; i < DPS_PAIR; i++) {
        CLEANUP_SAS_KEY struct sas_key key = {.length_bytes = 0};
        char text[SAS_KEY_TEXT_BYTES];
        const char *former = old ? old->object.symmetric_keys[i] : NULL;
        if (!cJSON_IsObject(keys) || json_member(keys, key_names[i]))
            continue;
        if (!former && sas_key_make(&key, NULL))
            return -1;
        if (!former)
            sas_key_format(&key, text);
        if (json_set_string(keys, key_names[i], former ? former : text))
            return -1;
    }
    return 0;
}

static int read_attestation_type(const struct build *build, const char *type)
{
    static const char *const names[] = {[DPS_ATTESTATION_X509] = "x509",
                                        [DPS_ATTESTATION_SYMMETRIC_KEY] = "symmetricKey",
                                        [DPS_ATTESTATION_TPM] = "tpm",
                                        [DPS_ATTESTATION_NONE] = "none"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (strcmp(type, names[i]) != 0)
            continue;
        build->entry->object.attestation = (enum dps_attestation)i;
        build->entry->object.is_x509 = i == DPS_ATTESTATION_X509;
        return 0;
    }
    return fail(build, "attestation.type", "'%s' is not one of x509, symmetricKey, tpm, none", type);
}

static int read_attestation(const struct build *build)
{
    struct dps_object *object = &build->entry->object;
    const cJSON *attestation = json_member(build->entry->json, "attestation");
    if (!attestation)
        return fail(build, "attestation", "is missing; expected {\"type\": \"x509\", \"x509\": {...}}");
    const char *type = json_string(attestation, "type", json_member(attestation, "x509") ? "x509" : "");
    if (read_attestation_type(build, type))
        return -1;
    if (object->is_x509)
        return object->kind == DPS_GROUP ? read_group_certificates(build) : read_client_certificates(build);
    if (object->attestation == DPS_ATTESTATION_SYMMETRIC_KEY)
        return read_symmetric_keys(build);
    tell(build, "attestation.type", "only x509 and symmetricKey are simulated here: the object is kept and matches no device");
    return 0;
}

cJSON *dps_certificate_holder(cJSON *json)
{
    cJSON *properties = (cJSON *)json_member(json, "properties");
    bool stands_on_top = json_member(json, "certificate") && !json_member(properties, "certificate");
    return stands_on_top || !cJSON_IsObject(properties) ? json : properties;
}

static const char *either_text(const cJSON *json, const char *name)
{
    return json_string(json_member(json, "properties"), name, json_string(json, name, ""));
}

static int make_certificate_members(const struct build *build, const X509 *certificate)
{
    cJSON *holder = dps_certificate_holder(build->entry->json);
    CLEANUP_FREE char *subject = certificate_subject(certificate);
    int64_t before, after;
    char expiry[DPS_TIME_BYTES] = "";
    if (certificate_validity(certificate, &before, &after) == 0)
        dps_http_time_format(after, expiry);
    return !subject || json_set_string(holder, "subject", subject) || json_set_string(holder, "expiry", expiry) ||
                   json_set_string(holder, "thumbprint", build->entry->object.certificates[0].sha1)
               ? error_set_memory(build->error)
               : 0;
}

static int read_certificate(const struct build *build)
{
    struct dps_object *object = &build->entry->object;
    cJSON *json = build->entry->json, *holder = dps_certificate_holder(json);
    struct certificate_ref *ref = &object->certificates[DPS_PRIMARY];
    const char *path = holder == json ? "certificate" : "properties.certificate", *text = json_string(holder, "certificate", "");
    const char *code = either_text(json, "verificationCode");
    object->is_enabled = object->is_x509 = true;
    object->is_verified = json_bool(json, "isVerified", false) || json_bool(json_member(json, "properties"), "isVerified", false);
    object->verification_code = *code ? code : NULL;
    if (*text)
        return read_certificate_text(build, text, path, ref) || make_certificate_members(build, ref->certificate) ? -1 : 0;
    if (read_thumbprint(build, holder, holder == json ? "" : "properties", "thumbprint", ref->sha1, sizeof ref->sha1))
        return -1;
    if (!*ref->sha1)
        return fail(build, path, "is missing; put the CA certificate there, " HOW_TO_WRITE_PEM);
    tell(build, path,
         "is missing: the CA is known by its thumbprint alone, so it helps only a device that sends the CA itself; put the certificate "
         "there");
    return 0;
}

static int set_absent(cJSON *object, const char *name, const char *text)
{
    return json_member(object, name) ? 0 : json_set_string(object, name, text);
}

static const char *created_name(enum dps_kind kind)
{
    return kind == DPS_CERTIFICATE ? "created" : "createdDateTimeUtc";
}

static const char *updated_name(enum dps_kind kind)
{
    return kind == DPS_CERTIFICATE ? "updated" : "lastUpdatedDateTimeUtc";
}

static void format_now(enum dps_kind kind, const struct clock *clock, char text[DPS_TIME_BYTES])
{
    if (kind == DPS_CERTIFICATE)
        dps_http_time_format(clock_unix_s(clock), text);
    else
        dps_time_format(clock_unix_us(clock), text);
}

/* Enrollments keep their dates at the top, certificates beside their certificate. */
static cJSON *date_holder(enum dps_kind kind, cJSON *json)
{
    return kind == DPS_CERTIFICATE ? dps_certificate_holder(json) : json;
}

static int make_read_only_members(const struct build *build)
{
    struct dps_object *object = &build->entry->object;
    cJSON *json = build->entry->json, *dates = date_holder(object->kind, json);
    char now[DPS_TIME_BYTES];
    format_now(object->kind, build->clock, now);
    CLEANUP_FREE char *etag = dps_etag_new(build->clock);
    if (!etag || set_absent(json, "etag", etag) || set_absent(dates, created_name(object->kind), now) ||
        set_absent(dates, updated_name(object->kind), now))
        return error_set_memory(build->error);
    if (object->kind == DPS_CERTIFICATE && !json_member(dates, "isVerified") && json_set_bool(dates, "isVerified", object->is_verified))
        return error_set_memory(build->error);
    object->etag = json_string(json, "etag", "");
    return 0;
}

int dps_json_stamp(enum dps_kind kind, cJSON *json, const struct dps_entry *old, const struct clock *clock)
{
    cJSON *dates = date_holder(kind, json);
    const char *created = old ? json_string(date_holder(kind, old->json), created_name(kind), NULL) : NULL;
    char now[DPS_TIME_BYTES];
    format_now(kind, clock, now);
    CLEANUP_FREE char *etag = dps_etag_new(clock);
    return !etag || fill_symmetric_keys(json, old) || json_set_string(json, "etag", etag) ||
                   json_set_string(dates, created_name(kind), created ? created : now) || json_set_string(dates, updated_name(kind), now)
               ? -1
               : 0;
}

static bool is_allocation_policy(const char *text)
{
    static const char *const names[] = {"hashed", "geoLatency", "static", "custom"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (strcasecmp(text, names[i]) == 0)
            return true;
    return false;
}

/* IoT Hub's device ids, without '+' and '#', which fit no topic. */
static int read_device_id(const struct build *build, const char *device_id)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.%_*?!(),:=@$'";
    if (strlen(device_id) > DPS_ID_MAX_BYTES)
        return fail(build, "deviceId", "is longer than %d characters", DPS_ID_MAX_BYTES);
    if (device_id[strspn(device_id, allowed)])
        return fail(build, "deviceId", "'%.128s' is none that a hub takes: letters, digits and - . %% _ * ? ! ( ) , : = @ $ '", device_id);
    return 0;
}

bool dps_is_hub_name(const char *name)
{
    enum { PORT_DIGITS = 5 };
    size_t length = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_");
    const char *rest = name + length;
    size_t digits = *rest == ':' ? strspn(rest + 1, "0123456789") : 0;
    return length > 0 && (!*rest || (digits > 0 && digits <= PORT_DIGITS && !rest[1 + digits]));
}

static int read_hub(const struct build *build, const char *member, const char *name)
{
    if (!dps_is_hub_name(name))
        return fail(build, member, "'%.255s' is no host name, such as my-hub.azure-devices.net", name);
    return 0;
}

/* A device is told the name as it stands here. */
static int read_hubs(const struct build *build)
{
    const cJSON *hubs = json_member(build->entry->json, "iotHubs"), *hub;
    const char *only = json_string(build->entry->json, "iotHubHostName", "");
    if (*only && read_hub(build, "iotHubHostName", only))
        return -1;
    cJSON_ArrayForEach(hub, hubs)
    {
        if (cJSON_IsString(hub) && read_hub(build, "iotHubs", hub->valuestring))
            return -1;
    }
    return 0;
}

/* What a registration will need: told here, to the one who writes it, and not when a device comes. */
static int read_allocation(const struct build *build)
{
    const cJSON *json = build->entry->json;
    const char *policy = json_string(json, "allocationPolicy", "hashed");
    const char *url = json_string(json_member(json, "customAllocationDefinition"), "webhookUrl", "");
    if (!is_allocation_policy(policy))
        return fail(build, "allocationPolicy", "'%.64s' is not one of hashed, geoLatency, static, custom", policy);
    if (strcasecmp(policy, "custom") == 0 && !*url)
        return fail(build, "customAllocationDefinition.webhookUrl", "is missing; allocationPolicy custom asks a web server there");
    return read_device_id(build, json_string(json, "deviceId", "")) || read_hubs(build) ? -1 : 0;
}

static int build_object(const struct build *build)
{
    struct dps_entry *entry = build->entry;
    if (dps_shape_check(entry->object.kind, entry->json, build->place, build->listener, build->error) || read_id(build))
        return -1;
    if (entry->object.kind == DPS_CERTIFICATE)
        return read_certificate(build) || make_read_only_members(build) ? -1 : 0;
    return read_status(build) || read_attestation(build) || read_allocation(build) || make_read_only_members(build) ? -1 : 0;
}

int dps_entry_new(enum dps_kind kind, cJSON *json, const char *place, const struct clock *clock, const struct dps_listener *listener,
                  struct dps_entry **ret_entry, struct error *error)
{
    CLEANUP_ENTRY struct dps_entry *entry = calloc(1, sizeof *entry);
    if (!entry) {
        cJSON_Delete(json);
        return error_set_memory(error);
    }
    entry->json = json;
    entry->object = (struct dps_object){.kind = kind, .json = json};
    entry->place = strdup(place);
    if (!entry->place || !json)
        return error_set_memory(error);
    entry->object.place = entry->place;
    struct build build = {.entry = entry, .place = entry->place, .clock = clock, .listener = listener, .error = error};
    if (build_object(&build))
        return -1;
    *ret_entry = TAKE(entry);
    return 0;
}

void dps_entry_free(struct dps_entry *entry)
{
    if (!entry)
        return;
    for (size_t i = 0; i < DPS_PAIR; i++)
        X509_free(entry->object.certificates[i].certificate);
    cJSON_Delete(entry->json);
    free(entry->place);
    free(entry->lease);
    free(entry->file_name);
    free(entry);
}

bool certificate_ref_is_set(const struct certificate_ref *ref)
{
    return ref->certificate || *ref->sha256 || *ref->sha1;
}

bool certificate_ref_matches(const struct certificate_ref *ref, const X509 *certificate)
{
    char sha1[SHA1_HEX_BYTES], sha256[SHA256_HEX_BYTES];
    if (ref->certificate)
        return X509_cmp(ref->certificate, certificate) == 0;
    if (*ref->sha256) {
        certificate_sha256(certificate, sha256);
        return strcmp(sha256, ref->sha256) == 0;
    }
    if (!*ref->sha1)
        return false;
    certificate_sha1(certificate, sha1);
    return strcmp(sha1, ref->sha1) == 0;
}
