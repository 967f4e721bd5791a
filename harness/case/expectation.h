/*
 * harness/case/expectation.h - one expectation: an event's name and conditions on its fields
 *
 * What:     reads {event: NAME, where: {FIELD: VALUE}} from a case, tells whether an event meets it, and says it in words.
 * Fields:   a dotted path into the event's data ("enrollment.kind", "chain.0.subject"); a field that data does not have is looked for in the
 *           record itself (registration_id, session, lane).
 * Values:   a plain number, true or false compare as such, anything else as text, exactly. A mapping asks for more: {min: N}, {max: N},
 *           {matches: REGEX} (POSIX extended), {count: N} (items of a list), {absent: true}; several in one mapping must all hold.
 */
#ifndef HARNESS_CASE_EXPECTATION_H
#define HARNESS_CASE_EXPECTATION_H

#include "base/event.h"
#include "harness/case/substitution.h"
#include "harness/case/text_list.h"

#include <regex.h>

enum condition_kind {
    CONDITION_TEXT,
    CONDITION_NUMBER,
    CONDITION_BOOL,
    CONDITION_MIN,
    CONDITION_MAX,
    CONDITION_MATCHES,
    CONDITION_COUNT,
    CONDITION_ABSENT,
};

struct condition {
    enum condition_kind kind;
    char *field;
    char *text;    /* as written: the value, or the pattern */
    double number; /* NUMBER, MIN, MAX, COUNT; BOOL: 0 or 1 */
    regex_t pattern;
    bool has_pattern;
};

enum { CONDITIONS_MAX = 16 };

struct known_finding;

struct expectation {
    enum event_view view;
    char *event;
    char *place; /* "cases/refused/wrong-chain.yaml:14:7" */
    struct condition conditions[CONDITIONS_MAX];
    size_t condition_count;
    /* Among `in_order`: device seconds since the event of the expectation before it. */
    bool has_after;
    double after_min_s;
    double after_max_s;
    /* Among `never`: so many are fine; the next one is not. */
    int64_t more_than;
    /* Weaknesses of the virtual DK that this expectation must see: the reason why its case fails under them. */
    struct text_list catches;
    const struct known_finding *known; /* this device is known to fail it (known_findings.h); lent; NULL: it must not */
};

/* What a case may name: kinds of docs/events.md, and the console events that the dialects of the harness give. */
struct event_vocabulary {
    const char *const *console_events; /* NULL-terminated, "console.connection-rejected"; lent */
};

/*
 * Read `event` and `where` of a mapping (whose keys the caller has checked).
 *
 * view   the view under which it stands; an event of another view is an error.
 * error  file: an unknown event (the nearest is suggested), a bad condition. Untouched result on failure.
 */
int expectation_read(struct yaml_node map, enum event_view view, const struct event_vocabulary *vocabulary,
                     const struct substitution *substitution, struct expectation *ret_expectation, struct error *error);
/* As above, for an event of any view. */
int expectation_read_any(struct yaml_node map, const struct event_vocabulary *vocabulary, const struct substitution *substitution,
                         struct expectation *ret_expectation, struct error *error);
void expectation_done(struct expectation *expectation);

/* `event`: a record of docs/events.md, or one of the same shape that a console dialect made. */
bool expectation_matches(const struct expectation *expectation, const cJSON *event);
/* How many conditions hold; -1 when it is another event: for telling the nearest miss. */
int expectation_nearness(const struct expectation *expectation, const cJSON *event);
/* "attestation.verdict where rule = 'chain.unknown-ca'". malloc'ed; NULL when out of memory. */
char *expectation_text(const struct expectation *expectation);
/* What `event` holds in the fields that the expectation asks for: "attestation.verdict with rule = 'ca.not-verified'". malloc'ed. */
char *expectation_describe(const struct expectation *expectation, const cJSON *event);

#endif
