/*
 * broker_sim/scenario/fault.h - a service misbehaves because a scenario asks for it, and says so in an event
 *
 * What:     one question for DPS and hub: does this fault happen now? Yes is counted (scenario.h) and told as scenario.fault, so that nobody
 *           who reads the timeline takes it for what the device deserves.
 */
#ifndef BROKER_SIM_SCENARIO_FAULT_H
#define BROKER_SIM_SCENARIO_FAULT_H

#include "broker_sim/event_sink.h"
#include "broker_sim/front_door/session.h"
#include "broker_sim/scenario/scenario.h"

/* `knob`: KNOB_connack, ...; the device is `registration_id` on `session`. */
bool fault_happens(struct scenario_table *scenarios, const struct event_sink *sink, const struct session *session,
                   const char *registration_id, int knob);

#endif
