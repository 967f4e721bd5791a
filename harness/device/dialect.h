/*
 * harness/device/dialect.h - a firmware's console lines to events, as data
 *
 * What:     reads a dialect file (fixtures/dialects/README.md is its manual) and matches lines with it. The names of the events are the
 *           contract with the cases (`event: console.connection-rejected`); DIALECT_EVENTS is their list, and a file may use no other.
 * Matching: POSIX extended expressions without back-references on at most DIALECT_MESSAGE_MAX_BYTES of a message; the first entry that
 *           matches wins; one line gives one event at most. A firmware that uses the same words for two things is told apart by phases:
 *           an entry may begin one, and may hold in one alone. A boot ends all phases.
 * Not here: what a line says by its form, whatever firmware runs: boots, faults, dropped messages (console_record.h).
 */
#ifndef HARNESS_DEVICE_DIALECT_H
#define HARNESS_DEVICE_DIALECT_H

#include "base/error.h"
#include "base/json.h"
#include "harness/device/zephyr_log.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    DIALECT_FORMAT = 1,
    DIALECT_MESSAGE_MAX_BYTES = 1024,
    DIALECT_ENTRIES_MAX = 256,
    DIALECT_CAPTURES_MAX = 8,
    DIALECT_MODULES_MAX = 8,
    DIALECT_PHASES_MAX = 16
};

/* X(name, captures, what it means); captures as "name:type ..." */
#define DIALECT_EVENTS(X)                                                                                                                  \
    X("console.boot", "banner:text", "the application boots")                                                                              \
    X("console.fault", "reason:text", "a fault dump, an assertion, a modem crash")                                                         \
    X("console.started", "", "the application's first line")                                                                               \
    X("console.device-id", "device_id:text", "the registration id that the device uses")                                                   \
    X("console.dps-started", "", "DPS begins")                                                                                             \
    X("console.registration-status", "status:text", "NOT_STARTED, ASSIGNING, ASSIGNED, FAILED")                                            \
    X("console.connection-rejected", "return_code:integer", "DPS's CONNACK refused the connection")                                        \
    X("console.hub-connection-rejected", "return_code:integer", "the hub's CONNACK refused the connection")                                \
    X("console.assigned", "device_id:text hub:text", "DPS assigned a hub")                                                                 \
    X("console.already-assigned", "", "an assignment is stored; DPS is skipped")                                                           \
    X("console.connect-failed", "errno:integer", "no TCP or TLS connection, or the credentials could not be used")                         \
    X("console.not-assigned", "", "DPS answered, and did not assign")                                                                      \
    X("console.non-retriable", "status:integer", "a reply whose status the device does not retry")                                         \
    X("console.timeout", "", "the device's own watchdog ended the registration")                                                           \
    X("console.retries-exceeded", "count:integer", "polled as often as it may")                                                            \
    X("console.not-a-response", "", "a reply that the device cannot read")                                                                 \
    X("console.dns-failed", "error:integer", "the name did not resolve")                                                                   \
    X("console.failed", "errno:integer", "the application gave up")                                                                        \
    X("console.hub-connecting", "", "the connection to the hub begins")                                                                    \
    X("console.hub-connected", "", "connected to the hub")                                                                                 \
    X("console.hub-disconnected", "", "the connection to the hub is gone")                                                                 \
    X("console.hub-ready", "", "subscribed at the hub")                                                                                    \
    X("console.telemetry-sent", "", "a message went to the hub")                                                                           \
    X("console.network-up", "", "attached to the network, with an address")                                                                \
    X("console.network-lost", "", "the network is gone")                                                                                   \
    X("console.modem-event", "event:text", "%MDMEV: RESET LOOP, ME OVERHEATED, ME BATTERY LOW, NO IMEI, ...")                              \
    X("console.dropped", "count:integer", "the firmware's log buffer overflowed: lines are missing")

struct dialect;

int dialect_read_file(const char *path, struct dialect **ret_dialect, struct error *error);
/* `name` stands for the path in errors. */
int dialect_read_text(const char *text, size_t length_bytes, const char *name, struct dialect **ret_dialect, struct error *error);
void dialect_free(struct dialect *dialect); /* NULL allowed */
const char *dialect_title(const struct dialect *dialect);
size_t dialect_entry_count(const struct dialect *dialect);

/* Where a device is, as far as its lines tell: one for each console. {0} at first. */
struct dialect_state {
    size_t phase; /* 0: none */
};

struct dialect_match {
    const char *event; /* "console.assigned"; lives as long as the dialect */
    bool is_terminal;  /* after it this boot does nothing more that a case could wait for */
    cJSON *fields;     /* the captures and constants by name; given: cJSON_Delete it */
    size_t entry;      /* its number, for dialect_entry() */
};

/* true: ret_match is filled, and the line's effect is in `state`. false: no entry matches (or memory is short), ret_match is untouched. */
bool dialect_find(const struct dialect *dialect, struct dialect_state *state, const struct zephyr_line *line,
                  struct dialect_match *ret_match);

struct dialect_entry {
    const char *event;
    const char *place;   /* "nordic.yaml:12:5" */
    const char *message; /* the expression */
};

/* Lent. `index`: below dialect_entry_count(). */
struct dialect_entry dialect_entry(const struct dialect *dialect, size_t index);

/* May a case wait for it: one of DIALECT_EVENTS or RECORD_EVENTS (console_record.h)? */
bool dialect_is_event(const char *name);
/* All of these names, NULL-terminated, for text_nearest() and for errors. */
const char *const *dialect_event_names(void);

#endif
