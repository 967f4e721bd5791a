#include "harness/cli/az_enrollment_json.h"

#include "base/log.h"
#include "certs/attestation.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

enum { KEY_BYTES = 64 };

static int fail(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int fail(struct error *error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    error_setv(error, ERROR_OWNER_FILE, ERROR_USAGE, format, args);
    va_end(args);
    return -1;
}

/* ---- certificates ---- */

/* {"certificate": PEM} of a file. */
static int set_certificate(cJSON *pair, const char *name, const char *path, struct error *error)
{
    CLEANUP(bytes_done) struct bytes pem = {0};
    if (!path)
        return 0;
    if (az_read_pem(path, &pem, error))
        return -1;
    CLEANUP_JSON cJSON *certificate = cJSON_CreateObject();
    if (json_set_string(certificate, "certificate", bytes_text(&pem)) || json_set(pair, name, TAKE(certificate)))
        return error_set_memory(error);
    return 0;
}

/* The member object, made when it is not there. NULL when out of memory. */
static cJSON *require_object(cJSON *parent, const char *name)
{
    cJSON *present = (cJSON *)json_member(parent, name);
    if (present)
        return present;
    return json_set(parent, name, cJSON_CreateObject()) ? NULL : (cJSON *)json_member(parent, name);
}

static void remove_flagged(const struct az_call *call, cJSON *pair)
{
    if (az_flag(call->arguments, AZ_REMOVE_CERTIFICATE))
        cJSON_DeleteItemFromObjectCaseSensitive(pair, "primary");
    if (az_flag(call->arguments, AZ_REMOVE_SECONDARY_CERTIFICATE))
        cJSON_DeleteItemFromObjectCaseSensitive(pair, "secondary");
}

static int refuse_empty(const cJSON *pair, struct error *error)
{
    if (json_member(pair, "primary") || json_member(pair, "secondary"))
        return 0;
    return fail(error, "Please provide at least one certificate: --certificate-path FILE takes the place of the one that is removed");
}

/* clientCertificates or signingCertificates from the files that were named. */
static int change_files(const struct az_call *call, cJSON *x509, const char *member, struct error *error)
{
    cJSON *pair = require_object(x509, member);
    if (!pair)
        return error_set_memory(error);
    remove_flagged(call, pair);
    if (set_certificate(pair, "primary", az_value(call, AZ_CERTIFICATE_PATH), error) ||
        set_certificate(pair, "secondary", az_value(call, AZ_SECONDARY_CERTIFICATE_PATH), error))
        return -1;
    return refuse_empty(pair, error);
}

static int change_references(const struct az_call *call, cJSON *x509, struct error *error)
{
    cJSON *references = require_object(x509, "caReferences");
    if (!references)
        return error_set_memory(error);
    remove_flagged(call, references);
    if (json_set_string(references, "primary", az_value(call, AZ_CA_NAME)) ||
        json_set_string(references, "secondary", az_value(call, AZ_SECONDARY_CA_NAME)))
        return error_set_memory(error);
    return refuse_empty(references, error);
}

static bool has_files(const struct az_call *call)
{
    return az_value(call, AZ_CERTIFICATE_PATH) || az_value(call, AZ_SECONDARY_CERTIFICATE_PATH);
}

static bool has_names(const struct az_call *call)
{
    return az_value(call, AZ_CA_NAME) || az_value(call, AZ_SECONDARY_CA_NAME);
}

/* A group has one kind of CA or the other. Naming the other kind replaces it. */
static int change_group_x509(const struct az_call *call, cJSON *x509, struct error *error)
{
    if (has_files(call) && has_names(call))
        return fail(error, "Please provide either certificate path or certificate name (--certificate-path or --ca-name)");
    bool wants_names = has_names(call) || (!has_files(call) && json_member(x509, "caReferences"));
    cJSON_DeleteItemFromObjectCaseSensitive(x509, wants_names ? "signingCertificates" : "caReferences");
    return wants_names ? change_references(call, x509, error) : change_files(call, x509, "signingCertificates", error);
}

static int change_x509(const struct az_call *call, enum dps_kind kind, cJSON *attestation, struct error *error)
{
    cJSON *x509 = require_object(attestation, "x509");
    if (!x509)
        return error_set_memory(error);
    return kind == DPS_GROUP ? change_group_x509(call, x509, error) : change_files(call, x509, "clientCertificates", error);
}

/* ---- symmetric keys, TPM ---- */

static int set_key(cJSON *keys, const char *name, const char *given, struct error *error)
{
    unsigned char random[KEY_BYTES];
    char encoded[2 * KEY_BYTES];
    if (given || json_member(keys, name))
        return json_set_string(keys, name, given) ? error_set_memory(error) : 0;
    if (RAND_bytes(random, sizeof random) != 1)
        return error_set(error, ERROR_OWNER_OURS, ERROR_CRYPTO, "no random bytes for a symmetric key");
    EVP_EncodeBlock((unsigned char *)encoded, random, sizeof random);
    return json_set_string(keys, name, encoded) ? error_set_memory(error) : 0;
}

static int change_keys(const struct az_call *call, cJSON *attestation, struct error *error)
{
    cJSON *keys = require_object(attestation, "symmetricKey");
    if (!keys)
        return error_set_memory(error);
    return set_key(keys, "primaryKey", az_value(call, AZ_PRIMARY_KEY), error) ||
                   set_key(keys, "secondaryKey", az_value(call, AZ_SECONDARY_KEY), error)
               ? -1
               : 0;
}

static int change_tpm(const struct az_call *call, cJSON *attestation, struct error *error)
{
    cJSON *tpm = require_object(attestation, "tpm");
    if (!tpm || json_set_string(tpm, "endorsementKey", az_value(call, AZ_ENDORSEMENT_KEY)) ||
        json_set_string(tpm, "storageRootKey", az_value(call, AZ_STORAGE_ROOT_KEY)))
        return error_set_memory(error);
    return 0;
}

/* ---- attestation ---- */

/* What does not belong to a type of attestation, in az's words. */
static int refuse_foreign(const struct az_call *call, const char *type, struct error *error)
{
    bool is_x509 = strcmp(type, "x509") == 0, is_tpm = strcmp(type, "tpm") == 0, is_key = strcmp(type, "symmetricKey") == 0;
    const char *spelled = is_key ? "symmetric key" : type;
    bool removes = az_flag(call->arguments, AZ_REMOVE_CERTIFICATE) || az_flag(call->arguments, AZ_REMOVE_SECONDARY_CERTIFICATE);
    if (!is_x509 && (has_files(call) || has_names(call)))
        return fail(error, "Cannot update certificate while enrollment is using %s attestation mechanism", spelled);
    if (!is_x509 && removes)
        return fail(error, "Cannot remove certificate while enrollment is using %s attestation mechanism", spelled);
    if (!is_key && (az_value(call, AZ_PRIMARY_KEY) || az_value(call, AZ_SECONDARY_KEY)))
        return fail(error, "Cannot update primary or secondary key while enrollment is using %s attestation mechanism", spelled);
    if (!is_tpm && (az_value(call, AZ_ENDORSEMENT_KEY) || az_value(call, AZ_STORAGE_ROOT_KEY)))
        return fail(error, "Cannot update endorsement key while enrollment is using %s attestation mechanism", spelled);
    return 0;
}

static bool names_attestation(const struct az_call *call)
{
    static const enum az_option options[] = {AZ_CERTIFICATE_PATH,
                                             AZ_SECONDARY_CERTIFICATE_PATH,
                                             AZ_CA_NAME,
                                             AZ_SECONDARY_CA_NAME,
                                             AZ_REMOVE_CERTIFICATE,
                                             AZ_REMOVE_SECONDARY_CERTIFICATE,
                                             AZ_PRIMARY_KEY,
                                             AZ_SECONDARY_KEY,
                                             AZ_ENDORSEMENT_KEY,
                                             AZ_STORAGE_ROOT_KEY};
    for (size_t i = 0; i < ARRAY_COUNT(options); i++)
        if (az_value(call, options[i]))
            return true;
    return false;
}

static int change_attestation(const struct az_call *call, enum dps_kind kind, cJSON *attestation, struct error *error)
{
    const char *type = json_string(attestation, "type", "x509");
    if (refuse_foreign(call, type, error))
        return -1;
    if (strcmp(type, "x509") == 0)
        return change_x509(call, kind, attestation, error);
    return strcmp(type, "tpm") == 0 ? change_tpm(call, attestation, error) : change_keys(call, attestation, error);
}

/* A group without any word about certificates has symmetric keys. */
static const char *type_of_new(const struct az_call *call, enum dps_kind kind)
{
    static const char *const types[] = {"x509", "symmetricKey", "tpm", NULL};
    if (kind == DPS_GROUP)
        return has_files(call) || has_names(call) ? "x509" : "symmetricKey";
    return az_word(call, AZ_ATTESTATION_TYPE, types);
}

static int check_new(const struct az_call *call, const char *type, struct error *error)
{
    if (strcmp(type, "x509") == 0 && !has_files(call) && !has_names(call))
        return fail(error, "Please provide at least one certificate path: --certificate-path/--cp FILE");
    if (strcmp(type, "tpm") == 0 && !az_value(call, AZ_ENDORSEMENT_KEY))
        return fail(error, "Endorsement key [--endorsement-key] is required");
    return 0;
}

static int set_attestation(const struct az_call *call, enum dps_kind kind, cJSON *object, struct error *error)
{
    const char *type = type_of_new(call, kind);
    if (check_new(call, type, error))
        return -1;
    cJSON *attestation = cJSON_AddObjectToObject(object, "attestation");
    if (!attestation || json_set_string(attestation, "type", type))
        return error_set_memory(error);
    return change_attestation(call, kind, attestation, error);
}

/* ---- allocation ---- */

static int set_hubs(const struct az_call *call, cJSON *object, struct error *error)
{
    const struct az_arguments *arguments = call->arguments;
    const char *single = az_value(call, AZ_IOT_HUB_HOST_NAME);
    if (!arguments->hub_count && !single)
        return 0;
    cJSON *hubs =
        arguments->hub_count ? cJSON_CreateStringArray(arguments->hubs, (int)arguments->hub_count) : cJSON_CreateStringArray(&single, 1);
    cJSON_DeleteItemFromObjectCaseSensitive(object, "iotHubHostName");
    return json_set(object, "iotHubs", hubs) ? error_set_memory(error) : 0;
}

/* az demands the policy with --iot-hubs; for one hub it can only be static. */
static int check_policy(const struct az_call *call, const char *policy, bool is_new, struct error *error)
{
    size_t count = call->arguments->hub_count;
    if (policy && az_value(call, AZ_IOT_HUB_HOST_NAME))
        return fail(error, "'iot_hub_host_name' is not required when allocation-policy is defined: give the host to --iot-hubs");
    if (!policy && is_new && count > 1)
        return fail(error, "Please provide allocation policy: --allocation-policy hashed, geolatency or custom goes with several hubs");
    if (policy && strcmp(policy, "static") == 0 && count > 1)
        return fail(error, "Only one hub is required in static allocation policy, and --iot-hubs names %zu", count);
    if (policy && strcmp(policy, "static") == 0 && is_new && count == 0)
        return fail(error, "Please provide a hub to be assigned with device: --iot-hubs HOST");
    if (policy && strcmp(policy, "custom") == 0 && is_new && (!az_value(call, AZ_WEBHOOK_URL) || !az_value(call, AZ_API_VERSION)))
        return fail(error, "Please provide both the Azure function webhook url and provisioning service api-version when the "
                           "allocation-policy is defined as Custom");
    return 0;
}

static int set_webhook(const struct az_call *call, cJSON *object, struct error *error)
{
    const char *url = az_value(call, AZ_WEBHOOK_URL), *version = az_value(call, AZ_API_VERSION);
    if (!url && !version)
        return 0;
    cJSON *definition = require_object(object, "customAllocationDefinition");
    if (!definition || json_set_string(definition, "webhookUrl", url) || json_set_string(definition, "apiVersion", version))
        return error_set_memory(error);
    return 0;
}

static int change_allocation(const struct az_call *call, cJSON *object, bool is_new, struct error *error)
{
    static const char *const policies[] = {"hashed", "geoLatency", "static", "custom", NULL};
    const char *policy = az_word(call, AZ_ALLOCATION_POLICY, policies);
    if (check_policy(call, policy, is_new, error))
        return -1;
    if (az_value(call, AZ_IOT_HUB_HOST_NAME)) {
        log_warning("--iot-hub-host-name is deprecated: --iot-hubs HOST --allocation-policy static says the same");
        policy = "static";
    } else if (!policy && is_new && call->arguments->hub_count == 1) {
        log_warning("one hub and no --allocation-policy: static is taken; az itself says \"Please provide allocation policy.\"");
        policy = "static";
    }
    if (json_set_string(object, "allocationPolicy", policy))
        return error_set_memory(error);
    return set_hubs(call, object, error) || set_webhook(call, object, error) ? -1 : 0;
}

/* ---- the rest ---- */

static int change_reprovision(const struct az_call *call, cJSON *object, bool is_new, struct error *error)
{
    static const char *const policies[] = {"reprovisionandmigratedata", "reprovisionandresetdata", "never", NULL};
    const char *policy = az_word(call, AZ_REPROVISION_POLICY, policies);
    if (!policy && !is_new)
        return 0;
    bool migrates = !policy || strcmp(policy, policies[0]) == 0, updates = migrates || strcmp(policy, policies[1]) == 0;
    CLEANUP_JSON cJSON *reprovision = cJSON_CreateObject();
    if (json_set_bool(reprovision, "updateHubAssignment", updates) || json_set_bool(reprovision, "migrateDeviceData", migrates) ||
        json_set(object, "reprovisionPolicy", TAKE(reprovision)))
        return error_set_memory(error);
    return 0;
}

static cJSON *object_of(const char *text, const char *option, struct error *error)
{
    CLEANUP_JSON cJSON *json = az_json_of(text, option, error);
    if (json && cJSON_IsObject(json))
        return TAKE(json);
    if (json)
        fail(error, "%s: a JSON object is expected, or the name of a file of one", option);
    return NULL;
}

static int set_json(const struct az_call *call, enum az_option option, const char *shown, cJSON *parent, const char *name,
                    struct error *error)
{
    const char *text = az_value(call, option);
    if (!text)
        return 0;
    cJSON *json = object_of(text, shown, error);
    if (!json)
        return -1;
    return json_set(parent, name, json) ? error_set_memory(error) : 0;
}

static int change_twin(const struct az_call *call, cJSON *object, struct error *error)
{
    bool has_tags = az_value(call, AZ_INITIAL_TWIN_TAGS), has_properties = az_value(call, AZ_INITIAL_TWIN_PROPERTIES);
    if (!has_tags && !has_properties)
        return 0;
    cJSON *twin = require_object(object, "initialTwin"), *properties = twin && has_properties ? require_object(twin, "properties") : NULL;
    if (!twin || (has_properties && !properties))
        return error_set_memory(error);
    return set_json(call, AZ_INITIAL_TWIN_TAGS, "--initial-twin-tags", twin, "tags", error) ||
                   set_json(call, AZ_INITIAL_TWIN_PROPERTIES, "--initial-twin-properties", properties, "desired", error)
               ? -1
               : 0;
}

static int change_edge(const struct az_call *call, cJSON *object, bool is_new, struct error *error)
{
    if (!az_value(call, AZ_EDGE_ENABLED) && !is_new)
        return 0;
    cJSON *capabilities = require_object(object, "capabilities");
    return !capabilities || json_set_bool(capabilities, "iotEdge", az_flag(call->arguments, AZ_EDGE_ENABLED)) ? error_set_memory(error) : 0;
}

static int change_rest(const struct az_call *call, cJSON *object, bool is_new, struct error *error)
{
    static const char *const statuses[] = {"enabled", "disabled", NULL};
    const char *status = az_word(call, AZ_PROVISIONING_STATUS, statuses);
    if (json_set_string(object, "provisioningStatus",
                        status   ? status
                        : is_new ? "enabled"
                                 : NULL) ||
        json_set_string(object, "deviceId", az_value(call, AZ_DEVICE_ID)))
        return error_set_memory(error);
    return change_allocation(call, object, is_new, error) || change_reprovision(call, object, is_new, error) ||
                   change_twin(call, object, error) || change_edge(call, object, is_new, error) ||
                   set_json(call, AZ_DEVICE_INFORMATION, "--device-information", object, "optionalDeviceInformation", error)
               ? -1
               : 0;
}

/* Both kinds of ids have one grammar (azure-docs articles/iot-dps/concepts-service.md). */
static int check_id(enum dps_kind kind, const char *id, struct error *error)
{
    if (registration_id_is_valid(id))
        return 0;
    return fail(error, "%s '%.128s': %s an id is 1 to 128 letters, digits and - . _ :, the last one a letter, a digit or '-'",
                dps_kind_text(kind), id, kind == DPS_ENROLLMENT ? "Invalid RegistrationId (Azure: 400004):" : "Azure: 400:");
}

cJSON *az_enrollment_new(const struct az_call *call, enum dps_kind kind, struct error *error)
{
    CLEANUP_JSON cJSON *object = cJSON_CreateObject();
    const char *id = az_value(call, kind == DPS_GROUP ? AZ_GROUP_ID : AZ_ENROLLMENT_ID);
    if (json_set_string(object, dps_kind_id_member(kind), id)) {
        error_set_memory(error);
        return NULL;
    }
    return check_id(kind, id, error) || set_attestation(call, kind, object, error) || change_rest(call, object, true, error) ? NULL
                                                                                                                             : TAKE(object);
}

int az_enrollment_change(const struct az_call *call, enum dps_kind kind, cJSON *object, struct error *error)
{
    cJSON *attestation = (cJSON *)json_member(object, "attestation");
    if (names_attestation(call) && change_attestation(call, kind, attestation, error))
        return -1;
    return change_rest(call, object, false, error);
}
