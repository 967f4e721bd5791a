#include "reports/account.h"

#include "base/cleanup.h"

static const char rig_mend[] = "mend the rig or wait until it is well: this says nothing about the device";
static const char our_mend[] = "this is dpsbench's own fault: report it with the run's folder (it holds no private key)";

static bool has_failed(const struct result_row *row)
{
    return row->verdict == VERDICT_FAIL || row->verdict == VERDICT_KNOWN || row->verdict == VERDICT_INCONCLUSIVE ||
           row->verdict == VERDICT_ERROR;
}

bool account_is_due(const struct result_row *row)
{
    return has_failed(row) || (row->verdict == VERDICT_PASS && row->rule);
}

/* The case did not ask for this refusal: what the service says about it is what has to be mended. */
static bool is_refusal_to_mend(const struct result_row *row)
{
    return row->rule && !row->refusal_expected;
}

static void tell_service_rule(struct result_row *row, bool has_outcome)
{
    const char *surface = row->surface, *outcome = has_outcome ? row->outcome : NULL;
    result_setf(&row->account.rule, "%s%s%s%s%s%s", row->rule, surface ? " (surface " : "", surface ? surface : "", surface ? ")" : "",
                outcome ? ": " : "", outcome ? outcome : "");
}

static void tell_requirement(struct result_row *row)
{
    if (row->why)
        result_setf(&row->account.rule, "%s%s%s%s", row->why, row->why_source ? " (" : "", row->why_source ? row->why_source : "",
                    row->why_source ? ")" : "");
}

static void tell_pass(struct result_row *row)
{
    result_set(&row->account.expected, row->refusal_expected);
    result_set(&row->account.got, row->outcome);
    tell_service_rule(row, false);
    result_set(&row->account.mend, row->mend);
}

static void tell_reason(struct result_row *row)
{
    const struct result_reason *reason = &row->reason;
    const char *place = reason->place;
    if (reason->expected)
        result_setf(&row->account.expected, "%s%s%s%s", reason->expected, place ? " (" : "", place ? place : "", place ? ")" : "");
    result_set(&row->account.got, reason->got ? reason->got : reason->text);
}

static void tell_known(struct result_row *row)
{
    tell_reason(row);
    tell_requirement(row);
    for (size_t i = 0; i < row->finding_count; i++) {
        const struct result_finding *finding = &row->findings[i];
        if (finding->kind == RESULT_FINDING_FAILS)
            result_setf(&row->account.mend, "known: %s (%s)", finding->text, finding->source ? finding->source : "no source");
    }
}

static void tell_fail(struct result_row *row, const char *show)
{
    tell_reason(row);
    if (is_refusal_to_mend(row)) {
        tell_service_rule(row, true);
        result_set(&row->account.mend, row->mend);
        return;
    }
    tell_requirement(row);
    result_setf(&row->account.mend, "the device has to do what the rule says%s%s%s", show ? "; what it did: `" : "", show ? show : "",
                show ? "`" : "");
}

/* The refusal, or what was taken, may be another at Azure. */
static void tell_assumed(struct result_row *row)
{
    if (row->assumed_count == 0)
        return;
    result_set(&row->account.assumed, row->assumed[0]);
    for (size_t i = 1; i < row->assumed_count; i++) {
        CLEANUP_FREE char *before = row->account.assumed;
        row->account.assumed = NULL;
        result_setf(&row->account.assumed, "%s, %s", before, row->assumed[i]);
    }
    CLEANUP_FREE char *ids = row->account.assumed;
    row->account.assumed = NULL;
    result_setf(&row->account.assumed, "%s: no public source says what Azure does there (dpsbench sim fidelity)", ids);
}

void account_fill(struct result_row *row, const struct account_commands *commands)
{
    if (!account_is_due(row))
        return;
    switch (row->verdict) {
    case VERDICT_PASS:
        tell_pass(row);
        break;
    case VERDICT_KNOWN:
        tell_known(row);
        break;
    case VERDICT_FAIL:
        tell_fail(row, commands->show);
        break;
    case VERDICT_INCONCLUSIVE:
        tell_reason(row);
        result_set(&row->account.mend, rig_mend);
        break;
    default:
        tell_reason(row);
        result_set(&row->account.mend, our_mend);
        break;
    }
    tell_assumed(row);
    result_set(&row->account.again, commands->again);
}

size_t account_lines(const struct result_account *account, struct account_line lines[ACCOUNT_LINES_MAX])
{
    const struct account_line all[ACCOUNT_LINES_MAX] = {
        {"expected", account->expected}, {"got", account->got},         {"rule", account->rule},
        {"mend", account->mend},         {"assumed", account->assumed}, {"again", account->again},
    };
    size_t count = 0;
    for (size_t i = 0; i < ACCOUNT_LINES_MAX; i++)
        if (all[i].text && *all[i].text)
            lines[count++] = all[i];
    return count;
}
