/*
 * reports/views.h - the three views of one row side by side in time
 *
 * What:     console | wire | service, one event a line, each with the time since the row's reset in device seconds (what a board would have taken) and
 *           in real milliseconds. Set-up of the service stands in the service's column; resets and troubles of the rig run across.
 * Not here: reading and sorting (timeline_read.h), words (event_text.h).
 */
#ifndef REPORTS_VIEWS_H
#define REPORTS_VIEWS_H

#include "reports/timeline_read.h"

#include <stdio.h>

struct views_options {
    double time_scale;
    const char *lane;            /* events of other lanes are others' business; NULL: all are shown */
    const char *registration_id; /* likewise, for events without a lane */
    int width;                   /* columns of the page */
    bool is_wide;                /* nothing is cut, whatever the width */
    bool has_colour;
    bool has_utf8; /* an ellipsis of one character */
};

enum { VIEWS_WIDTH_DEFAULT = 100, VIEWS_WIDTH_MIN = 60 };

void views_print(FILE *file, const struct timeline_events *events, const struct views_options *options);
/* A list of {"at_ms","device_s","view","text","line","event"}; NULL when out of memory. */
cJSON *views_to_json(const struct timeline_events *events, const struct views_options *options);

#endif
