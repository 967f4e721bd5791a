#include "base/cleanup.h"
#include "broker_sim/dps/allocation.h"
#include "broker_sim/dps/exchange.h"
#include "broker_sim/dps/reply.h"
#include "broker_sim/dps/spoil.h"

#include <string.h>

static bool is_refused_in_reply(const struct dps_decision *decision)
{
    return decision->surface == ATTESTATION_SURFACE_RES400 || decision->surface == ATTESTATION_SURFACE_RES401 ||
           decision->surface == ATTESTATION_SURFACE_RES404;
}

/* Field logs show the refusal and then a closed connection (azure-iot-sdk-c issue 2021, azure-iot-sdk-python issue 797). */
static void reply_refusal(const struct dps *dps, const struct exchange *exchange)
{
    const struct dps_decision *decision = &exchange->own->decision;
    exchange_reply_error(dps, exchange, decision->error_code, decision->message);
    exchange_close_after_refusal(dps, exchange);
}

/* Individual: the enrollment's deviceId, else the registration id. Group: always the registration id. */
static void fill_assignment(const struct exchange *exchange, struct registration_outcome *outcome)
{
    const struct dps_decision *decision = &exchange->own->decision;
    const char *registration_id = exchange->own->registration_id;
    const struct dps_object *object = dps_state_find(exchange->own->tenant->state, decision->match_kind, decision->match_id);
    const cJSON *json = object ? object->json : NULL;
    const char *device_id = outcome->is_group ? registration_id : json_string(json, "deviceId", registration_id);
    snprintf(outcome->device_id, sizeof outcome->device_id, "%s", device_id);
    const struct dps_application *application = exchange->own->tenant->application;
    snprintf(outcome->assigned_hub, sizeof outcome->assigned_hub, "%s",
             application ? application->hub(application->user, registration_id) : allocation_hub(json, registration_id));
    if (sk_X509_num(exchange->session->chain) > 0)
        certificate_sha256(sk_X509_value(exchange->session->chain, 0), outcome->leaf_sha256);
}

/* The failure is the one that the documentation of custom allocation policies shows. */
static void end_otherwise(const struct dps *dps, const struct exchange *exchange, struct registration_outcome *outcome, int64_t *polls)
{
    if (!exchange_has_fault(dps, exchange, KNOB_end_as))
        return;
    if (exchange->knobs.end_as == END_AS_NEVER) {
        *polls = INT64_MAX;
    } else if (exchange->knobs.end_as == END_AS_DISABLED) {
        outcome->status = REGISTRATION_DISABLED;
    } else {
        outcome->status = REGISTRATION_FAILED;
        outcome->error_code = 400207;
        snprintf(outcome->error_message, sizeof outcome->error_message, "Custom allocation failed with status code: 400");
    }
}

/* polls: how many status requests it takes; may be changed. */
static struct registration_outcome outcome_of(const struct dps *dps, const struct exchange *exchange, int64_t *polls)
{
    const struct dps_decision *decision = &exchange->own->decision;
    struct registration_outcome outcome = {.status = REGISTRATION_ASSIGNED, .is_group = decision->match_kind == DPS_GROUP};
    snprintf(outcome.enrollment_id, sizeof outcome.enrollment_id, "%s", decision->match_id);
    if (decision->surface == ATTESTATION_SURFACE_FAILED) {
        outcome.status = REGISTRATION_FAILED;
        outcome.error_code = decision->error_code;
        snprintf(outcome.error_message, sizeof outcome.error_message, "%s", decision->message ? decision->message : "");
    } else if (decision->surface == ATTESTATION_SURFACE_DISABLED) {
        outcome.status = REGISTRATION_DISABLED;
    } else {
        fill_assignment(exchange, &outcome);
        end_otherwise(dps, exchange, &outcome, polls);
    }
    return outcome;
}

/* The identity at the hub is made before the device hears of it. */
static void on_ended(const struct dps *dps, const struct exchange *exchange, const struct registration *registration)
{
    const struct registration_outcome *outcome = &registration->outcome;
    if (registration->status != REGISTRATION_ASSIGNED)
        return;
    hub_registry_put(dps->options.hubs, outcome->assigned_hub, outcome->device_id, outcome->leaf_sha256, NULL);
    const struct dps_application *application = exchange->own->tenant->application;
    if (application)
        application->assigned(application->user, exchange->own->registration_id);
    cJSON *event = dps_event_of(dps, EVENT_DPS_ASSIGNED), *data = event_data(event), *enrollment = cJSON_CreateObject();
    json_add_string(data, "device_id", outcome->device_id);
    json_add_string(data, "assigned_hub", outcome->assigned_hub);
    json_add_string(enrollment, "kind", outcome->is_group ? "group" : "individual");
    json_add_string(enrollment, "id", outcome->enrollment_id);
    json_add(data, "enrollment", enrollment);
    json_add_integer(data, "polls", registration->polls);
    dps_emit(dps, event, exchange->session, exchange->own->registration_id);
}

static void reply_trouble(const struct dps *dps, const struct exchange *exchange)
{
    exchange_reply_error(dps, exchange, 500000, "Internal server error");
}

/* What a reply tells is on disk before it leaves. */
static void reply_operation(const struct dps *dps, const struct exchange *exchange, int status, const struct registration *registration)
{
    bool is_whole = status == 200 || exchange->request.operation != DPS_REGISTER;
    if (service_commit(&dps->options.port, NULL))
        reply_trouble(dps, exchange);
    else
        exchange_reply(dps, exchange, status, reply_operation_body(registration, is_whole));
}

static void on_register(const struct dps *dps, const struct exchange *exchange, const void *payload, size_t length_bytes)
{
    struct error error = ERROR_INIT;
    if (dps_register_body_check(payload, length_bytes, exchange->own->registration_id, &error)) {
        dps_warn(dps, exchange->session, "register.body", error.text,
                 "send no body, or {\"registrationId\":\"...\"} with the id of CONNECT");
        if (error.code == ERROR_CONFLICT)
            exchange_reply_error(dps, exchange, 400004, "Invalid RegistrationId");
        else
            exchange_reply_error(dps, exchange, 400012, "Deserialization error");
        return;
    }
    int64_t polls = exchange->knobs.polls_until_assigned;
    struct registration_outcome outcome = outcome_of(dps, exchange, &polls);
    const struct registration *registration;
    int status;
    if (registration_register(exchange->own->tenant->registrations, exchange->own->registration_id, &outcome, polls, &status, &registration,
                              NULL)) {
        reply_trouble(dps, exchange);
        return;
    }
    if (status == 200)
        on_ended(dps, exchange, registration);
    reply_operation(dps, exchange, status, registration);
}

static void on_status(const struct dps *dps, const struct exchange *exchange)
{
    const struct registration *registration;
    struct error error = ERROR_INIT;
    bool has_ended_now;
    int status;
    if (registration_poll(exchange->own->tenant->registrations, exchange->own->registration_id, exchange->request.operation_id, &status,
                          &has_ended_now, &registration, &error)) {
        if (error.code == ERROR_NOT_FOUND)
            exchange_reply_error(dps, exchange, 404203, "Operation not found.");
        else
            reply_trouble(dps, exchange);
        return;
    }
    if (has_ended_now)
        on_ended(dps, exchange, registration);
    reply_operation(dps, exchange, status, registration);
    if (status == 202 && exchange->knobs.close_at == CLOSE_BETWEEN_POLLS && exchange_has_fault(dps, exchange, KNOB_close_at))
        dps->options.port.close_after_reply(dps->options.port.user, exchange->session->number, CLOSE_DELAY_MS,
                                            dps_close_how(&exchange->knobs));
}

/* An application has the last word. It has been answered when this is true. */
static bool is_turned_away(const struct dps *dps, const struct exchange *exchange, const void *payload, size_t length_bytes)
{
    const struct dps_application *application = exchange->own->tenant->application;
    if (!application || exchange->own->decision.surface != ATTESTATION_SURFACE_NONE ||
        dps_register_body_check(payload, length_bytes, exchange->own->registration_id, NULL))
        return false;
    CLEANUP_JSON cJSON *body = length_bytes ? json_parse(payload, length_bytes, "register body", NULL) : NULL;
    const STACK_OF(X509) *chain = exchange->session->chain;
    const struct dps_applicant applicant = {
        .registration_id = exchange->own->registration_id,
        .is_group = exchange->own->decision.match_kind == DPS_GROUP,
        .leaf = sk_X509_num(chain) > 0 ? sk_X509_value(chain, 0) : NULL,
        .payload = json_member(body, "payload"),
    };
    struct dps_turned_away answer;
    if (application->admit(application->user, exchange->session, &applicant, &answer))
        return false;
    exchange_reply(dps, exchange, answer.status,
                   reply_error_body(answer.error_code, answer.message, clock_unix_us(dps->options.sink.clock)));
    exchange_close_after_refusal(dps, exchange);
    return true;
}

static void warn_unsubscribed(const struct dps *dps, const struct exchange *exchange)
{
    if (!exchange->own->is_subscribed)
        dps_warn(dps, exchange->session, "subscribe.missing",
                 "the device sends a request before it has subscribed to " RESPONSE_FILTER ": it will not see the reply",
                 "subscribe to " RESPONSE_FILTER " and wait for the SUBACK");
}

void dps_message(struct dps *dps, const struct session *session, const char *topic, const void *payload, size_t length_bytes)
{
    struct exchange exchange = {.session = session, .own = session->service};
    if (!exchange.own || dps_request_read(topic, &exchange.request, NULL))
        return;
    exchange.knobs = scenario_knobs(dps->options.scenarios, exchange.own->registration_id);
    exchange_emit_request(dps, &exchange, length_bytes);
    spoil_undo(&exchange.knobs, &exchange.request);
    warn_unsubscribed(dps, &exchange);
    if (exchange.knobs.is_silent || exchange.own->is_ending)
        return;
    bool is_register = exchange.request.operation == DPS_REGISTER;
    if (exchange_has_fault(dps, &exchange, is_register ? KNOB_reply_status : KNOB_poll_status))
        exchange_reply_fault(dps, &exchange, (int)(is_register ? exchange.knobs.reply_status : exchange.knobs.poll_status));
    else if (is_refused_in_reply(&exchange.own->decision))
        reply_refusal(dps, &exchange);
    else if (is_register && !is_turned_away(dps, &exchange, payload, length_bytes))
        on_register(dps, &exchange, payload, length_bytes);
    else if (!is_register)
        on_status(dps, &exchange);
}
