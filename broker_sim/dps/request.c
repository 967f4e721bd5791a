#include "broker_sim/dps/request.h"

#include "base/json.h"
#include "certs/attestation.h"

#include <string.h>

static const struct {
    const char *name;
    const char *topic;
} operations[] = {
    [DPS_REGISTER] = {"register", "$dps/registrations/PUT/iotdps-register/"},
    [DPS_STATUS] = {"status", "$dps/registrations/GET/iotdps-get-operationstatus/"},
};

const char *dps_operation_name(enum dps_operation operation)
{
    return operations[operation].name;
}

/* The text behind the operation's topic, NULL when it is another topic. */
static const char *behind(const char *topic, enum dps_operation operation)
{
    size_t length = strlen(operations[operation].topic);
    return strncmp(topic, operations[operation].topic, length) == 0 ? topic + length : NULL;
}

int dps_topic_is_request(const char *topic)
{
    return behind(topic, DPS_REGISTER) || behind(topic, DPS_STATUS);
}

/* The value of `key` in "?a=b&c=d"; the first one counts. */
static struct slice query_value(const char *query, const char *key)
{
    size_t key_length = strlen(key);
    for (const char *at = query; *at == '?' || *at == '&'; at += strcspn(at, "&")) {
        at++;
        if (strncmp(at, key, key_length) == 0 && at[key_length] == '=')
            return (struct slice){at + key_length + 1, strcspn(at + key_length + 1, "&")};
    }
    return (struct slice){"", 0};
}

int dps_request_read(const char *topic, struct dps_request *ret_request, struct error *error)
{
    for (size_t i = 0; i < ARRAY_COUNT(operations); i++) {
        const char *query = behind(topic, (enum dps_operation)i);
        if (!query)
            continue;
        ret_request->operation = (enum dps_operation)i;
        ret_request->rid = query_value(query, "$rid");
        ret_request->operation_id = query_value(query, "operationId");
        return 0;
    }
    return error_set(error, ERROR_OWNER_DEVICE, ERROR_PROTOCOL, "topic '%.200s' is no request of DPS", topic);
}

void register_body_done(struct register_body *body)
{
    cJSON_Delete(TAKE(body->json));
}

static int check_members(const cJSON *json, const char *registration_id, struct error *error)
{
    const cJSON *id = json_member(json, "registrationId"), *csr = json_member(json, "csr");
    if (!cJSON_IsObject(json))
        return error_set(error, ERROR_OWNER_DEVICE, ERROR_SYNTAX, "register body is JSON, but not an object");
    if (id && (!cJSON_IsString(id) || !registration_id_equals(id->valuestring, registration_id)))
        return error_set(error, ERROR_OWNER_DEVICE, ERROR_CONFLICT, "register body has registrationId '%.128s'; CONNECT said '%s'",
                         cJSON_IsString(id) ? id->valuestring : "(not a text)", registration_id);
    if (csr && !cJSON_IsString(csr))
        return error_set(error, ERROR_OWNER_DEVICE, ERROR_SYNTAX, "register body has a csr that is not a text");
    return 0;
}

int dps_register_body_read(const void *body, size_t length_bytes, const char *registration_id, struct register_body *ret_body,
                           struct error *error)
{
    if (length_bytes == 0) {
        *ret_body = (struct register_body){.json = NULL};
        return 0;
    }
    if (length_bytes > REGISTER_BODY_MAX_BYTES)
        return error_set(error, ERROR_OWNER_DEVICE, ERROR_LIMIT, "register body of %zu bytes; the service takes %d", length_bytes,
                         REGISTER_BODY_MAX_BYTES);
    CLEANUP_JSON cJSON *json = json_parse(body, length_bytes, "register body", error);
    if (!json) {
        if (error)
            error->owner = ERROR_OWNER_DEVICE;
        return -1;
    }
    if (check_members(json, registration_id, error))
        return -1;
    *ret_body = (struct register_body){
        .payload = json_member(json, "payload"), .csr = json_string(json, "csr", NULL), .has_tpm = json_member(json, "tpm") != NULL};
    ret_body->json = TAKE(json);
    return 0;
}
