/*
 * reports/event_text.h - an event as a person reads it: one line, the most telling words first
 *
 * What:     "-> CONNECT dev-01 (dps)", "<- CONNACK 5", "refused, chain.unknown-ca (connack): ...". An arrow points from the device to the service or back.
 *           What kind and fields mean: docs/events.md. A kind that is not known is shown with its data.
 */
#ifndef REPORTS_EVENT_TEXT_H
#define REPORTS_EVENT_TEXT_H

#include "base/bytes.h"
#include "base/event.h"

/* How loud it is. */
enum event_weight { EVENT_WEIGHT_PLAIN, EVENT_WEIGHT_WARNING, EVENT_WEIGHT_BAD };

/* Append the line, cleaned (clean_text.h). Empty: it says nothing that another event does not say (a dialect's event of a console line). */
void event_text(const cJSON *event, struct bytes *out);
enum event_weight event_weight(const cJSON *event);
/* The view in which it is shown. Of a kind that is not known the beginning decides. */
enum event_view event_text_view(const cJSON *event);

#endif
