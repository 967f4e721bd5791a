#include "harness/run/health.h"

#include "base/cleanup.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

void health_init(struct health *health, const struct case_row *row)
{
    *health = (struct health){.turn = {.row = row}};
}

void health_done(struct health *health)
{
    free(health->trouble);
    health->trouble = NULL;
}

struct turn *health_next(struct health *health, bool is_last)
{
    if (!health->turn.row)
        return NULL;
    if (health->phase == HEALTH_BEFORE && !is_last) {
        health->phase = HEALTH_OPENING;
        return &health->turn;
    }
    if (is_last && health_is_due(health)) {
        health->phase = HEALTH_CLOSING;
        return &health->turn;
    }
    if (!is_last)
        health->has_worked = true;
    return NULL;
}

bool health_is(const struct health *health, const struct turn *turn)
{
    return health->turn.row && turn == &health->turn;
}

bool health_is_due(const struct health *health)
{
    return health->turn.row && health->phase == HEALTH_BETWEEN && health->has_worked && !health->trouble;
}

void health_note_row(struct health *health)
{
    health->has_worked = true;
}

void health_resume(struct health *health, bool has_more)
{
    if (has_more || !health_is_due(health))
        health->phase = has_more ? HEALTH_BEFORE : HEALTH_AFTER;
    if (has_more)
        health->has_worked = false;
    health_done(health);
}

/* ---- what it means ---- */

static int note(const struct health *health, const struct result_row *row, cJSON *device)
{
    cJSON *all = cJSON_GetObjectItemCaseSensitive(device, "health");
    cJSON *one = cJSON_CreateObject();
    if (!all)
        all = cJSON_AddObjectToObject(device, "health");
    if (!all || !one || json_set_string(one, "verdict", verdict_name(row->verdict)) || json_set_string(one, "reason", row->reason.text)) {
        cJSON_Delete(one);
        return -1;
    }
    if (!cJSON_GetObjectItemCaseSensitive(all, "row") && json_set_string(all, "row", health->turn.row->id)) {
        cJSON_Delete(one);
        return -1;
    }
    return json_set(all, health->phase == HEALTH_OPENING ? "opened" : "closed", one);
}

static bool is_of(const struct result_row *row, const char *device)
{
    return row->device && strcmp(row->device, device) == 0;
}

/* The device was well as late as the last row of its that passed, or the last check. */
static size_t first_suspect(const struct health *health, const struct result_run *result, const char *device)
{
    size_t first = health->well_at;
    for (size_t i = first; i < result->row_count; i++)
        if (is_of(&result->rows[i], device) && (result->rows[i].verdict == VERDICT_PASS || result->rows[i].verdict == VERDICT_KNOWN))
            first = i + 1;
    return first;
}

static size_t lift_blame(const struct health *health, struct result_run *result, const struct result_row *check)
{
    const char *device = check->device;
    size_t count = 0;
    for (size_t i = first_suspect(health, result, device); i < result->row_count; i++) {
        struct result_row *row = &result->rows[i];
        if (!is_of(row, device) || row->verdict != VERDICT_FAIL)
            continue;
        CLEANUP_FREE char *reason = row->reason.text ? strdup(row->reason.text) : NULL;
        result_setf(&row->reason.text,
                    "the health check '%s' after the rows did not pass either (%s), so nobody knows whose fault this is: %s", check->id,
                    check->reason.text ? check->reason.text : verdict_name(check->verdict), reason ? reason : "it failed");
        row->verdict = VERDICT_INCONCLUSIVE;
        count++;
    }
    return count;
}

static void set_trouble(struct health *health, const struct result_row *row)
{
    result_setf(&health->trouble, "the health check '%s' before the rows did not pass: %s", row->id,
                row->reason.text ? row->reason.text : verdict_name(row->verdict));
}

size_t health_take(struct health *health, const struct result_row *row, cJSON *device, struct result_run *result)
{
    bool is_good = row->verdict == VERDICT_PASS || row->verdict == VERDICT_KNOWN || row->verdict == VERDICT_SKIP;
    bool is_opening = health->phase == HEALTH_OPENING;
    if (device)
        note(health, row, device);
    health->phase = is_opening ? HEALTH_BETWEEN : HEALTH_AFTER;
    if (is_good) {
        health->well_at = result->row_count;
        return 0;
    }
    if (!is_opening)
        return lift_blame(health, result, row);
    set_trouble(health, row);
    return 0;
}

void health_fail_row(const struct health *health, const struct turn *turn, const char *device, struct result_row *ret_row)
{
    struct result_row row = {.verdict = VERDICT_INCONCLUSIVE};
    result_set(&row.id, turn->row->id);
    result_set(&row.case_id, turn->row->case_id);
    result_set(&row.title, turn->row->title);
    result_set(&row.device, device);
    result_set(&row.reason.text, health->trouble);
    *ret_row = row;
}
