#include "reports/table.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/files.h"
#include "reports/account.h"

#include <string.h>

enum { CELL_MAX_BYTES = 16 * 1024, TIME_COLUMNS = 8, GAP_COLUMNS = 2, WHAT_COLUMNS_MIN = 30, LABEL_COLUMNS = 10, NOT_RUN_SHOWN_MAX = 20 };

struct layout {
    int row_columns;
    int verdict_columns;
    int what_columns; /* 0: never wrap */
    bool names_device;
};

static const char *const colours[] = {
    [VERDICT_PASS] = "\033[32m",         [VERDICT_SKIP] = "\033[33m",   [VERDICT_KNOWN] = "\033[33m",
    [VERDICT_INCONCLUSIVE] = "\033[35m", [VERDICT_FAIL] = "\033[1;31m", [VERDICT_ERROR] = "\033[1;31m",
};

static const char *text_or(const char *text, const char *fallback)
{
    return text ? text : fallback;
}

static bool has_many_devices(const struct result_run *run)
{
    for (size_t i = 1; i < run->row_count; i++)
        if (strcmp(text_or(run->rows[i].device, ""), text_or(run->rows[0].device, "")) != 0)
            return true;
    return false;
}

static void name_row(const struct result_row *row, bool names_device, struct bytes *out)
{
    char name[RESULT_NAME_BYTES];
    bytes_append_text(out, result_row_name(row, name));
    if (names_device)
        bytes_printf(out, " @%s", text_or(row->device, "?"));
}

static struct layout lay_out(const struct result_run *run, int width)
{
    struct layout layout = {.row_columns = 3, .verdict_columns = 7, .names_device = has_many_devices(run)};
    for (size_t i = 0; i < run->row_count; i++) {
        CLEANUP(bytes_done) struct bytes name = {.max_bytes = CELL_MAX_BYTES};
        name_row(&run->rows[i], layout.names_device, &name);
        int verdict = (int)strlen(verdict_name(run->rows[i].verdict));
        if ((int)name.length_bytes > layout.row_columns)
            layout.row_columns = (int)name.length_bytes;
        if (verdict > layout.verdict_columns)
            layout.verdict_columns = verdict;
    }
    int left = layout.row_columns + layout.verdict_columns + TIME_COLUMNS + 3 * GAP_COLUMNS;
    if (width)
        layout.what_columns = width - left < WHAT_COLUMNS_MIN ? WHAT_COLUMNS_MIN : width - left;
    return layout;
}

/* What a reader wants to know first: why it is not a pass; else what happened, with the rule that decided. More stands below the table. */
static void tell_marks(const struct result_row *row, struct bytes *out)
{
    if (result_row_is_quarantined(row))
        bytes_printf(out, "[quarantined until %s] ", text_or(row->quarantine.expires, "?"));
    if (row->is_unstable)
        bytes_printf(out, "[unstable: %zu attempts] ", row->attempt_count);
    if (row->interruptions)
        bytes_append_text(out, "[interrupted, run again] ");
}

static void tell(const struct result_row *row, struct bytes *out)
{
    tell_marks(row, out);
    if (row->reason.text) {
        bytes_append_text(out, row->reason.text);
        return;
    }
    if (row->rule)
        bytes_printf(out, "%s: ", row->rule);
    bytes_append_text(out, text_or(row->outcome, text_or(row->title, "")));
}

/* Bytes of the next line: whole words up to `columns`; a word that is longer than that stays whole. */
static size_t line_length(const char *text, int columns)
{
    size_t length = strlen(text);
    if (columns <= 0 || length <= (size_t)columns)
        return length;
    size_t cut = 0;
    for (size_t i = 0; i <= (size_t)columns; i++)
        if (text[i] == ' ')
            cut = i;
    return cut ? cut : strcspn(text, " ");
}

static void print_wrapped(FILE *file, const char *text, int indent, int columns)
{
    for (const char *at = text;;) {
        size_t length = line_length(at, columns);
        fprintf(file, "%.*s\n", (int)length, at);
        at += length + strspn(at + length, " ");
        if (!*at)
            return;
        fprintf(file, "%*s", indent, "");
    }
}

static void print_row(FILE *file, const struct result_row *row, const struct layout *layout, bool has_colour)
{
    CLEANUP(bytes_done) struct bytes name = {.max_bytes = CELL_MAX_BYTES}, what = {.max_bytes = CELL_MAX_BYTES};
    name_row(row, layout->names_device, &name);
    tell(row, &what);
    int indent = layout->row_columns + layout->verdict_columns + TIME_COLUMNS + 3 * GAP_COLUMNS;
    fprintf(file, "%-*s  %s%-*s%s  %*.1f s  ", layout->row_columns, bytes_text(&name), has_colour ? colours[row->verdict] : "",
            layout->verdict_columns, verdict_name(row->verdict), has_colour ? "\033[0m" : "", TIME_COLUMNS - 2,
            (double)row->duration_ms / 1000);
    print_wrapped(file, bytes_text(&what), indent, layout->what_columns);
}

/* ---- what failed ---- */

static void print_labelled(FILE *file, const char *label, const char *text, int width)
{
    if (!text || !*text)
        return;
    fprintf(file, "  %-*s", LABEL_COLUMNS, label);
    print_wrapped(file, text, LABEL_COLUMNS + 2, width ? width - LABEL_COLUMNS - 2 : 0);
}

static void print_account(FILE *file, const struct result_row *row, int width)
{
    struct account_line lines[ACCOUNT_LINES_MAX];
    size_t count = account_lines(&row->account, lines);
    for (size_t i = 0; i < count; i++)
        print_labelled(file, lines[i].label, lines[i].text, width);
}

static void print_attempt(FILE *file, const struct result_attempt *attempt, size_t number, int width)
{
    CLEANUP(bytes_done) struct bytes text = {.max_bytes = CELL_MAX_BYTES};
    bytes_printf(&text, "%zu: %s%s%s", number, verdict_name(attempt->verdict), attempt->reason ? ", " : "", text_or(attempt->reason, ""));
    print_labelled(file, "attempt", bytes_text(&text), width);
}

static void print_night(FILE *file, const struct result_row *row, int width)
{
    CLEANUP(bytes_done) struct bytes text = {.max_bytes = CELL_MAX_BYTES};
    const struct result_quarantine *quarantine = &row->quarantine;
    for (size_t i = 0; i < row->attempt_count; i++)
        print_attempt(file, &row->attempts[i], i + 1, width);
    if (row->interruptions)
        print_labelled(file, "note", "a kill or a power cut ended it; it was run again", width);
    if (quarantine->reason)
        bytes_printf(&text, "%s%s, %s: %s (%s)", quarantine->is_over ? "ended " : "until ", text_or(quarantine->expires, "?"),
                     text_or(quarantine->owner, "?"), quarantine->reason, text_or(quarantine->place, "?"));
    print_labelled(file, "quarantine", bytes_text(&text), width);
}

/* Not what the account says anyway. */
static const char *heading_reason(const struct result_row *row)
{
    const char *reason = text_or(row->reason.text, "");
    return row->account.got && strcmp(row->account.got, reason) == 0 ? "" : reason;
}

static void print_failed(FILE *file, const struct result_run *run, const struct table_options *options, bool names_device)
{
    for (size_t i = 0; i < run->row_count; i++) {
        const struct result_row *row = &run->rows[i];
        CLEANUP(bytes_done) struct bytes name = {.max_bytes = CELL_MAX_BYTES};
        /* What is known stands with its rows among the findings: `dpsbench show` has the rest. */
        if (row->verdict == VERDICT_PASS || row->verdict == VERDICT_SKIP || row->verdict == VERDICT_KNOWN)
            continue;
        name_row(row, names_device, &name);
        fprintf(file, "\n%s: %s%s%s", bytes_text(&name), options->has_colour ? colours[row->verdict] : "", verdict_name(row->verdict),
                options->has_colour ? "\033[0m" : "");
        const char *reason = heading_reason(row);
        fprintf(file, "%s%s\n", *reason ? ", " : "", reason);
        print_account(file, row, options->width);
        print_night(file, row, options->width);
    }
}

void table_print_page(FILE *file, const struct result_run *run, const struct result_row *row, const struct table_options *options)
{
    CLEANUP_FREE char *certificates = row->certificates ? path_join(run->directory, row->certificates) : NULL;
    CLEANUP(bytes_done) struct bytes name = {.max_bytes = CELL_MAX_BYTES};
    const char *reason = heading_reason(row);
    name_row(row, has_many_devices(run), &name);
    fprintf(file, "%s: %s%s%s, %.1f s%s%s\n", bytes_text(&name), options->has_colour ? colours[row->verdict] : "",
            verdict_name(row->verdict), options->has_colour ? "\033[0m" : "", (double)row->duration_ms / 1000, *reason ? ", " : "", reason);
    print_labelled(file, "title", row->title, options->width);
    if (!row->account.got)
        print_labelled(file, "got", row->outcome, options->width);
    print_account(file, row, options->width);
    print_night(file, row, options->width);
    for (size_t i = 0; i < row->also_count; i++) {
        print_labelled(file, "also", row->also[i].expected, options->width);
        print_labelled(file, "  got", row->also[i].got, options->width);
    }
    print_labelled(file, "files", certificates, options->width);
    for (size_t i = 0; i < row->finding_count; i++)
        print_labelled(file, "known", row->findings[i].text, options->width);
}

/* ---- findings ---- */

static bool is_same(const struct result_finding *a, const struct result_finding *b)
{
    return a->kind == b->kind && strcmp(text_or(a->text, ""), text_or(b->text, "")) == 0;
}

static bool has_finding(const struct result_row *row, const struct result_finding *finding)
{
    for (size_t i = 0; i < row->finding_count; i++)
        if (is_same(&row->findings[i], finding))
            return true;
    return false;
}

/* The same finding in many rows is one finding. */
static bool is_first(const struct result_run *run, size_t row, const struct result_finding *finding)
{
    for (size_t i = 0; i < row; i++)
        if (has_finding(&run->rows[i], finding))
            return false;
    return true;
}

static void print_rows_of(FILE *file, const struct result_run *run, size_t first_row, const struct result_finding *finding)
{
    const char *separator = "    in ";
    for (size_t i = first_row; i < run->row_count; i++)
        if (has_finding(&run->rows[i], finding)) {
            fprintf(file, "%s%s", separator, text_or(run->rows[i].id, "?"));
            separator = ", ";
        }
    fputc('\n', file);
}

static size_t print_findings(FILE *file, const struct result_run *run, enum result_finding_kind kind)
{
    static const char *const titles[] = {
        [RESULT_FINDING_NOTE] = "Known findings that change no verdict:",
        [RESULT_FINDING_FAILS] = "Known findings that rows fail by (cases/known-findings.yaml):",
        [RESULT_FINDING_FIXED] = "Fixed: known findings that pass now; take them out of cases/known-findings.yaml:",
    };
    size_t count = 0;
    for (size_t i = 0; i < run->row_count; i++)
        for (size_t j = 0; j < run->rows[i].finding_count; j++) {
            const struct result_finding *finding = &run->rows[i].findings[j];
            if (finding->kind != kind || !is_first(run, i, finding))
                continue;
            if (count++ == 0)
                fprintf(file, "\n%s\n", titles[kind]);
            fprintf(file, "  %s (%s)\n", text_or(finding->text, ""), text_or(finding->source, "no source"));
            print_rows_of(file, run, i, finding);
        }
    return count;
}

/* The line before the closing line. */
static void print_finding_count(FILE *file, const struct result_run *run, size_t known, size_t fixed)
{
    size_t rows = result_run_count(run).by_verdict[VERDICT_KNOWN];
    fprintf(file, "%zu known finding%s", known, known == 1 ? "" : "s");
    if (rows)
        fprintf(file, ", %zu row%s by them alone", rows, rows == 1 ? " fails" : "s fail");
    if (fixed)
        fprintf(file, ", %zu fixed", fixed);
    fputc('\n', file);
}

static bool leans_on(const struct result_row *row, const char *id)
{
    for (size_t i = 0; i < row->assumed_count; i++)
        if (strcmp(row->assumed[i], id) == 0)
            return true;
    return false;
}

/* The first row that leans on a behaviour names it, with how many rows do. */
static void print_assumed_of(FILE *file, const struct result_run *run, size_t row, size_t *count)
{
    for (size_t i = 0; i < run->rows[row].assumed_count; i++) {
        const char *id = run->rows[row].assumed[i];
        size_t before = 0, rows = 0;
        for (size_t j = 0; j < run->row_count; j++) {
            before += j < row && leans_on(&run->rows[j], id);
            rows += leans_on(&run->rows[j], id);
        }
        if (before == 0)
            fprintf(file, "%s%s (%zu row%s)", (*count)++ ? ", " : "leaned on what is assumed of Azure: ", id, rows, rows == 1 ? "" : "s");
    }
}

static void print_assumed(FILE *file, const struct result_run *run)
{
    size_t count = 0;
    for (size_t i = 0; i < run->row_count; i++)
        print_assumed_of(file, run, i, &count);
    if (count)
        fprintf(file, "; `dpsbench sim fidelity --evidence assumed`\n");
}

static void print_not_run(FILE *file, const struct result_run *run, bool names_device)
{
    for (size_t i = 0; i < run->not_run_count && i < NOT_RUN_SHOWN_MAX; i++) {
        CLEANUP(bytes_done) struct bytes name = {.max_bytes = CELL_MAX_BYTES};
        name_row(&run->not_run[i], names_device, &name);
        fprintf(file, "%s  %s: %s\n", i ? "" : "\nNot run:\n", bytes_text(&name), text_or(run->not_run[i].reason.text, "?"));
    }
    if (run->not_run_count > NOT_RUN_SHOWN_MAX)
        fprintf(file, "  and %zu more (results.json has them all)\n", run->not_run_count - NOT_RUN_SHOWN_MAX);
}

/* What a night leaves behind beside verdicts; nothing on other days. */
static void print_marks(FILE *file, const struct result_run *run)
{
    struct result_counts counts = result_run_count(run);
    const struct {
        size_t count;
        const char *what;
    } marks[] = {
        {counts.unstable, "unstable"}, {counts.quarantined, "quarantined: they count for nothing"}, {run->not_run_count, "not run"}};
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
        if (marks[i].count)
            fprintf(file, "%zu row%s %s\n", marks[i].count, marks[i].count == 1 ? "" : "s", marks[i].what);
    const cJSON *shard;
    cJSON_ArrayForEach(shard, run->missing_shards)
    {
        fprintf(file, "shard %s is missing, or did not come to its end\n", cJSON_IsString(shard) ? shard->valuestring : "?");
    }
}

void table_closing_line(const struct result_run *run, char *text)
{
    struct result_counts counts = result_run_count(run);
    const size_t *n = counts.counted;
    snprintf(text, TABLE_CLOSING_BYTES, "%zu passed, %zu failed, %zu skipped", n[VERDICT_PASS],
             n[VERDICT_FAIL] + n[VERDICT_INCONCLUSIVE] + n[VERDICT_ERROR], n[VERDICT_SKIP]);
}

void table_print(FILE *file, const struct result_run *run, const struct table_options *options)
{
    struct layout layout = lay_out(run, options->width);
    if (run->row_count)
        fprintf(file, "%-*s  %-*s  %*s  %s\n", layout.row_columns, "ROW", layout.verdict_columns, "VERDICT", TIME_COLUMNS, "TIME", "WHAT");
    for (size_t i = 0; i < run->row_count; i++)
        print_row(file, &run->rows[i], &layout, options->has_colour);
    print_failed(file, run, options, layout.names_device);
    print_not_run(file, run, layout.names_device);
    size_t known = print_findings(file, run, RESULT_FINDING_NOTE);
    known += print_findings(file, run, RESULT_FINDING_FAILS);
    size_t fixed = print_findings(file, run, RESULT_FINDING_FIXED);
    if (run->broken_off)
        fprintf(file, "\nBroken off after %zu of %zu rows: %s\n", run->row_count, run->planned_count, run->broken_off);
    else if (!run->ended_unix_us)
        fprintf(file, "\nNot at its end: %zu of %zu rows so far (it was killed, or still runs)\n", run->row_count, run->planned_count);
    else if (run->is_interrupted)
        fprintf(file, "\nInterrupted after %zu of %zu rows\n", run->row_count, run->planned_count);
    char closing[TABLE_CLOSING_BYTES];
    table_closing_line(run, closing);
    fprintf(file, "\nreport: %s/results.json\n", run->directory);
    print_assumed(file, run);
    print_marks(file, run);
    print_finding_count(file, run, known, fixed);
    fprintf(file, "%s\n", closing);
}
