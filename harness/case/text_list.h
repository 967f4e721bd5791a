/*
 * harness/case/text_list.h - a short list of texts, NULL-terminated
 */
#ifndef HARNESS_CASE_TEXT_LIST_H
#define HARNESS_CASE_TEXT_LIST_H

#include <stdbool.h>
#include <stddef.h>

enum { CASE_LIST_MAX = 16 }; /* needs, steps, certificates, groups, enrollments, members ... */

/* Owns its texts. */
struct text_list {
    char *items[CASE_LIST_MAX + 1];
    size_t count;
};

bool text_list_has(const struct text_list *list, const char *text);
void text_list_done(struct text_list *list); /* the struct may be reused */

#endif
