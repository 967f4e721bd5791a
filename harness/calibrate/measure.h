/*
 * harness/calibrate/measure.h - what a run shows of the device itself: times, the errno of each failed handshake, its ClientHello, its lines
 *
 * What:     reads results.json and timeline.jsonl of a run of calibration_rows(), and takes from them what the virtual DK would have to be told
 *           to be like this device. Nothing here is a verdict: a row that failed is as good a measurement as one that passed.
 * Units:    device milliseconds: real ones times the run's time scale.
 */
#ifndef HARNESS_CALIBRATE_MEASURE_H
#define HARNESS_CALIBRATE_MEASURE_H

#include "base/error.h"
#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why a handshake failed: X(id, key, row that makes it). Several rows may make the same. */
#define CALIBRATION_CAUSES(X)                                                                                                              \
    X(UNKNOWN_CA, "unknown-ca", "server/another-root")                                                                                     \
    X(UNKNOWN_CA, "unknown-ca", "server/self-signed")                                                                                      \
    X(UNKNOWN_CA, "unknown-ca", "server/root-missing")                                                                                     \
    X(UNKNOWN_CA, "unknown-ca", "server/old-root")                                                                                         \
    X(UNKNOWN_CA, "unknown-ca", "server/intermediate-missing")                                                                             \
    X(EXPIRED, "expired", "server/expired")                                                                                                \
    X(NOT_YET_VALID, "not-yet-valid", "server/not-yet-valid")                                                                              \
    X(NAME_MISMATCH, "name-mismatch", "server/host-name-mismatch")                                                                         \
    X(ALERT, "alert", "server/alert:handshake_failure")

enum {
    MEASURE_CAUSE_UNKNOWN_CA,
    MEASURE_CAUSE_EXPIRED,
    MEASURE_CAUSE_NOT_YET_VALID,
    MEASURE_CAUSE_NAME_MISMATCH,
    MEASURE_CAUSE_ALERT,
    MEASURE_CAUSE_COUNT,
    MEASURE_ROWS_MAX = 16,
    MEASURE_TEXT_BYTES = 160,
};
#define MEASURE_UNKNOWN INT64_MIN

const char *measure_cause_name(size_t cause);
/* The rows of a calibration, NULL-terminated: those that make a handshake fail, a refusal, and the forum thread's way to a hub. */
const char *const *calibration_rows(void);

struct measure_time {
    int64_t ms; /* the median; MEASURE_UNKNOWN: never seen */
    size_t count;
};

struct measures {
    char model[MEASURE_TEXT_BYTES], firmware[MEASURE_TEXT_BYTES], imei[MEASURE_TEXT_BYTES], banner[MEASURE_TEXT_BYTES]; /* "": not known */
    struct measure_time start;  /* banner to the application's first line */
    struct measure_time attach; /* from there until DPS begins, which waits for the network */
    struct measure_time at;     /* an AT command that does nothing, to its answer */
    struct measure_time write;  /* one credential */
    int64_t tls_errno[MEASURE_CAUSE_COUNT];
    bool is_tls_errno_mixed[MEASURE_CAUSE_COUNT]; /* rows of one cause gave different numbers: the first stands above */
    cJSON *versions, *suites;                     /* of the first ClientHello; NULL: none seen */
    cJSON *lines;                                 /* {row: [console texts, numbers as #]} */
    size_t row_count;                             /* that ran to an end of their own */
};

/* NOT_FOUND, SYNTAX (file), IO (rig). measures_done() it. */
int measures_read(const char *directory, struct measures *ret_measures, struct error *error);
void measures_done(struct measures *measures);

#endif
