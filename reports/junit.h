/*
 * reports/junit.h - junit.xml: the run as Jenkins, GitLab and GitHub's actions read it alike
 *
 * What:     testsuites > testsuite (a device) > properties, testcase (a row) > at most one of failure, error, skipped > system-out. There is no
 *           standard; this is the part on which the readers agree (docs/results.md), held by tests/junit/subset.xsd. Rewritten as a whole,
 *           atomically, after every row.
 * Keys:     readers identify a test by classname and name and drop the second of two silently: so there are no two. classname is the device
 *           and the case's area ("virtual-dk.refused"), name the rest of the row's id ("wrong-chain:azure").
 * Text:     without ANSI sequences, control characters and what is no UTF-8 (clean_text.h).
 */
#ifndef REPORTS_JUNIT_H
#define REPORTS_JUNIT_H

#include "base/bytes.h"
#include "reports/result.h"

#define JUNIT_FILE "junit.xml"

/* The document. ret_xml: initialised by the call; bytes_done() it. */
int junit_print(const struct result_run *run, struct bytes *ret_xml, struct error *error);
/* Write DIRECTORY/junit.xml. IO (rig). */
int junit_write(const struct result_run *run, struct error *error);

#endif
