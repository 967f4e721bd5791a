/*
 * tests/unit/reports/events.h - events as a simulator and a harness would write them
 */
#ifndef TESTS_UNIT_REPORTS_EVENTS_H
#define TESTS_UNIT_REPORTS_EVENTS_H

#include "base/event.h"

#include <stdio.h>

/* `data`: the members of the data object, "\"a\":1"; NULL-checked by the caller's asserts. */
static inline cJSON *event_at(int64_t mono_us, int64_t boot_us, const char *source, const char *kind, const char *members, const char *data)
{
    char text[4096];
    long long mono = mono_us, wall = mono + boot_us;
    int length = snprintf(text, sizeof text,
                          "{\"v\":1,\"seq\":1,\"kind\":\"%s\",\"mono_us\":%lld,\"unix_us\":%lld,\"source\":\"%s\"%s%s,\"data\":{%s}}", kind,
                          mono, wall, source, *members ? "," : "", members, data);
    return json_parse(text, (size_t)length, "event", NULL);
}

#endif
