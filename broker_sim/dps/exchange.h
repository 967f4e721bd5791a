/*
 * broker_sim/dps/exchange.h - one request of a device and the answers to it; internal to broker_sim/dps
 *
 * What:     sends replies (topic, retry-after, body), spoils them where a scenario asks for it, and emits dps.request and dps.reply.
 */
#ifndef BROKER_SIM_DPS_EXCHANGE_H
#define BROKER_SIM_DPS_EXCHANGE_H

#include "broker_sim/dps/service.h"

struct exchange {
    const struct session *session;
    const struct dps_session *own;
    struct dps_request request;
    struct knobs knobs;
};

void exchange_emit_request(const struct dps *dps, const struct exchange *exchange, size_t length_bytes);
bool exchange_has_fault(const struct dps *dps, const struct exchange *exchange, int knob);
/* Takes `body`; NULL (out of memory): nothing is sent. A 202 carries retry-after as the knobs say. */
void exchange_reply(const struct dps *dps, const struct exchange *exchange, int status, cJSON *body);
/* The status is the first three digits of the code. */
void exchange_reply_error(const struct dps *dps, const struct exchange *exchange, int error_code, const char *message);
/* With retry-after. */
void exchange_reply_throttled(const struct dps *dps, const struct exchange *exchange, int error_code, int64_t retry_after_s);
/* What a scenario asks for in place of an answer; closes after a refusal. */
void exchange_reply_fault(const struct dps *dps, const struct exchange *exchange, int status);
/* As front_door_close_after_reply, by the knob. */
void exchange_close_after_refusal(const struct dps *dps, const struct exchange *exchange);

#endif
