/*
 * broker_sim/event_sink.h - where the parts of the simulator put their events
 *
 * What:     one function pointer. The publisher (broker_sim/control) stamps `seq`, publishes and writes to the file; tests collect into a list.
 */
#ifndef BROKER_SIM_EVENT_SINK_H
#define BROKER_SIM_EVENT_SINK_H

#include "base/event.h"

struct event_sink {
    void (*emit)(void *user, cJSON *event); /* takes the event; NULL (out of memory) is counted as lost */
    void *user;
    const struct clock *clock;
};

#define EVENT_SOURCE "dpsbench-sim"

#endif
