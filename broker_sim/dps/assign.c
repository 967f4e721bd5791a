#include "broker_sim/dps/assign.h"

#include "base/cleanup.h"
#include "broker_sim/dps/custom_allocation.h"
#include "broker_sim/dps/sas_attestation.h"

#include <openssl/crypto.h>
#include <string.h>

enum {
    CODE_BAD_TWIN = 400000,
    CODE_CUSTOM_ALLOCATION = 400207,
    CODE_NO_HUB = 400208,
    CODE_HUB_UNAUTHORIZED = 400209,
    CODE_HUB_REFUSED = 401002
};

static void fail(struct registration_outcome *outcome, int code, const char *message)
{
    outcome->status = REGISTRATION_FAILED;
    outcome->error_code = code;
    snprintf(outcome->error_message, sizeof outcome->error_message, "%s", message);
}

static void fail_custom(struct registration_outcome *outcome, int status)
{
    char message[REGISTRATION_MESSAGE_MAX_BYTES];
    snprintf(message, sizeof message, "Custom allocation failed with status code: %d", status);
    fail(outcome, CODE_CUSTOM_ALLOCATION, message);
}

static X509 *leaf_of(const struct exchange *exchange)
{
    x509_stack *chain = exchange->session->chain;
    return sk_X509_num(chain) > 0 ? sk_X509_value(chain, 0) : NULL;
}

/* --- the plan --- */

static void take_hub(struct assignment_plan *plan, const char *hub)
{
    plan->outcome.status = REGISTRATION_ASSIGNED;
    plan->outcome.substatus = allocation_substatus(plan->before.hub, hub, plan->allocation.reprovision);
    snprintf(plan->outcome.assigned_hub, sizeof plan->outcome.assigned_hub, "%s", hub);
}

/* What DPS hears of a hub that does not take its credentials. The nested text is what azure-iot-sdk-c issue 2362 shows. */
static void refuse_at_hub(struct registration_outcome *outcome, enum hub_link link)
{
    static const char nested[] =
        "{\"Message\":\"{\\\"errorCode\\\":401002,\\\"message\\\":\\\"Unauthorized access\\\"}\",\"ExceptionMessage\":\"\"}";
    if (link == HUB_LINK_UNAUTHORIZED)
        fail(outcome, CODE_HUB_UNAUTHORIZED, "IotHub unauthorized");
    else
        fail(outcome, CODE_HUB_REFUSED, nested);
}

/* An application chooses the hub itself. */
static const char *application_hub(const struct exchange *exchange)
{
    const struct dps_application *application = exchange->own->tenant->application;
    return application ? application->hub(application->user, exchange->own->registration_id) : NULL;
}

static void allocate(const struct dps *dps, const struct exchange *exchange, struct assignment_plan *plan)
{
    const char *given = application_hub(exchange);
    const struct allocation_question question = {
        .enrollment = plan->enrollment,
        .linked = exchange->own->tenant->linked_hubs,
        .registration_id = exchange->own->registration_id,
        .current_hub = plan->before.hub,
        .is_sticky = exchange->own->api_version.is_sticky,
    };
    plan->allocation = allocation_make(&question);
    if (!given && (!plan->allocation.count || (!plan->allocation.hub && plan->allocation.policy != ALLOCATION_CUSTOM)))
        fail(&plan->outcome, CODE_NO_HUB, "No IoT hub is linked.");
    else if (exchange_has_fault(dps, exchange, KNOB_hub_link))
        refuse_at_hub(&plan->outcome, (enum hub_link)exchange->knobs.hub_link);
    else if (given || plan->allocation.hub)
        take_hub(plan, given ? given : plan->allocation.hub);
}

/* A hub takes no identity with such a twin. NULL: none is wanted. */
static int check_twin(const cJSON *initial_twin, struct error *error)
{
    struct twin twin;
    if (!initial_twin)
        return 0;
    if (twin_init(&twin, initial_twin, error))
        return error_prefix(error, "initialTwin");
    twin_done(&twin);
    return 0;
}

static void fail_bad_twin(const struct dps *dps, const struct exchange *exchange, struct assignment_plan *plan)
{
    struct error error = ERROR_INIT;
    if (plan->outcome.status == REGISTRATION_FAILED || check_twin(json_member(plan->enrollment, "initialTwin"), &error) == 0)
        return;
    dps_warn(dps, exchange->session, "twin.initial-bad", error.text, "mend the enrollment's initialTwin; then register again");
    fail(&plan->outcome, CODE_BAD_TWIN, "Bad Request");
}

/* Individual: the enrollment's deviceId, else the registration id. Group: always the registration id. */
static void fill_device(const struct exchange *exchange, struct assignment_plan *plan)
{
    struct registration_outcome *outcome = &plan->outcome;
    const char *registration_id = exchange->own->registration_id;
    const char *device_id = outcome->is_group ? "" : json_string(plan->enrollment, "deviceId", "");
    snprintf(outcome->device_id, sizeof outcome->device_id, "%s", *device_id ? device_id : registration_id);
    if (!outcome->has_symmetric_key && leaf_of(exchange))
        certificate_sha256(leaf_of(exchange), outcome->leaf_sha256);
}

/* The failure is the one that the documentation of custom allocation policies shows. */
static void end_otherwise(const struct dps *dps, const struct exchange *exchange, struct assignment_plan *plan)
{
    if (!exchange_has_fault(dps, exchange, KNOB_end_as))
        return;
    if (exchange->knobs.end_as == END_AS_NEVER)
        plan->polls = INT64_MAX;
    else if (exchange->knobs.end_as == END_AS_DISABLED)
        plan->outcome.status = REGISTRATION_DISABLED;
    else
        fail_custom(&plan->outcome, 400);
}

void assign_plan(const struct dps *dps, const struct exchange *exchange, struct assignment_plan *ret_plan)
{
    const struct dps_decision *decision = &exchange->own->decision;
    struct registration_outcome *outcome = &ret_plan->outcome;
    *ret_plan = (struct assignment_plan){.polls = exchange->knobs.polls_until_assigned};
    outcome->is_group = decision->match_kind == DPS_GROUP;
    outcome->has_symmetric_key = decision->has_symmetric_key;
    outcome->is_lower_id = decision->is_lower_id;
    snprintf(outcome->enrollment_id, sizeof outcome->enrollment_id, "%s", decision->match_id);
    if (decision->surface == ATTESTATION_SURFACE_FAILED) {
        fail(outcome, decision->error_code, decision->message ? decision->message : "");
        return;
    }
    if (decision->surface == ATTESTATION_SURFACE_DISABLED) {
        outcome->status = REGISTRATION_DISABLED;
        return;
    }
    const struct dps_object *object = dps_state_find(exchange->own->tenant->state, decision->match_kind, decision->match_id);
    ret_plan->enrollment = object ? object->json : NULL;
    ret_plan->before = registration_place(exchange->own->tenant->registrations, exchange->own->registration_id);
    fill_device(exchange, ret_plan);
    allocate(dps, exchange, ret_plan);
    fail_bad_twin(dps, exchange, ret_plan);
    end_otherwise(dps, exchange, ret_plan);
}

/* --- the webhook --- */

/* An operation that waits for a webhook. */
struct pending {
    const struct dps *dps;
    struct registration_store *registrations;
    char *registration_id;
    char operation_id[OPERATION_ID_BYTES];
    struct assignment_plan plan; /* nothing that it lends is used */
    cJSON *linked_hubs;
    char *url; /* masked */
};

static void pending_free(struct pending *pending)
{
    cJSON_Delete(pending->linked_hubs);
    free(pending->registration_id);
    free(pending->url);
    free(pending->plan.outcome.issued_chain);
    free(pending);
}
DEFINE_CLEANUP(struct pending *, pending_free)

static void emit_webhook(const struct pending *pending, const struct webhook_answer *answer, const char *trouble)
{
    cJSON *event = dps_event_of(pending->dps, EVENT_DPS_WEBHOOK), *data = event_data(event);
    json_set_string(data, "url", pending->url);
    if (answer->status)
        json_set_integer(data, "status", answer->status);
    json_set_integer(data, "duration_ms", answer->duration_ms);
    json_set_string(data, "hub", trouble ? NULL : pending->plan.outcome.assigned_hub);
    json_set_string(data, "trouble", trouble);
    if (event)
        event_set_origin(event, NULL, 0, pending->registration_id);
    pending->dps->options.sink.emit(pending->dps->options.sink.user, event);
}

/* A status for the message where HTTP gave none: nothing public says what stands there. */
static int status_of(const struct webhook_answer *answer)
{
    enum { TIMED_OUT = 408, UNREACHABLE = 503 };
    return answer->status ? answer->status : answer->is_timeout ? TIMED_OUT : UNREACHABLE;
}

static int read_answer(const struct webhook_answer *answer, const cJSON *linked_hubs, struct custom_reply *ret_reply, struct error *error)
{
    enum { OK = 200 };
    if (answer->trouble)
        return error_set(error, ERROR_OWNER_RIG, ERROR_IO, "%s", answer->trouble);
    if (answer->status != OK)
        return error_set(error, ERROR_OWNER_FILE, ERROR_REFUSED, "the webhook answered with status %d: %.200s", answer->status,
                         answer->body);
    if (custom_allocation_read(answer->body, answer->length_bytes, linked_hubs, ret_reply, error))
        return -1;
    CLEANUP_JSON cJSON *twin = ret_reply->initial_twin ? cJSON_Parse(ret_reply->initial_twin) : NULL;
    return check_twin(twin, error) ? error_prefix(error, "the webhook's answer") : 0;
}

/* The enrollment's twin is taken where the webhook gives none; a twin that stays is nobody's business. */
static void on_answer(void *context, const struct webhook_answer *answer)
{
    CLEANUP(pending_free_cleanup) struct pending *pending = context;
    CLEANUP(custom_reply_done) struct custom_reply reply = {.payload = NULL};
    struct error error = ERROR_INIT;
    struct registration_outcome *outcome = &pending->plan.outcome;
    if (read_answer(answer, pending->linked_hubs, &reply, &error)) {
        fail_custom(outcome, status_of(answer));
    } else {
        take_hub(&pending->plan, reply.hub);
        outcome->payload = reply.payload;
        outcome->initial_twin = reply.initial_twin;
    }
    emit_webhook(pending, answer, error.code == ERROR_NONE ? NULL : error.text);
    registration_settle(pending->registrations, pending->registration_id, pending->operation_id, outcome, NULL);
}

static struct pending *pending_new(const struct dps *dps, const struct exchange *exchange, const struct assignment_plan *plan,
                                   const struct registration *registration, const char *url)
{
    CLEANUP(pending_free_cleanup) struct pending *pending = calloc(1, sizeof *pending);
    if (!pending)
        return NULL;
    pending->dps = dps;
    pending->registrations = exchange->own->tenant->registrations;
    pending->plan = *plan;
    pending->plan.outcome.issued_chain = plan->outcome.issued_chain ? strdup(plan->outcome.issued_chain) : NULL;
    pending->registration_id = strdup(registration->registration_id);
    pending->url = custom_allocation_masked_url(url);
    snprintf(pending->operation_id, sizeof pending->operation_id, "%s", registration->operation_id);
    return pending->registration_id && pending->url ? TAKE(pending) : NULL;
}

static int post(const struct dps *dps, const struct exchange *exchange, struct pending *pending, const struct custom_question *question,
                const char *url, struct error *error)
{
    CLEANUP_JSON cJSON *request = custom_allocation_request(question);
    CLEANUP_FREE char *text = request ? json_print_line(request) : NULL;
    if (!text || !(pending->linked_hubs = cJSON_DetachItemFromObjectCaseSensitive(request, "linkedHubs")))
        return error_set_memory(error);
    if (!*url)
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "enrollment '%s' has no customAllocationDefinition.webhookUrl",
                         exchange->own->decision.match_id);
    if (!dps->options.webhooks.post)
        return error_set(error, ERROR_OWNER_RIG, ERROR_REFUSED, "there is no way to call a webhook");
    return dps->options.webhooks.post(dps->options.webhooks.user, url, text, on_answer, pending, error);
}

void assign_ask_webhook(const struct dps *dps, const struct exchange *exchange, const struct assignment_plan *plan,
                        const struct register_body *body, const struct registration *registration)
{
    const struct custom_question question = {
        .enrollment = plan->enrollment,
        .is_group = plan->outcome.is_group,
        .has_symmetric_key = plan->outcome.has_symmetric_key,
        .registration_id = exchange->own->registration_id,
        .current_hub = plan->before.hub,
        .current_device_id = plan->before.device_id,
        .leaf = leaf_of(exchange),
        .payload = body->payload,
        .allocation = &plan->allocation,
    };
    struct error error = ERROR_INIT;
    const char *url = json_string(json_member(plan->enrollment, "customAllocationDefinition"), "webhookUrl", "");
    CLEANUP(pending_free_cleanup) struct pending *pending = pending_new(dps, exchange, plan, registration, url);
    if (!pending)
        return; /* assigning for ever: out of memory, and the device gives up */
    if (post(dps, exchange, pending, &question, url, &error))
        on_answer(TAKE(pending), &(struct webhook_answer){.body = "", .trouble = error.text});
    else
        (void)TAKE(pending);
}

/* --- the end --- */

/* The webhook's twin, else the enrollment's. Given; NULL: none. */
static cJSON *initial_twin_of(const struct registration_outcome *outcome, const struct dps_object *object)
{
    if (outcome->initial_twin)
        return cJSON_Parse(outcome->initial_twin);
    return object ? cJSON_Duplicate(json_member(object->json, "initialTwin"), true) : NULL;
}

static int put_identity(const struct dps *dps, const struct exchange *exchange, const struct registration *registration,
                        const struct registration_place *before, struct error *error)
{
    const struct registration_outcome *outcome = &registration->outcome;
    const struct dps_object *object =
        dps_state_find(exchange->own->tenant->state, outcome->is_group ? DPS_GROUP : DPS_ENROLLMENT, outcome->enrollment_id);
    char keys[DPS_PAIR][SAS_KEY_TEXT_BYTES] = {"", ""};
    bool is_by_key = outcome->has_symmetric_key && !outcome->issued_chain; /* a certificate that was issued is for the hub */
    if (is_by_key && object && sas_attestation_device_keys(object, exchange->own->registration_id, outcome->is_lower_id, keys))
        return error_set(error, ERROR_OWNER_OURS, ERROR_CRYPTO, "OpenSSL derives no key");
    CLEANUP_JSON cJSON *twin = initial_twin_of(outcome, object);
    const struct hub_assignment assignment = {
        .hub = outcome->assigned_hub,
        .device_id = outcome->device_id,
        .hub_before = before->hub,
        .device_id_before = before->device_id,
        .authentication = is_by_key ? HUB_BY_SAS : HUB_BY_THUMBPRINT,
        .thumbprint = outcome->leaf_sha256,
        .keys = {keys[DPS_PRIMARY], keys[DPS_SECONDARY]},
        .initial_twin = twin,
        .twin = outcome->substatus == SUBSTATUS_RESET ? HUB_TWIN_RESET : HUB_TWIN_KEEP,
    };
    int rc = hub_registry_assign(dps->options.hubs, &assignment, error);
    OPENSSL_cleanse(keys, sizeof keys);
    return rc;
}

static void emit_assigned(const struct dps *dps, const struct exchange *exchange, const struct registration *registration)
{
    const struct registration_outcome *outcome = &registration->outcome;
    cJSON *event = dps_event_of(dps, EVENT_DPS_ASSIGNED), *data = event_data(event), *enrollment = cJSON_CreateObject();
    json_add_string(data, "device_id", outcome->device_id);
    json_add_string(data, "assigned_hub", outcome->assigned_hub);
    json_add_string(data, "substatus", registration_substatus_name(outcome->substatus));
    json_add_string(enrollment, "kind", outcome->is_group ? "group" : "individual");
    json_add_string(enrollment, "id", outcome->enrollment_id);
    json_add(data, "enrollment", enrollment);
    json_add_integer(data, "polls", registration->polls);
    dps_emit(dps, event, exchange->session, exchange->own->registration_id);
}

void assign_ended(const struct dps *dps, const struct exchange *exchange, const struct registration *registration,
                  const struct registration_place *before)
{
    struct error error = ERROR_INIT;
    const struct dps_application *application = exchange->own->tenant->application;
    if (registration->status != REGISTRATION_ASSIGNED)
        return;
    if (put_identity(dps, exchange, registration, before, &error))
        dps_warn(dps, exchange->session, "assign.identity", error.text,
                 "mend the enrollment's initialTwin, or make room; then register again");
    if (application)
        application->assigned(application->user, exchange->own->registration_id);
    emit_assigned(dps, exchange, registration);
}
