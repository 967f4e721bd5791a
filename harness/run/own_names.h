/*
 * harness/run/own_names.h - names of a device's own in a service that several devices share
 *
 * What:     two devices on one simulator run the same cases, so each would put a certificate `root-ca` and a group `group-1` there. What a row puts into
 *           the service carries a suffix of its device's lane ("root-ca.lane-2"), and the suffix is taken off every text that comes back:
 *           cases, verdicts and reports know the case's own names alone.
 * Covers:   names of CA certificates, ids of enrollment groups, device ids at the hub that a case chooses. Registration ids are the device's own.
 */
#ifndef HARNESS_RUN_OWN_NAMES_H
#define HARNESS_RUN_OWN_NAMES_H

#include <cjson/cJSON.h>

/* "root-ca" and ".lane-2": "root-ca.lane-2". malloc'ed; NULL when `name` is NULL or memory is short. suffix NULL: a copy. */
char *own_name(const char *suffix, const char *name);
/* Take the suffix off every text below `json`. NULL suffix or json: nothing to do. */
void own_names_strip(const char *suffix, cJSON *json);

#endif
