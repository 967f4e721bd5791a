#include "broker_sim/dps/exchange.h"

#include "base/cleanup.h"
#include "broker_sim/dps/reply.h"
#include "broker_sim/dps/spoil.h"

#include <string.h>

static cJSON *slice_json(struct slice slice)
{
    CLEANUP_FREE char *text = strndup(slice.text, slice.length);
    return text ? cJSON_CreateString(text) : NULL;
}

void exchange_emit_request(const struct dps *dps, const struct exchange *exchange, size_t length_bytes)
{
    cJSON *event = dps_event_of(dps, EVENT_DPS_REQUEST), *data = event_data(event);
    json_add_string(data, "operation", dps_operation_name(exchange->request.operation));
    json_add(data, "rid", slice_json(exchange->request.rid));
    if (exchange->request.operation_id.length)
        json_add(data, "operation_id", slice_json(exchange->request.operation_id));
    json_add_integer(data, "payload_bytes", (int64_t)length_bytes);
    dps_emit(dps, event, exchange->session, exchange->own->registration_id);
}

bool exchange_has_fault(const struct dps *dps, const struct exchange *exchange, int knob)
{
    return dps_has_fault(dps, exchange->session, exchange->own->registration_id, knob);
}

struct answer {
    int status;
    int64_t retry_after_s; /* or RETRY_AFTER_ABSENT */
    const cJSON *body;
    const char *spoiled; /* NULL; or what is sent in place of the body */
};

static void emit_reply(const struct dps *dps, const struct exchange *exchange, const struct answer *answer, const char *topic)
{
    cJSON *event = dps_event_of(dps, EVENT_DPS_REPLY), *data = event_data(event);
    json_add_integer(data, "status", answer->status);
    json_add(data, "rid", slice_json(exchange->request.rid));
    if (answer->retry_after_s != RETRY_AFTER_ABSENT)
        json_add_integer(data, "retry_after_s", answer->retry_after_s);
    if (answer->spoiled)
        json_add_string(data, "body_text", answer->spoiled);
    else
        json_add(data, "body", cJSON_Duplicate(answer->body, true));
    json_add_string(data, "topic", topic);
    dps_emit(dps, event, exchange->session, exchange->own->registration_id);
}

static void send_answer(const struct dps *dps, const struct exchange *exchange, const struct answer *answer)
{
    CLEANUP_FREE char *spoiled = spoil_topic(dps, exchange, answer->status, answer->retry_after_s);
    CLEANUP_FREE char *topic = spoiled ? TAKE(spoiled) : reply_topic(answer->status, exchange->request.rid, answer->retry_after_s);
    CLEANUP_FREE char *text = answer->body ? json_print_line(answer->body) : NULL;
    if (!topic || !text)
        return;
    for (int64_t left = spoil_times(dps, exchange); left > 0; left--)
        dps->options.port.publish(dps->options.port.user, exchange->session->number, topic, answer->spoiled ? answer->spoiled : text);
    emit_reply(dps, exchange, answer, topic);
}

void exchange_reply(const struct dps *dps, const struct exchange *exchange, int status, cJSON *body)
{
    CLEANUP_JSON cJSON *owned = body;
    spoil_members(dps, exchange, owned);
    CLEANUP_FREE char *spoiled = spoil_body(dps, exchange, owned);
    bool has_retry_after = status == 202 && exchange->knobs.has_retry_after;
    const struct answer answer = {status, has_retry_after ? exchange->knobs.retry_after_s : RETRY_AFTER_ABSENT, owned, spoiled};
    send_answer(dps, exchange, &answer);
}

void exchange_reply_error(const struct dps *dps, const struct exchange *exchange, int error_code, const char *message)
{
    exchange_reply(dps, exchange, error_code / 1000, reply_error_body(error_code, message, clock_unix_us(dps->options.sink.clock)));
}

void exchange_reply_throttled(const struct dps *dps, const struct exchange *exchange, int error_code, int64_t retry_after_s)
{
    struct reply_error error = reply_error_of(error_code / 1000);
    CLEANUP_JSON cJSON *body = reply_error_body(error_code, error.message, clock_unix_us(dps->options.sink.clock));
    send_answer(dps, exchange, &(struct answer){error_code / 1000, retry_after_s, body, NULL});
}

void exchange_close_after_refusal(const struct dps *dps, const struct exchange *exchange)
{
    dps->options.port.close_after_reply(dps->options.port.user, exchange->session->number, exchange->knobs.close_after_refusal_ms,
                                        REFUSAL_PATIENCE_MS, "refused");
}

/* Throttling and trouble pass; everything else is a refusal, after which the service closes. */
void exchange_reply_fault(const struct dps *dps, const struct exchange *exchange, int status)
{
    enum { THROTTLED = 429 };
    struct reply_error error = reply_error_of(status);
    CLEANUP_JSON cJSON *body = reply_error_body(error.code, error.message, clock_unix_us(dps->options.sink.clock));
    int64_t retry_after_s = exchange->knobs.error_retry_after_s;
    send_answer(dps, exchange, &(struct answer){status, retry_after_s ? retry_after_s : RETRY_AFTER_ABSENT, body, NULL});
    if (status < THROTTLED)
        exchange_close_after_refusal(dps, exchange);
}
