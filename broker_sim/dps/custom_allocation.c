#include "broker_sim/dps/custom_allocation.h"

#include "base/cleanup.h"

#include <openssl/evp.h>
#include <string.h>
#include <strings.h>

/* --- the request --- */

char *custom_allocation_masked_url(const char *url)
{
    char *masked;
    size_t length = strcspn(url, "?");
    return asprintf(&masked, "%.*s%s", (int)length, url, url[length] ? "?****" : "") < 0 ? NULL : masked;
}

static cJSON *member(cJSON *object, const char *name)
{
    return (cJSON *)(uintptr_t)json_member(object, name);
}

static int mask_url(cJSON *enrollment)
{
    cJSON *definition = member(enrollment, "customAllocationDefinition");
    const char *url = json_string(definition, "webhookUrl", NULL);
    CLEANUP_FREE char *masked = url ? custom_allocation_masked_url(url) : NULL;
    return url ? json_set_string(definition, "webhookUrl", masked) : 0;
}

static void drop_certificates(cJSON *x509)
{
    static const char *const pairs[] = {"clientCertificates", "signingCertificates"}, *const members[] = {"primary", "secondary"};
    for (size_t i = 0; i < ARRAY_COUNT(pairs); i++)
        for (size_t j = 0; j < ARRAY_COUNT(members); j++)
            cJSON_DeleteItemFromObjectCaseSensitive(member(member(x509, pairs[i]), members[j]), "certificate");
}

/* Etags are kept in base64, as `az` shows them; a webhook gets the quoted text itself. */
static int open_etag(cJSON *enrollment)
{
    const char *etag = json_string(enrollment, "etag", "");
    unsigned char plain[128];
    size_t length = strlen(etag);
    if (length == 0 || length % 4 != 0 || length / 4 * 3 >= sizeof plain)
        return 0;
    int count = EVP_DecodeBlock(plain, (const unsigned char *)etag, (int)length);
    if (count <= 0)
        return 0;
    plain[count - (etag[length - 1] == '=') - (etag[length - 2] == '=')] = 0;
    return json_set_string(enrollment, "etag", (const char *)plain);
}

static cJSON *public_enrollment(const cJSON *enrollment)
{
    CLEANUP_JSON cJSON *copy = cJSON_Duplicate(enrollment, true);
    cJSON *attestation = member(copy, "attestation");
    if (!copy || mask_url(copy) || open_etag(copy))
        return NULL;
    cJSON_DeleteItemFromObjectCaseSensitive(attestation, "symmetricKey");
    cJSON_DeleteItemFromObjectCaseSensitive(attestation, "tpm");
    drop_certificates(member(attestation, "x509"));
    return TAKE(copy);
}

/* What is known of the certificate, in the shape of an enrollment's. */
static cJSON *x509_json(X509 *leaf)
{
    CLEANUP_JSON cJSON *x509 = cJSON_CreateObject();
    cJSON *certificates = leaf ? cJSON_AddObjectToObject(x509, "clientCertificates") : NULL;
    cJSON *primary = leaf ? cJSON_AddObjectToObject(certificates, "primary") : NULL;
    if (leaf && (!primary || json_set(primary, "info", certificate_info_json(leaf))))
        return NULL;
    return TAKE(x509);
}

static cJSON *context_json(const struct custom_question *question)
{
    CLEANUP_JSON cJSON *context = cJSON_CreateObject();
    if (json_set_string(context, "registrationId", question->registration_id))
        return NULL;
    if (question->current_hub[0] && (json_set_string(context, "currentIotHubHostName", question->current_hub) ||
                                     json_set_string(context, "currentDeviceId", question->current_device_id)))
        return NULL;
    if (question->has_symmetric_key ? json_set(context, "symmetricKey", cJSON_CreateObject())
                                    : json_set(context, "x509", x509_json(question->leaf)))
        return NULL;
    if (question->payload && json_set(context, "payload", cJSON_Duplicate(question->payload, true)))
        return NULL;
    return TAKE(context);
}

cJSON *custom_allocation_request(const struct custom_question *question)
{
    CLEANUP_JSON cJSON *request = cJSON_CreateObject();
    const struct allocation *allocation = question->allocation;
    if (json_set(request, question->is_group ? "enrollmentGroup" : "individualEnrollment", public_enrollment(question->enrollment)) ||
        json_set(request, "deviceRuntimeContext", context_json(question)) ||
        json_set(request, "linkedHubs", cJSON_CreateStringArray(allocation->hubs, (int)allocation->count)))
        return NULL;
    return TAKE(request);
}

/* --- the answer --- */

void custom_reply_done(struct custom_reply *reply)
{
    free(TAKE(reply->initial_twin));
    free(TAKE(reply->payload));
}

/* In the list's own spelling. */
static int read_hub(const cJSON *json, const cJSON *linked_hubs, char ret_hub[HUB_NAME_MAX_BYTES + 1], struct error *error)
{
    const char *name = json_string(json, "iotHubHostName", NULL);
    const cJSON *item;
    if (!name)
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "the webhook's answer has no iotHubHostName");
    cJSON_ArrayForEach(item, linked_hubs)
    {
        if (!cJSON_IsString(item) || strcasecmp(item->valuestring, name) != 0)
            continue;
        snprintf(ret_hub, HUB_NAME_MAX_BYTES + 1, "%s", item->valuestring);
        return 0;
    }
    return error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "the webhook's answer names hub '%.255s', which is none of linkedHubs",
                     name);
}

static int print_member(const cJSON *json, const char *name, char **ret_text, struct error *error)
{
    const cJSON *value = json_member(json, name);
    if (!value)
        return 0;
    CLEANUP_FREE char *text = json_print_line(value);
    if (!text)
        return error_set_memory(error);
    if (strlen(text) > CUSTOM_PAYLOAD_MAX_BYTES)
        return error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "the webhook's answer has a %s of %zu bytes; %d are the most", name,
                         strlen(text), CUSTOM_PAYLOAD_MAX_BYTES);
    *ret_text = TAKE(text);
    return 0;
}

int custom_allocation_read(const char *body, size_t length_bytes, const cJSON *linked_hubs, struct custom_reply *ret_reply,
                           struct error *error)
{
    CLEANUP(custom_reply_done) struct custom_reply reply = {.payload = NULL};
    CLEANUP_JSON cJSON *json = json_parse(body, length_bytes, "the webhook's answer", error);
    if (!json)
        return -1;
    if (!cJSON_IsObject(json))
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "the webhook's answer is JSON, but not an object");
    const cJSON *twin = json_member(json, "initialTwin");
    if (twin && !cJSON_IsObject(twin))
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "the webhook's answer has an initialTwin that is not an object");
    if (read_hub(json, linked_hubs, reply.hub, error) || print_member(json, "initialTwin", &reply.initial_twin, error) ||
        print_member(json, "payload", &reply.payload, error))
        return -1;
    snprintf(ret_reply->hub, sizeof ret_reply->hub, "%s", reply.hub);
    ret_reply->initial_twin = TAKE(reply.initial_twin);
    ret_reply->payload = TAKE(reply.payload);
    return 0;
}
