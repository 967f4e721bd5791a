/*
 * reports/table.h - the report for a person at the end of a run
 *
 * What:     the table (row, verdict, time, what happened), a few lines for each row that failed (account.h), the known findings, the path of the
 *           report, a line that counts the known findings and the rows that fail by them alone, and as the last line
 *           "N passed, N failed, N skipped". Inconclusive and error count as failed there and stand apart in the table; a row that fails by known
 *           findings alone counts as none of the three.
 * Not here: progress while it runs (progress.h).
 */
#ifndef REPORTS_TABLE_H
#define REPORTS_TABLE_H

#include "reports/result.h"

#include <stdio.h>

struct table_options {
    int width;       /* columns; 0: as wide as the text. The last column is wrapped, words whole */
    bool has_colour; /* ANSI colours for the verdicts */
};

/* The last line of every run, without a newline; `text` holds TABLE_CLOSING_BYTES. */
enum { TABLE_CLOSING_BYTES = 96 };
void table_closing_line(const struct result_run *run, char *text);

/* All that is known of one row: verdict, title, account, requirement, certificates, findings. */
void table_print_page(FILE *file, const struct result_run *run, const struct result_row *row, const struct table_options *options);

void table_print(FILE *file, const struct result_run *run, const struct table_options *options);

#endif
