/*
 * harness/case/quarantine.h - rows that are known to be unreliable: until when, why, and who mends them
 *
 * What:     reads quarantine.yaml of a folder of cases, or another file (cases/README.md is the manual). A quarantined row runs and is reported as ever; it does
 *           not count for the exit code until the last day of its entry is over. Beside known-findings.yaml, which says what a device does and keeps
 *           every other failure of the row alive; this one is for rows of which nobody knows yet.
 * Strict:   an entry without reason, owner or day, or that fits no row, is an error.
 * Errors:   owner file, "cases/quarantine.yaml:4:9: ...".
 */
#ifndef HARNESS_CASE_QUARANTINE_H
#define HARNESS_CASE_QUARANTINE_H

#include "harness/case/case.h"

#define QUARANTINE_FILE "quarantine.yaml"

enum { QUARANTINE_FORMAT = 1, QUARANTINE_MAX = 256 };

struct quarantine_entry {
    char *place;           /* "cases/quarantine.yaml:4:5" */
    struct text_list rows; /* selectors, as on the command line */
    char *device;          /* id in the rig file; NULL: any */
    char *platform;        /* NULL: any */
    char *reason;
    char *owner;
    char *expires;          /* "2026-12-24" */
    int64_t expires_unix_s; /* when that day is over, UTC */
};

struct quarantine {
    struct quarantine_entry *items;
    size_t count;
};

/* A file that must be there; `shown` stands for it in errors. ret_quarantine: quarantine_done() it. */
int quarantine_read(const char *path, const char *shown, struct quarantine *ret_quarantine, struct error *error);
int quarantine_read_text(const char *text, size_t length_bytes, const char *name, struct quarantine *ret_quarantine, struct error *error);
void quarantine_done(struct quarantine *quarantine);
/* Every entry fits a row of `list`, which holds all rows of the folder. SYNTAX (file). */
int quarantine_check(const struct quarantine *quarantine, const struct case_list *list, struct error *error);
/* The first entry that means the row on that device (platform may be NULL); NULL: none does. Lent. */
const struct quarantine_entry *quarantine_find(const struct quarantine *quarantine, const struct case_row *row, const char *device,
                                               const char *platform);

#endif
