#include "base/cleanup.h"
#include "broker_sim/dps/assign.h"
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

/* The body is no register request: which of the service's errors it is. */
static void reply_bad_body(const struct dps *dps, const struct exchange *exchange, const struct error *error)
{
    dps_warn(dps, exchange->session, error->code == ERROR_CONFLICT ? "register.other-id" : "register.body", error->text,
             "send no body, or {\"registrationId\":\"...\"} with the id of CONNECT");
    if (error->code == ERROR_CONFLICT)
        exchange_reply_error(dps, exchange, 400004, "Invalid RegistrationId");
    else if (error->code == ERROR_LIMIT)
        exchange_reply_error(dps, exchange, 400000, "Bad Request");
    else
        exchange_reply_error(dps, exchange, 400012, "Deserialization error");
}

static void reply_failure(const struct dps *dps, const struct exchange *exchange, const struct error *error)
{
    if (error->code == ERROR_CONFLICT)
        exchange_reply_error(dps, exchange, 409203, "Precondition failed.");
    else if (error->code == ERROR_NOT_FOUND)
        exchange_reply_error(dps, exchange, 404203, "Operation not found.");
    else
        reply_trouble(dps, exchange);
}

static int64_t scaled_us(const struct dps *dps, int64_t device_us)
{
    return dps->options.time_scale > 1 ? (int64_t)((double)device_us / dps->options.time_scale) : device_us;
}

/* Only where there is something to assign. */
static void take_issued(const struct issued *issued, struct registration_outcome *outcome)
{
    if (!issued->chain || (outcome->status != REGISTRATION_ASSIGNED && outcome->status != REGISTRATION_UNASSIGNED))
        return;
    outcome->issued_chain = issued->chain;
    snprintf(outcome->leaf_sha256, sizeof outcome->leaf_sha256, "%s", issued->leaf_sha256);
}

static void start_operation(const struct dps *dps, const struct exchange *exchange, const struct register_body *body,
                            const struct issued *issued)
{
    struct assignment_plan plan;
    struct error error = ERROR_INIT;
    const struct registration *registration;
    int status;
    assign_plan(dps, exchange, &plan);
    take_issued(issued, &plan.outcome);
    const struct registration_start start = {
        .outcome = &plan.outcome,
        .polls_wanted = plan.polls,
        .session = exchange->session->number,
        .conflict_us = scaled_us(dps, exchange->knobs.conflict_ms * 1000),
    };
    if (registration_register(exchange->own->tenant->registrations, exchange->own->registration_id, &start, &status, &registration,
                              &error)) {
        reply_failure(dps, exchange, &error);
        return;
    }
    if (plan.outcome.status == REGISTRATION_UNASSIGNED)
        assign_ask_webhook(dps, exchange, &plan, body, registration);
    if (status == 200)
        assign_ended(dps, exchange, registration, &plan.before);
    reply_operation(dps, exchange, status, registration);
}

static bool is_throttled(struct dps *dps, const struct exchange *exchange, struct quota_window *window, int64_t length_us, int64_t limit)
{
    enum { SECOND_US = 1000000, THROTTLED_CODE = 429001 };
    int64_t left_us = quota_take(window, clock_mono_us(dps->options.sink.clock), scaled_us(dps, length_us), limit);
    if (!left_us)
        return false;
    double device_us = (double)left_us * (dps->options.time_scale > 1 ? dps->options.time_scale : 1);
    exchange_reply_throttled(dps, exchange, THROTTLED_CODE, (int64_t)(device_us / SECOND_US) + 1);
    return true;
}

/* An application has the last word. It has been answered when this is true. */
static bool is_turned_away(const struct dps *dps, const struct exchange *exchange, const struct register_body *body)
{
    const struct dps_application *application = exchange->own->tenant->application;
    if (!application || exchange->own->decision.surface != ATTESTATION_SURFACE_NONE)
        return false;
    const STACK_OF(X509) *chain = exchange->session->chain;
    const struct dps_applicant applicant = {
        .registration_id = exchange->own->registration_id,
        .is_group = exchange->own->decision.match_kind == DPS_GROUP,
        .leaf = !exchange->own->decision.has_symmetric_key && sk_X509_num(chain) > 0 ? sk_X509_value(chain, 0) : NULL,
        .payload = body->payload,
    };
    struct dps_turned_away answer;
    if (application->admit(application->user, exchange->session, &applicant, &answer))
        return false;
    exchange_reply(dps, exchange, answer.status,
                   reply_error_body(answer.error_code, answer.message, clock_unix_us(dps->options.sink.clock)));
    exchange_close_after_refusal(dps, exchange);
    return true;
}

static int sign_csr(const struct dps *dps, const struct exchange *exchange, const char *csr, struct issued *ret_issued, struct error *error)
{
    if (!exchange->own->api_version.has_csr)
        return error_set(error, ERROR_OWNER_DEVICE, ERROR_REFUSED, "csr: is for api-version 2025-07-01-preview and later");
    if (!dps->options.issuer)
        return error_set(error, ERROR_OWNER_DEVICE, ERROR_REFUSED, "csr: this service issues no certificates; start it with --csr-preview");
    return issuing_ca_sign(dps->options.issuer, csr, exchange->own->registration_id, ret_issued, error);
}

/* false: it has been answered. */
static bool issue(const struct dps *dps, const struct exchange *exchange, const struct register_body *body, struct issued *ret_issued)
{
    struct error error = ERROR_INIT;
    if (!body->csr || sign_csr(dps, exchange, body->csr, ret_issued, &error) == 0)
        return true;
    dps_warn(dps, exchange->session, "register.csr", error.text,
             "send the base64 of a PKCS#10 request in DER, signed by its own key, with the registration id as CN");
    if (error.owner == ERROR_OWNER_DEVICE)
        exchange_reply_error(dps, exchange, 400012, "Deserialization error");
    else
        reply_trouble(dps, exchange);
    return false;
}

static void issued_done(const struct issued *issued)
{
    free(issued->chain);
}

static void on_register(struct dps *dps, const struct exchange *exchange, const void *payload, size_t length_bytes)
{
    enum { MINUTE_US = 60 * 1000000 };
    CLEANUP(register_body_done) struct register_body body = {.json = NULL};
    struct error error = ERROR_INIT;
    struct quota_window *window = &dps->registrations[exchange->own->tenant - dps->options.tenants];
    if (is_throttled(dps, exchange, window, MINUTE_US, exchange->knobs.registrations_per_min))
        return;
    if (dps_register_body_read(payload, length_bytes, exchange->own->registration_id, &body, &error)) {
        reply_bad_body(dps, exchange, &error);
        return;
    }
    if (body.has_tpm) {
        dps_warn(dps, exchange->session, "register.tpm", "the register body has a tpm member; TPM attestation is not supported over MQTT",
                 "use HTTPS or AMQP for TPM attestation, or a certificate or a symmetric key over MQTT");
        exchange_reply_error(dps, exchange, 400000, "Bad Request");
        return;
    }
    CLEANUP(issued_done) struct issued issued = {.chain = NULL};
    if (!is_turned_away(dps, exchange, &body) && issue(dps, exchange, &body, &issued))
        start_operation(dps, exchange, &body, &issued);
}

static bool is_polled_too_often(struct dps *dps, const struct exchange *exchange)
{
    enum { WINDOW_US = 10 * 1000000 };
    if (!exchange->knobs.polls_per_10_s)
        return false;
    struct quota_window *window = registration_poll_rate(exchange->own->tenant->registrations, exchange->own->registration_id);
    return window && is_throttled(dps, exchange, window, WINDOW_US, exchange->knobs.polls_per_10_s);
}

/* A device may sleep on its acknowledgement until the next poll. That one comes too late, however soon it comes. */
static void end_between_polls(struct dps *dps, const struct exchange *exchange)
{
    struct dps_session *own = exchange->session->service;
    own->is_ending = true;
    dps->options.port.close_after_reply(dps->options.port.user, exchange->session->number, CLOSE_DELAY_MS, CLOSE_PATIENCE_MS,
                                        dps_close_how(&exchange->knobs));
}

static void on_status(struct dps *dps, const struct exchange *exchange)
{
    const struct registration *registration;
    struct error error = ERROR_INIT;
    bool has_ended_now;
    int status;
    if (is_polled_too_often(dps, exchange))
        return;
    const struct registration_place before = registration_place(exchange->own->tenant->registrations, exchange->own->registration_id);
    if (registration_poll(exchange->own->tenant->registrations, exchange->own->registration_id, exchange->request.operation_id, &status,
                          &has_ended_now, &registration, &error)) {
        reply_failure(dps, exchange, &error);
        return;
    }
    if (has_ended_now)
        assign_ended(dps, exchange, registration, &before);
    reply_operation(dps, exchange, status, registration);
    if (status == 202 && exchange->knobs.close_at == CLOSE_BETWEEN_POLLS && exchange_has_fault(dps, exchange, KNOB_close_at))
        end_between_polls(dps, exchange);
}

/* The reply will have an empty one, which no client of Microsoft's finds a request for. */
static void warn_no_rid(const struct dps *dps, const struct exchange *exchange)
{
    if (exchange->request.rid.length == 0)
        dps_warn(dps, exchange->session, "request.no-rid", "the request's topic has no $rid, or an empty one",
                 "end the topic with ?$rid=1: the reply carries the same");
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
    warn_no_rid(dps, &exchange);
    warn_unsubscribed(dps, &exchange);
    if (exchange.knobs.is_silent || exchange.own->is_ending)
        return;
    bool is_register = exchange.request.operation == DPS_REGISTER;
    if (exchange_has_fault(dps, &exchange, is_register ? KNOB_reply_status : KNOB_poll_status))
        exchange_reply_fault(dps, &exchange, (int)(is_register ? exchange.knobs.reply_status : exchange.knobs.poll_status));
    else if (is_refused_in_reply(&exchange.own->decision))
        reply_refusal(dps, &exchange);
    else if (is_register)
        on_register(dps, &exchange, payload, length_bytes);
    else
        on_status(dps, &exchange);
}
