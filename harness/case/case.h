/*
 * harness/case/case.h - cases as data: one YAML file a case, one row a permutation
 *
 * What:     reads cases/AREA/NAME.yaml (cases/README.md is the manual) and gives rows: everything the runner needs, every ${name} replaced,
 *           everything checked (keys, event names, recipes and their members, regular expressions) before anything runs.
 * Not here: what a row does (harness/run), knob names (only the simulator knows them: they are checked once it is there).
 * Errors:   owner file, "cases/refused/wrong-chain.yaml:14:7: ...". Success outputs are untouched on failure.
 * Memory:   a row owns all that it points to.
 */
#ifndef HARNESS_CASE_CASE_H
#define HARNESS_CASE_CASE_H

#include "harness/case/expectation.h"

#include <cjson/cJSON.h>

enum {
    CASE_FORMAT = 1,
    CASE_EXPECTATIONS_MAX = 32,  /* in one list */
    CASE_VARY_MAX = 4,           /* names under `vary` */
    CASE_PERMUTATIONS_MAX = 256, /* rows of one case */
    CASE_BUDGET_MAX_S = 3600,
};

enum case_view { CASE_VIEW_CONSOLE, CASE_VIEW_WIRE, CASE_VIEW_SERVICE, CASE_VIEW_COUNT };

struct case_expectations {
    struct expectation *items;
    size_t count;
};

struct case_view_expectations {
    struct case_expectations in_order;
    struct case_expectations in_any_order;
    struct case_expectations never;
};

/* Something that a device may do without failing the row, and that a reader should know. */
struct case_finding {
    struct expectation seen;
    char *text;
    char *source;
};

enum case_root_ca { CASE_ROOT_LANE, CASE_ROOT_NONE, CASE_ROOT_MEMBER };

struct case_credentials {
    char *recipe; /* built-in name, "device/wrong-chain" */
    enum case_root_ca root_ca;
    char *root_ca_member;         /* CASE_ROOT_MEMBER */
    struct text_list client_cert; /* members, in the order in which they are put together; empty: none is written */
    char *client_key;             /* member; NULL: none is written */
};

enum case_verified { CASE_UNVERIFIED, CASE_VERIFIED, CASE_VERIFIED_BY_POSSESSION };

/* A CA certificate of the service. */
struct case_certificate {
    char *name;
    char *member;
    enum case_verified verified;
};

enum { CASE_PRIMARY, CASE_SECONDARY, CASE_PAIR };

struct case_group {
    char *id;
    char *signing[CASE_PAIR];       /* members */
    char *ca_references[CASE_PAIR]; /* names of certificates */
    bool is_disabled;
};

struct case_enrollment {
    char *certificates[CASE_PAIR]; /* members */
    char *device_id;               /* NULL: as the registration id */
    bool is_disabled;
};

struct case_service {
    char *profile; /* NULL: the simulator's own */
    struct case_certificate certificates[CASE_LIST_MAX];
    size_t certificate_count;
    struct case_group groups[CASE_LIST_MAX];
    size_t group_count;
    struct case_enrollment enrollments[CASE_LIST_MAX];
    size_t enrollment_count;
    cJSON *knobs;      /* object; NULL: none */
    char *knobs_place; /* for the error about an unknown one */
};

/* How an attempt starts. */
#define CASE_STEPS(X)                                                                                                                      \
    X(CASE_STEP_FRESH, "fresh", "start", "a reset of a device that has no assignment; one that has is made to forget it")                  \
    X(CASE_STEP_RESET, "reset", "reset", "reset pin: keeps credentials and assignment")                                                    \
    X(CASE_STEP_CHIP_ERASE, "chip-erase", "chip-erase", "erase and program: keeps the modem's credentials, drops the assignment")          \
    X(CASE_STEP_POWER_CYCLE, "power-cycle", "power", "power off and on")

enum case_step {
#define X(id, name, need, text) id,
    CASE_STEPS(X)
#undef X
        CASE_STEP_COUNT
};
const char *case_step_name(enum case_step step);
/* The capability that it needs: "start", "reset", "chip-erase", "power". */
const char *case_step_need(enum case_step step);

struct case_row {
    char *id;      /* "refused/wrong-chain:connack" */
    char *case_id; /* "refused/wrong-chain" */
    char *place;   /* "cases/refused/wrong-chain.yaml" */
    char *title;
    char *why_text;
    char *why_source;
    struct text_list needs; /* those of the file and those of the steps */
    struct case_credentials credentials;
    char *server_recipe; /* built-in name; NULL: the lane's own PKI */
    struct case_service service;
    enum case_step steps[CASE_LIST_MAX];
    size_t step_count;
    struct case_view_expectations views[CASE_VIEW_COUNT];
    struct case_finding findings[CASE_LIST_MAX];
    size_t finding_count;
    int64_t budget_s; /* device seconds */
    bool is_silent;   /* nothing must happen, and something must never: it proves something only of a device that is known to work */
    struct text_list fails_under;
};

/* What belongs to the device and may stand in a case as ${registration_id}, ${id_scope}, ${dps_host}, ${sec_tag}. Lent. */
struct case_device {
    const char *registration_id;
    const char *id_scope;
    const char *dps_host;
    const char *sec_tag;
};

struct case_options {
    struct event_vocabulary vocabulary;
    struct case_device device;
};

struct case_list {
    struct case_row **rows;
    size_t count;
};

/*
 * Read one case and append its rows.
 *
 * text, name   the file's content, and its path as it shall stand in errors
 * case_id      what `id` must be: the path below the folder of cases without ".yaml"
 */
int case_read_text(const char *text, size_t length_bytes, const char *name, const char *case_id, const struct case_options *options,
                   struct case_list *list, struct error *error);
/*
 * All cases below `directory`, sorted by id, permutations in the file's order. `shown` stands for the directory in errors.
 * USAGE (file): no such folder. `list` starts empty ({0}); case_list_done() it, also after a failure.
 */
int cases_read(const char *directory, const char *shown, const struct case_options *options, struct case_list *list, struct error *error);
void case_list_done(struct case_list *list);
void case_row_free(struct case_row *row); /* NULL allowed */
/*
 * Expect nothing in this view: nobody can see it. Where nothing is left that must happen, the row would pass on a device that is switched off: it is
 * silent then. false: nothing is left that must never happen either.
 */
bool case_row_drop_view(struct case_row *row, enum case_view view);
/* Needed too, once. */
int case_row_add_need(struct case_row *row, const char *need, struct error *error);

#endif
