/*
 * reports/clean_text.h - foreign text made fit for a report or a terminal
 *
 * What:     leaves out ANSI escape sequences, control characters and bytes that are no UTF-8. What stays is printable and legal in XML 1.0.
 * Source:   ECMA-48 (sequences), RFC 3629 (UTF-8), XML 1.0 section 2.2 (characters).
 */
#ifndef REPORTS_CLEAN_TEXT_H
#define REPORTS_CLEAN_TEXT_H

#include "base/bytes.h"

enum clean_text_lines {
    CLEAN_TEXT_ONE_LINE, /* line ends and tabs become spaces */
    CLEAN_TEXT_LINES,    /* line ends and tabs stay; CR LF and CR become LF */
};

/* Append what is clean of `text` (may be NULL). Returns -1 when it does not fit: then it is cut there. */
int clean_text_append(struct bytes *out, const char *text, enum clean_text_lines lines);
/* A copy; malloc'ed; NULL when out of memory. */
char *clean_text(const char *text, enum clean_text_lines lines);

#endif
