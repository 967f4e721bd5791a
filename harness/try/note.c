#include "harness/try/note.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names come from foreign certificates: one line, whatever they hold. */
static char *make_text(const char *format, va_list args) __attribute__((format(printf, 1, 0)));
static char *make_text(const char *format, va_list args)
{
    char *text;
    if (vasprintf(&text, format, args) < 0)
        return NULL;
    for (char *c = text; *c; c++)
        if (iscntrl((unsigned char)*c))
            *c = '?';
    return text;
}

static void add(struct notes *notes, struct note note)
{
    if (note.text && note.mend && notes->count < NOTES_MAX) {
        notes->items[notes->count++] = note;
        return;
    }
    notes->is_incomplete = true;
    free(note.own_id);
    free(note.text);
    free(note.mend);
}

void notes_add(struct notes *notes, enum note_kind kind, const char *id, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(notes, (struct note){.kind = kind, .id = id, .text = make_text(format, args), .mend = strdup("")});
    va_end(args);
}

void notes_copy(struct notes *notes, enum note_kind kind, const char *id, const char *text, const char *mend)
{
    char *own_id = strdup(id);
    add(notes,
        (struct note){.kind = kind, .id = own_id ? own_id : "", .own_id = own_id, .text = strdup(text), .mend = strdup(mend ? mend : "")});
}

void notes_mend(struct notes *notes, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *mend = notes->count ? make_text(format, args) : NULL;
    va_end(args);
    if (!mend)
        return;
    free(notes->items[notes->count - 1].mend);
    notes->items[notes->count - 1].mend = mend;
}

const struct note *notes_find(const struct notes *notes, const char *id)
{
    for (size_t i = 0; i < notes->count; i++)
        if (strcmp(notes->items[i].id, id) == 0)
            return &notes->items[i];
    return NULL;
}

size_t notes_count(const struct notes *notes, enum note_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < notes->count; i++)
        count += notes->items[i].kind == kind;
    return count;
}

void notes_done(struct notes *notes)
{
    for (size_t i = 0; i < notes->count; i++) {
        free(notes->items[i].own_id);
        free(notes->items[i].text);
        free(notes->items[i].mend);
    }
    notes->count = 0;
}

const char *note_kind_name(enum note_kind kind)
{
    return kind == NOTE_WARNING ? "warning" : "remark";
}
