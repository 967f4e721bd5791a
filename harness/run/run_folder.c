/* The run's own folder: lock, private part, journal; and what a run that was killed left in it. */
#include "base/cleanup.h"
#include "base/files.h"
#include "harness/run/resume.h"
#include "harness/run/room.h"
#include "harness/run/run_state.h"
#include "reports/results_json.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum { RESUMPTIONS_MAX = 10000 };

/* ---- a new one ---- */

static int refuse_folder(const char *directory, struct error *error)
{
    return error_set(error, ERROR_OWNER_FILE, ERROR_EXISTS,
                     "folder '%s' is not empty: a run needs a folder of its own; to go on with a run that was killed, use --resume",
                     directory);
}

static int check_empty(const char *directory, struct error *error)
{
    char **names = NULL;
    if (dir_list(directory, "", &names, error))
        return -1;
    bool is_empty = !names[0];
    names_free(names);
    return is_empty ? 0 : refuse_folder(directory, error);
}

static int make_private(struct run *run, struct error *error)
{
    const char *directory = run->options->directory;
    const unsigned number = run->result.resumptions;
    /* A sweeper of the run that was killed may still have its own to remove. */
    if (asprintf(&run->private_directory, number ? "%s/.private-%u" : "%s/.private", directory, number) < 0) {
        run->private_directory = NULL;
        return error_set_memory(error);
    }
    run->bench.private_directory = run->private_directory;
    /* Two runs may have found the folder empty: one of them makes this. */
    if (mkdir(run->private_directory, 0700))
        return errno == EEXIST ? refuse_folder(directory, error)
                               : error_set_errno(error, ERROR_OWNER_RIG, errno, "make folder '%s'", run->private_directory);
    if (sweeper_start(run->private_directory, &run->sweeper, error)) {
        rmdir(run->private_directory);
        return -1;
    }
    return 0;
}

static int make_journal(struct run *run, struct error *error)
{
    cJSON *header = resume_make_header(run->options, run->bench.time_scale, run->result.id, run->result.started_unix_us, error);
    return header ? journal_create(run->options->directory, header, &run->journal, error) : -1;
}

static int make_folder(struct run *run, struct error *error)
{
    const char *directory = run->options->directory;
    struct error busy = ERROR_INIT;
    if (dir_make(directory, 0755, error))
        return room_add_mend(error);
    if (check_empty(directory, error) || room_check(directory, error))
        return -1;
    if (dir_lock(directory, &run->lock_fd, &busy))
        return busy.code == ERROR_BUSY ? refuse_folder(directory, error) : error_set(error, busy.owner, busy.code, "%s", busy.text);
    return make_private(run, error) || make_journal(run, error) ? -1 : 0;
}

/* ---- one of a run that was killed ---- */

static int find_device(const struct run *run, const char *id)
{
    for (size_t i = 0; i < run->plan.device_count; i++)
        if (strcmp(run->plan.devices[i].device->id, id) == 0)
            return (int)i;
    return -1;
}

static struct turn *find_turn(struct run *run, const cJSON *entry, const char *device_id, const char *row, struct error *error)
{
    int device = find_device(run, device_id);
    unsigned repetition = (unsigned)json_integer(entry, "repetition", 1);
    struct turn *turn = device < 0 ? NULL : schedule_find(&run->schedule, (size_t)device, row, repetition);
    if (!turn)
        error_set(error, ERROR_OWNER_FILE, ERROR_CONFLICT, "the run had a row '%s' on device '%s' that is not planned now", row, device_id);
    return turn;
}

static int take_begin(struct run *run, const cJSON *begin, struct error *error)
{
    struct turn *turn = find_turn(run, begin, json_string(begin, "device", ""), json_string(begin, "row", ""), error);
    if (!turn)
        return -1;
    turn->interruptions += turn->state == TURN_RUNNING;
    turn->state = TURN_RUNNING;
    return 0;
}

static int take_row(struct run *run, const cJSON *entry, struct error *error)
{
    CLEANUP(result_row_done) struct result_row row = {0};
    if (results_row_from_json(json_member(entry, "row"), &row, error))
        return -1;
    const char *device_id = row.device ? row.device : "";
    struct turn *turn = find_turn(run, entry, device_id, row.id, error);
    if (!turn)
        return -1;
    turn->interruptions = 0;
    health_note_row(&run->health[find_device(run, device_id)]);
    return run_account_row(run, turn, &row, error);
}

static int take_health(struct run *run, const cJSON *entry, struct error *error)
{
    CLEANUP(result_row_done) struct result_row row = {0};
    if (results_row_from_json(json_member(entry, "row"), &row, error))
        return -1;
    int device = find_device(run, row.device ? row.device : "");
    if (device < 0 || !run->health[device].turn.row)
        return error_set(error, ERROR_OWNER_FILE, ERROR_CONFLICT, "the run had a health check on device '%s' that is not planned now",
                         row.device ? row.device : "?");
    run->health[device].phase = json_bool(entry, "is_opening", false) ? HEALTH_OPENING : HEALTH_CLOSING;
    run_account_health(run, &run->health[device], &row);
    return 0;
}

static int take_device(struct run *run, const cJSON *entry)
{
    const char *lease = json_string(entry, "lease", NULL);
    if (lease)
        cJSON_AddItemToArray(run->old_leases, cJSON_CreateString(lease));
    run_take_device(run, cJSON_Duplicate(json_member(entry, "device"), true), NULL);
    return 0;
}

static int take_simulator(struct run *run, const cJSON *entry)
{
    cJSON_Delete(TAKE(run->result.simulator));
    cJSON_Delete(TAKE(run->result.versions));
    run->result.simulator = cJSON_Duplicate(json_member(entry, "simulator"), true);
    run->result.versions = cJSON_Duplicate(json_member(entry, "versions"), true);
    return 0;
}

static int take_entry(void *user, const cJSON *entry, struct error *error)
{
    struct run *run = user;
    if (json_member(entry, "begin"))
        return take_begin(run, json_member(entry, "begin"), error);
    if (json_member(entry, "row"))
        return take_row(run, entry, error);
    if (json_member(entry, "health"))
        return take_health(run, json_member(entry, "health"), error);
    if (json_member(entry, "device"))
        return take_device(run, entry);
    if (json_member(entry, "simulator"))
        return take_simulator(run, entry);
    run->result.resumptions += json_member(entry, "resumed") != NULL;
    return run->result.resumptions < RESUMPTIONS_MAX
               ? 0
               : error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "the run was resumed %d times", RESUMPTIONS_MAX);
}

/* What was in flight begins anew, and says so. */
static size_t put_back_interrupted(struct run *run)
{
    size_t count = 0;
    for (size_t i = 0; i < run->schedule.device_count; i++)
        for (size_t j = 0; j < run->schedule.devices[i].count; j++) {
            struct turn *turn = &run->schedule.devices[i].turns[j];
            if (turn->state != TURN_RUNNING)
                continue;
            turn->interruptions++;
            schedule_put_back(turn);
            count++;
        }
    return count;
}

/* What the kill left there; its programs are gone, or about to go. */
static void remove_old_private(const struct run *run)
{
    for (unsigned i = 0; i < run->result.resumptions; i++) {
        CLEANUP_FREE char *path = NULL;
        if (asprintf(&path, i ? "%s/.private-%u" : "%s/.private", run->options->directory, i) >= 0)
            dir_remove(path, NULL);
    }
}

static int note_resumption(struct run *run, struct error *error)
{
    cJSON *entry = cJSON_CreateObject();
    if (!entry || json_set_integer(entry, "resumed", clock_unix_us(run->bench.clock))) {
        cJSON_Delete(entry);
        return error_set_memory(error);
    }
    run->result.resumptions++;
    return journal_append(run->journal, entry, true, error);
}

static int lock_run(struct run *run, struct error *error)
{
    struct error busy = ERROR_INIT;
    if (dir_lock(run->options->directory, &run->lock_fd, &busy) == 0)
        return 0;
    if (busy.code != ERROR_BUSY)
        return error_set(error, busy.owner, busy.code, "%s", busy.text);
    return error_set(error, ERROR_OWNER_FILE, ERROR_BUSY, "resume '%s': that run still goes on", run->options->directory);
}

static int restore(struct run *run, struct error *error)
{
    const char *directory = run->options->directory;
    CLEANUP_JSON cJSON *header = journal_read_header(directory, error);
    if (!header || resume_check(header, run->options, error))
        return -1;
    result_set(&run->result.id, json_string(header, "run", "?"));
    run->result.started_unix_us = json_integer(header, "started_unix_us", 0);
    return journal_reopen(directory, take_entry, run, &run->journal, error);
}

static int reopen_folder(struct run *run, struct error *error)
{
    if (lock_run(run, error) || restore(run, error) || note_resumption(run, error) || room_check(run->options->directory, error))
        return -1;
    size_t interrupted = put_back_interrupted(run);
    for (size_t i = 0; i < run->plan.device_count; i++)
        health_resume(&run->health[i], schedule_has_more(&run->schedule, i));
    progress_say(&run->progress, "resumed: %zu of %zu rows had ended, %zu in flight run again", run->result.row_count,
                 run->result.planned_count, interrupted);
    remove_old_private(run);
    return make_private(run, error);
}

int run_open_folder(struct run *run, struct error *error)
{
    if (run->options->is_resumed ? reopen_folder(run, error) : make_folder(run, error))
        return -1;
    /* Of several devices each writes its own, in its folder. */
    return bench_has_many_devices(&run->bench) ? 0 : timeline_open(run->options->directory, &run->bench.timeline, error);
}

void run_remove_private(struct run *run)
{
    struct error error = ERROR_INIT;
    if (dir_remove(run->private_directory, &error))
        progress_say(&run->progress, "%s", error.text);
}

void run_close_folder(struct run *run)
{
    if (run->sweeper)
        run_remove_private(run);
    sweeper_dismiss(TAKE(run->sweeper));
    free(TAKE(run->private_directory));
    journal_close(TAKE(run->journal));
    cJSON_Delete(TAKE(run->old_leases));
    if (run->lock_fd >= 0)
        close(TAKE_FD(run->lock_fd));
}

/* ---- while it goes on ---- */

static void append(struct run *run, cJSON *entry, bool is_synced)
{
    struct error error = ERROR_INIT;
    if (journal_append(run->journal, entry, is_synced, &error))
        run_break_off(run, &error);
}

void run_note_begin(struct run *run, size_t device, const struct turn *turn)
{
    cJSON *entry = cJSON_CreateObject();
    cJSON *begin = entry ? cJSON_AddObjectToObject(entry, "begin") : NULL;
    if (!begin || json_set_string(begin, "device", run->plan.devices[device].device->id) || json_set_string(begin, "row", turn->row->id) ||
        json_set_integer(begin, "repetition", turn->repetition) || json_set_integer(begin, "attempt", turn->attempts + 1)) {
        cJSON_Delete(entry);
        entry = NULL;
    }
    append(run, entry, false);
}

void run_note_row(struct run *run, const struct turn *turn, const struct result_row *row)
{
    cJSON *entry = cJSON_CreateObject();
    cJSON *json = results_row_to_json(row);
    if (!entry || json_set(entry, "row", json) || !json || json_set_integer(entry, "repetition", turn->repetition)) {
        cJSON_Delete(entry);
        entry = NULL;
    }
    append(run, entry, true);
}

void run_note_health(struct run *run, const struct health *health, const struct result_row *row)
{
    cJSON *entry = cJSON_CreateObject();
    cJSON *check = entry ? cJSON_AddObjectToObject(entry, "health") : NULL;
    cJSON *json = results_row_to_json(row);
    if (!check || json_set(check, "row", json) || !json || json_set_bool(check, "is_opening", health->phase == HEALTH_OPENING)) {
        cJSON_Delete(entry);
        entry = NULL;
    }
    append(run, entry, true);
}

void run_note_device(struct run *run, const cJSON *device, const char *lease)
{
    cJSON *entry = cJSON_CreateObject();
    if (!entry || json_set(entry, "device", cJSON_Duplicate(device, true)) || json_set_string(entry, "lease", lease)) {
        cJSON_Delete(entry);
        entry = NULL;
    }
    append(run, entry, false);
}

void run_note_simulator(struct run *run)
{
    cJSON *entry = cJSON_CreateObject();
    if (!entry || json_set(entry, "simulator", cJSON_Duplicate(run->result.simulator, true)) ||
        json_set(entry, "versions", cJSON_Duplicate(run->result.versions, true))) {
        cJSON_Delete(entry);
        entry = NULL;
    }
    append(run, entry, false);
}
