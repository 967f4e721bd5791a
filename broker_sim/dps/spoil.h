/*
 * broker_sim/dps/spoil.h - replies of DPS that are wrong on request
 *
 * What:     what the knobs of layer dps make of a reply: its topic, its body, how often it is sent. Without them a reply goes as it is.
 * Lifetime: results are the caller's; NULL: as it is.
 */
#ifndef BROKER_SIM_DPS_SPOIL_H
#define BROKER_SIM_DPS_SPOIL_H

#include "broker_sim/dps/exchange.h"

/* operationId, assignedHub: changed in place. */
void spoil_members(const struct dps *dps, const struct exchange *exchange, cJSON *body);
/* Half a body, none, a text. */
char *spoil_body(const struct dps *dps, const struct exchange *exchange, const cJSON *body);
/* `$rid`, `retry-after`. retry_after_s as in reply.h. */
char *spoil_topic(const struct dps *dps, const struct exchange *exchange, int status, int64_t retry_after_s);
int64_t spoil_times(const struct dps *dps, const struct exchange *exchange);
/* A status request with the long operationId that spoil_members made: cut to what the registration has. */
void spoil_undo(const struct knobs *knobs, struct dps_request *request);

#endif
