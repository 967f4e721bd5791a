/*
 * harness/run/plan.h - which rows run on which device, in which order, everything checked before anything runs
 */
#ifndef HARNESS_RUN_PLAN_H
#define HARNESS_RUN_PLAN_H

#include "harness/case/known_findings.h"
#include "harness/case/quarantine.h"
#include "harness/plan/device_plan.h"
#include "harness/run/run.h"

struct plan {
    struct known_findings known; /* lent to the rows */
    struct quarantine quarantine;
    struct {
        const struct rig_device *device; /* lent from the rig */
        struct case_list rows;           /* in the order in which they run */
        struct device_plan plan;
        struct case_list health; /* the row of its health check, or none */
    } devices[RIG_DEVICES_MAX];
    size_t device_count;
    struct result_suite suite; /* what the rows were selected from, before a shard was kept of them */
};

/*
 * Read all cases and the known findings for every connected device, and keep what is selected. A shard may be left without a row. file: a bad case;
 * NOT_FOUND: a selector that fits nothing.
 */
int plan_make(const struct run_options *options, struct plan *ret_plan, struct error *error);
void plan_done(struct plan *plan);
size_t plan_row_count(const struct plan *plan);
/* USAGE (file) for a knob that is not in `knobs` (the simulator's knob.list). */
int plan_check_knobs(const struct plan *plan, const cJSON *knobs, struct error *error);
/* The rows as they are listed where no device is known: registration id and so on stand as their names. */
int plan_list(const char *cases_directory, const char *cases_shown, const char *const *selectors, size_t count, struct case_list *ret_list,
              struct error *error);

#endif
