/*
 * broker_sim/scenario/knobs.h - everything about a registration that a scenario may turn, in one list
 *
 * What:     the knobs, each with its type, range, default and one sentence. The defaults are conforming behaviour. Help, validation,
 * `knob.list` of the control plane and docs/fidelity.md come from this list: a new knob is one line here and one use in a service. Not
 * here: whom a knob applies to (scenario.h); what happens before CONNECT (lanes: it cannot depend on who connects).
 */
#ifndef BROKER_SIM_SCENARIO_KNOBS_H
#define BROKER_SIM_SCENARIO_KNOBS_H

#include "base/error.h"
#include "base/json.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * INTEGER(name, min, max, default, text)   inclusive
 * BOOLEAN(name, default, text)
 * WORD(name, default, text, word...)       its value is the index of the word
 */
#define KNOBS(INTEGER, BOOLEAN, WORD)                                                                                                      \
    WORD(profile, 0,                                                                                                                       \
         "where a refusal shows: 'azure' at the register request (res/401), as the service does today; 'connack' as CONNACK 5", "azure",   \
         "connack")                                                                                                                        \
    INTEGER(retry_after_s, 0, 86400, 3, "seconds in retry-after of a 202")                                                                 \
    BOOLEAN(has_retry_after, 1, "a 202 carries retry-after; false leaves it out")                                                          \
    INTEGER(polls_until_assigned, 0, 1000, 1, "status polls until a registration ends; 0 ends it in the reply to the register request")    \
    INTEGER(close_after_refusal_ms, 0, 600000, 500,                                                                                        \
            "after a refusal, close this many milliseconds after the device acknowledged it, or at its DISCONNECT")                        \
    BOOLEAN(is_silent, 0, "the service does not answer requests, so that a person can answer by hand")                                     \
    INTEGER(fault_times, 0, 1000, 0,                                                                                                       \
            "how often each of the faults below happens, then the service behaves; 0: every time. Counted from scenario.set on")           \
    INTEGER(connack, 0, 5, 0, "return code of DPS's CONNACK; 0: as the device deserves")                                                   \
    INTEGER(hub_connack, 0, 5, 0,                                                                                                          \
            "return code of the hub's CONNACK, where the device id is the registration id; 0: as the device deserves")                     \
    INTEGER(reply_status, 0, 599, 0, "status of the reply to a register request, 400 to 599 with its error body; 0: as it is")             \
    INTEGER(poll_status, 0, 599, 0, "status of the reply to a status request, 400 to 599 with its error body; 0: as it is")                \
    INTEGER(error_retry_after_s, 0, 86400, 0, "seconds in retry-after of a reply_status or poll_status; 0 leaves it out")                  \
    WORD(reply_body, 0, "body of the reply to a register request: 'json'; its first half; nothing; 'text' that is no JSON", "json",        \
         "truncated", "empty", "text")                                                                                                     \
    WORD(end_as, 0, "how a registration ends that could be assigned: 'never' stays assigning", "assigned", "failed", "disabled", "never")  \
    WORD(close_at, 0,                                                                                                                      \
         "the service closes the connection: in place of CONNACK, after SUBACK, or after the first reply to a status request that is "     \
         "still assigning (set polls_until_assigned to 2 or more)",                                                                        \
         "never", "before-connack", "after-suback", "between-polls")                                                                       \
    WORD(close_how, 0, "how close_at closes: close_notify and FIN, FIN alone, or RST", "close_notify", "fin", "reset")                     \
    WORD(silent_after, 0,                                                                                                                  \
         "nothing goes down to the device any more after its CONNECT, the CONNACK, the SUBACK; is_silent is: after the PUBACK", "never",   \
         "connect", "connack", "suback")

struct knobs {
#define X(name, ...) int64_t name;
    KNOBS(X, X, X)
#undef X
};

enum {
#define X(name, ...) KNOB_##name,
    KNOBS(X, X, X)
#undef X
        KNOB_COUNT
};

enum knob_type { KNOB_INTEGER, KNOB_BOOLEAN, KNOB_WORD };

struct knob {
    const char *name;
    enum knob_type type;
    int64_t min; /* KNOB_INTEGER: the range, inclusive */
    int64_t max;
    const char *const *words; /* KNOB_WORD: NULL-terminated */
    int64_t fallback;
    const char *text;
    size_t offset; /* in struct knobs */
};

/* The words of knobs that services ask for, in the order of the list. */
enum reply_body { REPLY_BODY_JSON, REPLY_BODY_TRUNCATED, REPLY_BODY_EMPTY, REPLY_BODY_TEXT };
enum end_as { END_AS_ASSIGNED, END_AS_FAILED, END_AS_DISABLED, END_AS_NEVER };
enum close_at { CLOSE_NEVER, CLOSE_BEFORE_CONNACK, CLOSE_AFTER_SUBACK, CLOSE_BETWEEN_POLLS };

extern const struct knob knob_list[KNOB_COUNT];

/* The conforming behaviour. */
void knobs_init(struct knobs *knobs);

/*
 * Turn the knobs that `object` names: {"retry_after_s":7,"is_silent":true,"profile":"connack"}.
 *
 * error     USAGE (file): no such knob (the nearest is suggested), wrong type, out of range. Untouched on failure.
 */
int knobs_apply(struct knobs *knobs, const cJSON *object, struct error *error);

int64_t knob_value(const struct knobs *knobs, const struct knob *knob);
/* The word that is its value. KNOB_WORD alone. */
const char *knob_word(const struct knobs *knobs, const struct knob *knob);
/* {"profile":"azure",...}: all of them. NULL when out of memory. */
cJSON *knobs_to_json(const struct knobs *knobs);
/* [{"name","type","default","text"}], `defaults` in place of the list's own. NULL when out of memory. */
cJSON *knobs_describe(const struct knobs *defaults);
/* A line or two a knob, for --help. malloc'ed; NULL when out of memory. */
char *knobs_help(void);

#endif
