/*
 * harness/try/note.h - what a person should know besides the verdict: warnings that would bite later, and remarks
 *
 * What:     a bounded list; each note has a stable id ("file.crlf"), a sentence, and what to type ("" for nothing).
 * Memory:   notes_done() releases all of it. A note that finds no memory, or no room, is left out and remembered in `is_incomplete`.
 */
#ifndef HARNESS_TRY_NOTE_H
#define HARNESS_TRY_NOTE_H

#include <stdbool.h>
#include <stddef.h>

enum note_kind { NOTE_WARNING, NOTE_REMARK };

struct note {
    enum note_kind kind;
    const char *id; /* lent for ever, or `own_id` */
    char *own_id;   /* NULL: the id is a literal */
    char *text;
    char *mend; /* never NULL */
};

enum { NOTES_MAX = 64 };

struct notes {
    struct note items[NOTES_MAX];
    size_t count;
    bool is_incomplete;
};

/* `id` is a literal. The text is one sentence without a final stop. */
void notes_add(struct notes *notes, enum note_kind kind, const char *id, const char *format, ...) __attribute__((format(printf, 4, 5)));
/* As notes_add, for texts that come from elsewhere; all copied. A NULL mend is "". */
void notes_copy(struct notes *notes, enum note_kind kind, const char *id, const char *text, const char *mend);
/* What to type about the note that was added last. */
void notes_mend(struct notes *notes, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* NULL when there is none of that id. */
const struct note *notes_find(const struct notes *notes, const char *id);
size_t notes_count(const struct notes *notes, enum note_kind kind);
void notes_done(struct notes *notes);

/* "warning", "remark". */
const char *note_kind_name(enum note_kind kind);

#endif
