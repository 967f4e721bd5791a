/*
 * harness/device/event_sink.h - where the device side puts its event records
 *
 * What:     one function pointer. The run writes each record to its timeline and feeds the expectations; tests collect them in a list.
 */
#ifndef HARNESS_DEVICE_EVENT_SINK_H
#define HARNESS_DEVICE_EVENT_SINK_H

#include "base/event.h"

#define HARNESS_EVENT_SOURCE "dpsbench"

struct event_sink {
    /* Takes the event over; NULL: out of memory, one was lost. `seq` is not set: whoever writes the timeline does. */
    void (*emit)(void *user, cJSON *event);
    void *user;
};

#endif
