/*
 * harness/device/dialect_check.h - a capture against a dialect: what it recognises, what it misses
 *
 * What:     takes a capture as it is (colours, CRs, what is no text; the time in front that console.log of a run, or a serial terminal, puts
 *           there), tells what each line is, and counts. Lines that differ in their numbers alone are missed together.
 * Memory:   bounded whatever the capture's length: DIALECT_CHECK_GROUPS_MAX kinds of missed lines; lines of further kinds are only counted.
 */
#ifndef HARNESS_DEVICE_DIALECT_CHECK_H
#define HARNESS_DEVICE_DIALECT_CHECK_H

#include "harness/device/dialect.h"

enum { DIALECT_CHECK_GROUPS_MAX = 2048, DIALECT_CHECK_SAMPLE_MAX_BYTES = 200 };

/* X(id, name) */
#define DIALECT_FINDINGS(X)                                                                                                                \
    X(DIALECT_RECOGNISED, "recognised") /* an entry matches */                                                                             \
    X(DIALECT_TYPED, "typed")           /* its form says what it is: a banner, a fault, a hexdump, a notification, dropped messages */     \
    X(DIALECT_AT, "at")                 /* a command or an answer of the AT host */                                                        \
    X(DIALECT_MISSED, "missed")         /* a log line or printk without an entry */                                                        \
    X(DIALECT_UNREADABLE, "unreadable") /* damaged */                                                                                      \
    X(DIALECT_EMPTY, "empty")

enum dialect_finding {
#define X(id, name) id,
    DIALECT_FINDINGS(X)
#undef X
        DIALECT_FINDING_COUNT
};

/* Lent for the callback. */
struct dialect_check_line {
    uint64_t number; /* from 1 */
    enum dialect_finding finding;
    const struct zephyr_line *zephyr;
    const struct dialect_match *match; /* NULL unless recognised */
};

typedef void dialect_check_fn(void *user, const struct dialect_check_line *line);

/* Missed lines that differ in their numbers alone. */
struct dialect_missed {
    uint64_t count;
    uint64_t first_line;
    enum zephyr_level level;
    char module[ZEPHYR_NAME_MAX_BYTES];
    char message[DIALECT_CHECK_SAMPLE_MAX_BYTES + 1]; /* of the first, cut */
};

struct dialect_check;

/* dialect: lent. on_line: called for every line; NULL allowed. NULL when out of memory. */
struct dialect_check *dialect_check_new(const struct dialect *dialect, dialect_check_fn *on_line, void *user);
void dialect_check_free(struct dialect_check *check); /* NULL allowed */
void dialect_check_feed(struct dialect_check *check, const void *data, size_t length_bytes);
/* The capture ends. Afterwards the counts are final, and the groups stand in their order. */
void dialect_check_end(struct dialect_check *check);

uint64_t dialect_check_count(const struct dialect_check *check, enum dialect_finding finding);
/* How often the entry matched. */
uint64_t dialect_check_entry_count(const struct dialect_check *check, size_t entry);
/* Lent; the most frequent first, then by first line. */
const struct dialect_missed *dialect_check_missed(const struct dialect_check *check, size_t *ret_count);
/* Missed lines that are in no group. */
uint64_t dialect_check_ungrouped(const struct dialect_check *check);

const char *dialect_finding_name(enum dialect_finding finding);

#endif
