/*
 * reports/timeline_read.h - the events of one row, back from timeline.jsonl, in the order in which they happened
 *
 * What:     reads the lines FIRST to LAST, skips and counts what cannot be read (a kill may tear the last line, a person may edit), and sorts.
 * Clocks:   programs of one host share mono_us; a simulator on another host does not. Whose difference of unix_us and mono_us is that of the
 *           others within TIMELINE_ONE_HOST_US is on one host with them: then mono_us orders, else unix_us, as well as the hosts' clocks agree.
 * Limits:   TIMELINE_LINE_MAX_BYTES a line, TIMELINE_EVENTS_MAX events; what is above is left out and counted.
 */
#ifndef REPORTS_TIMELINE_READ_H
#define REPORTS_TIMELINE_READ_H

#include "base/error.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TIMELINE_LINE_MAX_BYTES = 4 * 1024 * 1024, TIMELINE_EVENTS_MAX = 100000, TIMELINE_ONE_HOST_US = 1000000 };

struct timeline_event {
    cJSON *event; /* checked: version, kind, clocks */
    int64_t at_us;
    int64_t line;
};

struct timeline_events {
    struct timeline_event *items; /* sorted by at_us */
    size_t count;
    bool has_one_clock;        /* at_us is mono_us; false: unix_us */
    size_t broken_count;       /* lines that are no event */
    int64_t first_broken_line; /* 0: none */
    char broken_text[256];     /* what is wrong with the first */
    size_t missing_count;      /* lines that are not there: the file ends before `last` */
    size_t left_out_count;     /* above TIMELINE_EVENTS_MAX */
};

/* DIRECTORY/timeline.jsonl, lines from 1. NOT_FOUND (file), IO (rig); a broken line is no error. timeline_events_done() it. */
int timeline_read(const char *directory, int64_t first, int64_t last, struct timeline_events *ret_events, struct error *error);
void timeline_events_done(struct timeline_events *events);

#endif
