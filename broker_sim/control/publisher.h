/*
 * broker_sim/control/publisher.h - the way of events to MQTT and to DIR/events.jsonl
 *
 * What:     stamps `seq`, publishes on dpsbench/v1/events/<lane>/<kind>, appends a line to the file. Replies of the control plane go through the same queue,
 *           so that whoever has the reply has every event before it.
 * Losses:   an event that does not fit into the bus's queue, or that memory was short for, has used up its seq: readers see a hole. The file has its own
 *           account: a full disk loses lines, not events.
 * Limits:   the file is renamed to events.jsonl.1 at EVENTS_FILE_MAX_BYTES.
 */
#ifndef BROKER_SIM_CONTROL_PUBLISHER_H
#define BROKER_SIM_CONTROL_PUBLISHER_H

#include "broker_sim/bus/bus.h"
#include "broker_sim/event_sink.h"

enum { EVENTS_FILE_MAX_BYTES = 16 * 1024 * 1024 };

struct publisher;

/* bus: lent. path: copied; appended to. IO (rig): the file cannot be opened. */
int publisher_new(struct bus *bus, const char *path, const struct clock *clock, struct publisher **ret_publisher, struct error *error);
void publisher_free(struct publisher *publisher); /* NULL allowed */

/* Valid as long as the publisher. */
struct event_sink publisher_sink(struct publisher *publisher);
/* Lines wait in memory for this: the owner calls it once a turn of the loop. They are written before a reply goes out, and at the end, too. */
void publisher_flush(struct publisher *publisher);
/* A reply of the control plane, behind all events so far. Takes nothing over. */
void publisher_reply(struct publisher *publisher, const char *topic, const cJSON *reply);

uint64_t publisher_seq(const struct publisher *publisher);        /* of the last event; 0: none yet */
uint64_t publisher_lost_count(const struct publisher *publisher); /* events that MQTT subscribers will never see */

#endif
