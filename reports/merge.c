#include "reports/merge.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/json.h"

#include <string.h>

enum { NAME_BYTES = 32, MISSING_TEXT_MAX_BYTES = 2048 };

const char *merge_folder(const struct merge_part *part, char text[MERGE_FOLDER_BYTES])
{
    snprintf(text, MERGE_FOLDER_BYTES, "shard-%u", part->index);
    return text;
}

/* ---- one part ---- */

static bool came_to_its_end(const struct result_run *run)
{
    return run->ended_unix_us && !run->is_interrupted && !run->broken_off;
}

static int read_shard(struct merge_part *part, struct error *error)
{
    const struct result_run *run = &part->run;
    char rest;
    if (run->shards)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "'%s' is a merged report already; name the folders of its shards",
                         part->folder);
    if (!run->shard)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "'%s' is a whole run: without --shard there is nothing to put together",
                         part->folder);
    if (sscanf(run->shard, "%u/%u%c", &part->index, &part->count, &rest) != 2 || part->index < 1 || part->index > part->count ||
        part->count > MERGE_PARTS_MAX)
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "'%s': its shard '%s' is none from 1/1 to %d/%d", part->folder, run->shard,
                         MERGE_PARTS_MAX, MERGE_PARTS_MAX);
    if (!run->version || strcmp(run->version, DPSBENCH_VERSION) != 0)
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "'%s' was run by dpsbench %s, this is %s", part->folder,
                         run->version ? run->version : "?", DPSBENCH_VERSION);
    if (!run->suite.selection || !run->suite.cases)
        return error_set(error, ERROR_OWNER_FILE, ERROR_SYNTAX, "'%s': its results.json does not say what it is a shard of", part->folder);
    return 0;
}

static int check_end(const struct merge_part *part, bool allows_missing, struct error *error)
{
    const struct result_run *run = &part->run;
    size_t known = run->row_count + run->not_run_count;
    if (!came_to_its_end(run))
        return allows_missing
                   ? 0
                   : error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND,
                               "shard %s in '%s' did not come to its end (%zu of %zu rows): go on with it by `dpsbench run --resume`, "
                               "or take what there is with --allow-missing",
                               run->shard, part->folder, run->row_count, run->planned_count);
    return known == run->planned_count ? 0
                                       : error_set(error, ERROR_OWNER_FILE, ERROR_CONFLICT, "shard %s in '%s' has %zu of its %zu rows",
                                                   run->shard, part->folder, known, run->planned_count);
}

/* ---- all of them ---- */

static int check_same(const struct merge_part *first, const struct merge_part *part, struct error *error)
{
    const struct result_run *a = &first->run, *b = &part->run;
    const char *difference = NULL;
    if (first->count != part->count)
        return error_set(error, ERROR_OWNER_FILE, ERROR_CONFLICT, "'%s' is shard %s and '%s' shard %s: they are parts of different wholes",
                         first->folder, a->shard, part->folder, b->shard);
    if (strcmp(a->suite.cases, b->suite.cases) != 0)
        difference = "the cases (or the quarantine, the known findings, a dialect) were others";
    else if (strcmp(a->suite.selection, b->suite.selection) != 0)
        difference = "other rows were selected, or they were repeated another number of times";
    else if (a->time_scale < b->time_scale || a->time_scale > b->time_scale)
        difference = "the time scale was another";
    return difference ? error_set(error, ERROR_OWNER_FILE, ERROR_CONFLICT, "'%s' and '%s' are no shards of one whole: %s", first->folder,
                                  part->folder, difference)
                      : 0;
}

static int compare_parts(const void *a, const void *b)
{
    const struct merge_part *one = a, *other = b;
    return one->index < other->index ? -1 : one->index > other->index;
}

static int check_twice(const struct merge_part *parts, size_t count, struct error *error)
{
    for (size_t i = 1; i < count; i++)
        if (parts[i].index == parts[i - 1].index)
            return error_set(error, ERROR_OWNER_FILE, ERROR_CONFLICT, "shard %s is there twice: in '%s' and in '%s'", parts[i].run.shard,
                             parts[i - 1].folder, parts[i].folder);
    return 0;
}

static bool has_index(const struct merge_part *parts, size_t count, unsigned index)
{
    for (size_t i = 0; i < count; i++)
        if (parts[i].index == index)
            return true;
    return false;
}

static int check_missing(const struct merge_part *parts, size_t count, struct error *error)
{
    CLEANUP(bytes_done) struct bytes names = {.max_bytes = MISSING_TEXT_MAX_BYTES};
    size_t missing = 0;
    for (unsigned index = 1; index <= parts[0].count; index++)
        if (!has_index(parts, count, index))
            bytes_printf(&names, "%s%u/%u", missing++ ? ", " : " ", index, parts[0].count);
    bytes_append_text(&names, missing > 1 ? " are" : " is");
    if (missing == 0)
        return 0;
    return error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "shard%s%s missing: name %s too, or take what there is with --allow-missing",
                     missing > 1 ? "s" : "", bytes_text(&names), missing > 1 ? "their folders" : "its folder");
}

int merge_check(struct merge_part *parts, size_t count, bool allows_missing, struct error *error)
{
    for (size_t i = 0; i < count; i++)
        if (read_shard(&parts[i], error) || check_same(&parts[0], &parts[i], error))
            return -1;
    qsort(parts, count, sizeof *parts, compare_parts);
    if (check_twice(parts, count, error) || (!allows_missing && check_missing(parts, count, error)))
        return -1;
    for (size_t i = 0; i < count; i++)
        if (check_end(&parts[i], allows_missing, error))
            return -1;
    return 0;
}

/* ---- rows ---- */

static int compare_texts(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "");
}

static int compare_rows(const void *a, const void *b)
{
    const struct result_row *one = *(struct result_row *const *)a, *other = *(struct result_row *const *)b;
    int order = compare_texts(one->id, other->id);
    order = order ? order : compare_texts(one->device, other->device);
    return order ? order : (one->repetition > other->repetition) - (one->repetition < other->repetition);
}

static int check_rows(const struct result_run *run, struct error *error)
{
    CLEANUP_FREE const struct result_row **rows = calloc(run->row_count + 1, sizeof *rows);
    if (!rows)
        return error_set_memory(error);
    for (size_t i = 0; i < run->row_count; i++)
        rows[i] = &run->rows[i];
    qsort(rows, run->row_count, sizeof *rows, compare_rows);
    for (size_t i = 1; i < run->row_count; i++)
        if (compare_rows(&rows[i - 1], &rows[i]) == 0)
            return error_set(error, ERROR_OWNER_FILE, ERROR_CONFLICT, "row '%s' of device '%s' is there twice: in shard %s and in shard %s",
                             rows[i]->id, rows[i]->device ? rows[i]->device : "?", rows[i - 1]->shard, rows[i]->shard);
    return 0;
}

static void move_below(char **path, const char *folder)
{
    CLEANUP_FREE char *before = *path;
    *path = NULL;
    result_setf(path, "%s/%s", folder, before);
}

/* What it points to is in its shard's folder now. */
static void move_row(const struct merge_part *part, struct result_row *row)
{
    char folder[MERGE_FOLDER_BYTES];
    merge_folder(part, folder);
    result_set(&row->shard, part->run.shard);
    if (row->timeline_folder)
        move_below(&row->timeline_folder, folder);
    else if (row->timeline_first)
        result_set(&row->timeline_folder, folder);
    if (row->certificates)
        move_below(&row->certificates, folder);
    for (size_t i = 0; i < row->attempt_count; i++)
        if (row->attempts[i].certificates)
            move_below(&row->attempts[i].certificates, folder);
}

static int take_rows(struct merge_part *part, struct result_run *run, struct error *error)
{
    for (size_t i = 0; i < part->run.row_count; i++) {
        move_row(part, &part->run.rows[i]);
        if (result_run_add(run, &part->run.rows[i], error))
            return -1;
    }
    for (size_t i = 0; i < part->run.not_run_count; i++) {
        result_set(&part->run.not_run[i].shard, part->run.shard);
        if (result_run_add_not_run(run, &part->run.not_run[i], error))
            return -1;
    }
    return 0;
}

/* ---- the whole ---- */

static int take_devices(const struct merge_part *part, cJSON *devices)
{
    const cJSON *device;
    cJSON_ArrayForEach(device, part->run.devices)
    {
        cJSON *copy = cJSON_Duplicate(device, true);
        if (!cJSON_AddItemToArray(devices, copy) || json_set_string(copy, "shard", part->run.shard))
            return -1;
    }
    return 0;
}

static cJSON *describe(const struct merge_part *part, size_t row_count)
{
    char folder[MERGE_FOLDER_BYTES];
    CLEANUP_JSON cJSON *json = cJSON_CreateObject();
    if (!json || json_set_string(json, "shard", part->run.shard) || json_set_string(json, "run", part->run.id) ||
        json_set_string(json, "folder", merge_folder(part, folder)) || json_set_integer(json, "rows", (int64_t)row_count) ||
        json_set_integer(json, "exit_code", part->run.exit_code) || json_set_bool(json, "is_complete", came_to_its_end(&part->run)) ||
        (part->run.simulator && json_set(json, "simulator", cJSON_Duplicate(part->run.simulator, true))))
        return NULL;
    return TAKE(json);
}

static void widen(const struct result_run *part, struct result_run *run)
{
    bool is_first = run->started_unix_us == 0;
    if (is_first || part->started_unix_us < run->started_unix_us)
        run->started_unix_us = part->started_unix_us;
    if (part->ended_unix_us > run->ended_unix_us)
        run->ended_unix_us = part->ended_unix_us;
    run->planned_count += part->planned_count;
    run->resumptions += part->resumptions;
}

static int note_missing(const struct merge_part *parts, size_t count, struct result_run *run)
{
    for (unsigned index = 1; index <= parts[0].count; index++) {
        bool is_there = false;
        for (size_t i = 0; i < count; i++)
            is_there |= parts[i].index == index && came_to_its_end(&parts[i].run);
        if (is_there)
            continue;
        char name[NAME_BYTES];
        snprintf(name, sizeof name, "%u/%u", index, parts[0].count);
        if (!run->missing_shards)
            run->missing_shards = cJSON_CreateArray();
        if (!cJSON_AddItemToArray(run->missing_shards, cJSON_CreateString(name)))
            return -1;
    }
    return 0;
}

static int begin(const struct merge_part *first, size_t count, struct result_run *run)
{
    *run = (struct result_run){.time_scale = first->run.time_scale, .suite.row_count = first->run.suite.row_count};
    run->devices = cJSON_CreateArray();
    run->shards = cJSON_CreateArray();
    result_set(&run->rig_file, first->run.rig_file);
    result_set(&run->suite.selection, first->run.suite.selection);
    result_set(&run->suite.cases, first->run.suite.cases);
    result_setf(&run->id, "%s+%zu", first->run.id ? first->run.id : "?", count - 1);
    return run->devices && run->shards ? 0 : -1;
}

static int take_part(struct merge_part *part, struct result_run *run, struct error *error)
{
    size_t row_count = part->run.row_count;
    widen(&part->run, run);
    /* A shard without a row started nothing that has one. */
    if (!run->versions && part->run.versions && part->run.versions->child)
        run->versions = cJSON_Duplicate(part->run.versions, true);
    if (take_rows(part, run, error))
        return -1;
    if (take_devices(part, run->devices) || !cJSON_AddItemToArray(run->shards, describe(part, row_count)))
        return error_set_memory(error);
    return 0;
}

int merge_parts(struct merge_part *parts, size_t count, struct result_run *ret_run, struct error *error)
{
    CLEANUP(result_run_done) struct result_run run = {0};
    if (begin(&parts[0], count, &run))
        return error_set_memory(error);
    for (size_t i = 0; i < count; i++)
        if (take_part(&parts[i], &run, error))
            return -1;
    if (check_rows(&run, error))
        return -1;
    if (note_missing(parts, count, &run))
        return error_set_memory(error);
    /* A report that is written is at its end, whatever its shards were. */
    run.ended_unix_us = run.ended_unix_us ? run.ended_unix_us : 1;
    run.exit_code = result_run_exit_code(&run);
    *ret_run = run;
    run = (struct result_run){0};
    return 0;
}
