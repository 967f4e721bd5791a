/*
 * reports/result.h - what a run found: verdicts, rows, the run itself
 *
 * What:     the one result model of all reports. The runner fills it, the writers (results_json.h, table.h) read it.
 * Verdicts: pass; skip (a need is not met); known (it fails at nothing but what this device is known to fail); inconclusive (the rig's
 *           fault); fail (the device's); error (ours). The list is in order: the worst wins, nothing is ever upgraded.
 * Memory:   every text is malloc'ed and owned by the struct; the setters copy. Out of memory leaves a text NULL, never a wrong one.
 */
#ifndef REPORTS_RESULT_H
#define REPORTS_RESULT_H

#include "base/error.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From the best to the worst. */
#define VERDICTS(X)                                                                                                                        \
    X(VERDICT_PASS, "pass")                                                                                                                \
    X(VERDICT_SKIP, "skip")                                                                                                                \
    X(VERDICT_KNOWN, "known")                                                                                                              \
    X(VERDICT_INCONCLUSIVE, "inconclusive")                                                                                                \
    X(VERDICT_FAIL, "fail")                                                                                                                \
    X(VERDICT_ERROR, "error")

enum verdict {
#define X(id, name) id,
    VERDICTS(X)
#undef X
        VERDICT_COUNT
};

const char *verdict_name(enum verdict verdict);
enum verdict verdict_worse(enum verdict a, enum verdict b);
/* Whose fault an error is decides: device: fail; rig and person: inconclusive; file and ours: error. */
enum verdict verdict_of_owner(enum error_owner owner);

/* Something that a device is known to do, with the reason. */
#define RESULT_FINDING_KINDS(X)                                                                                                            \
    X(RESULT_FINDING_NOTE, "note")   /* seen; no failure of the row */                                                                     \
    X(RESULT_FINDING_FAILS, "fails") /* an expectation failed, as it is known to */                                                        \
    X(RESULT_FINDING_FIXED, "fixed") /* an expectation is known to fail, and did not */

enum result_finding_kind {
#define X(id, name) id,
    RESULT_FINDING_KINDS(X)
#undef X
        RESULT_FINDING_KIND_COUNT
};
const char *result_finding_kind_name(enum result_finding_kind kind);

struct result_finding {
    enum result_finding_kind kind;
    char *text;
    char *source; /* where it is known from */
};

enum { RESULT_ASSUMED_MAX = 16, RESULT_FINDINGS_MAX = 16, RESULT_ALSO_MAX = 8, RESULT_ATTEMPTS_MAX = 10 };

/* Why a row has its verdict. Members that do not apply are NULL. */
struct result_reason {
    char *text;     /* one sentence */
    char *view;     /* "console", "wire", "service" */
    char *place;    /* "cases/refused/wrong-chain.yaml:14:7": the expectation */
    char *expected; /* the expectation in words */
    char *got;      /* what came instead */
};

/* One run of a row that was tried more than once. */
struct result_attempt {
    enum verdict verdict;
    char *reason;       /* NULL: it passed */
    char *certificates; /* as result_row */
    int64_t started_unix_us;
    int64_t duration_ms;
    int64_t timeline_first;
    int64_t timeline_last;
};

/* Somebody has said that the row is not to be relied on until a day. Members are NULL when nobody has. */
struct result_quarantine {
    char *reason;
    char *owner;
    char *expires; /* "2026-12-24": the last day */
    char *place;   /* "cases/quarantine.yaml:4:5" */
    bool is_over;  /* the day has passed: the row counts again */
};

/* What a person reads first about a row that failed, or whose device was refused. Members that do not apply are NULL. */
struct result_account {
    char *expected;
    char *got;
    char *rule; /* the service's rule id, or the requirement that the case quotes */
    char *mend;
    char *again;   /* the command that runs just this row */
    char *assumed; /* what of it nobody outside knows of Azure */
};

struct result_row {
    char *id;      /* "refused/wrong-chain:connack" */
    char *case_id; /* "refused/wrong-chain" */
    char *title;
    char *device; /* its id in the rig file */
    char *shard;  /* of a merged report: "2/5", where it ran */
    enum verdict verdict;
    struct result_reason reason; /* empty for a pass */
    char *outcome;               /* what happened, one sentence: "assigned to ..."; the verdict's text for a refused device */
    char *rule;                  /* rule id of the service's verdict, NULL when it accepted or was never asked */
    char *surface;               /* where the refusal shows: "connack", "res401", ... */
    char *mend;
    char *refusal_expected; /* the expectation that the refusal met; NULL: the case did not ask for it */
    char *why;              /* the requirement that the case quotes */
    char *why_source;
    struct result_account account;              /* account.h fills it */
    struct result_reason also[RESULT_ALSO_MAX]; /* other expectations that failed; without `text` */
    size_t also_count;
    char *certificates; /* folder of the public certificates, below the run's; NULL: none were made */
    int64_t started_unix_us;
    int64_t duration_ms;       /* real time */
    int64_t credential_writes; /* credentials written to or deleted from the modem for it */
    int64_t timeline_first;    /* lines of timeline.jsonl, from 1; 0: none */
    int64_t timeline_last;
    unsigned repetition;                                 /* from 1; 0: the run repeats nothing */
    unsigned interruptions;                              /* so often a kill or a power cut ended it, and it was run again */
    bool is_unstable;                                    /* some attempts were good and some not: the verdict is never the good one */
    struct result_attempt attempts[RESULT_ATTEMPTS_MAX]; /* all of them, in their order, when there were more than one */
    size_t attempt_count;
    struct result_quarantine quarantine;
    char *timeline_folder; /* of that file, below the run's ("dk-1", "shard-2/dk-1"); NULL: the run's own */
    struct result_finding findings[RESULT_FINDINGS_MAX];
    size_t finding_count;
    char *assumed[RESULT_ASSUMED_MAX]; /* behaviours of the simulator without a public source that the row leaned on: docs/fidelity.md */
    size_t assumed_count;
};

void result_row_done(struct result_row *row); /* NULL allowed; the struct may be reused */
/* Replace a text by a copy of `text` (may be NULL). */
void result_set(char **member, const char *text);
void result_setf(char **member, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Once a kind and text; more than RESULT_FINDINGS_MAX are dropped. */
void result_add_finding(struct result_row *row, enum result_finding_kind kind, const char *text, const char *source);
/* Once an id; more than RESULT_ASSUMED_MAX are dropped. */
void result_add_assumed(struct result_row *row, const char *id);
/*
 * The row was tried again. The row is that of the worst attempt, the first of equals: nothing is upgraded. `attempt` is taken over and emptied. More
 * than RESULT_ATTEMPTS_MAX change the verdict, and are not listed.
 */
void result_row_add_attempt(struct result_row *row, struct result_row *attempt);
/* A quarantine is in force: the row is reported as it is, and counts for nothing. */
bool result_row_is_quarantined(const struct result_row *row);
/* "refused/wrong-chain:azure", with " #2" behind it for the second repetition, into `text`. */
enum { RESULT_NAME_BYTES = 320 };
const char *result_row_name(const struct result_row *row, char text[RESULT_NAME_BYTES]);
/* The next free place in `also`; NULL when it is full. Lent. */
struct result_reason *result_add_also(struct result_row *row);

/* What the rows were chosen from: shards of one whole have the same. Hashes are SHA-256, in hex; NULL: not noted. */
struct result_suite {
    size_t row_count; /* that were selected for a device, before they were dealt out */
    char *selection;  /* of their ids, and how often they are repeated */
    char *cases;      /* of the texts of cases, known findings, quarantine and dialects */
};

struct result_run {
    char *id;        /* "20261121T211500Z-1234": start and process id */
    char *directory; /* the run's own folder, as the user named it */
    char *rig_file;  /* NULL: the built-in rig */
    double time_scale;
    int64_t started_unix_us;
    int64_t ended_unix_us; /* 0 while it runs */
    bool is_interrupted;
    char *broken_off; /* why the report could not be written any more; NULL: it could */
    int exit_code;    /* meaningful once it has ended */
    cJSON *devices;   /* list of objects, as docs/results.md says; owned */
    cJSON *simulator; /* object; owned */
    cJSON *versions;  /* object; owned */
    struct result_row *rows;
    size_t row_count;
    size_t planned_count;       /* rows that were selected */
    struct result_row *not_run; /* rows that were selected and did not run: id, case_id, title, device, repetition, reason.text */
    size_t not_run_count;
    char *shard; /* "2/5"; NULL: the whole */
    struct result_suite suite;
    char *version;         /* of the dpsbench that ran it; NULL: this one */
    cJSON *shards;         /* of a merged report: list of objects, as docs/results.md says; owned; NULL: it was one run */
    cJSON *missing_shards; /* texts, "3/5"; owned; NULL: none is missing */
    unsigned resumptions;  /* so often the run was taken up again */
};

void result_run_done(struct result_run *run);
/* Takes the row over (and empties it), also on failure. */
int result_run_add(struct result_run *run, struct result_row *row, struct error *error);
/* Likewise, to those that did not run. */
int result_run_add_not_run(struct result_run *run, struct result_row *row, struct error *error);

struct result_counts {
    size_t by_verdict[VERDICT_COUNT];
    size_t findings; /* of any kind */
    size_t fixed;    /* of kind fixed */
    size_t unstable;
    size_t quarantined;            /* rows under a quarantine that is in force */
    size_t counted[VERDICT_COUNT]; /* by_verdict without those */
};
struct result_counts result_run_count(const struct result_run *run);

/* Exit codes of `dpsbench run` (docs/results.md). */
enum {
    EXIT_ALL_PASSED = 0,
    EXIT_DEVICE_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_RIG_TROUBLE = 3,
    EXIT_OUR_BUG = 4,
    EXIT_NOTHING_SELECTED = 5,
    EXIT_NOT_ALL_RAN = 6,
    EXIT_ALL_SKIPPED = 77,
    EXIT_INTERRUPTED = 130,
};
/*
 * From the verdicts of what ran and is not quarantined; when nothing of that went wrong and rows did not run, or a shard is missing,
 * EXIT_NOT_ALL_RAN. An interrupted run is EXIT_INTERRUPTED, one that was broken off EXIT_RIG_TROUBLE, one without any row EXIT_NOTHING_SELECTED: but a
 * shard to which none of the selected rows was dealt has done its part.
 */
int result_run_exit_code(const struct result_run *run);

#endif
