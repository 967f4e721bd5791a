/* What makes a night's run out of rows: time, quarantine, and what did not run. */
#include "harness/run/run_state.h"

/* The device's whole budget, its boots, and what the machine needs: so the run ends in time, whatever the device does. */
bool run_has_time_for(void *user, const struct case_row *row)
{
    struct run *run = user;
    if (run->budget_end.at_us == 0)
        return true;
    int64_t device_ms = row->budget_s * 1000 + (int64_t)row->step_count * BENCH_BOOT_MS;
    bool has_time = bench_device_deadline(&run->bench, device_ms).at_us <= run->budget_end.at_us;
    run->is_out_of_time |= !has_time;
    return has_time;
}

static const struct rig_device *device_of(const struct run *run, const char *id)
{
    for (size_t i = 0; i < run->plan.device_count; i++)
        if (strcmp(run->plan.devices[i].device->id, id) == 0)
            return run->plan.devices[i].device;
    return NULL;
}

static bool is_over(const struct run *run, const struct quarantine_entry *entry)
{
    return clock_unix_s(run->bench.clock) >= entry->expires_unix_s;
}

static void mark_quarantine(const struct run *run, const struct case_row *case_row, struct result_row *row)
{
    const struct rig_device *device = device_of(run, row->device ? row->device : "");
    const struct quarantine_entry *entry = device ? quarantine_find(&run->plan.quarantine, case_row, device->id, device->platform) : NULL;
    if (!entry)
        return;
    result_set(&row->quarantine.reason, entry->reason);
    result_set(&row->quarantine.owner, entry->owner);
    result_set(&row->quarantine.expires, entry->expires);
    result_set(&row->quarantine.place, entry->place);
    row->quarantine.is_over = is_over(run, entry);
}

void run_mark_row(const struct run *run, const struct turn *turn, struct result_row *row)
{
    bool is_repeated = run->options->repeat > 1 || run->options->is_until_fail;
    row->repetition = is_repeated ? turn->repetition : 0;
    row->interruptions = turn->interruptions;
    mark_quarantine(run, turn->row, row);
}

void run_tell_quarantines(struct run *run)
{
    for (size_t i = 0; i < run->plan.quarantine.count; i++) {
        const struct quarantine_entry *entry = &run->plan.quarantine.items[i];
        if (is_over(run, entry))
            progress_say(&run->progress, "%s: the quarantine of '%s'%s ended with %s (owner: %s): its rows count again; take the entry out",
                         entry->place, entry->rows.items[0], entry->rows.count > 1 ? " and others" : "", entry->expires, entry->owner);
    }
}

static void list_turn(struct run *run, size_t device, const struct turn *turn)
{
    struct result_row row = {.verdict = VERDICT_SKIP};
    struct error error = ERROR_INIT;
    bool is_repeated = run->options->repeat > 1 || run->options->is_until_fail;
    row.repetition = is_repeated ? turn->repetition : 0;
    result_set(&row.id, turn->row->id);
    result_set(&row.case_id, turn->row->case_id);
    result_set(&row.title, turn->row->title);
    result_set(&row.device, run->plan.devices[device].device->id);
    result_setf(&row.reason.text, "the time budget of %lld s left no room for it", (long long)run->options->time_budget_s);
    if (result_run_add_not_run(&run->result, &row, &error))
        progress_say(&run->progress, "%s", error.text);
}

void run_list_not_run(struct run *run)
{
    if (!run->is_out_of_time || run->schedule.is_stopped)
        return;
    for (size_t i = 0; i < run->schedule.device_count; i++)
        for (size_t j = 0; j < run->schedule.devices[i].count; j++)
            if (run->schedule.devices[i].turns[j].attempts == 0)
                list_turn(run, i, &run->schedule.devices[i].turns[j]);
}
