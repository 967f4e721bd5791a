/*
 * broker_sim/fidelity/fidelity.h - each behaviour of the simulator, and how it is known
 *
 * What:     one data file (behaviours.yaml, part of the program) lists what we do by default, the knob that changes it, the evidence, its
 *           sources and the tests that hold it. The rules of the judge (certs/attestation_rules.h) stand there by their ids alone,
 *           and so do knobs that are a fault and nothing else (broker_sim/scenario/knobs.h).
 * Readers:  dpsbench-sim --fidelity, docs/fidelity.md, and the events: whatever names a rule gets that rule's evidence.
 * Errors:   owner file, SYNTAX or LIMIT, with the place in the file.
 */
#ifndef BROKER_SIM_FIDELITY_FIDELITY_H
#define BROKER_SIM_FIDELITY_FIDELITY_H

#include "base/bytes.h"
#include "base/json.h"
#include "broker_sim/scenario/knobs.h"
#include "certs/attestation.h"

enum { FIDELITY_ROWS_MAX = 512, FIDELITY_AREAS_MAX = 32, FIDELITY_LIST_MAX = 16, FIDELITY_FALLBACK_BYTES = 32 };

/* The first four are the judge's. */
enum fidelity_evidence {
    FIDELITY_DOCUMENTED = ATTESTATION_DOCUMENTED,
    FIDELITY_FIELD_OBSERVED = ATTESTATION_FIELD_OBSERVED,
    FIDELITY_VENDOR = ATTESTATION_VENDOR,
    FIDELITY_ASSUMED = ATTESTATION_ASSUMED,
    FIDELITY_OWN, /* no behaviour of Azure: a fault on demand, or a difference of ours */
    FIDELITY_EVIDENCE_COUNT
};

struct fidelity_area {
    const char *id;
    const char *title;
};

struct fidelity_list {
    const char *items[FIDELITY_LIST_MAX];
    size_t count;
};

struct fidelity_row {
    const char *id;
    const struct fidelity_area *area;
    const char *behaviour;
    const char *by_default;
    enum fidelity_evidence evidence;
    struct fidelity_list knobs;
    struct fidelity_list sources;
    struct fidelity_list tests;
    const struct attestation_rule *rule;    /* NULL: no rule of the judge */
    const struct knob *knob;                /* NULL: not the row of one knob */
    char fallback[FIDELITY_FALLBACK_BYTES]; /* of the knob */
};

struct fidelity;

/* The built-in table; fidelity_free() it. */
int fidelity_read(struct fidelity **ret_fidelity, struct error *error);
/* Another text, for tests. `name` stands in errors. */
int fidelity_read_text(const char *text, size_t length_bytes, const char *name, struct fidelity **ret_fidelity, struct error *error);
void fidelity_free(struct fidelity *fidelity); /* NULL allowed */

/* In the order of the file; NULL past the end. */
const struct fidelity_row *fidelity_at(const struct fidelity *fidelity, size_t index);
const struct fidelity_row *fidelity_find(const struct fidelity *fidelity, const char *id);

const char *fidelity_evidence_name(enum fidelity_evidence evidence); /* "documented" ... "own" */
/* One of the names, NULL-terminated, in the order of the enum. */
extern const char *const fidelity_evidence_names[];

/*
 * An event's data that names rules (`rule`, `rules`) gets their evidence, and `assumed`: the ids of the behaviours without a public source that it
 * leaned on, those that decided and those that were taken with a word. Nothing for data without rules.
 */
void fidelity_mark(const struct fidelity *fidelity, cJSON *data);

/* Rows with this evidence alone; NULL: all. What is printed for people, for the page, for programs. */
int fidelity_print_text(const struct fidelity *fidelity, const char *evidence, struct bytes *out);
int fidelity_print_markdown(const struct fidelity *fidelity, struct bytes *out);
/* {"v":1,"behaviours":[{"id","area","behaviour","default","knobs","evidence","sources","tests","class"?,"severity"?,"surfaces"?}]}; NULL when
 * out of memory. */
cJSON *fidelity_to_json(const struct fidelity *fidelity, const char *evidence);

#endif
