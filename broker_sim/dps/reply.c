#include "broker_sim/dps/reply.h"

char *reply_topic(int status, struct slice rid, int64_t retry_after_s)
{
    char *topic, retry[40] = "";
    if (retry_after_s != RETRY_AFTER_ABSENT)
        snprintf(retry, sizeof retry, "&retry-after=%lld", (long long)retry_after_s);
    int rc = asprintf(&topic, "$dps/registrations/res/%d/?$rid=%.*s%s", status, (int)rid.length, rid.text, retry);
    return rc < 0 ? NULL : topic;
}

static int add_time(cJSON *object, const char *name, int64_t unix_us)
{
    char text[DPS_TIME_BYTES];
    dps_time_format(unix_us, text);
    return json_set_string(object, name, text);
}

/* How the device proved itself. An individual enrollment shows as an empty object, a group by its name. */
static int add_attestation(cJSON *state, const struct registration_outcome *outcome)
{
    cJSON *attestation = cJSON_AddObjectToObject(state, outcome->has_symmetric_key ? "symmetricKey" : "x509");
    if (!attestation)
        return -1;
    return outcome->is_group ? json_set_string(attestation, "enrollmentGroupId", outcome->enrollment_id) : 0;
}

/* `text` is JSON that we printed ourselves. */
static int add_printed(cJSON *state, const char *name, const char *text)
{
    return text ? json_set(state, name, cJSON_Parse(text)) : 0;
}

static int add_assignment(cJSON *state, const struct registration *registration)
{
    const struct registration_outcome *outcome = &registration->outcome;
    return add_attestation(state, outcome) || json_set_string(state, "registrationId", registration->registration_id) ||
           add_time(state, "createdDateTimeUtc", registration->created_unix_us) ||
           json_set_string(state, "assignedHub", outcome->assigned_hub) || json_set_string(state, "deviceId", outcome->device_id) ||
           json_set_string(state, "status", "assigned") ||
           json_set_string(state, "substatus", registration_substatus_name(outcome->substatus)) ||
           add_time(state, "lastUpdatedDateTimeUtc", registration->updated_unix_us) || json_set_string(state, "etag", registration->etag) ||
           add_printed(state, "payload", outcome->payload) || add_printed(state, "issuedCertificateChain", outcome->issued_chain);
}

static int add_failure(cJSON *state, const struct registration *registration)
{
    return json_set_string(state, "registrationId", registration->registration_id) ||
           add_time(state, "createdDateTimeUtc", registration->created_unix_us) || json_set_string(state, "status", "failed") ||
           json_set_integer(state, "errorCode", registration->outcome.error_code) ||
           json_set_string(state, "errorMessage", registration->outcome.error_message) ||
           add_time(state, "lastUpdatedDateTimeUtc", registration->updated_unix_us) || json_set_string(state, "etag", registration->etag);
}

static int add_plain(cJSON *state, const struct registration *registration)
{
    return json_set_string(state, "registrationId", registration->registration_id) ||
           json_set_string(state, "status", registration_status_name(registration->status));
}

cJSON *reply_registration_state(const struct registration *registration)
{
    CLEANUP_JSON cJSON *state = cJSON_CreateObject();
    if (!state)
        return NULL;
    int rc = registration->status == REGISTRATION_ASSIGNED ? add_assignment(state, registration)
             : registration->status == REGISTRATION_FAILED ? add_failure(state, registration)
                                                           : add_plain(state, registration);
    return rc ? NULL : TAKE(state);
}

cJSON *reply_operation_body(const struct registration *registration, bool with_state)
{
    CLEANUP_JSON cJSON *body = cJSON_CreateObject();
    if (!body || json_set_string(body, "operationId", registration->operation_id) ||
        json_set_string(body, "status", registration_status_name(registration->status)))
        return NULL;
    if (with_state && json_set(body, "registrationState", reply_registration_state(registration)))
        return NULL;
    return TAKE(body);
}

struct reply_error reply_error_of(int status)
{
    static const struct reply_error known[] = {
        {400000, "Bad Request"},
        {401002, "Unauthorized"},
        {403000, "Forbidden"},
        {404201, "Not found"},
        {409203, "Precondition failed."},
        {429001, "Operations are being throttled for this tenant."},
        {500000, "Internal server error"},
        {503000, "Service unavailable"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(known); i++)
        if (known[i].code / 1000 == status)
            return known[i];
    return (struct reply_error){status * 1000, "An error that a scenario asks for"};
}

cJSON *reply_error_body(int error_code, const char *message, int64_t unix_us)
{
    char tracking_id[UUID_TEXT_BYTES];
    uuid_make(tracking_id);
    CLEANUP_JSON cJSON *body = cJSON_CreateObject();
    if (!body || json_set_integer(body, "errorCode", error_code) || json_set_string(body, "trackingId", tracking_id) ||
        json_set_string(body, "message", message) || add_time(body, "timestampUtc", unix_us))
        return NULL;
    return TAKE(body);
}
