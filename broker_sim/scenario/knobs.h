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
    INTEGER(retry_after_s, 0, 86400, 3, "seconds in retry-after of a 202; 0 leaves it out")                                                \
    INTEGER(polls_until_assigned, 0, 1000, 1, "status polls until a registration ends; 0 ends it in the reply to the register request")    \
    INTEGER(close_after_refusal_ms, 0, 600000, 500,                                                                                        \
            "after a refusal, close this many milliseconds after the device acknowledged it, or at its DISCONNECT")                        \
    BOOLEAN(is_silent, 0, "the service does not answer requests, so that a person can answer by hand")

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

extern const struct knob knob_list[KNOB_COUNT];

/* The conforming behaviour. */
void knobs_init(struct knobs *knobs);

/*
 * Turn the knobs that `object` names: {"retry_after_s":7,"is_silent":true,"profile":"connack"}.
 *
 * error     USAGE (file): no such knob (the nearest is suggested), wrong type, out of range. Untouched on failure.
 */
int knobs_apply(struct knobs *knobs, const cJSON *object, struct error *error);

/* {"profile":"azure",...}: all of them. NULL when out of memory. */
cJSON *knobs_to_json(const struct knobs *knobs);
/* [{"name","type","default","text"}], `defaults` in place of the list's own. NULL when out of memory. */
cJSON *knobs_describe(const struct knobs *defaults);
/* A line or two a knob, for --help. malloc'ed; NULL when out of memory. */
char *knobs_help(void);

#endif
