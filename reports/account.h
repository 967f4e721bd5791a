/*
 * reports/account.h - the few lines that a person reads about a row
 *
 * What:     for a row that failed (known, inconclusive and error count as failed here), and for one whose device was refused: what was expected, what came,
 *           the rule, the mend, and the command that runs just this row. The same lines stand in results.json, in junit.xml and below the table.
 * Rule:     the service's, when it refused a device that the case wanted accepted (or refused it otherwise than the case wanted); else the
 *           requirement that the case quotes: then the device's firmware is what has to change.
 */
#ifndef REPORTS_ACCOUNT_H
#define REPORTS_ACCOUNT_H

#include "base/bytes.h"
#include "reports/result.h"

/* Failed, inconclusive or error; or passed, with a refusal by the service. */
bool account_is_due(const struct result_row *row);
/* Commands as a person can type them; lent; NULL: not known. */
struct account_commands {
    const char *again; /* runs just this row */
    const char *show;  /* shows what happened in it */
};
/* Fill row->account. A row without one is left alone. */
void account_fill(struct result_row *row, const struct account_commands *commands);

/* A line of it: "expected", and its text. */
struct account_line {
    const char *label;
    const char *text; /* lent */
};
enum { ACCOUNT_LINES_MAX = 6 };
/* The lines that there are, in the order in which they are read. Returns their number. */
size_t account_lines(const struct result_account *account, struct account_line lines[ACCOUNT_LINES_MAX]);

#endif
