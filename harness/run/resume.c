#include "harness/run/resume.h"

#include "base/cleanup.h"
#include "base/files.h"
#include "harness/run/inputs.h"
#include "harness/run/journal.h"
#include "harness/run/schedule.h"
#include "harness/run/shard.h"

#include <limits.h>
#include <string.h>

/* ---- to the journal ---- */

static int add_selectors(cJSON *json, const struct run_options *options)
{
    cJSON *list = cJSON_CreateStringArray((const char *const *)options->selectors, (int)options->selector_count);
    return json_set(json, "selectors", list);
}

static int add_options(cJSON *json, const struct run_options *options, double time_scale)
{
    return json_set_string(json, "rig", options->rig->file) ||
           json_set_string(json, "cases", options->has_own_cases ? options->cases_directory : NULL) ||
           json_set_string(json, "quarantine", options->quarantine_file) || json_set_string(json, "device", options->device_id) ||
           json_set_bool(json, "keeps_order", options->keeps_order) || json_set_bool(json, "wants_flash", options->wants_flash) ||
           json_set(json, "time_scale", cJSON_CreateNumber(time_scale)) || json_set_integer(json, "jobs", (int64_t)options->jobs) ||
           json_set_integer(json, "shard_index", options->shard_index) || json_set_integer(json, "shard_count", options->shard_count) ||
           json_set_integer(json, "repeat", options->repeat) || json_set_integer(json, "retries", options->retries) ||
           json_set_bool(json, "is_until_fail", options->is_until_fail) ||
           json_set_integer(json, "time_budget_s", options->time_budget_s) || add_selectors(json, options);
}

cJSON *resume_make_header(const struct run_options *options, double time_scale, const char *run_id, int64_t started_unix_us,
                          struct error *error)
{
    char folder[PATH_MAX];
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    cJSON *inputs = inputs_hash(options, error), *chosen = cJSON_CreateObject();
    if (!inputs) {
        cJSON_Delete(chosen);
        return NULL;
    }
    if (!json || json_set(json, "inputs", inputs) || json_set(json, "options", chosen) || !chosen ||
        json_set_integer(json, "v", JOURNAL_VERSION) || json_set_string(json, "version", DPSBENCH_VERSION) ||
        json_set_string(json, "run", run_id) || json_set_integer(json, "started_unix_us", started_unix_us) ||
        json_set_string(json, "folder", getcwd(folder, sizeof folder)) || add_options(chosen, options, time_scale)) {
        error_set_memory(error);
        return NULL;
    }
    return TAKE(json);
}

/* ---- and back ---- */

/* From where we are, or from where the run was started. */
static int find_path(const cJSON *header, const char *name, char **ret_path, struct error *error)
{
    char here[PATH_MAX];
    const char *path = json_string(json_member(header, "options"), name, NULL), *folder = json_string(header, "folder", "");
    if (!path)
        return 0;
    bool is_same_folder = getcwd(here, sizeof here) && strcmp(here, folder) == 0;
    *ret_path = path[0] == '/' || is_same_folder ? strdup(path) : path_join(folder, path);
    return *ret_path ? 0 : error_set_memory(error);
}

static int read_selectors(const cJSON *options, struct resume_options *ret, struct error *error)
{
    const cJSON *list = json_member(options, "selectors"), *item;
    ret->selectors = calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof *ret->selectors);
    if (!ret->selectors)
        return error_set_memory(error);
    cJSON_ArrayForEach(item, list)
    {
        if (cJSON_IsString(item))
            ret->selectors[ret->run.selector_count++] = item->valuestring;
    }
    ret->run.selectors = ret->selectors;
    return 0;
}

static int fail_number(const char *directory, const char *name, struct error *error)
{
    return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "%s/" JOURNAL_FILE ":1: `%s` is no number that dpsbench writes there",
                     directory, name);
}

/* What the command line would not have taken was not written by us, and nobody behind this looks at it again. */
static int read_numbers(const char *directory, const cJSON *options, struct run_options *run, struct error *error)
{
    int64_t jobs = 0, index = 0, count = 0, repeat = 0, retries = 0, budget_s = 0;
    const struct {
        const char *name;
        int64_t *ret_number, max;
    } numbers[] = {
        {"jobs", &jobs, RIG_DEVICES_MAX},       {"shard_index", &index, SHARDS_MAX},
        {"shard_count", &count, SHARDS_MAX},    {"repeat", &repeat, SCHEDULE_TURNS_MAX},
        {"retries", &retries, RUN_RETRIES_MAX}, {"time_budget_s", &budget_s, RUN_TIME_BUDGET_MAX_S},
    };
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        *numbers[i].ret_number = json_integer(options, numbers[i].name, 0);
        if (*numbers[i].ret_number < 0 || *numbers[i].ret_number > numbers[i].max)
            return fail_number(directory, numbers[i].name, error);
    }
    run->time_scale = json_number(options, "time_scale", 0);
    if (!(run->time_scale >= 0 && run->time_scale <= RUN_TIME_SCALE_MAX))
        return fail_number(directory, "time_scale", error);
    if (index > count || (count && !index))
        return fail_number(directory, "shard_index", error);
    run->jobs = (size_t)jobs;
    run->shard_index = (unsigned)index;
    run->shard_count = (unsigned)count;
    run->repeat = (unsigned)repeat;
    run->retries = (unsigned)retries;
    run->time_budget_s = budget_s;
    return 0;
}

static void read_choices(const cJSON *options, struct run_options *run)
{
    run->device_id = json_string(options, "device", NULL);
    run->keeps_order = json_bool(options, "keeps_order", false);
    run->wants_flash = json_bool(options, "wants_flash", false);
    run->is_until_fail = json_bool(options, "is_until_fail", false);
    run->is_resumed = true;
}

int resume_read_options(const char *directory, struct resume_options *ret_options, struct error *error)
{
    CLEANUP(resume_options_done) struct resume_options options = {.header = journal_read_header(directory, error)};
    const cJSON *chosen = json_member(options.header, "options");
    if (!options.header || find_path(options.header, "rig", &options.rig, error) ||
        find_path(options.header, "cases", &options.cases, error) || find_path(options.header, "quarantine", &options.quarantine, error) ||
        read_selectors(chosen, &options, error) || read_numbers(directory, chosen, &options.run, error))
        return -1;
    read_choices(chosen, &options.run);
    options.run.quarantine_file = options.quarantine;
    *ret_options = options;
    options = (struct resume_options){0};
    return 0;
}

void resume_options_done(struct resume_options *options)
{
    free(options->rig);
    free(options->cases);
    free(options->quarantine);
    free(options->selectors);
    cJSON_Delete(options->header);
    *options = (struct resume_options){0};
}

/* ---- the same? ---- */

/* Names in the header are as they were typed then; ours may have the folder before them. */
static cJSON *named_as_then(const cJSON *header, const cJSON *now)
{
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    const cJSON *input;
    const char *folder = json_string(header, "folder", "");
    size_t length = strlen(folder);
    cJSON_ArrayForEach(input, now)
    {
        bool is_below = strncmp(input->string, folder, length) == 0 && input->string[length] == '/';
        const char *relative = is_below ? input->string + length + 1 : input->string;
        bool is_known = json_member(json_member(header, "inputs"), input->string) != NULL;
        if (json_set_string(json, is_known ? input->string : relative, input->valuestring))
            return NULL;
    }
    return TAKE(json);
}

int resume_check(const cJSON *header, const struct run_options *options, struct error *error)
{
    const char *version = json_string(header, "version", "?");
    if (strcmp(version, DPSBENCH_VERSION) != 0)
        return error_set(error, ERROR_OWNER_FILE, ERROR_CONFLICT, "resume '%s': it was run by dpsbench %s, this is %s", options->directory,
                         version, DPSBENCH_VERSION);
    CLEANUP_JSON cJSON *now = inputs_hash(options, error);
    CLEANUP_JSON cJSON *named = now ? named_as_then(header, now) : NULL;
    if (!now || (!named && error_set_memory(error)) || inputs_compare(json_member(header, "inputs"), named, error))
        return error_prefix(error, "resume '%s'", options->directory);
    return 0;
}
