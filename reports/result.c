#include "reports/result.h"

#include "base/cleanup.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const verdict_names[] = {
#define X(id, name) [id] = name,
    VERDICTS(X)
#undef X
};

static const char *const finding_kind_names[] = {
#define X(id, name) [id] = name,
    RESULT_FINDING_KINDS(X)
#undef X
};

const char *result_finding_kind_name(enum result_finding_kind kind)
{
    return kind < RESULT_FINDING_KIND_COUNT ? finding_kind_names[kind] : "unknown";
}

const char *verdict_name(enum verdict verdict)
{
    return verdict < VERDICT_COUNT ? verdict_names[verdict] : "unknown";
}

enum verdict verdict_worse(enum verdict a, enum verdict b)
{
    return a > b ? a : b;
}

enum verdict verdict_of_owner(enum error_owner owner)
{
    switch (owner) {
    case ERROR_OWNER_DEVICE:
        return VERDICT_FAIL;
    case ERROR_OWNER_RIG:
    case ERROR_OWNER_PERSON:
        return VERDICT_INCONCLUSIVE;
    case ERROR_OWNER_FILE:
    case ERROR_OWNER_OURS:
        break;
    }
    return VERDICT_ERROR;
}

void result_set(char **member, const char *text)
{
    char *fresh = text ? strdup(text) : NULL;
    free(*member);
    *member = fresh;
}

void result_setf(char **member, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *fresh;
    if (vasprintf(&fresh, format, args) < 0)
        fresh = NULL;
    va_end(args);
    free(*member);
    *member = fresh;
}

static bool has_finding(const struct result_row *row, enum result_finding_kind kind, const char *text)
{
    for (size_t i = 0; i < row->finding_count; i++)
        if (row->findings[i].kind == kind && row->findings[i].text && strcmp(row->findings[i].text, text) == 0)
            return true;
    return false;
}

void result_add_finding(struct result_row *row, enum result_finding_kind kind, const char *text, const char *source)
{
    if (row->finding_count == RESULT_FINDINGS_MAX || has_finding(row, kind, text))
        return;
    struct result_finding *finding = &row->findings[row->finding_count++];
    *finding = (struct result_finding){.kind = kind};
    result_set(&finding->text, text);
    result_set(&finding->source, source);
}

void result_add_assumed(struct result_row *row, const char *id)
{
    for (size_t i = 0; i < row->assumed_count; i++)
        if (strcmp(row->assumed[i], id) == 0)
            return;
    char *copy = row->assumed_count < RESULT_ASSUMED_MAX ? strdup(id) : NULL;
    if (copy)
        row->assumed[row->assumed_count++] = copy;
}

struct result_reason *result_add_also(struct result_row *row)
{
    return row->also_count < RESULT_ALSO_MAX ? &row->also[row->also_count++] : NULL;
}

static void free_reason(struct result_reason *reason)
{
    free(reason->text);
    free(reason->view);
    free(reason->place);
    free(reason->expected);
    free(reason->got);
}

static void free_account(struct result_account *account)
{
    free(account->expected);
    free(account->got);
    free(account->rule);
    free(account->mend);
    free(account->again);
    free(account->assumed);
}

bool result_row_is_quarantined(const struct result_row *row)
{
    return row->quarantine.reason && !row->quarantine.is_over;
}

const char *result_row_name(const struct result_row *row, char text[RESULT_NAME_BYTES])
{
    int length = snprintf(text, RESULT_NAME_BYTES, "%s", row->id ? row->id : "?");
    if (row->repetition > 1 && length > 0 && length < RESULT_NAME_BYTES)
        snprintf(text + length, RESULT_NAME_BYTES - (size_t)length, " #%u", row->repetition);
    return text;
}

/* ---- attempts ---- */

static void note_attempt(struct result_row *row, const struct result_row *attempt)
{
    if (row->attempt_count == RESULT_ATTEMPTS_MAX)
        return;
    struct result_attempt *note = &row->attempts[row->attempt_count++];
    *note = (struct result_attempt){.verdict = attempt->verdict,
                                    .started_unix_us = attempt->started_unix_us,
                                    .duration_ms = attempt->duration_ms,
                                    .timeline_first = attempt->timeline_first,
                                    .timeline_last = attempt->timeline_last};
    result_set(&note->reason, attempt->reason.text);
    result_set(&note->certificates, attempt->certificates);
}

static bool is_good(enum verdict verdict)
{
    return verdict < VERDICT_INCONCLUSIVE;
}

static void note_stability(struct result_row *row, const struct result_row *attempt)
{
    if (row->attempt_count == 0)
        note_attempt(row, row);
    note_attempt(row, attempt);
    row->is_unstable |= is_good(row->verdict) != is_good(attempt->verdict);
}

void result_row_add_attempt(struct result_row *row, struct result_row *attempt)
{
    note_stability(row, attempt);
    if (attempt->verdict > row->verdict) {
        struct result_row better = *row;
        *row = *attempt;
        *attempt = better;
        memcpy(row->attempts, better.attempts, sizeof row->attempts);
        row->attempt_count = better.attempt_count;
        row->is_unstable = better.is_unstable;
        attempt->attempt_count = 0;
    }
    row->credential_writes += attempt->credential_writes;
    row->interruptions += attempt->interruptions;
    result_row_done(attempt);
}

static void free_attempts(struct result_row *row)
{
    for (size_t i = 0; i < row->attempt_count; i++) {
        free(row->attempts[i].reason);
        free(row->attempts[i].certificates);
    }
}

void result_row_done(struct result_row *row)
{
    if (!row)
        return;
    char *texts[] = {row->id,
                     row->case_id,
                     row->title,
                     row->device,
                     row->outcome,
                     row->rule,
                     row->surface,
                     row->mend,
                     row->refusal_expected,
                     row->why,
                     row->why_source,
                     row->certificates,
                     row->timeline_folder,
                     row->shard,
                     row->quarantine.reason,
                     row->quarantine.owner,
                     row->quarantine.expires,
                     row->quarantine.place};
    free_attempts(row);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        free(texts[i]);
    free_reason(&row->reason);
    free_account(&row->account);
    for (size_t i = 0; i < row->also_count; i++)
        free_reason(&row->also[i]);
    for (size_t i = 0; i < row->assumed_count; i++)
        free(row->assumed[i]);
    for (size_t i = 0; i < row->finding_count; i++) {
        free(row->findings[i].text);
        free(row->findings[i].source);
    }
    *row = (struct result_row){0};
}

void result_run_done(struct result_run *run)
{
    if (!run)
        return;
    for (size_t i = 0; i < run->row_count; i++)
        result_row_done(&run->rows[i]);
    for (size_t i = 0; i < run->not_run_count; i++)
        result_row_done(&run->not_run[i]);
    free(run->rows);
    free(run->not_run);
    free(run->shard);
    free(run->suite.selection);
    free(run->suite.cases);
    free(run->version);
    cJSON_Delete(run->shards);
    cJSON_Delete(run->missing_shards);
    free(run->id);
    free(run->directory);
    free(run->rig_file);
    free(run->broken_off);
    cJSON_Delete(run->devices);
    cJSON_Delete(run->simulator);
    cJSON_Delete(run->versions);
    *run = (struct result_run){0};
}

static int add_row(struct result_row **rows, size_t *count, struct result_row *row, struct error *error)
{
    struct result_row *more = realloc(*rows, (*count + 1) * sizeof *more);
    if (!more) {
        result_row_done(row);
        return error_set_memory(error);
    }
    *rows = more;
    more[(*count)++] = *row;
    *row = (struct result_row){0};
    return 0;
}

int result_run_add(struct result_run *run, struct result_row *row, struct error *error)
{
    return add_row(&run->rows, &run->row_count, row, error);
}

int result_run_add_not_run(struct result_run *run, struct result_row *row, struct error *error)
{
    return add_row(&run->not_run, &run->not_run_count, row, error);
}

static void count_row(struct result_counts *counts, const struct result_row *row)
{
    bool is_quarantined = result_row_is_quarantined(row);
    counts->by_verdict[row->verdict]++;
    counts->counted[row->verdict] += !is_quarantined;
    counts->quarantined += is_quarantined;
    counts->unstable += row->is_unstable;
    counts->findings += row->finding_count;
    for (size_t i = 0; i < row->finding_count; i++)
        counts->fixed += row->findings[i].kind == RESULT_FINDING_FIXED;
}

struct result_counts result_run_count(const struct result_run *run)
{
    struct result_counts counts = {0};
    for (size_t i = 0; i < run->row_count; i++)
        count_row(&counts, &run->rows[i]);
    return counts;
}

static int exit_code_of(const struct result_counts *counts, bool have_all_run)
{
    const size_t *n = counts->counted;
    if (n[VERDICT_ERROR])
        return EXIT_OUR_BUG;
    if (n[VERDICT_FAIL])
        return EXIT_DEVICE_FAILED;
    if (n[VERDICT_INCONCLUSIVE])
        return EXIT_RIG_TROUBLE;
    if (!have_all_run)
        return EXIT_NOT_ALL_RAN;
    return n[VERDICT_PASS] || n[VERDICT_KNOWN] ? EXIT_ALL_PASSED : EXIT_ALL_SKIPPED;
}

int result_run_exit_code(const struct result_run *run)
{
    if (run->is_interrupted)
        return EXIT_INTERRUPTED;
    if (run->broken_off)
        return EXIT_RIG_TROUBLE;
    if (run->row_count == 0 && run->not_run_count == 0 && !run->missing_shards)
        return run->shard && run->suite.row_count ? EXIT_ALL_PASSED : EXIT_NOTHING_SELECTED;
    struct result_counts counts = result_run_count(run);
    return exit_code_of(&counts, run->not_run_count == 0 && !run->missing_shards);
}
