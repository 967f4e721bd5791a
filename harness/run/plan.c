#include "harness/run/plan.h"

#include "base/cleanup.h"
#include "base/files.h"
#include "base/json.h"
#include "base/yaml.h"
#include "harness/case/select.h"
#include "harness/device/dialect.h"
#include "harness/run/health.h"
#include "harness/run/inputs.h"
#include "harness/run/shard.h"

#include <string.h>

static struct event_vocabulary vocabulary(void)
{
    return (struct event_vocabulary){.console_events = dialect_event_names()};
}

static int read_known(const struct run_options *options, struct known_findings *ret_known, struct error *error)
{
    const struct event_vocabulary words = vocabulary();
    return known_findings_read(options->cases_directory, options->cases_shown, &words, ret_known, error);
}

/* Of a program without a dialect the lines mean nothing to us: its rows are judged by what it does, and does not. */
static int drop_console(struct case_list *list, struct error *error)
{
    for (size_t i = 0; i < list->count; i++)
        if (!case_row_drop_view(list->rows[i], CASE_VIEW_CONSOLE) && case_row_add_need(list->rows[i], RIG_NEED_CONSOLE, error))
            return -1;
    return 0;
}

/* A file that was named must be there; the one beside the cases may. */
static int read_quarantine(const struct run_options *options, struct quarantine *ret_quarantine, struct error *error)
{
    if (options->quarantine_file && !path_exists(options->quarantine_file))
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "--quarantine '%s': No such file or directory", options->quarantine_file);
    if (options->quarantine_file)
        return quarantine_read(options->quarantine_file, options->quarantine_file, ret_quarantine, error);
    CLEANUP_FREE char *path = path_join(options->cases_directory, QUARANTINE_FILE);
    CLEANUP_FREE char *shown = path_join(options->cases_shown, QUARANTINE_FILE);
    if (!path || !shown)
        return error_set_memory(error);
    return path_exists(path) ? quarantine_read(path, shown, ret_quarantine, error) : 0;
}

/* The rows of all devices are the same: what they are chosen from is noted once. */
static int deal_out(const struct run_options *options, struct plan *plan, struct case_list *list, struct error *error)
{
    if (!plan->suite.selection && inputs_suite(options, list, &plan->suite, error))
        return -1;
    return options->shard_count ? shard_keep(list, options->shard_index, options->shard_count, error) : 0;
}

/* `rig_device`: NULL when nobody runs the rows. */
static int read_rows(const struct run_options *options, const struct case_device *device, const struct rig_device *rig_device,
                     const struct known_findings *known, const struct quarantine *quarantine, struct case_list *list, struct error *error)
{
    const struct case_options case_options = {.vocabulary = vocabulary(), .device = *device};
    const struct known_device known_device = {.dialect = rig_device ? rig_device->dialect : NULL,
                                              .client = rig_device ? rig_device->client : NULL,
                                              .personality = rig_device && rig_device->is_virtual ? rig_device->personality : NULL};
    if (cases_read(options->cases_directory, options->cases_shown, &case_options, list, error) ||
        known_findings_mark(known, rig_device ? &known_device : NULL, list, error) || quarantine_check(quarantine, list, error))
        return -1;
    if (rig_device && !rig_device->dialect && drop_console(list, error))
        return -1;
    return select_rows(list, options->selectors, options->selector_count, error);
}

/* Boards alone are checked unasked: a virtual device has no network that could be bad. */
static const char *health_row(const struct rig *rig, const struct rig_device *device)
{
    if (rig->health)
        return strcmp(rig->health, RIG_HEALTH_NONE) == 0 ? NULL : rig->health;
    return device->is_virtual || device->is_exec ? NULL : HEALTH_ROW_DEFAULT;
}

static int read_health(const struct run_options *options, const struct case_device *variables, const struct rig_device *device,
                       const struct plan *plan, struct case_list *list, struct error *error)
{
    const char *row = health_row(options->rig, device);
    struct run_options alone = *options;
    struct error missing = ERROR_INIT;
    alone.selectors = &row;
    alone.selector_count = 1;
    if (!row || read_rows(&alone, variables, device, &plan->known, &plan->quarantine, list, &missing) == 0)
        return 0;
    case_list_done(list);
    *list = (struct case_list){0};
    /* Other people's cases need not have our row. */
    if (!options->rig->health && missing.code == ERROR_NOT_FOUND)
        return 0;
    return error_set(error, missing.owner, missing.code == ERROR_NOT_FOUND ? ERROR_USAGE : missing.code, "%s: health: %s",
                     options->rig->file ? options->rig->file : "the rig", missing.text);
}

static int add_device(const struct run_options *options, const struct rig_device *device, struct plan *plan, struct error *error)
{
    char sec_tag[16];
    snprintf(sec_tag, sizeof sec_tag, "%u", device->sec_tag);
    const struct case_device variables = {
        .registration_id = device->registration_id, .id_scope = device->id_scope, .dps_host = device->dps_host, .sec_tag = sec_tag};
    size_t index = plan->device_count++;
    plan->devices[index].device = device;
    struct case_list *rows = &plan->devices[index].rows;
    if (read_rows(options, &variables, device, &plan->known, &plan->quarantine, rows, error) || deal_out(options, plan, rows, error))
        return -1;
    if (read_health(options, &variables, device, plan, &plan->devices[index].health, error))
        return -1;
    return device_plan_make(device, rows, options->keeps_order, &plan->devices[index].plan, error);
}

static int check_device(const struct run_options *options, struct error *error)
{
    const char *names[RIG_DEVICES_MAX + 1] = {NULL};
    if (!options->device_id)
        return 0;
    for (size_t i = 0, count = 0; i < options->rig->device_count; i++) {
        const struct rig_device *device = &options->rig->devices[i];
        if (device->is_connected && strcmp(device->id, options->device_id) == 0)
            return 0;
        if (device->is_connected)
            names[count++] = device->id;
    }
    const char *near = text_nearest(options->device_id, names);
    return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "the rig has no connected device '%s'%s%s%s", options->device_id,
                     near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static bool is_chosen(const struct run_options *options, const struct rig_device *device)
{
    return device->is_connected && (!options->device_id || strcmp(device->id, options->device_id) == 0);
}

int plan_make(const struct run_options *options, struct plan *ret_plan, struct error *error)
{
    *ret_plan = (struct plan){0};
    if (check_device(options, error) || read_known(options, &ret_plan->known, error) ||
        read_quarantine(options, &ret_plan->quarantine, error)) {
        plan_done(ret_plan);
        return -1;
    }
    for (size_t i = 0; i < options->rig->device_count; i++) {
        const struct rig_device *device = &options->rig->devices[i];
        if (is_chosen(options, device) && add_device(options, device, ret_plan, error)) {
            plan_done(ret_plan);
            return -1;
        }
    }
    if (ret_plan->suite.row_count == 0) {
        plan_done(ret_plan);
        return error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "nothing selected: '%s' holds no case", options->cases_shown);
    }
    return 0;
}

void plan_done(struct plan *plan)
{
    for (size_t i = 0; i < plan->device_count; i++) {
        case_list_done(&plan->devices[i].rows);
        case_list_done(&plan->devices[i].health);
    }
    plan->device_count = 0;
    free(TAKE(plan->suite.selection));
    free(TAKE(plan->suite.cases));
    known_findings_done(&plan->known);
    quarantine_done(&plan->quarantine);
}

size_t plan_row_count(const struct plan *plan)
{
    size_t count = 0;
    for (size_t i = 0; i < plan->device_count; i++)
        count += plan->devices[i].rows.count;
    return count;
}

static bool is_knob(const cJSON *knobs, const char *name)
{
    const cJSON *knob;
    cJSON_ArrayForEach(knob, knobs)
    {
        if (strcmp(json_string(knob, "name", ""), name) == 0)
            return true;
    }
    return false;
}

static int fail_knob(const struct case_row *row, const cJSON *knobs, const char *name, struct error *error)
{
    CLEANUP_FREE const char **names = calloc((size_t)cJSON_GetArraySize(knobs) + 1, sizeof *names);
    const cJSON *knob;
    size_t count = 0;
    cJSON_ArrayForEach(knob, knobs)
    {
        if (names)
            names[count++] = json_string(knob, "name", "");
    }
    const char *nearest = names ? text_nearest(name, names) : NULL;
    return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "%s: the simulator has no knob '%s'%s%s%s; `dpsbench sim knobs` names them",
                     row->service.knobs_place, name, nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'" : "");
}

static int check_row(const struct case_row *row, const cJSON *knobs, struct error *error)
{
    const cJSON *knob;
    cJSON_ArrayForEach(knob, row->service.knobs)
    {
        if (!is_knob(knobs, knob->string))
            return fail_knob(row, knobs, knob->string, error);
    }
    return 0;
}

int plan_check_knobs(const struct plan *plan, const cJSON *knobs, struct error *error)
{
    for (size_t i = 0; i < plan->device_count; i++)
        for (size_t j = 0; j < plan->devices[i].rows.count; j++)
            if (check_row(plan->devices[i].rows.rows[j], knobs, error))
                return -1;
    return 0;
}

int plan_list(const char *cases_directory, const char *cases_shown, const char *const *selectors, size_t count, struct case_list *ret_list,
              struct error *error)
{
    const struct case_device nobody = {
        .registration_id = "REGISTRATION-ID", .id_scope = "ID-SCOPE", .dps_host = "DPS-HOST", .sec_tag = "SEC-TAG"};
    const struct run_options options = {
        .cases_directory = cases_directory, .cases_shown = cases_shown, .selectors = selectors, .selector_count = count};
    struct case_list list = {0};
    CLEANUP(known_findings_done) struct known_findings known = {0};
    CLEANUP(quarantine_done) struct quarantine quarantine = {0};
    if (read_known(&options, &known, error) || read_quarantine(&options, &quarantine, error) ||
        read_rows(&options, &nobody, NULL, &known, &quarantine, &list, error)) {
        case_list_done(&list);
        return -1;
    }
    *ret_list = list;
    return 0;
}
