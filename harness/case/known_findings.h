/*
 * harness/case/known_findings.h - which expectations a device is known to fail, why, and where that is known from
 *
 * What:     reads known-findings.yaml of a folder of cases (cases/README.md is the manual) and marks the expectations of the rows that it means, for
 *           the device that it means. A row that fails at marked expectations alone is `known`, not `fail`; one that is marked and does not fail is
 *           reported as fixed (harness/run/watch.h).
 * Strict:   an entry that fits no row, or expects what none of its rows expects, is an error: the list shall not outlive what it is about.
 * Errors:   owner file, "cases/known-findings.yaml:4:9: ...".
 */
#ifndef HARNESS_CASE_KNOWN_FINDINGS_H
#define HARNESS_CASE_KNOWN_FINDINGS_H

#include "harness/case/case.h"

#define KNOWN_FINDINGS_FILE "known-findings.yaml"

enum { KNOWN_FINDINGS_FORMAT = 1, KNOWN_FINDINGS_MAX = 256, KNOWN_FAILS_MAX = 16 };

/* Which of the expectations with this event: of `in_order`, of `never`, or both. */
enum known_list { KNOWN_LIST_ANY, KNOWN_LIST_IN_ORDER, KNOWN_LIST_NEVER };

struct known_failure {
    struct expectation wanted; /* event, and conditions that the expectation must have too */
    enum known_list list;
};

struct known_finding {
    char *place;           /* "cases/known-findings.yaml:4:5" */
    struct text_list rows; /* selectors, as on the command line */
    char *dialect;         /* of the device's console; NULL: it is about a program */
    char *client;          /* of a device that is a program; NULL: it is about boards */
    char *personality;     /* of a virtual device; a real one is told by its dialect alone. NULL: any */
    struct known_failure fails[KNOWN_FAILS_MAX];
    size_t fail_count;
    char *reason;
    char *source;
};

struct known_findings {
    struct known_finding *items;
    size_t count;
};

/* What of a device decides. Lent. */
struct known_device {
    const char *dialect;     /* NULL: none */
    const char *personality; /* NULL: a real device */
    const char *client;      /* NULL: no program, or one that does not say what it is */
};

/* ret_known: known_findings_done() it. A folder without the file has none. */
int known_findings_read(const char *cases_directory, const char *shown, const struct event_vocabulary *vocabulary,
                        struct known_findings *ret_known, struct error *error);
int known_findings_read_text(const char *text, size_t length_bytes, const char *name, const struct event_vocabulary *vocabulary,
                             struct known_findings *ret_known, struct error *error);
void known_findings_done(struct known_findings *known);

/*
 * Check every entry against `list`, which holds all rows of the folder, and mark what is meant.
 *
 * known    lent; must outlive the rows.
 * device   NULL: nobody; nothing is marked.
 */
int known_findings_mark(const struct known_findings *known, const struct known_device *device, const struct case_list *list,
                        struct error *error);

#endif
